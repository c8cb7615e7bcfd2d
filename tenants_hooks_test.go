package sallyport_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

const tenantsPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Hear of every paid invoice of each of our customers.
environments:
  development: {base_url: "BASE"}
auth: {use: api_key, whose: tenant}
endpoints:
  list_customers: {call: GET /v1/customers, purpose: See whether a key works., effect: read}
webhooks:
  tenant: path
  events: {invoice.paid: {from: data.object}}
`

// accounts is a provider with an account for each key.
type accounts struct {
	mu    sync.Mutex
	hooks map[string]string // by the account's key: where its events go
	log   []string
}

func (a *accounts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	w.Header().Set("Content-Type", "application/json")
	a.log = append(a.log, key+" "+r.Method+" "+r.URL.Path)
	hook := fmt.Sprintf(`{"id":"we_%s","url":%q,"enabled_events":["invoice.paid"],"status":"enabled"`, key, a.hooks[key])
	switch {
	case !strings.HasPrefix(r.URL.Path, "/v1/webhook_endpoints") || a.hooks[key] == "" && r.Method == http.MethodGet:
		_, _ = io.WriteString(w, `{"object":"list","has_more":false,"data":[]}`)
	case r.Method == http.MethodGet:
		_, _ = io.WriteString(w, `{"object":"list","has_more":false,"data":[`+hook+`}]}`)
	case r.Method == http.MethodPost:
		_ = r.ParseForm()
		a.hooks[key] = r.PostForm.Get("url")
		fmt.Fprintf(w, `{"id":"we_%s","url":%q,"enabled_events":["invoice.paid"],"status":"enabled","secret":"whsec_of_%s"}`, key, a.hooks[key], key)
	case r.Method == http.MethodDelete:
		delete(a.hooks, key)
		_, _ = io.WriteString(w, `{"deleted":true}`)
	}
}

func (a *accounts) hook(key string) string { a.mu.Lock(); defer a.mu.Unlock(); return a.hooks[key] }

// R5.15: a tenant that connects is subscribed at its own account without anybody
// asking; the secret that the provider gives verifies at the tenant's address and
// at no other; who disconnects is subscribed no more.
func TestTenantsAreSubscribed(t *testing.T) {
	t.Parallel()
	provider := &accounts{hooks: map[string]string{}}
	third := httptest.NewServer(provider)
	t.Cleanup(third.Close)
	gateway := httptest.NewUnstartedServer(nil)
	public := "http://" + gateway.Listener.Addr().String()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stripe.yaml"), []byte(strings.ReplaceAll(tenantsPlan, "BASE", third.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(dir, "s.db")
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: dir, Database: "sqlite:" + database, PublicURL: public, Log: slog.New(slog.DiscardHandler), LookupEnv: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	handled := make(chan sallyport.Event, 10)
	if err := app.On("stripe", "invoice.paid", func(_ context.Context, e sallyport.Event) error { handled <- e; return nil }); err != nil {
		t.Fatal(err)
	}
	key := keyIn(t, database)
	gateway.Config.Handler = app.Handler()
	gateway.Start()
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
	do := func(method, path, body string, out any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, public+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || bytes.Contains(answer, []byte("whsec_")) {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
		}
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatal(err)
		}
	}
	const hooks = "/api/v1/admin/integrations/stripe/webhooks"
	var connected [2]api.Connecting
	var c api.ComparisonView
	for i, tenant := range []string{"acme", "umbrella"} {
		do("POST", "/api/v1/integrations/stripe/connect", `{"tenant":"`+tenant+`","secrets":{"api_key":"sk_test_`+tenant+`"}}`, &connected[i])
		do("POST", hooks+"/sync?tenant="+tenant, "", &c) // it need not wait for its turn
		if len(c.Changes) != 1 || c.Tenant != tenant || provider.hook("sk_test_"+tenant) != public+"/api/webhooks/stripe/"+tenant {
			t.Fatalf("%s: %+v, sent to %s", tenant, c, provider.hook("sk_test_"+tenant))
		}
	}
	for at, want := range map[string]int{"acme": http.StatusOK, "umbrella": http.StatusUnauthorized} {
		body := `{"id":"evt_` + at + `","object":"event","type":"invoice.paid","created":1767225600,"data":{"object":{"id":"in_1"}}}`
		now := fmt.Sprint(time.Now().Unix())
		mac := hmac.New(sha256.New, []byte("whsec_of_sk_test_acme"))
		mac.Write([]byte(now + "." + body))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public+"/api/webhooks/stripe/"+at, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Stripe-Signature", "t="+now+",v1="+hex.EncodeToString(mac.Sum(nil)))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("at the address of %s: %d, want %d", at, resp.StatusCode, want)
		}
	}
	select {
	case e := <-handled:
		if e.ExternalID != "evt_acme" || e.Tenant != "acme" {
			t.Errorf("handled %+v", e)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the event was not handled")
	}
	var gone api.Disconnecting
	do("POST", "/api/v1/integrations/stripe/disconnect", `{"connection":"`+connected[0].Connection+`"}`, &gone)
	if at := provider.hook("sk_test_acme"); at != "" || provider.hook("sk_test_umbrella") == "" {
		t.Errorf("after the end its events still go to %q", at)
	}
	var st api.Status
	if do("GET", "/api/v1/integrations/stripe/status", "", &st); st.Inbound == nil || st.Inbound.Tenants == nil || st.Inbound.Tenants.Connections != 1 || !st.Inbound.Tenants.On {
		t.Errorf("status %+v", st.Inbound)
	}
}
