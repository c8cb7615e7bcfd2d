package call_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

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
			if err := b.Whole(&c); !errors.As(err, &f) || f.Code != call.CodeNotKept || len(b.provider.sent) != 1 {
				t.Errorf("made again: %v", err)
			}
		})
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
