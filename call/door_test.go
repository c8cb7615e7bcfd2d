package call_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

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

// R4.7: an irreversible endpoint stays one however its path is written.
func TestPathWrittenAnotherWay(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/v1/payouts", "/v1/payouts/", "/v1//payouts"} {
		b := newBundle(t, parse(t, stripePlan), "development", answer(503, "down"))
		r := request(t, http.MethodPost, "https://api.stripe.com"+path, "amount=1")
		r.Header.Set("Idempotency-Key", "k1")
		if _, _, _, err := b.ask(t, r); err != nil {
			t.Fatal(path, err)
		}
		if c := b.journal.calls[0]; len(b.provider.asked) != 1 || c.Effect != "irreversible" || c.State != integration.CallUnknown {
			t.Errorf("%s: asked %d times, effect %s, state %s", path, len(b.provider.asked), c.Effect, c.State)
		}
	}
	for _, path := range []string{"/v1/customers/../payouts", "/v1/./payouts", "/v1/customers/%2e%2e/payouts"} {
		b := newBundle(t, parse(t, stripePlan), "development", answer(200, "{}"))
		_, _, _, err := b.ask(t, request(t, http.MethodPost, "https://api.stripe.com"+path, "amount=1"))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != call.CodePath || len(b.provider.asked) != 0 {
			t.Errorf("%s: %v, asked %d times", path, err, len(b.provider.asked))
		}
	}
}

// A journal that fails is heard of, and does not take the answer away.
func TestJournalFails(t *testing.T) {
	t.Parallel()
	b := newBundle(t, recordedAfter(t), "development", answer(503, "down"))
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

// recordedAfter is the plan with every call written down after it was sent.
func recordedAfter(t *testing.T) *plan.Plan {
	t.Helper()
	p := parse(t, stripePlan)
	for _, e := range p.Endpoints {
		e.Record = "after"
	}
	return p
}

// R4.7: what must not be lost sight of is written down, without the credential,
// before it is sent; what can't be written down is not sent.
func TestRecordedBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []integration.Call
		b := newBundle(t, parse(t, stripePlan), "development", nil)
		b.provider.steps = []step{func(r *http.Request) (*http.Response, error) {
			seen = slices.Clone(b.journal.calls)
			return answer(200, `{}`)(r)
		}}
		if _, _, _, err := b.ask(t, request(t, http.MethodPost, "https://api.stripe.com/v1/payouts", "amount=1")); err != nil {
			t.Fatal(err)
		}
		if len(seen) != 1 || seen[0].State != integration.CallRunning || seen[0].DueAt.IsZero() || string(seen[0].Body) != "amount=1" || seen[0].Header.Get("Authorization") != "" {
			t.Errorf("while it was sent: %+v", seen)
		}
		if c := b.journal.only(t); c.State != integration.CallSucceeded || !c.DueAt.IsZero() {
			t.Errorf("afterwards %+v", c)
		}
		b.journal.err = errors.New("the disk is full")
		_, _, _, err := b.ask(t, request(t, http.MethodPost, "https://api.stripe.com/v1/payouts", "amount=2"))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != call.CodeBegin || len(b.provider.asked) != 1 {
			t.Errorf("got %v after %d requests", err, len(b.provider.asked))
		}
		b.journal.err = nil
		if _, _, _, err := b.ask(t, request(t, http.MethodPost, customers, "email=a")); err != nil || len(seen) == 4 {
			t.Errorf("a create with a key is written down before: %v", err)
		}
	})
}

// R2.1: a credential that an SDK puts into a form does not go out beside ours.
func TestCredentialInAForm(t *testing.T) {
	t.Parallel()
	p := parse(t, strings.NewReplacer("uses: stripe", "uses: slack", "profile: {version: 2026-08-26.dahlia}\n", "").Replace(stripePlan))
	b := newBundle(t, p, "development", answer(200, `{"ok":true}`))
	r := request(t, http.MethodPost, "https://slack.com/api/chat.postMessage", "channel=C1&token=xoxb-of+the-caller&text=a%26b&to%6ben=x")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, _, _, err := b.ask(t, r); err != nil {
		t.Fatal(err)
	}
	if sent := string(b.provider.sent[0]); sent != "channel=C1&text=a%26b" || b.provider.asked[0].ContentLength != int64(len(sent)) {
		t.Errorf("sent %q, length %d", sent, b.provider.asked[0].ContentLength)
	}
}
