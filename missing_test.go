package sallyport_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sallyport/sallyport"
)

// R4.4: a 404 at the provider reaches the destination that the plan names, as a
// signed event, with what was asked for.
func TestResourceMissingIsDelivered(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"message":"No such customer"}}`)
	}))
	defer provider.Close()
	secret := "whsec_c2VjcmV0LW9mLXRoZS10ZXN0LWFwcA=="
	type delivery struct {
		body   []byte
		header http.Header
	}
	delivered := make(chan delivery, 1)
	mine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		delivered <- delivery{body, r.Header}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer mine.Close()
	dir := t.TempDir()
	text := strings.NewReplacer("BASE", provider.URL, "MINE", mine.URL).Replace(`
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments: {development: {base_url: "BASE", secrets: {api_key: env:STRIPE_API_KEY, webhook_secret: env:HOOK}}}
auth: {use: api_key}
endpoints: {get_customer: {call: "GET /v1/customers/{id}", purpose: Look., effect: read}}
errors: {404: {retry: never, tell: app}}
webhooks: {events: {customer.deleted: {to: app}}}
destinations: {app: {url: "MINE", secret: env:SIGN}}
`)
	if err := os.WriteFile(filepath.Join(dir, "stripe.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: dir, Database: "sqlite:" + filepath.Join(dir, "s.db"), Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) {
			return map[string]string{"STRIPE_API_KEY": "sk_test_1", "HOOK": "whsec_x", "SIGN": secret}[name], true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- app.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	}()
	client, err := app.Client("stripe", "acme")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get("https://api.stripe.com/v1/customers/cus_9")
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Fatal(err)
	}
	resp.Body.Close()
	var got delivery
	select {
	case got = <-delivered:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was delivered")
	}
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Verify(got.body, got.header); err != nil {
		t.Error(err)
	}
	var e struct {
		Type, Tenant, Subject string
		Data                  struct {
			Path      string
			Variables map[string]string
		}
	}
	if err := json.Unmarshal(got.body, &e); err != nil || e.Type != "resource.missing" || e.Subject != "/v1/customers/cus_9" || e.Tenant != "acme" || e.Data.Path != "/v1/customers/cus_9" || e.Data.Variables["id"] != "cus_9" {
		t.Errorf("%v %s", err, got.body)
	}
}
