package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/problem"
)

func (s *server) jobRoutes(routes huma.API) {
	admin := s.withKey(integration.ScopeAdmin)
	huma.Register(routes, huma.Operation{
		OperationID: "retry-many", Method: http.MethodPost, Path: "/api/v1/admin/integrations/{service}/retry",
		Summary:     "Make many kept calls again",
		Description: "Puts the calls that match the filter back into the queue, each under its own id and idempotency key. It goes on after a crash. Calls of unknown outcome are only made again when the filter says so.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin, DefaultStatus: http.StatusAccepted,
	}, s.retryMany)
	huma.Register(routes, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: "/api/v1/admin/jobs/{id}",
		Summary: "Say how far a job is", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.job)
	huma.Register(routes, huma.Operation{
		OperationID: "cancel-job", Method: http.MethodPost, Path: "/api/v1/admin/jobs/{id}/cancel",
		Summary:     "Stop a job",
		Description: "Its calls that have not had their turn are kept as they were before.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.cancelJob)
}

// JobFilter says which kept calls a job is about. What is left out does not
// restrict.
type JobFilter struct {
	State    string    `json:"state,omitempty" enum:"failed,unknown" default:"failed" doc:"unknown: calls that may have had their effect; look at the provider first"`
	Endpoint string    `json:"endpoint,omitempty" maxLength:"200"`
	Tenant   string    `json:"tenant,omitempty" maxLength:"200"`
	Query    string    `json:"q,omitempty" maxLength:"200" doc:"part of an id, a path or a failure"`
	Since    time.Time `json:"since,omitzero" doc:"RFC 3339; by when the call was made first"`
	Until    time.Time `json:"until,omitzero" doc:"RFC 3339"`
}

type retryManyInput struct {
	Service string `path:"service" example:"stripe"`
	Body    struct {
		Filter JobFilter `json:"filter"`
	}
}

// JobView is a job as we show it.
type JobView struct {
	ID         string     `json:"id"`
	Service    string     `json:"service"`
	State      string     `json:"state" enum:"running,finished,canceled"`
	Filter     JobFilter  `json:"filter"`
	Actor      string     `json:"actor" doc:"who asked"`
	Total      int        `json:"total" doc:"calls that matched when it began"`
	Queued     int        `json:"queued" doc:"of them, put into the queue so far"`
	Done       int        `json:"done" doc:"of those, made and over"`
	Failed     int        `json:"failed" doc:"of those, with a person again"`
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

type jobOutput struct {
	Location string `header:"Location"`
	Body     JobView
}

func (s *server) retryMany(ctx context.Context, in *retryManyInput) (*jobOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	f := in.Body.Filter
	j := integration.Job{
		ID: newID(), Service: in.Service, State: integration.JobRunning, Actor: actor(ctx), CreatedAt: s.Now().UTC(),
		Filter: integration.Filter{
			Service: in.Service, Tenant: f.Tenant, Status: f.State, Type: f.Endpoint, Query: f.Query, Since: f.Since, Until: f.Until,
		},
	}
	if err := s.Records.CreateJob(ctx, &j, s.entry(ctx, "job.create", j.ID, "make "+f.State+" calls of "+in.Service+" again")); err != nil {
		return nil, s.failed(err, "job")
	}
	s.WakeJobs()
	if j.Total == 0 {
		j.State, j.FinishedAt = integration.JobFinished, j.CreatedAt
	}
	return &jobOutput{Location: "/api/v1/admin/jobs/" + j.ID, Body: jobView(&j)}, nil
}

func (s *server) job(ctx context.Context, in *idInput) (*jobOutput, error) {
	j, err := s.Records.Job(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err, "job")
	}
	return &jobOutput{Body: jobView(&j)}, nil
}

func (s *server) cancelJob(ctx context.Context, in *idInput) (*jobOutput, error) {
	err := s.Records.CancelJob(ctx, in.ID, s.Now(), s.entry(ctx, "job.cancel", in.ID, "by hand"))
	if errors.Is(err, integration.ErrState) {
		return nil, &problem.Problem{Status: http.StatusConflict, Code: "wrong_state", Detail: "the job has ended", Hint: "GET /api/v1/admin/jobs/" + in.ID + " says how"}
	}
	if err != nil {
		return nil, s.failed(err, "job")
	}
	return s.job(ctx, in)
}

func jobView(j *integration.Job) JobView {
	return JobView{
		ID: j.ID, Service: j.Service, State: string(j.State), Actor: j.Actor, Total: j.Total, Queued: j.Queued, Done: j.Done, Failed: j.Failed,
		CreatedAt: j.CreatedAt, FinishedAt: known(j.FinishedAt),
		Filter: JobFilter{State: j.Filter.Status, Endpoint: j.Filter.Type, Tenant: j.Filter.Tenant, Query: j.Filter.Query, Since: j.Filter.Since, Until: j.Filter.Until},
	}
}

// requeue puts one kept call back into the queue.
func (s *server) requeue(ctx context.Context, one *Integration, in *retryInput) (*retryOutput, error) {
	kept, err := s.Records.Call(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err, "event or call")
	}
	if kept.Service != in.Service {
		return nil, wrongService(in.Service, kept.Service)
	}
	if !kept.State.Kept() {
		return nil, &problem.Problem{
			Status: http.StatusConflict, Code: "not_kept", Detail: "the call is " + string(kept.State) + "; only failed and unknown calls are kept to be made again",
			Hint: "a queued call goes on by itself",
		}
	}
	if err := one.Calls.Whole(&kept); err != nil {
		var f *integration.Failure
		if errors.As(err, &f) {
			return nil, failureProblem(f)
		}
		return nil, err
	}
	now := s.Now()
	expires := now.Add(one.Plan.Calls.Expire.Or(plan.DefaultExpire))
	if err := s.Records.RequeueCall(ctx, in.ID, now, expires, s.entry(ctx, "call.retry", in.ID, "was "+string(kept.State))); err != nil {
		return nil, s.failed(err, "call")
	}
	s.WakeCalls()
	out := &retryOutput{Status: http.StatusAccepted}
	out.Body.Kind, out.Body.ID, out.Body.Status = "call", kept.ID, string(integration.CallQueued)
	return out, nil
}
