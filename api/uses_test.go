package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// R2.10: which credential was used for what and by whom can be read by admins.
func TestUses(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), func(c *api.Config) {
		uses, ok := c.Records.(api.Uses)
		if !ok {
			t.Fatal("the store keeps no uses")
		}
		c.Uses = uses
	})
	const path = "/api/v1/admin/integrations/stripe/logs?kind=credential"
	if a := b.do(b.admin, http.MethodGet, path, ""); a.status != 200 || strings.TrimSpace(a.text) != `{"kind":"credential"}` {
		t.Errorf("empty: %d %s", a.status, a.text)
	}
	if err := b.store.RecordUses(t.Context(), []integration.CredentialUse{
		{Minute: b.now, Service: "stripe", Tenant: "acme", Connection: "c1", Fingerprint: "aaaaaaaa", Endpoint: "get_customer", Actor: "key-1", Count: 3, Refused: 1},
		{Minute: b.now, Service: "stripe", Fingerprint: "bbbbbbbb", Actor: "program", Count: 1},
		{Minute: b.now, Service: "slack", Fingerprint: "cccccccc", Actor: "program", Count: 1},
	}); err != nil {
		t.Fatal(err)
	}
	if list := b.do(b.admin, http.MethodGet, path, "").json(t)["uses"].([]any); len(list) != 2 {
		t.Errorf("%v", list)
	}
	list := b.do(b.admin, http.MethodGet, path+"&tenant=acme&q=aaaaaaaa&type=get_customer&limit=1", "").json(t)["uses"].([]any)
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	if u := list[0].(map[string]any); u["fingerprint"] != "aaaaaaaa" || u["actor"] != "key-1" || u["count"] != 3.0 || u["refused"] != 1.0 || u["connection"] != "c1" {
		t.Errorf("%v", u)
	}
	if a := b.do(b.app, http.MethodGet, path, ""); a.status != 403 {
		t.Errorf("an app key reads it: %d", a.status)
	}
	if a := b.do(b.admin, http.MethodGet, path+"&cursor=x", ""); a.status < 400 || a.status >= 500 {
		t.Errorf("a made-up cursor: %d", a.status)
	}
}
