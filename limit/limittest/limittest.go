// Package limittest holds what every way of sharing limits must satisfy: that
// of one process, that of several Limiters through a ledger in memory, and that
// through Redis are held to the same tests.
package limittest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/limit"
)

// Turn is a turn that was had at some instant from Asked to Given.
type Turn struct{ Asked, Given time.Time }

// Most is the largest number of turns that were certainly had within one stretch
// of a window's length, wherever it begins.
func Most(turns []Turn, window time.Duration) (most int) {
	turns = slices.SortedFunc(slices.Values(turns), func(a, b Turn) int { return a.Asked.Compare(b.Asked) })
	for i := range turns {
		end, n := turns[i].Asked.Add(window), 0
		for j := i; j < len(turns) && turns[j].Asked.Before(end); j++ {
			if turns[j].Given.Before(end) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// Recorder writes down turns. It may be used by many goroutines at once.
type Recorder struct {
	mu    sync.Mutex
	turns []Turn
}

// Take takes a turn and writes it down.
func (r *Recorder) Take(ctx context.Context, l *limit.Limiter, q limit.Request) error {
	asked := time.Now()
	turn, err := l.Take(ctx, q)
	if err != nil {
		return err
	}
	given := time.Now()
	turn.Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns = append(r.turns, Turn{Asked: asked.Add(turn.Waited), Given: given})
	return nil
}

// Turns are those written down so far.
func (r *Recorder) Turns() []Turn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.turns)
}

// Saturate has callers take turns one after the other until ctx ends, and
// returns once they are done.
func (r *Recorder) Saturate(ctx context.Context, t testing.TB, l *limit.Limiter, callers int, q limit.Request) {
	t.Helper()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := r.Take(ctx, l, q); err != nil && ctx.Err() == nil {
					t.Errorf("a caller with patience: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}
