package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/reconcile"
)

// Subscriptions are what we are subscribed to at providers (R5.15);
// reconcile.Subscriptions has them.
type Subscriptions interface {
	Compare(ctx context.Context, w reconcile.Whose) (*reconcile.Comparison, error)
	Sync(ctx context.Context, w reconcile.Whose) (*reconcile.Comparison, error)
	Remove(ctx context.Context, w reconcile.Whose) (*reconcile.Comparison, error)
	Standing(ctx context.Context, service, tenant string) (reconcile.Standing, error)
	OfTenants(service string) bool
	Want(ctx context.Context, service string, on bool) error
}

// Finder finds events that never came (R5.14), and looks after subscriptions
// when it is their turn; reconcile.Finder does.
type Finder interface {
	Status(ctx context.Context, service, tenant string) (reconcile.Status, error)
	Now(ctx context.Context, service string) error
	TendNow(ctx context.Context, service string) error
}

func (s *server) subscriptionRoutes(routes huma.API) {
	admin := s.withKey(integration.ScopeAdmin)
	const base = "/api/v1/admin/integrations/{service}/webhooks"
	huma.Register(routes, huma.Operation{
		OperationID: "compare-webhooks", Method: http.MethodGet, Path: base,
		Summary:     "Compare what the plan subscribes to with what the provider has",
		Description: "The provider is asked; nothing is changed. Subscriptions of other addresses are counted and left alone. Where tenants authorise the service, each has its own: name one.",
		Tags:        []string{"webhooks"}, Security: secured, Middlewares: admin,
	}, s.compareWebhooks)
	huma.Register(routes, huma.Operation{
		OperationID: "sync-webhooks", Method: http.MethodPost, Path: base + "/sync",
		Summary:     "Make the provider send the events of the plan to our address",
		Description: "Registers, changes and renews; what is ours and not wanted is removed after that. With dry_run nothing is changed. Where tenants authorise the service and none is named, it is done for each in the background (later), and from then on for each that connects.",
		Tags:        []string{"webhooks"}, Security: secured, Middlewares: admin,
	}, s.syncWebhooks)
	huma.Register(routes, huma.Operation{
		OperationID: "remove-webhooks", Method: http.MethodDelete, Path: base,
		Summary:     "Remove our subscriptions at the provider",
		Description: "Those that send to our address, and no others. Where tenants authorise the service, those of all are removed in the background, and none is registered until it is synced again.",
		Tags:        []string{"webhooks"}, Security: secured, Middlewares: admin,
	}, s.removeWebhooks)
	huma.Register(routes, huma.Operation{
		OperationID: "reconcile-webhooks", Method: http.MethodPost, Path: base + "/reconcile", DefaultStatus: http.StatusAccepted,
		Summary: "Look for events that never came now, and not at the next turn",
		Tags:    []string{"webhooks"}, Security: secured, Middlewares: admin,
	}, s.reconcileNow)
}

// ComparisonView is what the plan wants beside what the provider has.
type ComparisonView struct {
	Tenant     string `json:"tenant,omitempty" doc:"whose account it is; absent: the service's own"`
	Connection string `json:"connection,omitempty"`
	Later      bool   `json:"later,omitempty" doc:"it is done for each tenant in the background; the service's status tells how it stands"`

	URL     string       `json:"url" doc:"where events are to be sent"`
	Events  []string     `json:"events" doc:"types the plan uses"`
	ByHand  string       `json:"by_hand,omitempty" doc:"what a person has to do at this provider; there are no changes then"`
	Listed  bool         `json:"listed" doc:"the provider was asked; false: it has no list, our own records stand for it"`
	Others  int          `json:"others" doc:"subscriptions of other addresses, which are left alone"`
	Differs bool         `json:"differs" doc:"there is something to do, or was"`
	Changes []ChangeView `json:"changes"`
}

// ChangeView is one thing to do, or that was done.
type ChangeView struct {
	Do           string           `json:"do" enum:"register,update,renew,replace,remove,keep"`
	Done         bool             `json:"done"`
	Why          string           `json:"why,omitempty"`
	Events       []string         `json:"events,omitempty" doc:"types that are wanted of it"`
	Subscription SubscriptionView `json:"subscription,omitzero"`
}

// SubscriptionView is one subscription at the provider.
type SubscriptionView struct {
	ID         string     `json:"id,omitempty" doc:"the provider's"`
	Tenant     string     `json:"tenant,omitempty"`
	Connection string     `json:"connection,omitempty"`
	URL        string     `json:"url,omitempty"`
	Resource   string     `json:"resource,omitempty"`
	Events     []string   `json:"events,omitempty"`
	State      string     `json:"state,omitempty" doc:"what the provider says of it"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	CheckedAt  *time.Time `json:"checked_at,omitempty" doc:"when it was last seen there"`
	Secret     bool       `json:"secret,omitempty" doc:"its signing secret is kept, sealed"`
	Error      string     `json:"error,omitempty" doc:"why its renewal failed"`
}

// InboundStanding is how it stands with what we are subscribed to, and with the
// events that never came.
type InboundStanding struct {
	URL           string             `json:"url,omitempty" doc:"where events are to be sent; absent while it is not known how we are reached"`
	ByHand        string             `json:"by_hand,omitempty"`
	Tenants       *TenantsStanding   `json:"tenants,omitempty" doc:"where each tenant has subscriptions of its own"`
	Subscriptions []SubscriptionView `json:"subscriptions" doc:"as they were last seen; the first hundred, those that fail in front"`
	Reconcile     *ReconcileView     `json:"reconcile,omitempty" doc:"absent where the plan does not look for events that never came"`
}

// TenantsStanding is how it stands with the subscriptions of tenants.
type TenantsStanding struct {
	On            bool          `json:"on" doc:"each that connects is subscribed by itself; false after they were removed"`
	Subscriptions int           `json:"subscriptions"`
	Connections   int           `json:"connections" doc:"with a subscription"`
	Failing       int           `json:"failing" doc:"whose subscriptions are not as the plan wants"`
	Expires       *time.Time    `json:"expires_at,omitempty" doc:"when the first of them expires unless it is renewed"`
	Problems      []ProblemView `json:"problems,omitempty" doc:"the first hundred"`
}

// ProblemView is why the subscriptions of a connection are not as the plan wants.
type ProblemView struct {
	Connection string     `json:"connection"`
	Error      string     `json:"error"`
	Failures   int        `json:"failures" doc:"one after the other"`
	Again      *time.Time `json:"again_at,omitempty"`
}

// ReconcileView is how the looking for lost events stands.
type ReconcileView struct {
	Found     int64      `json:"found" doc:"events that never came and were found, ever"`
	LastFound *time.Time `json:"last_found,omitempty"`
	Lag       float64    `json:"lag_seconds,omitempty" doc:"the longest time from such an event to its being found, in the last run that found some"`
	Unusable  int64      `json:"unusable,omitempty" doc:"entries of the provider's list that could not be used"`
	Looked    int64      `json:"looked" doc:"entries looked at"`
	Mark      *time.Time `json:"mark,omitempty" doc:"the provider's time up to which nothing is missing"`
	LastRun   *time.Time `json:"last_run,omitempty"`
	NextRun   *time.Time `json:"next_run,omitempty"`
	Running   bool       `json:"running,omitempty"`
	Failures  int        `json:"failures,omitempty" doc:"runs that failed one after the other"`
	Error     string     `json:"error,omitempty"`
}

type webhooksInput struct {
	Service    string `path:"service" example:"stripe"`
	Tenant     string `query:"tenant" maxLength:"255" doc:"whose account, where tenants authorise the service"`
	Connection string `query:"connection" maxLength:"64" doc:"the same by the connection, where the tenant has several"`
	DryRun     bool   `query:"dry_run" doc:"say what would be done, and change nothing"`
}

func (in *webhooksInput) whose() reconcile.Whose {
	return reconcile.Whose{Service: in.Service, Tenant: in.Tenant, Connection: in.Connection}
}

// all reports whether the accounts of all tenants are meant.
func (s *server) all(in *webhooksInput) bool {
	return s.Subscriptions != nil && in.Tenant == "" && in.Connection == "" && s.Subscriptions.OfTenants(in.Service)
}

type webhooksOutput struct{ Body ComparisonView }

func (s *server) compareWebhooks(ctx context.Context, in *webhooksInput) (*webhooksOutput, error) {
	return s.webhooks(ctx, in, "", Subscriptions.Compare)
}

func (s *server) syncWebhooks(ctx context.Context, in *webhooksInput) (*webhooksOutput, error) {
	if in.DryRun {
		return s.webhooks(ctx, in, "", Subscriptions.Compare)
	}
	if s.all(in) {
		return s.later(ctx, in, "webhooks.sync", true)
	}
	return s.webhooks(ctx, in, "webhooks.sync", Subscriptions.Sync)
}

func (s *server) removeWebhooks(ctx context.Context, in *webhooksInput) (*webhooksOutput, error) {
	switch {
	case in.DryRun:
	case s.all(in):
		return s.later(ctx, in, "webhooks.remove", false)
	case s.Subscriptions != nil && s.Subscriptions.OfTenants(in.Service):
		return nil, &problem.Problem{
			Status: http.StatusConflict, Code: "of_tenants", Detail: "a tenant that is connected is subscribed again by itself",
			Hint: "disconnect the tenant, which removes its subscriptions; or remove those of all, without a tenant",
		}
	default:
		return s.webhooks(ctx, in, "webhooks.remove", Subscriptions.Remove)
	}
	out, err := s.webhooks(ctx, in, "", Subscriptions.Compare)
	if err != nil {
		return nil, err
	}
	kept := []ChangeView{}
	for _, c := range out.Body.Changes {
		if c.Subscription.ID != "" {
			c.Do, c.Why = reconcile.Remove, "it was asked for"
			kept = append(kept, c)
		}
	}
	out.Body.Changes, out.Body.Differs = kept, len(kept) > 0
	return out, nil
}

// webhooks runs one of the three. What changes something is written to the audit
// log before.
func (s *server) webhooks(ctx context.Context, in *webhooksInput, audited string, do func(Subscriptions, context.Context, reconcile.Whose) (*reconcile.Comparison, error)) (*webhooksOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	if s.Subscriptions == nil {
		return nil, noSubscriptions(in.Service)
	}
	if audited != "" {
		if err := s.Keys.Audit(ctx, s.entry(ctx, audited, in.Service, auditedOf(in))); err != nil {
			return nil, s.failed(err, "webhook")
		}
	}
	c, err := do(s.Subscriptions, ctx, in.whose())
	if err != nil {
		return nil, s.subscriptionFailed(in.Service, c, err)
	}
	return &webhooksOutput{Body: comparisonView(c)}, nil
}

func auditedOf(in *webhooksInput) string {
	switch {
	case in.Connection != "":
		return "connection " + in.Connection
	case in.Tenant != "":
		return "tenant " + in.Tenant
	}
	return ""
}

// later has the subscriptions of all tenants looked after, or removed.
func (s *server) later(ctx context.Context, in *webhooksInput, audited string, on bool) (*webhooksOutput, error) {
	if s.Finder == nil {
		return nil, noSubscriptions(in.Service)
	}
	if err := s.Keys.Audit(ctx, s.entry(ctx, audited, in.Service, "of all tenants")); err != nil {
		return nil, s.failed(err, "webhook")
	}
	err := s.Subscriptions.Want(ctx, in.Service, on)
	if err == nil {
		err = s.Finder.TendNow(ctx, in.Service)
	}
	if err != nil {
		return nil, s.subscriptionFailed(in.Service, nil, err)
	}
	standing, err := s.Subscriptions.Standing(ctx, in.Service, "")
	if err != nil {
		return nil, s.failed(err, "subscription")
	}
	return &webhooksOutput{Body: ComparisonView{Later: true, URL: standing.URL, Events: []string{}, Changes: []ChangeView{}}}, nil
}

func noSubscriptions(service string) *problem.Problem {
	return &problem.Problem{Status: http.StatusConflict, Code: "no_subscriptions", Detail: "subscriptions of " + quoted(service) + " are not looked after here"}
}

// subscriptionFailed says what was done and what went wrong.
func (s *server) subscriptionFailed(service string, c *reconcile.Comparison, err error) error {
	var f *integration.Failure
	switch {
	case errors.Is(err, integration.ErrNotFound) && s.Subscriptions.OfTenants(service):
		return &problem.Problem{Status: http.StatusNotFound, Code: "not_connected", Detail: err.Error()}
	case errors.Is(err, integration.ErrNotFound):
		return &problem.Problem{Status: http.StatusConflict, Code: "no_webhooks", Detail: "the plan of " + quoted(service) + " uses no webhooks"}
	case errors.Is(err, reconcile.ErrWhose):
		return &problem.Problem{Status: http.StatusConflict, Code: "of_tenants", Detail: err.Error(), Hint: "add ?tenant=…; the service's status lists what all have"}
	case errors.Is(err, reconcile.ErrNoPublicURL), errors.Is(err, reconcile.ErrOff), errors.Is(err, reconcile.ErrNoFacts), errors.Is(err, reconcile.ErrNotKept),
		errors.Is(err, reconcile.ErrCredential):
		return &problem.Problem{Status: http.StatusConflict, Code: "not_set_up", Detail: err.Error()}
	case errors.As(err, &f) && c == nil:
		return huma.ErrorWithHeaders(failureProblem(f), callHeader(f))
	}
	s.Log.Error("api.webhooks", "service", service, "error", err)
	p := &problem.Problem{Status: http.StatusBadGateway, Code: "webhooks_failed", Detail: err.Error(), Hint: "compare again to see what is there: sallyport webhooks list " + service}
	if done := doneOf(c); done != "" {
		p.Detail += "; done before that: " + done
	}
	return p
}

func doneOf(c *reconcile.Comparison) string {
	if c == nil {
		return ""
	}
	var list []string
	for i := range c.Changes {
		if c.Changes[i].Done {
			list = append(list, fmt.Sprintf("%s %s", c.Changes[i].Do, c.Changes[i].Subscription.ExternalID))
		}
	}
	return strings.Join(list, ", ")
}

func comparisonView(c *reconcile.Comparison) ComparisonView {
	v := ComparisonView{
		Tenant: c.Tenant, Connection: c.Connection,
		URL: c.URL, Events: c.Events, ByHand: c.ByHand, Listed: c.Listed, Others: c.Others, Differs: c.Differs(), Changes: []ChangeView{},
	}
	for i := range c.Changes {
		change := &c.Changes[i]
		v.Changes = append(v.Changes, ChangeView{Do: change.Do, Done: change.Done, Why: change.Why, Events: change.Events, Subscription: subscriptionView(&change.Subscription)})
	}
	return v
}

func subscriptionView(one *integration.Subscription) SubscriptionView {
	return SubscriptionView{
		ID: one.ExternalID, Tenant: one.Tenant, Connection: one.Connection, URL: one.URL, Resource: one.Resource, Events: one.Events, State: one.State, ExpiresAt: known(one.ExpiresAt),
		CheckedAt: known(one.CheckedAt), Secret: len(one.Sealed) > 0, Error: one.Error,
	}
}

func tenantsStanding(st *reconcile.Standing) *TenantsStanding {
	out := &TenantsStanding{On: !st.Off, Subscriptions: st.Total, Connections: st.Connections, Failing: st.Failing, Expires: known(st.Expires)}
	for _, p := range st.Problems {
		out.Problems = append(out.Problems, ProblemView{Connection: p.Connection, Error: p.Error, Failures: p.Failures, Again: known(p.Again)})
	}
	return out
}

type reconcileInput struct {
	Service string `path:"service" example:"stripe"`
}

type reconcileOutput struct {
	Status int
	Body   struct {
		Status string `json:"status" enum:"due"`
	}
}

func (s *server) reconcileNow(ctx context.Context, in *reconcileInput) (*reconcileOutput, error) {
	one, ok := s.services[in.Service]
	if !ok {
		return nil, unknownService(in.Service)
	}
	if s.Finder == nil || one.Plan.Webhooks == nil || one.Plan.Webhooks.Reconcile == nil {
		return nil, &problem.Problem{
			Status: http.StatusConflict, Code: "not_reconciled", Detail: "nobody looks for events of " + quoted(in.Service) + " that never came",
			Hint: "set webhooks.reconcile in the plan",
		}
	}
	if err := s.Finder.Now(ctx, in.Service); err != nil {
		return nil, s.failed(err, "list of events")
	}
	out := &reconcileOutput{Status: http.StatusAccepted}
	out.Body.Status = "due"
	return out, nil
}

// inbound is how it stands; nil where there is nothing to tell.
func (s *server) inbound(ctx context.Context, service, tenant string) (*InboundStanding, error) {
	if s.Subscriptions == nil && s.Finder == nil {
		return nil, nil //nolint:nilnil // nothing to tell is no error
	}
	out := &InboundStanding{Subscriptions: []SubscriptionView{}}
	if s.Subscriptions != nil {
		standing, err := s.Subscriptions.Standing(ctx, service, tenant)
		if errors.Is(err, integration.ErrNotFound) {
			return nil, nil //nolint:nilnil // a service without webhooks
		}
		if err != nil {
			return nil, s.failed(err, "subscription")
		}
		out.URL, out.ByHand = standing.URL, standing.ByHand
		if standing.OfTenants {
			out.Tenants = tenantsStanding(&standing)
		}
		for i := range standing.Subscriptions {
			out.Subscriptions = append(out.Subscriptions, subscriptionView(&standing.Subscriptions[i]))
		}
	}
	if s.Finder == nil {
		return out, nil
	}
	st, err := s.Finder.Status(ctx, service, tenant)
	if errors.Is(err, integration.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, s.failed(err, "list of events")
	}
	out.Reconcile = &ReconcileView{
		Found: st.Found, LastFound: known(st.LastFound), Lag: st.Lag.Seconds(), Unusable: st.Unusable, Looked: st.Looked, Mark: known(st.Mark),
		LastRun: known(st.LastRun), NextRun: known(st.NextRun), Running: st.Running, Failures: st.Failures, Error: st.Error,
	}
	return out, nil
}
