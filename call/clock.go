package call

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// StreamIdle is how long an answer that is being handed on may be silent while
// somebody waits for more of it; endpoints with a longer timeout give that. A
// stream that says something, such as the comment lines of server-sent events,
// lives as long as the caller wants it.
const StreamIdle = time.Minute

// clock ends an attempt the provider is too slow for. First it runs for the
// endpoint's timeout, until the answer's header is here and as much of the body
// as it takes to understand it. Of a request body that is streamed, however
// long, it times the provider alone: it begins anew with each piece and stands
// still while the caller makes the next one. Once the answer is handed on it
// counts only while a read waits. Most answers are read before the first alarm
// would ring, so it is left set, and only what comes after it is watched with a
// timer.
type clock struct {
	context.Context
	cancel context.CancelCauseFunc
	op     *operation
	since  atomic.Int64 // the instant from which a read of the handed answer waits; 0: none does

	mu      sync.Mutex
	handed  bool // the answer is the caller's
	stopped bool
	timer   *time.Timer // of an answer that takes longer to hand on; else nil

	// Of the alarms it is set in, and theirs to guard.
	before, behind *clock
	due            time.Duration
	linked         bool
}

func (c *clock) start(ctx context.Context, op *operation) {
	c.op = op
	c.Context, c.cancel = context.WithCancelCause(ctx)
	op.alarms.set(c)
}

// ranOut is called when its alarm rings. The clock may have been stopped, or set
// anew, in the same moment.
func (c *clock) ranOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.stopped || c.op.alarms.isSet(c):
	case c.handed:
		c.watch()
	default:
		c.cancel(c.op.timedOut)
	}
}

// watch ends an answer that somebody has waited for more of for too long, or
// looks again when that may be so. The lock is held.
func (c *clock) watch() {
	left := c.op.silent.After
	if since := c.since.Load(); since != 0 {
		left -= c.op.alarms.instant() - time.Duration(since)
	}
	switch {
	case left <= 0:
		c.cancel(c.op.silent)
	case c.timer == nil:
		c.timer = time.AfterFunc(left, c.look)
	default:
		c.timer.Reset(left)
	}
}

func (c *clock) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.watch()
	}
}

// stop ends the clock and what it times.
func (c *clock) stop() {
	c.mu.Lock()
	c.stopped = true
	c.op.alarms.unset(c)
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.cancel(nil)
}

// handOn is called when the answer becomes the caller's.
func (c *clock) handOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handed = true
}

// waiting and came stand around a read of the answer. Before it is handed on,
// by the goroutine that reads till then, they change nothing.
func (c *clock) waiting() {
	if c.handed {
		c.since.Store(int64(c.op.alarms.instant()))
	}
}

func (c *clock) came() { c.since.Store(0) }

// upload is a request body that goes through once. The clock stands while the
// caller makes the next piece of it.
type upload struct {
	io.ReadCloser
	clock *clock
}

// Read reads on.
func (u *upload) Read(p []byte) (int, error) {
	u.clock.pause()
	n, err := u.ReadCloser.Read(p)
	u.clock.again()
	return n, err
}

func (c *clock) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.handed {
		c.op.alarms.unset(c)
	}
}

func (c *clock) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.handed && !c.stopped {
		c.op.alarms.set(c)
	}
}
