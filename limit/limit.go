// Package limit keeps our calls below a provider's rate limits (R4.12, R4.13):
// it takes the limits of the profile that hold in an environment, takes a share
// of each (the plan's headroom, 80% by default), and lets a caller through when
// all of them have room. Callers wait in the order in which they came.
//
// The rule about bursts: of each window the whole allowance may be used at
// once, and then nothing until the oldest turn is a window ago. So in no window
// of that length, wherever it starts, are there more turns than the allowance.
// A token bucket would let through its burst on top, and one refilled evenly
// would spread an hour's limit so thin that a handful of calls had to queue.
//
// A wait that would be longer than the plan's limits.wait, or than the caller's
// deadline, is not begun: the caller is told at once how long it would be. When
// the provider itself says "too many" and until when, Pause holds everybody
// back.
//
// In this version the allowance is that of one process: one service in one
// environment, whose calls share one account. Limits counted in something else
// than requests, and limits per endpoint, object and the like, are not kept
// here; Enforced says which are.
package limit

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// finer are scopes that divide an account: a limit per endpoint can't be kept
// by counting all calls together.
var finer = []string{"endpoint", "method", "object", "resource", "repository", "channel", "recipient", "list", "document", "record", "project", "conversation", "phone_number"}

// Enforced reports whether this package keeps a limit in an environment, and if
// not, why.
func Enforced(l catalog.Limit, environment string) (ok bool, why string) {
	here := "sandbox"
	if plan.Production(environment) {
		here = "production"
	}
	switch {
	case l.Optional:
		return false, "optional"
	case len(l.Environments) > 0 && !slices.Contains(l.Environments, here):
		return false, "it holds in " + strings.Join(l.Environments, ", ") + " only"
	case l.Unit != "" && l.Unit != "requests":
		return false, "it is counted in " + l.Unit
	case l.Limit <= 0 || l.Window <= 0:
		return false, "it has no number or no window"
	}
	for scope := range strings.SplitSeq(l.Scope, "+") {
		if slices.Contains(finer, strings.TrimSpace(scope)) {
			return false, "it is counted per " + l.Scope
		}
	}
	return true, ""
}

// Refused says that a turn would come too late, or did not come in time.
type Refused struct {
	Limit      string        // name of the limit, or "pause" when the provider asked for one
	RetryAfter time.Duration // estimate of when to come again; more than zero
}

// Error names the limit.
func (r *Refused) Error() string {
	return fmt.Sprintf("our own limit %q: no turn in time; come again in %s", r.Limit, r.RetryAfter.Round(time.Millisecond))
}

// Limiter gives out turns. It may be used by many goroutines at once. Make it
// with New.
type Limiter struct {
	patience time.Duration
	now      func() time.Time
	base     time.Time // instants are counted from here

	mu      sync.Mutex
	windows []*window
	paused  time.Duration // no turn before this instant
	waiting list.List     // of *waiter, in the order in which they came
	timer   *time.Timer   // looks at the queue when the next turn may be due
}

// waiter is a caller in the queue.
type waiter struct {
	path  string
	ready chan struct{} // closed when its turn is booked
}

// New makes the Limiter of a provider in an environment. now is the clock; nil
// is time.Now.
func New(limits []catalog.Limit, environment string, use plan.Limits, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	l := &Limiter{patience: use.Wait.Or(plan.DefaultLimitWait), now: now, base: now()}
	for _, limit := range limits {
		if ok, _ := Enforced(limit, environment); ok {
			l.windows = append(l.windows, newWindow(limit, use.Headroom.Or(plan.DefaultHeadroom)))
		}
	}
	return l
}

// Take waits for a turn to call path and books it. waited is how long that
// took. The error is a *Refused, or the cause of ctx's end; then nothing is
// booked.
func (l *Limiter) Take(ctx context.Context, path string) (waited time.Duration, err error) {
	l.mu.Lock()
	start := l.instant()
	at, blocking := l.earliest(path, start)
	if at <= start && l.waiting.Len() == 0 {
		l.book(path, start)
		l.mu.Unlock()
		return 0, nil
	}
	l.wake(start) // turns that became due since go to those who wait
	wait, name := l.estimate(path, start, blocking)
	longest := l.patience
	if deadline, ok := ctx.Deadline(); ok {
		longest = min(longest, deadline.Sub(l.now()))
	}
	if wait > longest {
		l.mu.Unlock()
		return 0, &Refused{Limit: name, RetryAfter: wait}
	}
	w := &waiter{path: path, ready: make(chan struct{})}
	place := l.waiting.PushBack(w)
	l.wake(start)
	l.mu.Unlock()
	err = l.await(ctx, w, place)
	return l.instant() - start, err
}

// await is the wait of one caller.
func (l *Limiter) await(ctx context.Context, w *waiter, place *list.Element) error {
	patience := time.NewTimer(l.patience)
	defer patience.Stop()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-patience.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.ready: // it came in the same moment, and is booked
		return nil
	default:
	}
	l.waiting.Remove(place)
	l.wake(l.instant())
	if err == nil { // a pause came while it waited
		now := l.instant()
		_, blocking := l.earliest(w.path, now)
		wait, name := l.estimate(w.path, now, blocking)
		err = &Refused{Limit: name, RetryAfter: wait}
	}
	return err
}

// Pause lets nobody through for d from now; a shorter pause does not end a
// longer one.
func (l *Limiter) Pause(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = max(l.paused, l.instant()+d)
}

// instant is the time since the Limiter was made. Clocks that go back do not
// matter: a time.Time carries a monotonic reading.
func (l *Limiter) instant() time.Duration { return l.now().Sub(l.base) }

// earliest is when path could have its turn if nobody waited, and the window
// that decides; nil when that is a pause or nothing.
func (l *Limiter) earliest(path string, now time.Duration) (at time.Duration, blocking *window) {
	at = max(now, l.paused)
	for _, w := range l.windows {
		if !w.about(path) {
			continue
		}
		if free := w.free(at, 0); free > at {
			at, blocking = free, w
		}
	}
	return at, blocking
}

// book takes a turn in every window path is about.
func (l *Limiter) book(path string, now time.Duration) {
	for _, w := range l.windows {
		if w.about(path) {
			w.book(now)
		}
	}
}

// wake gives turns to those who wait, first come first served: one whose own
// window is full does not hold back those behind it that need another.
func (l *Limiter) wake(now time.Duration) {
	next := time.Duration(-1)
	for e := l.waiting.Front(); e != nil; {
		following := e.Next()
		w := e.Value.(*waiter)
		at, blocking := l.earliest(w.path, now)
		if at <= now {
			l.book(w.path, now)
			l.waiting.Remove(e)
			close(w.ready)
			e = following
			continue
		}
		if next < 0 || at < next {
			next = at
		}
		if blocking == nil || len(blocking.paths) == 0 {
			break // it is about everybody
		}
		e = following
	}
	switch {
	case next < 0:
	case l.timer == nil:
		l.timer = time.AfterFunc(next-now, l.look)
	default:
		l.timer.Reset(next - now)
	}
}

// look runs when a turn may have become due.
func (l *Limiter) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake(l.instant())
}

// estimate is how long path would wait behind those who wait already, and what
// for.
func (l *Limiter) estimate(path string, now time.Duration, blocking *window) (wait time.Duration, name string) {
	from := max(now, l.paused)
	at, name := from, "pause"
	if blocking != nil {
		name = blocking.name
	}
	for _, w := range l.windows {
		if !w.about(path) {
			continue
		}
		ahead := 0
		for e := l.waiting.Front(); e != nil; e = e.Next() {
			if len(w.paths) == 0 || w.about(e.Value.(*waiter).path) {
				ahead++
			}
		}
		if free := w.free(from, ahead); free > at {
			at, name = free, w.name
		}
	}
	return max(at-now, time.Millisecond), name
}
