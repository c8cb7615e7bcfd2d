package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/pack"
)

// What has had its time is found by reading, beside the writer, and goes in
// transactions of the writer that name their rows and look at each again.

// finalEvents are the statuses of events that no machine touches again.
const finalEvents = "('processed', 'failed', 'ignored')"

const wholeDue = `SELECT seq, received_at, length(payload) FROM webhook_events INDEXED BY webhook_events_whole
WHERE provider = ?1 AND kept < 2 AND received_at >= ?2 AND received_at < ?3 AND status IN ('processed', 'ignored')
ORDER BY received_at LIMIT ?4`

const emptiedOld = `SELECT seq, received_at, 0 FROM webhook_events INDEXED BY webhook_events_emptied
WHERE provider = ?1 AND kept = 2 AND received_at >= ?2 AND received_at < ?3 AND status IN ` + finalEvents + `
ORDER BY received_at LIMIT ?4`

const wholeOld = `SELECT seq, received_at, length(payload) FROM webhook_events INDEXED BY webhook_events_whole
WHERE provider = ?1 AND kept < 2 AND received_at >= ?2 AND received_at < ?3 AND status IN ` + finalEvents + `
ORDER BY received_at LIMIT ?4`

// oldRows are rows that a step is to do away with.
type oldRows struct {
	seqs    []int64
	bytes   int64
	reached time.Time
	more    bool
}

// old reads the rows of one step, the oldest first.
func (s *Store) old(ctx context.Context, query, service string, from, before time.Time, step integration.Step) (o oldRows, err error) {
	if before.IsZero() || step.Rows < 1 {
		return o, nil
	}
	since := int64(-1 << 62)
	if !from.IsZero() {
		since = micros(from)
	}
	rows, err := s.read.QueryContext(ctx, query, service, since, micros(before), step.Rows)
	if err != nil {
		return o, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq, received, bytes int64
		if err := rows.Scan(&seq, &received, &bytes); err != nil {
			return o, err
		}
		if len(o.seqs) > 0 && o.bytes+bytes > step.Bytes {
			o.more = true
			break
		}
		o.seqs, o.bytes, o.reached = append(o.seqs, seq), o.bytes+bytes, fromMicros(received)
	}
	o.more = o.more || len(o.seqs) == step.Rows
	return o, rows.Err()
}

// EmptyPayloads empties payloads and headers whose time has come, the oldest
// first, in one short transaction.
func (s *Store) EmptyPayloads(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error) {
	old, err := s.old(ctx, wholeDue, e.Service, e.From, e.Payload, step)
	if err != nil {
		return integration.Swept{}, fmt.Errorf("sqlite: payloads of %s whose time has come: %w", e.Service, err)
	}
	swept, err := s.sweep(ctx, old, func(t *transaction, swept *integration.Swept, seqs string) error {
		n, err := t.exec(`UPDATE webhook_events SET payload = x'', headers = '{}', packed = 0, kept = 2
			WHERE seq IN (SELECT value FROM json_each(?1)) AND status IN ('processed', 'ignored') AND kept < 2`, seqs)
		swept.Payloads = int(n)
		return err
	})
	if err != nil {
		return integration.Swept{}, fmt.Errorf("sqlite: emptying payloads of %s: %w", e.Service, err)
	}
	return swept, nil
}

// DeleteEvents deletes events whose time has come, the oldest first, in one short
// transaction; From is not looked at.
func (s *Store) DeleteEvents(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error) {
	old, err := s.old(ctx, emptiedOld, e.Service, time.Time{}, e.IDs, step)
	if err == nil && len(old.seqs) == 0 {
		old, err = s.old(ctx, wholeOld, e.Service, time.Time{}, e.IDs, step)
	}
	if err != nil {
		return integration.Swept{}, fmt.Errorf("sqlite: events of %s whose time has come: %w", e.Service, err)
	}
	swept, err := s.sweep(ctx, old, func(t *transaction, swept *integration.Swept, seqs string) error {
		n, err := t.exec(`DELETE FROM deliveries WHERE event_id IN (SELECT id FROM webhook_events
			WHERE seq IN (SELECT value FROM json_each(?1)) AND status IN `+finalEvents+`)`, seqs)
		if err != nil {
			return err
		}
		swept.Deliveries = int(n)
		n, err = t.exec("DELETE FROM webhook_events WHERE seq IN (SELECT value FROM json_each(?1)) AND status IN "+finalEvents, seqs)
		swept.Events = int(n)
		return err
	})
	if err != nil {
		return integration.Swept{}, fmt.Errorf("sqlite: deleting events of %s: %w", e.Service, err)
	}
	return swept, nil
}

// sweep runs one step in the writer's next transaction.
func (s *Store) sweep(ctx context.Context, old oldRows, do func(t *transaction, swept *integration.Swept, seqs string) error) (integration.Swept, error) {
	swept := integration.Swept{Bytes: old.bytes, Reached: old.reached, More: old.more}
	if len(old.seqs) == 0 {
		return integration.Swept{}, nil
	}
	var began time.Time
	err := s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		began = time.Now()
		return do(t, &swept, jsonArray(old.seqs))
	})
	// With the commit: it costs the more the more pages were touched.
	swept.Took = time.Since(began)
	return swept, err
}

// callLane reads calls in one state, in the order in which they were made: the
// first that is too young ends the search.
const callLane = `SELECT seq, created_at, coalesce(finished_at, created_at) FROM calls INDEXED BY calls_by_state
WHERE service = ?1 AND state = ?2 ORDER BY seq`

// endedStates are those of calls that are over, for good or until a person wants
// otherwise.
var endedStates = []integration.CallState{integration.CallSucceeded, integration.CallRejected, integration.CallFailed, integration.CallCanceled}

// DeleteCalls deletes calls of a service with their attempts that ended before a
// time, in one short transaction. Calls that may still be made and those whose
// outcome nobody knows are not among them.
func (s *Store) DeleteCalls(ctx context.Context, service string, before time.Time, step integration.Step) (integration.Swept, error) {
	var old oldRows
	for _, state := range endedStates {
		if err := s.oldCalls(ctx, &old, service, state, before, step.Rows); err != nil {
			return integration.Swept{}, fmt.Errorf("sqlite: calls of %s whose time has come: %w", service, err)
		}
	}
	swept, err := s.sweep(ctx, old, func(t *transaction, swept *integration.Swept, seqs string) error {
		const ended = " WHERE seq IN (SELECT value FROM json_each(?1)) AND state IN ('succeeded', 'rejected', 'failed', 'canceled')"
		n, err := t.exec("DELETE FROM attempts WHERE call_id IN (SELECT id FROM calls"+ended+")", seqs)
		if err != nil {
			return err
		}
		swept.Attempts = int(n)
		n, err = t.exec("DELETE FROM calls"+ended, seqs)
		swept.Calls = int(n)
		return err
	})
	if err != nil {
		return integration.Swept{}, fmt.Errorf("sqlite: deleting calls of %s: %w", service, err)
	}
	return swept, nil
}

// oldCalls adds calls of one state until there are enough for a step.
func (s *Store) oldCalls(ctx context.Context, old *oldRows, service string, state integration.CallState, before time.Time, most int) error {
	if len(old.seqs) >= most {
		old.more = true
		return nil
	}
	rows, err := s.read.QueryContext(ctx, callLane, service, string(state))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq, created, ended int64
		if err := rows.Scan(&seq, &created, &ended); err != nil {
			return err
		}
		if created >= micros(before) {
			break
		}
		if ended >= micros(before) {
			continue
		}
		if old.seqs = append(old.seqs, seq); len(old.seqs) >= most {
			old.more = true
			break
		}
	}
	return rows.Err()
}

// DeleteUses deletes what was noted about the use of credentials before a time,
// in one short transaction.
func (s *Store) DeleteUses(ctx context.Context, before time.Time, step integration.Step) (swept integration.Swept, err error) {
	var began time.Time
	err = s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		began = time.Now()
		n, err := t.exec("DELETE FROM credential_uses WHERE seq IN (SELECT seq FROM credential_uses WHERE minute < ?1 ORDER BY minute LIMIT ?2)", micros(before), step.Rows)
		swept = integration.Swept{Uses: int(n), More: int(n) == step.Rows && n > 0}
		return err
	})
	if err != nil {
		return integration.Swept{}, fmt.Errorf("sqlite: deleting uses of credentials: %w", err)
	}
	swept.Took = time.Since(began)
	return swept, nil
}

const storedServices = `WITH RECURSIVE known (name) AS (
	SELECT min(name) FROM (SELECT min(provider) AS name FROM webhook_events INDEXED BY webhook_events_whole WHERE kept < 2
		UNION ALL SELECT min(provider) FROM webhook_events INDEXED BY webhook_events_emptied WHERE kept = 2
		UNION ALL SELECT min(service) FROM calls)
	UNION ALL
	SELECT (SELECT min(name) FROM (SELECT min(provider) AS name FROM webhook_events INDEXED BY webhook_events_whole WHERE kept < 2 AND provider > known.name
		UNION ALL SELECT min(provider) FROM webhook_events INDEXED BY webhook_events_emptied WHERE kept = 2 AND provider > known.name
		UNION ALL SELECT min(service) FROM calls WHERE service > known.name))
	FROM known WHERE known.name IS NOT NULL
)
SELECT name FROM known WHERE name IS NOT NULL`

// StoredServices are the services that events or calls are kept of, whether or
// not there is a plan of them.
func (s *Store) StoredServices(ctx context.Context) (names []string, err error) {
	rows, err := s.read.QueryContext(ctx, storedServices)
	if err != nil {
		return nil, fmt.Errorf("sqlite: services: %w", err)
	}
	err = each(rows, func(r rowScanner) error {
		var name string
		err := r.Scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: services: %w", err)
	}
	return names, nil
}

// countDue counts payloads and events whose time has come, up to a number.
const countDue = `SELECT
	(SELECT count(*) FROM (SELECT 1 FROM webhook_events INDEXED BY webhook_events_whole
		WHERE provider = ?1 AND kept < 2 AND received_at < ?2 AND status IN ('processed', 'ignored') LIMIT ?4)),
	(SELECT count(*) FROM (SELECT 1 FROM webhook_events INDEXED BY webhook_events_emptied
		WHERE provider = ?1 AND kept = 2 AND received_at < ?3 LIMIT ?4))
	+ (SELECT count(*) FROM (SELECT 1 FROM webhook_events INDEXED BY webhook_events_whole
		WHERE provider = ?1 AND kept < 2 AND received_at < ?3 AND status IN ` + finalEvents + ` LIMIT ?4))`

// Due counts what has had its time of one service, up to most of each kind; calls
// are those that ended before a time.
func (s *Store) Due(ctx context.Context, e integration.Expiry, calls time.Time, most int) (due integration.Due, err error) {
	err = s.read.QueryRowContext(ctx, countDue, e.Service, optionalMicros(e.Payload), optionalMicros(e.IDs), most).Scan(&due.Payloads, &due.Events)
	if err != nil {
		return integration.Due{}, fmt.Errorf("sqlite: what has had its time of %s: %w", e.Service, err)
	}
	var old oldRows
	for _, state := range endedStates {
		if err := s.oldCalls(ctx, &old, e.Service, state, calls, most); err != nil {
			return integration.Due{}, fmt.Errorf("sqlite: what has had its time of %s: %w", e.Service, err)
		}
	}
	due.Events, due.Calls = min(due.Events, most), len(old.seqs)
	return due, nil
}

// Backlog is how many events wait for their commit at this moment.
func (s *Store) Backlog() int { return len(s.writer.events) }

// TakeHousekeeping gives owner the turn to delete until a time, unless another
// has it. The first in this database begins at a time that is then written down.
func (s *Store) TakeHousekeeping(ctx context.Context, owner string, now, until, begins time.Time) (turn integration.HousekeepingTurn, err error) {
	err = s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		turn = integration.HousekeepingTurn{}
		n, err := t.exec("INSERT INTO housekeeping (one, begins_at, lease_owner, lease_until) VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO NOTHING",
			micros(begins), owner, micros(until))
		if err != nil {
			return err
		}
		if turn.First = n > 0; !turn.First {
			if n, err = t.exec("UPDATE housekeeping SET lease_owner = ?1, lease_until = ?2 WHERE lease_owner = ?1 OR lease_until <= ?3", owner, micros(until), micros(now)); err != nil {
				return err
			}
		}
		turn.Mine = n > 0
		return t.query(func(r rowScanner) error {
			var from int64
			err := r.Scan(&from)
			turn.From = fromMicros(from)
			return err
		}, "SELECT begins_at FROM housekeeping")
	})
	if err != nil {
		return integration.HousekeepingTurn{}, fmt.Errorf("sqlite: taking the turn to delete: %w", err)
	}
	return turn, nil
}

// keepLess writes what an outcome leaves of the payload, within the transaction
// that ends the lease.
func keepLess(t *transaction, id string, o *integration.Outcome) error {
	if o.Kept == integration.KeptWhole || !o.Status.Final() || o.Released {
		return nil
	}
	stored, packed := pack.Pack(o.Payload)
	if stored == nil {
		stored = []byte{}
	}
	query := "UPDATE webhook_events SET kept = ?2, payload = ?3, packed = ?4 WHERE id = ?1"
	if o.Kept == integration.KeptNothing {
		query, stored, packed = "UPDATE webhook_events SET kept = ?2, payload = ?3, packed = ?4, headers = '{}' WHERE id = ?1", []byte{}, false
	}
	_, err := t.exec(query, id, int(o.Kept), stored, packed)
	return err
}

// whyNotAgain says why an event can't be processed again.
func (t *transaction) whyNotAgain(id string) error {
	var kept int
	if err := t.query(func(r rowScanner) error { return r.Scan(&kept) }, "SELECT kept FROM webhook_events WHERE id = ?", id); err != nil {
		return fmt.Errorf("sqlite: event %s: %w", id, err)
	}
	if integration.Kept(kept) == integration.KeptNothing {
		return fmt.Errorf("event %s: %w", id, integration.ErrNotKept)
	}
	return t.whyNot("webhook_events", "status", "event", id)
}
