package sallyport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
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
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store/sqlite"
)

const heldPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Hear of every paid invoice.
environments:
  development: {base_url: "BASE", secrets: {api_key: "env:A"}}
auth: {use: api_key}
endpoints:
  list_events: {call: GET /v1/events, purpose: Find events that never came., effect: read}
webhooks:
  events: {invoice.paid: {from: data.object}}
  reconcile: {list: list_events, every: 1s, overlap: 30m}
`

// R5.14, R5.15: a gateway subscribes at the provider, verifies by the secret that
// it was given, also after a restart, and takes in what the provider lost. The
// plan's own secret is another one all along.
func TestGatewayHoldsOnToEvents(t *testing.T) {
	t.Parallel()
	const key, given = "sk_test_hold_4242", "whsec_given_by_the_provider"
	data, err := catalog.ReadDocument("stripe/spec3.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := catalog.ReadDocument("stripe/fixtures3.json")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	public := "http://" + address
	var stand http.Handler
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { stand.ServeHTTP(w, r) }))
	t.Cleanup(provider.Close)
	text := strings.Replace(heldPlan, "BASE", provider.URL, 1)
	p, err := plan.Parse("stripe.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.New(sandbox.Config{
		Plan: p, Document: doc, Fixtures: fixtures, Seed: 1, WebhooksTo: public + "/api/webhooks/stripe",
		Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(key)}, Webhook: integration.NewSecret(given)},
	})
	if err != nil {
		t.Fatal(err)
	}
	stand = box
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "plans"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plans", "stripe.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(dir, "sallyport.db")
	store, err := sqlite.Open(t.Context(), database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	admin, kept := api.NewKey("test", integration.ScopeAdmin, time.Now())
	if err := store.CreateKey(t.Context(), kept, integration.AuditEntry{ID: "1", At: time.Now(), Actor: "test", Action: "key.created"}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	handled := make(chan sallyport.Event, 10)
	serve := func(l net.Listener) (stop func()) {
		app, err := sallyport.New(t.Context(), sallyport.Config{
			Plans: filepath.Join(dir, "plans"), Database: "sqlite:" + database, PublicURL: public, Grace: time.Second,
			Log: slog.New(slog.DiscardHandler),
			LookupEnv: func(name string) (string, bool) {
				return map[string]string{"A": key}[name], name == "A"
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := app.On("stripe", "invoice.paid", func(_ context.Context, e sallyport.Event) error { handled <- e; return nil }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- app.Serve(ctx, l) }()
		return sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	}
	stop := serve(listener)
	t.Cleanup(func() { stop() })

	do := func(method, path string, out any) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, public+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin.Reveal())
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if bytes.Contains(b, []byte(given)) {
			t.Errorf("%s %s tells the secret", method, path)
		}
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
		}
		return resp.StatusCode
	}
	emit := func(o sandbox.EmitOptions, want bool) string {
		t.Helper()
		e, err := box.Emit(t.Context(), "invoice.paid", o)
		if err != nil || e.Accepted != want {
			t.Fatalf("%+v, %v; want accepted %t", e, err, want)
		}
		return e.ID
	}
	next := func(id, origin string) {
		t.Helper()
		select {
		case e := <-handled:
			if e.ExternalID != id || e.Origin() != origin {
				t.Errorf("got %s (%s), want %s (%s)", e.ExternalID, e.Origin(), id, origin)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s was not handled", id)
		}
	}

	emit(sandbox.EmitOptions{SignedAgo: time.Millisecond}, false) // its secret is not ours so far
	var c api.ComparisonView
	const hooks = "/api/v1/admin/integrations/stripe/webhooks"
	if status := do("POST", hooks+"/sync?dry_run=true", &c); status != 200 || !c.Differs || len(c.Changes) != 1 || c.Changes[0].Done {
		t.Fatalf("%d %+v", status, c)
	}
	if status := do("POST", hooks+"/sync", &c); status != 200 || len(c.Changes) != 1 || !c.Changes[0].Done || !c.Changes[0].Subscription.Secret {
		t.Fatalf("%d %+v", status, c)
	}
	next(emit(sandbox.EmitOptions{}, true), "")

	stop()
	if listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	stop = serve(listener)
	next(emit(sandbox.EmitOptions{}, true), "")

	lost := emit(sandbox.EmitOptions{Lost: true, Age: 2 * time.Minute}, false)
	next(lost, integration.OriginReconciled)
	var st api.Status
	if do("GET", "/api/v1/integrations/stripe/status", &st); st.Inbound == nil || len(st.Inbound.Subscriptions) != 1 || st.Inbound.Reconcile == nil {
		t.Errorf("status %+v", st.Inbound)
	}
	if status := do("DELETE", hooks, &c); status != 200 || len(c.Changes) != 1 || !c.Changes[0].Done {
		t.Errorf("%d %+v", status, c)
	}
	raw, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	if wal, err := os.ReadFile(database + "-wal"); err == nil {
		raw = append(raw, wal...)
	}
	if bytes.Contains(raw, []byte(given)) {
		t.Error("the secret stands in the database in the clear")
	}
}
