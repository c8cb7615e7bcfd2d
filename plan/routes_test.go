package plan_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/plan"
)

// Routes and EndpointFor are one rule.
func TestRoutesAgreeWithEndpointFor(t *testing.T) {
	t.Parallel()
	calls := []string{
		"GET /v1/customers", "GET /v1/customers/{id}", "GET /v1/customers/search", "GET /v1/{kind}/search", "POST /v1/customers", "POST /v1/customers/{id}",
		"POST /v1/customers/{id}/sources/{source}", "GET /v1/files/{id}.json", "GET /v1/{a}:{b}", "GET /v1/{x}",
	}
	rapid.Check(t, func(t *rapid.T) {
		p := &plan.Plan{Endpoints: map[string]*plan.Endpoint{"nil": nil}}
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			p.Endpoints[name] = &plan.Endpoint{
				Call:   rapid.SampledFrom(calls).Draw(t, name),
				Effect: rapid.SampledFrom([]plan.Effect{plan.EffectRead, plan.EffectCreate}).Draw(t, "effect"),
			}
		}
		method := rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method")
		path := rapid.SampledFrom([]string{
			"/v1/customers", "/v1/customers/", "/v1/customers/search", "/v1/customers/cus_1", "/v1/customers/a/sources/b", "/v1/files/x.json", "/v1/a:b", "/v1/x", "/", "",
		}).Draw(t, "path")
		want, _, wantOK := p.EndpointFor(method, path)
		if got, ok := p.Routes().Endpoint(method, path); got != want || ok != wantOK {
			t.Fatalf("%s %s: %q %v, EndpointFor says %q %v", method, path, got, ok, want, wantOK)
		}
	})
}
