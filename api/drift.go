package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/drift"
	"github.com/sallyport/sallyport/integration"
)

// Drift is where providers left what they promised.
type Drift interface {
	Drift(ctx context.Context, f integration.Filter) (found []integration.Drift, next string, err error)
}

func (s *server) driftRoutes(routes huma.API) {
	huma.Register(routes, huma.Operation{
		OperationID: "list-drift", Method: http.MethodGet, Path: "/api/v1/admin/integrations/{service}/drift",
		Summary:     "List where the provider's answers left its document or the plan",
		Description: "One entry for each endpoint, place and kind, what was first noticed last first. Examples show the shape of a value, never somebody's data. Announcements of an end (the headers Deprecation and Sunset) are of the kind deprecation.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: s.withKey(integration.ScopeAdmin),
	}, s.drift)
}

type driftInput struct {
	Service  string    `path:"service" example:"stripe"`
	Kind     string    `query:"kind" enum:"missing_field,new_enum_value,changed_type,null_where_not_nullable,new_field,unmapped_error_code,deprecation"`
	Endpoint string    `query:"endpoint" doc:"name in the plan"`
	Since    time.Time `query:"since" doc:"RFC 3339; seen again since then"`
	Query    string    `query:"q" maxLength:"200" doc:"part of a pointer, a row or an example"`
	Cursor   string    `query:"cursor" maxLength:"500" doc:"next of the page before"`
	Limit    int       `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// DriftView is one place where a provider has drifted.
type DriftView struct {
	Endpoint  string     `json:"endpoint,omitempty"`
	Pointer   string     `json:"pointer,omitempty" doc:"JSON pointer in the answer, * for any element of a list"`
	Kind      string     `json:"kind"`
	Row       string     `json:"row,omitempty" doc:"id of the plan's row it is about"`
	Expected  string     `json:"expected,omitempty"`
	Example   string     `json:"example,omitempty" doc:"the shape of what came"`
	Ends      *time.Time `json:"ends,omitempty" doc:"of a deprecation: when the operation stops working, else since when it is deprecated"`
	DaysLeft  *int       `json:"days_left,omitempty" doc:"until ends; below zero when it is past"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  time.Time  `json:"last_seen"`
	Count     int64      `json:"count" doc:"in answers that were looked at; they are a sample"`
}

type driftOutput struct {
	Body struct {
		Drift []DriftView `json:"drift"`
		Next  string      `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
	}
}

func (s *server) drift(ctx context.Context, in *driftInput) (*driftOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	out := &driftOutput{}
	out.Body.Drift = []DriftView{}
	if s.Drift == nil {
		return out, nil
	}
	found, next, err := s.Drift.Drift(ctx, integration.Filter{
		Service: in.Service, Status: in.Kind, Type: in.Endpoint, Query: in.Query, Since: in.Since, Cursor: in.Cursor, Limit: in.Limit,
	})
	if err != nil {
		return nil, s.failed(err, "list")
	}
	out.Body.Next = next
	now := s.Now()
	for i := range found {
		out.Body.Drift = append(out.Body.Drift, driftView(&found[i], now))
	}
	return out, nil
}

func driftView(d *integration.Drift, now time.Time) DriftView {
	v := DriftView{
		Endpoint: d.Endpoint, Pointer: d.Pointer, Kind: string(d.Kind), Row: d.Row, Expected: d.Expected, Example: d.Example,
		FirstSeen: d.FirstSeen, LastSeen: d.LastSeen, Count: d.Count,
	}
	if !d.Ends.IsZero() {
		left := drift.DaysLeft(d.Ends, now)
		v.Ends, v.DaysLeft = &d.Ends, &left
	}
	return v
}
