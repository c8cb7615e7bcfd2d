package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/plan"
)

func perSecond(n int) []catalog.Limit {
	return []catalog.Limit{{Name: "all", Limit: n, Window: 1, Scope: "account"}}
}

// turns notes when each turn was given.
type turns struct {
	mu  sync.Mutex
	at  []time.Duration
	who []int
}

func (t *turns) take(ctx context.Context, l *limit.Limiter, start time.Time, path string, who int) error {
	_, err := l.Take(ctx, limit.Request{Path: path})
	if err == nil {
		t.mu.Lock()
		t.at, t.who = append(t.at, time.Since(start)), append(t.who, who)
		t.mu.Unlock()
	}
	return err
}

// most is the largest number of turns in any window of a length.
func most(at []time.Duration, window time.Duration) (n int) {
	at = slices.Sorted(slices.Values(at))
	first := 0
	for i := range at {
		for at[i]-at[first] >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

// R4.13: 80% of the limit, in no window more, and nothing of it wasted.
func TestNeverMoreThanTheShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: perSecond(100)}, Environment: "production", Plan: plan.Limits{}})
		start := time.Now()
		var got turns
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				if err := got.take(t.Context(), l, start, "/", i); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := most(got.at, time.Second); n != 80 {
			t.Errorf("%d turns in a second, want 80", n)
		}
		if last := slices.Max(got.at); last != 3*time.Second {
			t.Errorf("300 turns took %s, want 3s", last)
		}
	})
}

// All limits of a provider hold together, and arrivals at any time keep them.
func TestAllLimitsHoldTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		limits := []catalog.Limit{
			{Name: "second", Limit: rapid.IntRange(1, 30).Draw(rt, "second"), Window: 1, Scope: "account"},
			{Name: "minute", Limit: rapid.IntRange(1, 200).Draw(rt, "minute"), Window: 60, Scope: "user+app"},
			{Name: "search", Limit: rapid.IntRange(1, 10).Draw(rt, "search"), Window: 2, Scope: "account", Paths: []string{"/search"}},
		}
		headroom := rapid.IntRange(1, 100).Draw(rt, "headroom")
		calls, seed := rapid.IntRange(1, 120).Draw(rt, "calls"), rapid.Uint64().Draw(rt, "seed")
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			l := limit.New(limit.Config{Limits: catalog.Limits{List: limits}, Environment: "production", Plan: plan.Limits{Headroom: plan.Percent(headroom), Wait: plan.Duration(20 * time.Second)}})
			start := time.Now()
			var all, search turns
			var wg sync.WaitGroup
			for i := range calls {
				time.Sleep(time.Duration(dice.IntN(300)) * time.Millisecond) // virtual time
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if dice.IntN(4) == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(dice.IntN(3000))*time.Millisecond)
				}
				searching := dice.IntN(3) == 0
				wg.Go(func() {
					defer cancel()
					path, to := "/other", &turns{}
					if searching {
						path, to = "/search/x", &search
					}
					if err := to.take(ctx, l, start, path, i); err != nil {
						return
					}
					all.mu.Lock()
					all.at = append(all.at, time.Since(start))
					all.mu.Unlock()
				})
			}
			wg.Wait()
			for i, kept := range [][]time.Duration{all.at, all.at, search.at} {
				share, window := limits[i].Limit*headroom/100, time.Duration(limits[i].Window)*time.Second
				if share == 0 { // less than one: one, in a longer window
					share = 1
				}
				if n := most(kept, window); n > share {
					t.Errorf("%s: %d turns in %s, want at most %d", limits[i].Name, n, window, share)
				}
			}
		})
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: perSecond(10)}, Environment: "production", Plan: plan.Limits{Headroom: 100}})
		start := time.Now()
		var got turns
		var wg sync.WaitGroup
		for i := range 45 {
			wg.Go(func() { _ = got.take(t.Context(), l, start, "/", i) })
			synctest.Wait() // it has its place before the next one comes
		}
		wg.Wait()
		for i, at := range got.at {
			if want := time.Duration(i/10) * time.Second; at != want {
				t.Errorf("turn %d at %s, want %s", i, at, want)
			}
		}
		for i := range got.who { // within one instant the order of noting is free
			if got.who[i]/10 != i/10 {
				t.Errorf("caller %d had turn %d", got.who[i], i)
			}
		}
	})
}

// One whose own limit is used up does not hold back those behind it.
func TestNoHeadOfLineBlocking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: []catalog.Limit{
			{Name: "all", Limit: 100, Window: 1, Scope: "account"},
			{Name: "search", Limit: 1, Window: 2, Scope: "account", Paths: []string{"/search"}},
		}}, Environment: "production", Plan: plan.Limits{Headroom: 100}})
		if _, err := l.Take(t.Context(), limit.Request{Path: "/search"}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if turn, err := l.Take(t.Context(), limit.Request{Path: "/search"}); turn.Waited != 2*time.Second || err != nil {
				t.Errorf("search waited %s, %v", turn.Waited, err)
			}
		})
		synctest.Wait()
		if turn, err := l.Take(t.Context(), limit.Request{Path: "/other"}); turn.Waited != 0 || err != nil {
			t.Errorf("the other waited %s, %v", turn.Waited, err)
		}
		wg.Wait()
	})
}

// R4.13: what would take too long is refused at once, with the time to come again.
func TestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: perSecond(1)}, Environment: "production", Plan: plan.Limits{Headroom: 100, Wait: plan.Duration(3 * time.Second)}})
		ctx, cancel := context.WithCancelCause(t.Context())
		start := time.Now()
		var wg sync.WaitGroup
		var got turns
		for i := range 4 {
			wg.Go(func() { _ = got.take(ctx, l, start, "/", i) })
			synctest.Wait()
		}
		refused := func(ctx context.Context, after time.Duration) {
			t.Helper()
			var r *limit.Refused
			if _, err := l.Take(ctx, limit.Request{Path: "/"}); !errors.As(err, &r) || r.RetryAfter != after || r.Limit != "all" {
				t.Errorf("%v, want a refusal for %s", err, after)
			}
			if time.Since(start) != 0 {
				t.Error("it waited before it was refused")
			}
		}
		refused(t.Context(), 4*time.Second)
		hurried, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer stop()
		refused(hurried, 4*time.Second)

		// Those who leave give their place to those behind.
		reason := errors.New("shutting down")
		cancel(reason)
		synctest.Wait()
		if n := len(got.at); n != 1 {
			t.Errorf("%d turns, want 1", n)
		}
		if turn, err := l.Take(t.Context(), limit.Request{Path: "/"}); turn.Waited != time.Second || err != nil {
			t.Errorf("waited %s, %v: the places of those who left were not given back", turn.Waited, err)
		}
		wg.Wait()
	})
}

func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: perSecond(1)}, Environment: "production", Plan: plan.Limits{Headroom: 100}})
		if _, err := l.Take(t.Context(), limit.Request{Path: "/"}); err != nil {
			t.Fatal(err)
		}
		reason := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(300*time.Millisecond, func() { cancel(reason) })
		if turn, err := l.Take(ctx, limit.Request{Path: "/"}); turn.Waited != 300*time.Millisecond || !errors.Is(err, reason) {
			t.Errorf("waited %s, %v", turn.Waited, err)
		}
	})
}

// R4.6: the provider's Retry-After holds everybody back, those who queue too,
// and lets nobody through early; afterwards the limit still holds.
func TestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: perSecond(10)}, Environment: "production", Plan: plan.Limits{Headroom: 100, Wait: plan.Duration(30 * time.Second)}})
		start := time.Now()
		var got turns
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() { _ = got.take(t.Context(), l, start, "/", i) })
		}
		synctest.Wait() // ten are through, twenty wait
		l.Pause(7 * time.Second)
		l.Pause(time.Second) // does not end the longer one
		wg.Wait()
		var early int
		for _, at := range got.at {
			if at > 0 && at < 7*time.Second {
				early++
			}
		}
		if early > 0 || most(got.at, time.Second) != 10 || slices.Max(got.at) != 8*time.Second {
			t.Errorf("turns at %v", got.at)
		}
		l.Pause(time.Hour)
		var r *limit.Refused
		if _, err := l.Take(t.Context(), limit.Request{Path: "/"}); !errors.As(err, &r) || r.Limit != "pause" || r.RetryAfter != time.Hour {
			t.Errorf("during a pause: %v", err)
		}
	})
}

// A pause that outlasts the patience of those who wait refuses them when it is
// used up, not later.
func TestPauseLongerThanPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: perSecond(1)}, Environment: "production", Plan: plan.Limits{Headroom: 100}})
		if _, err := l.Take(t.Context(), limit.Request{Path: "/"}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(100*time.Millisecond, func() { l.Pause(time.Minute) })
		var r *limit.Refused
		turn, err := l.Take(t.Context(), limit.Request{Path: "/"})
		waited := turn.Waited
		if waited != plan.DefaultLimitWait || !errors.As(err, &r) || r.RetryAfter < 50*time.Second {
			t.Errorf("waited %s, %v", waited, err)
		}
	})
}

// Without limits nobody waits, but for a pause.
func TestNoLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: nil}, Environment: "production", Plan: plan.Limits{}})
		for range 1000 {
			if turn, err := l.Take(t.Context(), limit.Request{Path: "/"}); turn.Waited != 0 || err != nil {
				t.Fatal(turn.Waited, err)
			}
		}
		l.Pause(time.Second)
		if turn, err := l.Take(t.Context(), limit.Request{Path: "/"}); turn.Waited != time.Second || err != nil {
			t.Error(turn.Waited, err)
		}
	})
}

// A very large limit is kept with bounded memory, and still never exceeded.
func TestLargeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Config{Limits: catalog.Limits{List: []catalog.Limit{{Name: "day", Limit: 200_001, Window: 86_400, Scope: "account"}}}, Environment: "production", Plan: plan.Limits{Headroom: 100}})
		n := 0
		for ; ; n++ {
			if n%1000 == 0 {
				time.Sleep(time.Second)
			}
			if _, err := l.Take(t.Context(), limit.Request{Path: "/"}); err != nil {
				break
			}
		}
		if n > 200_001 || n < 199_900 {
			t.Errorf("%d turns in a day", n)
		}
		time.Sleep(24 * time.Hour)
		again := 0
		for ; again < 200_002; again++ {
			if _, err := l.Take(t.Context(), limit.Request{Path: "/"}); err != nil {
				break
			}
		}
		if again > 200_001 || again < 199_900 {
			t.Errorf("%d turns on the next day", again)
		}
	})
}

func TestEnforced(t *testing.T) {
	t.Parallel()
	base := catalog.Limit{Name: "x", Limit: 10, Window: 1, Scope: "account"}
	with := func(change func(*catalog.Limit)) catalog.Limit {
		l := base
		change(&l)
		return l
	}
	for _, c := range []struct {
		limit       catalog.Limit
		environment string
		want        bool
	}{
		{base, "production", true},
		{base, "development", true},
		{with(func(l *catalog.Limit) { l.Environments = []string{"production"} }), "production", true},
		{with(func(l *catalog.Limit) { l.Environments = []string{"production"} }), "live", true},
		{with(func(l *catalog.Limit) { l.Environments = []string{"production"} }), "staging", false},
		{with(func(l *catalog.Limit) { l.Environments = []string{"sandbox"} }), "production", false},
		{with(func(l *catalog.Limit) { l.Environments = []string{"sandbox"} }), "development", true},
		{with(func(l *catalog.Limit) { l.Optional = true }), "production", false},
		{with(func(l *catalog.Limit) { l.Unit = "points" }), "production", true},
		{with(func(l *catalog.Limit) { l.Unit, l.Window = "concurrent", 0 }), "production", true},
		{with(func(l *catalog.Limit) { l.Unit = "requests" }), "production", true},
		{with(func(l *catalog.Limit) { l.Scope = "account+endpoint" }), "production", true},
		{with(func(l *catalog.Limit) { l.Scope = "account+object" }), "production", false},
		{with(func(l *catalog.Limit) { l.Window = 0 }), "production", false},
		{with(func(l *catalog.Limit) { l.Limit = -1 }), "production", false},
	} {
		ok, why := limit.Enforced(c.limit, c.environment)
		if ok != c.want || ok != (why == "") {
			t.Errorf("%+v in %s: %v, %q", c.limit, c.environment, ok, why)
		}
	}
}

func ExampleLimiter_Take() {
	l := limit.New(limit.Config{Limits: catalog.Limits{List: []catalog.Limit{{Name: "live", Limit: 100, Window: 1, Scope: "account"}}}, Environment: "production", Plan: plan.Limits{Wait: plan.Duration(time.Millisecond)}})
	let := 0
	for range 100 {
		if _, err := l.Take(context.Background(), limit.Request{Path: "/v1/customers"}); err == nil {
			let++
		}
	}
	fmt.Println(let)
	// Output: 80
}

func BenchmarkTake(b *testing.B) {
	l := limit.New(limit.Config{Limits: catalog.Limits{List: []catalog.Limit{{Name: "live", Limit: 1 << 30, Window: 1, Scope: "account"}, {Name: "day", Limit: 1 << 30, Window: 86400, Scope: "account"}}}, Environment: "production", Plan: plan.Limits{Headroom: 100}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Take(context.Background(), limit.Request{Path: "/v1/customers"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRate is golang.org/x/time/rate with the same two limits, to compare.
func BenchmarkRate(b *testing.B) {
	second, day := rate.NewLimiter(1<<30, 1<<30), rate.NewLimiter(1<<30, 1<<30)
	b.ReportAllocs()
	for b.Loop() {
		if second.Wait(context.Background()) != nil || day.Wait(context.Background()) != nil {
			b.Fatal("refused")
		}
	}
}
