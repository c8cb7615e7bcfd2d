package review_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
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
  list_events: {call: GET /v1/events, purpose: Find lost webhooks., effect: read}
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
  retention: {payload: 30d, ids: 90d}
  reconcile: {list: list_events, every: 10m}
destinations:
  app: {url: "http://127.0.0.1:3000/", secret: env:APP}
monitoring: {owner: payments, notify: [ops], runbook: docs/stripe.md}
`

func load(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse("stripe.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func document(t *testing.T) *openapi.Document {
	t.Helper()
	r, err := catalog.OpenDocument("stripe/spec3.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

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

// R7.1, R7.4: a good plan passes each rule.
func TestGoodPlanPasses(t *testing.T) {
	t.Parallel()
	result := review.Plan(load(t, good), review.Options{Now: today, Document: document(t)})
	if result.Failed() {
		t.Error("the review of a good plan fails")
	}
	for _, rule := range review.Rules() {
		want := review.Pass
		if o, ok := undecided[rule.ID]; ok {
			want = o
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

// breaks change the good plan so that one rule fails; a rule that can't fail is
// no rule.
var breaks = map[string][2]string{
	"R7.1.1":  {", sha256: f0e0fc8fffbffda45bf5f3df59846443c1d47a3cfcbfae232eedf4743124ebee", ""},
	"R7.1.2":  {"    secrets: {api_key: env:LIVE_KEY, webhook_secret: env:LIVE_SECRET}", "    secrets: {webhook_secret: env:LIVE_SECRET}"},
	"R7.1.4":  {"    receive: customer\n", ""},
	"R7.1.5":  {"\nlimits:", "\nerrors:\n  429: {retry: never}\nlimits:"},
	"R7.1.6":  {"headroom: 80%", "headroom: 100%"},
	"R7.1.7":  {"\nlimits:", "\nerrors:\n  5xx: {retry: 3, backoff: [1s, 1s]}\nlimits:"},
	"R7.1.8":  {"{api_key: env:LIVE_KEY, webhook_secret: env:LIVE_SECRET}", "{api_key: env:LIVE_KEY}"},
	"R7.1.11": {"  retention: {payload: 30d, ids: 90d}\n", ""},
	"R7.1.13": {"owner: payments, notify: [ops], ", ""},
	"R7.1.14": {"  development:\n    base_url: http://127.0.0.1:4010\n    secrets: {api_key: env:DEV_KEY, webhook_secret: env:DEV_SECRET}\n", ""},
	"R0.1":    {"    sandbox: {on: 2026-11-23, by: payments}\n", ""},
	"R0.2":    {"decision: {choice: build, why: Two calls., owner: payments, review_by: 2027-05-23}\n", ""},
	"R0.3":    {"POST /v1/customers", "POST /v1/customerz"},
	"R2.9":    {", rotate_every: 90d", ""},
	"R2.11":   {"env:LIVE_KEY", "env:DEV_KEY"},
	"R4.7":    {"    idempotency: {header: Idempotency-Key, keep: 24h}\n", ""},
	"E5":      {", unknown: fail", ""},
	"E25":     {", transform: money(currency)", ""},
	"E43":     {"  order_by: json:data.object.id\n", ""},
	"E44":     {"  reconcile: {list: list_events, every: 10m}\n", ""},
	"E54":     {", class: pii", ""},
	"E77":     {"2027-05-23", "2026-01-01"},
	"R8.1":    {"monitoring:", "open_questions:\n  - {about: api, ask: Which version?}\nmonitoring:"},
}

func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for id, change := range breaks {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, change[0], change[1], 1)
			if text == good {
				t.Fatal("the change does not apply")
			}
			result := review.Plan(load(t, text), review.Options{Now: today, Document: doc})
			if got, messages := outcomes(result, id); len(got) == 0 || got[0] != review.Fail {
				t.Errorf("%s: %v %s", id, got, messages)
			}
			for _, f := range result.Findings {
				if f.Rule == id && f.Outcome == review.Fail && (f.Line == 0 && f.Path != "" || f.Fix == "") {
					t.Errorf("the finding has no place or no way out: %+v", f)
				}
			}
		})
	}
	for _, rule := range review.Rules() {
		_, changed := breaks[rule.ID]
		_, open := undecided[rule.ID]
		if !changed && !open && rule.ID != "R7.1.9" && rule.ID != "R7.1.10" { // those below
			t.Errorf("nothing shows that %s can fail", rule.ID)
		}
	}
}

// What only another profile can break.
func TestRulesAboutTheProfile(t *testing.T) {
	t.Parallel()
	p := load(t, good)
	p.Provider.Webhooks.ID = nil
	p.Webhooks.Events = nil
	p.Provider.Limits.List = nil
	p.Provider.Idempotency.Header = ""
	p.Endpoints["create_customer"].Idempotency = nil
	result := review.Plan(p, review.Options{Now: today})
	for rule, want := range map[string]review.Outcome{"R7.1.9": review.Fail, "R7.1.10": review.Fail, "R7.1.6": review.Unknown, "R4.7": review.Unknown, "R0.3": review.Unknown} {
		if got, messages := outcomes(result, rule); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s: %s", rule, got, want, messages)
		}
	}
	p.Endpoints = nil
	if got, _ := outcomes(review.Plan(p, review.Options{}), "R7.1.3"); got[0] != review.Fail {
		t.Errorf("R7.1.3 of a plan without endpoints: %v", got)
	}
}

// Without webhooks their rules do not apply, which is not the same as passing.
func TestNotApplicable(t *testing.T) {
	t.Parallel()
	p := load(t, good)
	p.Webhooks = nil
	result := review.Plan(p, review.Options{Now: today})
	for _, rule := range []string{"R7.1.8", "R7.1.9", "R7.1.10", "R7.1.11", "E43", "E44"} {
		if got, _ := outcomes(result, rule); len(got) != 1 || got[0] != review.NotApplicable {
			t.Errorf("%s: %v", rule, got)
		}
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	result := review.Plan(load(t, strings.Replace(good, "    idempotency: {header: Idempotency-Key, keep: 24h}\n", "", 1)), review.Options{Now: today})
	if !result.Failed() {
		t.Fatal("a create without a key does not fail the review")
	}
	write := func(format string) string {
		t.Helper()
		var b bytes.Buffer
		if err := result.Write(&b, format, false); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if text := write("text"); !strings.Contains(text, "stripe.yaml:25:3") || strings.Contains(text, "\x1b") {
		t.Errorf("text: %s", text)
	}
	if md := write("md"); !strings.Contains(md, "| error | R4.7 |") {
		t.Errorf("md: %s", md)
	}
	var back review.Result
	if err := json.Unmarshal([]byte(write("json")), &back); err != nil || len(back.Findings) != len(result.Findings) {
		t.Errorf("json: %v, %d findings", err, len(back.Findings))
	}
	var suites struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Cases    []struct {
				Name string `xml:"name,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(write("junit")), &suites); err != nil || suites.Suites[0].Failures != 1 || suites.Suites[0].Tests != len(suites.Suites[0].Cases) {
		t.Errorf("junit: %v %+v", err, suites)
	}
	if err := result.Write(io.Discard, "yaml", false); err == nil {
		t.Error("an unknown format was written")
	}
}
