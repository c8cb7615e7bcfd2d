package draft_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/plan"
)

func marshal(t testing.TB, p *plan.Plan) []byte {
	t.Helper()
	b, err := plan.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func merge(t testing.TB, existing []byte, fresh *plan.Plan) ([]byte, *draft.Changes) {
	t.Helper()
	out, changes, err := draft.Merge(existing, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Parse("merged.yaml", out, catalog.Load); err != nil {
		t.Fatalf("the merged plan does not load: %v\n%s", err, out)
	}
	return out, changes
}

// onlyAdded checks that every line of before stands in after, in order.
func onlyAdded(t *testing.T, before, after []byte) {
	t.Helper()
	rest := strings.Split(string(after), "\n")
	for _, line := range strings.Split(strings.TrimRight(string(before), "\n"), "\n") {
		i := slices.Index(rest, line)
		if i < 0 {
			t.Fatalf("the line %q is gone or moved", line)
		}
		rest = rest[i+1:]
	}
}

// R8.3: twice the same is the same bytes.
func TestMergeTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	file := marshal(t, p)
	out, changes := merge(t, file, p)
	if !bytes.Equal(out, file) || len(changes.Added) != 0 || len(changes.Kept) != 0 || len(changes.Left) != 0 {
		t.Errorf("something changed: %+v", changes)
	}
}

// R8.3: what people wrote stands, and is told where the planner differs.
func TestMergeKeepsHandEdits(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	edit := strings.NewReplacer(
		"timeout: 30s", "timeout: 12s # agreed with support",
		"  create_customer:", "  # the payer\n  register_payer:",
		"uncollectible: UNCOLLECTIBLE", "uncollectible: WRITTEN_OFF",
		"to: app}", "to: billing}",
		"tell: app}", "tell: billing}",
		"  app: {url", "  billing: {url",
		"stripeInvoiceId, as: string, direction: in}\n", "stripeInvoiceId, as: string, direction: in}   # ours\n\n",
	)
	file := []byte(edit.Replace(string(marshal(t, p))))
	out, changes := merge(t, file, p)
	if !bytes.Equal(out, file) {
		t.Errorf("hand edits are lost; added %v", changes.Added)
	}
	kept := func(path, yours, planned string) {
		if !slices.Contains(changes.Kept, draft.Kept{Path: path, Yours: yours, Planned: planned}) {
			t.Errorf("%s is not told: %v", path, changes.Kept)
		}
	}
	kept("endpoints.register_payer.timeout", "12s", "30s")
	kept("mappings.invoice.status.values.uncollectible", "WRITTEN_OFF", "UNCOLLECTIBLE")

	again, _ := merge(t, out, p)
	if !bytes.Equal(again, out) {
		t.Error("the second run changed something")
	}
}

// What a person took out stays out while need and document are the same.
func TestMergeRespectsWhatWasTakenOut(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	file := string(marshal(t, p))
	from, to := strings.Index(file, "  pay_invoice:"), strings.Index(file, "\nmappings:")
	event := "    invoice.voided: {from: data.object, map: invoice, to: app}\n"
	file = strings.Replace(file[:from]+file[to:], event, "", 1)
	out, changes := merge(t, []byte(file), p)
	if string(out) != file {
		t.Errorf("it came back: %v", changes.Added)
	}
	var left []string
	for _, l := range changes.Left {
		left = append(left, l.Path)
	}
	if !slices.Equal(left, []string{"endpoints.pay_invoice", "webhooks.events.invoice.voided"}) {
		t.Errorf("left: %v", changes.Left)
	}

	// Named explicitly it comes, and only it.
	in := input(t, "stripe", need)
	in.Endpoints = []string{"POST /v1/invoices/{invoice}/pay"}
	explicit, _ := write(t, in)
	out, changes = merge(t, []byte(file), explicit)
	onlyAdded(t, []byte(file), out)
	if !slices.Equal(changes.Added, []string{"endpoints.pay_invoice"}) {
		t.Errorf("added: %v", changes.Added)
	}
}

const handWritten = `# Our plan. Do not reorder.
sallyport: 1
service: stripe
uses: stripe
need: Refund a payment # see ticket 7

environments:
    development:
        base_url: http://127.0.0.1:4010
        secrets:
            api_key: env:STRIPE_API_KEY
    production:
        secrets:
            api_key: file:/run/secrets/stripe   # mounted
auth: {use: api_key}

endpoints:
    # a person decides
    refund:
        call: POST /v1/refunds
        purpose: Give money back.
        effect: irreversible
        # no fallback on purpose

    # end of endpoints
mappings:
    refund:
    - {external: id, internal: id, as: string}
considered:
- {call: POST /v1/invoiceitems, why_not: we bill by subscription}
`

// Another need adds to a file of another layout, and touches nothing.
func TestMergeAddsToHandWrittenFile(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	for name, file := range map[string]string{
		"as it is": handWritten, "no last line end": strings.TrimRight(handWritten, "\n"), "windows": strings.ReplaceAll(handWritten, "\n", "\r\n"),
	} {
		out, changes := merge(t, []byte(file), p)
		onlyAdded(t, []byte(file), out)
		merged, _ := plan.Parse("x", out, catalog.Load)
		if merged.Need != "Refund a payment" || merged.Endpoints["refund"].Effect != plan.EffectIrreversible || len(merged.Mappings["refund"]) != 1 {
			t.Errorf("%s: hand-written values changed: %+v", name, merged)
		}
		for _, endpoint := range []string{"create_customer", "create_invoice", "pay_invoice", "list_events"} {
			if merged.Endpoints[endpoint] == nil || !slices.Contains(changes.Added, "endpoints."+endpoint) {
				t.Errorf("%s: %s was not added", name, endpoint)
			}
		}
		if merged.Endpoints["create_invoiceitem"] != nil {
			t.Errorf("%s: what was set aside came in", name)
		}
		if len(merged.Mappings["invoice"]) == 0 || len(merged.Mappings["line"]) == 0 || merged.Webhooks.Events["invoice.paid"].To[0] != "app" || merged.Destinations["app"].URL == "" {
			t.Errorf("%s: what the additions refer to is missing", name)
		}
		for _, env := range merged.Environments {
			if len(env.Secrets["webhook_secret"]) != 1 {
				t.Errorf("%s: webhooks without a secret: %+v", name, merged.Environments)
			}
		}
		if len(merged.OpenQuestions) == 0 || len(merged.Errors) == 0 {
			t.Errorf("%s: questions or errors are missing", name)
		}
		if strings.Contains(name, "windows") && bytes.Count(out, []byte("\n")) != bytes.Count(out, []byte("\r\n")) {
			t.Error("line ends are mixed")
		}
		if again, changes := merge(t, out, p); !bytes.Equal(again, out) {
			t.Errorf("%s: the second run added %v", name, changes.Added)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	for name, c := range map[string]struct{ file, want string }{
		"broken":   {"sallyport: 1\nservice: [", "correct it first"},
		"unknown":  {handWritten + "colour: red\n", "colour"},
		"one line": {strings.Replace(handWritten, "mappings:\n    refund:\n    - {external: id, internal: id, as: string}\n", "mappings: {refund: [{external: id, internal: id, as: string}]}\n", 1), "mappings: it is written in one line"},
	} {
		out, changes, err := draft.Merge([]byte(c.file), p)
		if err == nil || out != nil || changes != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// Confirmed facts are not asked again.
func TestMergeDoesNotAskWhatIsConfirmed(t *testing.T) {
	t.Parallel()
	p, _ := write(t, input(t, "stripe", need))
	file := handWritten + "profile:\n  confirmed:\n    sandbox: {on: 2026-11-24, by: payments}\nopen_questions: [{about: auth, ask: Which key?}]\n"
	out, changes := merge(t, []byte(file), p)
	if bytes.Contains(out, []byte("profile.confirmed.sandbox")) {
		t.Error("the sandbox is asked about again")
	}
	if !slices.ContainsFunc(changes.Left, func(l draft.Left) bool { return l.Path == "open_questions" }) {
		t.Errorf("nothing says that questions could not be added: %v", changes.Left)
	}
}

func FuzzMerge(f *testing.F) {
	p, _ := write(f, input(f, "stripe", need))
	f.Add([]byte(handWritten))
	f.Add(marshal(f, p))
	f.Add([]byte(strings.ReplaceAll(handWritten, "    ", "  ")))
	f.Fuzz(func(t *testing.T, existing []byte) {
		out, _, err := draft.Merge(existing, p)
		if err != nil {
			return
		}
		again, _, err := draft.Merge(out, p)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("a second run differs: %v\n%s", err, existing)
		}
	})
}

func FuzzWrite(f *testing.F) {
	for _, n := range []string{need, "Find pets by status", "when, if; and", "it its them", "let let let", "\xff“\x00", "Order ORDER oRDER"} {
		f.Add(n)
	}
	in := input(f, "petstore", need)
	f.Fuzz(func(t *testing.T, need string) {
		in := in
		in.Need = need
		p, _, err := draft.Write(in)
		if err != nil {
			return
		}
		if len(p.Endpoints) == 0 {
			t.Fatal("a plan without endpoints and without an error")
		}
	})
}
