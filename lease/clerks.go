package lease

import (
	"context"
	"time"
)

// completeMost is the most outcomes written in one transaction.
const completeMost = 512

// spinGuard is the shortest wait between two looks at the store.
const spinGuard = time.Millisecond

// retryFirst and retryMost bound the waits before a failing store is asked again.
const (
	retryFirst = 50 * time.Millisecond
	retryMost  = 5 * time.Second
)

// patience is how long outcomes are kept that a failing store does not take. It
// is longer than a term: where nobody else reaches the store either, the rows are
// still ours when it is back.
const patience = 15 * time.Second

// aheadMost is how many rows may wait for each worker at most, and aheadFor how
// long they may last at the pace of the moment. Rows held in waiting let claims
// be large, and so cheap; those held behind slow work would only be kept from
// others.
const (
	aheadMost = 8
	aheadFor  = 50 * time.Millisecond
)

// pace says how many rows to hold in waiting.
type pace struct {
	workers int
	ahead   int
	ended   int
	at      time.Time
}

func (p *pace) measure(ended int, now time.Time) {
	passed := now.Sub(p.at)
	if passed < aheadFor/5 {
		return
	}
	lasting := int(float64(ended-p.ended) / passed.Seconds() * aheadFor.Seconds())
	p.ahead = min(max(lasting, p.workers), aheadMost*p.workers)
	p.ended, p.at = ended, now
}

// claimAll claims until ctx ends: as long as there is a backlog whenever half
// of the waiting places are free, otherwise when there is something due.
func (r *Runner[T, O]) claimAll(ctx context.Context) {
	p := pace{workers: r.Workers, ahead: r.Workers, at: time.Now()}
	failures, backlog := 0, false
	for {
		asked := r.waitForSlots(ctx, &p, backlog)
		if asked == 0 {
			return
		}
		if r.unwritten.Load() { // a claim that came first would lend our own rows anew
			if !sleep(ctx, retryFirst) {
				return
			}
			continue
		}
		got, err := r.claim(ctx, asked)
		if err != nil {
			failures++
			r.Log.Error("lease.claim", "owner", r.Owner, "error", err, "failures", failures)
			if !sleep(ctx, backoff(failures)) {
				return
			}
			continue
		}
		failures = 0
		backlog = got == asked
		if !backlog && !r.waitForWork(ctx, got == 0) {
			return
		}
	}
}

// waitForSlots says how many rows to ask for; none when ctx ended.
func (r *Runner[T, O]) waitForSlots(ctx context.Context, p *pace, backlog bool) int {
	for ctx.Err() == nil {
		used, ended := r.hand.counts()
		p.measure(ended, time.Now())
		need := 1
		if backlog {
			need = max(1, p.ahead/2)
		}
		if free := r.Workers + p.ahead - used; free >= need {
			return free
		}
		select {
		case <-r.hand.freed:
		case <-ctx.Done():
		}
	}
	return 0
}

func (r *Runner[T, O]) claim(ctx context.Context, limit int) (int, error) {
	// A claim is not given up half-way when ctx ends: rows lent to nobody
	// would lie still for a term. They are given back instead.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Term)
	defer cancel()
	now := r.Now()
	until := now.Add(r.Term)
	held, err := r.Queue.Claim(ctx, Claim{Owner: r.Owner, Now: now, Until: until, Limit: limit})
	if err != nil {
		return 0, err
	}
	for _, l := range r.hand.take(held, until) {
		r.todo <- l // never blocks: it has room for all that may be held
	}
	return len(held), nil
}

// waitForWork returns when something is due or was announced, or when ctx
// ended: then it is false. After a claim that found nothing it does not take
// the store's word for a due row at once, so two runners can't spin on one row.
func (r *Runner[T, O]) waitForWork(ctx context.Context, foundNothing bool) bool {
	for {
		select {
		case <-r.wake:
			return ctx.Err() == nil
		default:
		}
		wait := r.Poll
		switch next, err := r.Queue.NextDue(ctx); {
		case ctx.Err() != nil:
			return false
		case err != nil:
			r.Log.Error("lease.next_due", "owner", r.Owner, "error", err)
		case !next.IsZero():
			wait = min(wait, next.Sub(r.Now()))
			if wait <= 0 && !foundNothing {
				return true
			}
			wait = max(wait, spinGuard)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-r.wake:
			timer.Stop()
			return true
		case <-r.settle:
			timer.Stop()
		case <-timer.C:
		}
		foundNothing = false
	}
}

// completeAll writes outcomes until r.done is closed. What comes in while a
// transaction commits goes into the next.
func (r *Runner[T, O]) completeAll(ctx context.Context) {
	batch := make([]Done[O], 0, completeMost)
	loans := make([]*loan[T], 0, completeMost)
	for first := range r.done {
		batch, loans = append(batch[:0], first.Done), append(loans[:0], first.loan)
	fill:
		for len(batch) < completeMost {
			select {
			case d, ok := <-r.done:
				if !ok {
					break fill
				}
				batch, loans = append(batch, d.Done), append(loans, d.loan)
			default:
				break fill
			}
		}
		r.complete(ctx, batch)
		r.hand.drop(loans)
		signal(r.settle)
		clear(batch)
		clear(loans)
	}
}

// complete writes a batch. A store that fails is asked again for a while;
// then each outcome goes alone, so that one the store refuses takes no other
// down with it. What can't be written is dropped: its lease runs out and the
// row is worked on again.
func (r *Runner[T, O]) complete(ctx context.Context, batch []Done[O]) {
	began, most := time.Now(), max(r.Term, patience)
	defer r.unwritten.Store(false)
	for failures := 1; ; failures++ {
		err := r.completeOnce(ctx, batch)
		if err == nil {
			return
		}
		r.unwritten.Store(true)
		r.Log.Error("lease.complete", "owner", r.Owner, "outcomes", len(batch), "error", err, "failures", failures)
		if time.Since(began) >= most/2 {
			break
		}
		sleep(ctx, backoff(failures))
	}
	for i := range batch {
		if time.Since(began) >= 2*most {
			r.Log.Error("lease.dropped", "owner", r.Owner, "outcomes", len(batch)-i, "error", "the store does not answer")
			return
		}
		if err := r.completeOnce(ctx, batch[i:i+1]); err != nil {
			r.Log.Error("lease.dropped", "owner", r.Owner, "id", batch[i].ID, "attempt", batch[i].Attempt, "error", err)
		}
	}
}

func (r *Runner[T, O]) completeOnce(ctx context.Context, batch []Done[O]) error {
	ctx, cancel := context.WithTimeout(ctx, r.Term)
	defer cancel()
	lost, err := r.Queue.Complete(ctx, r.Owner, batch)
	for _, k := range lost {
		r.Log.Warn("lease.lost", "owner", r.Owner, "id", k.ID, "attempt", k.Attempt, "at", "complete")
	}
	return err
}

// renewAll renews what is in hand at every third of a term.
func (r *Runner[T, O]) renewAll(ctx context.Context) {
	tick := time.NewTicker(max(r.Term/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if keys := r.hand.keys(); len(keys) > 0 {
			r.renew(ctx, keys)
		}
	}
}

func (r *Runner[T, O]) renew(ctx context.Context, keys []Key) {
	until := r.Now().Add(r.Term)
	ctx, cancel := context.WithTimeout(ctx, max(r.Term/3, time.Millisecond))
	defer cancel()
	lost, err := r.Queue.Renew(ctx, r.Owner, keys, until)
	if err != nil {
		r.Log.Error("lease.renew", "owner", r.Owner, "leases", len(keys), "error", err)
		lost = r.hand.expired(r.Now())
	} else {
		r.hand.renewed(keys, until)
	}
	for _, k := range r.hand.lose(lost) {
		r.Log.Warn("lease.lost", "owner", r.Owner, "id", k.ID, "attempt", k.Attempt, "at", "renew")
	}
}

// backoff doubles from retryFirst to retryMost.
func backoff(failures int) time.Duration {
	return min(retryFirst<<min(failures-1, 10), retryMost)
}

// sleep is false when ctx ended before the time was over.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
