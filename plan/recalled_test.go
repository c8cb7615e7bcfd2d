package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// R0.1: only what the plan rests on is asked for, and nothing that was confirmed.
func TestRecalled(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		name   string
		change func(p *plan.Plan)
		want   []string
	}{
		{"as it is", func(*plan.Plan) {}, []string{"idempotency max_length", "webhooks retries replay verify.rotation"}},
		{"without webhooks", func(p *plan.Plan) { p.Webhooks = nil }, []string{"idempotency max_length"}},
		{"without keys", func(p *plan.Plan) {
			for _, e := range p.Endpoints {
				e.Idempotency = nil
			}
		}, []string{"webhooks retries replay verify.rotation"}},
		{"the provider's own test environment", func(p *plan.Plan) {
			p.Environments["development"] = plan.Environment{Secrets: p.Environments["development"].Secrets}
			p.Webhooks = nil
		}, []string{"idempotency max_length", "sandbox"}},
		{"confirmed", func(p *plan.Plan) {
			p.Profile.Confirmed["webhooks"] = plan.Confirmation{On: "2026-11-24", By: "payments"}
			p.Profile.Confirmed["idempotency"] = plan.Confirmation{On: "2026-11-24", By: "payments"}
		}, nil},
		{"a way to authenticate", func(p *plan.Plan) {
			p.Webhooks = nil
			p.Provider.Auth[0].Confidence = catalog.Recalled
			p.Provider.Auth = append(p.Provider.Auth, catalog.Auth{Kind: "oauth2"}) // not the one in use
		}, []string{"auth[0]", "idempotency max_length"}},
		{"confidence not said", func(p *plan.Plan) { p.Webhooks = nil; p.Provider.Errors.Confidence = "" }, []string{"errors", "idempotency max_length"}},
		{"no profile", func(p *plan.Plan) { p.Provider = nil }, nil},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			p := load(t, "testdata/stripe.yaml")
			for _, s := range p.Provider.Sections() {
				s.Provenance.Confidence = catalog.Documented
			}
			p.Provider.Sandbox.Confidence, p.Provider.Service.Confidence = catalog.Recalled, catalog.Recalled
			p.Provider.Idempotency.Unsure = []string{"max_length"}
			p.Provider.Webhooks.Unsure = []string{"retries", "replay", "verify.rotation"}
			one.change(p)
			var got []string
			for _, r := range p.Recalled() {
				got = append(got, strings.Join(append([]string{r.Section.Path}, r.Fields...), " "))
			}
			if !slices.Equal(got, one.want) {
				t.Errorf("got %q, want %q", got, one.want)
			}
		})
	}
}
