package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// recordPatience is how long Record waits for room before it drops a call that
// need not be kept.
const recordPatience = 20 * time.Millisecond

// callColumns are what a list shows of a call; its headers and body follow
// where one is read whole.
const callColumns = "seq, id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, finished_at, retry_of, failure"

// attemptColumns are all columns of an attempt.
const attemptColumns = "call_id, number, started_at, took, waited, status, class, request_id, error, retry_after, sent"

// Record writes a call with its attempts. A call that a person may have to
// deal with (Kept) is written before Record returns, with its header and body;
// the caller sees to it that these hold no credential. Others are written
// shortly after and without them: a crash may lose those of the last moment,
// and when the store is behind they are dropped and counted in
// Stats.LostRecords, so that a record never holds up a call.
//
// Recording a call again brings its record up to date, as long as that still
// says running.
func (s *Store) Record(ctx context.Context, c *integration.Call) error {
	if c.ID == "" || c.Service == "" {
		return errors.New("sqlite: a call needs an id and a service")
	}
	row, err := newCallRow(c)
	if err != nil {
		return err
	}
	if c.State.Kept() {
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
	if c.State.Kept() {
		headers, err := encodeHeader(c.Header)
		if err != nil {
			return nil, err
		}
		row.headers = headers
		row.body = append([]byte{}, c.Body...)
	}
	row.call.Header, row.call.Body, row.call.Failure, row.call.Attempts = nil, nil, nil, nil
	return row, nil
}

func (row *callRow) write(t *transaction) error {
	c := &row.call
	n, err := t.exec(`INSERT INTO calls (id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, finished_at, retry_of, failure, headers, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET path = excluded.path, idempotency_key = excluded.idempotency_key, state = excluded.state, status = excluded.status,
			finished_at = excluded.finished_at, failure = excluded.failure, headers = excluded.headers, body = excluded.body
		WHERE calls.state = 'running'`,
		c.ID, c.Service, c.Tenant, c.Endpoint, string(c.Entry), c.Method, c.Path, c.Effect, c.IdempotencyKey, string(c.State), c.Status,
		micros(c.CreatedAt), optionalMicros(c.FinishedAt), c.RetryOf, row.failure, row.headers, row.body)
	if err != nil || n == 0 {
		return err
	}
	for i := range row.attempts {
		a := &row.attempts[i]
		if _, err := t.exec("INSERT OR REPLACE INTO attempts ("+attemptColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			c.ID, a.Number, micros(a.StartedAt), a.Took.Microseconds(), a.Waited.Microseconds(), a.Status, string(a.Class), a.RequestID, a.Error,
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
	_, c, err := scanCall(s.read.QueryRowContext(ctx, "SELECT "+callColumns+", headers, body FROM calls WHERE id = ?", id), true)
	if err != nil {
		return integration.Call{}, oneError("call", id, err)
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+attemptColumns+" FROM attempts WHERE call_id = ? ORDER BY number", id)
	if err != nil {
		return integration.Call{}, fmt.Errorf("sqlite: attempts of %s: %w", id, err)
	}
	err = each(rows, func(r rowScanner) error {
		a, err := scanAttempt(r)
		c.Attempts = append(c.Attempts, a)
		return err
	})
	if err != nil {
		return integration.Call{}, fmt.Errorf("sqlite: attempts of %s: %w", id, err)
	}
	return c, nil
}

// CallCounts counts a service's calls by state, one tenant's only when tenant
// is not empty. OldestDue is zero: calls do not wait here.
func (s *Store) CallCounts(ctx context.Context, service, tenant string) (integration.Counts, error) {
	return s.counts(ctx, "SELECT state, count(*) FROM calls WHERE service = ?1 AND (?2 = '' OR tenant_id = ?2) GROUP BY state", service, tenant)
}

// SettleCall ends a kept call in the state that a person found or brought
// about and forgets its header and body. The audit entry is written with it or
// not at all. It is integration.ErrNotFound if there is no such call and
// integration.ErrState if it is not kept.
func (s *Store) SettleCall(ctx context.Context, id string, state integration.CallState, audit integration.AuditEntry) error {
	if state.Kept() || state == integration.CallRunning {
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

// scanCall reads callColumns, and headers and body if whole.
func scanCall(r rowScanner, whole bool) (seq int64, c integration.Call, err error) {
	var created int64
	var finished sql.NullInt64
	var failure, headers sql.NullString
	into := []any{
		&seq, &c.ID, &c.Service, &c.Tenant, &c.Endpoint, (*string)(&c.Entry), &c.Method, &c.Path, &c.Effect, &c.IdempotencyKey,
		(*string)(&c.State), &c.Status, &created, &finished, &c.RetryOf, &failure,
	}
	if whole {
		into = append(into, &headers, &c.Body)
	}
	if err := r.Scan(into...); err != nil {
		return 0, c, err
	}
	c.CreatedAt, c.FinishedAt = fromMicros(created), fromOptional(finished)
	if failure.Valid {
		var row failureRow
		if err := json.Unmarshal([]byte(failure.String), &row); err != nil {
			return 0, c, fmt.Errorf("stored failure: %w", err)
		}
		c.Failure = row.failure()
	}
	c.Header, err = decodeHeader(headers.String)
	return seq, c, err
}

func scanAttempt(r rowScanner) (a integration.Attempt, err error) {
	var call string
	var started, took, waited, after int64
	err = r.Scan(&call, &a.Number, &started, &took, &waited, &a.Status, (*string)(&a.Class), &a.RequestID, &a.Error, &after, &a.Sent)
	a.StartedAt = fromMicros(started)
	a.Took, a.Waited, a.RetryAfter = time.Duration(took)*time.Microsecond, time.Duration(waited)*time.Microsecond, time.Duration(after)*time.Microsecond
	return a, err
}

// failureRow is an integration.Failure as JSON; its cause is kept as text.
type failureRow struct {
	Class             integration.Class `json:"class"`
	Code              string            `json:"code,omitempty"`
	Message           string            `json:"message,omitempty"`
	Hint              string            `json:"hint,omitempty"`
	Pointer           string            `json:"pointer,omitempty"`
	RetryAfterMicros  int64             `json:"retry_after_us,omitempty"`
	ProviderCode      string            `json:"provider_code,omitempty"`
	ProviderMessage   string            `json:"provider_message,omitempty"`
	ProviderRequestID string            `json:"provider_request_id,omitempty"`
	Cause             string            `json:"cause,omitempty"`
}

func newFailureRow(f *integration.Failure) failureRow {
	row := failureRow{
		Class: f.Class, Code: f.Code, Message: f.Message, Hint: f.Hint, Pointer: f.Pointer, RetryAfterMicros: f.RetryAfter.Microseconds(),
		ProviderCode: f.ProviderCode, ProviderMessage: f.ProviderMessage, ProviderRequestID: f.ProviderRequestID,
	}
	if f.Err != nil {
		row.Cause = f.Err.Error()
	}
	return row
}

func (row failureRow) failure() *integration.Failure {
	f := &integration.Failure{
		Class: row.Class, Code: row.Code, Message: row.Message, Hint: row.Hint, Pointer: row.Pointer,
		RetryAfter:   time.Duration(row.RetryAfterMicros) * time.Microsecond,
		ProviderCode: row.ProviderCode, ProviderMessage: row.ProviderMessage, ProviderRequestID: row.ProviderRequestID,
	}
	if row.Cause != "" {
		f.Err = errors.New(row.Cause)
	}
	return f
}
