package ledger

import (
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/limit"
)

// Group is everything that is shared of one service in one environment: its
// accounts, the instances that live, the pause. It is pure and belongs to
// whoever holds the lock; a store may keep it as JSON. Its zero value knows
// nothing.
type Group struct {
	Accounts map[string]*Account `json:"accounts,omitempty"`
	Seen     map[string]int64    `json:"seen,omitempty"`   // instances, and when they were last heard of
	Paused   int64               `json:"paused,omitempty"` // until this instant, microseconds
}

// Settle answers a settlement at an instant, microseconds on the clock that all
// share.
func (g *Group) Settle(now int64, s *limit.Settlement) *limit.Settled {
	if g.Accounts == nil {
		g.Accounts = map[string]*Account{}
	}
	if g.Seen == nil {
		g.Seen = map[string]int64{}
	}
	if s.Pause > 0 {
		g.Paused = max(g.Paused, now+s.Pause.Microseconds())
	}
	answer := &limit.Settled{Pause: max(0, time.Duration(g.Paused-now)*time.Microsecond), Accounts: make([]limit.Granted, len(s.Statements))}
	switch {
	case s.Leave:
		delete(g.Seen, s.Instance)
	case s.Beat:
		g.Seen[s.Instance] = now
		for id, at := range g.Seen {
			if now-at > limit.Presence.Microseconds() {
				delete(g.Seen, id)
			}
		}
		answer.Instances = len(g.Seen)
	}
	for i := range s.Statements {
		statement := &s.Statements[i]
		a := g.Accounts[statement.Account]
		if a == nil {
			a = &Account{}
			g.Accounts[statement.Account] = a
		}
		answer.Accounts[i] = a.Settle(now, s.Instance, statement)
	}
	return answer
}

// written is an Account as JSON.
type written struct {
	Epoch    int64               `json:"epoch"`
	Born     int64               `json:"born"`
	Last     int64               `json:"last"`
	Low      int64               `json:"low"`
	High     int64               `json:"high"`
	Total    int64               `json:"total"`
	Slots    map[int64]int64     `json:"slots"`
	Debt     int64               `json:"debt,omitempty"`
	DebtEnd  int64               `json:"debt_end,omitempty"`
	Expected int                 `json:"expected,omitempty"`
	Joined   map[string]bool     `json:"joined"`
	Sequence map[string]int64    `json:"sequence"`
	Hungry   map[string][4]int64 `json:"hungry"`
}

// MarshalJSON writes the account down.
func (a *Account) MarshalJSON() ([]byte, error) {
	w := written{
		Epoch: a.epoch, Born: a.born, Last: a.last, Low: a.low, High: a.high, Total: a.total, Slots: a.slots, Debt: a.debt, DebtEnd: a.debtEnd,
		Expected: a.expected, Joined: a.joined, Sequence: a.sequence, Hungry: make(map[string][4]int64, len(a.hungry)),
	}
	for id, h := range a.hungry {
		w.Hungry[id] = [4]int64{h.units, h.until, h.had, h.at}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads it back.
func (a *Account) UnmarshalJSON(b []byte) error {
	var w written
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*a = Account{
		epoch: w.Epoch, born: w.Born, last: w.Last, low: w.Low, high: w.High, total: w.Total, slots: w.Slots, debt: w.Debt, debtEnd: w.DebtEnd,
		expected: w.Expected, joined: w.Joined, sequence: w.Sequence, hungry: make(map[string]hunger, len(w.Hungry)),
	}
	if a.slots != nil && a.joined == nil {
		a.joined = map[string]bool{}
	}
	if a.slots != nil && a.sequence == nil {
		a.sequence = map[string]int64{}
	}
	for id, h := range w.Hungry {
		a.hungry[id] = hunger{units: h[0], until: h[1], had: h[2], at: h[3]}
	}
	return nil
}
