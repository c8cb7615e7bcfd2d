package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// R0.3 and R0.4: what was noticed can be read, with the days that are left.
func TestDrift(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), func(c *api.Config) {
		drift, ok := c.Records.(api.Drift)
		if !ok {
			t.Fatal("the store keeps no drift")
		}
		c.Drift = drift
	})
	const path = "/api/v1/admin/integrations/stripe/drift"
	if a := b.do(b.admin, http.MethodGet, path, ""); a.status != 200 || strings.TrimSpace(a.text) != `{"drift":[]}` {
		t.Errorf("empty: %d %s", a.status, a.text)
	}
	if err := b.store.RecordDrift(t.Context(), []integration.Drift{
		{Service: "stripe", Endpoint: "get_customer", Pointer: "/status", Kind: integration.DriftNewValue, Row: "mapping.customer.status", Example: "disputed", FirstSeen: b.now, LastSeen: b.now, Count: 3},
		{Service: "stripe", Endpoint: "get_customer", Kind: integration.DriftDeprecation, Ends: b.now.Add(69 * 24 * time.Hour), FirstSeen: b.now, LastSeen: b.now, Count: 1},
		{Service: "slack", Kind: integration.DriftDeprecation, FirstSeen: b.now, LastSeen: b.now, Count: 1},
	}); err != nil {
		t.Fatal(err)
	}
	list := b.do(b.admin, http.MethodGet, path, "").json(t)["drift"].([]any)
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	end, value := list[0].(map[string]any), list[1].(map[string]any)
	if end["kind"] != "deprecation" || end["days_left"] != 69.0 || value["days_left"] != nil || value["count"] != 3.0 || value["example"] != "disputed" || value["row"] != "mapping.customer.status" {
		t.Errorf("%v", list)
	}
	if only := b.do(b.admin, http.MethodGet, path+"?kind=new_enum_value&endpoint=get_customer&q=status&limit=1", "").json(t)["drift"].([]any); len(only) != 1 {
		t.Errorf("%v", only)
	}
	if a := b.do(b.app, http.MethodGet, path, ""); a.status != 403 {
		t.Errorf("an app key reads it: %d", a.status)
	}
	if a := b.do(b.admin, http.MethodGet, strings.Replace(path, "stripe", "nowhere", 1), ""); a.status != 404 {
		t.Errorf("unknown service: %d", a.status)
	}
	for _, query := range []string{"?kind=rust", "?cursor=x", "?limit=0"} {
		if a := b.do(b.admin, http.MethodGet, path+query, ""); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d", query, a.status)
		}
	}
}

// Where no drift is kept the list is empty.
func TestNoDrift(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	if a := b.do(b.admin, http.MethodGet, "/api/v1/admin/integrations/stripe/drift", ""); a.status != 200 || strings.TrimSpace(a.text) != `{"drift":[]}` {
		t.Errorf("%d %s", a.status, a.text)
	}
}
