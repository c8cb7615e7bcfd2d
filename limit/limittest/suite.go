package limittest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/plan"
)

// Open opens n Limiters that share their limits, each as one instance would. It
// closes them when the test ends.
type Open func(t testing.TB, n int, c limit.Config) []*limit.Limiter

// Run holds what Open opens to the rules, by the clock on the wall: it takes some
// seconds.
func Run(t *testing.T, open Open) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Open){
		"never more than the share":   neverMore,
		"no more than is left":        quota,
		"all limits hold together":    together,
		"each tenant has its own":     tenants,
		"costs count":                 costs,
		"a pause holds back all":      pause,
		"a burst is smaller":          burst,
		"those who leave give back":   leave,
		"observe lets all through":    observe,
		"what is learnt holds at all": learn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

func config(wait time.Duration, limits ...catalog.Limit) limit.Config {
	return limit.Config{Limits: catalog.Limits{List: limits}, Environment: "production", Plan: plan.Limits{Headroom: 80, Wait: plan.Duration(wait), Queue: 10_000}}
}

// R4.13: uneven load, all of it more than the limit.
func neverMore(t *testing.T, open Open) {
	const length = 2500 * time.Millisecond
	limiters := open(t, 3, config(time.Minute, catalog.Limit{Name: "second", Limit: 250, Window: 1, Scope: "account"}))
	var record Recorder
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(length, cancel)
	var wg sync.WaitGroup
	for i, callers := range []int{200, 20, 1} {
		wg.Go(func() { record.Saturate(ctx, t, limiters[i], callers, limit.Request{}) })
	}
	wg.Wait()
	turns := record.Turns()
	if most := Most(turns, time.Second); most > 200 {
		t.Errorf("%d turns in a second, want 200", most)
	}
	if len(turns) < 500 || len(turns) > 600 {
		t.Errorf("%d turns in %s, want three times 200, less what a slow machine loses", len(turns), length)
	}
}

// attempts has each Limiter try as often as is told, at a pace that leaves time
// to ask for more, and counts turns.
func attempts(t *testing.T, limiters []*limit.Limiter, each int, q limit.Request) (turns int) {
	t.Helper()
	for range each {
		for _, l := range limiters {
			_, err := l.Take(t.Context(), q)
			var refused *limit.Refused
			switch {
			case err == nil:
				turns++
			case !errors.As(err, &refused) || refused.RetryAfter <= 0:
				t.Fatalf("neither a turn nor a refusal with a time: %v", err)
			}
		}
		pace(t)
	}
	return turns
}

// pace gives other goroutines and servers a moment.
func pace(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(2 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func quota(t *testing.T, open Open) {
	limiters := open(t, 3, config(50*time.Millisecond, catalog.Limit{Name: "day", Limit: 100, Window: 86400, Scope: "account"}))
	if n := attempts(t, limiters, 100, limit.Request{}); n != 80 {
		t.Errorf("%d turns of a day, want 80", n)
	}
}

func together(t *testing.T, open Open) {
	limiters := open(t, 2, config(
		20*time.Millisecond,
		catalog.Limit{Name: "hour", Limit: 50, Window: 3600, Scope: "account"},
		catalog.Limit{Name: "search", Limit: 10, Window: 3600, Scope: "account", Paths: []string{"/search"}},
	))
	if n := attempts(t, limiters, 20, limit.Request{Path: "/search"}); n != 8 {
		t.Errorf("%d searches, want 8", n)
	}
	if n := attempts(t, limiters, 50, limit.Request{Path: "/other"}); n != 32 {
		t.Errorf("%d others, want the rest of 40", n)
	}
}

func tenants(t *testing.T, open Open) {
	limiters := open(t, 2, config(20*time.Millisecond, catalog.Limit{Name: "user", Limit: 10, Window: 3600, Scope: "user"}))
	for _, tenant := range []string{"a", "b", "b/0.", ""} {
		if n := attempts(t, limiters, 10, limit.Request{Tenant: tenant}); n != 8 {
			t.Errorf("tenant %q: %d turns, want 8", tenant, n)
		}
	}
}

func costs(t *testing.T, open Open) {
	limiters := open(t, 2, config(20*time.Millisecond, catalog.Limit{Name: "points", Limit: 100, Window: 3600, Scope: "account", Unit: "points"}))
	if n := attempts(t, limiters, 10, limit.Request{Cost: 9.5}); n != 8 {
		t.Errorf("%d turns of 9.5 points, want 8 of 80 points", n)
	}
	if n := attempts(t, limiters, 10, limit.Request{Cost: 0.5}); n != 8 {
		t.Errorf("%d turns of half a point, want the rest, 8", n)
	}
}

func pause(t *testing.T, open Open) {
	limiters := open(t, 2, config(time.Minute, catalog.Limit{Name: "second", Limit: 1000, Window: 1, Scope: "account"}))
	for _, l := range limiters {
		if _, err := l.Take(t.Context(), limit.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	limiters[0].Pause(3 * time.Second)
	var wg sync.WaitGroup
	for i, l := range limiters {
		wg.Go(func() {
			// The news may take a while; then nobody is let through.
			for heard := false; !heard; {
				turn, err := l.Take(t.Context(), limit.Request{})
				if err != nil {
					t.Error(err)
					return
				}
				heard = turn.Waited > 500*time.Millisecond
				if late := time.Since(start); late > 2500*time.Millisecond && !heard {
					t.Errorf("instance %d had a turn %s after the pause began", i, late)
					return
				}
				pace(t)
			}
			if took := time.Since(start); took < 2900*time.Millisecond {
				t.Errorf("instance %d had its turn after %s, want 3s", i, took)
			}
		})
	}
	wg.Wait()
}

func burst(t *testing.T, open Open) {
	limiters := open(t, 2, config(time.Minute, catalog.Limit{Name: "minute", Limit: 600, Window: 60, Burst: 10, Scope: "account"}))
	var record Recorder
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(2200*time.Millisecond, cancel)
	var wg sync.WaitGroup
	for _, l := range limiters {
		wg.Go(func() { record.Saturate(ctx, t, l, 20, limit.Request{}) })
	}
	wg.Wait()
	if most := Most(record.Turns(), time.Second); most > 8 {
		t.Errorf("%d turns in a second, want the burst's 8", most)
	}
	if n := len(record.Turns()); n < 16 || n > 24 {
		t.Errorf("%d turns in 2.2s, want 24", n)
	}
}

func leave(t *testing.T, open Open) {
	limiters := open(t, 2, config(20*time.Millisecond, catalog.Limit{Name: "hour", Limit: 100, Window: 3600, Scope: "account"}))
	n := attempts(t, limiters[:1], 30, limit.Request{})
	if err := limiters[0].Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n += attempts(t, limiters[1:], 100, limit.Request{}); n != 80 {
		t.Errorf("%d turns, want 80: what was not used is given back", n)
	}
}

func observe(t *testing.T, open Open) {
	c := config(time.Minute, catalog.Limit{Name: "hour", Limit: 10, Window: 3600, Scope: "account"})
	c.Plan.Mode = "observe"
	limiters := open(t, 2, c)
	start := time.Now()
	for i := range 40 {
		if turn, err := limiters[i%2].Take(t.Context(), limit.Request{}); err != nil || turn.Waited > 0 {
			t.Fatal(turn.Waited, err)
		}
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	}
	if limiters[0].State()[0].Observed+limiters[1].State()[0].Observed == 0 {
		t.Error("nobody was counted who had to wait otherwise")
	}
}

func learn(t *testing.T, open Open) {
	limiters := open(t, 2, config(20*time.Millisecond, catalog.Limit{Name: "hour", Limit: 100, Window: 3600, Scope: "account"}))
	n := attempts(t, limiters, 5, limit.Request{}) // 10
	h := map[string][]string{"X-Ratelimit-Limit": {"100"}, "X-Ratelimit-Remaining": {fmt.Sprint(50)}, "X-Ratelimit-Reset": {"1800"}}
	limiters[0].Learn(limit.Request{}, h) // others took 40; 30 are left of our 80
	n += attempts(t, limiters, 50, limit.Request{})
	if n < 35 || n > 40 {
		t.Errorf("%d turns, want 10 and the 30 that are left, less what was held then", n)
	}
}
