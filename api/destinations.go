package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
)

// Destinations are where events go (R5.11): how deliveries go there, and pausing
// them.
type Destinations interface {
	// Destinations says how deliveries go, and how many events are parked for
	// each destination (service/name).
	Destinations(ctx context.Context) (list []deliver.DestinationStatus, parked map[string]int, err error)
	Pause(ctx context.Context, service, name string, audit integration.AuditEntry) error
	Resume(ctx context.Context, service, name string, audit integration.AuditEntry) error
}

func (s *server) destinationRoutes(routes huma.API) {
	if s.Destinations == nil {
		return
	}
	admin := s.withKey(integration.ScopeAdmin)
	const base = "/api/v1/admin/destinations"
	huma.Register(routes, huma.Operation{
		OperationID: "list-destinations", Method: http.MethodGet, Path: base,
		Summary:     "Say how deliveries to each destination go",
		Description: "Pauses and parked events are those of all instances; the rest is what this instance has seen since it started.",
		Tags:        []string{"destinations"}, Security: secured, Middlewares: admin,
	}, s.listDestinations)
	huma.Register(routes, huma.Operation{
		OperationID: "pause-destination", Method: http.MethodPost, Path: base + "/{service}/{name}/pause",
		Summary:     "Pause a destination",
		Description: "Nothing is sent there any more, by any instance, within a second or two. Its events are parked, and cost the others nothing; deliveries under way end. A pause outlives restarts. The name handler pauses a service's Go handlers.",
		Tags:        []string{"destinations"}, Security: secured, Middlewares: admin,
	}, s.pauseDestination)
	huma.Register(routes, huma.Operation{
		OperationID: "resume-destination", Method: http.MethodPost, Path: base + "/{service}/{name}/resume",
		Summary:     "Resume a destination",
		Description: "Its events come back by parts, the oldest first; parked_events of the list says how many are still to come.",
		Tags:        []string{"destinations"}, Security: secured, Middlewares: admin,
	}, s.resumeDestination)
}

// DestinationView is how deliveries to one destination go.
type DestinationView struct {
	Service         string     `json:"service" example:"stripe"`
	Name            string     `json:"name" doc:"as in the plan; handler for a service's Go handlers" example:"billing"`
	State           string     `json:"state" enum:"open,gone,backing_off,paused" doc:"gone: it answered 410, so events for it fail without a second attempt until it takes one again; backing_off: it failed repeatedly and is left alone for a while; paused: by a person"`
	Parked          int        `json:"parked_events" doc:"events that wait because it is or was paused"`
	InFlight        int        `json:"in_flight" doc:"deliveries under way"`
	PutOff          int64      `json:"put_off" doc:"how often an event was put off because it was not its turn: a cap was reached, or it backs off"`
	BackingOffUntil *time.Time `json:"backing_off_until,omitempty" doc:"one event tries again then"`
	GoneSince       *time.Time `json:"gone_since,omitempty" doc:"when it last answered 410"`
	Failures        int        `json:"failures,omitempty" doc:"deliveries that failed, with no success between them"`
	LastSuccess     *time.Time `json:"last_success,omitempty"`
	LastFailure     *time.Time `json:"last_failure,omitempty"`
	LastError       string     `json:"last_error,omitempty"`
}

type destinationsOutput struct {
	Body struct {
		Destinations []DestinationView `json:"destinations"`
	}
}

func (s *server) listDestinations(ctx context.Context, _ *struct{}) (*destinationsOutput, error) {
	list, err := s.destinationsOf(ctx, "")
	if err != nil {
		return nil, err
	}
	out := &destinationsOutput{}
	out.Body.Destinations = list
	return out, nil
}

// destinationsOf are the destinations of a service, or of all.
func (s *server) destinationsOf(ctx context.Context, service string) ([]DestinationView, error) {
	views := []DestinationView{}
	if s.Destinations == nil {
		return views, nil
	}
	list, parked, err := s.Destinations.Destinations(ctx)
	if err != nil {
		return nil, s.failed(err, "destinations")
	}
	now := s.Now()
	for i := range list {
		if service == "" || list[i].Service == service {
			views = append(views, destinationView(&list[i], parked, now))
		}
	}
	return views, nil
}

func destinationView(d *deliver.DestinationStatus, parked map[string]int, now time.Time) DestinationView {
	v := DestinationView{
		Service: d.Service, Name: d.Name, State: "open", Parked: parked[integration.DestinationName(d.Service, d.Name)],
		InFlight: d.InFlight, PutOff: d.PutOff, Failures: d.Failures, LastError: d.LastError,
		LastSuccess: known(d.LastSuccess), LastFailure: known(d.LastFailure),
	}
	if !d.Gone.IsZero() {
		v.State, v.GoneSince = "gone", known(d.Gone)
	}
	if d.BackingOffUntil.After(now) {
		v.State, v.BackingOffUntil = "backing_off", known(d.BackingOffUntil)
	}
	if d.Paused {
		v.State = "paused"
	}
	return v
}

type destinationInput struct {
	Service string `path:"service" example:"stripe"`
	Name    string `path:"name" example:"billing"`
}

type destinationOutput struct{ Body DestinationView }

func (s *server) pauseDestination(ctx context.Context, in *destinationInput) (*destinationOutput, error) {
	return s.turnDestination(ctx, in, "destination.pause", s.Destinations.Pause)
}

func (s *server) resumeDestination(ctx context.Context, in *destinationInput) (*destinationOutput, error) {
	return s.turnDestination(ctx, in, "destination.resume", s.Destinations.Resume)
}

func (s *server) turnDestination(ctx context.Context, in *destinationInput, action string,
	turn func(ctx context.Context, service, name string, audit integration.AuditEntry) error,
) (*destinationOutput, error) {
	if err := turn(ctx, in.Service, in.Name, s.entry(ctx, action, integration.DestinationName(in.Service, in.Name), "")); err != nil {
		return nil, s.failed(err, "destination")
	}
	list, err := s.destinationsOf(ctx, in.Service)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Name == in.Name {
			return &destinationOutput{Body: list[i]}, nil
		}
	}
	// Its pause was all that was left of it: the plan names it no more.
	return &destinationOutput{Body: DestinationView{Service: in.Service, Name: in.Name, State: "open"}}, nil
}
