package draft_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

const need = "Charge customers for monthly invoices and keep invoice status in step"

var today = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// documents are read once: tests only read them.
var documents = map[string]func() (*openapi.Document, error){
	"stripe":   document("../catalog/documents/stripe/spec3.json.gz"),
	"slack":    document("../openapi/testdata/slack_web_openapi_v2.json.gz"),
	"petstore": document("../openapi/testdata/petstore.yaml"),
	"resend":   document("../openapi/testdata/resend.yaml"),
}

func document(file string) func() (*openapi.Document, error) {
	return sync.OnceValues(func() (*openapi.Document, error) {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		return openapi.Read(data)
	})
}

// profile of a service; one without facts where the catalog has none.
func profile(t testing.TB, service string) *catalog.Profile {
	t.Helper()
	if service == "stripe" || service == "slack" {
		p, err := catalog.Load(service)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return &catalog.Profile{
		ID: service, Name: service, API: catalog.API{BaseURL: "https://api.example.com", Request: catalog.EncodingJSON},
		Auth:     []catalog.Auth{{Kind: "api_key"}},
		Webhooks: &catalog.Webhooks{ID: []string{"header:svix-id"}, Type: []string{"json:type"}, Data: "data"},
	}
}

func input(t testing.TB, service, need string) draft.Input {
	t.Helper()
	d, err := documents[service]()
	if err != nil {
		t.Fatal(err)
	}
	return draft.Input{Service: service, Need: need, Profile: profile(t, service), Document: d, SpecFile: "embedded:" + service, SpecSHA256: d.SHA256, Now: today}
}

func write(t testing.TB, in draft.Input) (*plan.Plan, *draft.Report) {
	t.Helper()
	p, r, err := draft.Write(in)
	if err != nil {
		t.Fatal(err)
	}
	return p, r
}

func calls(p *plan.Plan) []string {
	var out []string
	for _, e := range p.Endpoints {
		out = append(out, e.Call)
	}
	slices.Sort(out)
	return out
}

// R8.1, R8.2, R1.2: the sentence gives a small, complete set with reasons.
func TestStripeFromASentence(t *testing.T) {
	t.Parallel()
	p, r := write(t, input(t, "stripe", need))
	want := []string{
		"GET /v1/customers/{customer}", "GET /v1/events", "GET /v1/invoices/{invoice}", "POST /v1/customers",
		"POST /v1/invoiceitems", "POST /v1/invoices", "POST /v1/invoices/{invoice}/finalize", "POST /v1/invoices/{invoice}/pay",
	}
	if got := calls(p); !slices.Equal(got, want) {
		t.Errorf("calls:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	events := slices.Sorted(maps.Keys(p.Webhooks.Events))
	if want := []string{"invoice.finalization_failed", "invoice.finalized", "invoice.marked_uncollectible", "invoice.paid", "invoice.payment_failed", "invoice.voided"}; !slices.Equal(events, want) {
		t.Errorf("events %v, want %v", events, want)
	}
	for name, e := range p.Endpoints {
		if e.Why == "" || e.Purpose == "" || e.Timeout == 0 {
			t.Errorf("%s has no reason, purpose or timeout: %+v", name, e)
		}
	}
	if why := p.Endpoints["create_invoice"].Why; !strings.Contains(why, "“invoices” matches the path") || !strings.Contains(why, "“charge” asks for a create") {
		t.Errorf("the reason does not name what matched: %s", why)
	}
	if len(p.Considered) < 3 || slices.ContainsFunc(p.Considered, func(c plan.Considered) bool { return c.WhyNot == "" || slices.Contains(want, c.Call) }) {
		t.Errorf("near misses: %v", p.Considered)
	}
	if len(r.Uncovered) > 0 || len(r.Events) != len(events) || len(r.Candidates) < 10 {
		t.Errorf("report: %+v", r)
	}
	for _, c := range r.Candidates {
		if c.Reason == "" || c.Picked != (c.Name != "") {
			t.Errorf("candidate %+v", c)
		}
	}
	for _, e := range r.Events {
		if e.Reason == "" {
			t.Errorf("event %s has no reason", e.Call)
		}
	}
}

// R4.7, design decision 3: effect decides retry.
func TestStripeEffects(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	for name, want := range map[string]plan.Effect{
		"create_customer": plan.EffectCreate, "get_customer": plan.EffectRead, "create_invoice": plan.EffectCreate,
		"pay_invoice": plan.EffectIrreversible, "finalize_invoice": plan.EffectIrreversible, "list_events": plan.EffectRead,
	} {
		e := p.Endpoints[name]
		if e == nil || e.Effect != want {
			t.Errorf("%s: %+v, want the effect %s", name, e, want)
			continue
		}
		if post := strings.HasPrefix(e.Call, "POST"); post != (e.Idempotency != nil) || post && e.Idempotency.Header != "Idempotency-Key" {
			t.Errorf("%s: idempotency %+v", name, e.Idempotency)
		}
		if want == plan.EffectIrreversible && e.Fallback != "fail" {
			t.Errorf("%s falls back to %s: it would go out later, unseen", name, e.Fallback)
		}
	}
}

// R3.1, R3.2, R3.3: rows follow from the schemas, and the mapping engine takes
// them.
func TestStripeRows(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	find := func(table, external string) plan.MappingRow {
		i := slices.IndexFunc(p.Mappings[table], func(r plan.MappingRow) bool { return r.External == external })
		if i < 0 {
			t.Errorf("%s has no row for %s", table, external)
			return plan.MappingRow{}
		}
		return p.Mappings[table][i]
	}
	for _, c := range []struct {
		table string
		want  plan.MappingRow
	}{
		{"customer", plan.MappingRow{External: "id", Type: "string", Internal: "stripeCustomerId", As: "string", Direction: "in"}},
		{"customer", plan.MappingRow{External: "email", Type: "string", Internal: "email", As: "string", Class: "pii"}},
		{"customer", plan.MappingRow{External: "created", Type: "unix", Internal: "createdAt", As: "datetime", Direction: "in"}},
		{"customer", plan.MappingRow{External: "metadata.tenant_id", Type: "string", Internal: "tenantId", As: "uuid", Missing: "null"}},
		{"invoice", plan.MappingRow{External: "amount_due", Type: "integer", Internal: "amountDue", As: "decimal", Transform: "money(currency)", Direction: "in"}},
		{"invoice", plan.MappingRow{External: "customer", Type: "string", Internal: "stripeCustomerId", As: "string"}},
		{"invoice", plan.MappingRow{External: "lines.data[*]", Internal: "lines[*]", As: "line", Direction: "in"}},
		{"invoiceitem", plan.MappingRow{External: "amount", Type: "integer", Internal: "amount", As: "decimal", Transform: "money(currency)"}},
		{"line", plan.MappingRow{External: "amount", Type: "integer", Internal: "amount", As: "decimal", Transform: "money(currency)", Direction: "in"}},
	} {
		if got := find(c.table, c.want.External); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, want %+v", c.table, got, c.want)
		}
	}
	status := find("invoice", "status")
	if status.As != "enum" || status.Unknown != "fail" || status.Values["uncollectible"] != "UNCOLLECTIBLE" || len(status.Values) != 5 || status.Direction != "in" {
		t.Errorf("status %+v", status)
	}
	for name, rows := range p.Mappings {
		if len(rows) > 16 {
			t.Errorf("%s has %d rows, more than a person reads", name, len(rows))
		}
		if _, err := mapping.Compile(p.Mappings, name); err != nil {
			t.Errorf("%s does not compile: %v", name, err)
		}
	}
	if _, there := p.Mappings["event"]; there {
		t.Error("there is a mapping that nothing uses")
	}
}

func TestStripeFrame(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	w := p.Webhooks
	if w.Tenant != "json:data.object.metadata.tenant_id" || w.OrderBy != "json:data.object.id" || w.Reconcile.List != "list_events" {
		t.Errorf("webhooks %+v", w)
	}
	if e := w.Events["invoice.paid"]; !reflect.DeepEqual(e, plan.EventHandling{From: "data.object", Map: "invoice", To: catalog.OneOrMore{"app"}}) {
		t.Errorf("invoice.paid %+v", e)
	}
	if p.Limits.Headroom != 80 || p.Limits.Wait == 0 || len(p.Errors) != len(plan.DefaultErrors()) || p.Errors["404"].Tell != "app" { // R4.4, R4.13, R4.17
		t.Errorf("limits %+v, errors %+v", p.Limits, p.Errors)
	}
	if d := p.Decision; d.Choice != "build" || !strings.Contains(d.Why, "stripe-go") || d.ReviewBy != "2027-05-24" { // R0.2
		t.Errorf("decision %+v", d)
	}
	if p.Profile.Version != "2026-08-26.dahlia" || p.Profile.Spec.SHA256 == "" { // R0.3
		t.Errorf("profile %+v", p.Profile)
	}
	if b, sdk, buy := p.Decision.Totals(); len(p.Decision.Weighed) < 5 || b <= buy || sdk == 0 {
		t.Errorf("weighed %d %d %d: %+v", b, sdk, buy, p.Decision.Weighed)
	}
	if len(p.Rollout.Steps) < 4 || p.Rollout.Stop == "" || !strings.Contains(p.Rollout.Back, "pay_invoice") || p.Exit.Export == "" || p.Exit.Delete == "" || p.Exit.Replace == "" {
		t.Errorf("rollout %+v, exit %+v", p.Rollout, p.Exit)
	}
	for id, point := range p.Points { // what is open has a place to look
		if point.Ask != "" && point.Look == "" || point.Ask+point.Value+point.Because == "" {
			t.Errorf("%s: %+v", id, point)
		}
	}
	if p.Points["E46"].Value == "" || p.Points["E22"].Because == "" || p.Points["E54"].Ask == "" || len(p.Points) > 24 {
		t.Errorf("points %+v", p.Points)
	}
	dev, live := p.Environments["development"].Secrets, p.Environments["production"].Secrets
	for name := range dev { // R2.11
		if dev[name][0] == live[name][0] || !strings.HasPrefix(dev[name][0], "env:") {
			t.Errorf("%s is %v in development and %v in production", name, dev[name], live[name])
		}
	}
	// R0.1: what is only recalled is asked.
	for _, about := range []string{"api", "idempotency", "webhooks"} {
		if !slices.ContainsFunc(p.OpenQuestions, func(q plan.Question) bool { return q.About == about && q.Ask != "" }) {
			t.Errorf("nothing is asked about %s", about)
		}
	}
	for _, about := range []string{"limits", "pagination_", "service"} {
		if slices.ContainsFunc(p.OpenQuestions, func(q plan.Question) bool { return q.About == about }) {
			t.Errorf("%s is asked about, though it is known or not used", about)
		}
	}
}

// The written plan loads without a problem, twice the same, whatever the need.
func TestPlansLoad(t *testing.T) {
	t.Parallel()
	for _, c := range heldOut {
		in := input(t, c.service, c.need)
		p, _ := write(t, in)
		first, err := plan.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		load := func(string) (*catalog.Profile, error) { return in.Profile, nil }
		if _, err := plan.Parse(c.service+".yaml", first, load); err != nil {
			t.Errorf("%s, %q: %v", c.service, c.need, err)
		}
		again, _ := write(t, in)
		second, _ := plan.Marshal(again)
		if !bytes.Equal(first, second) {
			t.Errorf("%s, %q: two runs differ", c.service, c.need)
		}
		for name := range p.Mappings {
			if _, err := mapping.Compile(p.Mappings, name); err != nil {
				t.Errorf("%s, %q: mapping %s: %v", c.service, c.need, name, err)
			}
		}
		if words := regexp.MustCompile(`(?i)\b(sk_live|sk_test|password)\b`).Find(first); words != nil {
			t.Errorf("%s: the plan holds %q", c.service, words)
		}
	}
}

func TestExplicitPicks(t *testing.T) {
	t.Parallel()
	in := input(t, "stripe", "Refund a payment")
	in.Endpoints, in.Events = []string{"POST /v1/charges/{charge}/capture", "GetBalance"}, []string{"charge.refunded"}
	p, _ := write(t, in)
	for _, call := range []string{"POST /v1/charges/{charge}/capture", "GET /v1/balance", "POST /v1/refunds"} {
		if !slices.Contains(calls(p), call) {
			t.Errorf("%s is missing in %v", call, calls(p))
		}
	}
	if _, ok := p.Webhooks.Events["charge.refunded"]; !ok || p.Webhooks.Events["charge.refunded"].Map != "charge" {
		t.Errorf("events %+v", p.Webhooks.Events)
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*draft.Input)
		want   string
	}{
		"no need":              {func(in *draft.Input) { in.Need = " " }, "need is empty"},
		"a book":               {func(in *draft.Input) { in.Need = strings.Repeat("invoice ", 1000) }, "at most 4000"},
		"slug":                 {func(in *draft.Input) { in.Service = "My Stripe" }, "no slug"},
		"no profile":           {func(in *draft.Input) { in.Profile = nil }, "profile"},
		"no document":          {func(in *draft.Input) { in.Document = nil }, "name operations as METHOD /path"},
		"an empty document":    {func(in *draft.Input) { in.Document = &openapi.Document{Title: "x"} }, "no operations"},
		"no effect":            {func(in *draft.Input) { in.Answers.Effects = map[string]plan.Effect{"create_invoice": "maybe"} }, "read, update, create or irreversible"},
		"effect of what":       {func(in *draft.Input) { in.Answers.Effects = map[string]plan.Effect{"create_invoic": plan.EffectRead} }, "create_invoice"},
		"tenant":               {func(in *draft.Input) { in.Answers.Tenant = "data.object" }, "json:a.b.c"},
		"destination":          {func(in *draft.Input) { in.Answers.Destinations = map[string]string{"app": "https://u:canary@x"} }, "without user"},
		"decision":             {func(in *draft.Input) { in.Answers.Decision = "rent" }, "build, sdk or buy"},
		"ticked nothing known": {func(in *draft.Input) { in.Answers.Endpoints = []string{"POST /v1/nothing"} }, "no operation"},
		"by hand":              {func(in *draft.Input) { in.Document, in.Endpoints = nil, []string{"createThing"} }, "POST /v1/messages"},
		"unknown call":         {func(in *draft.Input) { in.Endpoints = []string{"POST /v1/customer"} }, "POST /v1/customers"},
		"unknown event":        {func(in *draft.Input) { in.Events = []string{"invoice.payed"} }, "invoice."},
		"nothing fits":         {func(in *draft.Input) { in.Need = "Xylophone zebra quokka" }, "nothing in the document"},
		"no webhooks here":     {func(in *draft.Input) { in.Profile = &catalog.Profile{ID: "x"}; in.Events = []string{"a.b"} }, "no webhooks"},
	} {
		in := input(t, "stripe", need)
		c.change(&in)
		p, r, err := draft.Write(in)
		if err == nil || p != nil || r != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// R8.2: what stays uncovered is said.
func TestUncovered(t *testing.T) {
	t.Parallel()
	p, r := write(t, input(t, "petstore", "Add pets and send xylophones"))
	if len(r.Uncovered) != 1 || r.Uncovered[0] != "send xylophones" {
		t.Errorf("uncovered: %v", r.Uncovered)
	}
	if !slices.ContainsFunc(p.OpenQuestions, func(q plan.Question) bool { return strings.Contains(q.Ask, "send xylophones") }) {
		t.Errorf("the plan does not ask about it: %v", p.OpenQuestions)
	}
}

func BenchmarkPlanStripe(b *testing.B) {
	data, err := os.ReadFile("../catalog/documents/stripe/spec3.json.gz")
	if err != nil {
		b.Fatal(err)
	}
	in := input(b, "stripe", need)
	b.ReportAllocs()
	for b.Loop() {
		if in.Document, err = openapi.Read(data); err != nil {
			b.Fatal(err)
		}
		p, _, err := draft.Write(in)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := plan.Marshal(p); err != nil {
			b.Fatal(err)
		}
	}
}
