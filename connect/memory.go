package connect

import (
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sallyport/sallyport/integration"
)

// who finds a connection's credential in memory: by its id, or by tenant.
type who struct{ service, tenant, connection string }

// memory holds opened credentials, so that a warm call asks no store. Reading
// takes no lock; the least recently loaded go first when it is full.
type memory struct {
	entries sync.Map // who → *entry
	mu      sync.Mutex
	order   *lru.Cache[who, *entry]
}

// entry is a credential in memory.
type entry struct {
	credential Credential
	loaded     time.Time // when the store said so
	minute     atomic.Int64
}

func newMemory(most int) *memory {
	m := &memory{}
	m.order, _ = lru.NewWithEvict(most, func(key who, e *entry) { m.entries.CompareAndDelete(key, e) }) // most is more than zero
	return m
}

func (m *memory) get(key who) *entry {
	e, ok := m.entries.Load(key)
	if !ok {
		return nil
	}
	return e.(*entry)
}

func (m *memory) put(key who, e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries.Store(key, e)
	m.order.Add(key, e)
}

// forget drops what is held of a connection.
func (m *memory) forget(c *integration.Connection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range []who{{service: c.Service, connection: c.ID}, {service: c.Service, tenant: c.Tenant}} {
		m.order.Remove(key)
		m.entries.Delete(key)
	}
}
