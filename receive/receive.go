// Package receive is the provider's door: it takes a webhook, checks its
// signature on the raw bytes, has it kept, and only then answers 200. What a
// provider sends to try the address is answered and is no event (R5.3).
//
// The order is the guarantee (R0.5, R5.1): bound the body, verify, read the
// event's id and type, commit, answer. A wrong signature learns only "no": the
// reason goes to the log and the counters. When the store fails or is full the
// answer is 503, so that the provider comes again (R5.6).
package receive

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/handshake"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/verify"
)

// Prefix is the path every door stands under; the service's slug follows.
const Prefix = "/api/webhooks/"

// Inbox keeps a verified event. Accept returns after the event is durable; a
// repeat of the same (service, source, external id) returns fresh == false.
// integration.ErrBusy says that nothing was kept and the sender should come
// again. When ctx ends first the event may be kept all the same: the sender is
// told to come again, and the repeat is known.
type Inbox interface {
	Accept(ctx context.Context, e *integration.Event) (fresh bool, err error)
}

// ManyInbox is an Inbox that keeps many events in few commits, in any order. On
// an error AcceptAll tells of those before the first that is not known to be kept.
type ManyInbox interface {
	AcceptAll(ctx context.Context, events []*integration.Event) (fresh []bool, err error)
}

// Config is what a Receiver needs. Inbox must be set.
type Config struct {
	Services []Service
	Inbox    Inbox
	// PublicURL is how providers reach us, without a trailing slash; schemes
	// that sign the address need it. Empty takes the request's own host.
	PublicURL string
	// BodyLimit is the largest body taken, in bytes, before and after it is
	// inflated. Zero means 25 MB.
	BodyLimit int64
	// Memory is what bodies of more than 64 kB may hold together while they are
	// under way; beyond it they are answered 503. Zero means 256 MB.
	Memory int64
	// Forwarders are the networks whose X-Forwarded-Proto, X-Forwarded-Host and
	// forwarded client certificates are believed. Empty: nobody's are.
	Forwarders []netip.Prefix
	// Received is called after a fresh event was kept and is due. May be nil.
	Received func(*integration.Event)
	// Keys finds the public keys that providers publish. Nil finds none: then
	// only keys that are configured as secrets verify, and a webhook that needs
	// a published one is answered 503.
	Keys verify.Keys
	// Certificate returns the client certificate that a request came with. Nil
	// takes that of the TLS connection, or the one that one of Forwarders passes on
	// in Client-Cert, X-Forwarded-Client-Cert or Ssl-Client-Cert.
	Certificate func(*http.Request) *x509.Certificate
	Log         *slog.Logger     // nil: slog.Default()
	Now         func() time.Time // nil: time.Now
}

// Service is one address of a plan at which webhooks are taken.
type Service struct {
	Plan *plan.Plan
	// Source is the name of a further address in the plan; empty: the main one.
	Source string
	// Tenant finds the tenant that the last part of the address names, and the
	// secrets that alone verify what comes there; none: those of Secrets do. It is
	// asked where the plan says tenant: path. known is false for a tenant that has
	// no business here: 404.
	Tenant func(ctx context.Context, name string) (secrets []integration.Secret, known bool, err error)
	// Account finds the tenant whose account at the provider an event names; empty
	// for nobody's. It is asked where the plan says tenant: account.
	Account func(ctx context.Context, account string) (tenant string, err error)
	// Secrets returns the signing secrets that are valid now; any one will do.
	Secrets func() []integration.Secret
	// Values are configured values that a scheme signs and the request does not
	// carry (PayPal's webhook_id), or that a handshake asks for. May be nil.
	Values map[string]string
	// Keep keeps a secret that the provider delivers in its handshake; Secrets
	// returns it from then on. Nil: such a handshake is refused with 503.
	Keep func(context.Context, integration.Secret) error
	// KeepTenant keeps a secret that the provider delivers at a tenant's address;
	// Tenant returns it from then on, and what Tenant returns alone verifies there.
	// Nil: such a handshake is refused with 503, as one tenant's secret must not
	// verify for another.
	KeepTenant func(ctx context.Context, tenant string, secret integration.Secret) error
	// Visit fetches an address by which a subscription is confirmed. It has been
	// checked against the hosts of the profile. Nil: refused with 503.
	Visit func(ctx context.Context, address string) error
}

// Receiver serves the doors of all services. Make it with New.
type Receiver struct {
	config  Config
	doors   map[string]*door // by service, or service/source
	memory  memory
	unknown atomic.Int64
}

// New compiles the doors. Its error names the service and the field of the
// profile or plan that can't be used.
func New(c Config) (*Receiver, error) {
	if c.Inbox == nil {
		return nil, errors.New("receive: an inbox is needed")
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = 25_000_000
	}
	if c.Memory == 0 {
		c.Memory = 256_000_000
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &Receiver{config: c, doors: make(map[string]*door, len(c.Services))}
	r.memory.left.Store(c.Memory)
	shared := map[string]*counters{}
	var problems []error
	for _, s := range c.Services {
		d, err := newDoor(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.Plan.Service, err))
			continue
		}
		if shared[d.service] == nil {
			shared[d.service] = &counters{}
		}
		d.counters = shared[d.service]
		r.doors[doorName(d.service, d.source)] = d
	}
	return r, errors.Join(problems...)
}

// Stats returns what the doors of a service did since the start; zeros when
// there is none.
func (r *Receiver) Stats(service string) Stats {
	for _, d := range r.doors {
		if d.service == service {
			return d.counters.stats()
		}
	}
	return Stats{}
}

// Unknown is how many requests came to addresses at which nothing is taken.
func (r *Receiver) Unknown() int64 { return r.unknown.Load() }

// retryAfter is what a provider is told to wait when we can't keep its event.
const retryAfter = 5 * time.Second

// EventHeader names our id of the event that a webhook became. Only an answer
// to a webhook that was kept just now carries it.
const EventHeader = "Sallyport-Event"

// ServeHTTP takes one webhook at /api/webhooks/{service}, or at an address of a
// source or a tenant below it.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	start := r.config.Now()
	d, err := r.door(req)
	switch {
	case errors.Is(err, errNoDoor):
		r.unknown.Add(1)
		refuse(w, &problem.Problem{Status: http.StatusNotFound, Code: "unknown_service", Detail: "no webhooks are taken at this address"})
		return
	case err != nil:
		d.counters.count(verdictFailed)
		refuse(w, d.problem(verdictFailed))
		r.log(req.Context(), d, nil, verdictFailed, err, start, w.Header().Get(problem.RequestIDHeader))
		return
	}
	if req.Method != http.MethodPost {
		r.handshake(w, req, d, start)
		return
	}
	held := share{of: &r.memory}
	defer held.free()
	t := r.take(req, d, start, &held)
	for _, k := range t.kept {
		d.counters.count(k.verdict)
		if k.verdict == verdictReceived && r.config.Received != nil {
			r.config.Received(k.event)
		}
	}
	if len(t.kept) == 0 || !t.verdict.accepted() {
		d.counters.count(t.verdict)
	}
	switch p := d.problem(t.verdict); {
	case p != nil:
		refuse(w, p)
	case t.reply != nil:
		writeReply(w, t.reply)
	default:
		if len(t.kept) == 1 && t.kept[0].verdict != verdictDuplicate {
			w.Header().Set(EventHeader, t.kept[0].event.ID)
		}
		d.success.write(w)
	}
	requestID := w.Header().Get(problem.RequestIDHeader)
	for _, k := range t.kept {
		r.log(req.Context(), d, k.event, k.verdict, nil, start, requestID)
	}
	if len(t.kept) == 0 || !t.verdict.accepted() {
		r.log(req.Context(), d, t.lost, t.verdict, t.err, start, requestID)
	}
}

// taken is what became of one request.
type taken struct {
	verdict verdict // of the request
	kept    []kept  // events that are in the inbox
	lost    *integration.Event
	reply   *handshake.Response // of a handshake, which has no events
	err     error
}

// kept is an event that is in the inbox: received, ignored, or a duplicate.
type kept struct {
	event   *integration.Event
	verdict verdict
}

// take is the journey of one webhook: bound, verify, read, keep.
func (r *Receiver) take(req *http.Request, d *door, now time.Time, held *share) taken {
	encoding := encodingOf(req.Header)
	if encoding == otherBody || unsupported(req.Header.Get("Content-Type")) {
		return taken{verdict: verdictUnsupported}
	}
	body, verdict, err := r.read(req, held)
	if err != nil || verdict != "" {
		return taken{verdict: verdict, err: err}
	}
	came := &extract.Request{Method: req.Method, URL: r.publicURL(req), Header: req.Header, Body: body, Config: d.values}
	in := came
	if encoding == gzipBody {
		plain, verdict, err := inflate(body, r.config.BodyLimit, held)
		if err != nil {
			return taken{verdict: verdict, err: err}
		}
		header := req.Header.Clone()
		header.Del("Content-Encoding")
		in = &extract.Request{Method: req.Method, URL: came.URL, Header: header, Body: plain, Config: d.values}
	}
	given := verify.Given{Secrets: d.secrets(), Now: now, Keys: r.config.Keys, Certificate: r.certificate(req)}
	if h := d.handshakes.Match(in); h != nil {
		reply, verdict, err := d.answer(req.Context(), h, in, given)
		return taken{verdict: verdict, reply: reply, err: err}
	}
	err = d.verify(req.Context(), came, given, anyScheme)
	if err != nil && in != came { // some sign what they compress, some what comes of it
		err = d.verify(req.Context(), in, given, anyScheme)
	}
	if err != nil {
		return taken{verdict: verdictOf(err), err: err}
	}
	return r.keep(req, d, in, now)
}

// keep reads the events out of a verified request and has them kept: all, or the
// sender is told to come again, and what was kept of them is a repeat then.
func (r *Receiver) keep(req *http.Request, d *door, in *extract.Request, now time.Time) taken {
	within, cancel := d.untilLate()
	defer cancel()
	events, err := d.events(in, now)
	switch {
	case errors.Is(err, extract.ErrTooMany):
		return taken{verdict: verdictTooLarge, err: err}
	case err != nil:
		return taken{verdict: verdictFailed, err: err}
	case len(events) == 0:
		return taken{verdict: verdictEmpty}
	}
	for _, e := range events {
		if err := r.tenantOf(within, d, in, e); err != nil {
			return taken{verdict: verdictFailed, err: err, lost: e}
		}
	}
	fresh, err := r.acceptAll(within, d, events)
	t := taken{verdict: verdictReceived, err: err}
	for i, fresh := range fresh {
		k := kept{events[i], verdictReceived}
		switch {
		case !fresh:
			k.verdict = verdictDuplicate
		case events[i].Status == integration.EventIgnored:
			k.verdict = verdictIgnored
		}
		t.kept = append(t.kept, k)
	}
	switch {
	case errors.Is(err, integration.ErrBusy):
		t.verdict, t.lost = verdictBusy, events[len(fresh)]
	case err != nil:
		t.verdict, t.lost = verdictFailed, events[len(fresh)]
	}
	return t
}

// acceptAll has events kept, one after the other where their order matters. On an
// error fresh tells of those before the first that is not known to be kept.
func (r *Receiver) acceptAll(ctx context.Context, d *door, events []*integration.Event) (fresh []bool, err error) {
	if many, ok := r.config.Inbox.(ManyInbox); ok && len(events) > 1 && !d.ordered {
		return many.AcceptAll(ctx, events)
	}
	for _, e := range events {
		one, err := r.config.Inbox.Accept(ctx, e)
		if err != nil {
			return fresh, err
		}
		fresh = append(fresh, one)
	}
	return fresh, nil
}

// linger is how long a refused sender may go on sending.
const linger = time.Second

// refuse answers with p under a request id by which the log can be searched.
func refuse(w http.ResponseWriter, p *problem.Problem) {
	h := w.Header()
	if h.Get(problem.RequestIDHeader) == "" {
		h.Set(problem.RequestIDHeader, integration.NewID(time.Now()))
	}
	if p.Status == http.StatusRequestEntityTooLarge || p.Status == http.StatusUnsupportedMediaType {
		// What of the body was not read is not worth reading: the sender gets a
		// moment to see the answer, then the connection ends.
		h.Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(linger))
	}
	problem.Write(w, p)
}

// log writes the one wide line of a webhook; it never holds payload, header or
// secret.
func (r *Receiver) log(ctx context.Context, d *door, e *integration.Event, v verdict, err error, start time.Time, requestID string) {
	level, message := slog.LevelInfo, "event.received"
	switch {
	case v == verdictHandshake:
		message = "handshake.answered"
	case v == verdictBusy || v == verdictFailed || v == verdictCrowded:
		level, message = slog.LevelError, "event.not_kept"
	case !v.accepted():
		level, message = slog.LevelWarn, "event.rejected"
	}
	if !r.config.Log.Enabled(ctx, level) {
		return
	}
	var room [10]slog.Attr
	attributes := append(room[:0], slog.String("service", d.service), slog.String("verdict", string(v)))
	if d.source != "" {
		attributes = append(attributes, slog.String("source", d.source))
	}
	if e != nil {
		attributes = append(attributes, slog.String("event", e.ID), slog.String("external_id", e.ExternalID), slog.String("type", e.Type),
			slog.String("tenant", e.Tenant), slog.Int("bytes", len(e.Payload)))
	}
	if err != nil {
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	if requestID != "" {
		attributes = append(attributes, slog.String("request_id", requestID))
	}
	now := r.config.Now()
	attributes = append(attributes, slog.Duration("took", now.Sub(start)))
	line := slog.NewRecord(now, level, message, 0) // nobody asks for the line of code
	line.AddAttrs(attributes...)
	_ = r.config.Log.Handler().Handle(ctx, line) // slog ignores it as well
}
