package ledger

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/limit"
)

// Memory is a Ledger within one process: several Limiters share their limits
// through it. Its zero value is ready.
type Memory struct {
	Now func() time.Time // nil is time.Now

	mu    sync.Mutex
	group Group
}

// Settle never fails, except that ctx has ended.
func (m *Memory) Settle(ctx context.Context, s *limit.Settlement) (*limit.Settled, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Now == nil {
		m.Now = time.Now
	}
	return m.group.Settle(m.Now().UnixMicro(), s), nil
}

// Forget loses everything, as a Redis does that is restarted.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.group = Group{}
}
