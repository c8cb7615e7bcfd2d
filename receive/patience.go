package receive

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How long a commit is waited for where the provider documents no deadline, and
// at most where it does: a store that is so far behind is out of order, and the
// memory that waiting requests hold is better spent on those that can be kept.
const (
	usualPatience = 5 * time.Second
	mostPatience  = 10 * time.Second
)

// errLate is the cause of an answer that did not wait for the store any longer.
var errLate = errors.New("the store did not commit within the time the provider waits for an answer")

// patience is how long a commit may take so that the provider still hears our
// answer: four fifths of its deadline, as the request and the answer travel too.
// Zero, a deadline that is not documented, gives usualPatience.
func patience(deadlineS int) time.Duration {
	if deadlineS <= 0 {
		return usualPatience
	}
	return min(time.Duration(deadlineS)*time.Second*4/5, mostPatience)
}

// untilLate bounds the wait for a commit. The sender's hanging up does not: the
// commit is under way all the same, and counters and log should say what became
// of the event.
func (d *door) untilLate(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.WithoutCancel(ctx), d.patience, fmt.Errorf("%w (%s)", errLate, d.patience))
}
