package leasetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/lease"
)

// Item is what Memory lends.
type Item struct {
	ID  string
	Due time.Time
}

// Outcome is what Memory takes back. The zero value ends the item.
type Outcome struct {
	Note     string    // kept with the item
	Again    time.Time // when the item is due again; zero ends it
	Released bool      // it was not begun
}

// Memory is a lease.Queue in memory, for tests of those who use one. Nothing
// survives the process.
type Memory struct {
	// Fail, if set before use, is asked before each operation ("claim",
	// "next", "renew", "complete"); its error is returned and nothing is done.
	Fail func(operation string, keys []lease.Key) error

	mu    sync.Mutex
	items map[string]*memoryItem
	next  int
}

type memoryItem struct {
	Item
	at       time.Time
	order    int
	owner    string
	attempt  int
	finished bool
	note     string
}

var _ lease.Queue[Item, Outcome] = (*Memory)(nil)

// Add puts an item in and returns its id.
func (m *Memory) Add(due time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.items == nil {
		m.items = map[string]*memoryItem{}
	}
	m.next++
	id := fmt.Sprintf("item-%d", m.next)
	m.items[id] = &memoryItem{Item: Item{ID: id, Due: due}, at: due, order: m.next}
	return id
}

// State is where an item stands.
type State struct {
	Owner    string // empty: on loan to nobody
	Attempts int
	Finished bool
	Note     string // of the last outcome
}

// State returns where an item stands.
func (m *Memory) State(id string) State {
	m.mu.Lock()
	defer m.mu.Unlock()
	it := m.items[id]
	if it == nil {
		return State{}
	}
	return State{Owner: it.owner, Attempts: it.attempt, Finished: it.finished, Note: it.note}
}

func (m *Memory) fails(operation string, keys []lease.Key) error {
	if m.Fail == nil {
		return nil
	}
	return m.Fail(operation, keys)
}

// Claim lends items; see lease.Queue.
func (m *Memory) Claim(_ context.Context, c lease.Claim) ([]lease.Held[Item], error) {
	if err := m.fails("claim", nil); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []*memoryItem
	for _, it := range m.items {
		if !it.finished && !it.at.After(c.Now) {
			due = append(due, it)
		}
	}
	slices.SortFunc(due, func(a, b *memoryItem) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.order, b.order)) })
	var held []lease.Held[Item]
	for _, it := range due[:max(0, min(len(due), c.Limit))] {
		it.owner, it.at = c.Owner, c.Until
		it.attempt++
		held = append(held, lease.Held[Item]{Key: lease.Key{ID: it.ID, Attempt: it.attempt}, Value: it.Item})
	}
	return held, nil
}

// NextDue is when the next item can be claimed; see lease.Queue.
func (m *Memory) NextDue(context.Context) (time.Time, error) {
	if err := m.fails("next", nil); err != nil {
		return time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var next time.Time
	for _, it := range m.items {
		if !it.finished && (next.IsZero() || it.at.Before(next)) {
			next = it.at
		}
	}
	return next, nil
}

func (m *Memory) held(owner string, k lease.Key) *memoryItem {
	if it := m.items[k.ID]; it != nil && !it.finished && it.owner == owner && it.attempt == k.Attempt {
		return it
	}
	return nil
}

// Renew extends leases; see lease.Queue.
func (m *Memory) Renew(_ context.Context, owner string, keys []lease.Key, until time.Time) (lost []lease.Key, err error) {
	if err := m.fails("renew", keys); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		if it := m.held(owner, k); it != nil {
			it.at = until
		} else {
			lost = append(lost, k)
		}
	}
	return lost, nil
}

// Complete ends leases; see lease.Queue.
func (m *Memory) Complete(_ context.Context, owner string, done []lease.Done[Outcome]) (lost []lease.Key, err error) {
	keys := make([]lease.Key, len(done))
	for i := range done {
		keys[i] = done[i].Key
	}
	if err := m.fails("complete", keys); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range done {
		it := m.held(owner, d.Key)
		if it == nil {
			lost = append(lost, d.Key)
			continue
		}
		it.owner, it.note = "", d.Outcome.Note
		switch o := d.Outcome; {
		case o.Released:
			it.attempt--
			it.at = it.Due
		case !o.Again.IsZero():
			it.at, it.Due = o.Again, o.Again
		default:
			it.finished = true
		}
	}
	return lost, nil
}
