package breakertest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/breaker"
)

// Memory shares breakers within a process, at once. It says how sharing is meant
// and is for tests.
type Memory struct {
	mu      sync.Mutex
	now     func() time.Time
	members []*member
	known   map[string]known
	probes  map[string]map[string]time.Time // by host and ticket: when it is given up
	proved  map[string]int
	tickets int
}

type known struct {
	breaker.Notice
	until time.Time
}

// NewMemory makes a Memory. Nil is time.Now.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, known: map[string]known{}, probes: map[string]map[string]time.Time{}, proved: map[string]int{}}
}

// Join is one more instance.
func (m *Memory) Join() breaker.Shared { return &member{memory: m} }

type member struct {
	memory *Memory
	learn  func(breaker.Notice)
}

// Subscribe implements breaker.Shared.
func (i *member) Subscribe(learn func(breaker.Notice)) {
	m := i.memory
	m.mu.Lock()
	i.learn = learn
	m.members = append(m.members, i)
	all := slices.Collect(maps.Values(m.known))
	m.mu.Unlock()
	for _, k := range all {
		k.Pause = k.until.Sub(m.now())
		learn(k.Notice)
	}
}

// Publish implements breaker.Shared.
func (i *member) Publish(n breaker.Notice) { i.memory.publish(n, i) }

func (m *Memory) publish(n breaker.Notice, from *member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[n.Host].Forced && !n.Forced && !n.Reset {
		return
	}
	m.known[n.Host] = known{n, m.now().Add(n.Pause)}
	delete(m.probes, n.Host)
	delete(m.proved, n.Host)
	for _, other := range m.members {
		if other != from {
			go other.learn(n) // the publisher holds a lock
		}
	}
}

// Probe implements breaker.Shared.
func (i *member) Probe(host string, probes int, timeout time.Duration) (string, error) {
	m := i.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	maps.DeleteFunc(m.probes[host], func(_ string, lost time.Time) bool { return !now.Before(lost) })
	if len(m.probes[host])+m.proved[host] >= probes {
		return "", nil
	}
	if m.probes[host] == nil {
		m.probes[host] = map[string]time.Time{}
	}
	m.tickets++
	ticket := fmt.Sprint(m.tickets)
	m.probes[host][ticket] = now.Add(timeout)
	return ticket, nil
}

// Probed implements breaker.Shared.
func (i *member) Probed(host, ticket string, probes int, o breaker.Outcome) {
	m := i.memory
	m.mu.Lock()
	_, ok := m.probes[host][ticket]
	delete(m.probes[host], ticket)
	closes := false
	if ok && o == breaker.Success {
		m.proved[host]++
		closes = m.proved[host] >= probes
	}
	m.mu.Unlock()
	if closes {
		m.publish(breaker.Notice{Host: host, State: breaker.Closed}, nil)
	}
}
