package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/pack"
)

// recordPatience is how long Record waits for room before it drops a call that
// need not be kept.
const recordPatience = 20 * time.Millisecond

// callColumns are what a list shows of a call; its headers and body follow
// where one is read whole.
const callColumns = "seq, id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, finished_at, retry_of, async, priority, due_at, expires_at, loans, in_doubt, retried_after, kept_as, job_id, callback, failure"

// callWhole follows callColumns where a call is read whole.
const callWhole = ", headers, body, answer, answer_body, answer_until"

// attemptColumns are all columns of an attempt.
const attemptColumns = "call_id, number, started_at, took, waited, status, class, request_id, error, retry_after, sent"

// Record writes a call with its attempts. A call that can be made again (one
// that waits in the queue, or is held for a person) is written before Record
// returns, with its header and body; so is a running one with a DueAt, which is
// in doubt if nothing more is heard of it by then. The caller sees to it that
// header and body hold no credential. Others are written
// shortly after and without them: a crash may lose those of the last moment,
// and when the store is behind they are dropped and counted in
// Stats.LostRecords, so that a record never holds up a call.
//
// Recording a call again brings its record up to date, as long as that still
// says running and no turn in the queue has begun.
func (s *Store) Record(ctx context.Context, c *integration.Call) error {
	if c.ID == "" || c.Service == "" {
		return errors.New("sqlite: a call needs an id and a service")
	}
	row, err := newCallRow(c)
	if err != nil {
		return err
	}
	if durable(c) {
		return s.writer.do(ctx, s.writer.records, row.write)
	}
	k := &work{do: func(t *transaction) error {
		err := row.write(t)
		if err != nil {
			s.lost.Add(1)
		}
		return err
	}}
	ok, err := s.writer.offer(s.writer.records, k)
	if err != nil || ok {
		return err
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordPatience)
	defer cancel()
	if err := s.writer.put(patience, s.writer.records, k); err != nil {
		s.lost.Add(1)
	}
	return nil
}

// durable reports whether a call is kept with all that is needed to make it
// again.
func durable(c *integration.Call) bool { return c.State.Repeatable() || announced(c) }

// announced reports whether a call is about to be sent and must not be lost
// sight of.
func announced(c *integration.Call) bool {
	return c.State == integration.CallRunning && !c.DueAt.IsZero()
}

// callRow is a call as it is written: a copy, as the caller goes on using its
// own.
type callRow struct {
	call     integration.Call
	attempts []integration.Attempt
	failure  any
	headers  any
	body     any
}

func newCallRow(c *integration.Call) (*callRow, error) {
	row := &callRow{call: *c, attempts: append([]integration.Attempt(nil), c.Attempts...)}
	if c.Failure != nil {
		text, err := json.Marshal(newFailureRow(c.Failure))
		if err != nil {
			return nil, fmt.Errorf("sqlite: failure of call %s: %w", c.ID, err)
		}
		row.failure = string(text)
	}
	if durable(c) {
		row.headers = pack.Header(c.Header)
		row.body = append([]byte{}, c.Body...)
	}
	row.call.Header, row.call.Body, row.call.Failure, row.call.Attempts = nil, nil, nil, nil
	return row, nil
}

func (row *callRow) write(t *transaction) error {
	c := &row.call
	due, expires := any(nil), any(nil)
	if c.State.Waiting() || announced(c) {
		due, expires = optionalMicros(c.DueAt), optionalMicros(c.ExpiresAt)
	}
	if c.State.Waiting() && due == nil {
		due = micros(c.CreatedAt)
	}
	n, err := t.exec(insertCall,
		c.ID, c.Service, c.Tenant, c.Endpoint, string(c.Entry), c.Method, c.Path, c.Effect, c.IdempotencyKey, string(c.State), c.Status,
		micros(c.CreatedAt), optionalMicros(c.FinishedAt), c.RetryOf, c.Async, c.Priority, due, expires, announced(c), c.RetriedAfter, c.Callback,
		row.failure, row.headers, row.body)
	if err != nil || n == 0 {
		return err
	}
	return insertAttempts(t, c.ID, row.attempts)
}

const insertCall = `INSERT INTO calls (id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, finished_at, retry_of,
	async, priority, due_at, expires_at, in_doubt, retried_after, callback, failure, headers, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET path = excluded.path, idempotency_key = excluded.idempotency_key, state = excluded.state, status = excluded.status,
	finished_at = excluded.finished_at, priority = excluded.priority, due_at = excluded.due_at, expires_at = excluded.expires_at, in_doubt = excluded.in_doubt,
	failure = excluded.failure, headers = excluded.headers, body = excluded.body
WHERE calls.state = 'running' AND calls.lease_owner IS NULL`

func insertAttempts(t *transaction, id string, attempts []integration.Attempt) error {
	for i := range attempts {
		a := &attempts[i]
		if _, err := t.exec("INSERT OR REPLACE INTO attempts ("+attemptColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			id, a.Number, micros(a.StartedAt), a.Took.Microseconds(), a.Waited.Microseconds(), a.Status, string(a.Class), a.RequestID, a.Error,
			a.RetryAfter.Microseconds(), a.Sent); err != nil {
			return err
		}
	}
	return nil
}

// Calls lists calls, the youngest first, without attempts, header and body.
// next is the cursor of the following page, empty on the last. Filter.Query
// looks into ids, paths and failures.
func (s *Store) Calls(ctx context.Context, f integration.Filter) (calls []integration.Call, next string, err error) {
	return list(ctx, s, callPage(f), func(r rowScanner) (int64, integration.Call, error) { return scanCall(r, false) })
}

func callPage(f integration.Filter) page {
	p := page{prefix: "c", table: "calls", columns: callColumns, hint: notIndexed, filter: f}
	if f.Service != "" && f.Status != "" {
		p.hint = "INDEXED BY calls_by_state"
	}
	p.where.equal("service", f.Service)
	p.where.equal("tenant_id", f.Tenant)
	p.where.equal("endpoint", f.Type)
	p.where.equal("state", f.Status)
	p.where.contains(f.Query, "id", "path", "failure")
	p.where.between("created_at", f.Since, f.Until)
	return p
}

// Call reads one call with its attempts and, while it is kept, its header and
// body; integration.ErrNotFound if there is none.
func (s *Store) Call(ctx context.Context, id string) (integration.Call, error) {
	_, c, err := scanCall(s.read.QueryRowContext(ctx, "SELECT "+callColumns+callWhole+" FROM calls WHERE id = ?", id), true)
	if err != nil {
		return integration.Call{}, oneError("call", id, err)
	}
	attempts, err := s.attempts(ctx, id)
	if err != nil {
		return integration.Call{}, err
	}
	c.Attempts = attempts[id]
	return c, nil
}

// attempts reads the attempts of calls, in order.
func (s *Store) attempts(ctx context.Context, ids ...string) (map[string][]integration.Attempt, error) {
	of := make(map[string][]integration.Attempt, len(ids))
	rows, err := s.read.QueryContext(ctx, "SELECT "+attemptColumns+" FROM attempts WHERE call_id IN (SELECT value FROM json_each(?)) ORDER BY call_id, number", jsonArray(ids))
	if err != nil {
		return nil, fmt.Errorf("sqlite: attempts of calls: %w", err)
	}
	err = each(rows, func(r rowScanner) error {
		id, a, err := scanAttempt(r)
		of[id] = append(of[id], a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: attempts of calls: %w", err)
	}
	return of, nil
}

// CallCounts counts a service's calls by state, one tenant's only when tenant
// is not empty. OldestDue is the due time of the queued call that waits the
// longest, those due in the future included.
func (s *Store) CallCounts(ctx context.Context, service, tenant string) (integration.Counts, error) {
	counts, err := s.counts(ctx, "SELECT state, count(*) FROM calls WHERE service = ?1 AND (?2 = '' OR tenant_id = ?2) GROUP BY state", service, tenant)
	if err != nil {
		return counts, err
	}
	var due int64
	err = s.read.QueryRowContext(ctx, oldestCall, service, tenant).Scan(&due)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return counts, nil
	case err != nil:
		return counts, fmt.Errorf("sqlite: oldest queued call: %w", err)
	}
	counts.OldestDue = fromMicros(due)
	return counts, nil
}

// SettleCall ends a kept call in the state that a person found or brought
// about and forgets its header and body. The audit entry is written with it or
// not at all. It is integration.ErrNotFound if there is no such call and
// integration.ErrState if it is not kept.
func (s *Store) SettleCall(ctx context.Context, id string, state integration.CallState, audit integration.AuditEntry) error {
	if state.Repeatable() || state == integration.CallRunning {
		return fmt.Errorf("a call can't be settled as %s: %w", state, integration.ErrState)
	}
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		n, err := t.exec("UPDATE calls SET state = ?2, headers = NULL, body = NULL WHERE id = ?1 AND state IN ('failed', 'unknown')", id, string(state))
		if err != nil {
			return fmt.Errorf("sqlite: settling call %s: %w", id, err)
		}
		if n == 0 {
			return t.whyNot("calls", "state", "call", id)
		}
		return insertAudit(t, audit)
	})
}

// scanCall reads callColumns, and callWhole if whole.
func scanCall(r rowScanner, whole bool) (seq int64, c integration.Call, err error) {
	var created int64
	var finished, due, expires, until sql.NullInt64
	var failure, headers, answer sql.NullString
	var answered []byte
	into := []any{
		&seq, &c.ID, &c.Service, &c.Tenant, &c.Endpoint, (*string)(&c.Entry), &c.Method, &c.Path, &c.Effect, &c.IdempotencyKey,
		(*string)(&c.State), &c.Status, &created, &finished, &c.RetryOf, &c.Async, &c.Priority, &due, &expires, &c.Turn, &c.InDoubt, &c.RetriedAfter,
		(*string)(&c.KeptAs), &c.Job, &c.Callback, &failure,
	}
	if whole {
		into = append(into, &headers, &c.Body, &answer, &answered, &until)
	}
	if err := r.Scan(into...); err != nil {
		return 0, c, err
	}
	c.CreatedAt, c.FinishedAt, c.DueAt, c.ExpiresAt = fromMicros(created), fromOptional(finished), fromOptional(due), fromOptional(expires)
	if failure.Valid {
		var row failureRow
		if err := json.Unmarshal([]byte(failure.String), &row); err != nil {
			return 0, c, fmt.Errorf("stored failure: %w", err)
		}
		c.Failure = row.failure()
	}
	if answer.Valid {
		var row answerRow
		if err := json.Unmarshal([]byte(answer.String), &row); err != nil {
			return 0, c, fmt.Errorf("stored answer: %w", err)
		}
		c.Answer = &integration.Answer{Status: row.Status, Header: row.Header, Body: answered, Cut: row.Cut, Until: fromOptional(until)}
	}
	c.Header, err = pack.ParseHeader(headers.String)
	return seq, c, err
}

func scanAttempt(r rowScanner) (call string, a integration.Attempt, err error) {
	var started, took, waited, after int64
	err = r.Scan(&call, &a.Number, &started, &took, &waited, &a.Status, (*string)(&a.Class), &a.RequestID, &a.Error, &after, &a.Sent)
	a.StartedAt = fromMicros(started)
	a.Took, a.Waited, a.RetryAfter = time.Duration(took)*time.Microsecond, time.Duration(waited)*time.Microsecond, time.Duration(after)*time.Microsecond
	return call, a, err
}
