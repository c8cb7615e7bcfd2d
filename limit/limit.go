// Package limit keeps our calls below a provider's rate limits (R4.12, R4.13):
// it takes the limits of the profile that hold in an environment, takes a share
// of each (the plan's headroom, 80% by default), and lets a caller through when
// all of them have room: windows of any length, bursts, costs, requests in
// flight, for everybody or for each tenant, account and endpoint, as the
// provider counts.
//
// The rule about bursts: of each window the whole share may be used at once, and
// then nothing until the oldest turn is a window ago; where the provider's burst
// is smaller, the same is done with the burst and the time it takes to come
// back. So in no stretch of that length, wherever it starts, are there more turns
// than the share. A token bucket would let through its burst on top, and one
// refilled evenly would spread an hour's limit so thin that a handful of calls
// had to queue.
//
// Callers that have to wait stand in a queue of bounded length: the highest
// priority first, the tenants one after the other, and of a tenant whoever came
// first. A wait that would be longer than the plan's limits.wait, or than the
// caller's deadline, is not begun: the caller is told at once how long it would
// be. When the provider itself says "too many" and until when, Pause holds
// everybody back; what its headers say is left, Learn takes into account (R4.14).
//
// A plan in the mode observe holds nobody back, and counts whom it would have.
//
// Limits that are counted per thing within a request (an object, a channel) are
// not kept here; Enforced says which are.
package limit

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit/signal"
	"github.com/sallyport/sallyport/plan"
)

// Config is what a Limiter stands on. The zero value limits nothing.
type Config struct {
	// Limits of the profile.
	Limits catalog.Limits
	// Environment is one of the plan's: some limits hold in production only.
	Environment string
	// Plan is how the limits are used: headroom, wait, queue, mode.
	Plan plan.Limits
	// Optional names the optional limits of the profile that are kept too.
	Optional []string
	// Shared is how the limits are shared with other instances; nil: they are
	// those of this process alone.
	Shared *Shared
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Request is who asks for a turn, and what for.
type Request struct {
	Path     string // below the base URL
	Method   string // GET, POST, …
	Endpoint string // the plan's name for it; empty: the path stands for it where limits are per endpoint
	// Tenant is whose credential is used. Limits per user, token and the like
	// are kept for each, and all have the same right to turns. Empty: the one
	// credential of the plan.
	Tenant string
	// Caller is on whose behalf the request is made. Those who wait have turns
	// one caller after the other, so that one with many requests does not hold
	// up the others. Empty: Tenant.
	Caller string
	// Account is the provider's account the call is about, for limits per
	// account, workspace, store and the like. Empty: the one account of the plan.
	Account string
	// Cost is what the request counts in limits that do not count requests; 0 is
	// what the profile says, 1 where it says nothing.
	Cost float64
	// Priority: of those who wait, higher ones go first; 0 is the usual one.
	Priority int
}

// Turn is the right to make one request now.
type Turn struct {
	// Waited is how long it took to get.
	Waited time.Duration
	held   *slots
}

// slots are the places among the requests in flight that a turn holds.
type slots struct {
	limiter *Limiter
	parts   []part
}

// Done says that the request is over, its answer read. It gives back the turn's
// place where the provider limits the requests in flight, and does nothing
// otherwise. More than once is once; the zero Turn may be done too.
func (t Turn) Done() {
	if t.held != nil {
		t.held.limiter.release(t.held)
	}
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

// pauseName stands for a limit's name during a pause.
const pauseName = "pause"

// Limiter gives out turns. It may be used by many goroutines at once. Make it
// with New.
type Limiter struct {
	patience time.Duration
	places   int // in the queue
	observe  bool
	now      func() time.Time
	ours     bool      // now is time.Now
	base     time.Time // instants are counted from here
	rules    []*rule
	signals  *signal.Parser
	shared   *sharing // nil: they are not

	mu      sync.Mutex
	buckets map[key]*bucket // of the rules that are divided
	sweepAt int             // how many buckets are enough to look for idle ones
	paused  time.Duration   // no turn before this instant
	queue   queue
	pass    uint64      // number of the last wake
	timer   *time.Timer // looks at the queue when the next turn may be due
}

// New makes the Limiter of a provider in an environment.
func New(c Config) *Limiter {
	ours := c.Now == nil
	if ours {
		c.Now = time.Now
	}
	l := &Limiter{
		patience: c.Plan.Wait.Or(plan.DefaultLimitWait), places: cmp.Or(c.Plan.Queue, plan.DefaultLimitQueue), observe: c.Plan.Observes(),
		now: c.Now, base: c.Now(), ours: ours, buckets: map[key]*bucket{}, sweepAt: 64, signals: signal.Compile(c.Limits),
	}
	if c.Shared != nil && c.Shared.Ledger != nil {
		l.shared = newSharing(*c.Shared)
	}
	for _, limit := range c.Limits.List {
		if ok, _ := Enforced(limit, c.Environment, c.Optional...); !ok {
			continue
		}
		for _, r := range rulesOf(limit, c.Plan.Headroom.Or(plan.DefaultHeadroom)) {
			r.number = len(l.rules)
			if !r.tenant && !r.account && !r.endpoint {
				r.only = l.newBucket(r, key{rule: r.number})
			}
			l.rules = append(l.rules, r)
		}
	}
	if l.shared != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.settle(l.instant()) // who else is there
	}
	return l
}

// Take waits for a turn and books it. The error is a *Refused, or the cause of
// ctx's end; then nothing is booked, and Waited says how long it took all the
// same.
func (l *Limiter) Take(ctx context.Context, q Request) (Turn, error) {
	var room [6]part
	l.mu.Lock()
	start := l.instant()
	parts := l.find(room[:0], &q)
	at, _ := l.earliest(parts, start)
	if at <= start && l.queue.n == 0 || l.observe {
		if at > start {
			l.note(parts, start)
		}
		held := l.book(parts, start)
		if l.shared != nil {
			l.asked(parts, start, false)
		}
		l.mu.Unlock()
		return Turn{held: held}, nil
	}
	w, err := l.join(ctx, parts, start, &q)
	l.mu.Unlock()
	if err != nil {
		return Turn{}, err
	}
	err = l.await(ctx, w)
	return Turn{Waited: w.ended - start, held: w.held}, err
}

// join puts a caller in the queue, or says why not.
func (l *Limiter) join(ctx context.Context, parts []part, start time.Duration, q *Request) (*waiter, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	l.wake(start) // turns that became due since go to those who wait
	wait, blocking := l.estimate(parts, start, q)
	longest := l.patience
	if deadline, ok := ctx.Deadline(); ok {
		longest = min(longest, deadline.Sub(l.now()))
	}
	if wait > longest || l.queue.n >= l.places && (wait > 0 || blocking != nil) {
		if l.shared != nil {
			l.asked(parts, start, true)
		}
		l.look(start)
		return nil, l.refusal(wait, blocking)
	}
	w := &waiter{parts: append([]part(nil), parts...), until: start + l.patience, ready: make(chan struct{})}
	l.queue.push(w, q.Priority, cmp.Or(q.Caller, q.Tenant))
	if l.shared != nil {
		l.asked(parts, start, false)
	}
	l.look(start)
	return w, nil
}

// await is the wait of one caller.
func (l *Limiter) await(ctx context.Context, w *waiter) error {
	select {
	case <-w.ready:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		select {
		case <-w.ready: // it came in the same moment
		default:
			w.ended = l.instant()
			l.queue.remove(w)
			l.look(w.ended)
			return context.Cause(ctx)
		}
	}
	if w.refused != nil {
		return w.refused
	}
	return nil
}

// Pause lets nobody through for d from now; a shorter pause does not end a
// longer one.
func (l *Limiter) Pause(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.instant()
	l.paused = max(l.paused, now+d)
	if l.shared != nil && d > 0 {
		l.shared.pause = max(l.shared.pause, now+d)
		l.settle(now)
	}
}

// instant is the time since the Limiter was made. Clocks that go back do not
// matter: a time.Time carries a monotonic reading.
func (l *Limiter) instant() time.Duration {
	if l.ours {
		return time.Since(l.base) // reads the monotonic clock alone, which is half the price
	}
	return l.now().Sub(l.base)
}

// earliest is when there is room for all parts if nobody waited, and the bucket
// that decides; nil when that is a pause or nothing.
func (l *Limiter) earliest(parts []part, now time.Duration) (at time.Duration, blocking *bucket) {
	at = max(now, l.paused)
	for _, p := range parts {
		if free := p.bucket.when(now, at, 0, p.units); free > at {
			at, blocking = free, p.bucket
		}
	}
	return at, blocking
}

// book takes all parts.
func (l *Limiter) book(parts []part, now time.Duration) (held *slots) {
	for _, p := range parts {
		p.bucket.take(now, p.units)
		if p.bucket.rule.concurrent {
			if held == nil {
				held = &slots{limiter: l}
			}
			held.parts = append(held.parts, p)
		}
	}
	return held
}

// release gives back places among the requests in flight.
func (l *Limiter) release(held *slots) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range held.parts {
		p.bucket.inflight -= p.units
	}
	held.parts = nil
	if l.queue.n > 0 {
		l.look(l.instant())
	}
}

// note counts a turn that is given in the mode observe only.
func (l *Limiter) note(parts []part, now time.Duration) {
	for _, p := range parts {
		if !p.bucket.fits(now, p.units) {
			p.bucket.rule.observed++
		}
	}
}

// look serves the queue, turns away those whose patience is at its end, and sets
// the timer for the next time.
func (l *Limiter) look(now time.Duration) {
	next := l.wake(now)
	for l.queue.n > 0 {
		w := l.queue.arrived.Front().Value.(*waiter)
		if w.until > now { // those who came later have patience left
			next = min(next, w.until)
			break
		}
		l.queue.remove(w)
		at, blocking := l.earliest(w.parts, now)
		if at == never {
			at = now + time.Second
		}
		w.refused, w.ended = l.refusal(max(at-now, time.Millisecond), blocking), now
		close(w.ready)
	}
	switch {
	case l.queue.n == 0:
	case l.timer == nil:
		l.timer = time.AfterFunc(next-now, l.tick)
	default:
		l.timer.Reset(next - now)
	}
}

// tick runs when a turn may have become due.
func (l *Limiter) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.instant()
	l.look(now)
	if l.shared != nil && l.queue.n > 0 && l.dueAny(now) {
		l.settle(now)
	}
}

// estimate is how long a request would wait behind those who wait already, and
// what for. Requests in flight end when they end: such a wait counts as nothing.
func (l *Limiter) estimate(parts []part, now time.Duration, q *Request) (wait time.Duration, blocking *bucket) {
	from := max(now, l.paused)
	at := from
	for _, p := range parts {
		if p.bucket.rule.concurrent {
			if !p.bucket.fits(now, p.units) && blocking == nil {
				blocking = p.bucket
			}
			continue
		}
		if p.units == 0 {
			continue
		}
		var ahead int64
		if p.bucket.waiting > 0 {
			ahead = l.queue.ahead(p.bucket, parts, q.Priority, cmp.Or(q.Caller, q.Tenant))
		}
		if free := p.bucket.when(now, from, ahead, p.units); free > at {
			at, blocking = free, p.bucket
		}
	}
	return at - now, blocking
}

// refusal tells when to come again.
func (l *Limiter) refusal(wait time.Duration, blocking *bucket) *Refused {
	name := pauseName
	if blocking != nil {
		name = blocking.rule.name
		blocking.rule.refused++
	}
	if wait <= 0 { // a place among the requests in flight
		wait = time.Second
	}
	return &Refused{Limit: name, RetryAfter: max(wait, time.Millisecond)}
}
