package call

import (
	"sync"
	"time"
)

// alarms rings the clocks that run for one length of time. They ring in the
// order in which they were set, so that one timer, of the first, does for all:
// setting and taking one off is a matter of a few pointers, where a timer each
// is set in the runtime and taken off again for every call.
type alarms struct {
	after time.Duration
	base  time.Time // instants are counted from here

	mu          sync.Mutex
	first, last *clock
	timer       *time.Timer
	armed       bool // the timer will ring
}

func newAlarms(after time.Duration) *alarms { return &alarms{after: after, base: time.Now()} }

// instant is the time since the alarms were made, and more than zero.
func (a *alarms) instant() time.Duration { return time.Since(a.base) + 1 }

// set lets a clock ring once the time is over, counted anew if it is set
// already.
func (a *alarms) set(c *clock) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.linked {
		a.unlink(c)
	}
	c.due = a.instant() + a.after
	c.before, c.linked = a.last, true
	if a.last == nil {
		a.first = c
	} else {
		a.last.behind = c
	}
	a.last = c
	if !a.armed {
		a.arm(a.after)
	}
}

// unset keeps a clock from ringing; one that is not set, or rang, is left alone.
func (a *alarms) unset(c *clock) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.linked {
		a.unlink(c)
	}
}

// isSet reports whether a clock is still to ring.
func (a *alarms) isSet(c *clock) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return c.linked
}

func (a *alarms) unlink(c *clock) {
	if c.before == nil {
		a.first = c.behind
	} else {
		c.before.behind = c.behind
	}
	if c.behind == nil {
		a.last = c.before
	} else {
		c.behind.before = c.before
	}
	c.before, c.behind, c.linked = nil, nil, false
}

func (a *alarms) arm(in time.Duration) {
	a.armed = true
	if a.timer == nil {
		a.timer = time.AfterFunc(in, a.ring)
		return
	}
	a.timer.Reset(in)
}

// ring lets those ring whose time is over. The timer is left to run out when
// nobody is set any more.
func (a *alarms) ring() {
	for {
		a.mu.Lock()
		c := a.first
		if c == nil {
			a.armed = false
			a.mu.Unlock()
			return
		}
		if in := c.due - a.instant(); in > 0 {
			a.arm(in)
			a.mu.Unlock()
			return
		}
		a.unlink(c)
		a.mu.Unlock()
		c.ranOut()
	}
}
