package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/store/pack"
)

// finalEvents are the statuses of events that no machine touches again.
const finalEvents = "('processed', 'failed', 'ignored')"

// emptyPayloads takes the oldest rows of the index up to a number and a sum of
// bytes. Rows that somebody else holds at this moment have another turn.
const emptyPayloads = `WITH old AS MATERIALIZED (
	SELECT seq, received_at, octet_length(payload) AS bytes FROM webhook_events
	WHERE provider = $1 AND kept < 2 AND received_at >= $2 AND received_at < $3 AND status IN ('processed', 'ignored')
	ORDER BY received_at LIMIT $4 FOR UPDATE SKIP LOCKED
), step AS (
	SELECT seq, received_at, bytes FROM (SELECT *, sum(bytes) OVER (ORDER BY received_at, seq) - bytes AS before FROM old) old
	WHERE before = 0 OR before + bytes <= $5
), emptied AS (
	UPDATE webhook_events e SET payload = '', headers = '{}', packed = false, kept = 2 FROM step WHERE e.seq = step.seq RETURNING step.bytes, step.received_at
)
SELECT count(*), 0, coalesce(sum(bytes), 0)::bigint, max(received_at), (SELECT count(*) FROM old) FROM emptied`

// deleteEvents does the same to whole events, either to those that have been
// emptied or to those that have not.
func deleteEvents(which string) string {
	return `WITH old AS MATERIALIZED (
	SELECT seq, id, received_at, octet_length(payload) AS bytes FROM webhook_events
	WHERE provider = $1 AND ` + which + ` AND received_at >= $2 AND received_at < $3 AND status IN ` + finalEvents + `
	ORDER BY received_at LIMIT $4 FOR UPDATE SKIP LOCKED
), step AS (
	SELECT seq, id, received_at, bytes FROM (SELECT *, sum(bytes) OVER (ORDER BY received_at, seq) - bytes AS before FROM old) old
	WHERE before = 0 OR before + bytes <= $5
), told AS (
	DELETE FROM deliveries d USING step WHERE d.event_id = step.id RETURNING 1
), gone AS (
	DELETE FROM webhook_events e USING step WHERE e.seq = step.seq RETURNING step.bytes, step.received_at
)
SELECT count(*), (SELECT count(*) FROM told), coalesce(sum(bytes), 0)::bigint, max(received_at), (SELECT count(*) FROM old) FROM gone`
}

var (
	deleteEmptied = deleteEvents("kept = 2")
	deleteWhole   = deleteEvents("kept < 2")
)

// stepDone is what a statement says that it did.
type stepDone struct {
	rows, further, bytes, found int64
	reached                     pgtype.Int8
	took                        time.Duration
}

// swept is it in the words of everyone. More is a guess to the safe side.
func (d stepDone) swept(step integration.Step) integration.Swept {
	s := integration.Swept{Bytes: d.bytes, Took: d.took, More: d.rows > 0 && (d.found >= int64(step.Rows) || d.found > d.rows)}
	if d.reached.Valid {
		s.Reached = fromMicros(d.reached.Int64)
	}
	return s
}

// sweep runs one step, which is a transaction on its own.
func (s *Store) sweep(ctx context.Context, statement, service string, from, before time.Time, step integration.Step) (d stepDone, err error) {
	if before.IsZero() || step.Rows < 1 {
		return d, nil
	}
	since := int64(-1 << 62)
	if !from.IsZero() {
		since = micros(from)
	}
	began := time.Now()
	err = s.one(ctx, func() { began = time.Now() }, func(r rowScanner) error {
		return r.Scan(&d.rows, &d.further, &d.bytes, &d.reached, &d.found)
	}, statement, service, since, micros(before), step.Rows, step.Bytes)
	d.took = time.Since(began)
	return d, err
}

// EmptyPayloads empties payloads and headers whose time has come, the oldest
// first, in one short transaction.
func (s *Store) EmptyPayloads(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error) {
	d, err := s.sweep(ctx, emptyPayloads, e.Service, e.From, e.Payload, step)
	if err != nil {
		return integration.Swept{}, fmt.Errorf("postgres: emptying payloads of %s: %w", e.Service, err)
	}
	swept := d.swept(step)
	swept.Payloads = int(d.rows)
	return swept, nil
}

// DeleteEvents deletes events whose time has come, the oldest first, in one short
// transaction; From is not looked at.
func (s *Store) DeleteEvents(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error) {
	d, err := s.sweep(ctx, deleteEmptied, e.Service, time.Time{}, e.IDs, step)
	if err == nil && d.rows == 0 {
		d, err = s.sweep(ctx, deleteWhole, e.Service, time.Time{}, e.IDs, step)
	}
	if err != nil {
		return integration.Swept{}, fmt.Errorf("postgres: deleting events of %s: %w", e.Service, err)
	}
	swept := d.swept(step)
	swept.Events, swept.Deliveries = int(d.rows), int(d.further)
	return swept, nil
}

// callLane reads calls in one state, in the order in which they were made.
const callLane = `SELECT seq, created_at, coalesce(finished_at, created_at) FROM calls
WHERE service = $1 AND state = $2 AND seq > $3 ORDER BY seq LIMIT $4`

const deleteCalls = `WITH old AS MATERIALIZED (
	SELECT seq, id FROM calls WHERE seq = ANY($1::bigint[]) AND state IN ('succeeded', 'rejected', 'failed', 'canceled') FOR UPDATE SKIP LOCKED
), tried AS (
	DELETE FROM attempts a USING old WHERE a.call_id = old.id RETURNING 1
), gone AS (
	DELETE FROM calls c USING old WHERE c.seq = old.seq RETURNING 1
)
SELECT count(*), (SELECT count(*) FROM tried) FROM gone`

// endedStates are those of calls that are over, for good or until a person wants
// otherwise.
var endedStates = []integration.CallState{integration.CallSucceeded, integration.CallRejected, integration.CallFailed, integration.CallCanceled}

// DeleteCalls deletes calls of a service with their attempts that ended before a
// time, in one short transaction. Calls that may still be made and those whose
// outcome nobody knows are not among them.
func (s *Store) DeleteCalls(ctx context.Context, service string, before time.Time, step integration.Step) (swept integration.Swept, err error) {
	seqs, err := s.oldCalls(ctx, service, before, step.Rows)
	if err != nil || len(seqs) == 0 {
		return swept, err
	}
	began := time.Now()
	err = s.one(ctx, func() { began = time.Now() }, func(r rowScanner) error { return r.Scan(&swept.Calls, &swept.Attempts) }, deleteCalls, seqs)
	if err != nil {
		return integration.Swept{}, fmt.Errorf("postgres: deleting calls of %s: %w", service, err)
	}
	swept.Took, swept.More = time.Since(began), len(seqs) >= step.Rows && swept.Calls > 0
	return swept, nil
}

// oldCalls are up to most calls that ended before a time.
func (s *Store) oldCalls(ctx context.Context, service string, before time.Time, most int) (seqs []int64, err error) {
	for _, state := range endedStates {
		if seqs, err = s.oldCallsIn(ctx, seqs, service, state, before, most); err != nil {
			return nil, fmt.Errorf("postgres: calls of %s whose time has come: %w", service, err)
		}
	}
	return seqs, nil
}

// lanePage is how many calls are looked at by one statement.
const lanePage = 1000

// oldCallsIn adds calls of one state; the first that is too young ends the search.
func (s *Store) oldCallsIn(ctx context.Context, seqs []int64, service string, state integration.CallState, before time.Time, most int) ([]int64, error) {
	at, young := int64(0), false
	for !young && len(seqs) < most {
		rows, err := s.query(ctx, callLane, service, string(state), at, lanePage)
		if err != nil {
			return nil, err
		}
		read := 0
		err = each(rows, func(r rowScanner) error {
			var created, ended int64
			if err := r.Scan(&at, &created, &ended); err != nil {
				return err
			}
			read++
			young = young || created >= micros(before)
			if !young && ended < micros(before) && len(seqs) < most {
				seqs = append(seqs, at)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if read < lanePage {
			break
		}
	}
	return seqs, nil
}

// DeleteUses deletes what was noted about the use of credentials before a time,
// in one short transaction.
func (s *Store) DeleteUses(ctx context.Context, before time.Time, step integration.Step) (swept integration.Swept, err error) {
	began := time.Now()
	err = s.one(ctx, func() { began, swept = time.Now(), integration.Swept{} }, func(r rowScanner) error { return r.Scan(&swept.Uses) },
		`WITH gone AS (DELETE FROM credential_uses WHERE seq IN (SELECT seq FROM credential_uses WHERE minute < $1 ORDER BY minute LIMIT $2) RETURNING 1)
		SELECT count(*) FROM gone`, micros(before), step.Rows)
	if err != nil {
		return integration.Swept{}, fmt.Errorf("postgres: deleting uses of credentials: %w", err)
	}
	swept.Took, swept.More = time.Since(began), swept.Uses == step.Rows && swept.Uses > 0
	return swept, nil
}

// firstService is the first name after another in one of the indexes.
const firstService = `SELECT min(name) FROM (
	(SELECT provider AS name FROM webhook_events WHERE kept < 2 AND provider > $1 ORDER BY provider LIMIT 1)
	UNION ALL (SELECT provider FROM webhook_events WHERE kept = 2 AND provider > $1 ORDER BY provider LIMIT 1)
	UNION ALL (SELECT service FROM calls WHERE service > $1 ORDER BY service LIMIT 1)) known`

// StoredServices are the services that events or calls are kept of, whether or
// not there is a plan of them.
func (s *Store) StoredServices(ctx context.Context) (names []string, err error) {
	var name pgtype.Text
	for {
		if err := s.row(ctx, firstService, name.String).Scan(&name); err != nil {
			return nil, fmt.Errorf("postgres: services: %w", err)
		}
		if !name.Valid {
			return names, nil
		}
		names = append(names, name.String)
	}
}

// countDue counts payloads and events whose time has come, up to a number.
const countDue = `SELECT
	(SELECT count(*) FROM (SELECT 1 FROM webhook_events
		WHERE provider = $1 AND kept < 2 AND received_at < $2 AND status IN ('processed', 'ignored') LIMIT $4) a),
	(SELECT count(*) FROM (SELECT 1 FROM webhook_events
		WHERE provider = $1 AND kept = 2 AND received_at < $3 LIMIT $4) b)
	+ (SELECT count(*) FROM (SELECT 1 FROM webhook_events
		WHERE provider = $1 AND kept < 2 AND received_at < $3 AND status IN ` + finalEvents + ` LIMIT $4) c)`

// Due counts what has had its time of one service, up to most of each kind; calls
// are those that ended before a time.
func (s *Store) Due(ctx context.Context, e integration.Expiry, calls time.Time, most int) (due integration.Due, err error) {
	err = s.row(ctx, countDue, e.Service, optionalMicros(e.Payload), optionalMicros(e.IDs), most).Scan(&due.Payloads, &due.Events)
	if err != nil {
		return integration.Due{}, fmt.Errorf("postgres: what has had its time of %s: %w", e.Service, err)
	}
	seqs, err := s.oldCalls(ctx, e.Service, calls, most)
	if err != nil {
		return integration.Due{}, err
	}
	due.Events, due.Calls = min(due.Events, most), len(seqs)
	return due, nil
}

// Backlog is how many events wait for their commit in this process at this moment.
func (s *Store) Backlog() int { return len(s.events) }

const (
	firstTurn = "INSERT INTO housekeeping (one, begins_at, lease_owner, lease_until) VALUES (1, $1, $2, $3) ON CONFLICT (one) DO NOTHING"
	nextTurn  = "UPDATE housekeeping SET lease_owner = $1, lease_until = $2 WHERE lease_owner = $1 OR lease_until <= $3"
)

// TakeHousekeeping gives owner the turn to delete until a time, unless another
// instance has it. The first in this database begins at a time that is then
// written down.
func (s *Store) TakeHousekeeping(ctx context.Context, owner string, now, until, begins time.Time) (turn integration.HousekeepingTurn, err error) {
	err = s.do(ctx, func(t *transaction) error {
		turn = integration.HousekeepingTurn{}
		n, err := t.exec(firstTurn, micros(begins), owner, micros(until))
		if err != nil {
			return err
		}
		if turn.First = n > 0; !turn.First {
			if n, err = t.exec(nextTurn, owner, micros(until), micros(now)); err != nil {
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
		return integration.HousekeepingTurn{}, fmt.Errorf("postgres: taking the turn to delete: %w", err)
	}
	return turn, nil
}

const keepLess = `UPDATE webhook_events e SET kept = i.kept, payload = i.payload, packed = i.packed,
	headers = CASE WHEN i.kept = 2 THEN '{}' ELSE e.headers END
FROM unnest($1::text[], $2::smallint[], $3::bytea[], $4::boolean[]) AS i (id, kept, payload, packed) WHERE e.id = i.id`

// complete ends leases. Where outcomes leave less of payloads, that is written in
// the same transaction; where none does, it is one statement.
func (s *Store) complete(ctx context.Context, held keySet, done []lease.Done[integration.Outcome], args []any) error {
	if !slices.ContainsFunc(done, func(d lease.Done[integration.Outcome]) bool { return less(&d.Outcome) }) {
		return s.one(ctx, held.reset, held.scan, completeLeases, args...)
	}
	return s.do(ctx, func(t *transaction) error { return completeIn(t, held, done, args) })
}

// completeIn ends leases and leaves less of payloads in a transaction under way.
func completeIn(t *transaction, held keySet, done []lease.Done[integration.Outcome], args []any) error {
	held.reset()
	t.changed = true
	if err := t.query(held.scan, completeLeases, args...); err != nil {
		return err
	}
	var ids []string
	var kept []int16
	var payloads [][]byte
	var packed []bool
	for i := range done {
		o := &done[i].Outcome
		if !less(o) || !held[done[i].Key] {
			continue
		}
		stored, compressed := pack.Pack(o.Payload)
		if o.Kept == integration.KeptNothing || stored == nil {
			stored, compressed = []byte{}, false
		}
		ids, kept, payloads, packed = append(ids, done[i].ID), append(kept, int16(o.Kept)), append(payloads, stored), append(packed, compressed)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec(keepLess, ids, kept, payloads, packed)
	return err
}

// less reports whether an outcome leaves less of the payload.
func less(o *integration.Outcome) bool {
	return o.Kept != integration.KeptWhole && o.Status.Final() && !o.Released
}

// whyNotAgain says why an event can't be processed again.
func (t *transaction) whyNotAgain(id string) error {
	var kept int
	if err := t.query(func(r rowScanner) error { return r.Scan(&kept) }, "SELECT kept FROM webhook_events WHERE id = $1", id); err != nil {
		return fmt.Errorf("postgres: event %s: %w", id, err)
	}
	if integration.Kept(kept) == integration.KeptNothing {
		return fmt.Errorf("event %s: %w", id, integration.ErrNotKept)
	}
	return t.whyNot("webhook_events", "status", "event", id)
}
