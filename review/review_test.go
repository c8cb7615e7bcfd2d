package review_test

import (
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/review"
)

var today = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// good is a plan that passes every rule a plan can pass.
const good = `sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
decision: {choice: build, why: Two calls., owner: payments, review_by: 2027-05-23}
profile:
  version: 2026-08-26.dahlia
  spec: {file: "embedded:stripe/spec3.json.gz", sha256: f0e0fc8fffbffda45bf5f3df59846443c1d47a3cfcbfae232eedf4743124ebee}
  confirmed:
    idempotency: {on: 2026-11-23, by: payments}
    webhooks: {on: 2026-11-23, by: payments}
    sandbox: {on: 2026-11-23, by: payments}
    auth: {on: 2026-11-23, by: payments}
    limits: {on: 2026-11-23, by: payments}
    api: {on: 2026-11-23, by: payments}
    errors: {on: 2026-11-23, by: payments}
environments:
  development:
    base_url: http://127.0.0.1:4010
    secrets: {api_key: env:DEV_KEY, webhook_secret: env:DEV_SECRET}
  production:
    secrets: {api_key: env:LIVE_KEY, webhook_secret: env:LIVE_SECRET}
auth: {use: api_key, rotate_every: 90d}
endpoints:
  create_customer:
    call: POST /v1/customers
    purpose: Register the payer.
    effect: create
    idempotency: {header: Idempotency-Key, keep: 24h}
    send: customer
    receive: customer
    fallback: queue
  list_events: {call: GET /v1/events, purpose: Find lost webhooks., effect: read, fallback: fail}
mappings:
  customer:
    - {external: id, type: string, internal: id, as: string, direction: in}
    - {external: email, type: string, internal: email, as: string, class: pii}
    - {external: currency, type: string, internal: currency, as: string, direction: in}
    - {external: balance, type: integer, internal: balance, as: decimal, transform: money(currency), direction: in}
    - {external: tax_exempt, type: string, internal: taxExempt, as: enum, values: {none: NONE, exempt: EXEMPT, reverse: REVERSE}, unknown: fail}
limits: {headroom: 80%}
webhooks:
  order_by: json:data.object.id
  events:
    invoice.paid: {from: data.object, map: customer, to: app}
  redact: [data.object.email]
  retention: {payload: 30d, ids: 90d}
  reconcile: {list: list_events, every: 10m, overlap: 30m}
destinations:
  app: {url: "http://127.0.0.1:3000/", secret: env:APP}
monitoring: {owner: payments, notify: [ops], runbook: docs/stripe.md, expect_calls_every: 30m}
`

func load(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse("stripe.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// document is the provider's, read once for all tests.
var document = sync.OnceValue(func() *openapi.Document {
	r, err := catalog.OpenDocument("stripe/spec3.json.gz")
	if err != nil {
		panic(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		panic(err)
	}
	return doc
})

func outcomes(r *review.Result, rule string) (out []review.Outcome, messages string) {
	for _, f := range r.Findings {
		if f.Rule == rule {
			out = append(out, f.Outcome)
			messages += f.Message + "\n"
		}
	}
	return out, messages
}

// undecided are the rules that no plan can pass in this version.
var undecided = map[string]review.Outcome{"R7.1.3": review.Unknown, "R7.1.12": review.Unknown, "S1": review.Fail}

// elsewhere are the rules about what the good plan does not do, or the profile
// does not know; their examples show them.
var elsewhere = []string{"R4.4", "R4.5", "R4.10", "E14", "E21"}

// R7.1, R7.4: a good plan passes each rule.
func TestGoodPlanPasses(t *testing.T) {
	t.Parallel()
	result := review.Plan(load(t, good), review.Options{Now: today, Document: document()})
	if result.Failed() {
		t.Error("the review of a good plan fails")
	}
	for _, rule := range review.Rules() {
		want := review.Pass
		if o, ok := undecided[rule.ID]; ok {
			want = o
		}
		if slices.Contains(elsewhere, rule.ID) {
			want = review.NotApplicable
		}
		got, messages := outcomes(result, rule.ID)
		if len(got) == 0 || got[0] != want {
			t.Errorf("%s (%s): %v, want %s: %s", rule.ID, rule.Title, got, want, messages)
		}
		if rule.Why == "" || rule.Fix == "" || rule.Source == "" || rule.Title == "" {
			t.Errorf("%s lacks a text", rule.ID)
		}
	}
}

// put replaces the top-level keys of a plan by those of a part; a key with
// nothing under it is taken out.
func put(base, part string) string {
	keys, order := map[string]string{}, []string{}
	for _, text := range []string{base, part} {
		name := ""
		for line := range strings.Lines(text) {
			if key, _, ok := strings.Cut(line, ":"); ok && line[0] != ' ' {
				name = key
				if !slices.Contains(order, name) {
					order = append(order, name)
				}
				keys[name] = ""
			}
			keys[name] += line
		}
	}
	var b strings.Builder
	for _, name := range order {
		if keys[name] != name+":\n" {
			b.WriteString(keys[name])
		}
	}
	return b.String()
}

// R7: each rule has an example of a plan that breaks it and, where a plan can,
// of one that keeps it.
func TestExamples(t *testing.T) {
	t.Parallel()
	o := review.Options{Now: today, Document: document()}
	// The examples stand for themselves: what others name is kept small.
	base := put(good, "endpoints:\n  list_events: {call: GET /v1/events, purpose: Find lost webhooks., effect: read, fallback: fail}\n")
	for _, rule := range review.Rules() {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			if slices.Contains(profiled, rule.ID) {
				return
			}
			if rule.Example.Bad == "" {
				t.Fatal("nothing shows that the rule can fail")
			}
			text := put(base, rule.Example.Bad)
			if rule.ID == "R7.1.4" || rule.ID == "R0.4" { // a plan of their endpoint alone
				text = put(text, "webhooks:\n")
			}
			result := review.Plan(loose(t, text), o)
			got, messages := outcomes(result, rule.ID)
			if !slices.Contains(got, review.Fail) {
				t.Errorf("the bad example: %v %s", got, messages)
			}
			if rule.Severity == review.Error && !result.Failed() {
				t.Error("a failed error does not fail the review")
			}
			for _, f := range result.Findings {
				if f.Rule == rule.ID && f.Outcome == review.Fail && (f.Fix == "" || f.Path != "" && f.Line == 0) {
					t.Errorf("the finding has no place or no way out: %+v", f)
				}
			}
			if rule.Example.Good == "" {
				if want, ok := undecided[rule.ID]; !ok || want != review.Unknown {
					t.Error("nothing shows that the rule can pass")
				}
				return
			}
			good, messages := outcomes(review.Plan(loose(t, put(base, rule.Example.Good)), o), rule.ID)
			if len(good) != 1 || good[0] != review.Pass {
				t.Errorf("the good example: %v %s", good, messages)
			}
		})
	}
}

// loose adds what an example names and does not show.
func loose(t *testing.T, text string) *plan.Plan {
	t.Helper()
	if strings.Contains(text, "list: list_events") && !strings.Contains(text, "  list_events:") {
		text = strings.Replace(text, "endpoints:\n", "endpoints:\n  list_events: {call: GET /v1/events, purpose: Find lost webhooks., effect: read, fallback: fail}\n", 1)
	}
	return load(t, text)
}

// profiled are the rules that ask what is known of the provider: they pass or
// are a question, and never fail.
var profiled = []string{"E19", "E26", "E41", "E66"}

func TestRulesThatAskTheProfile(t *testing.T) {
	t.Parallel()
	p := load(t, good)
	p.Provider.Pagination.Style, p.Provider.Errors.RequestIDHeader, p.Provider.Service.StatusPage = "", "", ""
	p.Provider.Webhooks.Retries = ""
	result := review.Plan(p, review.Options{Now: today})
	for _, rule := range profiled {
		if got, messages := outcomes(result, rule); len(got) != 1 || got[0] != review.Unknown {
			t.Errorf("%s: %v %s", rule, got, messages)
		}
	}
	p.Endpoints, p.Webhooks = nil, nil
	result = review.Plan(p, review.Options{Now: today})
	for rule, want := range map[string]review.Outcome{"E19": review.NotApplicable, "E41": review.NotApplicable, "E66": review.Unknown} {
		if got, messages := outcomes(result, rule); len(got) != 1 || got[0] != want {
			t.Errorf("without endpoints and events, %s: %v %s", rule, got, messages)
		}
	}
}

// R7.1.3: what a scan of the code said settles what a plan can't tell.
func TestCodeSettlesTheWrapper(t *testing.T) {
	t.Parallel()
	for said, want := range map[review.Outcome]review.Outcome{review.Pass: review.Pass, review.Fail: review.Fail, review.NotApplicable: review.Unknown, "": review.Unknown} {
		result := review.Plan(load(t, good), review.Options{Now: today, Code: map[string]review.Outcome{"R0.6": said}})
		if got, messages := outcomes(result, "R7.1.3"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v %s", said, got, messages)
		}
	}
}

// E16, E17, R4.4: what the examples don't show.
func TestResilience(t *testing.T) {
	t.Parallel()
	irreversible := strings.Replace(strings.Replace(good, "effect: create\n", "effect: irreversible\n", 1), "    idempotency: {header: Idempotency-Key, keep: 24h}\n", "", 1)
	if got, messages := outcomes(review.Plan(load(t, irreversible), review.Options{Now: today}), "E16"); got[0] != review.Fail || !strings.Contains(messages, "irreversible") {
		t.Errorf("E16: %v %s", got, messages)
	}
	p := load(t, good)
	p.Limits.Mode = "observe"
	delete(p.Environments, "production")
	if got, messages := outcomes(review.Plan(p, review.Options{Now: today}), "E17"); got[0] != review.Pass {
		t.Errorf("E17 without production: %v %s", got, messages)
	}
	text := strings.Replace(good, "\nlimits: {", "\nerrors:\n  404: {retry: never, tell: app}\nlimits: {", 1)
	text = strings.Replace(text, "  list_events:", "  get_customer: {call: \"GET /v1/customers/{id}\", purpose: Show., effect: read, receive: customer, fallback: fail}\n  list_events:", 1)
	p = load(t, text)
	p.Provider.Errors.ForbiddenAs404 = true
	if got, messages := outcomes(review.Plan(p, review.Options{Now: today}), "R4.4"); got[0] != review.Unknown || !strings.Contains(messages, "may not see") {
		t.Errorf("R4.4: %v %s", got, messages)
	}
	for address, wrong := range map[string]bool{
		"http://app:3000/x": false, "http://10.1.2.3/x": false, "http://127.0.0.1/x": false, "http://app.internal/x": false, "https://app.example.com/x": false,
		"http://app.example.com/x": true, "http://8.8.8.8/x": true,
		"nats://nats:4222/x": false, "nats://nats.example.com/x?tls=true": false, "kafka://10.1.2.3:9092/x": false, "awssqs://sqs.eu-central-1.amazonaws.com/1/x": false,
		"gcppubsub://shop.test/x": false, "nats://nats.example.com/x": true, "kafka://kafka.example.com/x?tls=false": true, "awssqs://queue.example.com/1/x?tls=false": true,
	} {
		p := load(t, strings.Replace(good, "http://127.0.0.1:3000/", address, 1))
		if got, _ := outcomes(review.Plan(p, review.Options{Now: today}), "E35"); (got[0] == review.Fail) != wrong {
			t.Errorf("E35 of %s: %v", address, got)
		}
	}
}

// What only another profile can break.
func TestRulesAboutTheProfile(t *testing.T) {
	t.Parallel()
	p := load(t, good)
	p.Provider.Webhooks.ID = nil
	p.Provider.Limits.List = nil
	p.Provider.Idempotency.Header = ""
	p.Endpoints["create_customer"].Idempotency = nil
	result := review.Plan(p, review.Options{Now: today})
	for rule, want := range map[string]review.Outcome{"R7.1.9": review.Fail, "R7.1.6": review.Unknown, "R4.7": review.Unknown, "E10": review.NotApplicable, "R0.3": review.Unknown} {
		if got, messages := outcomes(result, rule); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s: %s", rule, got, want, messages)
		}
	}
	// A plan read without a catalogue has no provider; that is no panic.
	p.Provider = nil
	if len(review.Plan(p, review.Options{}).Findings) < len(review.Rules()) || p.Provider != nil {
		t.Error("a plan without a provider is not reviewed, or was changed")
	}
}

// R0.1, R8.4: a rule that the plan keeps and the gateway does not act upon yet
// passes and says so; the others don't.
func TestPassSaysWhatIsOnlyPlanned(t *testing.T) {
	t.Parallel()
	const mark = "not acted upon yet (S1)"
	for text, marked := range map[string][]string{
		good: {"R7.1.13", "E67"},
		strings.Replace(good, "rotate_every: 90d", "rotate_every: 365d", 1): {"R7.1.13", "E67"},
	} {
		for _, f := range review.Plan(load(t, text), review.Options{Now: today}).Findings {
			if want := slices.Contains(marked, f.Rule); want != strings.Contains(f.Message, mark) || want && f.Outcome != review.Pass {
				t.Errorf("%s (%s): %s", f.Rule, f.Outcome, f.Message)
			}
		}
	}
}

// R7.1.10: a Go handler is not in the plan, so nobody can say.
func TestGoHandlerIsUnknown(t *testing.T) {
	t.Parallel()
	p := load(t, strings.Replace(good, ", to: app}", "}", 1))
	if got, messages := outcomes(review.Plan(p, review.Options{Now: today}), "R7.1.10"); len(got) != 1 || got[0] != review.Unknown {
		t.Errorf("%v %s", got, messages)
	}
}

// R4.7: what is never repeated by machine, and what the provider knows no key
// for, is no create without a key.
func TestKeyIsAskedForOnlyWhereItHelps(t *testing.T) {
	t.Parallel()
	for effect, want := range map[plan.Effect]review.Outcome{
		plan.EffectIrreversible: review.NotApplicable, plan.EffectUpdate: review.NotApplicable, plan.EffectRead: review.NotApplicable,
		plan.EffectCreate: review.Unknown, // the profile has keys for POST alone
	} {
		p := load(t, good)
		p.Endpoints["create_customer"].Call, p.Endpoints["create_customer"].Idempotency = "PUT /v1/customers", nil
		p.Endpoints["create_customer"].Effect = effect
		if got, messages := outcomes(review.Plan(p, review.Options{Now: today}), "R4.7"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v %s", effect, got, messages)
		}
	}
}

// R0.3: a document that changed is told, whatever else is in order.
func TestChangedDocumentIsTold(t *testing.T) {
	t.Parallel()
	text := strings.Replace(good, "f0e0fc8fffbffda45bf5f3df59846443c1d47a3cfcbfae232eedf4743124ebee", "f0e0…", 1)
	if got, messages := outcomes(review.Plan(load(t, text), review.Options{Document: document()}), "R0.3"); got[0] != review.Pass {
		t.Errorf("a hash cut short does not match: %s", messages)
	}
	text = strings.Replace(text, "f0e0…", "f0e1…", 1)
	if got, messages := outcomes(review.Plan(load(t, text), review.Options{Document: document()}), "R0.3"); got[0] != review.Fail || !strings.Contains(messages, "another one") {
		t.Errorf("%v %s", got, messages)
	}
}

// Findings name the rows they are about, by ids that the plan has.
func TestFindingsNameRows(t *testing.T) {
	t.Parallel()
	text := strings.Replace(good, "    idempotency: {header: Idempotency-Key, keep: 24h}\n", "", 1)
	text = strings.Replace(text, ", class: pii", "", 1)
	text = strings.Replace(text, "invoice.paid: {from: data.object, map: customer,", "invoice.paid: {", 1)
	p := load(t, text)
	known := map[string]bool{}
	for _, row := range p.Rows() {
		known[row.ID] = true
	}
	named := map[string][]string{}
	for _, f := range review.Plan(p, review.Options{Now: today}).Findings {
		for _, id := range f.Rows {
			named[f.Rule] = append(named[f.Rule], id)
			if !known[id] {
				t.Errorf("%s names the row %s, which the plan has not", f.Rule, id)
			}
		}
	}
	for rule, want := range map[string]string{"R4.7": "endpoint.create_customer.effect", "E54": "mapping.customer.email", "R7.1.4": "event.invoice.paid", "S1": "monitoring.notify"} {
		if !slices.Contains(named[rule], want) {
			t.Errorf("%s names %v, not %s", rule, named[rule], want)
		}
	}
	if slices.Contains(named["R4.7"], "endpoint.list_events.effect") {
		t.Error("R4.7 names the row of another endpoint")
	}
}

// Without webhooks their rules do not apply, which is not the same as passing.
func TestNotApplicable(t *testing.T) {
	t.Parallel()
	p := load(t, good)
	p.Webhooks = nil
	p.Endpoints = nil
	if got, _ := outcomes(review.Plan(p, review.Options{}), "R7.1.3"); got[0] != review.Fail {
		t.Errorf("R7.1.3 of a plan without endpoints or events: %v", got)
	}
	result := review.Plan(p, review.Options{Now: today})
	for _, rule := range []string{"E9", "E10", "R0.4", "R4.7", "R7.1.8", "R7.1.9", "R7.1.10", "R7.1.11", "R5.7", "E43", "E44"} {
		if got, _ := outcomes(result, rule); len(got) != 1 || got[0] != review.NotApplicable {
			t.Errorf("%s: %v", rule, got)
		}
	}
}
