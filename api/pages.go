package api

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/paginate"
	"github.com/sallyport/sallyport/problem"
)

// AllHeader asks, on a proxied read, for all pages of a list as NDJSON; the
// query is the provider's. CursorHeader takes a list up where an earlier answer
// ended.
const (
	AllHeader    = "Sallyport-All"
	CursorHeader = "Sallyport-Cursor"
)

// lists answers calls by name with ?all=true: one item of the list a line, page
// after page (R4.15).
func (s *server) lists(ctx huma.Context, next func(huma.Context)) {
	if ctx.Query("all") != "true" {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	one, ok := s.services[ctx.Param("service")]
	if !ok {
		writeTo(ctx, unknownService(ctx.Param("service")))
		return
	}
	var in struct {
		Tenant     string              `json:"tenant"`
		Connection string              `json:"connection"`
		Path       map[string]string   `json:"path"`
		Query      map[string][]string `json:"query"`
		Body       json.RawMessage     `json:"body"`
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max(s.BodyLimit, 1<<20)))
	if err == nil && len(content) > 0 {
		err = json.Unmarshal(content, &in)
	}
	if err != nil {
		writeTo(ctx, &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "the body is no JSON object of tenant, path, query and body"})
		return
	}
	pages, err := one.Calls.List(r.Context(), ctx.Param("endpoint"), call.Request{Tenant: in.Tenant, Connection: in.Connection, Path: in.Path, Query: url.Values(in.Query), Body: in.Body}, from(r)...)
	s.stream(w, one, pages, err)
}

// proxyAll is the same for a proxied read.
func (s *server) proxyAll(w http.ResponseWriter, r *http.Request, one *Integration, out *http.Request) {
	pages, err := one.Calls.Walk(r.Context(), r.Header.Get(TenantHeader), integration.EntryProxy, out, from(r)...)
	s.stream(w, one, pages, err)
}

func from(r *http.Request) []paginate.Option {
	if cursor := r.Header.Get(CursorHeader); cursor != "" {
		return []paginate.Option{paginate.From(cursor)}
	}
	return nil
}

// stream writes the items. A list that fails before its first item is answered
// with a problem, one that fails later ends in a line that says so.
func (s *server) stream(w http.ResponseWriter, one *Integration, pages iter.Seq2[*paginate.Page, error], err error) {
	explain := func(err error) any {
		p := failureProblem(one.Calls.ListFailure(err))
		whole := p.Complete("")
		return &whole
	}
	if err == nil {
		w.Header().Set("Content-Type", paginate.ContentType)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		var lines int64
		if lines, err = paginate.NDJSON(w, pages, explain); err == nil || lines > 0 {
			return
		}
	}
	f := one.Calls.ListFailure(err)
	var own *integration.Failure
	if errors.As(err, &own) {
		f = own
	}
	for name, values := range callHeader(f) {
		w.Header()[name] = values
	}
	problem.Write(w, failureProblem(f))
}
