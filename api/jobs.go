package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
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
		Summary:     "Make many kept calls again, or process many events again",
		Description: "Puts the calls that match the filter back into the queue, each under its own id and idempotency key. It goes on after a crash. Calls of unknown outcome are only made again when the filter says so. With kind event it is about events that are over, whatever became of them: they are delivered again from what came, with the plan as it is now, the oldest first, and few at a time, so that what comes meanwhile is not held up.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin, DefaultStatus: http.StatusAccepted,
	}, s.retryMany)
	huma.Register(routes, huma.Operation{
		OperationID: "get-job", Method: http.MethodGet, Path: "/api/v1/admin/jobs/{id}",
		Summary: "Say how far a job is", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.job)
	huma.Register(routes, huma.Operation{
		OperationID: "cancel-job", Method: http.MethodPost, Path: "/api/v1/admin/jobs/{id}/cancel",
		Summary:     "Stop a job",
		Description: "Its calls and events that have not had their turn are kept as they were before.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.cancelJob)
}

// JobFilter says which kept calls, or which events, a job is about. What is left
// out does not restrict.
type JobFilter struct {
	State    string    `json:"state,omitempty" enum:"failed,unknown" doc:"of calls; failed where nothing is said. unknown: calls that may have had their effect; look at the provider first"`
	Endpoint string    `json:"endpoint,omitempty" maxLength:"200" doc:"of calls"`
	Status   string    `json:"status,omitempty" enum:"processed,failed,ignored" doc:"of events; those that wait or are in work are never touched"`
	Type     string    `json:"type,omitempty" maxLength:"200" doc:"of events"`
	Source   string    `json:"source,omitempty" maxLength:"200" doc:"of events: the inbound address of the service they came by"`
	Tenant   string    `json:"tenant,omitempty" maxLength:"200"`
	Query    string    `json:"q,omitempty" maxLength:"200" doc:"part of an id, a path or a failure"`
	Since    time.Time `json:"since,omitzero" doc:"RFC 3339; by when the call was made first, or the event received"`
	Until    time.Time `json:"until,omitzero" doc:"RFC 3339"`
}

// of says the same to the store. It is a problem when the filter has what the
// kind knows nothing of.
func (f *JobFilter) of(kind integration.JobKind, service string) (integration.Filter, *problem.Problem) {
	out := integration.Filter{Service: service, Tenant: f.Tenant, Query: f.Query, Since: f.Since, Until: f.Until}
	wrong := f.Status != "" || f.Type != "" || f.Source != ""
	if out.Status, out.Type = f.State, f.Endpoint; out.Status == "" {
		out.Status = string(integration.CallFailed)
	}
	if kind == integration.JobEvents {
		wrong = f.State != "" || f.Endpoint != ""
		out.Status, out.Type, out.Source = f.Status, f.Type, f.Source
	}
	if wrong {
		return out, &problem.Problem{
			Status: http.StatusUnprocessableEntity, Code: "invalid_filter", Detail: "the filter names what a job about " + string(kind) + "s does not know",
			Hint: "of calls there are state and endpoint, of events status, type and source",
		}
	}
	return out, nil
}

func jobFilter(kind integration.JobKind, f integration.Filter) JobFilter {
	out := JobFilter{Tenant: f.Tenant, Query: f.Query, Since: f.Since, Until: f.Until}
	if kind == integration.JobEvents {
		out.Status, out.Type, out.Source = f.Status, f.Type, f.Source
	} else {
		out.State, out.Endpoint = f.Status, f.Type
	}
	return out
}

type retryManyInput struct {
	Service string `path:"service" example:"stripe"`
	Body    struct {
		Kind   string    `json:"kind,omitempty" enum:"call,event" default:"call"`
		Filter JobFilter `json:"filter"`
		DryRun bool      `json:"dry_run,omitempty" doc:"of events: only count them; nothing is written, and the answer is 200 with a job that has no id"`
	}
}

// JobView is a job as we show it.
type JobView struct {
	ID            string     `json:"id"`
	Kind          string     `json:"kind" enum:"call,event"`
	Service       string     `json:"service"`
	State         string     `json:"state" enum:"running,finished,canceled"`
	Filter        JobFilter  `json:"filter"`
	Actor         string     `json:"actor" doc:"who asked"`
	Total         int        `json:"total" doc:"calls or events that matched when it began"`
	Queued        int        `json:"queued" doc:"of them, put into the queue so far"`
	Done          int        `json:"done" doc:"of those, made or processed, and over"`
	Failed        int        `json:"failed" doc:"of those, with a person again"`
	Skipped       int        `json:"skipped,omitempty" doc:"events that can't be processed again"`
	SkippedReason string     `json:"skipped_reason,omitempty"`
	CreatedAt     time.Time  `json:"created_at"`
	FinishedAt    *time.Time `json:"finished_at,omitempty"`
}

// skippedReason is why a job leaves events out.
const skippedReason = "what came is not kept any more: webhooks.retention.payload has passed, or the payload could not be redacted"

type jobOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     JobView
}

func (s *server) retryMany(ctx context.Context, in *retryManyInput) (*jobOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	kind := integration.JobKind(in.Body.Kind)
	filter, p := in.Body.Filter.of(kind, in.Service)
	if p != nil {
		return nil, p
	}
	j := integration.Job{
		ID: newID(), Kind: kind, Service: in.Service, State: integration.JobRunning, Actor: actor(ctx), CreatedAt: s.Now().UTC(), Filter: filter,
	}
	if in.Body.DryRun {
		return s.countJob(ctx, &j)
	}
	what := "make " + filter.Status + " calls of " + in.Service + " again"
	if kind == integration.JobEvents {
		what = strings.Join(strings.Fields("process "+filter.Status+" events of "+in.Service+" again"), " ")
	}
	if err := s.Records.CreateJob(ctx, &j, s.entry(ctx, "job.create", j.ID, what)); err != nil {
		return nil, s.failed(err, "job")
	}
	s.WakeJobs()
	if j.Total == 0 {
		j.State, j.FinishedAt = integration.JobFinished, j.CreatedAt
	}
	return &jobOutput{Status: http.StatusAccepted, Location: "/api/v1/admin/jobs/" + j.ID, Body: jobView(&j)}, nil
}

// countJob says what a job would be about.
func (s *server) countJob(ctx context.Context, j *integration.Job) (*jobOutput, error) {
	if j.Kind != integration.JobEvents {
		return nil, &problem.Problem{Status: http.StatusUnprocessableEntity, Code: "no_dry_run", Detail: "calls can't be counted without a job", Hint: "GET …/logs?kind=call&status=failed lists them"}
	}
	var err error
	if j.Total, j.Skipped, err = s.Records.CountEventJob(ctx, j.Filter); err != nil {
		return nil, s.failed(err, "job")
	}
	j.ID, j.State = "", integration.JobFinished
	return &jobOutput{Status: http.StatusOK, Body: jobView(j)}, nil
}

func (s *server) job(ctx context.Context, in *idInput) (*jobOutput, error) {
	j, err := s.Records.Job(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err, "job")
	}
	return &jobOutput{Status: http.StatusOK, Body: jobView(&j)}, nil
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
	v := JobView{
		ID: j.ID, Kind: string(j.Kind), Service: j.Service, State: string(j.State), Actor: j.Actor,
		Total: j.Total, Queued: j.Queued, Done: j.Done, Failed: j.Failed, Skipped: j.Skipped,
		CreatedAt: j.CreatedAt, FinishedAt: known(j.FinishedAt), Filter: jobFilter(j.Kind, j.Filter),
	}
	if v.Skipped > 0 {
		v.SkippedReason = skippedReason
	}
	return v
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
