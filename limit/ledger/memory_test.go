package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/ledger"
	"github.com/sallyport/sallyport/limit/limittest"
	"github.com/sallyport/sallyport/plan"
)

// remote is a ledger at the other end of a wire that takes its time.
type remote struct {
	ledger.Memory
	mu    sync.Mutex
	dice  *rand.Rand
	delay time.Duration // of each way, at most
	down  bool
}

var errDown = errors.New("connection refused")

func (r *remote) way() (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.dice.Int64N(int64(r.delay) + 1)), r.down
}

func (r *remote) set(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *remote) Settle(ctx context.Context, s *limit.Settlement) (*limit.Settled, error) {
	there, down := r.way()
	time.Sleep(there)
	if down {
		return nil, errDown
	}
	answer, err := r.Memory.Settle(ctx, s)
	back, _ := r.way()
	time.Sleep(back)
	return answer, err
}

func open(t testing.TB, l limit.Ledger, n int, wait time.Duration, limits ...catalog.Limit) []*limit.Limiter {
	t.Helper()
	opened := make([]*limit.Limiter, n)
	for i := range opened {
		opened[i] = limit.New(limit.Config{
			Limits: catalog.Limits{List: limits}, Environment: "production", Plan: plan.Limits{Headroom: 100, Wait: plan.Duration(wait), Queue: 100_000},
			Shared: &limit.Shared{Ledger: l},
		})
	}
	return opened
}

// R4.13: whatever the load and however it is spread, all instances together
// never take more than the share in any window.
func TestNeverMoreThanTheShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.SampledFrom([]int{1, 3, 20, 100, 1000}).Draw(rt, "limit")
		window := rapid.SampledFrom([]int{1, 5}).Draw(rt, "window")
		callers := rapid.SliceOfN(rapid.IntRange(0, 8), 1, 5).Draw(rt, "callers of each instance")
		pace := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Millisecond, 400 * time.Millisecond}).Draw(rt, "pace")
		seed := rapid.Uint64().Draw(rt, "seed")
		most := 0
		synctest.Test(t, func(t *testing.T) {
			r := &remote{dice: rand.New(rand.NewPCG(seed, 1)), delay: 2 * time.Millisecond}
			limiters := open(t, r, len(callers), time.Hour, catalog.Limit{Name: "all", Limit: size, Window: window, Scope: "app"})
			var record limittest.Recorder
			ctx, cancel := context.WithCancel(t.Context()) // callers that know no deadline
			time.AfterFunc(time.Duration(4*window)*time.Second, cancel)
			var wg sync.WaitGroup
			for i, n := range callers {
				for c := range n {
					wg.Go(func() {
						dice := rand.New(rand.NewPCG(seed, uint64(i*100+c)))
						for ctx.Err() == nil {
							_ = record.Take(ctx, limiters[i], limit.Request{})
							if pace > 0 {
								time.Sleep(time.Duration(dice.Int64N(int64(pace))))
							}
						}
					})
				}
			}
			wg.Wait()
			most = limittest.Most(record.Turns(), time.Duration(window)*time.Second)
			for _, l := range limiters {
				_ = l.Close(context.Background())
			}
		})
		if most > size {
			rt.Errorf("%d turns in %ds, want at most %d", most, window, size)
		}
	})
}

// Nothing of the share is wasted, evenly loaded or not, and most turns need no
// round trip.
func TestTheShareIsUsed(t *testing.T) {
	t.Parallel()
	for _, callers := range [][]int{{1000}, {300, 300, 300, 300}, {1000, 1000}, {2000, 10, 10, 10}} {
		t.Run(fmt.Sprint(callers), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &remote{dice: rand.New(rand.NewPCG(1, 1)), delay: 300 * time.Microsecond}
				limiters := open(t, r, len(callers), time.Hour, catalog.Limit{Name: "all", Limit: 1000, Window: 1, Scope: "app"})
				var record limittest.Recorder
				const length = 10 * time.Second
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(length, cancel)
				var wg sync.WaitGroup
				for i, n := range callers {
					wg.Go(func() { record.Saturate(ctx, t, limiters[i], n, limit.Request{}) })
				}
				wg.Wait()
				turns := record.Turns()
				if n := limittest.Most(turns, time.Second); n > 1000 {
					t.Errorf("%d turns in a second", n)
				}
				var trips float64
				for _, l := range limiters {
					trips += float64(l.Trips())
					_ = l.Close(context.Background())
				}
				used := float64(len(turns)) / 1000 / length.Seconds()
				t.Logf("%.4f of the share used, %.3f round trips for each turn", used, trips/float64(len(turns)))
				if used < 0.995 {
					t.Errorf("%.4f of the share used", used)
				}
				if trips/float64(len(turns)) > 0.2 {
					t.Errorf("%.3f round trips for each turn", trips/float64(len(turns)))
				}
			})
		})
	}
}

// R4.12: tenants that come, go and come again are counted as one each.
func TestManyTenants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{dice: rand.New(rand.NewPCG(1, 1)), delay: time.Millisecond}
		limiters := open(t, r, 2, time.Hour, catalog.Limit{Name: "user", Limit: 2, Window: 5, Scope: "user"})
		turns := map[string]*limittest.Recorder{}
		for round := range 6 {
			for i := range 150 {
				tenant := fmt.Sprint(i)
				if turns[tenant] == nil {
					turns[tenant] = &limittest.Recorder{}
				}
				var wg sync.WaitGroup
				for n := range 1 + (i+round)%2 {
					wg.Go(func() {
						if err := turns[tenant].Take(t.Context(), limiters[n], limit.Request{Tenant: tenant}); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
			}
			time.Sleep(time.Duration(round%3) * 6 * time.Second)
		}
		for tenant, record := range turns {
			if n := limittest.Most(record.Turns(), 5*time.Second); n > 2 {
				t.Errorf("tenant %s had %d turns in 5s", tenant, n)
			}
		}
		for _, l := range limiters {
			s := l.State()[0]
			if !s.Shared || s.Alone || s.Buckets > 300 {
				t.Errorf("%+v", s)
			}
			_ = l.Close(context.Background())
		}
	})
}

// BenchmarkTake is a turn that needs no round trip.
func BenchmarkTake(b *testing.B) {
	l := open(b, &ledger.Memory{}, 1, time.Hour, catalog.Limit{Name: "all", Limit: 1 << 30, Window: 1, Scope: "app"})[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Take(b.Context(), limit.Request{Path: "/", Method: "GET"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(l.Trips())/float64(b.N), "trips/op")
	_ = l.Close(context.Background())
}
