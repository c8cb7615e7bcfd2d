package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// ConnectionQueue lends connections that are due for their task: a lease.Queue.
type ConnectionQueue struct{ s *Store }

// ConnectionQueue returns the queue of connections that are to be refreshed,
// kept alive or revoked.
func (s *Store) ConnectionQueue() ConnectionQueue { return ConnectionQueue{s} }

// loans counts loans over the whole life of a row and fences them; attempts
// counts those of the present task.
const claimConnections = `UPDATE connections
SET attempts = attempts + 1, loans = loans + 1, lease_owner = $1, lease_until = $2, lent_version = version
WHERE seq IN (
	SELECT seq FROM connections
	WHERE due_at IS NOT NULL AND coalesce(lease_until, due_at) <= $3
	ORDER BY coalesce(lease_until, due_at), seq LIMIT $4 FOR UPDATE SKIP LOCKED)
RETURNING loans, ` + connectionColumns

const nextDueConnection = `SELECT coalesce(lease_until, due_at) FROM connections
WHERE due_at IS NOT NULL ORDER BY coalesce(lease_until, due_at) LIMIT 1`

const lent = " WHERE id = $1 AND lease_owner = $2 AND loans = $3"

// Claim lends due connections; see lease.Queue.
func (q ConnectionQueue) Claim(ctx context.Context, c lease.Claim) ([]lease.Held[integration.Connection], error) {
	if c.Limit < 1 {
		return nil, nil
	}
	if c.Owner == "" || !c.Until.After(c.Now) {
		return nil, errors.New("postgres: a claim needs an owner and an end after its beginning")
	}
	var list []lease.Held[integration.Connection]
	err := q.s.do(ctx, func(t *transaction) error {
		list = list[:0]
		return t.query(func(r rowScanner) error {
			t.changed = true
			var loan int
			_, c, err := scanConnection(behind{r, &loan})
			list = append(list, lease.Held[integration.Connection]{Key: lease.Key{ID: c.ID, Attempt: loan}, Value: c})
			return err
		}, claimConnections, c.Owner, micros(c.Until), micros(c.Now), c.Limit)
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: due connections: %w", err)
	}
	slices.SortStableFunc(list, func(a, b lease.Held[integration.Connection]) int { return a.Value.DueAt.Compare(b.Value.DueAt) })
	return list, nil
}

// behind scans a row with one more column in front.
type behind struct {
	rowScanner
	first any
}

// Scan reads the first column and hands on the others.
func (a behind) Scan(dest ...any) error { return a.rowScanner.Scan(append([]any{a.first}, dest...)...) }

// and scans a row with more columns behind.
type and struct {
	rowScanner
	more []any
}

// Scan hands on the columns in front and reads the others.
func (a and) Scan(dest ...any) error { return a.rowScanner.Scan(append(dest, a.more...)...) }

// NextDue is when the next connection can be claimed; see lease.Queue.
func (q ConnectionQueue) NextDue(ctx context.Context) (time.Time, error) {
	var us int64
	err := q.s.row(ctx, nextDueConnection).Scan(&us)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("postgres: next due connection: %w", err)
	}
	return fromMicros(us), nil
}

// Renew extends leases; see lease.Queue.
func (q ConnectionQueue) Renew(ctx context.Context, owner string, keys []lease.Key, until time.Time) (lost []lease.Key, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	err = q.s.do(ctx, func(t *transaction) error {
		lost = lost[:0]
		for _, k := range keys {
			n, err := t.exec("UPDATE connections SET lease_until = $4"+lent, k.ID, owner, k.Attempt, micros(until))
			if err != nil {
				return err
			}
			if n == 0 {
				lost = append(lost, k)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: renewing leases of connections: %w", err)
	}
	return lost, nil
}

// Complete ends leases and says when the connections are due next; see
// lease.Queue.
func (q ConnectionQueue) Complete(ctx context.Context, owner string, done []lease.Done[integration.ConnectionOutcome]) (lost []lease.Key, err error) {
	if len(done) == 0 {
		return nil, nil
	}
	err = q.s.do(ctx, func(t *transaction) error {
		lost = lost[:0]
		for i := range done {
			n, err := completeConnection(t, owner, &done[i])
			if err != nil {
				return fmt.Errorf("connection %s: %w", done[i].ID, err)
			}
			if n == 0 {
				lost = append(lost, done[i].Key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: writing outcomes of connections: %w", err)
	}
	return lost, nil
}

// completeConnection ends one lease. A change that was written since the loan has
// said already when the connection is due; what the outcome says is older.
func completeConnection(t *transaction, owner string, d *lease.Done[integration.ConnectionOutcome]) (int64, error) {
	o := &d.Outcome
	if o.Released {
		return t.exec("UPDATE connections SET attempts = greatest(attempts - 1, 0), loans = loans - 1, lease_owner = NULL, lease_until = NULL"+lent, d.ID, owner, d.Attempt)
	}
	task := o.Task
	if o.DueAt.IsZero() {
		task = integration.TaskNone
	}
	return t.exec(completeTask, d.ID, owner, d.Attempt, optionalMicros(o.DueAt), string(task), o.Reason)
}

const completeTask = `UPDATE connections SET lease_owner = NULL, lease_until = NULL,
	due_at = CASE WHEN version = lent_version THEN $4 ELSE due_at END,
	task = CASE WHEN version = lent_version THEN $5 ELSE task END,
	attempts = CASE WHEN version = lent_version AND task <> $5 THEN 0 ELSE attempts END,
	reason = CASE WHEN version = lent_version AND $6 <> '' THEN $6 ELSE reason END` + lent
