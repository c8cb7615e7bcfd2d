package call_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/classify"
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

func TestSuccess(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{"id":"cus_1"}`, "Sallyport-Reason: forged"))
	r := request(t, http.MethodPost, customers+"?expand=x&access_token=nobodys", "email=a%40b.c")
	r.Header.Set("Authorization", "Bearer sk_dummy")
	r.Header.Set("Sallyport-Tenant", "acme")
	r.Header.Set("Connection", "X-Hop")
	r.Header.Set("X-Hop", "1")
	r.Header.Set("Cookie", "session=1")
	before := r.Clone(t.Context())
	status, body, header, err := b.ask(t, r)
	if err != nil || status != 200 || body != `{"id":"cus_1"}` {
		t.Fatal(status, body, err)
	}
	c := b.journal.only(t)
	if c.State != integration.CallSucceeded || c.Status != 200 || len(c.Attempts) != 1 || c.Endpoint != "create_customer" || c.Tenant != "acme" || c.Entry != integration.EntryClient {
		t.Errorf("%+v", c)
	}
	if c.Path != "/v1/customers?expand=x&access_token=[redacted]" || c.Header != nil || c.Body != nil {
		t.Errorf("path %q, header %v, body %q of a call that is not kept", c.Path, c.Header, c.Body)
	}
	if c.Attempts[0].RequestID != "req_1" || !c.Attempts[0].Sent || c.FinishedAt.IsZero() {
		t.Errorf("%+v", c.Attempts[0])
	}
	if header.Get(call.HeaderCall) != c.ID || header.Get(call.HeaderAttempts) != "1" || header.Get(call.HeaderReason) != "" {
		t.Errorf("header %v", header)
	}
	out := b.provider.asked[0]
	if out.URL.String() != "http://127.0.0.1:4010/v1/customers?expand=x&access_token=nobodys" || out.Host != "" {
		t.Errorf("went to %s, host %q", out.URL, out.Host)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + canary, "Stripe-Version": "2026-08-26.dahlia", "User-Agent": "sallyport", "Idempotency-Key": c.ID,
		"Sallyport-Tenant": "", "X-Hop": "", "Connection": "", "Cookie": "",
	} {
		if got := out.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if string(b.provider.sent[0]) != "email=a%40b.c" {
		t.Errorf("sent %q", b.provider.sent[0])
	}
	if fmt.Sprint(r.Header) != fmt.Sprint(before.Header) || r.URL.String() != before.URL.String() {
		t.Error("the caller's request was changed")
	}
}

// The answer's Request is the caller's: ours carries the credential.
func TestAnswerDoesNotShowTheCredential(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{}`))
	r := request(t, http.MethodGet, customers+"/cus_1", "")
	resp, err := b.Transport("", integration.EntryClient).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Request != r {
		t.Error("the answer shows the request with the credential")
	}
}

// What the caller brings wins: its own key and the version of its SDK.
func TestCallersOwnHeaders(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "production", answer(200, `{}`))
	r := request(t, http.MethodPost, customers, "a=1")
	r.Header.Set("Idempotency-Key", "mine")
	r.Header.Set("Stripe-Version", "2026-03-25.dahlia")
	r.Header.Set("User-Agent", "Stripe/v1 GoBindings")
	if _, _, _, err := b.ask(t, r); err != nil {
		t.Fatal(err)
	}
	out := b.provider.asked[0]
	if out.Header.Get("Idempotency-Key") != "mine" || out.Header.Get("Stripe-Version") != "2026-03-25.dahlia" || out.Header.Get("User-Agent") != "Stripe/v1 GoBindings" {
		t.Errorf("sent %v", out.Header)
	}
	if out.URL.String() != customers {
		t.Errorf("went to %s", out.URL)
	}
	if c := b.journal.only(t); c.IdempotencyKey != "mine" {
		t.Errorf("recorded key %q", c.IdempotencyKey)
	}
}

// R4.7, R4.17: 503 twice, then well; one key and the same body each time.
func TestRetriesWithOneKey(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]func() io.Reader{
		"replayable by the caller": func() io.Reader { return strings.NewReader("email=a") },
		"buffered by us":           func() io.Reader { return io.MultiReader(strings.NewReader("email=a")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, parse(t, stripePlan), "development", answer(503, "down"), answer(500, ""), answer(200, `{"id":"cus_1"}`))
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, customers, body())
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				status, _, header, err := b.ask(t, r)
				if err != nil || status != 200 || header.Get(call.HeaderAttempts) != "3" {
					t.Fatal(status, header, err)
				}
				if took := time.Since(start); took != 1500*time.Millisecond { // half of 1s, half of 2s
					t.Errorf("took %s", took)
				}
				c := b.journal.only(t)
				for i, out := range b.provider.asked {
					if out.Header.Get("Idempotency-Key") != c.ID || string(b.provider.sent[i]) != "email=a" || out.ContentLength != int64(len("email=a")) && out.ContentLength != -1 {
						t.Errorf("attempt %d: key %q, body %q, length %d", i+1, out.Header.Get("Idempotency-Key"), b.provider.sent[i], out.ContentLength)
					}
				}
				if c.State != integration.CallSucceeded || c.Attempts[1].Waited != 500*time.Millisecond || c.Attempts[2].Waited != time.Second || c.Attempts[0].Class != integration.ClassUnavailable {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// R4.7: a create without a key that may have been received is not repeated; the
// provider's answer is handed back and the call kept for a person.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step   step
		method string
		url    string
		status int // 0: an error instead
	}{
		"503":              {answer(503, `{"error":{"message":"down"}}`), http.MethodPost, "https://api.stripe.com/v1/notes", 503},
		"reset":            {broken(io.ErrUnexpectedEOF), http.MethodPost, "https://api.stripe.com/v1/notes", 0},
		"silence":          {silent, http.MethodPost, "https://api.stripe.com/v1/notes", 0},
		"irreversible":     {answer(500, ""), http.MethodPost, "https://api.stripe.com/v1/payouts", 500},
		"not in the plan":  {answer(502, ""), http.MethodPost, "https://api.stripe.com/v1/refunds", 502},
		"PUT counts alike": {answer(502, ""), http.MethodPut, "https://api.stripe.com/v1/refunds", 502},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, parse(t, stripePlan), "development", c.step)
				status, _, header, err := b.ask(t, request(t, c.method, c.url, "amount=1"))
				if status != c.status {
					t.Fatal(status, err)
				}
				if n := len(b.provider.asked); n != 1 {
					t.Fatalf("sent %d times", n)
				}
				kept := b.journal.only(t)
				if kept.State != integration.CallUnknown || kept.Failure.Code != call.CodeUnknownOutcome || string(kept.Body) != "amount=1" {
					t.Errorf("%+v", kept)
				}
				if kept.Header.Get("Authorization") != "" || len(kept.Header) == 0 {
					t.Errorf("kept header %v", kept.Header)
				}
				if c.status != 0 {
					if header.Get(call.HeaderAttempts) != "1" || header.Get(call.HeaderReason) != "" {
						t.Errorf("%v", header)
					}
					return
				}
				var f *integration.Failure
				if !errors.As(err, &f) || f.CallID != kept.ID || f.Attempts != 1 || f.Code != call.CodeUnknownOutcome || f.Hint == "" {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// A path the plan does not name is repeated when the caller brings the
// provider's own idempotency key.
func TestOwnKeyMakesAPathRepeatable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", answer(503, ""), answer(200, `{}`))
		r := request(t, http.MethodPost, "https://api.stripe.com/v1/refunds", "a=1")
		r.Header.Set("Idempotency-Key", "mine")
		if status, _, _, err := b.ask(t, r); err != nil || status != 200 {
			t.Fatal(status, err)
		}
		if c := b.journal.only(t); c.Endpoint != "" || c.Effect != "create" || len(c.Attempts) != 2 {
			t.Errorf("%+v", c)
		}
	})
}

// R4.17: when the retries are used up the provider's last answer is handed
// back, whole, and the call is kept.
func TestUsedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long := `{"error":{"code":"rate_limit","message":"` + strings.Repeat("x", 100<<10) + `"}}`
		b := newBundle(t, parse(t, stripePlan), "development", answer(429, `{"error":{"code":"rate_limit"}}`), answer(429, long))
		status, body, header, err := b.ask(t, request(t, http.MethodPost, customers, "email=a"))
		if err != nil || status != 429 || body != long || header.Get(call.HeaderAttempts) != "6" {
			t.Fatalf("%d, %d bytes, %v, %v", status, len(body), header, err)
		}
		c := b.journal.only(t)
		if c.State != integration.CallFailed || string(c.Body) != "email=a" || c.Header.Get("Idempotency-Key") != c.ID || c.Header.Get("Authorization") != "" {
			t.Errorf("%+v", c)
		}
		if c.Failure.Class != integration.ClassLimited || c.Attempts[0].Error != "rate_limit" {
			t.Errorf("%+v, %+v", c.Failure, c.Attempts[0])
		}
	})
}

// R4.1 to R4.5: what will not change is asked once, and not kept.
func TestRejected(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 402, 403, 404, 409, 422} {
		b := newBundle(t, parse(t, stripePlan), "development", answer(status, `{"error":{"code":"x","message":"no `+canary+`"}}`))
		got, body, _, err := b.ask(t, request(t, http.MethodPost, customers, "a=1"))
		if err != nil || got != status || !strings.Contains(body, "no sk_") || len(b.provider.asked) != 1 {
			t.Errorf("%d: %d, %q, %v, asked %d times", status, got, body, err, len(b.provider.asked))
		}
		c := b.journal.only(t)
		if c.State != integration.CallRejected || c.Status != status || c.Body != nil {
			t.Errorf("%+v", c)
		}
		if c.Failure.ProviderMessage != "no [secret]" {
			t.Errorf("provider's message %q", c.Failure.ProviderMessage)
		}
		if status == 402 && c.Failure.Message != "The card was declined." {
			t.Errorf("message %q, want the plan's own", c.Failure.Message)
		}
	}
}

// R4.6: Retry-After in both forms delays, for everybody, and is never
// shortened.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]func() string{
		"seconds": func() string { return "7" },
		"date":    func() string { return time.Now().Add(7 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, parse(t, stripePlan), "development", func(r *http.Request) (*http.Response, error) {
					return answer(429, "", "Retry-After: "+value())(r)
				}, answer(200, `{}`))
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					if status, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", "")); err != nil || status != 200 {
						t.Error(status, err)
					}
				})
				time.Sleep(3 * time.Second) // virtual
				wg.Go(func() {
					if status, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_2", "")); err != nil || status != 200 {
						t.Error(status, err)
					}
				})
				wg.Wait()
				for i, at := range b.provider.at[1:] {
					if at.Sub(start) < 7*time.Second {
						t.Errorf("request %d went out after %s", i+2, at.Sub(start))
					}
				}
			})
		})
	}
}

// R4.6: a wait nobody can sit out is not begun; the call is kept.
func TestRetryAfterTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", answer(429, `{}`, "Retry-After: 3600"))
		start := time.Now()
		status, _, header, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", ""))
		if err != nil || status != 429 || header.Get("Retry-After") != "3600" || time.Since(start) != 0 {
			t.Fatal(status, header, err, time.Since(start))
		}
		if c := b.journal.only(t); c.State != integration.CallFailed {
			t.Errorf("%+v", c)
		}
		_, _, _, err = b.ask(t, request(t, http.MethodGet, customers+"/cus_2", ""))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != call.CodeLimit || f.Reason != "limit" || f.RetryAfter != time.Hour || f.Attempts != 0 || f.CallID == "" {
			t.Errorf("the next one: %+v", f)
		}
		if len(b.provider.asked) != 1 {
			t.Errorf("asked %d times during the pause", len(b.provider.asked))
		}
	})
}

// A retry that finds no turn hands back what the provider said before.
func TestNoTurnForTheRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		var b *bundle
		b = newBundle(t, p, "development", answer(503, `{"error":{"message":"down"}}`), answer(429, `{}`, "Retry-After: 60"))
		var wg sync.WaitGroup
		wg.Go(func() {
			status, body, header, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", ""))
			if err != nil || status != 503 || body != `{"error":{"message":"down"}}` || header.Get(call.HeaderReason) != "limit" || header.Get(call.HeaderAttempts) != "1" {
				t.Error(status, body, header, err)
			}
		})
		synctest.Wait() // it waits for its second attempt
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if status, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_2", "").WithContext(hurried)); err != nil || status != 429 {
			t.Error(status, err)
		}
		wg.Wait()
		for _, c := range b.journal.calls {
			if c.State != integration.CallFailed {
				t.Errorf("%s is %s, want it kept", c.Path, c.State)
			}
		}
	})
}

// R4.13: our own limit is below the provider's: 25 a second in the sandbox, 80%
// of it, and the proxied and the named share it.
func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{"id":"cus_1"}`))
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": "cus_1"}})
				} else {
					_, _, _, err = b.ask(t, request(t, http.MethodGet, "https://api.stripe.com/v1/balance", ""))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("60 calls at 20 a second took %s", took)
		}
	})
}

// R4.8: which clock ran out, and nothing beyond the attempts allowed.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", silent)
		start := time.Now()
		_, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", ""))
		var f *integration.Failure
		var clock *classify.Timeout
		if !errors.As(err, &f) || f.Class != integration.ClassTimeout || f.Reason != "timeout" || f.Attempts != 4 || !errors.As(err, &clock) {
			t.Fatalf("%+v", err)
		}
		if !strings.Contains(err.Error(), "the attempt timed out after 10s") || clock.After != 10*time.Second {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took != 40*time.Second+3500*time.Millisecond {
			t.Errorf("took %s", took)
		}
		if c := b.journal.only(t); c.State != integration.CallFailed || c.Attempts[3].Class != integration.ClassTimeout {
			t.Errorf("%+v", c)
		}
	})
}

// A body that stops in the middle runs into the attempt's clock, by name.
func TestTimeoutInTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", func(r *http.Request) (*http.Response, error) {
			read, write := io.Pipe()
			context.AfterFunc(r.Context(), func() { write.CloseWithError(r.Context().Err()) })
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: read}, nil
		})
		resp, err := b.Transport("", integration.EntryProxy).RoundTrip(request(t, http.MethodGet, "/v1/customers/cus_1", ""))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		var clock *classify.Timeout
		if !errors.As(err, &clock) {
			t.Errorf("got %v", err)
		}
		resp.Body.Close()
	})
}

// A caller that goes away ends the wait at once, and the record says so.
func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step   step
		method string
		url    string
		after  time.Duration
		state  integration.CallState
	}{
		"while a read is under way":     {silent, http.MethodGet, customers + "/cus_1", time.Second, integration.CallCanceled},
		"while a create is under way":   {silent, http.MethodPost, customers, time.Second, integration.CallUnknown},
		"while waiting for a retry":     {answer(503, ""), http.MethodGet, customers + "/cus_1", 100 * time.Millisecond, integration.CallCanceled},
		"while a create waits":          {answer(503, ""), http.MethodPost, customers, 100 * time.Millisecond, integration.CallUnknown},
		"while a limited create waits":  {answer(429, "", "Retry-After: 20"), http.MethodPost, customers, 100 * time.Millisecond, integration.CallCanceled},
		"while one that failed to dial": {broken(&dialError{}), http.MethodPost, customers, 100 * time.Millisecond, integration.CallCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, parse(t, stripePlan), "development", c.step)
				reason := errors.New("closing time")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(c.after, func() { cancel(reason) })
				start := time.Now()
				_, _, _, err := b.ask(t, request(t, c.method, c.url, "").WithContext(ctx))
				if time.Since(start) != c.after || !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
				got := b.journal.only(t)
				if got.State != c.state || len(b.provider.asked) != 1 {
					t.Errorf("%s, asked %d times; want %s, once", got.State, len(b.provider.asked), c.state)
				}
				if got.Failure.Class != integration.ClassCanceled {
					t.Errorf("the provider is blamed: %+v", got.Failure)
				}
			})
		})
	}
}

type dialError struct{}

func (*dialError) Error() string { return "connection refused" }
func (*dialError) NotSent() bool { return true }

// The caller's own deadline is its own clock, not the provider's fault.
func TestCallersDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", silent)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", "").WithContext(ctx))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Class != integration.ClassCanceled || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// R4.8: what never left is safe to repeat, and is kept as failed, not unknown.
func TestNeverSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", broken(&dialError{}))
		_, _, _, err := b.ask(t, request(t, http.MethodPost, "https://api.stripe.com/v1/notes", "a=1"))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Class != integration.ClassNetwork || f.Attempts != 4 || f.Reason != "network" {
			t.Fatalf("%+v", err)
		}
		c := b.journal.only(t)
		if c.State != integration.CallFailed || c.Attempts[0].Sent || c.Attempts[0].Error != "connection refused" {
			t.Errorf("%+v", c)
		}
		if !strings.Contains(b.log.String(), `"alert":true`) {
			t.Error("nobody is alerted (R4.8)")
		}
	})
}

// R4.2: refused once, asked again only with another secret.
func TestRotatedSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development")
		next := integration.NewSecret("sk_test_next")
		b.provider.steps = []step{func(r *http.Request) (*http.Response, error) {
			b.secret.Store(&next) // rotated in the meantime
			return answer(401, "")(r)
		}, answer(200, `{}`)}
		if status, _, _, err := b.ask(t, request(t, http.MethodPost, customers, "a=1")); err != nil || status != 200 {
			t.Fatal(status, err)
		}
		for i, want := range []string{canary, "sk_test_next"} {
			if got := b.provider.asked[i].Header.Get("Authorization"); got != "Bearer "+want {
				t.Errorf("attempt %d with %s", i+1, got)
			}
		}
	})
}

func TestNoSecret(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{}`))
	b.secret.Store(&integration.Secret{})
	_, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", ""))
	var f *integration.Failure
	if !errors.As(err, &f) || f.Code != call.CodeCredential || f.Reason != "credential" || len(b.provider.asked) != 0 {
		t.Errorf("%+v, asked %d times", err, len(b.provider.asked))
	}
}

// A large body goes through as a stream and is never sent twice.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", call.MaxReplay+1)
	for name, known := range map[string]bool{"length known": true, "length unknown": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, parse(t, stripePlan), "development", answer(503, ""))
			r := request(t, http.MethodPost, customers, "")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(large)), -1
			if known {
				r.ContentLength = int64(len(large))
			}
			status, _, _, err := b.ask(t, r)
			if err != nil || status != 503 || len(b.provider.sent) != 1 || string(b.provider.sent[0]) != large {
				t.Fatalf("%d, %v, sent %d times", status, err, len(b.provider.sent))
			}
			c := b.journal.only(t)
			if c.State != integration.CallFailed || len(c.Body) != 0 {
				t.Errorf("%s with %d bytes kept", c.State, len(c.Body))
			}
			var f *integration.Failure
			if _, err := b.Retry(t.Context(), &c); !errors.As(err, &f) || f.Code != call.CodeNotKept || len(b.provider.sent) != 1 {
				t.Errorf("made again: %v", err)
			}
		})
	}
}

// A caller's body that breaks off is the caller's mistake; nothing is sent.
func TestUnreadableBody(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{}`))
	r := request(t, http.MethodPost, customers, "")
	tooLarge := &http.MaxBytesError{Limit: 1}
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("a"), failing{tooLarge})), -1
	_, _, _, err := b.ask(t, r)
	var f *integration.Failure
	var cause *http.MaxBytesError
	if !errors.As(err, &f) || f.Code != call.CodeRequestBody || !errors.As(err, &cause) || len(b.provider.asked) != 0 {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A redirect that a client follows does not take the credential elsewhere.
func TestRedirectAway(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(302, "", "Location: https://evil.test/x"))
	client := &http.Client{Transport: b.Transport("", integration.EntryClient)}
	resp, err := client.Get(customers + "/cus_1")
	if err == nil {
		resp.Body.Close()
		t.Fatal("followed")
	}
	var f *integration.Failure
	if !errors.As(err, &f) || f.Code != call.CodeRedirect || len(b.provider.asked) != 1 {
		t.Errorf("%v, asked %d times", err, len(b.provider.asked))
	}
}

// R4.9: an error inside a 200, at a provider whose base URL has a path.
func TestErrorInsideSuccess(t *testing.T) {
	t.Parallel()
	const slack = `
sallyport: 1
service: slack
uses: slack
need: Tell the team.
environments: {production: {}}
auth: {use: api_key}
endpoints:
  post: {call: POST /chat.postMessage, purpose: Tell., effect: create}
  list: {call: GET /conversations.list, purpose: Find the channel., effect: read}
mappings: {}
`
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, slack), "production", answer(200, `{"ok":false,"error":"ratelimited"}`, "Retry-After: 3"), answer(200, `{"ok":true}`))
		start := time.Now()
		status, body, _, err := b.ask(t, request(t, http.MethodPost, "https://slack.com/api/chat.postMessage", `{"text":"x"}`))
		if err != nil || status != 200 || body != `{"ok":true}` || time.Since(start) != 3500*time.Millisecond {
			t.Fatal(status, body, err, time.Since(start))
		}
		if got := b.provider.asked[0].URL.String(); got != "https://slack.com/api/chat.postMessage" {
			t.Errorf("went to %s", got)
		}
		if c := b.journal.only(t); c.Endpoint != "post" || c.Attempts[0].Class != integration.ClassLimited {
			t.Errorf("%+v", c)
		}
		resp, err := b.Transport("", integration.EntryProxy).RoundTrip(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/conversations.list"}, Header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := b.provider.asked[2].URL.String(); got != "https://slack.com/api/conversations.list" {
			t.Errorf("the proxied went to %s", got)
		}
	})
}

// A journal that fails is heard of, and does not take the answer away.
func TestJournalFails(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(503, "down"))
	b.journal.err = errors.New("disk full")
	status, _, _, err := b.ask(t, request(t, http.MethodPost, "https://api.stripe.com/v1/notes", "a=1"))
	if err != nil || status != 503 {
		t.Fatal(status, err)
	}
	if log := b.log.String(); !strings.Contains(log, "call.not_kept") || !strings.Contains(log, "disk full") {
		t.Errorf("log: %s", log)
	}
}

// Habit 29: one wide line an attempt.
func TestLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", answer(503, `{"error":{"message":"down"}}`), answer(200, `{}`))
		if _, _, _, err := b.ask(t, request(t, http.MethodPost, customers, "a=1")); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines", len(lines))
		}
		var line map[string]any
		if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]any{
			"msg": "call.attempted", "level": "WARN", "service": "stripe", "endpoint": "create_customer", "tenant": "acme", "attempt": 1.0, "of": 4.0,
			"class": "unavailable", "status": 503.0, "error": "down", "provider_request": "req_1", "retry_in": 5e8,
			"credential": integration.NewSecret(canary).Fingerprint(),
		} {
			if line[key] != want {
				t.Errorf("%s is %v, want %v", key, line[key], want)
			}
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	good := call.Config{
		Plan: parse(t, stripePlan), Environment: "production", Transport: &provider{}, Journal: &journal{},
		Secret: func() integration.Secret { return integration.Secret{} },
	}
	if _, err := call.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*call.Config){
		"no plan":             func(c *call.Config) { c.Plan = nil },
		"no transport":        func(c *call.Config) { c.Transport = nil },
		"no journal":          func(c *call.Config) { c.Journal = nil },
		"unknown environment": func(c *call.Config) { c.Environment = "moon" },
		"relative base URL": func(c *call.Config) {
			c.Plan = parse(t, stripePlan)
			c.Plan.Environments["production"] = plan.Environment{BaseURL: "/v1"}
		},
		"a credential of another kind": func(c *call.Config) { c.Plan = parse(t, stripePlan); c.Plan.Auth.Use = "jwt" },
		"an unknown mapping": func(c *call.Config) {
			c.Plan = parse(t, stripePlan)
			c.Plan.Endpoints["pay"].Send = "nothing"
		},
	} {
		c := good
		spoil(&c)
		if _, err := call.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
