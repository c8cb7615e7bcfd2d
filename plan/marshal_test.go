package plan_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// same compares two plans by what is in the file.
func same(a, b *plan.Plan) bool {
	x, y := *a, *b
	return reflect.DeepEqual(plan.WithoutPlace(&x), plan.WithoutPlace(&y))
}

func TestMarshalParsesToTheSamePlan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawPlan(t)
		data, err := plan.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := plan.Parse("drawn.yaml", data, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if !same(want, got) {
			t.Fatalf("another plan came back\n%s\nwant %#v\n got %#v", data, want, got)
		}
		again, err := plan.Marshal(got)
		if err != nil || string(again) != string(data) {
			t.Fatalf("written twice, %v:\n%s\n%s", err, data, again)
		}
	})
}

func TestMarshalKeepsTheExampleAndItsLayout(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/stripe.yaml", "testdata/complete.yaml"} {
		p, err := plan.Load(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := plan.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		back, err := plan.Parse(file, data, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if !same(p, back) {
			t.Errorf("%s: another plan came back\n%s", file, data)
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".written.yaml", data)
	}
}

func TestMarshalRefusesWhatNoFileCanHold(t *testing.T) {
	t.Parallel()
	if data, err := plan.Marshal(&plan.Plan{Need: "caf\xe9"}); err == nil {
		t.Errorf("want an error for text that is not UTF-8, got\n%s", data)
	}
	if _, err := plan.Marshal(&plan.Plan{Service: "a\nb", Endpoints: map[string]*plan.Endpoint{"nothing": nil}}); err != nil {
		t.Errorf("an unfinished plan can be written too: %v", err)
	}
}

// drawPlan makes a valid plan whose free text is anything at all.
func drawPlan(t *rapid.T) *plan.Plan {
	text := rapid.StringN(1, 20, -1).Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
	maybe := func(g *rapid.Generator[string], label string) string {
		if !rapid.Bool().Draw(t, label) {
			return ""
		}
		return g.Draw(t, label)
	}
	name := rapid.StringMatching(`[a-z][a-z0-9_-]{0,8}`)
	duration := rapid.Custom(func(t *rapid.T) plan.Duration {
		unit := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "unit")
		return plan.Duration(time.Duration(rapid.Int64Range(1, 5000).Draw(t, "n")) * unit)
	})
	word := rapid.SampledFrom([]string{"null", "true", "no", "~", "1e3", "0x1f", "1_000", "-", "...", "---", "a: b", "a #b", "#a", "[a", "{a}", "*a", "&a", "!a", "%a", "@a", "`a", "'a'", "\"a\"", " a", "a ", "a:", ":a", "?", "? a", "- a", "|", ">", "2026-01-01", "1.5", ".5", "+1", "<<", "a\nb", "a\tb", "é", "\u0000", "a\u0085", "a\u2028", "\ufeff", "😀", "12:30", "1d", "5d", ".inf", "a,b", "a, b]"})
	free := rapid.OneOf(text, word)

	line := func(s string) string { return "x" + strings.ReplaceAll(s, "\n", "") }

	mapping := name.Draw(t, "mapping") + "_m"
	destination := name.Draw(t, "destination")
	reader := name.Draw(t, "reader") + "_r"
	p := &plan.Plan{
		Sallyport: 1, Service: name.Draw(t, "service"), Uses: name.Draw(t, "uses"),
		Need: free.Draw(t, "need"),
		Environments: map[string]plan.Environment{
			name.Draw(t, "environment"): {
				BaseURL: maybe(rapid.Just("http://127.0.0.1:4010"), "base"),
				Secrets: map[string]catalog.OneOrMore{
					"one":  {"env:A_B"},
					"more": {"file:" + line(free.Draw(t, "path")), "file:x", "vault:a/b#c"},
				},
			},
		},
		Auth: plan.Auth{Use: "api_key", RotateEvery: duration.Draw(t, "rotate")},
		Endpoints: map[string]*plan.Endpoint{
			reader: {Call: "GET /v1/things/{id}", Purpose: free.Draw(t, "purpose"), Effect: plan.EffectRead, Cache: duration.Draw(t, "cache")},
			name.Draw(t, "endpoint"): {
				Call: "POST /v1/things", Purpose: free.Draw(t, "purpose"), Effect: plan.EffectCreate, Why: maybe(free, "why"),
				Idempotency: &plan.Idempotency{Header: "Idempotency-Key", Keep: duration.Draw(t, "keep")},
				Send:        mapping, OnConflict: &plan.OnConflict{
					Read: reader, Keep: "ours", Fields: map[string]string{`a\.b[0].c`: "theirs", "lines[*]": "fail"},
					State: maybe(free, "state"), Version: &plan.FreshVersion{From: "header.ETag", To: "body.version"},
				},
				OnUnknown: &plan.OnUnknown{
					Find: reader, Path: map[string]string{"id": "body.id"}, Query: map[string]string{free.Draw(t, "parameter"): "call.key"},
					Match: map[string]string{free.Draw(t, "field"): "body.a.b"}, After: duration.Draw(t, "after"),
				},
			},
		},
		Mappings: map[string][]plan.MappingRow{
			mapping: {
				{External: "a.b", Internal: "b", As: "enum", Direction: "in", Values: map[string]string{free.Draw(t, "theirs"): free.Draw(t, "ours")}, Unknown: "value:" + line(free.Draw(t, "x")), Null: "omit", Missing: "null"},
				{External: "list[*]", Internal: "list[*]", As: mapping, Null: "null"},
			},
		},
		Errors: map[string]plan.ErrorPolicy{
			"402": {Message: maybe(free, "message")},
			"5xx": {Retry: plan.RetryCount(rapid.IntRange(1, 20).Draw(t, "retry")), Backoff: []plan.Duration{duration.Draw(t, "backoff")}, Then: "keep", Alert: rapid.Bool().Draw(t, "alert")},
		},
		Limits: plan.Limits{Headroom: plan.Percent(rapid.IntRange(0, 100).Draw(t, "headroom"))},
		Webhooks: &plan.Webhooks{
			Events: map[string]plan.EventHandling{rapid.StringMatching(`[!-~]{1,12}`).Draw(t, "event"): {
				Map: mapping, To: catalog.OneOrMore{destination, destination}[:rapid.IntRange(1, 2).Draw(t, "to")],
				Routes: []plan.Route{{To: catalog.OneOrMore{destination}, When: map[string]catalog.OneOrMore{"json:a.b": {"true", "x, y"}, "tenant": {"*"}}}},
			}},
			Sources:   map[string]plan.Source{"eu": {Tenant: maybe(free, "tenant")}},
			Echo:      map[string]catalog.OneOrMore{"json:request.idempotency_key": {"call.key"}},
			Retention: &plan.Retention{},
		},
		Destinations: map[string]plan.Destination{destination: {URL: "https://example.com/a?b=c", Secret: catalog.OneOrMore{"env:S", "env:T"}, Format: rapid.SampledFrom([]string{"", "cloudevents"}).Draw(t, "format"), Rate: "5/s", Concurrency: 3}},
		Considered:   []plan.Considered{{Call: "GET /v1/x", WhyNot: free.Draw(t, "why_not")}},
	}
	if rapid.Bool().Draw(t, "questions") {
		p.OpenQuestions = []plan.Question{{About: free.Draw(t, "about"), Ask: free.Draw(t, "ask"), Look: maybe(free, "look")}, {About: "limits", Ask: "x"}}
	}
	if rapid.Bool().Draw(t, "decision") {
		p.Decision = &plan.Decision{Choice: "sdk", Why: free.Draw(t, "why"), ReviewBy: "2027-05-23"}
	}
	if len(p.Webhooks.Redact) == 0 {
		p.Webhooks.Redact = nil
	}
	return p
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; write it with go test ./plan -update", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s is not what comes out now; look at the difference, then go test ./plan -update\n%s", file, got)
	}
}
