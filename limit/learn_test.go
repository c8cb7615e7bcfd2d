package limit_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/plan"
)

// header makes the headers of an answer.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// take takes as many turns as can be had at once.
func takeAll(t *testing.T, l *limit.Limiter, q limit.Request, most int) (n int) {
	t.Helper()
	for ; n < most; n++ {
		if _, err := l.Take(t.Context(), q); err != nil {
			var r *limit.Refused
			if !errors.As(err, &r) || r.RetryAfter <= 0 {
				t.Fatalf("turn %d: %v", n, err)
			}
			return n
		}
	}
	return n
}

func learner(limits catalog.Limits) *limit.Limiter {
	return limit.New(limit.Config{Limits: limits, Environment: "production", Plan: plan.Limits{Headroom: 80, Wait: plan.Duration(time.Nanosecond)}})
}

// R4.14: what others use on the same account counts at once, and until the
// provider's window ends; more left than we thought changes nothing.
func TestLearn(t *testing.T) {
	t.Parallel()
	hundred := catalog.Limits{List: []catalog.Limit{{Name: "all", Limit: 100, Window: 60, Scope: "account"}}}
	for _, c := range []struct {
		name         string
		header       http.Header
		taken        int // before the answer
		now          int // turns at once after it
		after        time.Duration
		then         int // turns after a further time
		shareChanged bool
	}{
		{name: "nothing told", header: header("Content-Type", "text/plain"), taken: 10, now: 70, after: 49 * time.Second, then: 0},
		{name: "as we count", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "90", "X-RateLimit-Reset", "30"), taken: 10, now: 70},
		{name: "more left", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "100", "X-RateLimit-Reset", "30"), taken: 10, now: 70},
		{name: "others used 40", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "50", "X-RateLimit-Reset", "30"), taken: 10, now: 30, after: 29 * time.Second, then: 0},
		{name: "until the window ends", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "50", "X-RateLimit-Reset", "30"), taken: 10, now: 30, after: 30 * time.Second, then: 40},
		{name: "nothing left", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "30"), taken: 10, now: 0, after: 30 * time.Second, then: 70},
		{name: "less than our headroom leaves", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "20", "X-RateLimit-Reset", "30"), taken: 10, now: 0},
		{name: "no end told: a window", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "20"), taken: 10, now: 0, after: 59 * time.Second, then: 0},
		{name: "an end too far: a window", header: header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "20", "X-RateLimit-Reset", "90000"), taken: 0, now: 0, after: 60 * time.Second, then: 80},
		{name: "a lower limit than the profile's", header: header("X-RateLimit-Limit", "50", "X-RateLimit-Remaining", "40", "X-RateLimit-Reset", "30"), taken: 10, now: 30},
		{name: "a higher limit than the profile's", header: header("X-RateLimit-Limit", "1000", "X-RateLimit-Remaining", "900", "X-RateLimit-Reset", "30"), taken: 10, now: 70},
		{name: "a higher limit, nearly used up", header: header("X-RateLimit-Limit", "1000", "X-RateLimit-Remaining", "205", "X-RateLimit-Reset", "30"), taken: 10, now: 5},
		{name: "no limit told", header: header("X-RateLimit-Remaining", "50", "X-RateLimit-Reset", "30"), taken: 10, now: 30},
		{name: "more left than the profile's limit", header: header("X-RateLimit-Remaining", "5000", "X-RateLimit-Reset", "30"), taken: 10, now: 70},
		{name: "nonsense", header: header("X-RateLimit-Limit", "-3", "X-RateLimit-Remaining", "-1", "X-RateLimit-Reset", "never"), taken: 10, now: 70},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := learner(hundred)
				if n := takeAll(t, l, limit.Request{Path: "/"}, c.taken); n != c.taken {
					t.Fatalf("%d turns before", n)
				}
				l.Learn(limit.Request{Path: "/"}, c.header)
				if n := takeAll(t, l, limit.Request{Path: "/"}, 1000); n != c.now {
					t.Errorf("%d turns at once, want %d", n, c.now)
				}
				if c.after > 0 {
					time.Sleep(c.after) // virtual
					if n := takeAll(t, l, limit.Request{Path: "/"}, 1000); n != c.then {
						t.Errorf("%d turns after %s, want %d", n, c.after, c.then)
					}
				}
			})
		})
	}
}

// An answer that was overtaken by a later one does not lift what that one told.
func TestLearnOutOfOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := learner(catalog.Limits{List: []catalog.Limit{{Name: "all", Limit: 100, Window: 60, Scope: "account"}}})
		l.Learn(limit.Request{}, header("X-RateLimit-Remaining", "30", "X-RateLimit-Reset", "30"))
		l.Learn(limit.Request{}, header("X-RateLimit-Remaining", "60", "X-RateLimit-Reset", "30"))
		if n := takeAll(t, l, limit.Request{}, 1000); n != 10 {
			t.Errorf("%d turns, want 10", n)
		}
		s := l.State()[0]
		if s.Others != 70 || s.Used != 80 || s.Remaining != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A signal is about the limit it names, has the number of, or the window of; one
// that fits none of several says nothing.
func TestLearnWhich(t *testing.T) {
	t.Parallel()
	limits := catalog.Limits{
		List: []catalog.Limit{
			{Name: "minute", Limit: 100, Window: 60, Scope: "account"},
			{Name: "day", Limit: 1000, Window: 86400, Scope: "account"},
			{Name: "search", Limit: 30, Window: 60, Scope: "account", Paths: []string{"/search"}},
		},
		Signals: []catalog.LimitSignal{
			{For: "day", Remaining: "X-Day-Remaining"},
			{Limit: "X-Limit", Remaining: "X-Remaining", Window: "X-Window"},
		},
	}
	for _, c := range []struct {
		path   string
		header http.Header
		want   string // the limit that is corrected
	}{
		{"/", header("X-Day-Remaining", "300"), "day"},
		{"/", header("X-Limit", "100", "X-Remaining", "50"), "minute"},
		{"/", header("X-Limit", "1000", "X-Remaining", "500"), "day"},
		{"/search", header("X-Limit", "30", "X-Remaining", "20"), "search"},
		{"/", header("X-Limit", "30", "X-Remaining", "20"), ""}, // no such limit on this path
		{"/", header("X-Limit", "7", "X-Remaining", "2", "X-Window", "86400"), "day"},
		{"/", header("X-Remaining", "2"), ""},
	} {
		l := learner(limits)
		l.Learn(limit.Request{Path: c.path}, c.header)
		for _, s := range l.State() {
			if got := s.Others > 0 || s.Remaining < s.Share; got != (s.Name == c.want) {
				t.Errorf("%v on %s: %s has %g of %g, want a correction of %q", c.header, c.path, s.Name, s.Remaining, s.Share, c.want)
			}
		}
	}
}

// A tenant's answers are about its own bucket.
func TestLearnTenant(t *testing.T) {
	t.Parallel()
	l := learner(catalog.Limits{List: []catalog.Limit{{Name: "user", Limit: 100, Window: 60, Scope: "user"}}})
	l.Learn(limit.Request{Tenant: "a"}, header("X-RateLimit-Limit", "100", "X-RateLimit-Remaining", "25"))
	if n := takeAll(t, l, limit.Request{Tenant: "a"}, 1000); n != 5 {
		t.Errorf("a has %d turns, want 5", n)
	}
	if n := takeAll(t, l, limit.Request{Tenant: "b"}, 1000); n != 80 {
		t.Errorf("b has %d turns, want 80", n)
	}
}

func TestLearnBody(t *testing.T) {
	t.Parallel()
	l := learner(catalog.Limits{
		List:    []catalog.Limit{{Name: "points", Limit: 2000, Window: 20, Scope: "app+store", Unit: "points"}},
		Signals: []catalog.LimitSignal{{Body: true, For: "points", Limit: "cost.maximum", Remaining: "cost.available"}},
	})
	if !l.LearnsFromBodies() {
		t.Error("it says that it does not read bodies")
	}
	l.LearnBody(limit.Request{}, []byte(`{"cost":{"maximum":2000,"available":500}}`))
	if n := takeAll(t, l, limit.Request{Cost: 10}, 1000); n != 10 {
		t.Errorf("%d turns of 10 points, want 10", n)
	}
}

// BenchmarkTakeAndLearn is what every call pays.
func BenchmarkTakeAndLearn(b *testing.B) {
	l := limit.New(limit.Config{Limits: catalog.Limits{List: []catalog.Limit{{Name: "live", Limit: 1 << 30, Window: 1, Scope: "account"}}}, Environment: "production", Plan: plan.Limits{Headroom: 100}})
	h := header("Content-Type", "application/json", "Date", "Tue, 24 Nov 2026 12:00:00 GMT", "Content-Length", "12")
	q := limit.Request{Path: "/v1/customers", Method: "GET", Endpoint: "list customers"}
	b.ReportAllocs()
	for b.Loop() {
		turn, err := l.Take(b.Context(), q)
		if err != nil {
			b.Fatal(err)
		}
		l.Learn(q, h)
		turn.Done()
	}
}
