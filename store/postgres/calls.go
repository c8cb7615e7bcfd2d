package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
		return errors.New("postgres: a call needs an id and a service")
	}
	row, err := newCallRow(c)
	if err != nil {
		return err
	}
	k := &work{call: row}
	if durable(c) {
		k.done = make(chan struct{}, 1)
		if err := s.put(ctx, s.records, k); err != nil {
			return err
		}
		return k.wait(ctx)
	}
	ok, err := s.offer(s.records, k)
	if err != nil || ok {
		return err
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordPatience)
	defer cancel()
	if err := s.put(patience, s.records, k); err != nil {
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
			return nil, fmt.Errorf("postgres: failure of call %s: %w", c.ID, err)
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

// args are the arguments of insertCall.
func (row *callRow) args() []any {
	c := &row.call
	due, expires := any(nil), any(nil)
	if c.State.Waiting() || announced(c) {
		due, expires = optionalMicros(c.DueAt), optionalMicros(c.ExpiresAt)
	}
	if c.State.Waiting() && due == nil {
		due = micros(c.CreatedAt)
	}
	var a attemptLists
	a.add(row.attempts)
	return texts(append([]any{
		c.ID, c.Service, c.Tenant, c.Endpoint, string(c.Entry), c.Method, c.Path, c.Effect, c.IdempotencyKey, string(c.State), c.Status,
		micros(c.CreatedAt), optionalMicros(c.FinishedAt), c.RetryOf, c.Async, c.Priority, due, expires, announced(c), c.RetriedAfter, c.Callback,
		row.failure, row.headers, row.body,
	}, a.args()...))
}

// insertCall writes a call, or brings its record up to date, and its attempts if
// that was done.
const insertCall = `WITH kept AS (
	INSERT INTO calls (id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, finished_at, retry_of,
		async, priority, due_at, expires_at, in_doubt, retried_after, callback, failure, headers, body)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
	ON CONFLICT (id) DO UPDATE SET path = excluded.path, idempotency_key = excluded.idempotency_key, state = excluded.state, status = excluded.status,
		finished_at = excluded.finished_at, priority = excluded.priority, due_at = excluded.due_at, expires_at = excluded.expires_at, in_doubt = excluded.in_doubt,
		failure = excluded.failure, headers = excluded.headers, body = excluded.body
	WHERE calls.state = 'running' AND calls.lease_owner IS NULL
	RETURNING id
)
INSERT INTO attempts (` + attemptColumns + `)
SELECT kept.id, a.* FROM kept, unnest($25::integer[], $26::bigint[], $27::bigint[], $28::bigint[], $29::integer[], $30::text[], $31::text[], $32::text[], $33::bigint[], $34::boolean[]) a` + replaceAttempt

const replaceAttempt = `
ON CONFLICT (call_id, number) DO UPDATE SET started_at = excluded.started_at, took = excluded.took, waited = excluded.waited, status = excluded.status,
	class = excluded.class, request_id = excluded.request_id, error = excluded.error, retry_after = excluded.retry_after, sent = excluded.sent`

// attemptLists are the columns of attempts but for their call, each as one
// parameter.
type attemptLists struct {
	number, status               []int32
	started, took, waited, after []int64
	class, request, problem      []string
	sent                         []bool
}

func (l *attemptLists) add(attempts []integration.Attempt) {
	at := map[int]int{} // a number may stand there once in a statement; the last counts
	for i := range attempts {
		at[attempts[i].Number] = i
	}
	for i := range attempts {
		a := &attempts[i]
		if at[a.Number] != i {
			continue
		}
		l.number, l.status = append(l.number, int32(a.Number)), append(l.status, int32(a.Status))
		l.started, l.took = append(l.started, micros(a.StartedAt)), append(l.took, a.Took.Microseconds())
		l.waited, l.after = append(l.waited, a.Waited.Microseconds()), append(l.after, a.RetryAfter.Microseconds())
		l.class, l.request, l.problem = append(l.class, string(a.Class)), append(l.request, a.RequestID), append(l.problem, a.Error)
		l.sent = append(l.sent, a.Sent)
	}
}

func (l *attemptLists) args() []any {
	return []any{l.number, l.started, l.took, l.waited, l.status, l.class, l.request, l.problem, l.after, l.sent}
}

func insertAttempts(t *transaction, id string, attempts []integration.Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	var l attemptLists
	l.add(attempts)
	_, err := t.exec("INSERT INTO attempts ("+attemptColumns+`)
SELECT $1, a.* FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::boolean[]) a`+replaceAttempt,
		append([]any{id}, l.args()...)...)
	return err
}

// insertRecords writes calls in the order they came in, in one transaction and
// one round trip; if the server refuses it for what one of them holds, each on
// its own.
func (s *Store) insertRecords(batch []*work) {
	err := s.bounded(context.Background(), func(ctx context.Context, conn *pgxpool.Conn) error {
		if err := s.mayEnd(); err != nil {
			return fmt.Errorf("postgres: nothing was kept: %w", err)
		}
		var all pgx.Batch
		for _, k := range batch {
			if k.call == nil { // it only waits its turn
				continue
			}
			all.Queue(insertCall, k.call.args()...)
		}
		if err := conn.SendBatch(ctx, &all).Close(); err != nil {
			return uncertain(ctx, err)
		}
		return nil
	})
	switch {
	case err == nil:
		s.committed(len(batch))
	case isRowsFault(err) && len(batch) > 1:
		for i := range batch {
			s.insertRecords(batch[i : i+1])
		}
	default:
		for _, k := range batch {
			if k.err = err; k.done == nil {
				s.lost.Add(1)
			}
		}
	}
}

// Calls lists calls, the youngest first, without attempts, header and body.
// next is the cursor of the following page, empty on the last. Filter.Query
// looks into ids, paths and failures.
func (s *Store) Calls(ctx context.Context, f integration.Filter) (calls []integration.Call, next string, err error) {
	return list(ctx, s, callPage(f), func(r rowScanner) (int64, integration.Call, error) { return scanCall(r, false) })
}

func callPage(f integration.Filter) page {
	p := page{prefix: "c", table: "calls", columns: callColumns, filter: f}
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
	_, c, err := scanCall(s.row(ctx, "SELECT "+callColumns+callWhole+" FROM calls WHERE id = $1", id), true)
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
	list, err := s.query(ctx, "SELECT "+attemptColumns+" FROM attempts WHERE call_id = ANY($1) ORDER BY call_id, number", ids)
	if err != nil {
		return nil, fmt.Errorf("postgres: attempts of calls: %w", err)
	}
	err = each(list, func(r rowScanner) error {
		id, a, err := scanAttempt(r)
		of[id] = append(of[id], a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: attempts of calls: %w", err)
	}
	return of, nil
}

// CallCounts counts a service's calls by state, one tenant's only when tenant
// is not empty. OldestDue is the due time of the queued call that waits the
// longest, those due in the future included.
func (s *Store) CallCounts(ctx context.Context, service, tenant string) (integration.Counts, error) {
	counts, err := s.counts(ctx, "SELECT state, count(*) FROM calls WHERE service = $1 AND ($2 = '' OR tenant_id = $2) GROUP BY state", service, tenant)
	if err != nil {
		return counts, err
	}
	var due int64
	err = s.row(ctx, oldestCall, service, tenant).Scan(&due)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return counts, nil
	case err != nil:
		return counts, fmt.Errorf("postgres: oldest queued call: %w", err)
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
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec("UPDATE calls SET state = $2, headers = NULL, body = NULL WHERE id = $1 AND state IN ('failed', 'unknown')", id, string(state))
		if err != nil {
			return fmt.Errorf("postgres: settling call %s: %w", id, err)
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
