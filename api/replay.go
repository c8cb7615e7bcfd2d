package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/problem"
)

// Previewer says what delivering an event would come to, and sends nothing;
// deliver.Deliverer is one.
type Previewer interface {
	Preview(e integration.Event) deliver.Preview
}

func (s *server) replayRoutes(routes huma.API) {
	admin := s.withKey(integration.ScopeAdmin)
	huma.Register(routes, huma.Operation{
		OperationID: "preview-event", Method: http.MethodPost, Path: "/api/v1/admin/events/{id}/preview",
		Summary:     "Show what an event would be delivered as today",
		Description: "From what came, less what the plan redacts, with the plan as it is now. Nothing is sent, and nothing about the event changes.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.preview)
	huma.Register(routes, huma.Operation{
		OperationID: "preview-events", Method: http.MethodPost, Path: "/api/v1/admin/integrations/{service}/preview",
		Summary: "Show what the youngest events of a filter would be delivered as today", Tags: []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.previewMany)
}

// PreviewView is what an event would be delivered as.
type PreviewView struct {
	ID           string          `json:"id" doc:"of the event"`
	Type         string          `json:"type"`
	Status       string          `json:"status" doc:"where it stands"`
	Verdict      string          `json:"verdict" enum:"delivered,ignored,refused,fetched,not_kept" doc:"fetched: the provider would be asked first for what it is about, and only then it is known; not_kept: what came is not kept any more"`
	Destinations []string        `json:"destinations,omitempty" doc:"who would have it, as in the plan"`
	CloudEvent   json.RawMessage `json:"cloudevent,omitempty" doc:"the body of the delivery"`
	Fetch        string          `json:"fetch,omitempty" doc:"the endpoint that would be asked"`
	Refusal      *RefusalView    `json:"refusal,omitempty"`
	Redacted     bool            `json:"redacted,omitempty" doc:"values were taken out before, as webhooks.redact of the plan says"`
}

// RefusalView is why an event would not be delivered.
type RefusalView struct {
	Detail  string `json:"detail"`
	Row     string `json:"row,omitempty" doc:"of the plan's mapping"`
	Pointer string `json:"pointer,omitempty" doc:"JSON pointer to the value, from where the mapping begins"`
	Rule    string `json:"rule,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

type previewOutput struct{ Body PreviewView }

func (s *server) preview(ctx context.Context, in *idInput) (*previewOutput, error) {
	if s.Previewer == nil {
		return nil, noPreviews()
	}
	e, _, err := s.Records.Event(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err, "event")
	}
	if err := s.Keys.Audit(ctx, s.entry(ctx, "event.read", in.ID, "previewed")); err != nil {
		return nil, s.failed(err, "event")
	}
	return &previewOutput{Body: s.previewed(&e)}, nil
}

type previewManyInput struct {
	Service string `path:"service" example:"stripe"`
	Body    struct {
		Filter JobFilter `json:"filter"`
		Limit  int       `json:"limit,omitempty" minimum:"1" maximum:"100" default:"10"`
	}
}

type previewManyOutput struct {
	Body struct {
		Previews []PreviewView `json:"previews"`
	}
}

func (s *server) previewMany(ctx context.Context, in *previewManyInput) (*previewManyOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	if s.Previewer == nil {
		return nil, noPreviews()
	}
	filter, p := in.Body.Filter.of(integration.JobEvents, in.Service)
	if p != nil {
		return nil, p
	}
	filter.Limit = in.Body.Limit
	list, _, err := s.Records.Events(ctx, filter)
	if err != nil {
		return nil, s.failed(err, "list")
	}
	if err := s.Keys.Audit(ctx, s.entry(ctx, "event.read", in.Service, "previewed by a filter")); err != nil {
		return nil, s.failed(err, "list")
	}
	out := &previewManyOutput{}
	out.Body.Previews = make([]PreviewView, 0, len(list))
	for i := range list {
		e, _, err := s.Records.Event(ctx, list[i].ID)
		if errors.Is(err, integration.ErrNotFound) { // it was deleted meanwhile
			continue
		}
		if err != nil {
			return nil, s.failed(err, "event")
		}
		out.Body.Previews = append(out.Body.Previews, s.previewed(&e))
	}
	return out, nil
}

func noPreviews() *problem.Problem {
	return &problem.Problem{Status: http.StatusNotImplemented, Code: "no_preview", Detail: "nothing is delivered from here, so there is nothing to preview"}
}

// previewed is what an event would be delivered as. What the plan redacts is
// taken out before it is mapped: nobody sees it on this way either.
func (s *server) previewed(e *integration.Event) PreviewView {
	v := PreviewView{ID: e.ID, Type: e.Type, Status: string(e.Status)}
	if e.Kept == integration.KeptNothing {
		v.Verdict = "not_kept"
		return v
	}
	e.Payload, v.Redacted = s.shown(e)
	return PreviewOf(v, s.Previewer.Preview(*e))
}

// PreviewOf adds what delivering an event would come to, to a view of the event.
func PreviewOf(v PreviewView, p deliver.Preview) PreviewView {
	v.Destinations, v.CloudEvent, v.Fetch = p.Destinations, p.Body, p.Fetch
	switch {
	case p.Err != nil:
		v.Verdict, v.Refusal = "refused", refusalView(p.Err)
	case p.Status == integration.EventIgnored:
		v.Verdict = "ignored"
	case p.Fetch != "":
		v.Verdict = "fetched"
	default:
		v.Verdict = "delivered"
	}
	return v
}

func refusalView(err error) *RefusalView {
	v := &RefusalView{Detail: err.Error()}
	var refusal *mapping.Error
	if errors.As(err, &refusal) {
		v.Detail, v.Row, v.Pointer, v.Rule, v.Hint = refusal.Message, refusal.Row, refusal.Pointer, refusal.Rule, refusal.Hint
	}
	return v
}
