package deliver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// routed is a plan whose events of type "routed" go where conditions hold.
func routed(to []string, routes ...plan.Route) func(*plan.Plan) {
	return func(p *plan.Plan) {
		several("a", "b", "c", "d")(p)
		p.Webhooks.Events["routed"] = plan.EventHandling{To: to, Routes: routes}
	}
}

func when(to []string, places ...string) plan.Route {
	r := plan.Route{To: to, When: map[string]catalog.OneOrMore{}}
	for i := 0; i < len(places); i += 2 {
		r.When[places[i]] = append(r.When[places[i]], places[i+1])
	}
	return r
}

// R5.11: who has an event is said by its type, tenant, source and fields.
func TestRoutes(t *testing.T) {
	t.Parallel()
	d := newBundle(t, newHosts(), canary, routed([]string{"a"},
		when([]string{"b"}, "tenant", "acme", "tenant", "globex"),
		when([]string{"b", "c"}, "source", "sales", "json:data.kind", "*"),
		when([]string{"d"}, "json:data.kind", "-", "tenant", "*"),
		when([]string{"d"}, "header:X-Topic", "urgent"),
		when([]string{"c"}, "json:data.n", "3"),
	))
	for _, c := range []struct {
		name, tenant, source, payload, topic string
		want                                 []string
	}{
		{name: "none holds", payload: `{"data":{"kind":"x"}}`, want: []string{"a"}},
		{name: "tenant", tenant: "acme", payload: `{"data":{"kind":"x"}}`, want: []string{"a", "b"}},
		{name: "one of several tenants", tenant: "globex", payload: `{"data":{"kind":"x"}}`, want: []string{"a", "b"}},
		{name: "another tenant", tenant: "acme2", payload: `{"data":{"kind":"x"}}`, want: []string{"a"}},
		{name: "all conditions of a route", source: "sales", payload: `{"data":{"kind":"x"}}`, want: []string{"a", "b", "c"}},
		{name: "one of two conditions", source: "sales", payload: `{"data":{}}`, want: []string{"a"}},
		{name: "nothing stands there", tenant: "x", payload: `{"data":{}}`, want: []string{"a", "d"}},
		{name: "two routes, each destination once", tenant: "acme", source: "sales", payload: `{"data":{"kind":"x"}}`, want: []string{"a", "b", "c"}},
		{name: "header", payload: `{"data":{"kind":"x"}}`, topic: "urgent", want: []string{"a", "d"}},
		{name: "number", payload: `{"data":{"kind":"x","n":3}}`, want: []string{"a", "c"}},
		{name: "no JSON", payload: "\x00<xml/>", want: []string{"a"}},
	} {
		e := testEvent("routed", c.payload)
		e.Tenant, e.Source, e.Header = c.tenant, c.source, http.Header{}
		if c.topic != "" {
			e.Header.Set("X-Topic", c.topic)
		}
		if got := d.Preview(e).Destinations; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// An event that no route wants ends, and says why.
func TestNoRouteWantsIt(t *testing.T) {
	t.Parallel()
	h := newHosts()
	d := newBundle(t, h, canary, routed(nil, when([]string{"a"}, "tenant", "globex"), when([]string{"b"}, "tenant", "-")))
	out := d.Deliver(t.Context(), testEvent("routed", paid))
	if out.Status != integration.EventIgnored || !strings.Contains(out.Error, "no route") || len(out.Deliveries) != 0 || len(h.count()) != 0 {
		t.Errorf("outcome %+v", out)
	}
	e := testEvent("routed", paid)
	e.Tenant = ""
	if out := d.Deliver(t.Context(), e); out.Status != integration.EventProcessed || out.Deliveries[0].Destination != "b" {
		t.Errorf("outcome %+v", out)
	}
}

// Mistakes in routes are named where they stand.
func TestRoutesAreChecked(t *testing.T) {
	t.Parallel()
	p := testPlan("https://billing.example/")
	routed([]string{"nobody"}, when([]string{"gone"}, "json:", "x"), when([]string{"a"}, "query:kind", "x"))(p)
	_, err := deliver.New(deliver.Config{Services: []deliver.Service{{Plan: p}}, Dice: func() float64 { return 0 }})
	for _, want := range []string{
		`stripe: webhooks.events.routed.to: there is no destination "nobody"`, `routes[0].to: there is no destination "gone"`,
		"routes[0].when.json:", "routes[1].when.query:kind",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
