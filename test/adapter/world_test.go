package adapter

import (
	"context"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

const (
	providerKey   = "sk_test_adapter"
	webhookSecret = "whsec_adapter"
	signingSecret = "whsec_YWRhcHRlcnMtb3duLXNpZ25pbmctc2VjcmV0"
)

// world is a gateway between the adapter and the stand-in.
type world struct {
	url, key string
	plan     *plan.Plan
	box      *sandbox.Sandbox
}

func startWorld(t *testing.T, text string, doc *openapi.Document, fixtures []byte, deliverTo string) *world {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{url: "http://" + listener.Addr().String()}
	provider := httptest.NewUnstartedServer(nil)
	t.Cleanup(provider.Close)

	text = replaced(t, text, `base_url: http://127\.0\.0\.1:4010`, "base_url: http://"+provider.Listener.Addr().String())
	text = replaced(t, text, `url: "http://127\.0\.0\.1:3000/stripe"`, `url: "`+deliverTo+`"`)
	dir := t.TempDir()
	file := filepath.Join(dir, "stripe.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.plan, err = plan.Load(file, catalog.Load); err != nil {
		t.Fatal(err)
	}
	w.box, err = sandbox.New(sandbox.Config{
		Plan: w.plan, Document: doc, Fixtures: fixtures, WebhooksTo: w.url + "/api/webhooks/stripe", Seed: 1,
		Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(providerKey)}, Webhook: integration.NewSecret(webhookSecret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	provider.Config.Handler = w.box
	provider.Start()
	w.serve(t, dir, listener)
	return w
}

// serve runs the gateway until the test ends.
func (w *world) serve(t *testing.T, dir string, listener net.Listener) {
	t.Helper()
	database := filepath.Join(dir, "adapter.db")
	store, err := sqlite.Open(t.Context(), database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, record := api.NewKey("adapter", integration.ScopeApp, time.Now())
	if err := store.CreateKey(t.Context(), record, integration.AuditEntry{ID: record.ID, At: time.Now(), Action: "key.create", Target: record.ID}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	w.key = secret.Reveal()
	secrets := map[string]string{"STRIPE_API_KEY": providerKey, "STRIPE_WEBHOOK_SECRET": webhookSecret, "APP_SIGNING_SECRET": signingSecret}
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: dir, Database: "sqlite:" + database, Dice: func() float64 { return 0 },
		LookupEnv: func(name string) (string, bool) { v, ok := secrets[name]; return v, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- app.Serve(ctx, listener) }()
	go func() { done <- w.box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func replaced(t *testing.T, text, pattern, with string) string {
	t.Helper()
	out := regexp.MustCompile(pattern).ReplaceAllLiteralString(text, with)
	if out == text {
		t.Fatalf("the plan has nothing like %s:\n%s", pattern, text)
	}
	return out
}

// sawEveryEndpoint makes sure that the calls reached the stand-in, with the
// provider's key and never with ours.
func (w *world) sawEveryEndpoint(t *testing.T) {
	t.Helper()
	asked := map[string]bool{}
	for _, r := range w.box.Requests() {
		path, _, _ := strings.Cut(r.Path, "?")
		asked[r.Method+" "+path] = true
	}
	for key, e := range w.plan.Endpoints {
		method, path, _ := strings.Cut(e.Call, " ")
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
		found := false
		for call := range asked {
			m, p, _ := strings.Cut(call, " ")
			found = found || m == method && pattern.MatchString(p)
		}
		if !found {
			t.Errorf("%s: the stand-in never saw %s among %v", key, e.Call, asked)
		}
	}
}
