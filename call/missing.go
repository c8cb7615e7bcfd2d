package call

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// missingResource is the data of an event about a resource that is no longer there.
type missingResource struct {
	Service   string            `json:"service"`
	Tenant    string            `json:"tenant,omitempty"`
	Endpoint  string            `json:"endpoint"`
	Method    string            `json:"method"`
	Path      string            `json:"path"`
	Variables map[string]string `json:"variables,omitempty"`
	Status    int               `json:"status"`
	Call      string            `json:"call"`
}

// missing tells the destination that the plan names for a 404 or 410 that what
// was asked for is not there, so that your own copy can go (R4.4). Where the
// provider hides with 404 what one may not see, nobody is told: it may be there.
// The same resource is told of once a day.
func (s *Service) missing(ctx context.Context, j *journey, status int) {
	to := s.plan.ErrorPolicy(strconv.Itoa(status)).Tell
	if to == "" || s.told == nil || j.op.endpoint == nil || !s.dialect.Gone(status) {
		return
	}
	now := s.now()
	c := j.call
	payload, err := json.Marshal(missingResource{
		Service: c.Service, Tenant: c.Tenant, Endpoint: c.Endpoint, Method: c.Method, Path: j.path, Variables: s.variables(j), Status: status, Call: c.ID,
	})
	if err == nil {
		id := uuid.Must(uuid.NewV7()).String()
		about := c.Tenant + ":" + j.path + ":" + now.UTC().Format(time.DateOnly)
		e := integration.OwnEvent(id, c.Service, to, integration.EventResourceMissing, about, c.Tenant, now, payload)
		e.Subject = j.path
		err = s.told(context.WithoutCancel(ctx), e)
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "call.missing_not_told", slog.String("call", c.ID), slog.String("destination", to), slog.Any("error", err))
	}
}
