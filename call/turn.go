package call

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/retry"
)

// CodeBegin is the code of a call that was not sent because it could not be
// written down that it was about to be.
const CodeBegin = "begin_not_kept"

// turn is one turn of a call that runs from the queue.
type turn struct {
	before int // attempts of earlier turns
	// mark writes down, durably, that a request is about to be sent which must
	// not be sent twice; nil: a repeat does no harm.
	mark   func(context.Context) error
	marked bool
	began  time.Time // of this turn
	// again is the retry that the policy wants, for the queue to wait for.
	again *retry.Decision
}

// inPlace is the longest wait before a retry that a turn sits out. A longer one
// is the queue's: it holds no worker and survives the process.
const inPlace = 100 * time.Millisecond

// later hands a retry that is to be waited for to the queue.
func (t *turn) later(d retry.Decision) retry.Decision {
	if t == nil || !d.Retry || d.After <= inPlace {
		return d
	}
	again := d
	t.again = &again
	d.Retry, d.Then, d.Reason = false, retry.Keep, "the retry waits in the queue"
	return d
}

// since is when the policy's time for a call began: with a caller who waits,
// when the call came in.
func (t *turn) since(c *integration.Call) time.Time {
	if t == nil {
		return c.CreatedAt
	}
	return t.began
}

// begin is called right before each request. A process that dies after it
// leaves the call in doubt; one that dies before leaves it to be made.
func (t *turn) begin(ctx context.Context) *integration.Failure {
	if t == nil || t.mark == nil || t.marked {
		return nil
	}
	if err := t.mark(ctx); err != nil {
		return &integration.Failure{
			Class: integration.ClassUnavailable, Code: CodeBegin, Reason: "queued", Err: err,
			Message: "The request was not sent: it could not be written down that it is about to be.",
			Hint:    "It stays in the queue. See the gateway's log for what ails the store.",
		}
	}
	t.marked = true
	return nil
}

// harmless reports whether repeating a request that may have been received does
// no harm: it has its effect once all the same (design decision 3).
func harmless(effect plan.Effect, hasKey bool) bool {
	switch effect {
	case plan.EffectRead, plan.EffectUpdate:
		return true
	case plan.EffectIrreversible:
		return false
	}
	return hasKey
}
