package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// finalEvent is every status that no machine leaves by itself.
const finalEvent = "status IN ('processed', 'failed', 'ignored')"

// replayEvents makes events due again at $2, for the job $3 if that is not NULL.
// One that all destinations have goes to all of them again; of one that failed,
// to those that do not have it. Where it stood is kept, for a job that is
// stopped. What it is about follows.
const replayEvents = `UPDATE webhook_events SET
	replays = replays + CASE WHEN status = 'received' THEN 0 ELSE 1 END,
	replayed_from = CASE WHEN status = 'received' THEN replayed_from
		ELSE json_build_object('status', status, 'at', processed_at, 'error', error, 'replayed', replayed_at)::text END,
	replayed_at = CASE WHEN status = 'received' THEN replayed_at ELSE $2::bigint END,
	job_id = CASE WHEN status = 'received' THEN job_id ELSE $3::text END,
	progress = CASE WHEN status IN ('processed', 'ignored') THEN NULL ELSE progress END,
	holds = CASE WHEN status = 'received' THEN holds END,
	status = 'received', parked = NULL, due_at = $2::bigint, processed_at = NULL, error = '', retried_after = attempts
WHERE status <> 'processing' AND `

// unreplayEvents takes back what a job did to events that have not had their
// turn since.
const unreplayEvents = `UPDATE webhook_events SET
	status = replayed_from::json ->> 'status', processed_at = (replayed_from::json ->> 'at')::bigint,
	error = replayed_from::json ->> 'error', replayed_at = (replayed_from::json ->> 'replayed')::bigint,
	replays = replays - 1, replayed_from = NULL, parked = NULL, due_at = NULL, job_id = NULL
WHERE job_id = $1 AND status = 'received' AND attempts = retried_after AND replayed_from IS NOT NULL`

// emptied is true of events of which what came is not kept any more. The length
// comes first: it is at hand without reading the payload.
const emptied = "octet_length(payload) = 0 AND kept = 2"

// eventJobWhere says which events a job is about, those included of which what
// came is not kept any more.
func eventJobWhere(f integration.Filter) where {
	var w where
	w.add(finalEvent)
	w.equal("status", f.Status)
	w.equal("provider", f.Service)
	w.equal("source", f.Source)
	w.equal("tenant_id", f.Tenant)
	w.equal("event_type", f.Type)
	w.contains(f.Query, "id", "external_id", "error")
	w.between("received_at", f.Since, f.Until)
	return w
}

// CountEventJob counts the events that a job with this filter would be about,
// and those among them that can't be processed again because what came is not
// kept any more. Nothing is written.
func (s *Store) CountEventJob(ctx context.Context, f integration.Filter) (total, skipped int, err error) {
	total, skipped, _, _, err = s.countEventJob(ctx, f)
	return total, skipped, err
}

// countEventJob also returns the first and the last row. It reads outside of
// the transaction that writes the job: looking at many rows takes a while.
func (s *Store) countEventJob(ctx context.Context, f integration.Filter) (total, skipped int, first, last int64, err error) {
	w := eventJobWhere(f)
	err = s.row(ctx,
		"SELECT count(*), count(*) FILTER (WHERE "+emptied+"), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM webhook_events"+w.String(), w.args...).
		Scan(&total, &skipped, &first, &last)
	if err != nil {
		return 0, 0, 0, 0, fmt.Errorf("postgres: counting events: %w", err)
	}
	return total, skipped, first, last, nil
}

func (s *Store) createEventJob(ctx context.Context, j *integration.Job, audit integration.AuditEntry) error {
	filter, err := json.Marshal(j.Filter)
	if err != nil {
		return fmt.Errorf("postgres: filter of job %s: %w", j.ID, err)
	}
	var first, last int64
	if j.Total, _, first, last, err = s.countEventJob(ctx, j.Filter); err != nil {
		return err
	}
	state, finished := integration.JobRunning, any(nil)
	if j.Total == 0 {
		state, finished = integration.JobFinished, micros(j.CreatedAt)
	}
	err = s.do(ctx, func(t *transaction) error {
		_, err := t.exec("INSERT INTO jobs (id, kind, service, state, filter, actor, total, position, last, created_at, finished_at) VALUES ($1, 'event', $2, $3, $4, $5, $6, $7, $8, $9, $10)",
			j.ID, j.Service, string(state), string(filter), j.Actor, j.Total, first, last, micros(j.CreatedAt), finished)
		if err != nil {
			return err
		}
		return insertAudit(t, audit)
	})
	if err != nil {
		return fmt.Errorf("postgres: job %s: %w", j.ID, err)
	}
	return nil
}

// span is what a job looks at next.
type span struct {
	position, last, next int64
	seqs                 []int64
	skipped              int
}

// advanceEvents makes further events of a job due at now, the oldest first, but
// no more than most that still wait for their first turn: what comes meanwhile
// waits behind these few and not behind the whole job. It ends the job when the
// last of its events is through; more is false then.
func (s *Store) advanceEvents(ctx context.Context, j *integration.Job, now time.Time, most int) (more bool, err error) {
	if j.State != integration.JobRunning {
		return false, nil
	}
	next, err := s.nextSpan(ctx, j, now, most)
	if err != nil {
		return false, fmt.Errorf("postgres: job %s: %w", j.ID, err)
	}
	err = s.do(ctx, func(t *transaction) error {
		more = false
		if next.position != next.next {
			n, err := t.exec("UPDATE jobs SET position = $3, skipped = skipped + $4 WHERE id = $1 AND state = 'running' AND position = $2", j.ID, next.position, next.next, next.skipped)
			if err != nil {
				return err
			}
			if more = n == 0; more { // stopped, or another was quicker
				return nil
			}
			if err := replayForJob(t, j.ID, next.seqs, now); err != nil {
				return err
			}
		}
		ended, err := endEventJob(t, j.ID, now)
		more = !ended
		return err
	})
	if err != nil {
		return false, fmt.Errorf("postgres: job %s: %w", j.ID, err)
	}
	return more, nil
}

// nextSpan reads which rows are next.
func (s *Store) nextSpan(ctx context.Context, j *integration.Job, now time.Time, most int) (n span, err error) {
	if err := s.row(ctx, "SELECT position, last FROM jobs WHERE id = $1", j.ID).Scan(&n.position, &n.last); err != nil {
		return n, err
	}
	n.next = n.position
	var waiting int
	err = s.row(ctx,
		"SELECT count(*) FROM webhook_events WHERE job_id = $1 AND status IN ('received', 'processing') AND due_at <= $2", j.ID, micros(now)).Scan(&waiting)
	if room := most - waiting; err != nil || n.position == 0 || room <= 0 {
		return n, err
	}
	w := eventJobWhere(j.Filter)
	w.add("seq >= ?", n.position)
	w.add("seq <= ?", n.last)
	rows, err := s.query(ctx,
		fmt.Sprintf("SELECT seq, NOT (%s) FROM webhook_events%s ORDER BY seq LIMIT %d", emptied, w.String(), most-waiting), w.args...)
	if err != nil {
		return n, err
	}
	looked := 0
	err = each(rows, func(r rowScanner) error {
		var seq int64
		var kept bool
		err := r.Scan(&seq, &kept)
		if looked++; kept {
			n.seqs = append(n.seqs, seq)
		} else {
			n.skipped++
		}
		n.next = seq + 1
		return err
	})
	if looked < most-waiting {
		n.next = 0
	}
	return n, err
}

// replayForJob makes some events due for a job and counts them there.
func replayForJob(t *transaction, job string, seqs []int64, now time.Time) error {
	if err := leaveJobs(t, "seq = ANY($1::bigint[])", seqs); err != nil {
		return err
	}
	n, err := t.exec(replayEvents+finalEvent+" AND seq = ANY($1::bigint[])", seqs, micros(now), job)
	if err != nil {
		return err
	}
	_, err = t.exec("UPDATE jobs SET queued = queued + $2 WHERE id = $1", job, n)
	return err
}

// leaveJobs counts events in the jobs that had them processed, before another
// asks for them again.
func leaveJobs(t *transaction, which string, arg any) error {
	type share struct {
		job          string
		done, failed int
	}
	var shares []share
	err := t.query(func(r rowScanner) error {
		var s share
		err := r.Scan(&s.job, &s.done, &s.failed)
		shares = append(shares, s)
		return err
	}, "SELECT job_id, count(*) FILTER (WHERE status <> 'failed'), count(*) FILTER (WHERE status = 'failed') FROM webhook_events WHERE job_id IS NOT NULL AND "+finalEvent+" AND "+which+" GROUP BY job_id", arg)
	if err != nil {
		return err
	}
	for _, s := range shares {
		if _, err := t.exec("UPDATE jobs SET done = done + $2, failed = failed + $3 WHERE id = $1 AND state = 'running'", s.job, s.done, s.failed); err != nil {
			return err
		}
	}
	return nil
}

// sumEventJob writes down what became of the events of a job.
const sumEventJob = `UPDATE jobs SET
	done = done + (SELECT count(*) FROM webhook_events WHERE job_id = $1 AND status IN ('processed', 'ignored')),
	failed = failed + (SELECT count(*) FROM webhook_events WHERE job_id = $1 AND status = 'failed')`

// endEventJob finishes a job whose events are all through, and says whether it
// has ended.
func endEventJob(t *transaction, id string, now time.Time) (ended bool, err error) {
	_, err = t.exec(sumEventJob+`, state = 'finished', finished_at = $2
		WHERE id = $1 AND state = 'running' AND position = 0
		AND NOT EXISTS (SELECT 1 FROM webhook_events WHERE job_id = $1 AND status IN ('received', 'processing'))`, id, micros(now))
	if err != nil {
		return false, err
	}
	ended = true
	err = t.query(func(r rowScanner) error { return r.Scan(&ended) }, "SELECT state <> 'running' FROM jobs WHERE id = $1", id)
	return ended, err
}

// cancelEvents stops a job about events that was marked as stopped: those that
// have not had their turn stand where they stood.
func cancelEvents(t *transaction, id string) error {
	back, err := t.exec(unreplayEvents, id)
	if err != nil {
		return err
	}
	_, err = t.exec(sumEventJob+", queued = queued - $2 WHERE id = $1", id, back)
	return err
}

// countedEvents adds to a running job what became of its events so far.
func (s *Store) countedEvents(ctx context.Context, j *integration.Job) error {
	if j.Kind != integration.JobEvents || j.State != integration.JobRunning {
		return nil
	}
	rows, err := s.query(ctx, "SELECT status, count(*) FROM webhook_events WHERE job_id = $1 GROUP BY status", j.ID)
	if err != nil {
		return err
	}
	return each(rows, func(r rowScanner) error {
		var status integration.EventStatus
		var n int
		err := r.Scan((*string)(&status), &n)
		switch {
		case status == integration.EventFailed:
			j.Failed += n
		case status.Final():
			j.Done += n
		}
		return err
	})
}
