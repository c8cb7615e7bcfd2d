package sallyport_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
)

// doorPlans are one plan for each way to tell tenants apart.
var doorPlans = map[string]string{
	"github": `
sallyport: 1
service: github
uses: github
need: Hear of pushes to our repositories and to those of umbrella.
environments:
  development: {base_url: "BASE", secrets: {api_key: "env:KEY", webhook_secret: "env:MAIN", second: "env:SECOND"}}
auth: {use: api_key}
endpoints: {}
webhooks:
  sources: {umbrella: {secret: second, tenant: umbrella}}
  events: {push: {}}
`,
	"stripe": `
sallyport: 1
service: stripe
uses: stripe
need: Hear of every paid invoice of each of our customers.
environments:
  development: {base_url: "BASE", secrets: {webhook_secret: "env:MAIN"}}
auth: {use: api_key, whose: tenant}
endpoints:
  list_customers: {call: GET /v1/customers, purpose: See whether a key works., effect: read}
webhooks:
  tenant: path
  events: {invoice.paid: {}}
`,
	"shopify": `
sallyport: 1
service: shopify
uses: shopify
need: Hear of every order of each of our customers.
environments:
  development: {base_url: "BASE", secrets: {webhook_secret: "env:MAIN"}}
auth: {use: api_key, whose: tenant}
endpoints:
  read_shop: {call: GET /shop.json, purpose: See whether a key works., effect: read}
webhooks:
  tenant: account
  events: {orders/create: {}}
`,
}

// asanaPlan is of a provider that delivers its secret when a webhook is made.
const asanaPlan = `
sallyport: 1
service: asana
uses: asana
need: Hear of every task of each of our customers.
environments:
  development: {base_url: "BASE"}
auth: {use: api_key, whose: tenant}
endpoints:
  read_me: {call: GET /users/me, purpose: See whether a key works., effect: read}
webhooks:
  tenant: path
  events: {changed: {}}
`

// entrance is a gateway with doors, and what came through them.
type entrance struct {
	url, key string
	handled  chan sallyport.Event
}

// enter runs a gateway in front of a provider.
func enter(t *testing.T, provider http.Handler, plans map[string]string, events map[string]string) *entrance {
	t.Helper()
	third := httptest.NewServer(provider)
	t.Cleanup(third.Close)
	folder := t.TempDir()
	for service, text := range plans {
		if err := os.WriteFile(filepath.Join(folder, service+".yaml"), []byte(strings.ReplaceAll(text, "BASE", third.URL)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	database := filepath.Join(t.TempDir(), "doors.db")
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: folder, Database: "sqlite:" + database, PublicURL: "https://hooks.example.com", Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) {
			v, ok := map[string]string{"KEY": "key", "MAIN": "secret-of-the-plan", "SECOND": "secret-of-umbrella"}[name]
			return v, ok
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := &entrance{handled: make(chan sallyport.Event, 20)}
	for service, kind := range events {
		if err := app.On(service, kind, func(_ context.Context, got sallyport.Event) error { e.handled <- got; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	e.key = keyIn(t, database)
	gateway := httptest.NewServer(app.Handler())
	e.url = gateway.URL
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- app.Run(ctx) }()
	t.Cleanup(func() {
		gateway.Close()
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// hook sends a webhook to the address below /api/webhooks/.
func (e *entrance) hook(t *testing.T, at, body string, headers ...string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/api/webhooks/"+at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func signature(key, text string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func stripeSigned(key, body string) string {
	now := fmt.Sprint(time.Now().Unix())
	return "t=" + now + ",v1=" + hex.EncodeToString(signature(key, now+"."+body))
}

// R5.3: each source of a plan is an address with its own secret and tenant, whose
// events have nothing to do with those of the main one.
func TestDoorsOfSources(t *testing.T) {
	t.Parallel()
	e := enter(t, http.NotFoundHandler(), map[string]string{"github": doorPlans["github"]}, map[string]string{"github": "push"})
	const body = `{"ref":"refs/heads/main"}`
	push := func(at, key string) int {
		return e.hook(t, at, body, "X-GitHub-Delivery", "d-1", "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(signature(key, body)))
	}
	for _, c := range []struct {
		at, key string
		want    int
	}{
		{"github", "secret-of-umbrella", http.StatusUnauthorized},
		{"github/umbrella", "secret-of-the-plan", http.StatusUnauthorized},
		{"github/acme", "secret-of-the-plan", http.StatusNotFound},
		{"github/umbrella/more", "secret-of-umbrella", http.StatusNotFound},
		{"github", "secret-of-the-plan", http.StatusOK},
		{"github/umbrella", "secret-of-umbrella", http.StatusOK},
		{"github/umbrella", "secret-of-umbrella", http.StatusOK}, // a repeat
	} {
		if got := push(c.at, c.key); got != c.want {
			t.Errorf("%s by %s: %d, want %d", c.at, c.key, got, c.want)
		}
	}
	got := map[string]string{}
	for range 2 {
		one := arrived(t, e.handled)
		got[one.Source] = one.Tenant
	}
	if len(got) != 2 || got[""] != "" || got["umbrella"] != "umbrella" {
		t.Errorf("handled, by source, those of %v", got)
	}
	if len(e.handled) > 0 {
		t.Errorf("handled twice: %+v", <-e.handled)
	}
}

// R5.3: where the address names the tenant, only tenants that are connected have
// one, and a secret that a tenant gave is the only one that verifies there.
func TestDoorsOfTenants(t *testing.T) {
	t.Parallel()
	provider := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"object":"list","has_more":false,"data":[]}`)
	})
	e := enter(t, provider, map[string]string{"stripe": doorPlans["stripe"]}, map[string]string{"stripe": "invoice.paid"})
	var c api.Connecting
	connectTo := e.url + "/api/v1/integrations/stripe/connect"
	postJSON(t, connectTo, e.key, map[string]any{"tenant": "acme", "secrets": map[string]string{"api_key": "sk_test_acme", "webhook_secret": "secret-of-acme"}}, &c)
	postJSON(t, connectTo, e.key, map[string]any{"tenant": "umbrella", "secrets": map[string]string{"api_key": "sk_test_umbrella"}}, &c)
	const body = `{"id":"evt_1","object":"event","type":"invoice.paid","created":1767225600,"data":{"object":{"id":"in_1"}}}`
	for _, c := range []struct {
		tenant, key string
		want        int
	}{
		{"acme", "secret-of-the-plan", http.StatusUnauthorized},
		{"umbrella", "secret-of-acme", http.StatusUnauthorized},
		{"stranger", "secret-of-the-plan", http.StatusNotFound},
		{"acme", "secret-of-acme", http.StatusOK},
		{"umbrella", "secret-of-the-plan", http.StatusOK}, // the same id at another tenant's account
	} {
		if got := e.hook(t, "stripe/"+c.tenant, body, "Stripe-Signature", stripeSigned(c.key, body)); got != c.want {
			t.Errorf("%s by %s: %d, want %d", c.tenant, c.key, got, c.want)
		}
	}
	tenants := map[string]bool{}
	for range 2 {
		tenants[arrived(t, e.handled).Tenant] = true
	}
	if !tenants["acme"] || !tenants["umbrella"] || len(e.handled) > 0 {
		t.Errorf("handled those of %v, and %d more", tenants, len(e.handled))
	}
}

// R5.3: where the event names an account at the provider, its tenant is who is
// connected to it at that moment; an account that is nobody's loses no event.
func TestDoorsOfAccounts(t *testing.T) {
	t.Parallel()
	provider := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"shop":{"id":1}}`)
	})
	e := enter(t, provider, map[string]string{"shopify": doorPlans["shopify"]}, map[string]string{"shopify": "orders/create"})
	const body = `{"id":1}`
	prefix := "X-"
	order := func(id, shop, tenant string) {
		t.Helper()
		status := e.hook(t, "shopify", body, prefix+"Shopify-Webhook-Id", id, prefix+"Shopify-Topic", "orders/create", prefix+"Shopify-Shop-Domain", shop,
			prefix+"Shopify-Hmac-SHA256", base64.StdEncoding.EncodeToString(signature("secret-of-the-plan", body)))
		if status != http.StatusOK {
			t.Fatalf("%s: %d", id, status)
		}
		if got := arrived(t, e.handled); got.ExternalID != id || got.Tenant != tenant {
			t.Errorf("%s of %s is of tenant %q, want %q", got.ExternalID, shop, got.Tenant, tenant)
		}
	}
	order("before", "acme.myshopify.com", "")
	var c api.Connecting
	connectTo := e.url + "/api/v1/integrations/shopify/connect"
	connect := func(tenant, shop string) {
		t.Helper()
		postJSON(t, connectTo, e.key, map[string]any{"tenant": tenant, "variables": map[string]string{"shop": shop}, "secrets": map[string]string{"api_key": "shpat_" + tenant}}, &c)
	}
	connect("acme", "acme")
	connect("umbrella", "umbrella")
	order("after", "acme.myshopify.com", "acme")
	order("another", "umbrella.myshopify.com", "umbrella")
	order("stranger", "stranger.myshopify.com", "")
	connect("first", "twice")
	connect("second", "twice")
	order("twice", "twice.myshopify.com", "") // nobody's rather than the wrong one's
	prefix = ""                               // as newer deliveries have it
	order("newer", "umbrella.myshopify.com", "umbrella")
}

// R5.11: an event that names the idempotency key of a call of ours is an echo of
// it, and one that names another's is none.
func TestEchoOfACall(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent bytes.Buffer
	provider := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent.WriteString(r.Header.Get("Idempotency-Key"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"cus_1"}`)
	})
	text := strings.NewReplacer(`"env:MAIN"`, `"env:MAIN", api_key: "env:KEY"`, ", whose: tenant", "", "tenant: path", `echo: {"json:request.idempotency_key": call.key}`,
		"list_customers: {call: GET /v1/customers, purpose: See whether a key works., effect: read}",
		"create_customer: {call: POST /v1/customers, purpose: Register., effect: create, idempotency: {header: Idempotency-Key}}").Replace(doorPlans["stripe"])
	e := enter(t, provider, map[string]string{"stripe": text}, map[string]string{"stripe": "invoice.paid"})
	var customer struct{ ID string }
	postJSON(t, e.url+"/api/v1/integrations/stripe/proxy/v1/customers", e.key, map[string]string{"email": "a@example.com"}, &customer)
	mu.Lock()
	ours := sent.String()
	mu.Unlock()
	if ours == "" || customer.ID != "cus_1" {
		t.Fatalf("the call had the key %q and the answer %+v", ours, customer)
	}
	for id, key := range map[string]string{"evt_ours": ours, "evt_others": "key-of-somebody-else"} {
		body := `{"id":"` + id + `","object":"event","type":"invoice.paid","created":1767225600,"request":{"idempotency_key":"` + key + `"},"data":{"object":{"id":"in_1"}}}`
		if got := e.hook(t, "stripe", body, "Stripe-Signature", stripeSigned("secret-of-the-plan", body)); got != http.StatusOK {
			t.Fatalf("%s: %d", id, got)
		}
	}
	for range 2 {
		got := arrived(t, e.handled)
		if got.Echo() != (got.ExternalID == "evt_ours") {
			t.Errorf("%s: echo %v", got.ExternalID, got.Echo())
		}
		var shown struct{ Echo bool }
		getJSON(t, e.url+"/api/v1/admin/events/"+got.ID, e.key, &shown)
		if shown.Echo != got.Echo() {
			t.Errorf("%s is shown as an echo: %v", got.ExternalID, shown.Echo)
		}
	}
}

// R5.3: a secret that the provider delivers at a tenant's address is that tenant's:
// it verifies there and nowhere else, from that moment on, and ends with the
// connection. Nobody makes up a tenant by delivering one.
func TestDeliveredSecretsOfTenants(t *testing.T) {
	t.Parallel()
	provider := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"data":{"gid":"1"}}`)
	})
	e := enter(t, provider, map[string]string{"asana": asanaPlan}, map[string]string{"asana": "changed"})
	connections := map[string]string{}
	connect := func(tenant string) {
		t.Helper()
		var c api.Connecting
		postJSON(t, e.url+"/api/v1/integrations/asana/connect", e.key, map[string]any{"tenant": tenant, "secrets": map[string]string{"api_key": "key-" + tenant}}, &c)
		connections[tenant] = c.Connection
	}
	shake := func(tenant, secret string, want int) {
		t.Helper()
		if got := e.hook(t, "asana/"+tenant, "", "X-Hook-Secret", secret); got != want {
			t.Errorf("%s delivered at %s: %d, want %d", secret, tenant, got, want)
		}
	}
	changed := func(tenant, secret string, want int) {
		t.Helper()
		body := `{"events":[{"action":"changed","created_at":"2026-11-24T09:00:00Z","resource":{"gid":"` + tenant + `","resource_type":"task"}}]}`
		if got := e.hook(t, "asana/"+tenant, body, "X-Hook-Signature", hex.EncodeToString(signature(secret, body))); got != want {
			t.Errorf("at %s by %s: %d, want %d", tenant, secret, got, want)
		}
	}
	const first, second, third = "secret-of-acme-0123456789abcdef", "secret-of-umbrella-0123456789abc", "secret-of-a-stranger-0123456789a"
	connect("acme")
	connect("umbrella")
	shake("stranger", third, http.StatusNotFound)
	changed("acme", first, http.StatusServiceUnavailable) // there is no secret yet
	shake("acme", first, http.StatusOK)
	shake("umbrella", second, http.StatusOK)
	shake("acme", first, http.StatusOK) // again
	shake("acme", third, http.StatusUnauthorized)
	changed("acme", second, http.StatusUnauthorized)
	changed("umbrella", first, http.StatusUnauthorized)
	changed("acme", third, http.StatusUnauthorized)
	changed("acme", first, http.StatusOK)
	changed("umbrella", second, http.StatusOK)
	tenants := map[string]bool{}
	for range 2 {
		tenants[arrived(t, e.handled).Tenant] = true
	}
	if !tenants["acme"] || !tenants["umbrella"] {
		t.Errorf("handled those of %v", tenants)
	}
	var gone api.Disconnecting
	postJSON(t, e.url+"/api/v1/integrations/asana/disconnect", e.key, map[string]any{"connection": connections["acme"]}, &gone)
	changed("acme", first, http.StatusNotFound)
	connect("acme")
	changed("acme", first, http.StatusServiceUnavailable)
	shake("acme", third, http.StatusOK) // by now Asana's new one
	changed("acme", third, http.StatusOK)
}

// R5.3: where tenants need not connect, a secret is taken at the address of the
// service alone: whoever delivered one at another could sign for anybody. It can be
// made room for a new one.
func TestNobodyMakesUpATenant(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer(", whose: tenant", "", `{base_url: "BASE"}`, `{base_url: "BASE", secrets: {api_key: "env:KEY"}}`).Replace(asanaPlan)
	e := enter(t, http.NotFoundHandler(), map[string]string{"asana": text}, map[string]string{"asana": "changed"})
	const ours, strangers = "secret-of-the-service-0123456789", "secret-of-a-stranger-0123456789a"
	if got := e.hook(t, "asana/victim", "", "X-Hook-Secret", strangers); got != http.StatusServiceUnavailable {
		t.Errorf("a stranger's secret: %d", got)
	}
	if got := e.hook(t, "asana", "", "X-Hook-Secret", ours); got != http.StatusOK {
		t.Errorf("the first secret: %d", got)
	}
	const body = `{"events":[{"action":"changed","created_at":"2026-11-24T09:00:00Z","resource":{"gid":"1","resource_type":"task"}}]}`
	for secret, want := range map[string]int{strangers: http.StatusUnauthorized, ours: http.StatusOK} {
		if got := e.hook(t, "asana/victim", body, "X-Hook-Signature", hex.EncodeToString(signature(secret, body))); got != want {
			t.Errorf("by %s: %d, want %d", secret, got, want)
		}
	}
	if got := arrived(t, e.handled); got.Tenant != "victim" || len(e.handled) > 0 {
		t.Errorf("handled %+v and %d more", got, len(e.handled))
	}
	forget := func(source string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, e.url+"/api/v1/admin/integrations/asana/webhooks/delivered-secrets?source="+source, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+e.key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	if status, text := forget("victim"); status != http.StatusConflict {
		t.Errorf("forgetting what was never there: %d %s", status, text)
	}
	if status, text := forget(""); status != http.StatusOK || !strings.Contains(text, `"forgotten":1`) {
		t.Errorf("forgetting: %d %s", status, text)
	}
	if got := e.hook(t, "asana", body, "X-Hook-Signature", hex.EncodeToString(signature(ours, body))); got != http.StatusServiceUnavailable {
		t.Errorf("by a forgotten secret: %d", got)
	}
	if got := e.hook(t, "asana", "", "X-Hook-Secret", strangers); got != http.StatusOK {
		t.Errorf("the next secret: %d", got)
	}
}
