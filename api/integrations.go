package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/receive"
)

func (s *server) integrationRoutes(routes huma.API) {
	huma.Register(routes, huma.Operation{
		OperationID: "list-integrations", Method: http.MethodGet, Path: "/api/v1/integrations",
		Summary: "List the services that are served", Tags: []string{"integrations"}, Security: secured, Middlewares: s.withKey(integration.ScopeApp),
	}, s.listIntegrations)
	huma.Register(routes, huma.Operation{
		OperationID: "integration-status", Method: http.MethodGet, Path: "/api/v1/integrations/{service}/status",
		Summary: "Say how a service is doing", Tags: []string{"integrations"}, Security: secured, Middlewares: s.withKey(integration.ScopeApp),
	}, s.status)
	huma.Register(routes, huma.Operation{
		OperationID: "call-endpoint", Method: http.MethodPost, Path: "/api/v1/integrations/{service}/endpoints/{endpoint}",
		Summary: "Call an endpoint of the plan, fields mapped both ways", Tags: []string{"calls"}, Security: secured, Middlewares: append(s.withKey(integration.ScopeApp), s.lists),
		MaxBodyBytes: s.BodyLimit,
		Responses: map[string]*huma.Response{"200": {
			Description: "The provider's answer in your own fields, under the provider's own 2xx status; unmapped where the plan names no mapping.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{}}},
		}},
	}, s.callEndpoint)
}

// Summary is one service in the list.
type Summary struct {
	Service     string   `json:"service" doc:"the slug in our URLs" example:"stripe"`
	Provider    string   `json:"provider" example:"Stripe"`
	Environment string   `json:"environment" example:"development"`
	Need        string   `json:"need" doc:"the requirement, in a sentence"`
	Endpoints   []string `json:"endpoints" doc:"names for POST …/endpoints/{endpoint}"`
	Events      []string `json:"events" doc:"webhook event types the plan uses"`
	Webhooks    string   `json:"webhooks" doc:"path of the provider's door" example:"/api/webhooks/stripe"`
}

type listOutput struct {
	Body struct {
		Integrations []Summary `json:"integrations"`
	}
}

func (s *server) listIntegrations(context.Context, *struct{}) (*listOutput, error) {
	out := &listOutput{}
	out.Body.Integrations = []Summary{}
	for i := range s.Integrations {
		out.Body.Integrations = append(out.Body.Integrations, summaryOf(&s.Integrations[i]))
	}
	slices.SortFunc(out.Body.Integrations, func(a, b Summary) int { return strings.Compare(a.Service, b.Service) })
	return out, nil
}

func summaryOf(i *Integration) Summary {
	sum := Summary{
		Service: i.Plan.Service, Environment: i.Environment, Need: i.Plan.Need,
		Endpoints: []string{}, Events: []string{}, Webhooks: "/api/webhooks/" + i.Plan.Service,
	}
	if i.Plan.Provider != nil {
		sum.Provider = i.Plan.Provider.Name
	}
	for name := range i.Plan.Endpoints {
		sum.Endpoints = append(sum.Endpoints, name)
	}
	if i.Plan.Webhooks != nil {
		for name := range i.Plan.Webhooks.Events {
			sum.Events = append(sum.Events, name)
		}
	}
	slices.Sort(sum.Endpoints)
	slices.Sort(sum.Events)
	return sum
}

// Status is how one service is doing.
type Status struct {
	Summary
	Version    string         `json:"version,omitempty" doc:"pinned API version"`
	Credential string         `json:"credential" doc:"fingerprint of the key in use; never the key"`
	Calls      map[string]int `json:"calls" doc:"how many calls stand in each state"`
	Events     EventStatus    `json:"webhook_events"`
	Outbound   *Outbound      `json:"outbound,omitempty" doc:"how calls stand with the provider"`
	Door       receive.Stats  `json:"door" doc:"what the webhook door did since the start"`
	// Inbound is our hold on the provider's events; absent without webhooks.
	Inbound *InboundStanding `json:"inbound,omitempty" doc:"what is subscribed to, and events that never came"`
	// Destinations of the plan; a pause is told here too.
	Destinations []DestinationView `json:"destinations,omitempty" doc:"how deliveries to each destination go"`
	// Connections of the tenant, or of all; null where tenants have none of
	// their own.
	Connections []ConnectionStatus `json:"connections,omitempty" doc:"the youngest first, 500 at most"`
}

// EventStatus is how many events stand where.
type EventStatus struct {
	ByStatus  map[string]int `json:"by_status"`
	OldestDue *time.Time     `json:"oldest_due,omitempty" doc:"since when the oldest waiting event is due"`
}

// counted is m, or an empty map where there is none: JSON has {} then, not null.
func counted(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

type statusInput struct {
	Service string `path:"service" example:"stripe"`
	Tenant  string `query:"tenant" maxLength:"200" doc:"count this tenant's events and calls only; the door always counts all"`
}

type statusOutput struct {
	Body Status
}

func (s *server) status(ctx context.Context, in *statusInput) (*statusOutput, error) {
	one, ok := s.services[in.Service]
	if !ok {
		return nil, unknownService(in.Service)
	}
	events, err := s.Records.EventCounts(ctx, in.Service, in.Tenant)
	if err != nil {
		return nil, s.failed(err, "service")
	}
	calls, err := s.Records.CallCounts(ctx, in.Service, in.Tenant)
	if err != nil {
		return nil, s.failed(err, "service")
	}
	out := &statusOutput{Body: Status{
		Summary: summaryOf(one), Credential: one.Credential(), Calls: counted(calls.ByState),
		Events: EventStatus{ByStatus: counted(events.ByState)}, Door: s.Receiver.Stats(in.Service), Outbound: outbound(one.Standing),
	}}
	if one.Plan.Provider != nil {
		out.Body.Version = one.Plan.Provider.API.Version
	}
	if out.Body.Inbound, err = s.inbound(ctx, in.Service, in.Tenant); err != nil {
		return nil, err
	}
	if out.Body.Destinations, err = s.destinationsOf(ctx, in.Service); err != nil {
		return nil, err
	}
	if out.Body.Connections, err = s.connectionsOf(ctx, in.Service, in.Tenant); err != nil {
		return nil, err
	}
	if !events.OldestDue.IsZero() {
		out.Body.Events.OldestDue = &events.OldestDue
	}
	return out, nil
}

type endpointInput struct {
	Service        string   `path:"service" example:"stripe"`
	Endpoint       string   `path:"endpoint" example:"create_customer"`
	IdempotencyKey string   `header:"Idempotency-Key" maxLength:"255" doc:"repeating the request with the same key has the effect once, where the provider supports it"`
	Prefer         []string `header:"Prefer" doc:"respond-async: do not wait; 202 says where to ask"`
	All            bool     `query:"all" doc:"all pages of a list, one item a line (application/x-ndjson), as the provider writes them"`
	Cursor         string   `header:"Sallyport-Cursor" doc:"with all: where to take the list up; the last line of a list that broke off names it"`
	Callback       string   `header:"Sallyport-Callback" maxLength:"200" doc:"with respond-async: the plan's destination that is told at the end"`
	Body           struct {
		Tenant     string              `json:"tenant,omitempty" maxLength:"200" doc:"your customer, on whose behalf" example:"acme"`
		Connection string              `json:"connection,omitempty" maxLength:"64" doc:"whose credential is used; the tenant's when left out"`
		Path       map[string]string   `json:"path,omitempty" doc:"values of the path variables"`
		Query      map[string][]string `json:"query,omitempty" doc:"query parameters"`
		Body       json.RawMessage     `json:"body,omitempty" doc:"the request in your own fields; mapped where the plan says so"`
	}
}

type endpointOutput struct {
	Status   int
	CallID   string `header:"Sallyport-Call"`
	Attempts string `header:"Sallyport-Attempts"`
	Type     string `header:"Content-Type"`
	Location string `header:"Location" doc:"with 202: where to ask what became of it"`
	Applied  string `header:"Preference-Applied"`
	Reason   string `header:"Sallyport-Reason" doc:"queued: it goes on by itself"`
	Fallback string `header:"Sallyport-Fallback" doc:"cached or default, when it is not the provider's own answer"`
	Cache    string `header:"Sallyport-Cache" doc:"hit, revalidated, stale, miss or bypass, where the plan has answers kept"`
	Body     []byte
}

func (s *server) callEndpoint(ctx context.Context, in *endpointInput) (*endpointOutput, error) {
	one, ok := s.services[in.Service]
	if !ok {
		return nil, unknownService(in.Service)
	}
	asked := call.Request{
		Tenant: in.Body.Tenant, Connection: in.Body.Connection, Path: in.Body.Path, Query: url.Values(in.Body.Query), Body: in.Body.Body, IdempotencyKey: in.IdempotencyKey,
	}
	if prefersAsync(in.Prefer) {
		return s.accept(ctx, one, in, asked)
	}
	answer, err := one.Calls.Endpoint(ctx, in.Endpoint, asked)
	if f := queued(err); f != nil {
		return s.endpointQueued(f)
	}
	if err != nil {
		return nil, s.endpointFailed(in, err)
	}
	out := &endpointOutput{Status: answer.Status, CallID: answer.CallID, Attempts: strconv.Itoa(answer.Attempts), Body: answer.Body, Fallback: answer.Fallback, Cache: answer.Cache}
	if len(answer.Body) > 0 {
		out.Type = "application/json"
	}
	return out, nil
}

// endpointFailed is the answer to a call by name that was not made.
func (s *server) endpointFailed(in *endpointInput, err error) error {
	var f *integration.Failure
	if !errors.As(err, &f) {
		f = &integration.Failure{Class: integration.ClassBroken, Code: "internal", Err: err}
	}
	if f.Code == "internal" {
		s.Log.Error("api.endpoint", "service", in.Service, "endpoint", in.Endpoint, "error", err)
	}
	return huma.ErrorWithHeaders(failureProblem(f), callHeader(f))
}

// callHeader carries the call's id, its attempts and whose decision the end
// was, where there was a call.
func callHeader(f *integration.Failure) http.Header {
	h := http.Header{}
	if f.CallID != "" {
		h.Set(call.HeaderCall, f.CallID)
		h.Set(call.HeaderAttempts, strconv.Itoa(f.Attempts))
	}
	if f.Reason != "" {
		h.Set(call.HeaderReason, f.Reason)
	}
	return h
}

// failureProblem says over HTTP what went wrong with a call.
func failureProblem(f *integration.Failure) *problem.Problem {
	p := &problem.Problem{
		Code: f.Code, Detail: f.Message, Hint: f.Hint, Pointer: f.Pointer, RetryAfter: f.RetryAfter,
		Status: statusOf(f),
	}
	if p.Code == "" {
		p.Code = "provider_" + string(f.Class)
	}
	if f.ProviderCode != "" || f.ProviderMessage != "" || f.ProviderRequestID != "" {
		p.Provider = &problem.Provider{Code: f.ProviderCode, Message: f.ProviderMessage, RequestID: f.ProviderRequestID}
	}
	return p
}

// statusOf picks our status for a failure. What the provider refuses because of
// the request keeps its meaning; what is about our own standing with the
// provider, or the provider's, is a bad gateway to our caller.
func statusOf(f *integration.Failure) int {
	switch f.Code {
	case call.CodeUnknownEndpoint:
		return http.StatusNotFound
	case call.CodeUnknownOutcome:
		return http.StatusBadGateway
	case call.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	switch f.Class {
	case integration.ClassInvalid, integration.ClassRejected:
		return http.StatusUnprocessableEntity
	case integration.ClassMissing:
		return http.StatusNotFound
	case integration.ClassConflict:
		return http.StatusConflict
	case integration.ClassLimited:
		return http.StatusTooManyRequests
	case integration.ClassTimeout:
		return http.StatusGatewayTimeout
	case integration.ClassUnavailable:
		return http.StatusServiceUnavailable
	case integration.ClassCanceled:
		return 499 // the caller is gone; only the log sees it
	}
	return http.StatusBadGateway
}
