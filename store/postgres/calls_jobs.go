package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

const jobColumns = "id, kind, service, state, filter, actor, total, queued, done, failed, skipped, created_at, finished_at"

// CreateJob writes a job down and counts what it is about: the calls that are
// kept now, or the events with a final status, that match its filter. j.Total
// is set.
func (s *Store) CreateJob(ctx context.Context, j *integration.Job, audit integration.AuditEntry) error {
	if j.Kind == integration.JobEvents {
		return s.createEventJob(ctx, j, audit)
	}
	filter, err := json.Marshal(j.Filter)
	if err != nil {
		return fmt.Errorf("postgres: filter of job %s: %w", j.ID, err)
	}
	w := jobWhere(j.Filter)
	err = s.do(ctx, func(t *transaction) error {
		var youngest int64
		err := t.query(func(r rowScanner) error { return r.Scan(&j.Total, &youngest) },
			"SELECT count(*), coalesce(max(seq), 0) FROM calls"+w.String(), w.args...)
		if err != nil {
			return err
		}
		state, finished := integration.JobRunning, any(nil)
		if j.Total == 0 {
			state, finished = integration.JobFinished, micros(j.CreatedAt)
		}
		_, err = t.exec("INSERT INTO jobs (id, service, state, filter, actor, total, position, created_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
			j.ID, j.Service, string(state), string(filter), j.Actor, j.Total, youngest, micros(j.CreatedAt), finished)
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

// jobWhere says which calls a job is about.
func jobWhere(f integration.Filter) where {
	var w where
	w.equal("service", f.Service)
	w.add("state = ?", f.Status)
	w.equal("tenant_id", f.Tenant)
	w.equal("endpoint", f.Type)
	w.contains(f.Query, "id", "path", "failure")
	w.between("created_at", f.Since, f.Until)
	return w
}

// AdvanceJob puts up to most of a job's calls into the queue, due at now and
// given back to a person at expires if that is not zero. More is false when all
// were looked at, or the job was stopped. Of a job about events no more than
// most wait for their first turn at once, and more is true until the last is
// through.
func (s *Store) AdvanceJob(ctx context.Context, id string, now, expires time.Time, most int) (more bool, err error) {
	j, err := s.Job(ctx, id)
	if err != nil {
		return false, err
	}
	if j.Kind == integration.JobEvents {
		return s.advanceEvents(ctx, &j, now, most)
	}
	err = s.do(ctx, func(t *transaction) error {
		more = false
		var filter string
		var position int64
		err := t.query(func(r rowScanner) error { return r.Scan(&filter, &position) },
			"SELECT filter, position FROM jobs WHERE id = $1 AND state = 'running' AND position > 0 FOR UPDATE", id)
		if err != nil || position == 0 {
			return err
		}
		var f integration.Filter
		if err := json.Unmarshal([]byte(filter), &f); err != nil {
			return fmt.Errorf("stored filter: %w", err)
		}
		w := jobWhere(f)
		w.add("seq <= ?", position)
		var seqs []int64
		err = t.query(func(r rowScanner) error {
			var seq int64
			err := r.Scan(&seq)
			seqs = append(seqs, seq)
			return err
		}, fmt.Sprintf("SELECT seq FROM calls%s ORDER BY seq DESC LIMIT %d", w.String(), most), w.args...)
		if err != nil {
			return err
		}
		n, err := t.exec(requeueCall+"seq = ANY($1::bigint[])", seqs, micros(now), optionalMicros(expires), id)
		if err != nil {
			return err
		}
		position = 0
		if more = len(seqs) == most; more {
			position = seqs[len(seqs)-1] - 1
		}
		if _, err := t.exec("UPDATE jobs SET queued = queued + $2, position = $3 WHERE id = $1", id, n, position); err != nil {
			return err
		}
		return endJob(t, id, now)
	})
	if err != nil {
		return false, fmt.Errorf("postgres: job %s: %w", id, err)
	}
	return more, nil
}

// endJob finishes a job that is through.
func endJob(t *transaction, id string, now time.Time) error {
	_, err := t.exec("UPDATE jobs SET state = 'finished', finished_at = $2 WHERE id = $1 AND state = 'running' AND position <= 0 AND done + failed >= queued", id, micros(now))
	return err
}

// lockJobOf is the job that put a call into the queue, empty when none did, and
// whether it was stopped. The job is locked until the transaction ends: whoever
// stops it waits, and then sees what became of the call. Jobs are locked before
// their calls, here as everywhere.
func lockJobOf(t *transaction, id string) (job string, stopped bool, err error) {
	err = t.query(func(r rowScanner) error { return r.Scan(&job) }, "SELECT job_id FROM calls WHERE id = $1", id)
	if err != nil || job == "" {
		return job, false, err
	}
	err = t.query(func(r rowScanner) error { return r.Scan(&stopped) }, "SELECT state = 'canceled' FROM jobs WHERE id = $1 FOR UPDATE", job)
	return job, stopped, err
}

// countInJob counts a call that has come to its end.
func countInJob(t *transaction, job string, state integration.CallState, now time.Time) error {
	if job == "" || state.Waiting() {
		return nil
	}
	column := "done"
	if state.Kept() {
		column = "failed"
	}
	if _, err := t.exec("UPDATE jobs SET "+column+" = "+column+" + 1 WHERE id = $1", job); err != nil {
		return err
	}
	return endJob(t, job, now)
}

// UnfinishedJobs are the jobs that are to be advanced, oldest first: those that
// still have calls to put into the queue, and those about events that run.
func (s *Store) UnfinishedJobs(ctx context.Context) ([]integration.Job, error) {
	rows, err := s.query(ctx, "SELECT "+jobColumns+" FROM jobs WHERE state = 'running' AND (position > 0 OR kind = 'event') ORDER BY seq")
	if err != nil {
		return nil, fmt.Errorf("postgres: jobs: %w", err)
	}
	var jobs []integration.Job
	err = each(rows, func(r rowScanner) error {
		j, err := scanJob(r)
		jobs = append(jobs, j)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: jobs: %w", err)
	}
	return jobs, nil
}

// Job reads one job; integration.ErrNotFound if there is none.
func (s *Store) Job(ctx context.Context, id string) (integration.Job, error) {
	j, err := scanJob(s.row(ctx, "SELECT "+jobColumns+" FROM jobs WHERE id = $1", id))
	if err != nil {
		return integration.Job{}, oneError("job", id, err)
	}
	if err := s.countedEvents(ctx, &j); err != nil {
		return integration.Job{}, fmt.Errorf("postgres: job %s: %w", id, err)
	}
	return j, nil
}

// CancelJob stops a job: its calls that have not had their turn go back to the
// person they were with, its events stand where they stood. It is integration.ErrNotFound if there is no such job
// and integration.ErrState if it has ended.
func (s *Store) CancelJob(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		n, err := t.exec("UPDATE jobs SET state = 'canceled', finished_at = $2, position = 0 WHERE id = $1 AND state = 'running'", id, micros(now))
		if err != nil {
			return fmt.Errorf("postgres: canceling job %s: %w", id, err)
		}
		if n == 0 {
			return t.whyNot("jobs", "state", "job", id)
		}
		back, err := t.exec(cancelCalls+"job_id = $1 AND job_id <> ''", id, micros(now))
		if err != nil {
			return fmt.Errorf("postgres: canceling job %s: %w", id, err)
		}
		if _, err := t.exec("UPDATE jobs SET queued = queued - $2 WHERE id = $1", id, back); err != nil {
			return fmt.Errorf("postgres: canceling job %s: %w", id, err)
		}
		if err := cancelEvents(t, id); err != nil {
			return fmt.Errorf("postgres: canceling job %s: %w", id, err)
		}
		return insertAudit(t, audit)
	})
}

func scanJob(r rowScanner) (j integration.Job, err error) {
	var filter string
	var created int64
	var finished sql.NullInt64
	if err := r.Scan(&j.ID, (*string)(&j.Kind), &j.Service, (*string)(&j.State), &filter, &j.Actor, &j.Total, &j.Queued, &j.Done, &j.Failed, &j.Skipped, &created, &finished); err != nil {
		return j, err
	}
	j.CreatedAt, j.FinishedAt = fromMicros(created), fromOptional(finished)
	if err := json.Unmarshal([]byte(filter), &j.Filter); err != nil {
		return j, fmt.Errorf("stored filter: %w", err)
	}
	return j, nil
}
