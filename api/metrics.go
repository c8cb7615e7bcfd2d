package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

// metricsRoutes serves figures for Prometheus (R6.7). They name services,
// endpoints and destinations, so they need a key as the status does, unless
// Config.MetricsOpen says otherwise.
func (s *server) metricsRoutes(document *huma.OpenAPI, mux *http.ServeMux) {
	if s.Metrics == nil {
		return
	}
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !s.MetricsOpen {
			if _, p := s.authenticate(r.Context(), r.Header.Get("Authorization"), integration.ScopeApp); p != nil {
				challenge(w.Header(), p)
				problem.Write(w, p)
				return
			}
		}
		w.Header().Set("Cache-Control", "no-store")
		s.Metrics.ServeHTTP(w, r)
	})
	operation := &huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Summary: "Figures for Prometheus",
		Description: "In Prometheus' text format. Any API key will do; with the setting metrics_open none is needed.",
		Tags:        []string{"health"}, Security: secured,
		Responses: map[string]*huma.Response{"200": {Description: "The figures."}},
	}
	if s.MetricsOpen {
		operation.Security = nil
	}
	document.AddOperation(operation)
}
