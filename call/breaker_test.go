package call_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// R4.10: a provider that fails is left in peace: callers hear at once why, and
// nothing is sent, until probes find it back. What the provider refuses because
// of the request does not open the breaker.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		back := false
		p := parse(t, stripePlan)
		p.Provider.Limits.List = nil
		p.Errors["5xx"] = plan.ErrorPolicy{}
		b := newBundle(t, p, "development", func(r *http.Request) (*http.Response, error) {
			if back {
				return answer(200, `{}`)(r)
			}
			return answer(503, `{}`)(r)
		})
		get := func() error {
			_, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", ""))
			return err
		}
		for range 20 {
			if err := get(); err != nil {
				t.Fatal(err) // the provider's 503 is handed on
			}
		}
		var f *integration.Failure
		if err := get(); !errors.As(err, &f) || f.Code != call.CodeBreaker || f.Reason != "breaker" || f.RetryAfter <= 0 || f.Attempts != 0 {
			t.Fatalf("got %#v", err)
		}
		if n := len(b.provider.asked); n != 20 {
			t.Errorf("%d requests were sent", n)
		}
		if state := b.Breakers(); len(state) != 1 || state[0].State != breaker.Opened || state[0].Host != "127.0.0.1:4010" {
			t.Errorf("%+v", state)
		}
		if log := b.log.String(); strings.Count(log, `"breaker.changed"`) != 1 || !strings.Contains(log, `"alert":true`) {
			t.Errorf("the log does not tell:\n%s", log)
		}
		back = true
		time.Sleep(f.RetryAfter) // synctest's clock
		for range 10 {
			if err := get(); err != nil {
				t.Fatalf("it does not close: %v", err)
			}
		}
		if state := b.Breakers(); state[0].State != breaker.Closed {
			t.Errorf("%+v", state)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		p.Provider.Limits.List = nil
		b := newBundle(t, p, "development", answer(404, `{}`))
		for range 100 {
			if _, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", "")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// R4.10, R4.11: while it is open a call with the fallback queue waits until the
// pause is over.
func TestBreakerQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, falling(t, "create_customer", "queue"), "development", answer(200, `{}`))
		b.ForceBreaker("127.0.0.1:4010", breaker.Opened)
		_, _, _, err := b.ask(t, request(t, http.MethodPost, customers, "email=a"))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != call.CodeQueued || len(b.provider.asked) != 0 {
			t.Errorf("got %v, %d requests", err, len(b.provider.asked))
		}
		if c := b.journal.only(t); c.State != integration.CallQueued || len(c.Attempts) != 0 {
			t.Errorf("left %s", c.State)
		}
		b.ResetBreaker("127.0.0.1:4010")
		if _, _, _, err := b.ask(t, request(t, http.MethodPost, customers, "email=a")); err != nil {
			t.Error(err)
		}
	})
}

// R4.16: the retries of all calls together are a capped share of the traffic.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		p.Provider.Limits.List = nil
		p.Breaker.Minimum = 1 << 20
		b := newBundle(t, p, "development", answer(503, `{}`))
		const calls = 400
		done := make(chan struct{})
		for range calls {
			go func() {
				defer func() { done <- struct{}{} }()
				resp, err := b.Transport("", integration.EntryClient).RoundTrip(request(t, http.MethodGet, customers+"/cus_1", ""))
				if err == nil {
					resp.Body.Close()
				}
			}()
		}
		for range calls {
			<-done
		}
		if n := len(b.provider.asked); n < calls+50 || n > calls+calls/5+30 {
			t.Errorf("%d requests for %d calls, want a fifth more and a floor of 30", n, calls)
		}
		if s := b.RetrySpending(); s.Refused == 0 {
			t.Errorf("%+v", s)
		}
	})
}
