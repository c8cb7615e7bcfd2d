package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a Runner needs. Queue, Handle and Panicked must be set.
type Config[T, O any] struct {
	// Queue is where work comes from and outcomes go to.
	Queue Queue[T, O]
	// Handle works on one row and says what came of it. Its context ends with
	// ErrStopping when a stopping runner's grace is used up and with ErrLost
	// when the lease is gone; it then has to return soon.
	Handle func(ctx context.Context, value T) O
	// Panicked says what a panic of Handle comes to. The panic is logged.
	Panicked func(value T, cause any) O
	// Released is the outcome that gives a row back untouched. A stopping
	// runner uses it for rows it holds and has not begun.
	Released O
	// Owner names this runner in the store; it must be unique among running
	// processes. Empty means host name, process id and a random part.
	Owner string
	// Workers is how many rows are worked on at once. Zero means 32. Others are
	// held in waiting, so that no worker idles for a commit: as many again, and
	// up to eight times as many while work is done quickly.
	Workers int
	// Term is how long a lease runs; it is renewed at a third. It is also how
	// long the work of a crashed process lies still, and longer than a machine
	// or a disk may pause without its work being done twice. Zero means 5 seconds.
	Term time.Duration
	// Poll is how long the runner sleeps at most before it looks for work that
	// another process brought. Work of its own process is announced by Wake,
	// work that falls due is timed. Zero means one second.
	Poll time.Duration
	// Grace is how long a stopping runner lets Handle finish before its
	// context ends. Zero means 10 seconds; a negative one waits for all.
	Grace time.Duration
	// Now is the clock that leases are dated by. Nil means time.Now.
	Now func() time.Time
	// Log takes panics, lost leases and a store that fails. Nil means slog.Default().
	Log *slog.Logger
}

func (c Config[T, O]) withDefaults() Config[T, O] {
	if c.Owner == "" {
		host, _ := os.Hostname() // an empty one is fine: the random part is what counts
		c.Owner = fmt.Sprintf("%s-%d-%.8s", host, os.Getpid(), rand.Text())
	}
	if c.Workers == 0 {
		c.Workers = 32
	}
	if c.Term == 0 {
		c.Term = 5 * time.Second
	}
	if c.Poll == 0 {
		c.Poll = time.Second
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (c Config[T, O]) validate() error {
	var problems []error
	need := func(ok bool, text string) {
		if !ok {
			problems = append(problems, errors.New("lease: "+text))
		}
	}
	need(c.Queue != nil, "Queue must be set")
	need(c.Handle != nil, "Handle must be set")
	need(c.Panicked != nil, "Panicked must be set: it says what a panic comes to")
	need(c.Workers >= 0, "Workers must not be negative")
	need(c.Term >= 0, "Term must not be negative")
	need(c.Poll >= 0, "Poll must not be negative")
	return errors.Join(problems...)
}

// Runner works on what a queue lends it. It is made by New and runs once.
type Runner[T, O any] struct {
	Config[T, O]

	wake   chan struct{} // there may be new work
	settle chan struct{} // an outcome was written: the next due time may have changed
	todo   chan *loan[T]
	done   chan finished[T, O]
	hand   hand[T]

	unwritten atomic.Bool // outcomes wait for a store that fails
}

// New checks c and returns a runner that has not started.
func New[T, O any](c Config[T, O]) (*Runner[T, O], error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	return &Runner[T, O]{
		Config: c,
		wake:   make(chan struct{}, 1),
		settle: make(chan struct{}, 1),
		todo:   make(chan *loan[T], (1+aheadMost)*c.Workers),
		done:   make(chan finished[T, O], aheadMost*c.Workers),
		hand:   hand[T]{freed: make(chan struct{}, 1), loans: map[Key]*loan[T]{}},
	}, nil
}

// Wake tells the runner that there is new work, so that it looks at once. It
// never blocks and may be called at any time, before and after Run as well.
func (r *Runner[T, O]) Wake() { signal(r.wake) }

// Run works until ctx ends and returns when all it started has returned.
//
// It stops in two steps: it claims no more, gives back what it has not begun
// and waits for what is in hand; after Grace it ends the contexts of that work
// with ErrStopping. Outcomes are written in both cases. A failing store is
// logged and tried again: it does not end Run.
func (r *Runner[T, O]) Run(ctx context.Context) {
	work, hardStop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer hardStop(ErrStopping)
	if r.Grace >= 0 {
		defer context.AfterFunc(ctx, func() {
			timer := time.NewTimer(r.Grace)
			defer timer.Stop()
			select {
			case <-timer.C:
				hardStop(ErrStopping)
			case <-work.Done():
			}
		})()
	}

	var workers, clerks sync.WaitGroup
	renewing, stopRenewing := context.WithCancel(context.WithoutCancel(ctx))
	clerks.Go(func() { r.renewAll(renewing) })
	clerks.Go(func() { r.completeAll(context.WithoutCancel(ctx)); stopRenewing() })
	for range r.Workers {
		workers.Go(func() {
			for l := range r.todo {
				r.work(ctx, work, l)
			}
		})
	}
	r.claimAll(ctx)
	close(r.todo)
	workers.Wait()
	close(r.done)
	clerks.Wait()
}

// work handles one loan, or gives it back when the runner is stopping.
func (r *Runner[T, O]) work(running, work context.Context, l *loan[T]) {
	outcome := r.Released
	if running.Err() == nil {
		ctx, cancel := context.WithCancelCause(work)
		if r.hand.begin(l, cancel) {
			outcome = r.handle(ctx, l.Value)
		}
		cancel(nil)
	}
	if r.hand.end(l) {
		r.done <- finished[T, O]{loan: l, Done: Done[O]{Key: l.Key, Outcome: outcome}}
	}
}

// handle turns a panic of the handler into an outcome.
func (r *Runner[T, O]) handle(ctx context.Context, value T) (outcome O) {
	defer func() {
		if cause := recover(); cause != nil {
			r.Log.Error("lease.panicked", "owner", r.Owner, "panic", fmt.Sprint(cause), "stack", stack())
			outcome = r.Panicked(value, cause)
		}
	}()
	return r.Handle(ctx, value)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
