package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

const releaseCall = "UPDATE calls SET state = 'queued', loans = loans - 1, lease_owner = NULL, lease_until = NULL" + heldCall

const completeCall = `UPDATE calls SET state = $4, status = $5, failure = $6, due_at = $7, finished_at = $8, idempotency_key = $9,
	lease_owner = NULL, lease_until = NULL, in_doubt = false,
	headers = CASE WHEN $10 THEN headers END, body = CASE WHEN $10 THEN body END,
	kept_as = CASE WHEN $11 THEN kept_as ELSE '' END, job_id = CASE WHEN $11 THEN job_id ELSE '' END,
	answer = $12, answer_body = $13, answer_until = $14` + heldCall

// Complete ends leases and writes down what the turns came to, with the event
// that tells about a call's end; see lease.Queue.
func (q *CallQueue) Complete(ctx context.Context, owner string, done []lease.Done[integration.CallOutcome]) (lost []lease.Key, err error) {
	if len(done) == 0 {
		return nil, nil
	}
	rows := make([]*turnRow, len(done))
	for i := range done {
		if rows[i], err = newTurnRow(&done[i]); err != nil {
			return nil, fmt.Errorf("postgres: call %s: %w", done[i].ID, err)
		}
	}
	now := q.s.options.Now()
	err = q.s.do(ctx, func(t *transaction) error {
		lost = lost[:0]
		for _, row := range rows {
			held, err := row.write(t, owner, now)
			if err != nil {
				return fmt.Errorf("call %s: %w", row.ID, err)
			}
			if !held {
				lost = append(lost, row.Key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: writing outcomes of calls: %w", err)
	}
	q.hold(rows, now)
	return lost, nil
}

// hold keeps the calls of a tenant back that was refused a turn.
func (q *CallQueue) hold(rows []*turnRow, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, row := range rows {
		c := &row.Outcome.Call
		if !row.Outcome.Refused || !c.State.Waiting() || !c.DueAt.After(now) {
			continue
		}
		until := c.DueAt
		if most := now.Add(holdMost); until.After(most) {
			until = most
		}
		q.held[lane2{c.Service, c.Tenant}] = until
	}
}

// turnRow is what a turn came to as it is written.
type turnRow struct {
	lease.Done[integration.CallOutcome]
	failure any
	answer  any
	body    any
	until   any
}

func newTurnRow(d *lease.Done[integration.CallOutcome]) (*turnRow, error) {
	row := &turnRow{Done: *d}
	c := &d.Outcome.Call
	if !d.Outcome.Released && (c.State == "" || c.State == integration.CallRunning) {
		return nil, fmt.Errorf("an outcome can't leave the call %q", c.State)
	}
	if c.Failure != nil {
		text, err := json.Marshal(newFailureRow(c.Failure))
		if err != nil {
			return nil, fmt.Errorf("failure: %w", err)
		}
		row.failure = string(text)
	}
	if a := c.Answer; a != nil {
		text, err := json.Marshal(answerRow{Status: a.Status, Header: a.Header, Cut: a.Cut})
		if err != nil {
			return nil, fmt.Errorf("answer: %w", err)
		}
		row.answer, row.body, row.until = string(text), append([]byte{}, a.Body...), optionalMicros(a.Until)
	}
	return row, nil
}

// write ends one lease; false means that it is not held any more.
func (row *turnRow) write(t *transaction, owner string, now time.Time) (held bool, err error) {
	if row.Outcome.Released {
		n, err := t.exec(releaseCall, row.ID, owner, row.Attempt)
		return n > 0, err
	}
	c := &row.Outcome.Call
	job, stopped, err := lockJobOf(t, row.ID)
	if err != nil {
		return false, err
	}
	due, finished := any(nil), any(micros(now))
	if c.State.Waiting() {
		finished = nil
		if due = optionalMicros(c.DueAt); due == nil {
			due = micros(now)
		}
	} else if !c.FinishedAt.IsZero() {
		finished = micros(c.FinishedAt)
	}
	n, err := t.exec(completeCall, row.ID, owner, row.Attempt, string(c.State), c.Status, row.failure, due, finished, c.IdempotencyKey,
		c.State.Repeatable(), c.State.Waiting(), row.answer, row.body, row.until)
	if err != nil || n == 0 {
		return false, err
	}
	if err := insertAttempts(t, row.ID, c.Attempts); err != nil {
		return false, err
	}
	if err := insertFinished(t, row.Outcome.Finished, now); err != nil {
		return false, err
	}
	if c.State.Waiting() && stopped {
		_, err := t.exec(cancelCalls+"id = $1", row.ID, micros(now))
		return true, err
	}
	return true, countInJob(t, job, c.State, now)
}

// insertFinished queues the event that tells about a call's end, once.
func insertFinished(t *transaction, e *integration.Event, now time.Time) error {
	if e == nil {
		return nil
	}
	headers, err := checkNew(e)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO webhook_events (id, tenant_id, provider, source, event_type, external_id, subject, status, occurred_at, received_at, created_at, due_at, headers, payload)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'received', $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
		e.ID, e.Tenant, e.Service, e.Source, e.Type, e.ExternalID, e.Subject, optionalMicros(e.OccurredAt), micros(e.ReceivedAt), micros(now), micros(now),
		headers, e.Payload)
	return err
}
