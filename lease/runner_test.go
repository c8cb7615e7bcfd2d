package lease_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/lease/leasetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type config = lease.Config[leasetest.Item, leasetest.Outcome]

// bench is a runner on a queue in memory, inside a synctest bubble: time moves
// only when all is still, so instants can be compared exactly.
type bench struct {
	*testing.T
	queue  *leasetest.Memory
	runner *lease.Runner[leasetest.Item, leasetest.Outcome]
	log    *bytes.Buffer
	stop   context.CancelFunc
	ended  chan struct{}
}

func start(t *testing.T, queue *leasetest.Memory, c config) *bench {
	t.Helper()
	b := &bench{T: t, queue: queue, log: &bytes.Buffer{}, ended: make(chan struct{})}
	c.Queue = queue
	c.Released = leasetest.Outcome{Released: true}
	if c.Panicked == nil {
		c.Panicked = func(_ leasetest.Item, cause any) leasetest.Outcome {
			return leasetest.Outcome{Note: fmt.Sprint("panicked: ", cause)}
		}
	}
	c.Log = slog.New(slog.NewTextHandler(b.log, nil))
	var err error
	if b.runner, err = lease.New(c); err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, b.stop = context.WithCancel(t.Context())
	go func() {
		defer close(b.ended)
		b.runner.Run(ctx)
	}()
	return b
}

// end stops the runner and waits for it.
func (b *bench) end() {
	b.stop()
	<-b.ended
}

func (b *bench) state(id string, want leasetest.State) {
	b.Helper()
	if got := b.queue.State(id); got != want {
		b.Errorf("%s stands at %+v, want %+v", id, got, want)
	}
}

// after sleeps in the bubble and lets everything settle.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func finish(context.Context, leasetest.Item) leasetest.Outcome {
	return leasetest.Outcome{Note: "done"}
}

var finished = leasetest.State{Attempts: 1, Finished: true, Note: "done"}

// R5.8: what is due is worked on, once each, and never more than Workers at once.
func TestRunnerWorksThroughTheBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		var ids []string
		for range 500 {
			ids = append(ids, queue.Add(time.Now()))
		}
		var running, most atomic.Int64
		var mu sync.Mutex
		times := map[string]int{}
		b := start(t, queue, config{Workers: 5, Handle: func(_ context.Context, i leasetest.Item) leasetest.Outcome {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Millisecond)
			mu.Lock()
			times[i.ID]++
			mu.Unlock()
			return leasetest.Outcome{Note: "done"}
		}})
		after(105 * time.Millisecond) // 500 rows, 5 at a time, a millisecond each
		b.end()
		for _, id := range ids {
			b.state(id, finished)
			if times[id] != 1 {
				t.Errorf("%s was worked on %d times", id, times[id])
			}
		}
		if most.Load() != 5 {
			t.Errorf("%d at once, want 5", most.Load())
		}
	})
}

// New work is picked up at once when announced, within Poll otherwise.
func TestRunnerWakesAndPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		b := start(t, queue, config{Handle: finish, Poll: time.Second})
		after(300 * time.Millisecond)
		announced := queue.Add(time.Now())
		b.runner.Wake()
		b.runner.Wake() // any number of times
		synctest.Wait() // no time passes
		b.state(announced, finished)
		silent := queue.Add(time.Now())
		synctest.Wait()
		b.state(silent, leasetest.State{})
		after(time.Second)
		b.state(silent, finished)
		b.end()
	})
}

// R5.10: a row is worked on when it falls due, not at the next poll; also one
// whose time was set by an outcome.
func TestRunnerKeepsDueTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		begin := time.Now()
		id := queue.Add(begin.Add(130 * time.Millisecond))
		var at []time.Duration
		b := start(t, queue, config{Poll: time.Minute, Handle: func(context.Context, leasetest.Item) leasetest.Outcome {
			at = append(at, time.Since(begin))
			if len(at) < 3 {
				return leasetest.Outcome{Note: "again", Again: time.Now().Add(70 * time.Millisecond)}
			}
			return leasetest.Outcome{Note: "done"}
		}})
		after(time.Second)
		if want := []time.Duration{130 * time.Millisecond, 200 * time.Millisecond, 270 * time.Millisecond}; !slices.Equal(at, want) {
			t.Errorf("worked on at %v, want %v", at, want)
		}
		b.state(id, leasetest.State{Attempts: 3, Finished: true, Note: "done"})
		b.end()
	})
}

// A handler that takes many terms keeps its row: nobody else gets it.
func TestRunnerRenews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		id := queue.Add(time.Now())
		var times atomic.Int64
		slow := config{Term: 3 * time.Second, Handle: func(context.Context, leasetest.Item) leasetest.Outcome {
			times.Add(1)
			time.Sleep(time.Minute)
			return leasetest.Outcome{Note: "done"}
		}}
		one, two := start(t, queue, slow), start(t, queue, slow)
		after(2 * time.Minute)
		if times.Load() != 1 {
			t.Errorf("worked on %d times", times.Load())
		}
		one.state(id, finished)
		one.end()
		two.end()
	})
}

// What is written is forgotten: nothing is renewed or held for it any more.
func TestRunnerForgetsWhatIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var renewed atomic.Int64
		queue := &leasetest.Memory{Fail: func(operation string, keys []lease.Key) error {
			if operation == "renew" {
				renewed.Add(int64(len(keys)))
			}
			return nil
		}}
		for range 100 {
			queue.Add(time.Now())
		}
		b := start(t, queue, config{Term: 3 * time.Second, Handle: finish})
		after(time.Minute)
		b.end()
		if n := renewed.Load(); n != 0 {
			t.Errorf("%d leases of finished rows were renewed", n)
		}
		if strings.Contains(b.log.String(), "lease.") {
			t.Errorf("quiet work was logged: %s", b.log.String())
		}
	})
}

// A crashed process's rows are worked on by another within a term.
func TestRunnerTakesOverFromTheDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		id := queue.Add(time.Now())
		if held, err := queue.Claim(t.Context(), lease.Claim{Owner: "dead", Now: time.Now(), Until: time.Now().Add(15 * time.Second), Limit: 1}); len(held) != 1 {
			t.Fatal(held, err)
		}
		b := start(t, queue, config{Handle: finish})
		after(15*time.Second - time.Millisecond)
		b.state(id, leasetest.State{Owner: "dead", Attempts: 1})
		after(2 * time.Millisecond)
		b.state(id, leasetest.State{Attempts: 2, Finished: true, Note: "done"})
		b.end()
	})
}

// Work on a row that became another's is told so and what it says is not written.
func TestRunnerLosesALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		id := queue.Add(time.Now())
		var cause error
		b := start(t, queue, config{Owner: "slow", Workers: 1, Term: 3 * time.Second, Handle: func(ctx context.Context, _ leasetest.Item) leasetest.Outcome {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return leasetest.Outcome{Note: "too late"}
		}})
		synctest.Wait()
		stolen, err := queue.Claim(t.Context(), lease.Claim{Owner: "thief", Now: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour), Limit: 1})
		if err != nil || len(stolen) != 1 {
			t.Fatal(stolen, err)
		}
		after(1100 * time.Millisecond) // a third of a term
		if !errors.Is(cause, lease.ErrLost) {
			t.Errorf("the context ended with %v, want ErrLost", cause)
		}
		b.state(id, leasetest.State{Owner: "thief", Attempts: 2})
		b.end()
		if !strings.Contains(b.log.String(), "lease.lost") {
			t.Error("the loss was not logged")
		}
	})
}

// When the store can't be reached for a whole term, the work stops: another
// may have the row by now.
func TestRunnerStopsWorkItCantRenew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("store is away")
		queue := &leasetest.Memory{Fail: func(operation string, _ []lease.Key) error {
			if operation == "renew" {
				return down
			}
			return nil
		}}
		queue.Add(time.Now())
		begin := time.Now()
		var took time.Duration
		var cause error
		b := start(t, queue, config{Workers: 1, Term: 3 * time.Second, Handle: func(ctx context.Context, _ leasetest.Item) leasetest.Outcome {
			<-ctx.Done()
			if took == 0 {
				took, cause = time.Since(begin), context.Cause(ctx)
			}
			return leasetest.Outcome{}
		}})
		after(3500 * time.Millisecond)
		if took != 3*time.Second || !errors.Is(cause, lease.ErrLost) {
			t.Errorf("stopped after %s with %v, want 3s and ErrLost", took, cause)
		}
		b.end()
	})
}

// Stopping, first step: what is in hand finishes and is written, what was not
// begun is given back uncounted, and nothing new is claimed.
func TestRunnerStopsGently(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		var ids []string
		for range 6 {
			ids = append(ids, queue.Add(time.Now()))
		}
		var handled atomic.Int64
		b := start(t, queue, config{Workers: 2, Grace: 10 * time.Second, Handle: func(ctx context.Context, _ leasetest.Item) leasetest.Outcome {
			handled.Add(1)
			time.Sleep(4 * time.Second)
			if ctx.Err() != nil {
				return leasetest.Outcome{Note: "cut short"}
			}
			return leasetest.Outcome{Note: "done"}
		}})
		after(time.Second)
		began := time.Now()
		b.end()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("stopped after %s, want the 3s that work was in hand", took)
		}
		if handled.Load() != 2 {
			t.Errorf("%d rows were begun, want 2", handled.Load())
		}
		for i, id := range ids {
			if i < 2 {
				b.state(id, finished)
			} else {
				b.state(id, leasetest.State{})
			}
		}
	})
}

// Stopping, second step: after the grace, work is told to stop and why; Run
// still waits for it and writes what it says.
func TestRunnerStopsHard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		id := queue.Add(time.Now())
		var cause error
		b := start(t, queue, config{Grace: 2 * time.Second, Handle: func(ctx context.Context, _ leasetest.Item) leasetest.Outcome {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(time.Second) // to put things in order
			return leasetest.Outcome{Released: true, Note: "put down"}
		}})
		after(time.Second)
		began := time.Now()
		b.end()
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("stopped after %s, want the grace of 2s and the second it took", took)
		}
		if !errors.Is(cause, lease.ErrStopping) {
			t.Errorf("the context ended with %v, want ErrStopping", cause)
		}
		b.state(id, leasetest.State{Note: "put down"})
	})
}

// A negative grace waits for all.
func TestRunnerWaitsForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		id := queue.Add(time.Now())
		b := start(t, queue, config{Grace: -1, Handle: func(ctx context.Context, _ leasetest.Item) leasetest.Outcome {
			time.Sleep(time.Hour)
			if ctx.Err() != nil {
				return leasetest.Outcome{Note: "cut short"}
			}
			return leasetest.Outcome{Note: "done"}
		}})
		after(time.Second)
		b.end()
		b.state(id, finished)
	})
}

// A panic is one row's outcome, not the end of the process.
func TestRunnerSurvivesAPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		bad, good := queue.Add(time.Now()), queue.Add(time.Now())
		b := start(t, queue, config{Workers: 1, Handle: func(_ context.Context, i leasetest.Item) leasetest.Outcome {
			if i.ID == bad {
				panic("no such luck")
			}
			return leasetest.Outcome{Note: "done"}
		}})
		after(time.Second)
		b.end()
		b.state(bad, leasetest.State{Attempts: 1, Finished: true, Note: "panicked: no such luck"})
		b.state(good, finished)
		if log := b.log.String(); !strings.Contains(log, "lease.panicked") || !strings.Contains(log, "runner_test.go") {
			t.Errorf("the panic's place is not in the log: %s", log)
		}
	})
}

// A store that fails for a while costs time, not outcomes.
func TestRunnerOutlastsAFailingStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		var calls atomic.Int64
		queue := &leasetest.Memory{Fail: func(string, []lease.Key) error {
			calls.Add(1)
			if down.Load() {
				return errors.New("disk on fire")
			}
			return nil
		}}
		id := queue.Add(time.Now())
		b := start(t, queue, config{Workers: 1, Handle: func(context.Context, leasetest.Item) leasetest.Outcome {
			down.Store(true)
			return leasetest.Outcome{Note: "done"}
		}})
		after(20 * time.Second)
		if n := calls.Load(); n < 5 || n > 30 {
			t.Errorf("asked a store that is down %d times in 20s", n)
		}
		down.Store(false)
		after(5 * time.Second)
		b.state(id, leasetest.State{Owner: b.runner.Owner, Attempts: 1})
		down.Store(false)
		after(5 * time.Second)
		b.state(id, finished)
		b.end()
	})
}

// An outcome that the store refuses does not take its neighbours down.
func TestRunnerIsolatesARefusedOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var poison string
		queue := &leasetest.Memory{Fail: func(operation string, keys []lease.Key) error {
			if operation == "complete" && slices.ContainsFunc(keys, func(k lease.Key) bool { return k.ID == poison }) {
				return errors.New("refused")
			}
			return nil
		}}
		poison = queue.Add(time.Now())
		var ids []string
		for range 20 {
			ids = append(ids, queue.Add(time.Now()))
		}
		b := start(t, queue, config{Handle: finish, Term: 10 * time.Second})
		after(12 * time.Second)
		for _, id := range ids {
			b.state(id, finished)
		}
		if s := queue.State(poison); s.Finished {
			t.Error("the refused outcome was written")
		}
		b.end()
	})
}

func TestNewChecksItsConfig(t *testing.T) {
	t.Parallel()
	_, err := lease.New(config{Workers: -1, Term: -1})
	if err == nil {
		t.Fatal("an empty config was taken")
	}
	for _, want := range []string{"Queue", "Handle", "Panicked", "Workers", "Term"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}

// R5.8: a row that is given back and lent again under the same key at once stays
// in hand: it is renewed, and nobody else gets it.
func TestRunnerKeepsWhatIsLentAgainAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &leasetest.Memory{}
		id := queue.Add(time.Now())
		var turns atomic.Int64
		b := start(t, queue, config{Term: time.Second, Handle: func(context.Context, leasetest.Item) leasetest.Outcome {
			if turns.Add(1) <= 3 {
				return leasetest.Outcome{Released: true}
			}
			time.Sleep(time.Minute)
			return leasetest.Outcome{Note: "done"}
		}})
		after(2 * time.Minute)
		b.end()
		b.state(id, finished)
		if n := turns.Load(); n != 4 {
			t.Errorf("worked on %d times, want 4", n)
		}
	})
}
