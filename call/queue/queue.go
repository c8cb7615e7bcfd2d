// Package queue runs the calls that go on by themselves: those the caller did
// not want to wait for, those that fell back to the queue, and those a person
// asked for again (requirements R4.6 to R4.8).
//
// The calls stand in the store, which lends them out when they are due; this
// package gives each its turn (call.Service.Resume) and hands back what came of
// it, in one transaction with the end of the lease. So a call survives the
// process with its idempotency key, and a process that dies with a call in hand
// loses nothing: the call has its turn again, or is in doubt where it may have
// been sent and must not be sent twice.
//
// What is promised is one effect for each call, as far as the provider's
// idempotency keys reach; requests that repeat harmlessly may be sent again
// after a crash.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Caller gives a queued call of one service its turn; call.Service is one.
type Caller interface {
	Resume(ctx context.Context, queued *integration.Call, mark func(context.Context) error) integration.CallOutcome
}

// Service is one service whose calls are run.
type Service struct {
	Caller Caller
	// Expire is how long a call that a person asked for again may wait for its
	// turn; zero means 24 hours.
	Expire time.Duration
}

// Store is what is asked of the store beside the queue itself.
type Store interface {
	// BeginTurn makes it durable that a request is about to be sent which must
	// not be sent twice.
	BeginTurn(ctx context.Context, id string, turn int) error
	// ForgetAnswers forgets answers whose time has come, up to most.
	ForgetAnswers(ctx context.Context, now time.Time, most int) (int, error)
	// UnfinishedJobs are the jobs that have calls left to put into the queue, and
	// those about events that run.
	UnfinishedJobs(ctx context.Context) ([]integration.Job, error)
	// AdvanceJob puts up to most of a job's calls into the queue, or of its events.
	AdvanceJob(ctx context.Context, id string, now, expires time.Time, most int) (more bool, err error)
}

// Config is what a Runner needs. Queue, Store and Services must be set.
type Config struct {
	Queue    lease.Queue[integration.Call, integration.CallOutcome]
	Store    Store
	Services map[string]Service // by slug
	// Told is called when the event about a call's end was written, and when a job
	// made events due; nil: nobody needs to know.
	Told func()
	// Workers is how many calls have their turn at once. Zero means 16.
	Workers int
	Term    time.Duration    // of a lease; zero means 15 seconds
	Grace   time.Duration    // as lease.Config has it
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: slog.Default()
}

// Runner runs queued calls. Make it with New; it runs once.
type Runner struct {
	config Config
	leases *lease.Runner[integration.Call, integration.CallOutcome]
	jobs   chan struct{}
}

// housekeeping is how often answers are forgotten and jobs looked for that
// nobody announced.
const housekeeping = time.Minute

// jobBatch is how many calls a job puts into the queue in one transaction:
// little enough that others' writes do not wait for it.
const jobBatch = 200

// noService is how long a call waits whose service has no plan at present.
const noService = time.Minute

// New checks c and makes the Runner.
func New(c Config) (*Runner, error) {
	if c.Queue == nil || c.Store == nil || c.Services == nil {
		return nil, errors.New("queue: Queue, Store and Services must be set")
	}
	if c.Workers == 0 {
		c.Workers = 16
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Told == nil {
		c.Told = func() {}
	}
	r := &Runner{config: c, jobs: make(chan struct{}, 1)}
	var err error
	r.leases, err = lease.New(lease.Config[integration.Call, integration.CallOutcome]{
		Queue: c.Queue, Handle: r.turn, Panicked: r.panicked, Released: integration.CallOutcome{Released: true},
		Workers: c.Workers, Term: c.Term, Grace: c.Grace, Now: c.Now, Log: c.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return r, nil
}

// Wake says that a call became due.
func (r *Runner) Wake() { r.leases.Wake() }

// WakeJobs says that a job began.
func (r *Runner) WakeJobs() {
	select {
	case r.jobs <- struct{}{}:
	default:
	}
}

// Run runs calls until ctx ends and returns when everything it started has
// returned.
func (r *Runner) Run(ctx context.Context) {
	var keeping sync.WaitGroup
	keeping.Go(func() { r.keepHouse(ctx) })
	r.leases.Run(ctx)
	keeping.Wait()
}

// turn gives one call its turn.
func (r *Runner) turn(ctx context.Context, c integration.Call) integration.CallOutcome {
	service, ok := r.config.Services[c.Service]
	if !ok {
		return r.withoutPlan(&c)
	}
	o := service.Caller.Resume(ctx, &c, func(ctx context.Context) error { return r.config.Store.BeginTurn(ctx, c.ID, c.Turn) })
	r.report(ctx, &c, &o)
	if !o.Released && !o.Call.State.Waiting() && o.Call.Callback != "" {
		o.Finished = Finished(&o.Call)
		r.config.Told()
	}
	return o
}

// withoutPlan keeps a call in the queue whose service has no plan: it may come
// back. When the call expires it is a person's.
func (r *Runner) withoutPlan(c *integration.Call) integration.CallOutcome {
	now := r.config.Now()
	out := *c
	out.Failure = &integration.Failure{
		Class: integration.ClassInvalid, Code: "unknown_service", Message: "There is no plan for " + c.Service + ".",
		Hint: "Put its plan back; the call waits until it expires.", CallID: c.ID, Attempts: len(c.Attempts),
	}
	switch {
	case c.InDoubt:
		out.State = integration.CallUnknown
	case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt):
		out.State = integration.CallFailed
	default:
		out.State, out.DueAt = integration.CallQueued, now.Add(noService).UTC()
	}
	return integration.CallOutcome{Call: out}
}

// panicked is the outcome of a call whose turn panicked: a fault of ours. It may
// have been sent, so it is a person's.
func (r *Runner) panicked(c integration.Call, cause any) integration.CallOutcome {
	c.State, c.FinishedAt = integration.CallUnknown, r.config.Now().UTC()
	c.Failure = &integration.Failure{
		Class: integration.ClassBroken, Code: "internal", Message: "The request could not be made.", Err: fmt.Errorf("panic: %v", cause),
		Hint: "The gateway failed; see its log. Look at the provider before making the call again.", CallID: c.ID, Attempts: len(c.Attempts),
	}
	o := integration.CallOutcome{Call: c}
	if c.Callback != "" {
		o.Finished = Finished(&o.Call)
	}
	return o
}

// report is the one line about a turn.
func (r *Runner) report(ctx context.Context, before *integration.Call, o *integration.CallOutcome) {
	c := &o.Call
	level := slog.LevelInfo
	switch {
	case o.Released:
		return
	case c.State.Kept():
		level = slog.LevelError
	case o.Refused:
		level = slog.LevelDebug
	}
	if !r.config.Log.Enabled(ctx, level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("service", c.Service), slog.String("call", c.ID), slog.String("endpoint", c.Endpoint), slog.String("tenant", c.Tenant),
		slog.Int("turn", before.Turn), slog.Int("attempts", len(c.Attempts)), slog.String("state", string(c.State)), slog.Bool("refused", o.Refused),
	}
	if c.State.Waiting() {
		attributes = append(attributes, slog.Duration("again_in", c.DueAt.Sub(r.config.Now())))
	}
	if c.Failure != nil {
		attributes = append(attributes, slog.String("code", c.Failure.Code))
	}
	r.config.Log.LogAttrs(ctx, level, "call.turn", attributes...)
}

// finished is the data of the event about a call's end.
type finished struct {
	ID       string `json:"id"`
	Service  string `json:"service"`
	Tenant   string `json:"tenant,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	State    string `json:"state"`
	Status   int    `json:"status,omitempty"`
	Attempts int    `json:"attempts"`
	Code     string `json:"code,omitempty"`
	Detail   string `json:"detail,omitempty"`
	Location string `json:"location"`
}

// Finished is the event that tells the call's callback about its end. It
// carries no answer: that is read at its location, with a key.
func Finished(c *integration.Call) *integration.Event {
	data := finished{
		ID: c.ID, Service: c.Service, Tenant: c.Tenant, Endpoint: c.Endpoint, State: string(c.State), Status: c.Status, Attempts: len(c.Attempts),
		Location: "/api/v1/calls/" + c.ID,
	}
	if c.Failure != nil {
		data.Code, data.Detail = c.Failure.Code, c.Failure.Message
	}
	payload, err := json.Marshal(data)
	if err != nil {
		payload = []byte("{}") // strings and numbers always encode
	}
	return integration.OwnEvent(uuid.Must(uuid.NewV7()).String(), c.Service, c.Callback, integration.EventCallFinished,
		fmt.Sprintf("%s:%d", c.ID, c.RetriedAfter), c.Tenant, c.FinishedAt, payload)
}
