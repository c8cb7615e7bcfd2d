package call

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/sallyport/sallyport/classify"
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
// runs only while a read waits.
type clock struct {
	context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	op     *operation

	mu     sync.Mutex
	handed bool // the answer is the caller's
}

func (c *clock) start(ctx context.Context, op *operation) {
	c.op = op
	c.Context, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(op.timeout, c.ranOut)
}

func (c *clock) ranOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handed {
		c.cancel(&classify.Timeout{Clock: "wait for more of the answer", After: c.idle()})
		return
	}
	c.cancel(c.op.timedOut)
}

func (c *clock) idle() time.Duration { return max(StreamIdle, c.op.timeout) }

// stop ends the clock and what it times.
func (c *clock) stop() {
	c.timer.Stop()
	c.cancel(nil)
}

// handOn is called when the answer becomes the caller's.
func (c *clock) handOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handed = true
	c.timer.Stop()
}

// waiting and came stand around a read of the answer. Before it is handed on
// they change nothing.
func (c *clock) waiting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handed {
		c.timer.Reset(c.idle())
	}
}

func (c *clock) came() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handed {
		c.timer.Stop()
	}
}

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
		c.timer.Stop()
	}
}

func (c *clock) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.handed {
		c.timer.Reset(c.op.timeout)
	}
}
