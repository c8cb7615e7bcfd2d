package receive

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
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

// lateness holds the bound on waiting that requests share which came within a
// twentieth of the patience: a context and a timer for each were a part of what a
// webhook costs. The last of them waits that much shorter.
type lateness struct{ now atomic.Pointer[sharedBound] }

type sharedBound struct {
	context.Context
	end   context.CancelFunc // of nobody: it ends by itself
	until time.Time          // the last moment at which a request takes it
}

// untilLate bounds the wait for a commit. The sender's hanging up does not: the
// commit is under way all the same, and counters and log should say what became
// of the event.
func (d *door) untilLate() (context.Context, context.CancelFunc) {
	if d.late == nil { // a tenant's door, which has spent some of its patience
		return d.bound(d.patience)
	}
	now := time.Now()
	if shared := d.late.now.Load(); shared != nil && now.Before(shared.until) {
		return shared, func() {}
	}
	ctx, end := d.bound(d.patience)
	shared := &sharedBound{ctx, end, now.Add(d.patience / 20)}
	d.late.now.Store(shared)
	return shared, func() {}
}

func (d *door) bound(patience time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("%w (%s)", errLate, d.patience))
}
