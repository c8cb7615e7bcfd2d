package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/limittest"
	"github.com/sallyport/sallyport/plan"
)

var hundred = catalog.Limit{Name: "all", Limit: 100, Window: 1, Scope: "app"}

// drive has each limiter take turns: a closed loop of callers, each with its own
// pace, until the function returned is called.
func drive(ctx context.Context, record *limittest.Recorder, limiters []*limit.Limiter, callers []int, pace time.Duration, seed uint64) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i, n := range callers {
		for c := range n {
			wg.Go(func() {
				dice := rand.New(rand.NewPCG(seed, uint64(i*100+c)))
				for ctx.Err() == nil {
					_ = record.Take(ctx, limiters[i], limit.Request{})
					time.Sleep(time.Duration(dice.Int64N(int64(pace) + 1)))
				}
			})
		}
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// R4.13: when the ledger goes away, comes back, or comes back without memory,
// all instances together still never take more than the share in any window.
func TestNeverMoreInAnOutage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		callers := rapid.SliceOfN(rapid.IntRange(0, 20), 2, 4).Draw(rt, "callers of each instance")
		pace := rapid.SampledFrom([]time.Duration{0, 20 * time.Millisecond, 300 * time.Millisecond}).Draw(rt, "pace")
		seed := rapid.Uint64().Draw(rt, "seed")
		// Long enough for all to notice, or so short that nobody does.
		outages := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(2200, 4000), rapid.Just(0)), 1, 2).Draw(rt, "outages in ms")
		forgets := rapid.Bool().Draw(rt, "forgets")
		most := 0
		synctest.Test(t, func(t *testing.T) {
			r := &remote{dice: rand.New(rand.NewPCG(seed, 1)), delay: time.Millisecond}
			limiters := open(t, r, len(callers), time.Hour, hundred)
			time.Sleep(3 * time.Second) // each knows how many there are
			var record limittest.Recorder
			stop := drive(t.Context(), &record, limiters, callers, pace, seed)
			for _, ms := range outages {
				time.Sleep(1500*time.Millisecond + time.Duration(ms)*time.Millisecond/7)
				r.set(ms > 0)
				if forgets {
					r.Forget()
				}
				time.Sleep(time.Duration(ms) * time.Millisecond)
				r.set(false)
			}
			time.Sleep(3 * time.Second)
			stop()
			most = limittest.Most(record.Turns(), time.Second)
			for _, l := range limiters {
				_ = l.Close(context.Background())
			}
		})
		if most > hundred.Limit {
			rt.Errorf("%d turns in a second, want at most %d", most, hundred.Limit)
		}
	})
}

// Without the ledger each instance has an even part and nobody waits for it;
// there is one warning, and one word when it is back.
func TestEvenPartInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{dice: rand.New(rand.NewPCG(1, 1)), delay: time.Millisecond}
		var said bytes.Buffer
		limiters := make([]*limit.Limiter, 4)
		for i := range limiters {
			log := slog.New(slog.DiscardHandler)
			if i == 0 {
				log = slog.New(slog.NewTextHandler(&said, nil))
			}
			limiters[i] = limit.New(limit.Config{
				Limits: catalog.Limits{List: []catalog.Limit{hundred}}, Environment: "production", Plan: plan.Limits{Headroom: 100, Wait: 1},
				Shared: &limit.Shared{Ledger: r, Log: log},
			})
		}
		time.Sleep(3 * time.Second)
		r.set(true)
		time.Sleep(3 * time.Second) // the beats find out
		for i, l := range limiters {
			start, n := time.Now(), 0
			for range 100 {
				if _, err := l.Take(t.Context(), limit.Request{}); err == nil {
					n++
				}
			}
			if n != 25 || time.Since(start) != 0 {
				t.Errorf("instance %d had %d turns in %s, want 25 at once", i, n, time.Since(start))
			}
		}
		synctest.Wait()
		if n := strings.Count(said.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, &said)
		}
		r.set(false)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if n := strings.Count(said.String(), "limits are shared again"); n != 1 {
			t.Errorf("told %d times that it is over:\n%s", n, &said)
		}
		n := 0
		for range 20 { // one alone has all of it again, after some round trips
			for range 100 {
				if _, err := limiters[2].Take(t.Context(), limit.Request{}); err == nil {
					n++
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n < 95 || n > 100 {
			t.Errorf("%d turns of one instance alone, want all", n)
		}
		for _, l := range limiters {
			_ = l.Close(context.Background())
		}
	})
}

// hung is a ledger that never answers.
type hung struct{}

func (hung) Settle(ctx context.Context, _ *limit.Settlement) (*limit.Settled, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// No call waits for a ledger that hangs, but for the first ones, a moment.
func TestHungLedger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, hung{}, 1, time.Hour, hundred)[0]
		if turn, err := l.Take(t.Context(), limit.Request{}); err != nil || turn.Waited > limit.DefaultPatience {
			t.Errorf("the first waited %s, %v", turn.Waited, err)
		}
		for i := range 99 {
			if turn, err := l.Take(t.Context(), limit.Request{}); err != nil || turn.Waited > 0 {
				t.Fatalf("turn %d waited %s, %v", i, turn.Waited, err)
			}
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
	})
}

// R4.13: what the provider asks of one holds back all.
func TestPauseIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{dice: rand.New(rand.NewPCG(1, 1)), delay: time.Millisecond}
		limiters := open(t, r, 3, time.Hour, hundred)
		for _, l := range limiters {
			if _, err := l.Take(t.Context(), limit.Request{}); err != nil {
				t.Fatal(err)
			}
		}
		limiters[0].Pause(10 * time.Second)
		time.Sleep(beat)
		var wg sync.WaitGroup
		for i, l := range limiters {
			wg.Go(func() {
				turn, err := l.Take(t.Context(), limit.Request{})
				if err != nil || turn.Waited < 7*time.Second || turn.Waited > 10*time.Second {
					t.Errorf("instance %d waited %s, %v", i, turn.Waited, err)
				}
			})
		}
		wg.Wait()
		for _, l := range limiters {
			_ = l.Close(context.Background())
		}
	})
}

const beat = 2100 * time.Millisecond

// Uneven load: one that wants little gets it, those that want much get equal
// parts.
func TestFairBetweenInstances(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{dice: rand.New(rand.NewPCG(1, 1)), delay: time.Millisecond}
		limiters := open(t, r, 3, time.Hour, hundred)
		records := make([]limittest.Recorder, 3)
		var stops []func()
		for i, callers := range []int{300, 300, 10} { // the last one's want about ten a second
			pace := time.Duration(0)
			if i == 2 {
				pace = time.Second
			}
			stops = append(stops, drive(t.Context(), &records[i], limiters[i:i+1], []int{callers}, pace, 1))
		}
		time.Sleep(20 * time.Second)
		for _, stop := range stops {
			stop()
		}
		few, a, b := len(records[2].Turns()), len(records[0].Turns()), len(records[1].Turns())
		if few < 100 {
			t.Errorf("the one that wants little had %d turns in 20s", few)
		}
		t.Logf("%d, %d and %d turns", a, b, few)
		if min(a, b)*10 < max(a, b)*7 {
			t.Errorf("%d and %d turns of those that want much", a, b)
		}
		if all := a + b + few; all < 1900 {
			t.Errorf("%d turns of 2000", all)
		}
		for _, l := range limiters {
			_ = l.Close(context.Background())
		}
	})
}

// What is held and not needed is given back: by Close, and after a while of
// quiet.
func TestGivenBack(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]bool{"closed": true, "quiet": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &remote{dice: rand.New(rand.NewPCG(1, 1)), delay: time.Millisecond}
				day := catalog.Limit{Name: "day", Limit: 1000, Window: 86400, Scope: "app"}
				limiters := open(t, r, 2, time.Nanosecond, day)
				taken := 0
				for range 200 {
					if _, err := limiters[0].Take(t.Context(), limit.Request{}); err == nil {
						taken++
					}
					time.Sleep(5 * time.Millisecond)
				}
				if closes {
					if err := limiters[0].Close(t.Context()); err != nil {
						t.Fatal(err)
					}
				} else {
					time.Sleep(time.Minute)
				}
				for range 3000 {
					if _, err := limiters[1].Take(t.Context(), limit.Request{}); err == nil {
						taken++
					}
					time.Sleep(2 * time.Millisecond)
				}
				if taken != 1000 {
					t.Errorf("%d turns of 1000 were had", taken)
				}
				for _, l := range limiters {
					_ = l.Close(context.Background())
				}
			})
		})
	}
}

// R4.14: what one instance learns holds for all, and calls of other instances
// are not taken for those of strangers.
func TestLearnIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{dice: rand.New(rand.NewPCG(1, 1)), delay: time.Millisecond}
		minute := catalog.Limit{Name: "minute", Limit: 100, Window: 60, Scope: "app"}
		limiters := open(t, r, 2, time.Nanosecond, minute)
		taken := func(l *limit.Limiter, tries int) (n int) {
			for range tries {
				if _, err := l.Take(t.Context(), limit.Request{}); err == nil {
					n++
				}
				time.Sleep(10 * time.Millisecond)
			}
			return n
		}
		a, b := taken(limiters[0], 31), taken(limiters[1], 31)
		told := http.Header{}
		told.Set("X-RateLimit-Limit", "100")
		told.Set("X-RateLimit-Remaining", "20") // strangers took about 20
		told.Set("X-RateLimit-Reset", "50")
		limiters[0].Learn(limit.Request{}, told)
		// What the other instance had in hand already when the first one learned is
		// used: at most a grant of ten or so.
		if more := taken(limiters[1], 100) + taken(limiters[0], 10); more < 10 || more > 32 || a+b+more > 81 {
			t.Errorf("%d and %d turns before, %d after 20 were left", a, b, more)
		}
		for _, l := range limiters {
			_ = l.Close(context.Background())
		}
	})
}
