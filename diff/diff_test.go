package diff_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/diff"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// stripe is Stripe's real document, unpacked.
var stripe = sync.OnceValue(func() []byte {
	data, err := catalog.ReadDocument("stripe/spec3.json")
	if err != nil {
		panic(err)
	}
	return data
})

func read(t *testing.T, data []byte) *openapi.Document {
	t.Helper()
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// edit changes a document at gjson paths; nil deletes.
func edit(t *testing.T, data []byte, changes ...any) []byte {
	t.Helper()
	data = bytes.Clone(data)
	for i := 0; i < len(changes); i += 2 {
		path, value := changes[i].(string), changes[i+1]
		if !gjson.GetBytes(data, strings.TrimSuffix(path, ".-1")).Exists() && value == nil {
			t.Fatalf("%s is not there to be removed", path)
		}
		var err error
		if value == nil {
			data, err = sjson.DeleteBytes(data, path)
		} else {
			data, err = sjson.SetBytes(data, path, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func load(t *testing.T) *plan.Plan {
	t.Helper()
	p, err := plan.Load("testdata/stripe.yaml", catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func compare(t *testing.T, p *plan.Plan, before, after []byte) *diff.Report {
	t.Helper()
	r, err := diff.Compare(p, read(t, before), read(t, after))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// enabled is where Stripe's document lists event types, below a path; fewer is
// a list that lacks one the plan uses.
func enabled(path string) string {
	return "paths./v1/" + path + ".post.requestBody.content.application/x-www-form-urlencoded.schema.properties.enabled_events.items.enum"
}

var fewer = []string{"invoice.paid", "invoice.payment_action_required", "customer.created", "*"}

func summary(r *diff.Report) (list []string) {
	for _, f := range r.Findings {
		list = append(list, fmt.Sprintf("%s %s: %s", f.Level, f.Row, f.Message))
	}
	return list
}

// R0.3: four changes that matter, among thousands that do not, are four
// findings.
func TestFourChangesOfARealDocument(t *testing.T) {
	t.Parallel()
	p := load(t)
	noise := []any{}
	gjson.GetBytes(stripe(), "components.schemas").ForEach(func(name, _ gjson.Result) bool {
		if len(noise) < 2*60 && !slices.Contains([]string{"customer", "invoice", "line_item"}, name.String()) && !strings.ContainsAny(name.String(), ".*?") {
			noise = append(noise, "components.schemas."+name.String()+".properties.added_for_the_test", map[string]any{"type": "string"})
		}
		return true
	})
	after := edit(t, stripe(), append(noise,
		"components.schemas.invoice.properties.status.enum.-1", "paused",
		"components.schemas.customer.properties.balance.type", "string",
		"components.schemas.customer.properties.email", nil,
		"paths./v1/events", nil,
	)...)
	r := compare(t, p, stripe(), after)
	want := []string{
		"breaks endpoint.list_events.call: the operation is gone",
		"breaks mapping.customer.email: the field is gone",
		"breaks mapping.customer.balance: the field has another type",
		"breaks mapping.invoice.status: there is a new value",
	}
	if got := summary(r); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !r.Broken() {
		t.Error("it does not say that something breaks")
	}
	if r.Count() < 60 {
		t.Errorf("only %d other changes are counted", r.Count())
	}
	status := r.Findings[3]
	if status.Example != `{"status": "paused"}` || status.Fails == "" {
		t.Errorf("the example does not show the failure: %+v", status)
	}
	if status.Line == 0 || !strings.Contains(status.Fix, "values") {
		t.Errorf("no place or no way out: %+v", status)
	}
}

// What does not change a row is not told, and a document against itself is
// silent.
func TestNothingChanged(t *testing.T) {
	t.Parallel()
	p := load(t)
	r := compare(t, p, stripe(), edit(t, stripe(),
		"components.schemas.customer.properties.email.description", "other words",
		"info.version", "2099-01-01",
	))
	if len(r.Findings) > 0 || r.Broken() || r.Count() != 0 {
		t.Errorf("got %v and %d elsewhere", summary(r), r.Count())
	}
	if r.Held < 14 {
		t.Errorf("only %d rows were compared", r.Held)
	}
}

// Each kind of change, on the real document.
func TestKindsOfChange(t *testing.T) {
	t.Parallel()
	p := load(t)
	for name, tt := range map[string]struct {
		changes []any
		want    string // how the only finding begins; empty: none
		fix     string
	}{
		"event gone": {
			[]any{enabled("webhook_endpoints"), fewer, enabled("webhook_endpoints/{webhook_endpoint}"), fewer},
			"breaks event.invoice.payment_failed: the event is no longer listed", "invoice.pay",
		},
		"operation deprecated": {[]any{"paths./v1/events.get.deprecated", true}, "changes endpoint.list_events.call: the operation is deprecated", "changelog"},
		"query required": {
			[]any{"paths./v1/events.get.parameters.-1", map[string]any{"name": "account", "in": "query", "required": true, "schema": map[string]any{"type": "string"}}},
			"breaks endpoint.list_events.call: a query parameter is required now", "give account",
		},
		"body field required": {
			[]any{"paths./v1/customers.post.requestBody.content.application/x-www-form-urlencoded.schema.required", []string{"phone"}},
			"breaks endpoint.create_customer.call: a field of the body is required now", "phone",
		},
		"required, and the plan sends it": {
			[]any{"paths./v1/customers.post.requestBody.content.application/x-www-form-urlencoded.schema.required", []string{"email"}}, "", "",
		},
		"field renamed": {
			[]any{"components.schemas.invoice.properties.amount_due", nil, "components.schemas.invoice.properties.amount_due_total", map[string]any{"type": "integer"}},
			"breaks mapping.invoice.amount_due: the field is gone", "amount_due_total",
		},
		"time becomes text": {
			[]any{"components.schemas.customer.properties.created", map[string]any{"type": "string", "format": "date-time"}},
			"breaks mapping.customer.created: the field has another type", "type",
		},
		"currency gone": {
			[]any{"components.schemas.customer.properties.currency", nil},
			"breaks mapping.customer.balance: the currency beside the amount is gone", "transform",
		},
		"may be null": {
			[]any{"components.schemas.customer.properties.created.nullable", true}, "changes mapping.customer.created: the field may be null", "null",
		},
		"another resource": {[]any{"components.schemas.refund.properties.amount.type", "string"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := compare(t, p, stripe(), edit(t, stripe(), tt.changes...))
			got := summary(r)
			if tt.want == "" {
				if len(got) > 0 {
					t.Errorf("got %v, want nothing", got)
				}
				return
			}
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Fatalf("got %v, want %s", got, tt.want)
			}
			if !strings.Contains(r.Findings[0].Fix, tt.fix) {
				t.Errorf("fix %q does not name %q", r.Findings[0].Fix, tt.fix)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	r := compare(t, load(t), stripe(), edit(t, stripe(), "components.schemas.invoice.properties.status.enum.-1", "pau|sed"))
	var text, markdown, document bytes.Buffer
	if err := r.WriteText(&text, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"breaks mapping.invoice.status (testdata/stripe.yaml:", `example  {"status": "pau|sed"}`, "1 finding breaks", "0 other places"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if err := r.WriteMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(markdown.String(), `pau\|sed`) {
		t.Errorf("the table is broken:\n%s", markdown.String())
	}
	if err := r.WriteJSON(&document); err != nil {
		t.Fatal(err)
	}
	var back diff.Report
	if err := json.Unmarshal(document.Bytes(), &back); err != nil || len(back.Findings) != 1 {
		t.Errorf("got %v, %+v", err, back)
	}
}

func TestNeedsAllThree(t *testing.T) {
	t.Parallel()
	if _, err := diff.Compare(nil, nil, nil); err == nil {
		t.Error("no error")
	}
}
