// Package api is our own HTTP API: status and logs, named endpoints, the
// proxy, retries by hand, health. Its OpenAPI document is made from the
// handlers' types and served at /openapi.json (R9.6).
//
// Errors are problem documents (RFC 9457) with a stable code. Callers hold
// keys with a scope: app may call providers and read status, admin may also
// read payloads and retry (R9.5).
package api

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/paginate"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/redact"
)

// Records are the events and calls that were kept.
type Records interface {
	Events(ctx context.Context, f integration.Filter) (events []integration.Event, next string, err error)
	Event(ctx context.Context, id string) (integration.Event, []integration.Delivery, error)
	EventCounts(ctx context.Context, service, tenant string) (integration.Counts, error)
	RetryEvent(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error
	Calls(ctx context.Context, f integration.Filter) (calls []integration.Call, next string, err error)
	Call(ctx context.Context, id string) (integration.Call, error)
	CallCounts(ctx context.Context, service, tenant string) (integration.Counts, error)
	// RequeueCall puts a kept call back into the queue.
	RequeueCall(ctx context.Context, id string, now, expires time.Time, audit integration.AuditEntry) error
	// CancelCall takes a call out of the queue; finished is the event to tell of
	// its end, nil where nobody is to be told.
	CancelCall(ctx context.Context, id string, now time.Time, finished *integration.Event, audit integration.AuditEntry) error
	// CreateJob begins to put many kept calls back, and counts them.
	CreateJob(ctx context.Context, j *integration.Job, audit integration.AuditEntry) error
	// CountEventJob says how many events a job would be about, and how many of them
	// it would skip.
	CountEventJob(ctx context.Context, f integration.Filter) (total, skipped int, err error)
	Job(ctx context.Context, id string) (integration.Job, error)
	CancelJob(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error
	// EventsAfter reads events whole, in the order they came, behind a position.
	EventsAfter(ctx context.Context, f integration.Filter, position int64) (events []integration.Event, next int64, err error)
	// EventsSince is a position before all that came at a time or later, and
	// LastEvent the one behind all that came.
	EventsSince(ctx context.Context, since time.Time) (position int64, err error)
	LastEvent(ctx context.Context) (position int64, err error)
	Ping(ctx context.Context) error
}

// Keys are the API keys and the log of what was done with them.
type Keys interface {
	KeyByHash(ctx context.Context, hash string) (integration.APIKey, error)
	Audit(ctx context.Context, entry integration.AuditEntry) error
}

// Calls makes outbound calls of one service; call.Service is one.
type Calls interface {
	Endpoint(ctx context.Context, name string, r call.Request) (*call.Response, error)
	Transport(tenant string, entry integration.Entry) http.RoundTripper
	EndpointLater(ctx context.Context, name string, r call.Request, later call.Later) (*integration.Call, error)
	TransportLater(tenant string, entry integration.Entry, later call.Later) http.RoundTripper
	// List and Walk go through the pages of a list; ListFailure says what ended it.
	List(ctx context.Context, name string, r call.Request, options ...paginate.Option) (iter.Seq2[*paginate.Page, error], error)
	Walk(ctx context.Context, tenant string, entry integration.Entry, first *http.Request, options ...paginate.Option) (iter.Seq2[*paginate.Page, error], error)
	ListFailure(err error) *integration.Failure
	// Whole says why a kept call can't be made again; nil when it can.
	Whole(kept *integration.Call) error
}

// Integration is one service as the API shows it.
type Integration struct {
	Plan        *plan.Plan
	Environment string
	Calls       Calls
	Standing    Standing // nil: nothing is told of breakers, limits and cache
	// Credential is the fingerprint of the API key in use; never the key.
	Credential func() string
}

// Config is what the API stands on. Every field must be set but Connections, Custody, Drift, Uses,
// WakeCalls, WakeJobs, ProxyBodyLimit and ProxyDomains.
type Config struct {
	Integrations []Integration
	Records      Records
	Keys         Keys
	// Connections are what tenants authorise; nil: none are served, and each
	// service uses the credential of its plan.
	Connections *connect.Connections
	// Subscriptions and Finder keep our hold on providers' events; nil: nothing is
	// subscribed to from here, and no list is read.
	Subscriptions Subscriptions
	Finder        Finder
	Delivered     Delivered         // nil: no provider delivers its secret
	Destinations  Destinations      // nil: none can be paused or looked at
	Custody       Custody           // of secrets and of what is kept of tenants
	Drift         Drift             // may be nil: no drift is kept, and the list is empty
	Uses          Uses              // may be nil: no use of credentials is kept, and the list is empty
	Previewer     Previewer         // says what events would come to; nil: none are previewed, and listeners get them as they came
	Arrivals      *Arrivals         // tells listeners of events; nil: they look from time to time
	Receiver      *receive.Receiver // mounted at /api/webhooks/
	Wake          func()            // called when an event became due
	// Echo looks up whether a call of ours caused an event; nil: only what its door
	// saw is told.
	Echo      func(ctx context.Context, e *integration.Event) (bool, error)
	WakeCalls func()  // called when a call was put into the queue; nil: it is found by itself
	WakeJobs  func()  // called when a job began; nil: it is found by itself
	Storage   Storage // says how large the database is; nil: nobody is told
	// Metrics answers scrapes; nil: there are none. MetricsOpen: without a key.
	Metrics     http.Handler
	MetricsOpen bool
	Log         *slog.Logger
	Now         func() time.Time
	Version     string
	BodyLimit   int64 // bytes of a request body
	// ProxyBodyLimit bounds a proxied body, in bytes. Such bodies are streamed
	// and not held, so zero means that there is no bound.
	ProxyBodyLimit int64
	// ProxyDomains are domains whose names SERVICE.DOMAIN lead here: requests
	// for them are proxied, their path the provider's from its root. Empty leaves
	// SERVICE.localhost, which always works.
	ProxyDomains []string
}

// server holds what the handlers share.
type server struct {
	Config
	services   map[string]*Integration
	redactions map[string]*redact.Paths
	measured   measured
}

// New returns the handler of everything we serve.
func New(c Config) http.Handler {
	s := &server{Config: c, services: make(map[string]*Integration, len(c.Integrations)), redactions: redactions(c.Integrations)}
	for i := range c.Integrations {
		s.services[c.Integrations[i].Plan.Service] = &c.Integrations[i]
	}
	if s.WakeCalls == nil {
		s.WakeCalls = func() {}
	}
	if s.Arrivals == nil {
		s.Arrivals = NewArrivals()
	}
	if s.WakeJobs == nil {
		s.WakeJobs = func() {}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.notFound(mux))
	hc := huma.DefaultConfig("Sallyport", c.Version)
	hc.Info.Description = "Calls to third-party services and their webhooks, as the plans say."
	hc.DocsPath, hc.SchemasPath, hc.CreateHooks = "", "", nil
	hc.RejectUnknownQueryParameters = true
	hc.Transformers = append(hc.Transformers, completeProblem)
	hc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key": {Type: "http", Scheme: "bearer", Description: "an API key, sp_…; made with: sallyport keys new"},
	}
	useProblems()
	routes := humago.New(mux, hc)
	routes.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		ctx.SetHeader("Cache-Control", "no-store")
		ctx.SetHeader("X-Content-Type-Options", "nosniff")
		next(ctx)
	})
	s.integrationRoutes(routes)
	s.callRoutes(routes)
	s.jobRoutes(routes)
	s.adminRoutes(routes)
	s.replayRoutes(routes)
	s.listenRoutes(routes)
	s.driftRoutes(routes)
	s.standingRoutes(routes)
	s.subscriptionRoutes(routes)
	s.deliveredRoutes(routes)
	s.destinationRoutes(routes)
	s.healthRoutes(routes)
	s.metricsRoutes(routes.OpenAPI(), mux)
	s.connectRoutes(routes, mux)
	s.secretRoutes(routes)
	s.storageRoutes(routes)
	describePlainRoutes(routes.OpenAPI())
	mux.Handle(receive.Prefix, c.Receiver)
	mux.Handle("/api/v1/integrations/{service}/proxy/{path...}", http.HandlerFunc(s.proxy))
	return s.byHost(outsideDoor(mux, s.identified(s.guarded(mux))))
}

// describePlainRoutes tells the document about the routes that are no
// operations of huma's: the body is the provider's, both ways.
func describePlainRoutes(document *huma.OpenAPI) {
	answers := map[string]*huma.Response{
		"default": {Description: "The provider's answer as it came, with Sallyport-Call and Sallyport-Attempts; or a problem of ours, with Sallyport-Reason."},
	}
	name := func(name, example string) *huma.Param {
		return &huma.Param{Name: name, In: "path", Required: true, Example: example, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		document.AddOperation(&huma.Operation{
			OperationID: "proxy-" + strings.ToLower(method), Method: method, Path: "/api/v1/integrations/{service}/proxy/{path}",
			Summary:     "Call any path of the provider, its answer as it came",
			Description: "The provider's own SDK can be pointed at it: the path and the query are the provider's, slashes included; the credential is ours to add.",
			Tags:        []string{"calls"}, Security: secured, Responses: answers,
			Parameters: []*huma.Param{
				name("service", "stripe"), name("path", "v1/customers"),
				{Name: TenantHeader, In: "header", Description: "your customer, on whose behalf", Schema: &huma.Schema{Type: huma.TypeString}},
				{Name: preferHeader, In: "header", Description: "respond-async: do not wait; 202 says where to ask", Schema: &huma.Schema{Type: huma.TypeString}},
				{Name: CallbackHeader, In: "header", Description: "with respond-async: the plan's destination that is told at the end", Schema: &huma.Schema{Type: huma.TypeString}},
			},
		})
	}
	document.AddOperation(&huma.Operation{
		OperationID: "receive-webhook", Method: http.MethodPost, Path: receive.Prefix + "{service}", Summary: "Take a webhook of the provider",
		Description: "The signature is checked on the raw bytes. 200 is answered when the event is durable, also for a repeat; 503 asks for it again.",
		Tags:        []string{"webhooks"}, Parameters: []*huma.Param{name("service", "stripe")},
		Responses: map[string]*huma.Response{
			"200": {Description: "It is kept."}, "400": {Description: "It is no event."}, "401": {Description: "The signature was not accepted."},
			"413": {Description: "It is too large."}, "503": {Description: "It could not be kept; send it again."},
		},
	})
}

// secured is the security requirement of operations that need a key.
var secured = []map[string][]string{{"key": {}}}
