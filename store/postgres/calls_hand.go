package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// What a person, or the caller, does with calls: put a kept one back into the
// queue, take a queued one out.

// requeueCall puts a kept call back. Its attempts go on counting, and what was
// in doubt is no longer: a person has looked.
const requeueCall = `UPDATE calls SET kept_as = state, state = 'queued', due_at = $2, expires_at = $3, job_id = $4, finished_at = NULL, in_doubt = false,
	retried_after = (SELECT count(*) FROM attempts WHERE call_id = calls.id), lease_owner = NULL, lease_until = NULL
WHERE state IN ('failed', 'unknown') AND `

// RequeueCall makes a kept call due at now, under its own id and idempotency
// key; it is given back to a person at expires, if that is not zero. The audit
// entry is written with it or not at all. It is integration.ErrNotFound if
// there is no such call and integration.ErrState if it is not kept.
func (s *Store) RequeueCall(ctx context.Context, id string, now, expires time.Time, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec(requeueCall+"id = $1", id, micros(now), optionalMicros(expires), "")
		if err != nil {
			return fmt.Errorf("postgres: putting call %s back: %w", id, err)
		}
		if n == 0 {
			return t.whyNot("calls", "state", "call", id)
		}
		return insertAudit(t, audit)
	})
}

// CancelCall takes a call out of the queue: it ends as canceled, or goes back to
// the person it was with. finished, if not nil, is the event that tells about
// its end; it and the audit entry are written with it or not at all. It is
// integration.ErrNotFound if there is no such call and integration.ErrState if
// it does not wait: a call that has its turn can't be stopped.
func (s *Store) CancelCall(ctx context.Context, id string, now time.Time, finished *integration.Event, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		job, _, err := lockJobOf(t, id)
		if err != nil {
			return err
		}
		n, err := t.exec(cancelCalls+"id = $1", id, micros(now))
		if err != nil {
			return fmt.Errorf("postgres: canceling call %s: %w", id, err)
		}
		if n == 0 {
			return t.whyNot("calls", "state", "call", id)
		}
		if err := countInJob(t, job, integration.CallCanceled, now); err != nil {
			return err
		}
		if err := insertFinished(t, finished, now); err != nil {
			return err
		}
		return insertAudit(t, audit)
	})
}

const cancelCalls = `UPDATE calls SET state = CASE kept_as WHEN '' THEN 'canceled' ELSE kept_as END, finished_at = $2, due_at = NULL,
	headers = CASE kept_as WHEN '' THEN NULL ELSE headers END, body = CASE kept_as WHEN '' THEN NULL ELSE body END, kept_as = '', job_id = ''
WHERE state = 'queued' AND `

// BeginTurn writes down that a request of a call is about to be sent which must
// not be sent twice: if nothing more is heard of this turn, the call is in
// doubt. It is integration.ErrState if the call has another turn by now.
func (s *Store) BeginTurn(ctx context.Context, id string, turn int) error {
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec("UPDATE calls SET in_doubt = true WHERE id = $1 AND loans = $2 AND state = 'running' AND lease_owner IS NOT NULL", id, turn)
		if err != nil {
			return fmt.Errorf("postgres: beginning the turn of call %s: %w", id, err)
		}
		if n == 0 {
			return fmt.Errorf("call %s has no turn %d any more: %w", id, turn, integration.ErrState)
		}
		return nil
	})
}

// ForgetAnswers forgets the answers whose time has come, up to most of them, and
// says how many there were.
func (s *Store) ForgetAnswers(ctx context.Context, now time.Time, most int) (n int, err error) {
	err = s.do(ctx, func(t *transaction) error {
		changed, err := t.exec(`UPDATE calls SET answer = NULL, answer_body = NULL, answer_until = NULL
			WHERE seq IN (SELECT seq FROM calls WHERE answer_until IS NOT NULL AND answer_until <= $1 LIMIT $2)`, micros(now), most)
		n = int(changed)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: forgetting answers: %w", err)
	}
	return n, nil
}
