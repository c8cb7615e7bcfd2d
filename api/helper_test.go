package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	providerKey   = "sk_test_provider_canary"
	webhookSecret = "whsec_canary"
	bodyLimit     = 100_000
)

const planText = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments:
  development:
    base_url: BASE
    secrets: {api_key: "env:A", webhook_secret: "env:B"}
auth: {use: api_key}
endpoints:
  create_customer:
    call: POST /v1/customers
    purpose: Register the payer.
    effect: create
    idempotency: {header: Idempotency-Key, keep: 24h}
    send: customer
    receive: customer
  get_customer:
    call: GET /v1/customers/{id}
    purpose: Show the payer.
    effect: read
    receive: customer
mappings:
  customer:
    - {external: id, type: string, internal: stripeCustomerId, as: string, direction: in}
    - {external: email, type: string, internal: email, as: string}
    - {external: balance, type: integer, internal: balance, as: decimal, transform: money(currency)}
    - {external: currency, type: string, internal: currency, as: string}
errors:
  5xx: {retry: never, then: keep}
  429: {retry: never, then: keep}
  network: {retry: never, then: keep}
webhooks:
  events:
    invoice.paid: {from: data.object, to: billing}
destinations:
  billing: {url: "http://127.0.0.1:1/", secret: "env:C"}
`

// lines is a log that can be read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bundle is the API on a real store, in front of a provider that the test plays.
type bundle struct {
	t          *testing.T
	url        string
	store      *sqlite.Store
	app, admin string
	log        *lines
	woken      chan struct{}
	now        time.Time
}

func newBundle(t *testing.T, provider http.HandlerFunc, change ...func(*api.Config)) *bundle {
	t.Helper()
	upstream := httptest.NewServer(provider)
	t.Cleanup(upstream.Close)
	p, err := plan.Parse("stripe.yaml", []byte(strings.ReplaceAll(planText, "BASE", upstream.URL)), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "api.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bundle{t: t, store: store, log: &lines{}, woken: make(chan struct{}, 100), now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	log := slog.New(slog.NewJSONHandler(b.log, nil))
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	calls, err := call.New(call.Config{
		Plan: p, Environment: "development", Transport: transport, Journal: store, Log: log, Dice: func() float64 { return 0 },
		Secret: func() integration.Secret { return integration.NewSecret(providerKey) },
	})
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := receive.New(receive.Config{
		Inbox: store, Log: log,
		Services: []receive.Service{{Plan: p, Secrets: func() []integration.Secret { return []integration.Secret{integration.NewSecret(webhookSecret)} }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := api.Config{
		Integrations: []api.Integration{{
			Plan: p, Environment: "development", Calls: calls, Credential: func() string { return integration.NewSecret(providerKey).Fingerprint() },
		}},
		Records: store, Keys: store, Receiver: receiver, Wake: func() { b.woken <- struct{}{} },
		Log: log, Now: func() time.Time { return b.now }, Version: "1.2.3", BodyLimit: bodyLimit, ProxyBodyLimit: bodyLimit,
	}
	for _, c := range change {
		c(&config)
	}
	server := httptest.NewServer(api.New(config))
	t.Cleanup(server.Close)
	b.url = server.URL
	b.app, b.admin = b.key(integration.ScopeApp), b.key(integration.ScopeAdmin)
	return b
}

func (b *bundle) key(scope integration.Scope) string {
	b.t.Helper()
	secret, record := api.NewKey("test "+string(scope), scope, b.now)
	if err := b.store.CreateKey(b.t.Context(), record, integration.AuditEntry{ID: record.ID, At: b.now, Actor: "command line", Action: "key.create", Target: record.ID}); err != nil {
		b.t.Fatal(err)
	}
	return secret.Reveal()
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	text   string
}

// json decodes the answer.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	return v
}

// problem checks that the answer is a problem document with the status and the
// code, under a request id, and returns it.
func (a answer) problem(t *testing.T, status int, code string) map[string]any {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("answered %d %q: %s", a.status, a.header.Get("Content-Type"), a.text)
	}
	v := a.json(t)
	if v["code"] != code || v["status"] != float64(status) || v["type"] != "about:blank" || v["title"] == "" || v["title"] == nil {
		t.Errorf("problem %s", a.text)
	}
	if v["request_id"] == nil || v["request_id"] != a.header.Get("Sallyport-Request-Id") {
		t.Errorf("request id %v, header %q", v["request_id"], a.header.Get("Sallyport-Request-Id"))
	}
	return v
}

func (b *bundle) do(key, method, path, body string, header ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// noProvider fails the test when the provider is called.
func noProvider(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the provider was called: %s %s", r.Method, r.URL)
	}
}

// audited are the actions in the audit log, newest first.
func (b *bundle) audited() []string {
	b.t.Helper()
	entries, _, err := b.store.AuditLog(b.t.Context(), integration.Filter{})
	if err != nil {
		b.t.Fatal(err)
	}
	var actions []string
	for _, e := range entries {
		if e.Action != "key.create" {
			actions = append(actions, e.Action+" "+e.Target)
			if !strings.HasPrefix(e.Actor, "key:") {
				b.t.Errorf("actor %q", e.Actor)
			}
		}
	}
	return actions
}
