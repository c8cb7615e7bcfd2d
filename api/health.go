package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/problem"
)

type healthOutput struct {
	Body struct {
		Status  string `json:"status" example:"ok"`
		Version string `json:"version"`
	}
}

func (s *server) healthRoutes(routes huma.API) {
	huma.Register(routes, huma.Operation{
		OperationID: "healthz", Method: http.MethodGet, Path: "/healthz", Summary: "Say that the process lives", Tags: []string{"health"},
		SkipValidateParams: true,
	}, func(context.Context, *struct{}) (*healthOutput, error) { return s.healthy(), nil })
	huma.Register(routes, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Summary: "Say whether the store can be written", Tags: []string{"health"},
		SkipValidateParams: true,
	}, func(ctx context.Context, _ *struct{}) (*healthOutput, error) {
		if err := s.Records.Ping(ctx); err != nil {
			s.Log.Error("api.not_ready", "error", err)
			return nil, &problem.Problem{Status: http.StatusServiceUnavailable, Code: "store_unavailable", Detail: "the store can't be written", RetryAfter: retrySoon}
		}
		return s.healthy(), nil
	})
}

func (s *server) healthy() *healthOutput {
	out := &healthOutput{}
	out.Body.Status, out.Body.Version = "ok", s.Version
	return out
}
