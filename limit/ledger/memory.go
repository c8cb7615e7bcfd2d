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

	mu       sync.Mutex
	accounts map[string]*Account
	seen     map[string]int64
	paused   int64
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
	if m.accounts == nil {
		m.accounts, m.seen = map[string]*Account{}, map[string]int64{}
	}
	now := m.Now().UnixMicro()
	if s.Pause > 0 {
		m.paused = max(m.paused, now+s.Pause.Microseconds())
	}
	answer := &limit.Settled{Pause: max(0, time.Duration(m.paused-now)*time.Microsecond), Accounts: make([]limit.Granted, len(s.Statements))}
	switch {
	case s.Leave:
		delete(m.seen, s.Instance)
	case s.Beat:
		m.seen[s.Instance] = now
		for id, at := range m.seen {
			if now-at > limit.Presence.Microseconds() {
				delete(m.seen, id)
			}
		}
		answer.Instances = len(m.seen)
	}
	for i := range s.Statements {
		statement := &s.Statements[i]
		a := m.accounts[statement.Account]
		if a == nil {
			a = &Account{}
			m.accounts[statement.Account] = a
		}
		answer.Accounts[i] = a.Settle(now, s.Instance, statement)
	}
	return answer, nil
}

// Forget loses everything, as a Redis does that is restarted.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts, m.seen, m.paused = nil, nil, 0
}
