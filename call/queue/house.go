package queue

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// keepHouse forgets old answers and drives jobs until ctx ends. The first round
// is at once: a job may have been left by a process that died.
func (r *Runner) keepHouse(ctx context.Context) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	var events pacing
	for forget := true; ; {
		r.advance(ctx)
		again := r.advanceEvents(ctx, &events)
		if forget {
			r.forget(ctx)
		}
		forget = true
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.jobs:
		case <-again:
			forget = false
		}
	}
}

// advance puts the calls of all jobs into the queue, batch by batch, each job in
// its turn.
func (r *Runner) advance(ctx context.Context) {
	for ctx.Err() == nil {
		jobs, err := r.unfinished(ctx, func(j integration.Job) bool { return j.Kind != integration.JobEvents })
		if err != nil || len(jobs) == 0 {
			return
		}
		for _, j := range jobs {
			expire := r.config.Services[j.Service].Expire
			if expire == 0 {
				expire = plan.DefaultExpire
			}
			now := r.config.Now()
			if _, err := r.config.Store.AdvanceJob(ctx, j.ID, now, now.Add(expire), jobBatch); err != nil {
				r.complain(ctx, "jobs.advance", err)
				return
			}
			r.Wake()
		}
	}
}

// pacing is how soon jobs about events are looked at again: soon while their
// events go through, less and less often while they wait for something.
type pacing struct {
	pace time.Duration
	gone int // how many events had their turn when it was last looked
}

const (
	paceLeast = 50 * time.Millisecond
	paceMost  = 2 * time.Second
)

// advanceEvents makes further events of all jobs due: of each only as many as do
// not hold up what comes meanwhile. What it returns says when to do so again; nil:
// there is no such job.
func (r *Runner) advanceEvents(ctx context.Context, p *pacing) <-chan time.Time {
	jobs, err := r.unfinished(ctx, func(j integration.Job) bool { return j.Kind == integration.JobEvents })
	if err != nil || len(jobs) == 0 {
		*p = pacing{}
		return nil
	}
	gone := 0
	for _, j := range jobs {
		gone += j.Queued + j.Skipped
		if _, err := r.config.Store.AdvanceJob(ctx, j.ID, r.config.Now(), time.Time{}, jobBatch); err != nil {
			r.complain(ctx, "jobs.advance", err)
		}
		r.config.Told()
	}
	if p.pace = min(2*p.pace, paceMost); gone != p.gone || p.pace == 0 {
		p.pace = paceLeast
	}
	p.gone = gone
	return time.After(p.pace)
}

func (r *Runner) unfinished(ctx context.Context, which func(integration.Job) bool) ([]integration.Job, error) {
	jobs, err := r.config.Store.UnfinishedJobs(ctx)
	if err != nil {
		r.complain(ctx, "jobs.list", err)
	}
	return slices.DeleteFunc(jobs, func(j integration.Job) bool { return !which(j) }), err
}

func (r *Runner) forget(ctx context.Context) {
	const most = 500
	for ctx.Err() == nil {
		n, err := r.config.Store.ForgetAnswers(ctx, r.config.Now(), most)
		if err != nil {
			r.complain(ctx, "answers.forget", err)
			return
		}
		if n < most {
			return
		}
	}
}

// complain logs an error, unless it only says that we are stopping.
func (r *Runner) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		r.config.Log.Error(what, "error", err)
	}
}
