package retry

import (
	"cmp"
	"sync"
	"time"
)

// Defaults of BudgetConfig.
const (
	DefaultBudgetShare  = 0.2
	DefaultBudgetWindow = 10 * time.Second
	DefaultBudgetFloor  = 3 // retries a second
)

// BudgetConfig is how many retries are made at most. The zero BudgetConfig is a
// good one.
type BudgetConfig struct {
	// Share of the calls in the window that may be retries, each call counted
	// once however often it is tried. Zero means 0.2; a negative share leaves
	// the floor alone.
	Share float64
	// Window is how far is looked back. Zero means 10 seconds. It moves in
	// tenths.
	Window time.Duration
	// Floor is how many retries a second are made whatever the share is, so
	// that a service with little traffic retries at all. Zero means 3; a
	// negative floor is none.
	Floor float64
}

// Budget caps the retries of all calls to one service, so that a provider in
// trouble does not get several times the traffic it fails under (R4.16). The
// retries within a window never exceed the share of the calls within it and the
// floor together. It may be used from many goroutines; a nil Budget knows no
// bounds.
//
// The idea is that of Finagle's RetryBudget: https://twitter.github.io/finagle/guide/Clients.html#retries
type Budget struct {
	share float64
	floor float64 // retries in a window
	width time.Duration

	mu      sync.Mutex
	base    time.Time
	newest  int64 // the number of the last bucket
	ring    [budgetBuckets]spent
	sum     spent // of the ring
	refused int64
}

// budgetBuckets is one more than make up the window. Retries are counted in all
// of them and calls in all but the oldest, which is partly outside the window:
// so what is counted errs on the side of fewer retries.
const budgetBuckets = 11

type spent struct{ calls, retries int }

// NewBudget makes a budget of which nothing is spent.
func NewBudget(c BudgetConfig) *Budget {
	window := max(cmp.Or(c.Window, DefaultBudgetWindow), budgetBuckets-1)
	return &Budget{
		share: max(cmp.Or(c.Share, DefaultBudgetShare), 0),
		floor: max(cmp.Or(c.Floor, DefaultBudgetFloor), 0) * window.Seconds(),
		width: window / (budgetBuckets - 1),
	}
}

// Call notes a new call at a moment; its retries are not noted so.
func (b *Budget) Call(now time.Time) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.move(now)
	b.ring[b.newest%budgetBuckets].calls++
	b.sum.calls++
}

// Allow reports whether one more retry may be made, and books it when it may.
func (b *Budget) Allow(now time.Time) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.move(now)
	if float64(b.sum.retries+1) > b.share*float64(b.calls())+b.floor {
		b.refused++
		return false
	}
	b.ring[b.newest%budgetBuckets].retries++
	b.sum.retries++
	return true
}

// Spending is what became of a budget.
type Spending struct {
	Calls   int   // within the window
	Retries int   // within the window
	Refused int64 // retries that were not made, since the beginning
}

// Spending is what was spent within the window that ends now.
func (b *Budget) Spending(now time.Time) Spending {
	if b == nil {
		return Spending{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.move(now)
	return Spending{Calls: b.calls(), Retries: b.sum.retries, Refused: b.refused}
}

// calls are those that certainly are within the window.
func (b *Budget) calls() int { return b.sum.calls - b.ring[(b.newest+1)%budgetBuckets].calls }

// move empties the buckets that are too old. A clock that goes back stands
// still here.
func (b *Budget) move(now time.Time) {
	if b.base.IsZero() {
		b.base = now
	}
	number := int64(now.Sub(b.base) / b.width)
	if number-b.newest >= budgetBuckets {
		b.ring, b.sum, b.newest = [budgetBuckets]spent{}, spent{}, number
	}
	for b.newest < number {
		b.newest++
		old := &b.ring[b.newest%budgetBuckets]
		b.sum.calls -= old.calls
		b.sum.retries -= old.retries
		*old = spent{}
	}
}
