package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// EventQueue lends the events that are due: a lease.Queue.
type EventQueue struct{ s *Store }

// EventQueue returns the queue of received events.
func (s *Store) EventQueue() EventQueue { return EventQueue{s} }

// The two halves of the queue, as their indexes say it: events that wait for
// nobody, and those that must not overtake others. What is parked is in neither,
// unless it is due for another destination.
const (
	unordered = "status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NULL"
	ordered   = "status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NOT NULL"
)

// claimDue lends what is due and has no order, the oldest first.
const claimDue = `UPDATE webhook_events
SET status = 'processing', attempts = attempts + 1, lease_owner = ?1, lease_until = ?2
WHERE seq IN (
	SELECT seq FROM webhook_events INDEXED BY webhook_events_due
	WHERE ` + unordered + ` AND coalesce(lease_until, due_at) <= ?3
	ORDER BY coalesce(lease_until, due_at), seq LIMIT ?4)
RETURNING seq, attempts`

const nextDue = `SELECT min(at) FROM (
	SELECT * FROM (SELECT coalesce(lease_until, due_at) AS at FROM webhook_events INDEXED BY webhook_events_due
		WHERE ` + unordered + ` AND coalesce(lease_until, due_at) IS NOT NULL ORDER BY coalesce(lease_until, due_at) LIMIT 1)
	UNION ALL
	SELECT * FROM (SELECT coalesce(lease_until, due_at) AS at FROM webhook_events INDEXED BY webhook_events_due_ordered
		WHERE ` + ordered + ` AND coalesce(lease_until, due_at) IS NOT NULL ORDER BY coalesce(lease_until, due_at) LIMIT 1))`

const renewLease = `UPDATE webhook_events SET lease_until = ?4
WHERE id = ?1 AND lease_owner = ?2 AND attempts = ?3 AND status = 'processing'`

const completeLease = `UPDATE webhook_events
SET status = ?4, error = ?5, due_at = ?6, processed_at = ?7, parked = ?8, lease_owner = NULL, lease_until = NULL
WHERE id = ?1 AND lease_owner = ?2 AND attempts = ?3 AND status = 'processing'`

// releaseLease leaves due_at where it was if it is told nothing: in the past, so
// due at once.
const releaseLease = `UPDATE webhook_events
SET status = 'received', attempts = attempts - 1, due_at = CASE WHEN ?5 IS NULL THEN coalesce(?4, due_at) ELSE ?4 END, parked = ?5, lease_owner = NULL, lease_until = NULL
WHERE id = ?1 AND lease_owner = ?2 AND attempts = ?3 AND status = 'processing'`

// loan is a row just lent.
type loan struct {
	seq     int64
	attempt int
}

// Claim lends due events; see lease.Queue.
func (q EventQueue) Claim(ctx context.Context, c lease.Claim) ([]lease.Held[integration.Event], error) {
	if c.Limit < 1 {
		return nil, nil
	}
	if c.Owner == "" || !c.Until.After(c.Now) {
		return nil, errors.New("sqlite: a claim needs an owner and an end after its beginning")
	}
	var loans []loan
	err := q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		loans = loans[:0]
		return q.claim(t, c, &loans)
	})
	if err != nil || len(loans) == 0 {
		return nil, err
	}
	return q.lent(ctx, loans)
}

// claim lends rows within a transaction. Those with an order have half of the
// limit, and all that the others leave. Of the others the oldest are lent; when
// there is more than can be lent, they have a quarter and the rest goes to
// tenants by turns: one with very many events waits behind itself.
func (q EventQueue) claim(t *transaction, c lease.Claim, loans *[]loan) error {
	half := (c.Limit + 1) / 2
	if err := claimOrdered(t, c, half, loans); err != nil {
		return err
	}
	inLine, turn := len(*loans), &q.s.writer.turns
	if left := c.Limit - inLine; turn.behind && left > 1 {
		if err := lend(t, loans, claimDue, c.Owner, micros(c.Until), micros(c.Now), (left+3)/4); err != nil {
			return err
		}
		if err := q.claimTurns(t, c, c.Limit-len(*loans), loans); err != nil {
			return err
		}
	}
	if left := c.Limit - len(*loans); left > 0 {
		if err := lend(t, loans, claimDue, c.Owner, micros(c.Until), micros(c.Now), left); err != nil {
			return err
		}
	}
	turn.behind = len(*loans) == c.Limit
	if left := c.Limit - len(*loans); left > 0 && inLine == half {
		return claimOrdered(t, c, left, loans)
	}
	return nil
}

// lend runs a statement that lends rows and notes them.
func lend(t *transaction, loans *[]loan, statement string, args ...any) error {
	return t.query(func(r rowScanner) error {
		var l loan
		t.changed = true
		err := r.Scan(&l.seq, &l.attempt)
		*loans = append(*loans, l)
		return err
	}, statement, args...)
}

// lent reads the rows of loans. It happens outside the transaction, so that
// the writer does not copy payloads.
func (q EventQueue) lent(ctx context.Context, loans []loan) ([]lease.Held[integration.Event], error) {
	attempts := make(map[int64]int, len(loans))
	seqs := make([]int64, len(loans))
	for i, l := range loans {
		attempts[l.seq], seqs[i] = l.attempt, l.seq
	}
	held := make([]lease.Held[integration.Event], 0, len(loans))
	rows, err := q.s.read.QueryContext(ctx,
		"SELECT "+eventColumns+wholeColumns+queueColumns+" FROM webhook_events AS e WHERE seq IN (SELECT value FROM json_each(?))", jsonArray(seqs))
	if err != nil {
		return nil, fmt.Errorf("sqlite: events on loan: %w", err)
	}
	err = each(rows, func(r rowScanner) error {
		seq, e, err := scanWhole(r)
		if err != nil {
			return err
		}
		// The attempt is the loan's: should the lease have run out already and
		// another have taken the row, it must not pass for theirs.
		e.Attempts = attempts[seq]
		held = append(held, lease.Held[integration.Event]{Key: lease.Key{ID: e.ID, Attempt: e.Attempts}, Value: e})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: events on loan: %w", err)
	}
	slices.SortStableFunc(held, func(a, b lease.Held[integration.Event]) int {
		return a.Value.DueAt.Compare(b.Value.DueAt)
	})
	return held, nil
}

// NextDue is when the next event can be claimed; see lease.Queue.
func (q EventQueue) NextDue(ctx context.Context) (time.Time, error) {
	var us sql.NullInt64
	if err := q.s.read.QueryRowContext(ctx, nextDue).Scan(&us); err != nil {
		return time.Time{}, fmt.Errorf("sqlite: next due event: %w", err)
	}
	return fromOptional(us), nil
}

// Renew extends leases; see lease.Queue.
func (q EventQueue) Renew(ctx context.Context, owner string, keys []lease.Key, until time.Time) (lost []lease.Key, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	err = q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		lost = lost[:0]
		for _, k := range keys {
			n, err := t.exec(renewLease, k.ID, owner, k.Attempt, micros(until))
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
		return nil, fmt.Errorf("sqlite: renewing leases: %w", err)
	}
	return lost, nil
}

// Complete ends leases and writes down outcomes and deliveries; see lease.Queue.
func (q EventQueue) Complete(ctx context.Context, owner string, done []lease.Done[integration.Outcome]) (lost []lease.Key, err error) {
	if len(done) == 0 {
		return nil, nil
	}
	for i := range done {
		if err := checkOutcome(&done[i].Outcome); err != nil {
			return nil, fmt.Errorf("sqlite: event %s: %w", done[i].ID, err)
		}
	}
	// In the order of ids, which is about the order of rows: neighbours share
	// pages.
	sorted := slices.Clone(done)
	slices.SortFunc(sorted, func(a, b lease.Done[integration.Outcome]) int { return cmp.Compare(a.ID, b.ID) })
	now := q.s.options.Now()
	err = q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		lost = lost[:0]
		inLine, err := anyLentInLine(t)
		if err != nil {
			return err
		}
		for i := range sorted {
			var at place
			if inLine {
				if at, err = placeOf(t, sorted[i].ID); err != nil {
					return fmt.Errorf("event %s: %w", sorted[i].ID, err)
				}
			}
			held, err := complete(t, owner, &sorted[i], now)
			if err == nil && held && at.key.Valid {
				err = at.moveOn(t, &sorted[i].Outcome, now)
			}
			if err != nil {
				return fmt.Errorf("event %s: %w", sorted[i].ID, err)
			}
			if !held {
				lost = append(lost, sorted[i].Key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: writing outcomes: %w", err)
	}
	return lost, nil
}

func checkOutcome(o *integration.Outcome) error {
	switch {
	case o.Parked != "" && !o.Released && o.Status.Final():
		return errors.New("an event that is over waits for nothing")
	case o.Released, o.Status == integration.EventReceived, o.Status.Final():
		return nil
	}
	return fmt.Errorf("an outcome can't leave the event %q", o.Status)
}

// complete ends one lease; false means that it is not held any more.
func complete(t *transaction, owner string, d *lease.Done[integration.Outcome], now time.Time) (held bool, err error) {
	o := &d.Outcome
	var n int64
	switch {
	case o.Released:
		n, err = t.exec(releaseLease, d.ID, owner, d.Attempt, optionalMicros(o.DueAt), optionalText(o.Parked))
	case o.Status == integration.EventReceived:
		due := o.DueAt
		if due.IsZero() && o.Parked == "" {
			due = now
		}
		n, err = t.exec(completeLease, d.ID, owner, d.Attempt, string(o.Status), o.Error, optionalMicros(due), nil, optionalText(o.Parked))
	default:
		n, err = t.exec(completeLease, d.ID, owner, d.Attempt, string(o.Status), o.Error, nil, micros(now), nil)
	}
	if err != nil || n == 0 {
		return false, err
	}
	if err := keepProgress(t, d.ID, o); err != nil {
		return false, err
	}
	if err := keepLess(t, d.ID, o); err != nil {
		return false, err
	}
	for i := range o.Deliveries {
		if err := insertDelivery(t, d.ID, &o.Deliveries[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}
