package plan

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
)

// Version is the plan format this build reads and writes; the value of the
// top-level key "sallyport".
const Version = 1

// What holds where a plan is silent. The "default" tags below show the same
// values to readers of the schema and of the reference.
const (
	DefaultTimeout            = 30 * time.Second // of one attempt of an endpoint
	DefaultDestinationTimeout = 10 * time.Second // of one delivery
	DefaultConcurrency        = 16               // deliveries under way to one destination in one process
	DefaultPayloadRetention   = 30 * 24 * time.Hour
	DefaultIDRetention        = 90 * 24 * time.Hour
	DefaultLimitWait          = 5 * time.Second // how long a caller waits for its turn
	DefaultHeadroom           = 80              // percent of each limit of the profile
	DefaultLimitQueue         = 1000            // callers that may wait for a turn at once
	DefaultDeadline           = 2 * time.Minute // of one call with all its attempts and waits
	DefaultExpire             = 24 * time.Hour  // of a call in the durable queue
	DefaultRetryBudget        = 20              // percent of recent calls that may be retries
	DefaultBulkMax            = 100             // calls in one bulk request
	DefaultBulkWait           = 20 * time.Millisecond
)

// Defaults of the circuit breaker.
const (
	DefaultBreakerFailures  = 50 // percent
	DefaultBreakerSlowCalls = 80 // percent
	DefaultBreakerMinimum   = 20 // calls
	DefaultBreakerSlow      = 5 * time.Second
	DefaultBreakerWindow    = 30 * time.Second
	DefaultBreakerPause     = 10 * time.Second
	DefaultBreakerMaxPause  = 2 * time.Minute
)

// Plan is one plan file: how your product works with one third party.
type Plan struct {
	// Version of the plan format. There is one so far: 1.
	Sallyport int `yaml:"sallyport" json:"sallyport" jsonschema:"required,enum=1"`
	// Slug of the integration. It names URLs, logs and the provider column of
	// stored events: lower-case letters, digits, "-" and "_".
	Service string `yaml:"service" json:"service" jsonschema:"required,pattern=^[a-z][a-z0-9_-]*$" want:"lower-case letters, digits, - and _, beginning with a letter"`
	// Catalog profile the plan stands on. What stands in the plan overrides it.
	Uses string `yaml:"uses" json:"uses" jsonschema:"required,pattern=^[a-z0-9][a-z0-9_-]*$" want:"the id of a catalog profile, such as stripe"`
	// The requirement, in a sentence.
	Need string `yaml:"need" json:"need" jsonschema:"required,minLength=1"`
	// Whether a client is built, the provider's SDK is used or a product is
	// bought, and why.
	Decision *Decision `yaml:"decision,omitempty" json:"decision,omitempty"`
	// Only what differs from the catalog, or was confirmed by a person.
	Profile ProfileOverlay `yaml:"profile,omitempty" json:"profile,omitempty"`
	// Stages of your product by name: development, staging, production. Each
	// has its own account at the provider and its own secrets, which can't mix.
	Environments map[string]Environment `yaml:"environments" json:"environments" jsonschema:"required,minProperties=1" keys:"^[a-z][a-z0-9_-]*$"`
	// Which of the profile's kinds of credential is used.
	Auth Auth `yaml:"auth" json:"auth" jsonschema:"required"`
	// Operations of the provider that the plan uses, by your name for them.
	Endpoints map[string]*Endpoint `yaml:"endpoints" json:"endpoints" jsonschema:"required" keys:"^[a-z][a-z0-9_-]*$"`
	// Tables between the provider's fields and yours, by name: one row a field.
	Mappings map[string][]MappingRow `yaml:"mappings,omitempty" json:"mappings,omitempty" keys:"^[A-Za-z][A-Za-z0-9_-]*$"`
	// What follows which answer: by HTTP status 400 to 599, by 5xx for all of
	// them, or by timeout and network. What is not named here follows the
	// default policy, which the end of this reference shows.
	Errors map[string]ErrorPolicy `yaml:"errors,omitempty" json:"errors,omitempty" keys:"^([45][0-9][0-9]|5xx|timeout|network)$"`
	// How much of the provider's limits is used, and how long to wait.
	Limits Limits `yaml:"limits,omitempty" json:"limits,omitempty"`
	// When calls are held back because the provider is down.
	Breaker Breaker `yaml:"breaker,omitempty" json:"breaker,omitempty"`
	// How long calls go on, in front of the caller and in the queue.
	Calls Calls `yaml:"calls,omitempty" json:"calls,omitempty"`
	// Which of the provider's events are used, and how they are handled.
	Webhooks *Webhooks `yaml:"webhooks,omitempty" json:"webhooks,omitempty"`
	// Your own addresses that receive events, by name.
	Destinations map[string]Destination `yaml:"destinations,omitempty" json:"destinations,omitempty" keys:"^[a-z][a-z0-9_-]*$"`
	// Who looks after the integration and hears about trouble.
	Monitoring Monitoring `yaml:"monitoring,omitempty" json:"monitoring,omitempty"`
	// How it goes live: in steps, each with what must hold before the next.
	Rollout *Rollout `yaml:"rollout,omitempty" json:"rollout,omitempty"`
	// How it ends: what is taken along, and what is deleted.
	Exit *Exit `yaml:"exit,omitempty" json:"exit,omitempty"`
	// Points of a complete plan that no other key answers, by their id: a value,
	// why one does not apply, or what still has to be asked.
	Points map[string]Point `yaml:"points,omitempty" json:"points,omitempty" keys:"^[RE][0-9]{1,2}([.][0-9]{1,2})?$"`
	// What nobody has answered yet; the plan's document shows it first.
	OpenQuestions []Question `yaml:"open_questions,omitempty" json:"open_questions,omitempty"`
	// Operations that came close and were not picked.
	Considered []Considered `yaml:"considered,omitempty" json:"considered,omitempty"`

	// Provider is the catalog profile with the overlay applied. Load sets it;
	// it is never part of the file.
	Provider *catalog.Profile `yaml:"-" json:"-"`
	// File is where the plan was read from; empty when it was not.
	File string `yaml:"-" json:"-"`

	positions map[string]Position // YAML path → place in File
}

// Position is a place in the plan file, both counted from 1. The zero Position
// is no place: the plan was not read from a file.
type Position struct{ Line, Column int }

// Decision records build, sdk or buy (R0.2).
type Decision struct {
	// What was decided: a client of your own, the provider's SDK, or a product.
	Choice string `yaml:"choice" json:"choice" jsonschema:"required,enum=build,enum=sdk,enum=buy"`
	// The reasons, for whoever asks in a year.
	Why string `yaml:"why" json:"why" jsonschema:"required,minLength=1"`
	// What was weighed: one row a criterion.
	Weighed []Criterion `yaml:"weighed,omitempty" json:"weighed,omitempty"`
	// Who decided, and is asked when it is in doubt.
	Owner string `yaml:"owner,omitempty" json:"owner,omitempty"`
	// When to look at it again: YYYY-MM-DD.
	ReviewBy string `yaml:"review_by,omitempty" json:"review_by,omitempty" jsonschema:"pattern=^[0-9]{4}-[0-9]{2}-[0-9]{2}$" want:"a date: YYYY-MM-DD"`
}

// ProfileOverlay overrides facts of the catalog profile and records who
// confirmed which.
type ProfileOverlay struct {
	// API version that is asked for; the newest the profile knows when empty.
	Version string `yaml:"version,omitempty" json:"version,omitempty"`
	// The provider's API document the plan was made from.
	Spec *Spec `yaml:"spec,omitempty" json:"spec,omitempty"`
	// Numbers of your own contract, by name of the profile's limit: they take the
	// place of the published ones. An optional limit that stands here is kept.
	Limits map[string]int `yaml:"limits,omitempty" json:"limits,omitempty" keys:"^[A-Za-z0-9][A-Za-z0-9_.-]*$"`
	// Base URL of the API, instead of the profile's.
	BaseURL string `yaml:"base_url,omitempty" json:"base_url,omitempty" jsonschema:"pattern=^https?://[^/?#@ ]+(/[^?# ]*)?$" want:"an absolute http or https URL without user, query or fragment"`
	// Sections of the profile a person has vouched for: api, auth, limits,
	// errors, idempotency, pagination, webhooks, sandbox, sdk, service, document.
	Confirmed map[string]Confirmation `yaml:"confirmed,omitempty" json:"confirmed,omitempty" keys:"^(api|auth|limits|errors|idempotency|pagination|webhooks|sandbox|sdk|service|document)$"`
}

// Spec pins the provider's API document.
type Spec struct {
	// Where it is, relative to the plan; "embedded:NAME" is the copy inside
	// the program.
	File string `yaml:"file" json:"file" jsonschema:"required,minLength=1"`
	// SHA-256 of its unpacked bytes in hex; it may be cut short with "…".
	SHA256 string `yaml:"sha256,omitempty" json:"sha256,omitempty" jsonschema:"pattern=^([0-9a-f]{64}|[0-9a-f]{4}[0-9a-f]*…)$" want:"64 hex digits in lower case, or at least the first 4 followed by …"`
}

// Matches reports whether sum, 64 hex digits, is the pinned hash. A Spec
// without one matches everything.
func (s *Spec) Matches(sum string) bool {
	if s == nil || s.SHA256 == "" {
		return true
	}
	if start, short := strings.CutSuffix(s.SHA256, "…"); short {
		return strings.HasPrefix(sum, start)
	}
	return sum == s.SHA256
}

// Confirmation is a person vouching for a section of the profile.
type Confirmation struct {
	// The day it was looked up: YYYY-MM-DD.
	On string `yaml:"on" json:"on" jsonschema:"required,pattern=^[0-9]{4}-[0-9]{2}-[0-9]{2}$" want:"a date: YYYY-MM-DD"`
	// Who looked it up.
	By string `yaml:"by" json:"by" jsonschema:"required,minLength=1"`
	// Where it can be read again.
	Source string `yaml:"source,omitempty" json:"source,omitempty"`
}

// Environment is one stage of your product with its own account at the provider.
type Environment struct {
	// Base URL in this environment, instead of the profile's; the sandbox in
	// development.
	BaseURL string `yaml:"base_url,omitempty" json:"base_url,omitempty" jsonschema:"pattern=^https?://[^/?#@ ]+(/[^?# ]*)?$" want:"an absolute http or https URL without user, query or fragment"`
	// References to secrets by name, never the secrets themselves: one
	// reference, or several that are valid at once while a secret is rotated.
	// env:NAME is an environment variable, file:PATH a file. vault: and ssm:
	// are part of the format; this version refuses to serve an environment
	// that uses them.
	Secrets map[string]catalog.OneOrMore `yaml:"secrets,omitempty" json:"secrets,omitempty" keys:"^[a-z][a-z0-9_]*$"`
}

// Auth picks a credential kind of the profile.
type Auth struct {
	// The kind, one of the profile's.
	Use string `yaml:"use" json:"use" jsonschema:"required,enum=api_key,enum=oauth2,enum=client_credentials,enum=password,enum=jwt_bearer,enum=jwt,enum=basic"`
	// Whose credential it is: app is one for all calls, kept among the secrets of
	// the environment; tenant is one for each of your customers, who connect it
	// themselves. Keys and basic are the app's when nothing is said, all else is
	// the tenant's. With app, a token that has to be asked for or signed is, with
	// the secrets client_id, client_secret, private_key, key_id, subject, username,
	// password, and those that the profile's addresses name; oauth2, where
	// somebody has to authorise, is the tenant's always.
	Whose string `yaml:"whose,omitempty" json:"whose,omitempty" jsonschema:"enum=app,enum=tenant"`
	// What is asked for when a tenant connects, besides what the profile needs.
	Scopes []string `yaml:"scopes,omitempty" json:"scopes,omitempty"`
	// Destination that is told when a connection needs its tenant, ends or is
	// well again.
	Tell string `yaml:"tell,omitempty" json:"tell,omitempty"`
	// How old a credential may become before it is to be replaced.
	RotateEvery Duration `yaml:"rotate_every,omitempty" json:"rotate_every,omitempty"`
}

// OfTenants reports whether each tenant has a credential of its own, kept as a
// connection.
func (a Auth) OfTenants() bool {
	if a.Whose != "" {
		return a.Whose == "tenant"
	}
	return a.Use != "api_key" && a.Use != "basic"
}

// Granted reports whether one token serves all calls, which the gateway asks the
// provider for, or signs, with the secrets of the environment. It is kept as a
// connection of nobody.
func (a Auth) Granted() bool {
	return a.Whose == "app" && slices.Contains([]string{"client_credentials", "password", "jwt_bearer", "jwt"}, a.Use)
}

// Limits is how the provider's limits are used (R4.12, R4.13).
type Limits struct {
	// Share of each of the provider's limits that is used.
	Headroom Percent `yaml:"headroom,omitempty" json:"headroom,omitempty" jsonschema:"default=80%"`
	// How long a caller may wait for its turn before it is turned away.
	Wait Duration `yaml:"wait,omitempty" json:"wait,omitempty" jsonschema:"default=5s"`
	// How many callers may wait at once; one more is turned away or queued.
	Queue int `yaml:"queue,omitempty" json:"queue,omitempty" jsonschema:"default=1000"`
	// enforce holds calls back; observe lets all through and counts those that
	// would have been held back.
	Mode string `yaml:"mode,omitempty" json:"mode,omitempty" jsonschema:"enum=enforce,enum=observe,default=enforce"`
}

// Observes reports whether limits are only watched.
func (l Limits) Observes() bool { return l.Mode == "observe" }

// Breaker is when calls to a host are held back because it fails or is slow
// (R4.10): so many in a hundred of the calls in a window, once there were
// enough of them. While it is open, calls end in their fallback.
type Breaker struct {
	// Share of failed calls that opens it.
	Failures Percent `yaml:"failures,omitempty" json:"failures,omitempty" jsonschema:"default=50%"`
	// What counts as a slow call.
	Slow Duration `yaml:"slow,omitempty" json:"slow,omitempty" jsonschema:"default=5s"`
	// Share of slow calls that opens it.
	SlowCalls Percent `yaml:"slow_calls,omitempty" json:"slow_calls,omitempty" jsonschema:"default=80%"`
	// Time that is looked back upon.
	Window Duration `yaml:"window,omitempty" json:"window,omitempty" jsonschema:"default=30s"`
	// Calls in the window below which it stays closed.
	Minimum int `yaml:"minimum,omitempty" json:"minimum,omitempty" jsonschema:"default=20"`
	// How long it stays open before a few calls are let through to see.
	Pause Duration `yaml:"pause,omitempty" json:"pause,omitempty" jsonschema:"default=10s"`
	// The pause doubles each time they fail, up to this.
	MaxPause Duration `yaml:"max_pause,omitempty" json:"max_pause,omitempty" jsonschema:"default=2m"`
}

// Calls is how long calls go on.
type Calls struct {
	// How long one call may take with all its attempts and waits, while its
	// caller waits.
	Deadline Duration `yaml:"deadline,omitempty" json:"deadline,omitempty" jsonschema:"default=2m"`
	// How long a call may stay in the durable queue before it is given to a
	// person.
	Expire Duration `yaml:"expire,omitempty" json:"expire,omitempty" jsonschema:"default=24h"`
	// Share of recent calls that may be retries; further ones are not made, so
	// that a provider in trouble is not buried under them (R4.16).
	RetryBudget Percent `yaml:"retry_budget,omitempty" json:"retry_budget,omitempty" jsonschema:"default=20%"`
}

// Webhooks is what is done with the provider's events (R5).
type Webhooks struct {
	// Further addresses of this service: /api/webhooks/SERVICE/NAME. The one
	// without a name is always there.
	Sources map[string]Source `yaml:"sources,omitempty" json:"sources,omitempty" keys:"^[A-Za-z0-9][A-Za-z0-9_-]*$"`
	// Where in the request your customer is named: json:a.b.c, header:NAME,
	// form:KEY or query:KEY. The word "path" takes the last part of the address,
	// /api/webhooks/SERVICE/TENANT; the word "account" finds the connection whose
	// account at the provider the event names.
	Tenant string `yaml:"tenant,omitempty" json:"tenant,omitempty"`
	// Where in the request the resource is named that the event is about, in
	// the same form. It becomes the subject of the delivery.
	OrderBy string `yaml:"order_by,omitempty" json:"order_by,omitempty"`
	// Whether each destination has the events with the same subject one after the
	// other, in the order in which they came; other events and other destinations
	// do not wait for them. Needs order_by.
	Ordered bool `yaml:"ordered,omitempty" json:"ordered,omitempty"`
	// How an event tells that a call of ours caused it: places in the request,
	// each with the values that say so. The value "call.key" is the idempotency
	// key of any call of ours. Such events are marked and delivered.
	Echo map[string]catalog.OneOrMore `yaml:"echo,omitempty" json:"echo,omitempty"`
	// Event types that are used, each with its handling. Every other type is
	// kept as ignored and not delivered.
	Events map[string]EventHandling `yaml:"events" json:"events" jsonschema:"required,minProperties=1" keys:"^[!-~]+( [!-~]+)*$"`
	// How long what came in is kept; 30 days for payloads and 90 for ids when
	// nothing is said.
	Retention *Retention `yaml:"retention,omitempty" json:"retention,omitempty"`
	// Paths in the payload that lists, logs and the API never show, and that are
	// taken out of what is kept once the event was processed: customer.email,
	// lines.data[*].description. The delivery has them; a replay after that has not.
	Redact []string `yaml:"redact,omitempty" json:"redact,omitempty"`
	// Values of path variables where events are listed and subscribed to at the
	// provider: which repository, which calendar.
	Path map[string]string `yaml:"path,omitempty" json:"path,omitempty" keys:"^[A-Za-z_][A-Za-z0-9_]*$"`
	// How events that never came are found.
	Reconcile *Reconcile `yaml:"reconcile,omitempty" json:"reconcile,omitempty"`
}

// EventHandling is what happens to one event type.
type EventHandling struct {
	// Path of the resource in the payload: data.object. The whole payload when
	// empty.
	From string `yaml:"from,omitempty" json:"from,omitempty"`
	// Mapping that is applied to it; without one it is handed over as it came.
	Map string `yaml:"map,omitempty" json:"map,omitempty"`
	// Destination that receives it, or several, each with a state of its own;
	// without one, the Go handler registered for the type.
	To catalog.OneOrMore `yaml:"to,omitempty" json:"to,omitempty"`
	// Further destinations, each with the conditions under which it receives the
	// event. An event that none is to receive is kept as ignored.
	Routes []Route `yaml:"routes,omitempty" json:"routes,omitempty"`
	// For events that only name what changed: the endpoint that reads it, before
	// it is mapped.
	Fetch *Fetch `yaml:"fetch,omitempty" json:"fetch,omitempty"`
}

// Destinations are the names of all destinations the event may go to, each once.
func (e EventHandling) Destinations() []string {
	list := slices.Clone([]string(e.To))
	for _, r := range e.Routes {
		list = append(list, r.To...)
	}
	var once []string
	for _, name := range list {
		if !slices.Contains(once, name) {
			once = append(once, name)
		}
	}
	return once
}

// Source is one further address at which the provider sends events.
type Source struct {
	// Secret of the environment that verifies what comes there; webhook_secret
	// when empty.
	Secret string `yaml:"secret,omitempty" json:"secret,omitempty"`
	// Your customer whose events come there; found as for the main address when
	// empty.
	Tenant string `yaml:"tenant,omitempty" json:"tenant,omitempty"`
}

// Route is a destination with conditions.
type Route struct {
	// Destinations that receive the event when all conditions hold.
	To catalog.OneOrMore `yaml:"to" json:"to" jsonschema:"required"`
	// Conditions: places in the request (json:a.b, header:NAME, form:KEY), or the
	// words tenant and source, each with the values it may have. "*" is any value, "-" none at all.
	When map[string]catalog.OneOrMore `yaml:"when" json:"when" jsonschema:"required,minProperties=1"`
}

// Fetch reads what an event is about (R5.13).
type Fetch struct {
	// Endpoint that reads it; its effect is read. What it answers takes the place
	// of the payload, for from and map.
	Endpoint string `yaml:"endpoint" json:"endpoint" jsonschema:"required"`
	// Its path variables: name to the place in the event, json:a.b.
	Path map[string]string `yaml:"path,omitempty" json:"path,omitempty"`
	// Its query: parameter to the place in the event, json:a.b.
	Query map[string]string `yaml:"query,omitempty" json:"query,omitempty"`
}

// Retention is how long things are kept.
type Retention struct {
	// Exact bytes of an event.
	Payload Duration `yaml:"payload,omitempty" json:"payload,omitempty" jsonschema:"default=30d"`
	// Ids of events, by which repeats are recognised. Not shorter than payload.
	IDs Duration `yaml:"ids,omitempty" json:"ids,omitempty" jsonschema:"default=90d"`
}

// Kept is how long payloads and ids are kept, defaults included; ids never
// shorter than payloads.
func (w *Webhooks) Kept() (payload, ids time.Duration) {
	var r Retention
	if w != nil && w.Retention != nil {
		r = *w.Retention
	}
	payload = r.Payload.Or(DefaultPayloadRetention)
	return payload, max(payload, r.IDs.Or(DefaultIDRetention))
}

// Reconcile finds events that never came (R5.14).
type Reconcile struct {
	// Endpoint that lists events; its effect is read.
	List string `yaml:"list" json:"list" jsonschema:"required"`
	// How often it is asked.
	Every Duration `yaml:"every" json:"every" jsonschema:"required"`
	// How far each question reaches back behind the one before.
	Overlap Duration `yaml:"overlap,omitempty" json:"overlap,omitempty"`
}

// Destination is an endpoint of yours that receives events.
type Destination struct {
	// Where events are posted to; or the topic of a broker they are published
	// on: nats://HOST/SUBJECT, kafka://HOST/TOPIC, awssqs://ADDRESS-OF-QUEUE,
	// gcppubsub://PROJECT/TOPIC.
	URL string `yaml:"url" json:"url" jsonschema:"required,pattern=^(https?|nats|kafka|awssqs|gcppubsub)://[^/?#@ ]+([/?][^# ]*)?$" want:"an absolute URL without user or fragment"`
	// Reference to the secret that signs deliveries (Standard Webhooks). With
	// several, each delivery is signed with all of them, so that they can be
	// swapped. A broker needs none.
	Secret catalog.OneOrMore `yaml:"secret,omitempty" json:"secret,omitempty" jsonschema:"pattern=^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|vault:.+|ssm:.+)$"`
	// What is delivered: cloudevents is the mapped resource in a CloudEvent; raw
	// is the provider's own body and headers, so that its SDK can verify them
	// again, with our headers beside them.
	Format string `yaml:"format,omitempty" json:"format,omitempty" jsonschema:"enum=cloudevents,enum=raw,default=cloudevents"`
	// The most deliveries in a time: 50/s, 600/m, 10000/h. Further events wait.
	Rate string `yaml:"rate,omitempty" json:"rate,omitempty" jsonschema:"pattern=^[1-9][0-9]*/[smh]$" want:"a number and a time, such as 50/s, 600/m or 10000/h"`
	// The most deliveries that are under way at once in one process.
	Concurrency int `yaml:"concurrency,omitempty" json:"concurrency,omitempty" jsonschema:"default=16"`
	// How long one delivery may take.
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty" jsonschema:"default=10s"`
}

// brokers are the schemes of destinations that are no HTTP addresses.
var brokers = []string{"nats", "kafka", "awssqs", "gcppubsub"}

// Broker reports whether deliveries are published on a broker's topic and not
// posted to an HTTP address.
func (d Destination) Broker() bool {
	scheme, _, ok := strings.Cut(d.URL, "://")
	return ok && slices.Contains(brokers, scheme)
}

// Raw reports whether the provider's own body is delivered.
func (d Destination) Raw() bool { return d.Format == "raw" }

// RatePerSecond is the most deliveries in a second; 0 for no bound.
func (d Destination) RatePerSecond() float64 {
	number, unit, ok := strings.Cut(d.Rate, "/")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0
	}
	return float64(n) / map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
}

// Monitoring is who looks after the integration and hears about trouble (R6.4).
type Monitoring struct {
	// Silence for longer than this is reported.
	ExpectCallsEvery Duration `yaml:"expect_calls_every,omitempty" json:"expect_calls_every,omitempty"`
	// Names of the channels that are told.
	Notify []string `yaml:"notify,omitempty" json:"notify,omitempty"`
	// Team that is on call for it.
	Owner string `yaml:"owner,omitempty" json:"owner,omitempty"`
	// Where it is written what to do.
	Runbook string `yaml:"runbook,omitempty" json:"runbook,omitempty"`
}

// Question is one thing nobody has answered yet.
type Question struct {
	// Row id or section of the profile it is about.
	About string `yaml:"about" json:"about" jsonschema:"required,minLength=1"`
	// The question.
	Ask string `yaml:"ask" json:"ask" jsonschema:"required,minLength=1"`
	// Where the answer may be found.
	Look string `yaml:"look,omitempty" json:"look,omitempty"`
}

// Considered is an operation that was not picked, and why (R8.2).
type Considered struct {
	// The operation: METHOD /path.
	Call string `yaml:"call" json:"call" jsonschema:"required,pattern=^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[^ ?#]*$" want:"METHOD /path, such as POST /v1/customers"`
	// The reason.
	WhyNot string `yaml:"why_not" json:"why_not" jsonschema:"required,minLength=1"`
}
