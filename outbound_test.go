package sallyport_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/integration"
)

const outboundPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments: {development: {base_url: "BASE", secrets: {api_key: env:STRIPE_API_KEY}}}
auth: {use: api_key}
endpoints:
  create_customer: {call: POST /v1/customers, purpose: Register., effect: create, idempotency: {header: Idempotency-Key}, fallback: queue}
errors:
  5xx: {retry: never, then: keep}
`

func outboundApp(t *testing.T, provider http.HandlerFunc) *sallyport.App {
	t.Helper()
	server := httptest.NewServer(provider)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stripe.yaml"), []byte(strings.Replace(outboundPlan, "BASE", server.URL, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: dir, Database: "sqlite:" + filepath.Join(dir, "s.db"), Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(string) (string, bool) { return "sk_test_1", true },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return app
}

// R4.15, R9.3: a list as a Go iterator; leaving the loop asks for no more pages.
func TestItems(t *testing.T) {
	t.Parallel()
	asked := 0
	app := outboundApp(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("starting_after") == "b" {
			_, _ = fmt.Fprint(w, `{"object":"list","data":[{"id":"c"}],"has_more":false}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"object":"list","data":[{"id":"a"},{"id":"b"}],"has_more":true}`)
	})
	first := func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.stripe.com/v1/customers?limit=2", nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var got []string
	for item, err := range app.Items(t.Context(), "stripe", "acme", first()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(item))
	}
	if strings.Join(got, "") != `{"id":"a"}{"id":"b"}{"id":"c"}` || asked != 2 {
		t.Errorf("got %v in %d requests", got, asked)
	}
	for _, err := range app.Items(t.Context(), "stripe", "", first()) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if asked != 3 {
		t.Errorf("%d requests", asked)
	}
	for _, err := range app.Items(t.Context(), "nothing", "", first()) {
		if err == nil {
			t.Error("no error for an unknown service")
		}
	}
}

// R9.3, R4.11: an endpoint by name from Go; while the provider is down it is
// queued, and made once it is back.
func TestEndpointFromGo(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	made := make(chan string, 10)
	app := outboundApp(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if down.Load() {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		made <- r.Header.Get("Idempotency-Key")
		_, _ = fmt.Fprint(w, `{"id":"cus_1"}`)
	})
	out, err := app.Endpoint(t.Context(), "stripe", "create_customer", sallyport.Request{Body: []byte(`{"email":"a@b"}`)})
	f, ok := err.(*integration.Failure) //nolint:errorlint // the contract of Endpoint
	if !ok || f.Reason != "queued" || out.CallID == "" {
		t.Fatalf("got %+v %v", out, err)
	}
	if _, err := app.Endpoint(t.Context(), "nothing", "x", sallyport.Request{}); err == nil {
		t.Error("no error for an unknown service")
	}
	down.Store(false)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- app.Run(ctx) }()
	if key := <-made; key != out.CallID {
		t.Errorf("made with the key %q, want %q", key, out.CallID)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if len(made) != 0 {
		t.Error("it was made twice")
	}
}
