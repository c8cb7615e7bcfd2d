package call_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is the credential in these tests. It must be seen by the provider and
// by nobody else.
const canary = "sk_test_canary_51Hx"

const stripePlan = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
profile: {version: 2026-08-26.dahlia}
environments:
  development: {base_url: "http://127.0.0.1:4010"}
  production: {}
auth: {use: api_key}
endpoints:
  create_customer:
    call: POST /v1/customers
    purpose: Register the payer.
    effect: create
    idempotency: {header: Idempotency-Key, keep: 24h}
    send: customer
    receive: customer
    timeout: 10s
  get_customer: {call: "GET /v1/customers/{id}", purpose: Show the payer., effect: read, receive: customer, timeout: 10s}
  update_customer: {call: "POST /v1/customers/{id}", purpose: Keep in step., effect: update, timeout: 10s}
  create_note: {call: POST /v1/notes, purpose: No key here., effect: create, timeout: 10s}
  pay: {call: "POST /v1/payouts", purpose: Money leaves., effect: irreversible, idempotency: {header: Idempotency-Key}, timeout: 10s}
mappings:
  customer:
    - {external: id, type: string, internal: stripeCustomerId, as: string, direction: in}
    - {external: email, type: string, internal: email, as: string, class: pii}
    - {external: balance, type: integer, internal: balance, as: decimal, transform: money(currency)}
    - {external: currency, type: string, internal: currency, as: string}
    - {external: metadata.tenant_id, type: string, internal: tenantId, as: string}
errors:
  402: {retry: never, message: The card was declined.}
limits: {wait: 5s}
`

// provider is a scripted third party: one step an attempt, the last one
// repeats.
type provider struct {
	mu    sync.Mutex
	steps []step
	asked []*http.Request
	sent  [][]byte
	at    []time.Time
	open  atomic.Int32 // bodies of answers that were not closed
}

type step func(r *http.Request) (*http.Response, error)

func (p *provider) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	p.mu.Lock()
	n := len(p.asked)
	p.asked, p.sent, p.at = append(p.asked, r.Clone(context.Background())), append(p.sent, body), append(p.at, time.Now())
	next := p.steps[min(n, len(p.steps)-1)]
	p.mu.Unlock()
	resp, err := next(r)
	if resp != nil {
		p.open.Add(1)
		resp.Body = &counted{ReadCloser: resp.Body, open: &p.open}
	}
	return resp, err
}

type counted struct {
	io.ReadCloser
	open *atomic.Int32
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.ReadCloser.Close()
}

func answer(status int, body string, header ...string) step {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Content-Type": {"application/json"}, "Request-Id": {"req_1"}}
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			h.Set(name, value)
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func broken(err error) step { return func(*http.Request) (*http.Response, error) { return nil, err } }

// silent never answers.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

// journal remembers what was written down.
type journal struct {
	mu    sync.Mutex
	calls []integration.Call
	err   error
}

func (j *journal) Record(_ context.Context, c *integration.Call) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.calls {
		if j.calls[i].ID == c.ID && j.calls[i].State == integration.CallRunning { // written down before it was sent
			j.calls[i] = *c
			return j.err
		}
	}
	j.calls = append(j.calls, *c)
	return j.err
}

func (j *journal) only(t *testing.T) integration.Call {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.calls) != 1 {
		t.Fatalf("%d calls written down, want 1", len(j.calls))
	}
	return j.calls[0]
}

// bundle is a service with everything around it watched.
type bundle struct {
	*call.Service
	provider *provider
	journal  *journal
	log      *bytes.Buffer
	secret   atomic.Pointer[integration.Secret]
}

func parse(t testing.TB, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse("plan.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newBundle(t testing.TB, p *plan.Plan, environment string, steps ...step) *bundle {
	t.Helper()
	b := &bundle{provider: &provider{steps: steps}, journal: &journal{}, log: &bytes.Buffer{}}
	first := integration.NewSecret(canary)
	b.secret.Store(&first)
	var err error
	b.Service, err = call.New(call.Config{
		Plan: p, Environment: environment, Transport: b.provider, Journal: b.journal, Dice: func() float64 { return 0.5 },
		Secret: func() integration.Secret { return *b.secret.Load() },
		Log:    slog.New(slog.NewJSONHandler(&locked{w: b.log}, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := b.provider.open.Load(); n != 0 {
			t.Errorf("%d bodies of answers were left open", n)
		}
		everything, err := json.Marshal(b.journal.calls)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(b.log.String()+string(everything), canary) { // R2.10
			t.Errorf("the credential is in the log or the journal:\n%s\n%s", b.log, everything)
		}
	})
	return b
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func request(t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, reader)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask makes one call through the client's door and closes the answer.
func (b *bundle) ask(t *testing.T, r *http.Request) (status int, body string, header http.Header, err error) {
	t.Helper()
	resp, err := b.Transport("acme", integration.EntryClient).RoundTrip(r)
	if err != nil {
		return 0, "", nil, err
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content), resp.Header, nil
}

const customers = "https://api.stripe.com/v1/customers"
