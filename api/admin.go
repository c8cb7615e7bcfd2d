package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

func (s *server) adminRoutes(routes huma.API) {
	admin := s.withKey(integration.ScopeAdmin)
	huma.Register(routes, huma.Operation{
		OperationID: "list-logs", Method: http.MethodGet, Path: "/api/v1/admin/integrations/{service}/logs",
		Summary: "List webhook events or calls, newest first", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.logs)
	huma.Register(routes, huma.Operation{
		OperationID: "get-event", Method: http.MethodGet, Path: "/api/v1/admin/events/{id}",
		Summary: "Show everything about a webhook event, its exact payload included", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.event)
	huma.Register(routes, huma.Operation{
		OperationID: "get-call", Method: http.MethodGet, Path: "/api/v1/admin/calls/{id}",
		Summary: "Show everything about a call and its attempts", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.call)
	huma.Register(routes, huma.Operation{
		OperationID: "retry", Method: http.MethodPost, Path: "/api/v1/admin/integrations/{service}/retry/{id}",
		Summary:     "Process an event again, or make a kept call again",
		Description: "An event that was processed, failed or ignored becomes due again. A kept call goes back into the queue, under its own id and idempotency key.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
		Responses: map[string]*huma.Response{
			"202": {Description: "The event, or the call, is due again."},
		},
	}, s.retry)
}

type logsInput struct {
	Service string    `path:"service" example:"stripe"`
	Kind    string    `query:"kind" enum:"event,call,credential" default:"event" doc:"credential: which credential was used for what and by whom, counted by the minute"`
	Status  string    `query:"status" enum:"received,processing,processed,ignored,running,queued,succeeded,rejected,canceled,unknown,failed" doc:"of an event: received, processing, processed, failed, ignored; of a call: running, queued, succeeded, rejected, canceled, failed, unknown"`
	Type    string    `query:"type" doc:"event type, or endpoint name"`
	Tenant  string    `query:"tenant"`
	Since   time.Time `query:"since" doc:"RFC 3339"`
	Until   time.Time `query:"until" doc:"RFC 3339"`
	Query   string    `query:"q" maxLength:"200" doc:"part of an id or an error; of a use: of connection, actor or fingerprint"`
	Cursor  string    `query:"cursor" maxLength:"500" doc:"next of the page before"`
	Limit   int       `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// EventView is one webhook event as we show it.
type EventView struct {
	ID          string              `json:"id"`
	Service     string              `json:"service"`
	Source      string              `json:"source,omitempty" doc:"the inbound address of the service it came by; absent for the main one"`
	Tenant      string              `json:"tenant,omitempty"`
	ExternalID  string              `json:"external_id" doc:"the provider's id"`
	Type        string              `json:"type"`
	Subject     string              `json:"subject,omitempty"`
	Status      string              `json:"status"`
	Attempts    int                 `json:"attempts"`
	Error       string              `json:"error,omitempty"`
	OccurredAt  *time.Time          `json:"occurred_at,omitempty"`
	ReceivedAt  time.Time           `json:"received_at"`
	ProcessedAt *time.Time          `json:"processed_at,omitempty"`
	DueAt       *time.Time          `json:"due_at,omitempty"`
	Replays     int                 `json:"replays,omitempty" doc:"how many times it was processed again because a person asked for it; not in lists"`
	ReplayedAt  *time.Time          `json:"replayed_at,omitempty" doc:"when it was last asked for"`
	Job         string              `json:"job,omitempty" doc:"the job that asked"`
	Headers     map[string][]string `json:"headers,omitempty" doc:"as received, less credentials and signatures"`
	Payload     string              `json:"payload,omitempty" doc:"the exact bytes, as text; values that the plan redacts are replaced"`
	PayloadB64  []byte              `json:"payload_base64,omitempty" doc:"the exact bytes, where they are no text"`
	Redacted    bool                `json:"redacted,omitempty" doc:"values were taken out, as webhooks.redact of the plan says"`
	Kept        string              `json:"kept,omitempty" enum:"whole,redacted,nothing" doc:"how much of headers and payload is kept: whole; redacted, so that a replay lacks those values too; nothing, so that it can't be replayed"`
	Batch       *BatchView          `json:"batch,omitempty" doc:"where it stood in a request that carried several"`
	Echo        bool                `json:"echo,omitempty" doc:"a call of ours caused it, as webhooks.echo of the plan tells"`
	Stale       bool                `json:"stale,omitempty" doc:"an event about the same subject that the provider dates later was processed before it; not in lists"`
	Parked      []string            `json:"parked,omitempty" doc:"the paused destinations, service/name, that it waits for; not in lists"`
	// Destinations are where it stands with each; absent where it has one.
	Destinations map[string]ProgressView `json:"destinations,omitempty" doc:"where it stands with each of several destinations; not in lists"`
	Deliveries   []DeliveryView          `json:"deliveries,omitempty"`
}

// ProgressView is where an event stands with one of several destinations.
type ProgressView struct {
	State    string     `json:"state" enum:"waiting,succeeded,failed,parked"`
	Attempts int        `json:"attempts"`
	DueAt    *time.Time `json:"due_at,omitempty" doc:"when it is tried next"`
	Error    string     `json:"error,omitempty"`
}

// progressView is nil where an event has one destination.
func progressView(p integration.Progress) map[string]ProgressView {
	if p == nil {
		return nil
	}
	view := make(map[string]ProgressView, len(p))
	for name, one := range p {
		view[name] = ProgressView{State: string(one.State), Attempts: one.Attempts, DueAt: known(one.DueAt), Error: one.Error}
	}
	return view
}

// DeliveryView is one attempt to hand an event over.
type DeliveryView struct {
	ID          string    `json:"id"`
	Destination string    `json:"destination"`
	Attempt     int       `json:"attempt"`
	Replay      int       `json:"replay,omitempty" doc:"which replay it belongs to; absent the first time"`
	State       string    `json:"state"`
	Status      int       `json:"status,omitempty" doc:"the destination's HTTP status"`
	Error       string    `json:"error,omitempty"`
	StartedAt   time.Time `json:"started_at"`
	TookMS      float64   `json:"took_ms"`
}

// CallView is one outbound call as we show it.
type CallView struct {
	ID             string        `json:"id"`
	Service        string        `json:"service"`
	Tenant         string        `json:"tenant,omitempty"`
	Endpoint       string        `json:"endpoint,omitempty"`
	Entry          string        `json:"entry"`
	Method         string        `json:"method"`
	Path           string        `json:"path"`
	Effect         string        `json:"effect"`
	IdempotencyKey string        `json:"idempotency_key,omitempty"`
	State          string        `json:"state"`
	Status         int           `json:"status,omitempty" doc:"the last HTTP status"`
	Class          string        `json:"class,omitempty"`
	Error          string        `json:"error,omitempty"`
	RetryOf        string        `json:"retry_of,omitempty"`
	Async          bool          `json:"async,omitempty" doc:"the caller did not wait"`
	Priority       int           `json:"priority,omitempty"`
	Job            string        `json:"job,omitempty" doc:"the job that put it back into the queue"`
	CreatedAt      time.Time     `json:"created_at"`
	DueAt          *time.Time    `json:"due_at,omitempty" doc:"when a queued call goes on"`
	ExpiresAt      *time.Time    `json:"expires_at,omitempty" doc:"when a queued call is given to a person"`
	FinishedAt     *time.Time    `json:"finished_at,omitempty"`
	AttemptCount   int           `json:"attempt_count,omitempty" doc:"not in lists"`
	Attempts       []AttemptView `json:"attempts,omitempty"`
	RequestBody    string        `json:"request_body,omitempty" doc:"kept while the call may be made again; never holds the credential"`
}

// AttemptView is one request of a call.
type AttemptView struct {
	Number       int       `json:"number"`
	StartedAt    time.Time `json:"started_at"`
	TookMS       float64   `json:"took_ms"`
	WaitedMS     float64   `json:"waited_ms" doc:"before it: limit queue and backoff"`
	Status       int       `json:"status,omitempty"`
	Class        string    `json:"class"`
	RequestID    string    `json:"provider_request_id,omitempty"`
	Error        string    `json:"error,omitempty"`
	RetryAfterMS float64   `json:"retry_after_ms,omitempty"`
	Sent         bool      `json:"sent"`
}

type logsOutput struct {
	Body struct {
		Kind   string      `json:"kind"`
		Events []EventView `json:"events,omitempty"`
		Calls  []CallView  `json:"calls,omitempty"`
		Uses   []UseView   `json:"uses,omitempty"`
		Next   string      `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
	}
}

func (s *server) logs(ctx context.Context, in *logsInput) (*logsOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	f := integration.Filter{
		Service: in.Service, Tenant: in.Tenant, Status: in.Status, Type: in.Type, Query: in.Query,
		Since: in.Since, Until: in.Until, Cursor: in.Cursor, Limit: in.Limit,
	}
	out := &logsOutput{}
	out.Body.Kind = in.Kind
	if in.Kind == "credential" {
		return out, s.uses(ctx, f, out)
	}
	if in.Kind == "call" {
		calls, next, err := s.Records.Calls(ctx, f)
		if err != nil {
			return nil, s.failed(err, "list")
		}
		out.Body.Next = next
		out.Body.Calls = make([]CallView, 0, len(calls))
		for i := range calls {
			out.Body.Calls = append(out.Body.Calls, callView(&calls[i]))
		}
		return out, nil
	}
	events, next, err := s.Records.Events(ctx, f)
	if err != nil {
		return nil, s.failed(err, "list")
	}
	out.Body.Next = next
	out.Body.Events = make([]EventView, 0, len(events))
	for i := range events {
		out.Body.Events = append(out.Body.Events, eventView(&events[i], nil))
	}
	return out, nil
}

type idInput struct {
	ID string `path:"id" maxLength:"64"`
}

type eventOutput struct{ Body EventView }

func (s *server) event(ctx context.Context, in *idInput) (*eventOutput, error) {
	e, deliveries, err := s.Records.Event(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err, "event")
	}
	if err := s.Keys.Audit(ctx, s.entry(ctx, "event.read", in.ID, "payload included")); err != nil {
		return nil, s.failed(err, "event")
	}
	view := eventView(&e, deliveries)
	view.Headers = integration.ShownHeader(e.Header)
	s.showPayload(&view, &e)
	s.showArrival(ctx, &view, &e)
	return &eventOutput{Body: view}, nil
}

type callOutput struct{ Body CallView }

func (s *server) call(ctx context.Context, in *idInput) (*callOutput, error) {
	c, err := s.Records.Call(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err, "call")
	}
	if len(c.Body) > 0 {
		if err := s.Keys.Audit(ctx, s.entry(ctx, "call.read", in.ID, "request body included")); err != nil {
			return nil, s.failed(err, "call")
		}
	}
	view := callView(&c)
	view.RequestBody = string(c.Body)
	return &callOutput{Body: view}, nil
}

type retryInput struct {
	Service string `path:"service" example:"stripe"`
	ID      string `path:"id" maxLength:"64" doc:"of an event or a kept call"`
}

type retryOutput struct {
	Status int
	Body   struct {
		Kind   string `json:"kind" enum:"event,call"`
		ID     string `json:"id" doc:"of the event or call"`
		Status string `json:"status" doc:"where it stands now"`
	}
}

func (s *server) retry(ctx context.Context, in *retryInput) (*retryOutput, error) {
	one, ok := s.services[in.Service]
	if !ok {
		return nil, unknownService(in.Service)
	}
	out := &retryOutput{}
	e, _, err := s.Records.Event(ctx, in.ID)
	if errors.Is(err, integration.ErrNotFound) {
		return s.requeue(ctx, one, in)
	}
	if err != nil {
		return nil, s.failed(err, "event")
	}
	if e.Service != in.Service {
		return nil, wrongService(in.Service, e.Service)
	}
	now := s.Now()
	if err := s.Records.RetryEvent(ctx, in.ID, now, s.entry(ctx, "event.retry", in.ID, "was "+string(e.Status))); err != nil {
		return nil, s.failed(err, "event")
	}
	s.Wake()
	out.Status = http.StatusAccepted
	out.Body.Kind, out.Body.ID, out.Body.Status = "event", in.ID, string(integration.EventReceived)
	return out, nil
}

func wrongService(asked, has string) *problem.Problem {
	return &problem.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: fmt.Sprintf("it belongs to %s, not to %s", has, asked)}
}

func (s *server) entry(ctx context.Context, action, target, detail string) integration.AuditEntry {
	return integration.AuditEntry{ID: newID(), At: s.Now().UTC(), Actor: actor(ctx), Action: action, Target: target, Detail: detail}
}

func eventView(e *integration.Event, deliveries []integration.Delivery) EventView {
	v := EventView{
		ID: e.ID, Service: e.Service, Source: e.Source, Tenant: e.Tenant, ExternalID: e.ExternalID, Type: e.Type, Subject: e.Subject,
		Status: string(e.Status), Attempts: e.Attempts, Error: e.Error,
		OccurredAt: known(e.OccurredAt), ReceivedAt: e.ReceivedAt, ProcessedAt: known(e.ProcessedAt),
		Replays: e.Replays, ReplayedAt: known(e.ReplayedAt), Job: e.Job,
		Stale: e.Stale, Parked: integration.ParkedNames(e.Parked), Destinations: progressView(e.Progress),
	}
	if !e.Status.Final() {
		v.DueAt = known(e.DueAt)
	}
	for _, d := range deliveries {
		v.Deliveries = append(v.Deliveries, DeliveryView{
			ID: d.ID, Destination: d.Destination, Attempt: d.Attempt, Replay: d.Replay, State: string(d.State), Status: d.Status,
			Error: d.Error, StartedAt: d.StartedAt, TookMS: milliseconds(d.Took),
		})
	}
	return v
}

func callView(c *integration.Call) CallView {
	v := CallView{
		ID: c.ID, Service: c.Service, Tenant: c.Tenant, Endpoint: c.Endpoint, Entry: string(c.Entry), Method: c.Method, Path: c.Path,
		Effect: c.Effect, IdempotencyKey: c.IdempotencyKey, State: string(c.State), Status: c.Status, RetryOf: c.RetryOf,
		Async: c.Async, Priority: c.Priority, Job: c.Job, CreatedAt: c.CreatedAt, FinishedAt: known(c.FinishedAt), AttemptCount: len(c.Attempts),
	}
	if c.Failure != nil {
		v.Class, v.Error = string(c.Failure.Class), c.Failure.Error()
	}
	if c.State.Waiting() {
		v.DueAt, v.ExpiresAt = known(c.DueAt), known(c.ExpiresAt)
	}
	if len(c.Attempts) > 0 {
		v.Attempts = attemptViews(c.Attempts)
	}
	return v
}

func attemptViews(attempts []integration.Attempt) []AttemptView {
	views := make([]AttemptView, 0, len(attempts))
	for _, a := range attempts {
		views = append(views, AttemptView{
			Number: a.Number, StartedAt: a.StartedAt, TookMS: milliseconds(a.Took), WaitedMS: milliseconds(a.Waited), Status: a.Status,
			Class: string(a.Class), RequestID: a.RequestID, Error: a.Error, RetryAfterMS: milliseconds(a.RetryAfter), Sent: a.Sent,
		})
	}
	return views
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
