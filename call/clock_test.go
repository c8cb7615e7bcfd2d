package call_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/integration"
)

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
		b := newBundle(t, p, "development", answer(503, `{"error":{"message":"down"}}`), answer(429, `{}`, "Retry-After: 60"))
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
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: read}, nil
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
