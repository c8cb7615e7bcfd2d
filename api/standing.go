package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/cache"
	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/retry"
)

// Standing is how the calls of one service stand with the provider; call.Service
// has it.
type Standing interface {
	Breakers() []breaker.Status
	ForceBreaker(host string, to breaker.State)
	ResetBreaker(host string)
	Limits() []limit.State
	RetrySpending() retry.Spending
	CacheStats() cache.Stats
	// Outcome looks for what became of a call of unknown outcome.
	Outcome(ctx context.Context, unknown *integration.Call) (conflict.Evidence, error)
}

// Outbound is how calls stand with the provider.
type Outbound struct {
	Breakers []BreakerView `json:"breakers" doc:"hosts that were called lately"`
	Limits   []LimitView   `json:"limits" doc:"the provider's limits, and how much of our share is used"`
	Retries  struct {
		Calls   int   `json:"calls"`
		Retries int   `json:"retries"`
		Refused int64 `json:"refused" doc:"retries that were not made, since the start"`
	} `json:"retries" doc:"the retry budget of the last seconds"`
	Cache struct {
		Hits        int64 `json:"hits"`
		Revalidated int64 `json:"revalidated"`
		Misses      int64 `json:"misses"`
		Shared      int64 `json:"shared" doc:"reads that joined one under way"`
		Stale       int64 `json:"stale" doc:"answers in place of a provider that is down"`
		Bytes       int64 `json:"bytes"`
	} `json:"cache"`
}

// LimitView is one of the provider's limits as it stands.
type LimitView struct {
	Name        string     `json:"name"`
	Unit        string     `json:"unit" doc:"requests, points, concurrent"`
	Window      float64    `json:"window_seconds,omitempty" doc:"absent for requests in flight"`
	Limit       float64    `json:"limit" doc:"the provider's"`
	Share       float64    `json:"share" doc:"ours, at the plan's headroom"`
	Used        float64    `json:"used" doc:"of the fullest where it is kept for each tenant, account or endpoint"`
	Remaining   float64    `json:"remaining"`
	Others      float64    `json:"others,omitempty" doc:"of used, what the provider counted beside our calls"`
	Waiting     int        `json:"waiting" doc:"callers that wait for it"`
	Refused     uint64     `json:"refused" doc:"callers turned away because of it, since the start"`
	Observed    uint64     `json:"observed,omitempty" doc:"in the mode observe: callers that would have had to wait"`
	PausedUntil *time.Time `json:"paused_until,omitempty" doc:"the provider lets us come again then"`
}

// BreakerView is one circuit breaker.
type BreakerView struct {
	Host        string     `json:"host"`
	State       string     `json:"state" enum:"closed,open,half-open"`
	Forced      bool       `json:"forced,omitempty" doc:"held by hand"`
	Since       *time.Time `json:"since,omitempty"`
	Until       *time.Time `json:"until,omitempty" doc:"when a call may go through again"`
	FailureRate float64    `json:"failure_rate"`
	SlowRate    float64    `json:"slow_rate"`
	Calls       int        `json:"calls" doc:"counted for the rates"`
	Reason      string     `json:"reason,omitempty"`
}

func outbound(s Standing) *Outbound {
	if s == nil {
		return nil
	}
	out := &Outbound{Breakers: []BreakerView{}, Limits: []LimitView{}}
	for _, l := range s.Limits() {
		out.Limits = append(out.Limits, LimitView{
			Name: l.Name, Unit: l.Unit, Window: l.Window.Seconds(), Limit: l.Limit, Share: l.Share, Used: l.Used, Remaining: l.Remaining, Others: l.Others,
			Waiting: l.Waiting, Refused: l.Refused, Observed: l.Observed, PausedUntil: known(l.PausedUntil),
		})
	}
	for _, b := range s.Breakers() {
		out.Breakers = append(out.Breakers, breakerView(b))
	}
	spent, kept := s.RetrySpending(), s.CacheStats()
	out.Retries.Calls, out.Retries.Retries, out.Retries.Refused = spent.Calls, spent.Retries, spent.Refused
	out.Cache.Hits, out.Cache.Revalidated, out.Cache.Misses = kept.Hits, kept.Revalidated, kept.Misses
	out.Cache.Shared, out.Cache.Stale, out.Cache.Bytes = kept.Shared, kept.Stale, kept.Bytes
	return out
}

func breakerView(b breaker.Status) BreakerView {
	return BreakerView{
		Host: b.Host, State: string(b.State), Forced: b.Forced, Since: known(b.Since), Until: known(b.Until),
		FailureRate: b.FailureRate, SlowRate: b.SlowRate, Calls: b.Calls, Reason: b.Reason,
	}
}

func (s *server) standingRoutes(routes huma.API) {
	admin := s.withKey(integration.ScopeAdmin)
	huma.Register(routes, huma.Operation{
		OperationID: "set-breaker", Method: http.MethodPost, Path: "/api/v1/admin/integrations/{service}/breaker",
		Summary:     "Hold a host's circuit breaker by hand, or leave it to itself",
		Description: "open: no call goes to the host; closed: all do, whatever comes of them; auto: it decides by itself again.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.setBreaker)
	huma.Register(routes, huma.Operation{
		OperationID: "find-outcome", Method: http.MethodPost, Path: "/api/v1/admin/integrations/{service}/calls/{id}/outcome",
		Summary:     "Look at the provider for what became of a call of unknown outcome",
		Description: "By the endpoint's on_unknown. It changes nothing; the gateway does this by itself from time to time, and settles what it finds.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: admin,
	}, s.outcome)
}

type breakerInput struct {
	Service string `path:"service" example:"stripe"`
	Body    struct {
		Host  string `json:"host" minLength:"1" maxLength:"255" example:"api.stripe.com"`
		State string `json:"state" enum:"open,closed,auto"`
	}
}

type breakerOutput struct{ Body BreakerView }

func (s *server) setBreaker(ctx context.Context, in *breakerInput) (*breakerOutput, error) {
	one, ok := s.services[in.Service]
	if !ok || one.Standing == nil {
		return nil, unknownService(in.Service)
	}
	if err := s.Keys.Audit(ctx, s.entry(ctx, "breaker.set", in.Service, in.Body.Host+" "+in.Body.State)); err != nil {
		return nil, s.failed(err, "breaker")
	}
	switch in.Body.State {
	case "open":
		one.Standing.ForceBreaker(in.Body.Host, breaker.Opened)
	case "closed":
		one.Standing.ForceBreaker(in.Body.Host, breaker.Closed)
	default:
		one.Standing.ResetBreaker(in.Body.Host)
	}
	for _, b := range one.Standing.Breakers() {
		if b.Host == in.Body.Host {
			return &breakerOutput{Body: breakerView(b)}, nil
		}
	}
	return &breakerOutput{Body: BreakerView{Host: in.Body.Host, State: string(breaker.Closed)}}, nil
}

type outcomeInput struct {
	Service string `path:"service" example:"stripe"`
	ID      string `path:"id" maxLength:"64"`
}

type outcomeOutput struct {
	Body struct {
		Outcome string   `json:"outcome" enum:"happened,not_happened,unknown"`
		Why     string   `json:"why"`
		Found   []string `json:"found,omitempty" doc:"JSON pointers into the provider's answer"`
		ID      string   `json:"provider_id,omitempty" doc:"of what was found"`
		Looked  int      `json:"looked" doc:"how many items were compared"`
	}
}

func (s *server) outcome(ctx context.Context, in *outcomeInput) (*outcomeOutput, error) {
	one, ok := s.services[in.Service]
	if !ok || one.Standing == nil {
		return nil, unknownService(in.Service)
	}
	c, err := s.Records.Call(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err, "call")
	}
	if c.Service != in.Service {
		return nil, wrongService(in.Service, c.Service)
	}
	found, err := one.Standing.Outcome(ctx, &c)
	var f *integration.Failure
	switch {
	case errors.Is(err, integration.ErrState):
		return nil, &problem.Problem{Status: http.StatusConflict, Code: "wrong_state", Detail: "the call is " + string(c.State) + "; only the outcome of unknown calls is looked for"}
	case errors.As(err, &f):
		return nil, huma.ErrorWithHeaders(failureProblem(f), callHeader(f))
	case err != nil:
		return nil, s.failed(err, "call")
	}
	out := &outcomeOutput{}
	out.Body.Outcome, out.Body.Why, out.Body.Found, out.Body.ID, out.Body.Looked = string(found.Outcome), found.Why, found.Found, found.ID, found.Looked
	return out, nil
}
