package queue

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/plan"
)

// keepHouse forgets old answers and drives jobs until ctx ends. The first round
// is at once: a job may have been left by a process that died.
func (r *Runner) keepHouse(ctx context.Context) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		r.advance(ctx)
		r.forget(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.jobs:
		}
	}
}

// advance puts the calls of all jobs into the queue, batch by batch, each job in
// its turn.
func (r *Runner) advance(ctx context.Context) {
	for ctx.Err() == nil {
		jobs, err := r.config.Store.UnfinishedJobs(ctx)
		if err != nil {
			r.complain(ctx, "jobs.list", err)
			return
		}
		if len(jobs) == 0 {
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
