package call_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// falling is the plan of these tests with a fallback for one endpoint.
func falling(t *testing.T, endpoint, fallback string) *plan.Plan {
	t.Helper()
	p := parse(t, stripePlan)
	p.Endpoints[endpoint].Fallback = fallback
	if fallback == "default" {
		p.Endpoints[endpoint].Default = `{"id":"cus_0","currency":"usd"}`
	}
	return p
}

// R4.11, R4.6: what passes is queued with all it takes to be made again, and the
// caller is told so once that is durable; what does not pass is not queued.
func TestFallbackQueue(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		answer step
		queued bool
	}{
		{"503", answer(503, `{}`), true},
		{"503 with Retry-After", answer(503, `{}`, "Retry-After: 600"), true},
		{"429", answer(429, `{}`), true},
		{"not sent", broken(&dialError{}), true},
		{"400", answer(400, `{}`), false},
		{"404", answer(404, `{}`), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, falling(t, "create_customer", "queue"), "development", row.answer)
				status, _, _, err := b.ask(t, request(t, http.MethodPost, customers, "email=a"))
				c := b.journal.only(t)
				if !row.queued {
					if err != nil || c.State.Waiting() {
						t.Errorf("got %v, left %s", err, c.State)
					}
					return
				}
				var f *integration.Failure
				if !errors.As(err, &f) || f.Code != call.CodeQueued || f.Reason != call.ReasonQueued || f.CallID != c.ID || status != 0 {
					t.Fatalf("got %d, %#v", status, err)
				}
				if c.State != integration.CallQueued || string(c.Body) != "email=a" || c.IdempotencyKey != c.ID || c.Header.Get("Idempotency-Key") != c.ID {
					t.Errorf("left %s with body %q and key %q", c.State, c.Body, c.IdempotencyKey)
				}
				if strings.Contains(c.Header.Get("Authorization"), canary) {
					t.Error("the credential is kept with it")
				}
				now := time.Now()
				if c.DueAt.Before(now) || !c.ExpiresAt.Equal(now.UTC().Add(24*time.Hour)) || !c.FinishedAt.IsZero() {
					t.Errorf("due %s, expires %s, finished %s", c.DueAt, c.ExpiresAt, c.FinishedAt)
				}
			})
		})
	}
}

// R4.7: what may have had its effect is for a person, whatever the fallback.
func TestFallbackQueueOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, falling(t, "create_note", "queue"), "development", silent)
		if _, _, _, err := b.ask(t, request(t, http.MethodPost, "https://api.stripe.com/v1/notes", "a=b")); err == nil {
			t.Error("no error")
		}
		if c := b.journal.only(t); c.State != integration.CallUnknown {
			t.Errorf("left %s", c.State)
		}
	})
}

// A call that could not be put into the queue is not told as queued.
func TestFallbackQueueNotWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, falling(t, "create_customer", "queue"), "development", answer(503, `{}`))
		b.journal.err = errors.New("the disk is full")
		_, _, _, err := b.ask(t, request(t, http.MethodPost, customers, "email=a"))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Reason != call.ReasonNotKept || strings.Contains(f.Message, "will be made") {
			t.Errorf("got %#v", err)
		}
	})
}

// R4.11: default answers what the plan says, marked as such, and only when the
// provider can't.
func TestFallbackDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, falling(t, "get_customer", "default"), "development", answer(503, `{"error":{}}`))
		status, body, header, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", ""))
		if err != nil || status != 200 || body != `{"id":"cus_0","currency":"usd"}` || header.Get(call.HeaderFallback) != "default" || header.Get(call.HeaderAttempts) != "4" {
			t.Errorf("got %d %s %v %v", status, body, header, err)
		}
		if c := b.journal.only(t); c.State == integration.CallSucceeded || c.Failure == nil {
			t.Errorf("the record hides the failure: %+v", c)
		}
		b = newBundle(t, falling(t, "get_customer", "default"), "development", answer(404, `{}`))
		if status, _, header, _ := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", "")); status != 404 || header.Get(call.HeaderFallback) != "" {
			t.Errorf("a final answer was replaced: %d", status)
		}
		b = newBundle(t, falling(t, "get_customer", "default"), "development", answer(503, `{}`))
		out, err := b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": "cus_1"}})
		if err != nil || !same(t, out.Body, `{"stripeCustomerId":"cus_0","currency":"usd"}`) {
			t.Errorf("by name: %+v, %v", out, err)
		}
	})
}
