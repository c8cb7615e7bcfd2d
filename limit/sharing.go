package limit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"
)

// Defaults of Shared.
const (
	DefaultPatience = 25 * time.Millisecond
	DefaultTimeout  = 250 * time.Millisecond
)

// How often things are done beside the calls.
const (
	beatEvery  = 2 * time.Second        // an instance says that it lives
	probeFirst = 50 * time.Millisecond  // a ledger that is down is asked again, then
	probeMost  = 500 * time.Millisecond // less and less often
	atOnce     = 64                     // accounts in one settlement
	backFor    = 2 * time.Second        // an outage is not over for all at once
)

// Shared is how a Limiter shares its limits.
type Shared struct {
	// Ledger is common to all instances.
	Ledger Ledger
	// Log gets a warning when the ledger can't be reached, and a word when it
	// can again; nil: nobody is told.
	Log *slog.Logger
	// Patience is how long callers wait for the ledger before they make do with
	// a fair part; 0 is DefaultPatience. A ledger that is only slow may give to
	// others what is taken meanwhile, so it should not be less than it usually
	// needs.
	Patience time.Duration
	// Timeout of a round trip; 0 is DefaultTimeout.
	Timeout time.Duration
	// Instances is how many are assumed until the ledger has told; 0 is 1.
	Instances int
}

// sharing is a Limiter's side of its Ledger. All of it is guarded by the
// Limiter's mutex.
type sharing struct {
	Shared
	instance  string
	instances int

	settling bool
	ended    chan struct{} // closed when the settlement under way is over
	started  time.Duration // of it
	again    bool          // something came up meanwhile
	down     bool          // the ledger does not answer
	warned   bool
	fell     uint64        // number of times it was given up
	fellAt   time.Duration // the last time
	failed   uint64        // number of times it failed
	back     time.Duration // when it answered again, or first; 0: it never did
	probe    time.Duration // it is not asked again before
	wait     time.Duration // between probes
	beat     time.Duration // next one
	pause    time.Duration // to be told to all, until this instant
	active   []*lease
	timer    *time.Timer
	closed   bool
	notice   func() // to be logged
	sequence int64  // of the last entries; a bucket that is made anew goes on with it
	trips    uint64
}

func newSharing(s Shared) *sharing {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Patience <= 0 {
		s.Patience = DefaultPatience
	}
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	return &sharing{Shared: s, instance: rand.Text(), instances: max(1, s.Instances), wait: probeFirst}
}

// next is a number for a set of entries.
func (s *sharing) next() int64 {
	s.sequence++
	return s.sequence
}

// asked counts what was asked for, whether it was had or not, and sees to it
// that there is more in time.
func (l *Limiter) asked(parts []part, now time.Duration, refused bool) {
	due := false
	for _, p := range parts {
		le := p.bucket.lease
		if le == nil || p.units == 0 {
			continue
		}
		le.asked += p.units
		if refused {
			le.missed = max(le.missed, p.units)
		}
		if !le.listed {
			le.listed = true
			l.shared.active = append(l.shared.active, le)
		}
		due = due || le.due(now)
	}
	if due {
		l.settle(now)
	}
}

// settle begins a settlement, unless one is under way.
func (l *Limiter) settle(now time.Duration) {
	s := l.shared
	switch {
	case s.closed:
		return
	case s.settling:
		s.again = true
		return
	case s.down && now < s.probe:
		return
	}
	s.settling, s.again, s.started, s.ended = true, false, now, make(chan struct{})
	question, leases := l.question(now)
	go l.exchange(question, leases)
}

// question collects what there is to say and to ask.
func (l *Limiter) question(now time.Duration) (*Settlement, []*lease) {
	s := l.shared
	q := &Settlement{Instance: s.instance}
	if now >= s.beat || s.down {
		q.Beat = true
	}
	if s.pause > now {
		q.Pause = s.pause - now
	}
	leases := s.pick(now)
	n := len(leases)
	q.Statements = make([]Statement, n)
	for i, le := range leases {
		le.estimate(now)
		le.statement(now, &q.Statements[i])
	}
	return q, leases
}

// pick is whom the next settlement is about: those that need it, and as far as
// there is room the others too.
func (s *sharing) pick(now time.Duration) (leases []*lease) {
	for _, needed := range []bool{true, false} {
		for _, le := range s.active {
			if len(leases) == atOnce {
				return leases
			}
			if le.urgent(now) == needed {
				leases = append(leases, le)
			}
		}
	}
	return leases
}

// exchange asks the ledger until there is nothing more to ask. Callers that
// wait do not wait for a ledger that is slow.
func (l *Limiter) exchange(q *Settlement, leases []*lease) {
	l.mu.Lock()
	ended := l.shared.ended
	l.mu.Unlock()
	defer close(ended)
	for q != nil {
		l.mu.Lock()
		sent := l.instant()
		l.shared.trips++
		l.mu.Unlock()
		slow := time.AfterFunc(l.shared.Patience, l.slow)
		ctx, cancel := context.WithTimeout(context.Background(), l.shared.Timeout)
		answer, err := l.shared.Ledger.Settle(ctx, q)
		cancel()
		slow.Stop()
		if err == nil && len(answer.Accounts) != len(leases) {
			err = errMisfit
		}
		q, leases = l.settled(q, leases, sent, answer, err)
		if tell := l.news(); tell != nil {
			tell()
		}
	}
}

// news is what there is to log, which is not done while others wait.
func (l *Limiter) news() (tell func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tell, l.shared.notice = l.shared.notice, nil
	return tell
}

// slow makes do without the ledger when it takes too long.
func (l *Limiter) slow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.instant()
	s := l.shared
	if !s.settling || now-s.started < s.Patience || s.down {
		return
	}
	s.down, s.fellAt = true, now
	s.fell++
	l.look(now)
}

// settled takes in an answer, and returns the next question if there is one.
func (l *Limiter) settled(q *Settlement, leases []*lease, sent time.Duration, answer *Settled, err error) (*Settlement, []*lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, now := l.shared, l.instant()
	defer l.schedule(now)
	if err != nil {
		s.settling = false
		l.lost(now, err)
		return nil, nil
	}
	if s.down || s.back == 0 {
		s.back = now
	}
	if s.down {
		s.down, s.wait, s.again = false, probeFirst, true
		if s.warned {
			s.warned = false
			n := s.instances
			s.notice = func() { s.Log.Info("limits are shared again", "instances", n) }
		}
	}
	if answer.Pause > 0 {
		l.paused = max(l.paused, now+answer.Pause)
	}
	if s.pause <= now || s.pause-now <= answer.Pause+time.Millisecond {
		s.pause = 0
	}
	again := s.again
	for i, le := range leases {
		if answer.Accounts[i].Unknown && le.epoch != 0 { // it lost its memory
			s.back = now
		}
		le.granted(sent, now, &q.Statements[i], &answer.Accounts[i])
		again = again || answer.Accounts[i].Unknown
	}
	if q.Beat {
		n := max(1, answer.Instances)
		if now-s.back < Presence { // it may have forgotten some, which will be back
			n = max(n, s.instances)
		}
		s.instances, s.beat = n, now+beatEvery
	}
	s.active = tidy(s.active)
	if l.queue.n > 0 {
		l.look(now)
	}
	if again = again && l.dueAny(now); again && !s.closed {
		s.again, s.started = false, now
		return l.question(now)
	}
	s.settling = false
	return nil, nil
}

// lost is a settlement that had no answer.
func (l *Limiter) lost(now time.Duration, err error) {
	s := l.shared
	if !s.down {
		s.down, s.fellAt = true, now
		s.fell++
	}
	if !s.warned {
		s.warned = true
		n := s.instances
		s.notice = func() {
			s.Log.Warn("limits can't be shared: each instance keeps to an even part of them until they can", "instances", n, "error", err)
		}
	}
	s.failed++
	s.probe = now + s.wait
	s.wait = min(2*s.wait, probeMost)
	l.look(now)
}

// dueAny reports whether there is anything to say or to ask.
func (l *Limiter) dueAny(now time.Duration) bool {
	s := l.shared
	if s.pause > now {
		return true
	}
	for _, le := range s.active {
		if le.urgent(now) {
			return true
		}
	}
	return false
}

// tidy leaves out the leases that have nothing to do.
func tidy(active []*lease) []*lease {
	kept := active[:0]
	for _, le := range active {
		if le.idle() {
			le.listed = false
			continue
		}
		kept = append(kept, le)
	}
	clear(active[len(kept):])
	return kept
}

// schedule sets the time of the next look at the leases: soon while there are
// calls, else with the next beat.
func (l *Limiter) schedule(now time.Duration) {
	s := l.shared
	if s.closed {
		return
	}
	next := s.beat
	for _, le := range s.active {
		at := now + le.horizon/2
		if le.bucket.wanted > 0 && le.retry > now {
			at = min(at, le.retry)
		}
		next = min(next, at)
	}
	if s.down {
		next = s.probe
	}
	wait := max(next-now, 100*time.Microsecond)
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, l.beat)
		return
	}
	s.timer.Reset(wait)
}

// beat looks whether there is anything to say or to ask.
func (l *Limiter) beat() {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, now := l.shared, l.instant()
	for _, le := range s.active {
		le.estimate(now)
	}
	if now >= s.beat || s.down || l.dueAny(now) {
		l.settle(now)
	}
	s.active = tidy(s.active)
	l.schedule(now)
}

// Close gives back what is held of shared limits, so that others can have it at
// once, and says goodbye. Turns can be had after it; they are this process's
// even part of the limits.
func (l *Limiter) Close(ctx context.Context) error {
	if l.shared == nil {
		return nil
	}
	l.mu.Lock()
	s := l.shared
	if s.closed {
		l.mu.Unlock()
		return nil
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	settling, ended := s.settling, s.ended
	l.mu.Unlock()
	if settling {
		select {
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	question := l.farewell()
	_, err := s.Ledger.Settle(ctx, question)
	return err
}

// farewell gives back what is held.
func (l *Limiter) farewell() *Settlement {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.instant()
	l.shared.down, l.shared.fellAt = true, now
	l.shared.fell++
	for _, le := range l.shared.active {
		le.fall(now)
	}
	question, _ := l.question(now)
	question.Leave = true
	for i := range question.Statements {
		question.Statements[i].Want = 0
	}
	l.look(now)
	return question
}
