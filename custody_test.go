package sallyport_test

import (
	"bytes"
	"context"
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
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/vault"
)

const custodyPlans = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments:
  development: {base_url: "BASE", secrets: {api_key: "file:KEYFILE"}}
auth: {use: api_key}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Show the payer., effect: read}
errors: {5xx: {retry: never}}
`

const tenantPlan = `
sallyport: 1
service: sendgrid
uses: sendgrid
need: Send mail.
environments:
  development: {base_url: "BASE"}
auth: {use: api_key, whose: tenant}
endpoints:
  list_templates: {call: "GET /v3/templates", purpose: Look., effect: read}
errors: {5xx: {retry: never}}
`

// heldLog is a log that can be read while it is written.
type heldLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *heldLog) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (l *heldLog) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// pair is two gateways on one database, in front of a provider that takes any
// key and remembers it.
type pair struct {
	dir, database, keyFile, key string
	apps                        [2]*sallyport.App
	urls                        [2]string
	log                         heldLog
	mu                          sync.Mutex
	seen                        []string
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{dir: t.TempDir()}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		p.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(provider.Close)
	p.database, p.keyFile = filepath.Join(p.dir, "s.db"), filepath.Join(p.dir, "key.txt")
	p.write(t, p.keyFile, "sk_test_canary_one")
	plans := filepath.Join(p.dir, "plans")
	if err := os.Mkdir(plans, 0o700); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("BASE", provider.URL, "KEYFILE", p.keyFile)
	p.write(t, filepath.Join(plans, "stripe.yaml"), fill.Replace(custodyPlans))
	p.write(t, filepath.Join(plans, "sendgrid.yaml"), fill.Replace(tenantPlan))
	erasure := filepath.Join(p.dir, "erasure")
	if err := vault.CreateErasureKeys(erasure); err != nil {
		t.Fatal(err)
	}
	for i := range p.apps {
		app, err := sallyport.New(t.Context(), sallyport.Config{
			Plans: plans, Database: "sqlite:" + p.database, PublicURL: "https://sallyport.example.com", ErasureKeys: erasure, Log: slog.New(slog.NewJSONHandler(&p.log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(app.Handler())
		ctx, stop := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- app.Run(ctx) }()
		t.Cleanup(func() {
			server.Close()
			stop()
			if err := <-ran; err != nil {
				t.Error(err)
			}
			if err := app.Close(); err != nil {
				t.Error(err)
			}
		})
		p.apps[i], p.urls[i] = app, server.URL
	}
	p.key = keyIn(t, p.database)
	return p
}

func (p *pair) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *pair) do(t *testing.T, gateway int, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.urls[gateway]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
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

// until asks again until ok, for ten seconds: what is promised of the others.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// R2.9: after a leak no gateway uses the secret, the calls say why, and a new
// one is used as soon as it is there.
func TestLeakedSecretIsRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	const call, leaked = "/api/v1/integrations/stripe/proxy/v1/customers/1", "/api/v1/admin/secrets/leaked"
	for i := range p.apps {
		if status, text := p.do(t, i, http.MethodGet, call, ""); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	status, text := p.do(t, 0, http.MethodPost, leaked, `{"service":"stripe","name":"api_key"}`)
	if status != 200 || !strings.Contains(text, `"replaced":false`) {
		t.Fatalf("%d %s", status, text)
	}
	if status, text := p.do(t, 0, http.MethodGet, call, ""); status < 400 || !strings.Contains(text, "credential_leaked") || !strings.Contains(text, "secrets replace stripe api_key") {
		t.Errorf("at once: %d %s", status, text)
	}
	until(t, "the other gateway refuses", func() bool {
		_, text := p.do(t, 1, http.MethodGet, call, "")
		return strings.Contains(text, "credential_leaked")
	})
	p.mu.Lock()
	before := len(p.seen)
	p.mu.Unlock()
	p.write(t, p.keyFile, "sk_test_canary_two")
	print := integration.NewSecret("sk_test_canary_one").Fingerprint()
	if _, text := p.do(t, 0, http.MethodPost, leaked, `{"service":"stripe","name":"api_key","fingerprint":"`+print+`"}`); !strings.Contains(text, `"replaced":true`) {
		t.Errorf("%s", text)
	}
	if status, text := p.do(t, 0, http.MethodGet, call, ""); status != 200 {
		t.Errorf("with the new one: %d %s", status, text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := p.seen[before:]; len(got) != 1 || got[0] != "sk_test_canary_two" {
		t.Errorf("the provider saw %d calls since", len(got))
	}
	if log := p.log.String(); !strings.Contains(log, `"msg":"secret.leaked","alert":true`) || strings.Contains(log, "canary") {
		t.Errorf("log: %s", log)
	}
}

// R2.7: a tenant that is erased over one gateway is forgotten by the other, and
// a backup from before can't be opened with the master key; a leaked key is not
// taken again.
func TestEraseTenantEverywhere(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	connect := func(tenant, key string) (int, string) {
		t.Helper()
		return p.do(t, 0, http.MethodPost, "/api/v1/integrations/sendgrid/connect", `{"tenant":"`+tenant+`","secrets":{"api_key":"`+key+`"}}`)
	}
	for tenant, key := range map[string]string{"acme": "SG.canary_acme", "globex": "SG.canary_globex"} {
		if status, text := connect(tenant, key); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
	}
	uses := func(gateway int, tenant string) bool {
		t.Helper()
		client, err := p.apps[gateway].Client("sendgrid", tenant)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Get("https://api.sendgrid.com/v3/templates")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	for i := range p.apps {
		if !uses(i, "acme") || !uses(i, "globex") {
			t.Fatal("the test proves nothing")
		}
	}
	status, text := p.do(t, 0, http.MethodDelete, "/api/v1/admin/tenants/acme", "")
	if status != 200 || !strings.Contains(text, `"credentials":1`) || !strings.Contains(text, "can be opened by nobody") {
		t.Fatalf("%d %s", status, text)
	}
	if uses(0, "acme") {
		t.Error("it is still used where it was erased")
	}
	until(t, "the other gateway forgets", func() bool { return !uses(1, "acme") })
	if !uses(0, "globex") || !uses(1, "globex") {
		t.Error("the neighbour is gone")
	}
	_, status2 := p.do(t, 1, http.MethodGet, "/api/v1/integrations/sendgrid/status", "")
	id := between(status2, `"id":"`, `"`)
	if status, text := p.do(t, 1, http.MethodPost, "/api/v1/admin/secrets/leaked", `{"connection":"`+id+`"}`); status != 200 || !strings.Contains(text, "globex connect again") {
		t.Errorf("%d %s", status, text)
	}
	until(t, "the leaked key is refused", func() bool {
		status, text := connect("globex", "SG.canary_globex")
		return status == 422 && strings.Contains(text, "marked as leaked")
	})
	if status, text := connect("globex", "SG.canary_fresh"); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	if log := p.log.String(); strings.Contains(log, "canary") {
		t.Errorf("log: %s", log)
	}
}

func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	found, _, _ := strings.Cut(rest, after)
	return found
}
