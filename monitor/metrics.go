package monitor

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport/sallyport/integration"
)

// other is the label of what no plan names.
const other = "other"

// Names are the words that may become labels of one service.
type Names struct {
	Events       []string // types of events
	Destinations []string // "handler" is always one
	Endpoints    []string
}

// Config is what Metrics are made with.
type Config struct {
	Services map[string]Names
	// Source tells how things stand; nil: nothing is told of that.
	Source Source
	// Fresh is how long an answer of Source serves further scrapes. Zero means 10
	// seconds; a negative one asks each time.
	Fresh   time.Duration
	Version string
	Now     func() time.Time // nil: time.Now
	// Failed is called when Source failed; nil: nobody is told, and the metric
	// sallyport_scrape_failed is 1.
	Failed func(error)
}

// Metrics counts what happens. Its methods may be called from many goroutines;
// on nil they do nothing.
type Metrics struct {
	registry *prometheus.Registry
	names    map[string]names

	door       *prometheus.HistogramVec
	arrived    *prometheus.CounterVec
	deliveries *prometheus.HistogramVec
	outcomes   *prometheus.CounterVec
	requests   *prometheus.HistogramVec
	calls      *prometheus.CounterVec
	used       *prometheus.CounterVec
	renewals   *prometheus.CounterVec
}

// names are those of a service as sets.
type names struct{ events, destinations, endpoints map[string]bool }

// Upper bounds of histograms, in seconds. The door answers in milliseconds, and
// providers give it some seconds; a delivery and a call to a provider may take a
// minute.
var (
	doorBounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	longBounds = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
)

// New makes Metrics with a registry of their own.
func New(c Config) *Metrics {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Fresh == 0 {
		c.Fresh = 10 * time.Second
	}
	if c.Failed == nil {
		c.Failed = func(error) {}
	}
	m := &Metrics{registry: prometheus.NewRegistry(), names: make(map[string]names, len(c.Services))}
	for name, n := range c.Services {
		m.names[name] = names{set(n.Events), set(append([]string{"handler"}, n.Destinations...)), set(n.Endpoints)}
	}
	histogram := func(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds}, labels)
		m.registry.MustRegister(h)
		return h
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		h := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.door = histogram("sallyport_webhook_request_seconds", "Time from a request at a webhook door to its answer, by the status that was answered.", doorBounds, "service", "status")
	m.arrived = counter("sallyport_webhook_events_total", "Events that were kept and are due, by the plan's types.", "service", "type")
	m.deliveries = histogram("sallyport_delivery_seconds", "Time of one attempt to hand an event over, by how it ended.", longBounds, "service", "destination", "state")
	m.outcomes = counter("sallyport_event_outcomes_total", "Ends of an event's turn, by the status it was left in; received means that it is tried again.", "service", "status")
	m.requests = histogram("sallyport_provider_request_seconds", "Time of one request to a provider until its answer began, by the answer's status or its absence.", longBounds, "service", "status")
	m.calls = counter("sallyport_calls_total", "Calls as they were first written down, by endpoint, state and class of the failure; a kept call goes on after that.", "service", "endpoint", "state", "class")
	m.used = counter("sallyport_credential_uses_total", "Requests with a credential, by whether the provider refused it.", "service", "refused")
	m.renewals = counter("sallyport_token_renewals_total", "Renewals of tokens, by whether they succeeded.", "service", "success")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_build_info", Help: "Always 1; its label is the version.", ConstLabels: prometheus.Labels{"version": c.Version}})
	build.Set(1)
	m.registry.MustRegister(build)
	if c.Source != nil {
		m.registry.MustRegister(newStanding(c))
	}
	return m
}

func set(list []string) map[string]bool {
	all := make(map[string]bool, len(list))
	for _, one := range list {
		all[one] = true
	}
	return all
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 30 * time.Second})
}

// known is name where it is one of those, or other.
func known(all map[string]bool, name string) string {
	if all[name] {
		return name
	}
	return other
}

// service is the label of a service and what it names.
func (m *Metrics) service(name string) (string, names) {
	if n, ok := m.names[name]; ok {
		return name, n
	}
	return other, names{}
}

// Door counts a request at a webhook door, and the status that it was answered.
func (m *Metrics) Door(service string, status int, took time.Duration) {
	if m == nil {
		return
	}
	label, _ := m.service(service)
	m.door.WithLabelValues(label, code(status)).Observe(took.Seconds())
}

// Arrived counts an event that was kept and is due.
func (m *Metrics) Arrived(e *integration.Event) {
	if m == nil {
		return
	}
	label, n := m.service(e.Service)
	m.arrived.WithLabelValues(label, known(n.events, e.Type)).Inc()
}

// Handled counts the end of an event's turn with its attempts.
func (m *Metrics) Handled(e *integration.Event, o *integration.Outcome) {
	if m == nil {
		return
	}
	label, n := m.service(e.Service)
	for i := range o.Deliveries {
		d := &o.Deliveries[i]
		m.deliveries.WithLabelValues(label, known(n.destinations, d.Destination), string(d.State)).Observe(d.Took.Seconds())
	}
	if !o.Released {
		m.outcomes.WithLabelValues(label, string(o.Status)).Inc()
	}
}

// Call counts a call that was written down.
func (m *Metrics) Call(c *integration.Call) {
	if m == nil {
		return
	}
	label, n := m.service(c.Service)
	endpoint, class := known(n.endpoints, c.Endpoint), "none"
	if c.Endpoint == "" {
		endpoint = "proxy"
	}
	if c.Failure != nil {
		class = string(c.Failure.Class)
	}
	m.calls.WithLabelValues(label, endpoint, string(c.State), class).Inc()
}

// Used counts a request that was made with a credential.
func (m *Metrics) Used(service string, refused bool) {
	if m == nil {
		return
	}
	label, _ := m.service(service)
	m.used.WithLabelValues(label, strconv.FormatBool(refused)).Inc()
}

// Renewed counts the renewal of a token; err is why it failed.
func (m *Metrics) Renewed(service string, err error) {
	if m == nil {
		return
	}
	label, _ := m.service(service)
	m.renewals.WithLabelValues(label, strconv.FormatBool(err == nil)).Inc()
}

// Requests is a transport that counts the requests of a service and how long
// they take.
func (m *Metrics) Requests(service string, next http.RoundTripper) http.RoundTripper {
	if m == nil {
		return next
	}
	label, _ := m.service(service)
	return &measured{m.requests, label, next}
}

type measured struct {
	requests *prometheus.HistogramVec
	service  string
	next     http.RoundTripper
}

// RoundTrip sends.
func (t *measured) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := t.next.RoundTrip(r)
	status := "error"
	if err == nil {
		status = code(resp.StatusCode)
	}
	t.requests.WithLabelValues(t.service, status).Observe(time.Since(start).Seconds())
	return resp, err
}

// Unwrap is the transport that sends.
func (t *measured) Unwrap() http.RoundTripper { return t.next }

// code is an HTTP status as a label: those that are told apart, and else its
// class, as a stranger may answer with any number.
func code(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return strconv.Itoa(status)
	}
	if status < 100 || status > 599 {
		return other
	}
	return strconv.Itoa(status/100) + "xx"
}
