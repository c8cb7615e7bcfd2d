package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

const adminPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments: {development: {base_url: "BASE", secrets: {api_key: env:STRIPE_API_KEY}}}
auth: {use: api_key}
endpoints:
  create_customer: {call: POST /v1/customers, purpose: Register., effect: create, idempotency: {header: Idempotency-Key}}
errors:
  5xx: {retry: never, then: keep}
`

// admin is a running gateway before a provider that can be switched off, and the
// command line in front of it.
type admin struct {
	down    atomic.Bool
	gateway *httptest.Server
	key     string
}

func newAdmin(t *testing.T) *admin {
	t.Helper()
	a := &admin{}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if a.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, `{"id":"cus_1"}`)
	}))
	t.Cleanup(provider.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stripe.yaml"), []byte(strings.Replace(adminPlan, "BASE", provider.URL, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	a.serve(t, sallyport.Config{
		Plans: dir, Database: "sqlite:" + filepath.Join(dir, "s.db"),
		LookupEnv: func(string) (string, bool) { return "sk_test_1", true },
	})
	return a
}

// serve runs a gateway in development with a key of scope admin, until the test
// is over. It is told to stop before connections are waited for, as streams end
// only then.
func (a *admin) serve(t *testing.T, c sallyport.Config) {
	t.Helper()
	c.Environment, c.Log = "development", slog.New(slog.DiscardHandler)
	app, err := sallyport.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), strings.TrimPrefix(c.Database, "sqlite:"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, key := api.NewKey("test", integration.ScopeAdmin, time.Now())
	if err := store.CreateKey(t.Context(), key, auditOf("key.create", key.ID, "")); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	a.key = secret.Reveal()
	ctx, stop := context.WithCancel(context.Background())
	running := make(chan error, 1)
	go func() { running <- app.Run(ctx) }()
	a.gateway = httptest.NewServer(app.Handler())
	t.Cleanup(func() {
		stop()
		a.gateway.Close()
		if err := <-running; err != nil {
			t.Error(err)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
}

// sally runs the command line and returns what it printed.
func (a *admin) sally(t *testing.T, args ...string) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	ui := &terminal{environ: []string{"SALLYPORT_GATEWAY=" + a.gateway.URL, "SALLYPORT_KEY=" + a.key, "NO_COLOR=1"}, rawOut: &o, rawErr: &e}
	ui.setColor()
	root := newRoot(ui)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// make makes a call through the gateway.
func (a *admin) make(t *testing.T) (call string, status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.gateway.URL+"/api/v1/integrations/stripe/endpoints/create_customer", strings.NewReader(`{"body":{"email":"a@b"}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+a.key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.Header.Get("Sallyport-Call"), resp.StatusCode
}

// R9.4, R4.7: the command line lists kept calls, shows one, and makes them again
// singly and together.
func TestCallsCommand(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	a.down.Store(true)
	first, status := a.make(t)
	second, _ := a.make(t)
	if status != http.StatusServiceUnavailable {
		t.Fatalf("got %d", status)
	}
	out, _, err := a.sally(t, "calls", "list", "stripe", "--status", "failed", "--output", "json")
	var list []api.CallView
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != 2 {
		t.Fatalf("%v %s", err, out)
	}
	out, _, err = a.sally(t, "calls", "show", first)
	for _, want := range []string{"POST /v1/customers", "failed", "email=a%40b", "503", "sent"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("no %q: %v\n%s", want, err, out)
		}
	}
	if strings.Contains(out, "sk_test_1") {
		t.Error("the credential is shown")
	}
	a.down.Store(false)
	if _, said, err := a.sally(t, "calls", "retry", "stripe", first); err != nil || !strings.Contains(said, "queued") {
		t.Errorf("%v %s", err, said)
	}
	if _, _, err := a.sally(t, "calls", "retry", "stripe"); err == nil || !strings.Contains(err.Error(), "--all") {
		t.Errorf("got %v", err)
	}
	out, _, err = a.sally(t, "calls", "retry", "stripe", "--all", "--wait", "--output", "json")
	var job api.JobView
	if err != nil || json.Unmarshal([]byte(out), &job) != nil || job.State != "finished" || job.Failed != 0 {
		t.Errorf("%v %s", err, out)
	}
	out, _, err = a.sally(t, "calls", "show", second)
	if err != nil || !strings.Contains(out, "succeeded") {
		t.Errorf("%v %s", err, out)
	}
	if _, _, err := a.sally(t, "calls", "cancel", second); err == nil || !strings.Contains(err.Error(), "only a queued call") {
		t.Errorf("got %v", err)
	}
	for _, args := range [][]string{{"calls", "drift", "stripe"}, {"events", "list", "stripe"}} {
		if out, _, err := a.sally(t, args...); err != nil || !strings.Contains(out, "type") && !strings.Contains(out, "kind") {
			t.Errorf("%v: %v %s", args, err, out)
		}
	}
	for _, args := range [][]string{{"calls", "list", "nothing"}, {"calls", "show", "nothing"}, {"events", "show", "nothing"}, {"events", "retry", "stripe", "nothing"}, {"calls", "list", "stripe", "--output", "xml"}} {
		if _, _, err := a.sally(t, args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	a.key = ""
	if _, _, err := a.sally(t, "calls", "list", "stripe"); err == nil || !strings.Contains(err.Error(), "SALLYPORT_KEY") {
		t.Errorf("got %v", err)
	}
	a.key = "sp_wrong"
	if _, _, err := a.sally(t, "calls", "list", "stripe"); err == nil || !strings.Contains(err.Error(), "keys new") {
		t.Errorf("got %v", err)
	}
}
