package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/limit/ledger"
)

// LimitLedger shares the limits of a group between instances through the
// database, where there is no Redis (design decision 7). It answers as the
// others do; a settlement is one short transaction on one row, and the clock is
// the server's. Instances ask ahead of their calls, so that is not one a call.
type LimitLedger struct {
	store *Store
	group string
}

// LimitLedger returns the ledger of a group: the limits of one service in one
// environment.
func (s *Store) LimitLedger(group string) *LimitLedger { return &LimitLedger{s, group} }

// Settle answers a settlement.
func (l *LimitLedger) Settle(ctx context.Context, s *limit.Settlement) (*limit.Settled, error) {
	var answer *limit.Settled
	err := l.store.do(ctx, func(t *transaction) error {
		// What a crash loses here is given back by the instances.
		if _, err := t.exec("SET LOCAL synchronous_commit = off"); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO limit_groups (name, state) VALUES ($1, '{}') ON CONFLICT DO NOTHING", l.group); err != nil {
			return err
		}
		var group ledger.Group
		var text string
		var now int64
		row := t.tx.QueryRow(t.ctx, "SELECT state, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM limit_groups WHERE name = $1 FOR UPDATE", l.group)
		if err := row.Scan(&text, &now); err != nil {
			if errors.Is(err, pgx.ErrNoRows) {
				return fmt.Errorf("postgres: the limits of %s are gone", l.group)
			}
			return err
		}
		if err := json.Unmarshal([]byte(text), &group); err != nil {
			group = ledger.Group{} // as after a crash: the instances give back what they know
		}
		answer = group.Settle(now, s)
		state, err := json.Marshal(&group)
		if err != nil {
			return err
		}
		_, err = t.exec("UPDATE limit_groups SET state = $2 WHERE name = $1", l.group, string(state))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: limits of %s: %w", l.group, err)
	}
	return answer, nil
}
