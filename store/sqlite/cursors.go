package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// PutCursors sees that there are tasks of these ids, due at that time or before.
// Those that are there keep their state; one that is on loan stays so.
func (s *Store) PutCursors(ctx context.Context, ids []string, due time.Time) error {
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		for _, id := range ids {
			if id == "" {
				return errors.New("sqlite: a cursor needs an id")
			}
			if _, err := t.exec("INSERT INTO cursors (id, due_at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET due_at = min(coalesce(due_at, excluded.due_at), excluded.due_at)", id, micros(due)); err != nil {
				return fmt.Errorf("sqlite: cursor %s: %w", id, err)
			}
		}
		return nil
	})
}

// Cursor reads a task; integration.ErrNotFound when there is none of that id.
func (s *Store) Cursor(ctx context.Context, id string) (integration.Cursor, error) {
	c := integration.Cursor{}
	var due sql.NullInt64
	var state string
	err := s.read.QueryRowContext(ctx, "SELECT id, due_at, attempts, state FROM cursors WHERE id = ?", id).Scan(&c.ID, &due, &c.Attempts, &state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return integration.Cursor{}, fmt.Errorf("cursor %s: %w", id, integration.ErrNotFound)
	case err != nil:
		return integration.Cursor{}, fmt.Errorf("sqlite: cursor %s: %w", id, err)
	}
	c.DueAt, c.State = fromOptional(due), []byte(state)
	return c, nil
}

// Cursors lists tasks whose ids begin with prefix, in the order of their ids.
func (s *Store) Cursors(ctx context.Context, prefix string, most int) ([]integration.Cursor, error) {
	if prefix == "" {
		return nil, errors.New("sqlite: cursors are listed by the beginning of their ids")
	}
	last := len(prefix) - 1
	after := prefix[:last] + string(rune(prefix[last]+1))
	rows, err := s.read.QueryContext(ctx, "SELECT id, due_at, attempts, state FROM cursors WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", prefix, after, most)
	if err != nil {
		return nil, fmt.Errorf("sqlite: cursors: %w", err)
	}
	var list []integration.Cursor
	err = each(rows, func(r rowScanner) error {
		var c integration.Cursor
		var due sql.NullInt64
		var state string
		err := r.Scan(&c.ID, &due, &c.Attempts, &state)
		c.DueAt, c.State = fromOptional(due), []byte(state)
		list = append(list, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: cursors: %w", err)
	}
	return list, nil
}

// KnownEvents says which of the provider's ids are those of events that are
// kept.
func (s *Store) KnownEvents(ctx context.Context, service, source string, externalIDs []string) (map[string]bool, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT external_id FROM webhook_events
WHERE provider = ? AND source = ? AND external_id IN (SELECT value FROM json_each(?))`, service, source, jsonArray(externalIDs))
	if err != nil {
		return nil, fmt.Errorf("sqlite: known events: %w", err)
	}
	known := make(map[string]bool, len(externalIDs))
	err = each(rows, func(r rowScanner) error {
		var id string
		err := r.Scan(&id)
		known[id] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: known events: %w", err)
	}
	return known, nil
}

// CursorQueue lends tasks whose turn it is: a lease.Queue.
type CursorQueue struct{ s *Store }

// CursorQueue returns the queue of tasks that are gone on with from time to time.
func (s *Store) CursorQueue() CursorQueue { return CursorQueue{s} }

const claimCursors = `UPDATE cursors SET attempts = attempts + 1, lease_owner = ?1, lease_until = ?2
WHERE id IN (SELECT id FROM cursors INDEXED BY cursors_due
	WHERE due_at IS NOT NULL AND coalesce(lease_until, due_at) <= ?3 ORDER BY coalesce(lease_until, due_at), id LIMIT ?4)
RETURNING id, due_at, attempts, state`

const cursorLent = " WHERE id = ?1 AND lease_owner = ?2 AND attempts = ?3"

// Claim lends due tasks; see lease.Queue.
func (q CursorQueue) Claim(ctx context.Context, c lease.Claim) ([]lease.Held[integration.Cursor], error) {
	if c.Limit < 1 {
		return nil, nil
	}
	if c.Owner == "" || !c.Until.After(c.Now) {
		return nil, errors.New("sqlite: a claim needs an owner and an end after its beginning")
	}
	var list []lease.Held[integration.Cursor]
	err := q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		list = list[:0]
		return t.query(func(r rowScanner) error {
			t.changed = true
			var one integration.Cursor
			var due int64
			var state string
			if err := r.Scan(&one.ID, &due, &one.Attempts, &state); err != nil {
				return err
			}
			one.DueAt, one.State = fromMicros(due), []byte(state)
			list = append(list, lease.Held[integration.Cursor]{Key: lease.Key{ID: one.ID, Attempt: one.Attempts}, Value: one})
			return nil
		}, claimCursors, c.Owner, micros(c.Until), micros(c.Now), c.Limit)
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: due cursors: %w", err)
	}
	slices.SortStableFunc(list, func(a, b lease.Held[integration.Cursor]) int { return a.Value.DueAt.Compare(b.Value.DueAt) })
	return list, nil
}

// NextDue is when the next task can be claimed; see lease.Queue.
func (q CursorQueue) NextDue(ctx context.Context) (time.Time, error) {
	var us int64
	err := q.s.read.QueryRowContext(ctx, "SELECT coalesce(lease_until, due_at) FROM cursors INDEXED BY cursors_due WHERE due_at IS NOT NULL ORDER BY coalesce(lease_until, due_at) LIMIT 1").Scan(&us)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("sqlite: next due cursor: %w", err)
	}
	return fromMicros(us), nil
}

// Renew extends leases; see lease.Queue.
func (q CursorQueue) Renew(ctx context.Context, owner string, keys []lease.Key, until time.Time) (lost []lease.Key, err error) {
	return q.update(ctx, keys, func(t *transaction, i int) (int64, error) {
		return t.exec("UPDATE cursors SET lease_until = ?4"+cursorLent, keys[i].ID, owner, keys[i].Attempt, micros(until))
	})
}

// Complete ends leases and says when the next turns are; see lease.Queue.
func (q CursorQueue) Complete(ctx context.Context, owner string, done []lease.Done[integration.CursorOutcome]) (lost []lease.Key, err error) {
	keys := make([]lease.Key, len(done))
	for i := range done {
		keys[i] = done[i].Key
	}
	return q.update(ctx, keys, func(t *transaction, i int) (int64, error) {
		o := &done[i].Outcome
		if o.Released {
			return t.exec("UPDATE cursors SET attempts = attempts - 1, lease_owner = NULL, lease_until = NULL"+cursorLent, keys[i].ID, owner, keys[i].Attempt)
		}
		return t.exec("UPDATE cursors SET lease_owner = NULL, lease_until = NULL, due_at = ?4, state = ?5"+cursorLent,
			keys[i].ID, owner, keys[i].Attempt, optionalMicros(o.DueAt), string(o.State))
	})
}

func (q CursorQueue) update(ctx context.Context, keys []lease.Key, change func(*transaction, int) (int64, error)) (lost []lease.Key, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	err = q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		lost = lost[:0]
		for i, k := range keys {
			n, err := change(t, i)
			if err != nil {
				return fmt.Errorf("cursor %s: %w", k.ID, err)
			}
			if n == 0 {
				lost = append(lost, k)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: leases of cursors: %w", err)
	}
	return lost, nil
}
