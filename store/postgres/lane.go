package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
)

// A piece of work is queued, then either taken by a committer or abandoned by
// its caller.
const (
	queued int32 = iota
	taken
	abandoned
)

// work is an event, or the record of a call, on its way into the database.
type work struct {
	event *newEvent
	call  *callRow
	state atomic.Int32
	err   error
	done  chan struct{} // of capacity 1; nil when nobody waits
}

// lane is one bounded queue in front of committers.
type lane chan *work

// offer puts work into a lane that has room; false means that it is full.
func (s *Store) offer(l lane, k *work) (bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false, ErrClosed
	}
	select {
	case l <- k:
		return true, nil
	default:
		return false, nil
	}
}

// put puts work into a lane and waits for room until ctx ends.
func (s *Store) put(ctx context.Context, l lane, k *work) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case l <- k:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("postgres: nothing was written: %w", context.Cause(ctx))
	}
}

// wait returns what came of k. When ctx ends first, k is taken back if no
// committer has begun with it; otherwise its outcome is open.
func (k *work) wait(ctx context.Context) error {
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
	}
	if k.state.CompareAndSwap(queued, abandoned) {
		return fmt.Errorf("postgres: nothing was written: %w", context.Cause(ctx))
	}
	select {
	case <-k.done:
		return k.err
	default:
		return fmt.Errorf("postgres: it may have been written: %w", context.Cause(ctx))
	}
}

// start starts the committers: several for events, one for records, which have
// to be written in the order they come in.
func (s *Store) start() {
	for range s.options.Committers {
		s.committing.Go(func() { s.commitFrom(s.events, s.insertEvents) })
	}
	s.committing.Go(func() { s.commitFrom(s.records, s.insertRecords) })
}

// One statement carries at most this many pieces of work and about this many
// bytes: enough for a commit to cost little a piece, few enough that the first
// does not wait long and that memory stays small.
const (
	batchMost  = 512
	batchBytes = 4 << 20
)

// commitFrom writes what waits in a lane until that is closed and empty.
func (s *Store) commitFrom(l lane, insert func([]*work)) {
	batch := make([]*work, 0, batchMost)
	for first := range l {
		batch = take(batch[:0], first)
		size := first.size()
	gather:
		for len(batch) < batchMost && size < batchBytes {
			select {
			case k, ok := <-l:
				if !ok {
					break gather
				}
				batch = take(batch, k)
				size += k.size()
			default:
				break gather
			}
		}
		if len(batch) > 0 {
			insert(batch)
		}
		for _, k := range batch {
			if k.done != nil {
				k.done <- struct{}{}
			}
		}
		clear(batch)
	}
}

// take appends work that its caller has not taken back.
func take(batch []*work, k *work) []*work {
	if k.state.CompareAndSwap(queued, taken) {
		return append(batch, k)
	}
	return batch
}

func (k *work) size() int {
	if k.event != nil {
		return len(k.event.Payload) + len(k.event.headers)
	}
	if k.call == nil {
		return 0
	}
	body, _ := k.call.body.([]byte)
	return len(body) + 256*len(k.call.attempts)
}
