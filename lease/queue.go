package lease

import (
	"context"
	"errors"
	"time"
)

// Queue lends rows of type T and takes back outcomes of type O. Its methods
// may be called from several goroutines at once.
//
// Times are the caller's: a queue reads no clock. leasetest holds the suite a
// Queue has to pass.
type Queue[T, O any] interface {
	// Claim lends up to c.Limit rows that are due at c.Now, the longest due
	// first, to c.Owner until c.Until. A row whose earlier lease ended at or
	// before c.Now is due again. Each loan counts as an attempt. No row is due
	// to two owners. It answers with fewer than c.Limit rows only if no more
	// are due, and with none and no error if none are.
	Claim(ctx context.Context, c Claim) ([]Held[T], error)

	// NextDue is when the next row can be claimed: the earliest time at which
	// one is due or its lease ends. It may lie in the past. Zero means that
	// nothing waits.
	NextDue(ctx context.Context) (time.Time, error)

	// Renew extends the leases that owner still holds to until. The others are
	// returned as lost: what is being done under them must stop.
	Renew(ctx context.Context, owner string, keys []Key, until time.Time) (lost []Key, err error)

	// Complete ends leases and writes down their outcomes, all in one
	// transaction. Rows that owner does not hold under that attempt any more
	// stay as they are and are returned as lost. A lease that ran out but was
	// not taken by another is still held. On an error nothing was written, or,
	// if ctx ended, perhaps all.
	Complete(ctx context.Context, owner string, done []Done[O]) (lost []Key, err error)
}

// Claim asks for work.
type Claim struct {
	Owner string    // who asks; unique to a running process
	Now   time.Time // what is due by now may be lent
	Until time.Time // when the lease ends unless it is renewed
	Limit int       // at most this many; less than 1 asks for nothing
}

// Key names one loan of one row. A row lent again has another Attempt.
type Key struct {
	ID      string
	Attempt int // 1 for the first
}

// Held is a row on loan.
type Held[T any] struct {
	Key
	Value T
}

// Done is what came of a row on loan.
type Done[O any] struct {
	Key
	Outcome O
}

// Why the context of a piece of work ended before it was done.
var (
	// ErrStopping: the runner stops and its grace is used up.
	ErrStopping = errors.New("lease: the worker is stopping")
	// ErrLost: the lease ran out or another owner has the row; whatever comes
	// of this attempt will be refused.
	ErrLost = errors.New("lease: the lease was lost")
)
