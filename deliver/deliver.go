// Package deliver hands one leased event over: it maps it, sends it to the
// plan's destination as a signed CloudEvent or calls a Go handler, and says
// what came of it. It never touches a store; whoever leased the event writes
// the outcome down.
//
// A delivery is CloudEvents 1.0 JSON, signed with the headers of Standard
// Webhooks. 2xx is done; 410 stops; Retry-After may only delay; everything else
// is tried again on the schedule until it is used up; a person who then asks for
// the event again begins the schedule anew. An event with several destinations is
// handed to each with attempts and a schedule of its own. A destination takes no
// more than its caps at once; one that fails is left alone for a while, and what
// is for it is put off without being tried, so that others are not kept waiting.
// What a person must fix
// (a mapping that refuses the payload) fails at once, and can be retried when
// it is fixed.
package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/plan"
)

// Event is a webhook event as a Go handler gets it.
type Event struct {
	integration.Event
	// Data is the mapped resource, or the provider's own where the plan names
	// no mapping. It is JSON.
	Data []byte
}

// Handler takes an event in Go. An error, or a panic, is a failed attempt.
type Handler func(context.Context, Event) error

// HandlerName stands for a Go handler where a destination's name would.
const HandlerName = "handler"

// Config is what a Deliverer needs.
type Config struct {
	Services []Service
	// Transport sends deliveries. Nil means one that connects directly, with
	// time-outs. Destinations are the user's own, named in the plan, so private
	// addresses are allowed.
	Transport http.RoundTripper
	// Brokers opens the topics of destinations that are no HTTP addresses. Nil
	// opens them with the credential alone, and reads no environment.
	Brokers OpenBroker
	// Redelivery is how long to wait before each further attempt; when it is
	// used up the event fails. Nil means DefaultRedelivery; empty means that the
	// first attempt is the only one.
	Redelivery []time.Duration
	Log        *slog.Logger     // nil: slog.Default()
	Now        func() time.Time // nil: time.Now
	Dice       func() float64   // in [0, 1); must be set
}

// Service is one plan whose events are delivered.
type Service struct {
	Plan *plan.Plan
	// Secrets returns the signing secrets of a destination; each delivery is
	// signed with all of them.
	Secrets func(destination string) []integration.Secret
	// Fetch reads what an event is about where the plan says so. Nil: such a plan
	// is refused.
	Fetch Fetch

	known   map[string]*destination // of the plan
	several bool                    // events go to more than one of them, taken together
}

// Deliverer hands events over. Make it with New.
type Deliverer struct {
	config  Config
	client  *http.Client
	brokers brokers
	routes  map[string]map[string]*route // service → event type
	plans   map[string]Service
	counts  map[string]*counts // by service

	mu       sync.RWMutex
	handlers map[string]Handler // service/type

	paused atomic.Pointer[map[string]bool] // service/name
}

// route is what happens to one event type.
type route struct {
	from    string // as in the plan; empty: the whole payload
	path    string // the same in gjson's syntax
	mapping *mapping.Mapping
	fetch   *fetching // nil: the payload says it all
	targets
}

// New compiles the routes of every plan. Its error names the service and the
// event.
func New(c Config) (*Deliverer, error) {
	if c.Transport == nil {
		c.Transport = newTransport()
	}
	if c.Redelivery == nil {
		c.Redelivery = DefaultRedelivery()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dice == nil {
		return nil, errors.New("deliver: dice are needed")
	}
	if c.Brokers == nil {
		c.Brokers = func(address string, credential integration.Secret) (broker.Publisher, error) {
			return broker.Open(address, broker.Options{Credential: credential})
		}
	}
	d := &Deliverer{
		config: c, routes: make(map[string]map[string]*route), plans: make(map[string]Service), handlers: make(map[string]Handler),
		brokers: brokers{open: c.Brokers}, counts: make(map[string]*counts),
		client: &http.Client{
			Transport:     c.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	var problems []error
	for _, s := range c.Services {
		s.known = s.destinations()
		routes, err := compile(s)
		problems = append(problems, err)
		s.several = several(routes)
		d.routes[s.Plan.Service], d.plans[s.Plan.Service], d.counts[s.Plan.Service] = routes, s, &counts{}
	}
	return d, errors.Join(problems...)
}

func compile(s Service) (map[string]*route, error) {
	routes := make(map[string]*route)
	if s.Plan.Webhooks == nil {
		return routes, nil
	}
	var problems []error
	for name, handling := range s.Plan.Webhooks.Events {
		r := &route{from: handling.From}
		var err error
		if r.targets, err = s.compileTargets(handling); err != nil {
			problems = append(problems, fmt.Errorf("%s: webhooks.events.%s.%w", s.Plan.Service, name, err))
		}
		if handling.From != "" {
			path, err := extract.Parse("json:" + handling.From)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: webhooks.events.%s.from: %w", s.Plan.Service, name, err))
			}
			r.path = path.Name()
		}
		if handling.Fetch != nil {
			var err error
			if r.fetch, err = compileFetch(handling.Fetch); err != nil {
				problems = append(problems, fmt.Errorf("%s: webhooks.events.%s.%w", s.Plan.Service, name, err))
			}
			if s.Fetch == nil {
				problems = append(problems, fmt.Errorf("%s: webhooks.events.%s.fetch: nobody here makes calls", s.Plan.Service, name))
			}
		}
		if handling.Map != "" {
			var err error
			if r.mapping, err = mapping.Compile(s.Plan.Mappings, handling.Map); err != nil {
				problems = append(problems, fmt.Errorf("%s: webhooks.events.%s: %w", s.Plan.Service, name, err))
			}
		}
		routes[name] = r
	}
	return routes, errors.Join(problems...)
}

// several reports whether there is more than one destination.
func several(routes map[string]*route) bool {
	names := map[string]bool{}
	for _, r := range routes {
		for _, to := range r.all() {
			names[to.name] = true
		}
	}
	return len(names) > 1
}

// own is the way of an event of our own: to the destination it names, as it is.
func (d *Deliverer) own(service, name string) *route {
	r := &route{}
	if to, ok := d.plans[service].destination(name); ok {
		r.always = []*destination{to}
	}
	return r
}

// On registers a handler for one event type; it takes the place of the
// destination. It fails when there is one already.
func (d *Deliverer) On(service, eventType string, h Handler) error {
	if h == nil {
		return errors.New("deliver: the handler is nil")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := service + "/" + eventType
	if _, ok := d.handlers[key]; ok {
		return fmt.Errorf("deliver: %s %s has a handler already", service, eventType)
	}
	d.handlers[key] = h
	return nil
}

func (d *Deliverer) handler(service, eventType string) Handler {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.handlers[service+"/"+eventType]
}

// Ready reports every event that has neither a destination nor a handler, and
// every destination whose signing secret can't be used.
func (d *Deliverer) Ready() error {
	var problems []error
	for service, routes := range d.routes {
		for name, r := range routes {
			switch {
			case d.handler(service, name) != nil:
			case len(r.all()) == 0:
				problems = append(problems, fmt.Errorf("%s: webhooks.events.%s has neither a destination (to: NAME) nor a Go handler", service, name))
			default:
				for _, to := range r.all() {
					if err := to.ready(); err != nil {
						problems = append(problems, fmt.Errorf("%s: webhooks.events.%s: destination %s: %w", service, name, to.name, err))
					}
				}
			}
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// Close drops the connections to destinations that are not in use, and ends
// those to brokers. Deliveries that come later fail.
func (d *Deliverer) Close() {
	d.client.CloseIdleConnections()
	d.brokers.close()
}

// Deliver hands the event over once, to all who are to have it and are due, and
// says what came of it. It ends early with Released when ctx does, because the
// process stops or the lease was lost; it is also released, with nothing tried,
// where it is not a destination's turn, and parked where a person paused it.
func (d *Deliverer) Deliver(ctx context.Context, e integration.Event) integration.Outcome {
	r, ok := d.routes[e.Service][e.Type]
	if to, own := e.Destination(); own {
		r, ok = d.own(e.Service, to), true
	}
	if !ok { // the plan changed since the event was kept
		return integration.Outcome{Status: integration.EventIgnored, Error: "the plan does not use events of this type"}
	}
	if handler := d.handler(e.Service, e.Type); handler != nil {
		return d.deliverOne(ctx, e, r, HandlerName, nil, handler)
	}
	to := r.of(&e)
	switch {
	case len(to) == 0 && len(r.routes) > 0:
		return integration.Outcome{Status: integration.EventIgnored, Error: "the conditions of no route hold: nobody is to have it"}
	case len(to) == 0:
		return d.deliverOne(ctx, e, r, "", nil, nil)
	case len(to) == 1 && e.Progress == nil && len(e.Behind) == 0 && (!e.Ordered || !d.plans[e.Service].several):
		// With an order and several destinations, those behind it wait for its own alone.
		return d.deliverOne(ctx, e, r, to[0].name, to[0], nil)
	}
	return d.deliverMany(ctx, r, e, to)
}

// deliverOne hands the event to the one who has it: a handler, or a destination.
func (d *Deliverer) deliverOne(ctx context.Context, e integration.Event, r *route, name string, to *destination, handler Handler) integration.Outcome {
	if d.pausedNow(e.Service, name) {
		return integration.Outcome{Status: integration.EventReceived, Released: true, Parked: integration.ParkedFor(integration.DestinationName(e.Service, name))}
	}
	if to != nil {
		to.gate.wait(ctx)
	}
	start := d.config.Now()
	var p pass
	if to != nil {
		var again time.Time
		if p, again = to.gate.admit(start); p.gate == nil {
			return integration.Outcome{Status: integration.EventReceived, Released: true, DueAt: again.UTC()}
		}
	}
	one := integration.Delivery{
		ID: uuid.Must(uuid.NewV7()).String(), EventID: e.ID, Attempt: e.Attempts, Replay: e.Replays, Destination: name, StartedAt: start.UTC(),
	}
	result := d.handOver(ctx, r, p, to, handler, e, start)
	one.Took = d.config.Now().Sub(start)
	if ctx.Err() != nil && result.err != nil && !result.final {
		return integration.Outcome{Status: integration.EventReceived, Released: true}
	}
	d.panicked(ctx, e, result)
	outcome := d.outcome(e, &one, result)
	d.log(ctx, e, one, outcome.DueAt)
	return outcome
}

// handOver maps the event and gives it to the handler, or to the destination
// where there is no handler. A panic, the handler's or ours, is a failure like
// an error.
func (d *Deliverer) handOver(ctx context.Context, r *route, p pass, to *destination, handler Handler, e integration.Event, now time.Time) (res result) {
	data, failed := d.mapped(ctx, r, &e)
	switch {
	case failed.holds(to, &e):
		p.done(*failed, false, now, 0)
		return *failed
	case to != nil:
		return d.sendOnce(ctx, to, p, e, data, now)
	case handler == nil:
		return refused(errNowhere.Error())
	}
	defer func() {
		if cause := recover(); cause != nil {
			res = result{err: fmt.Errorf("%w: %v", errPanicked, cause), stack: debug.Stack()}
		}
	}()
	if err := handler(ctx, Event{Event: e, Data: data}); err != nil {
		return result{err: fmt.Errorf("the handler failed: %w", err)}
	}
	return result{}
}

// SetPaused says which destinations are paused, as service/name; those that were
// before and are not named are not any more. Events for them are parked.
func (d *Deliverer) SetPaused(names map[string]bool) {
	names = maps.Clone(names)
	d.paused.Store(&names)
}

func (d *Deliverer) pausedNow(service, name string) bool {
	paused := d.paused.Load()
	return paused != nil && len(*paused) > 0 && (*paused)[integration.DestinationName(service, name)]
}

// Destinations says how deliveries to each destination go, sorted by service and
// name. Handlers are one destination of their service, called HandlerName.
func (d *Deliverer) Destinations() []DestinationStatus {
	var list []DestinationStatus
	for service, s := range d.plans {
		for name, to := range s.known {
			one := to.gate.status()
			one.Service, one.Name, one.Paused = service, name, d.pausedNow(service, name)
			list = append(list, one)
		}
	}
	d.mu.RLock()
	handled := map[string]bool{}
	for key := range d.handlers {
		service, _, _ := strings.Cut(key, "/")
		handled[service] = true
	}
	d.mu.RUnlock()
	for service := range handled {
		list = append(list, DestinationStatus{Service: service, Name: HandlerName, Paused: d.pausedNow(service, HandlerName)})
	}
	slices.SortFunc(list, func(a, b DestinationStatus) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// Panicked is the outcome of an event whose delivery panicked where Deliver
// could not catch it: a fault of ours, tried again in a while.
func (d *Deliverer) Panicked(cause any) integration.Outcome {
	return integration.Outcome{
		Status: integration.EventReceived, Error: fmt.Sprintf("panic: %v", cause), DueAt: d.config.Now().Add(time.Minute).UTC(),
	}
}

// outcome turns the result of one attempt into what is written down.
func (d *Deliverer) outcome(e integration.Event, one *integration.Delivery, r result) integration.Outcome {
	one.Status, one.State = r.status, integration.DeliverySucceeded
	out := integration.Outcome{Status: integration.EventProcessed}
	if r.err != nil {
		one.Error = r.err.Error()
		out.Error = one.Error
		at, again := Next(d.config.Redelivery, e.Attempts-e.RetriedAfter, d.config.Now(), d.config.Dice(), r.retryAfter)
		switch {
		case r.final || !again:
			one.State, out.Status = integration.DeliveryFailed, integration.EventFailed
			if !r.final {
				out.Error += givenUp(e.Attempts, e.RetriedAfter)
			}
		default:
			one.State, out.Status, out.DueAt = integration.DeliveryRetrying, integration.EventReceived, at.UTC()
		}
	}
	out.Deliveries = []integration.Delivery{*one}
	return out
}

// data is the resource in a document, mapped where the plan says so; what names
// the document in errors.
func (r *route) data(data []byte, what string) ([]byte, error) {
	if r.path != "" {
		found := gjson.GetBytes(data, r.path)
		if !found.Exists() {
			return nil, fmt.Errorf("%s has nothing at %q", what, r.from)
		}
		data = []byte(found.Raw)
	}
	if r.mapping == nil {
		return data, nil
	}
	return r.mapping.In(data)
}

// log counts a delivery and writes its one wide line.
func (d *Deliverer) log(ctx context.Context, e integration.Event, one integration.Delivery, due time.Time) {
	d.count(e.Service, one.State)
	level := slog.LevelInfo
	switch one.State {
	case integration.DeliveryFailed:
		level = slog.LevelError
	case integration.DeliveryRetrying:
		level = slog.LevelWarn
	}
	if !d.config.Log.Enabled(ctx, level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("service", e.Service), slog.String("event", e.ID), slog.String("external_id", e.ExternalID), slog.String("type", e.Type),
		slog.String("tenant", e.Tenant), slog.String("destination", one.Destination), slog.Int("attempt", one.Attempt),
		slog.String("state", string(one.State)), slog.Int("status", one.Status), slog.Duration("took", one.Took),
	}
	if one.Error != "" {
		attributes = append(attributes, slog.String("error", one.Error))
	}
	if !due.IsZero() {
		attributes = append(attributes, slog.Duration("retry_in", due.Sub(d.config.Now())))
	}
	d.config.Log.LogAttrs(ctx, level, "delivery.attempted", attributes...)
}
