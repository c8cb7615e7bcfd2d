package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

// Delivered are the signing secrets that providers deliver in their handshakes
// (R5.3). Forget forgets those of one address of a service, the main one when
// source is empty, and tells how many there were. known is false where none are
// delivered at all.
type Delivered interface {
	Forget(ctx context.Context, service, source string) (n int, known bool, err error)
}

func (s *server) deliveredRoutes(routes huma.API) {
	huma.Register(routes, huma.Operation{
		OperationID: "forget-delivered-secrets", Method: http.MethodDelete, Path: "/api/v1/admin/integrations/{service}/webhooks/delivered-secrets",
		Summary: "Forget the signing secret that a provider delivered in its handshake",
		Description: "The next one that is delivered is kept then. Until that, the events of the address are refused, unless the plan has a webhook_secret. " +
			"What was delivered to a tenant is forgotten when its connection ends. Other instances follow within 15 seconds.",
		Tags: []string{"webhooks"}, Security: secured, Middlewares: s.withKey(integration.ScopeAdmin),
	}, s.forgetDelivered)
}

type deliveredInput struct {
	Service string `path:"service" example:"asana"`
	Source  string `query:"source" maxLength:"512" doc:"name of the address in the plan's webhooks.sources; absent: the main one"`
}

// Forgotten is how many secrets were forgotten.
type Forgotten struct {
	Forgotten int `json:"forgotten" doc:"how many there were"`
}

type deliveredOutput struct{ Body Forgotten }

func (s *server) forgetDelivered(ctx context.Context, in *deliveredInput) (*deliveredOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	none := &problem.Problem{
		Status: http.StatusConflict, Code: "not_delivered", Detail: "no secrets are delivered at this address of " + quoted(in.Service),
		Hint: "its secret is one of the plan's environment",
	}
	if s.Delivered == nil {
		return nil, none
	}
	detail := "of the main address"
	if in.Source != "" {
		detail = "of the source " + in.Source
	}
	if err := s.Keys.Audit(ctx, s.entry(ctx, "webhooks.forget_secret", in.Service, detail)); err != nil {
		return nil, s.failed(err, "secret")
	}
	n, known, err := s.Delivered.Forget(ctx, in.Service, in.Source)
	switch {
	case err != nil:
		return nil, s.failed(err, "secret")
	case !known:
		return nil, none
	}
	return &deliveredOutput{Body: Forgotten{n}}, nil
}
