package limit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/plan"
)

func limiter(p plan.Limits, limits ...catalog.Limit) *limit.Limiter {
	return limit.New(limit.Config{Limits: catalog.Limits{List: limits}, Environment: "production", Plan: p})
}

// R4.12: what a limit counts by, it is kept by.
func TestScopes(t *testing.T) {
	t.Parallel()
	ten := catalog.Limit{Name: "x", Limit: 10, Window: 60}
	for _, c := range []struct {
		scope   string
		divides []string // fields of a request that have their own buckets
	}{
		{"app", nil},
		{"ip", nil},
		{"api_key", nil},
		{"user", []string{"tenant"}},
		{"user+app", []string{"tenant"}},
		{"connection", []string{"tenant"}},
		{"account", []string{"account"}},
		{"app+store", []string{"account"}},
		{"workspace+endpoint", []string{"account", "endpoint"}},
		{"method", []string{"endpoint"}},
	} {
		l := ten
		l.Scope = c.scope
		for _, field := range []string{"tenant", "account", "endpoint"} {
			lim := limiter(plan.Limits{Headroom: 100, Wait: 1}, l)
			other := limit.Request{Tenant: "1", Account: "1", Endpoint: "1"}
			if n := takeAll(t, lim, other, 100); n != 10 {
				t.Errorf("%s: %d turns, want 10", c.scope, n)
			}
			switch field {
			case "tenant":
				other.Tenant = "2"
			case "account":
				other.Account = "2"
			case "endpoint":
				other.Endpoint = "2"
			}
			want := 0
			if slices.Contains(c.divides, field) {
				want = 10
			}
			if n := takeAll(t, lim, other, 100); n != want {
				t.Errorf("%s, another %s: %d turns, want %d", c.scope, field, n, want)
			}
		}
	}
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	l := limiter(
		plan.Limits{Headroom: 100, Wait: 1},
		catalog.Limit{Name: "writes", Limit: 3, Window: 60, Scope: "account", Methods: []string{"POST", "PUT"}},
		catalog.Limit{Name: "search", Limit: 2, Window: 60, Scope: "account", Paths: []string{"/search", "/find"}},
	)
	for _, c := range []struct {
		method, path string
		want         int
	}{{"POST", "/a", 3}, {"PUT", "/a", 0}, {"GET", "/a", 100}, {"GET", "/find/x", 2}, {"GET", "/search", 0}, {"GET", "/a", 100}} {
		if n := takeAll(t, l, limit.Request{Method: c.method, Path: c.path}, 100); n != c.want {
			t.Errorf("%s %s: %d turns, want %d", c.method, c.path, n, c.want)
		}
	}
}

// A provider whose bucket is smaller than the window gets no more at once than
// the bucket holds, and as many in a window as it allows.
func TestBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Headroom: 100, Wait: plan.Duration(time.Hour), Queue: 2000}, catalog.Limit{Name: "x", Limit: 600, Window: 60, Burst: 20, Scope: "account"})
		start := time.Now()
		var got turns
		var wg sync.WaitGroup
		for i := range 1200 {
			wg.Go(func() { _ = got.take(t.Context(), l, start, "/", i) })
		}
		wg.Wait()
		if n := most(got.at, 2*time.Second); n != 20 {
			t.Errorf("%d turns in 2s, want the burst, 20", n)
		}
		if n := most(got.at, time.Minute); n != 600 {
			t.Errorf("%d turns in a minute, want 600", n)
		}
		if len(got.at) != 1200 || slices.Max(got.at) > 2*time.Minute {
			t.Errorf("%d turns in %s, want 1200 in 2m", len(got.at), slices.Max(got.at))
		}
	})
}

// R4.12: costs, of the request or of the profile.
func TestCosts(t *testing.T) {
	t.Parallel()
	points := catalog.Limit{
		Name: "points", Limit: 100, Window: 60, Scope: "account", Unit: "points",
		Costs: []catalog.LimitCost{{Methods: []string{"POST"}, Cost: 5}, {Paths: []string{"/free"}, Cost: 0}, {Paths: []string{"/half"}, Cost: 0.5}},
	}
	for _, c := range []struct {
		request limit.Request
		want    int
	}{
		{limit.Request{Method: "GET", Path: "/"}, 80},
		{limit.Request{Method: "POST", Path: "/"}, 16},
		{limit.Request{Method: "GET", Path: "/free"}, 500},
		{limit.Request{Method: "GET", Path: "/half"}, 160},
		{limit.Request{Method: "POST", Path: "/", Cost: 40}, 2},
		{limit.Request{Method: "POST", Path: "/", Cost: 0.001}, 500},
		{limit.Request{Cost: 90}, 1},   // above our share: when nothing else goes
		{limit.Request{Cost: 1e18}, 1}, // nor does a wrong number hang it
	} {
		l := limiter(plan.Limits{Wait: 1}, points, catalog.Limit{Name: "requests", Limit: 625, Window: 60, Scope: "account"})
		if n := takeAll(t, l, c.request, 1000); n != c.want {
			t.Errorf("%+v: %d turns, want %d", c.request, n, c.want)
		}
	}
}

// One whose cost is high is not overtaken for ever by those whose cost is low.
func TestHighCostGetsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Headroom: 100, Wait: plan.Duration(time.Minute)}, catalog.Limit{Name: "points", Limit: 100, Window: 10, Scope: "app", Unit: "points"})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for tenant := range 3 { // keep it full
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = l.Take(ctx, limit.Request{Cost: 10, Tenant: fmt.Sprint(tenant)})
				}
			})
		}
		time.Sleep(15 * time.Second)
		turn, err := l.Take(ctx, limit.Request{Cost: 90, Tenant: "big"})
		if err != nil || turn.Waited > 21*time.Second {
			t.Errorf("waited %s, %v", turn.Waited, err)
		}
		cancel()
		wg.Wait()
	})
}

// R4.12: requests in flight. Places are given back when a request is over, once.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Headroom: 80, Wait: plan.Duration(10 * time.Second), Queue: 2}, catalog.Limit{Name: "flight", Limit: 5, Unit: "concurrent", Scope: "tenant"})
		var flying []limit.Turn
		for range 4 {
			turn, err := l.Take(t.Context(), limit.Request{})
			if err != nil || turn.Waited != 0 {
				t.Fatal(turn.Waited, err)
			}
			flying = append(flying, turn)
		}
		if _, err := l.Take(t.Context(), limit.Request{Tenant: "another"}); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		var wg sync.WaitGroup
		var got sync.Map
		for i := range 2 {
			wg.Go(func() {
				turn, err := l.Take(t.Context(), limit.Request{})
				got.Store(i, turn.Waited)
				if err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		var refused *limit.Refused
		if _, err := l.Take(t.Context(), limit.Request{}); !errors.As(err, &refused) || refused.Limit != "flight" || refused.RetryAfter <= 0 {
			t.Errorf("with a full queue: %v", err)
		}
		if s := l.State()[0]; s.Waiting != 2 || s.Used != 4 || s.Remaining != 0 || s.Buckets != 2 {
			t.Errorf("%+v", s)
		}
		time.Sleep(3 * time.Second)
		for range 3 {
			flying[0].Done() // once is once
		}
		synctest.Wait()
		n := 0
		got.Range(func(_, waited any) bool {
			n++
			if waited != 3*time.Second {
				t.Errorf("waited %s", waited)
			}
			return true
		})
		if n != 1 {
			t.Errorf("%d had the one place", n)
		}
		flying[1].Done()
		wg.Wait()
		limit.Turn{}.Done()
	})
}

// Those whose patience ends while all places are taken are turned away then.
func TestConcurrencyPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Headroom: 100}, catalog.Limit{Name: "flight", Limit: 1, Unit: "concurrent", Scope: "app"})
		if _, err := l.Take(t.Context(), limit.Request{}); err != nil {
			t.Fatal(err)
		}
		var refused *limit.Refused
		if turn, err := l.Take(t.Context(), limit.Request{}); turn.Waited != plan.DefaultLimitWait || !errors.As(err, &refused) || refused.Limit != "flight" {
			t.Errorf("waited %s, %v", turn.Waited, err)
		}
		if s := l.State()[0]; s.Waiting != 0 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// R4.13: one tenant with ten thousand callers does not hold up another.
func TestFairBetweenTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Headroom: 100, Wait: plan.Duration(time.Hour), Queue: 20_000}, perSecond(10)[0])
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 10_000 {
			wg.Go(func() { _, _ = l.Take(ctx, limit.Request{Tenant: "crowd"}) })
		}
		synctest.Wait()
		start := time.Now()
		var few sync.WaitGroup
		for range 20 {
			few.Go(func() {
				if _, err := l.Take(t.Context(), limit.Request{Tenant: "one"}); err != nil {
					t.Error(err)
				}
			})
		}
		few.Wait()
		if took := time.Since(start); took != 4*time.Second { // every second turn of ten a second
			t.Errorf("20 turns took %s", took)
		}
		cancel()
		wg.Wait()
	})
}

// Turns of the same instant are shared out evenly, whoever came first.
func TestFairShares(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		callers := rapid.SliceOfN(rapid.IntRange(1, 60), 2, 6).Draw(rt, "callers of each tenant")
		limitPer := rapid.IntRange(1, 20).Draw(rt, "limit")
		synctest.Test(t, func(t *testing.T) {
			l := limiter(plan.Limits{Headroom: 100, Wait: plan.Duration(time.Hour)}, perSecond(limitPer)[0])
			var mu sync.Mutex
			got := make([]int, len(callers))
			var wg sync.WaitGroup
			if n := takeAll2(t, l, limitPer); n != limitPer {
				t.Fatal(n)
			}
			for tenant, n := range callers {
				for range n {
					wg.Go(func() {
						if _, err := l.Take(t.Context(), limit.Request{Tenant: fmt.Sprint(tenant)}); err != nil {
							t.Error(err)
						}
						mu.Lock()
						defer mu.Unlock()
						got[tenant]++
					})
				}
				synctest.Wait() // all of one before all of the next
			}
			for left := slices.Clone(callers); slices.Max(left) > 0; {
				time.Sleep(time.Second)
				synctest.Wait()
				mu.Lock()
				for i := range callers {
					left[i] = callers[i] - got[i]
				}
				for i := range got {
					for j := range got {
						if left[i] > 0 && got[j] > got[i]+1 {
							t.Errorf("turns %v of %v: tenant %d is behind", got, callers, i)
						}
					}
				}
				mu.Unlock()
			}
			wg.Wait()
		})
	})
}

func takeAll2(t *testing.T, l *limit.Limiter, n int) int {
	t.Helper()
	for i := range n {
		if turn, err := l.Take(t.Context(), limit.Request{Tenant: "before"}); err != nil || turn.Waited > 0 {
			return i
		}
	}
	return n
}

func TestPriority(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Headroom: 100, Wait: plan.Duration(time.Minute)}, perSecond(1)[0])
		_, _ = l.Take(t.Context(), limit.Request{})
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for _, priority := range []int{0, -1, 5, 0, 5} {
			wg.Go(func() {
				if _, err := l.Take(t.Context(), limit.Request{Priority: priority}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, priority)
			})
			synctest.Wait()
		}
		wg.Wait()
		if want := []int{5, 5, 0, 0, -1}; !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
	})
}

// The queue has an end; one that would have to wait behind it is turned away.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Headroom: 100, Wait: plan.Duration(time.Hour), Queue: 3}, perSecond(1)[0])
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := l.Take(t.Context(), limit.Request{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		var refused *limit.Refused
		if _, err := l.Take(t.Context(), limit.Request{}); !errors.As(err, &refused) || refused.RetryAfter != 4*time.Second {
			t.Errorf("a fourth in the queue: %v", err)
		}
		if s := l.State()[0]; s.Waiting != 3 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		wg.Wait()
	})
}

// R4.13: observe lets all through and counts those it had not.
func TestObserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{Mode: "observe"}, perSecond(10)[0])
		l.Pause(time.Hour)
		for range 30 {
			if turn, err := l.Take(t.Context(), limit.Request{}); turn.Waited != 0 || err != nil {
				t.Fatal(turn.Waited, err)
			}
		}
		if s := l.State()[0]; s.Observed != 22 || s.Refused != 0 || s.Used != 30 || s.Remaining != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{}, catalog.Limit{Name: "all", Limit: 100, Window: 60, Scope: "app"}, catalog.Limit{Name: "user", Limit: 50, Window: 60, Scope: "user"})
		for i := range 3 {
			for range i + 1 {
				_, _ = l.Take(t.Context(), limit.Request{Tenant: fmt.Sprint(i)})
			}
		}
		l.Pause(time.Minute)
		got := l.State()
		want := []limit.State{
			{Name: "all", Unit: "requests", Window: time.Minute, Limit: 100, Share: 80, Headroom: 0.8, Used: 6, Remaining: 74, Buckets: 1, PausedUntil: time.Now().Add(time.Minute)},
			{Name: "user", Unit: "requests", Window: time.Minute, Limit: 50, Share: 40, Headroom: 0.8, Used: 3, Remaining: 37, Buckets: 3, PausedUntil: time.Now().Add(time.Minute)},
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// Tenants that come once and never again do not stay in memory.
func TestBucketsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limiter(plan.Limits{}, catalog.Limit{Name: "user", Limit: 10, Window: 1, Scope: "user"})
		for i := range 10_000 {
			if _, err := l.Take(t.Context(), limit.Request{Tenant: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := l.State()[0].Buckets; n > 500 {
			t.Errorf("%d buckets are kept", n)
		}
	})
}
