package breaker

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// kind is the state as a number.
type kind uint64

const (
	closed kind = iota
	open
	halfOpen
)

var states = [...]State{closed: Closed, open: Opened, halfOpen: HalfOpen}

// word is the state and how many states there were before it, in one number: a
// call is allowed, and counted, in the same one or not at all.
type word uint64

func (w word) kind() kind { return kind(w & 3) }

func (w word) next(k kind) word { return (w>>2+1)<<2 | word(k) }

// atomicWord is a word that can be read without the lock.
type atomicWord struct{ v atomic.Uint64 }

func (a *atomicWord) load() word   { return word(a.v.Load()) }
func (a *atomicWord) store(w word) { a.v.Store(uint64(w)) }

// again is how long is not asked again for a shared probe that was denied, and
// when a call may come again that found all probes taken.
const again = 100 * time.Millisecond

// host is one breaker.
type host struct {
	set  *Set
	name string
	word atomicWord // written with mu held

	mu       sync.Mutex
	window   window
	row      row
	forced   bool
	since    time.Time
	until    time.Time // the end of the pause
	reason   string
	openings int    // in a row
	opened   counts // what was counted when it opened
	flight   []flight
	proved   int // probes that succeeded
	probes   uint64
	asking   bool      // a call asks the other instances
	askAgain time.Time // not before

	changes []Change // to be told
	telling bool
}

// flight is a probe under way.
type flight struct {
	number uint64
	lost   time.Time // when it is given up
	ticket string    // of a shared probe
}

// allow is Allow for a breaker that is not closed.
func (h *host) allow() (Pass, error) {
	h.mu.Lock()
	defer h.tell()
	defer h.mu.Unlock()
	now := h.set.config.Now()
	if h.word.load().kind() == open && !h.forced && !now.Before(h.until) {
		h.turn(halfOpen, now, false)
	}
	switch h.word.load().kind() {
	case closed:
		return Pass{host: h, word: h.word.load()}, nil
	case open:
		return Pass{}, h.refusal(now, h.wait(now))
	}
	h.flight = slices.DeleteFunc(h.flight, func(f flight) bool { return !now.Before(f.lost) })
	if len(h.flight)+h.proved >= h.set.config.Probes {
		return Pass{}, h.refusal(now, again)
	}
	if h.set.config.Shared != nil {
		return h.ask(now)
	}
	return h.probe(now, ""), nil
}

// ask gets a probe from the other instances. The lock is held before and after,
// not meanwhile.
func (h *host) ask(now time.Time) (Pass, error) {
	if h.asking || now.Before(h.askAgain) {
		return Pass{}, h.refusal(now, again)
	}
	c, before := &h.set.config, h.word.load()
	h.asking = true
	h.mu.Unlock()
	ticket, err := c.Shared.Probe(h.name, c.Probes, c.ProbeTimeout)
	h.mu.Lock()
	h.asking = false
	now = c.Now()
	switch after := h.word.load(); {
	case after != before:
		h.hand(ticket, Ignored)
		if after.kind() == closed {
			return Pass{host: h, word: after}, nil
		}
		return Pass{}, h.refusal(now, max(h.wait(now), again))
	case err == nil && ticket == "":
		h.askAgain = now.Add(again)
		return Pass{}, h.refusal(now, again)
	}
	return h.probe(now, ticket), nil
}

// hand gives a shared probe back.
func (h *host) hand(ticket string, o Outcome) {
	if ticket != "" {
		h.set.config.Shared.Probed(h.name, ticket, h.set.config.Probes, o)
	}
}

// probe lets one call through to see.
func (h *host) probe(now time.Time, ticket string) Pass {
	h.probes++
	h.flight = append(h.flight, flight{h.probes, now.Add(h.set.config.ProbeTimeout), ticket})
	return Pass{host: h, word: h.word.load(), probe: h.probes}
}

// wait is how long an open breaker stays so.
func (h *host) wait(now time.Time) time.Duration {
	if h.forced {
		return h.set.config.Pause // it may be longer: a person decides
	}
	return h.until.Sub(now)
}

func (h *host) refusal(now time.Time, wait time.Duration) *Open {
	wait = max(wait, time.Millisecond)
	return &Open{Host: h.name, Until: now.Add(wait), RetryAfter: wait, Reason: h.reason}
}

// done counts what a call came to.
func (h *host) done(p Pass, o Outcome, took time.Duration, now time.Time) {
	if p.probe == 0 && (o == Ignored || o == Answered) {
		return
	}
	c := &h.set.config
	failed, slow := o == Failure, took > c.Slow
	h.mu.Lock()
	switch {
	case p.word != h.word.load(): // it began before the breaker changed
	case p.probe != 0:
		h.probed(p, o, slow, now)
	default:
		at := now.Sub(h.set.base)
		h.window.count(at, failed, slow)
		h.row.count(at, failed)
		if reason := h.judge(at); reason != "" {
			h.open(now, reason)
		}
	}
	changed := len(h.changes) > 0
	h.mu.Unlock()
	if changed {
		h.tell()
	}
}

// judge says why a closed breaker must open; empty: it need not.
func (h *host) judge(at time.Duration) string {
	c, n := &h.set.config, &h.window.sum
	if h.forced || n.calls < c.Minimum {
		return ""
	}
	calls := float64(n.calls)
	switch {
	case n.failed > 0 && float64(n.failed) >= c.FailureRate*calls:
		return fmt.Sprintf("%d of %d calls in the last %s failed", n.failed, n.calls, c.Window)
	case h.row.failures >= c.Minimum && at-h.row.since >= c.Window/buckets && c.FailureRate <= 1:
		return fmt.Sprintf("%d calls in the last %s failed, and none succeeded", h.row.failures, (at - h.row.since).Round(time.Millisecond))
	case n.slow > 0 && float64(n.slow) >= c.SlowRate*calls:
		return fmt.Sprintf("%d of %d calls in the last %s took longer than %s", n.slow, n.calls, c.Window, c.Slow)
	}
	return ""
}

// probed is the end of a probe. One that was given up says nothing.
func (h *host) probed(p Pass, o Outcome, slow bool, now time.Time) {
	i := slices.IndexFunc(h.flight, func(f flight) bool { return f.number == p.probe })
	if i < 0 {
		return
	}
	ticket := h.flight[i].ticket
	h.flight = slices.Delete(h.flight, i, i+1)
	c := &h.set.config
	switch {
	case o == Failure:
		h.open(now, "a call to see whether it is back failed")
		return
	case o != Ignored && slow && c.SlowRate <= 1:
		h.open(now, fmt.Sprintf("a call to see whether it is back took longer than %s", c.Slow))
		return
	case o != Ignored:
		o = Success
		h.proved++
	}
	if h.proved >= c.Probes {
		h.turn(closed, now, false)
		h.publish(Notice{State: Closed})
	} else {
		h.hand(ticket, o)
	}
}

// open begins a pause.
func (h *host) open(now time.Time, reason string) {
	c := &h.set.config
	if h.word.load().kind() == closed && now.Sub(h.since) >= c.Window {
		h.openings = 0 // it was well for a while
	}
	pause := c.MaxPause
	if h.openings < 32 && c.Pause < c.MaxPause>>h.openings {
		pause = c.Pause << h.openings
	}
	pause -= time.Duration(c.Dice() * float64(pause) / 10)
	h.openings++
	h.until, h.reason = now.Add(pause), reason
	h.turn(open, now, false)
	h.publish(Notice{State: Opened, Pause: pause, Openings: h.openings, Reason: reason})
}

// force is Set.Force.
func (h *host) force(to State) {
	h.mu.Lock()
	defer h.tell()
	defer h.mu.Unlock()
	now, k := h.set.config.Now(), closed
	h.forced, h.until, h.openings, h.reason = true, time.Time{}, 0, ""
	if to == Opened {
		k, h.reason = open, "it was opened by hand"
	}
	h.turn(k, now, false)
	h.publish(Notice{State: to, Forced: true, Reason: h.reason})
}

// reset is Set.Reset.
func (h *host) reset() {
	h.mu.Lock()
	defer h.tell()
	defer h.mu.Unlock()
	h.release(h.set.config.Now(), false)
	h.publish(Notice{State: Closed, Reset: true})
}

// release closes it and leaves it to itself.
func (h *host) release(now time.Time, learned bool) {
	h.forced, h.openings = false, 0
	h.turn(closed, now, learned)
}

// learn does what another instance did, and does not tell it back. What was done
// by hand gives way to another hand only.
func (h *host) learn(n Notice) {
	h.mu.Lock()
	defer h.tell()
	defer h.mu.Unlock()
	now, k := h.set.config.Now(), h.word.load().kind()
	switch {
	case n.Forced:
		if h.forced && states[k] == n.State {
			return
		}
		h.forced, h.until, h.openings, h.reason = true, time.Time{}, 0, n.Reason
		to := closed
		if n.State == Opened {
			to = open
		}
		h.turn(to, now, true)
	case n.Reset:
		if h.forced || k != closed || h.openings > 0 {
			h.release(now, true)
		}
	case h.forced:
	case n.State == Closed:
		if k != closed {
			h.turn(closed, now, true)
		}
	default:
		h.learnOpen(n, k, now)
	}
}

// learnOpen opens for as long as another instance does.
func (h *host) learnOpen(n Notice, k kind, now time.Time) {
	h.openings = max(h.openings, n.Openings)
	until := now.Add(max(n.Pause, 0))
	switch {
	case k == open:
		if until.After(h.until) {
			h.until = until
		}
	case k == closed || n.Pause > 0: // a half-open breaker stays so when that pause is over already
		h.until, h.reason = until, n.Reason
		h.turn(open, now, true)
	}
}

// turn changes the state. What is counted begins anew.
func (h *host) turn(k kind, now time.Time, learned bool) {
	before := h.word.load()
	if k == open {
		h.opened = h.window.at(now.Sub(h.set.base))
	}
	h.window.clear()
	h.row = row{}
	h.flight, h.proved, h.askAgain = nil, 0, time.Time{}
	if k != halfOpen {
		h.since = now
	}
	if k == closed {
		h.reason, h.until = "", time.Time{}
	}
	h.word.store(before.next(k))
	h.changes = append(h.changes, Change{Status: h.now(now), From: states[before.kind()], At: now, Learned: learned})
}

// publish tells the other instances.
func (h *host) publish(n Notice) {
	if h.set.config.Shared != nil {
		n.Host = h.name
		h.set.config.Shared.Publish(n)
	}
}

// tell tells of the changes, in their order, without the lock: one goroutine at
// a time.
func (h *host) tell() {
	h.mu.Lock()
	for !h.telling && len(h.changes) > 0 {
		change := h.changes[0]
		h.changes = h.changes[1:]
		h.telling = true
		h.mu.Unlock()
		h.set.config.Changed(change)
		h.mu.Lock()
		h.telling = false
	}
	h.mu.Unlock()
}

// status is the breaker now.
func (h *host) status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now(h.set.config.Now())
}

func (h *host) now(now time.Time) Status {
	k, n := h.word.load().kind(), h.opened
	if k == closed {
		n = h.window.at(now.Sub(h.set.base))
	}
	s := Status{Host: h.name, State: states[k], Forced: h.forced, Since: h.since, Until: h.until, Calls: n.calls, Reason: h.reason}
	s.FailureRate, s.SlowRate = n.rates()
	if k == open && !h.forced && !now.Before(h.until) {
		s.State = HalfOpen
	}
	return s
}

// forgettable reports whether nothing is lost with this breaker.
func (h *host) forgettable(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.word.load().kind() == closed && !h.forced && now.Sub(h.since) >= idle && h.window.at(now.Sub(h.set.base)).calls == 0
}
