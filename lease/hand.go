package lease

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

// loan is a row on loan to this runner, from the claim until its outcome is
// written or the lease is lost.
type loan[T any] struct {
	Held[T]
	until  time.Time               // guarded by hand.mu
	cancel context.CancelCauseFunc // guarded by hand.mu; nil before work begins
	lost   bool                    // guarded by hand.mu
	ended  bool                    // guarded by hand.mu; its outcome waits to be written or is
}

// finished is a loan with what came of it.
type finished[T, O any] struct {
	loan *loan[T]
	Done[O]
}

// hand is what a runner holds. A slot is taken while a row waits for a worker
// or is worked on; a row whose outcome waits to be written has freed its slot
// and is still renewed.
type hand[T any] struct {
	mu    sync.Mutex
	used  int           // slots taken
	ended int           // slots freed since the beginning
	freed chan struct{} // told when a slot becomes free
	loans map[Key]*loan[T]
}

func (h *hand[T]) counts() (used, ended int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.used, h.ended
}

func (h *hand[T]) take(held []Held[T], until time.Time) []*loan[T] {
	loans := make([]*loan[T], len(held))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used += len(held)
	for i := range held {
		loans[i] = &loan[T]{Held: held[i], until: until}
		h.loans[held[i].Key] = loans[i]
	}
	return loans
}

// begin is false if the lease was lost while the row waited.
func (h *hand[T]) begin(l *loan[T], cancel context.CancelCauseFunc) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.cancel = cancel
	return !l.lost
}

// end frees the slot; it is false if the lease was lost meanwhile.
func (h *hand[T]) end(l *loan[T]) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used--
	h.ended++
	l.cancel = nil
	l.ended = true
	signal(h.freed)
	return !l.lost
}

// drop forgets loans whose outcomes are written. A row that was given back may
// have been lent again under the same key by then: that loan stays.
func (h *hand[T]) drop(loans []*loan[T]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range loans {
		if h.loans[l.Key] == l {
			delete(h.loans, l.Key)
		}
	}
}

func (h *hand[T]) keys() []Key {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := make([]Key, 0, len(h.loans))
	for k := range h.loans {
		keys = append(keys, k)
	}
	return keys
}

func (h *hand[T]) renewed(keys []Key, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range keys {
		if l := h.loans[k]; l != nil {
			l.until = until
		}
	}
}

// lose ends the work on loans that are another's now and returns those that
// were still being worked on or waiting for it. Where work has ended, the store
// answers for the outcome.
func (h *hand[T]) lose(keys []Key) []Key {
	h.mu.Lock()
	defer h.mu.Unlock()
	var stopped []Key
	for _, k := range keys {
		l := h.loans[k]
		if l == nil || l.ended {
			continue
		}
		l.lost = true
		delete(h.loans, k)
		if l.cancel != nil {
			l.cancel(ErrLost)
		}
		stopped = append(stopped, k)
	}
	return stopped
}

// expired returns the loans whose term has run out.
func (h *hand[T]) expired(now time.Time) []Key {
	h.mu.Lock()
	defer h.mu.Unlock()
	var keys []Key
	for k, l := range h.loans {
		if !l.until.After(now) {
			keys = append(keys, k)
		}
	}
	return keys
}

// stack is the stack of a panic, cut to what a log line can carry.
func stack() string {
	s := debug.Stack()
	return string(s[:min(len(s), 4096)])
}
