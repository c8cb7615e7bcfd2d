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
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

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

// Config is what a Receiver needs. Inbox must be set.
type Config struct {
	Services []Service
	Inbox    Inbox
	// PublicURL is how providers reach us, without a trailing slash; schemes
	// that sign the address need it. Empty takes the request's own host.
	PublicURL string
	// BodyLimit is the largest body taken, in bytes. Zero means 1 MB.
	BodyLimit int64
	// Received is called after a fresh event was kept and is due. May be nil.
	Received func(*integration.Event)
	// Keys finds the public keys that providers publish. Nil finds none: then
	// only keys that are configured as secrets verify, and a webhook that needs
	// a published one is answered 503.
	Keys verify.Keys
	// Certificate returns the client certificate that a request came with. Nil
	// takes that of the TLS connection. Where a trusted forwarder ends TLS, read
	// its header with verify.ForwardedCertificate, and only when the request is
	// from that forwarder.
	Certificate func(*http.Request) *x509.Certificate
	Log         *slog.Logger     // nil: slog.Default()
	Now         func() time.Time // nil: time.Now
}

// Service is one plan whose webhooks are taken.
type Service struct {
	Plan *plan.Plan
	// Secrets returns the signing secrets that are valid now; any one will do.
	Secrets func() []integration.Secret
	// Values are configured values that a scheme signs and the request does not
	// carry (PayPal's webhook_id), or that a handshake asks for. May be nil.
	Values map[string]string
	// Keep keeps a secret that the provider delivers in its handshake; Secrets
	// returns it from then on. Nil: such a handshake is refused with 503.
	Keep func(context.Context, integration.Secret) error
	// Visit fetches an address by which a subscription is confirmed. It has been
	// checked against the hosts of the profile. Nil: refused with 503.
	Visit func(ctx context.Context, address string) error
}

// Receiver serves the doors of all services. Make it with New.
type Receiver struct {
	config Config
	doors  map[string]*door
}

// New compiles the doors. Its error names the service and the field of the
// profile or plan that can't be used.
func New(c Config) (*Receiver, error) {
	if c.Inbox == nil {
		return nil, errors.New("receive: an inbox is needed")
	}
	if c.BodyLimit == 0 {
		c.BodyLimit = 1_000_000
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	r := &Receiver{config: c, doors: make(map[string]*door, len(c.Services))}
	var problems []error
	for _, s := range c.Services {
		d, err := newDoor(s)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.Plan.Service, err))
			continue
		}
		r.doors[s.Plan.Service] = d
	}
	return r, errors.Join(problems...)
}

// Stats returns what the door of a service did since the start; zeros when
// there is no such door.
func (r *Receiver) Stats(service string) Stats {
	d, ok := r.doors[service]
	if !ok {
		return Stats{}
	}
	return d.counters.stats()
}

// retryAfter is what a provider is told to wait when we can't keep its event.
const retryAfter = 5 * time.Second

// EventHeader names our id of the event that a webhook became. Only an answer
// to a webhook that was kept just now carries it.
const EventHeader = "Sallyport-Event"

// ServeHTTP takes one webhook at /api/webhooks/{service}.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	start := r.config.Now()
	d, ok := r.doors[strings.TrimPrefix(req.URL.Path, Prefix)]
	if !ok {
		refuse(w, &problem.Problem{Status: http.StatusNotFound, Code: "unknown_service", Detail: "no webhooks are taken at this address"})
		return
	}
	if req.Method != http.MethodPost {
		r.handshake(w, req, d, start)
		return
	}
	e, reply, verdict, err := r.take(req, d, start)
	d.counters.count(verdict)
	if verdict == verdictReceived && r.config.Received != nil {
		r.config.Received(e)
	}
	switch p := d.problem(verdict); {
	case p != nil:
		refuse(w, p)
	case reply != nil:
		writeReply(w, reply)
	default:
		if verdict != verdictDuplicate {
			w.Header().Set(EventHeader, e.ID)
		}
		d.success.write(w)
	}
	r.log(req.Context(), d, e, verdict, err, start, w.Header().Get(problem.RequestIDHeader))
}

// take is the journey of one webhook: bound, verify, read, keep. A handshake has
// a reply and no event.
func (r *Receiver) take(req *http.Request, d *door, now time.Time) (*integration.Event, *handshake.Response, verdict, error) {
	if unsupported(req.Header.Get("Content-Type")) {
		return nil, nil, verdictUnsupported, nil
	}
	body, verdict, err := r.read(req)
	if err != nil || verdict != "" {
		return nil, nil, verdict, err
	}
	in := &extract.Request{Method: req.Method, URL: r.publicURL(req), Header: req.Header, Body: body, Config: d.values}
	given := verify.Given{Secrets: d.secrets(), Now: now, Keys: r.config.Keys, Certificate: r.certificate(req)}
	if h := d.handshakes.Match(in); h != nil {
		reply, verdict, err := d.answer(req.Context(), h, in, given)
		return nil, reply, verdict, err
	}
	if err := d.verify(req.Context(), in, given, anyScheme); err != nil {
		return nil, nil, verdictOf(err), err
	}
	e, verdict, err := r.keep(req, d, in, now)
	return e, nil, verdict, err
}

// keep reads the event out of a verified request and has it kept.
func (r *Receiver) keep(req *http.Request, d *door, in *extract.Request, now time.Time) (*integration.Event, verdict, error) {
	e, err := d.event(in, now)
	if err != nil {
		return nil, verdictMalformed, err
	}
	e.ID = uuid.Must(uuid.NewV7()).String()
	within, cancel := d.untilLate(req.Context())
	defer cancel()
	fresh, err := r.config.Inbox.Accept(within, e)
	switch {
	case errors.Is(err, integration.ErrBusy):
		return e, verdictBusy, err
	case err != nil:
		return e, verdictFailed, err
	case !fresh:
		return e, verdictDuplicate, nil
	case e.Status == integration.EventIgnored:
		return e, verdictIgnored, nil
	}
	return e, verdictReceived, nil
}

// believed is the largest announced length that memory is set aside for before
// the bytes are here. Who announces more, and sends nothing, costs us nothing.
const believed = 64 << 10

// read returns the exact bytes of the body. A body that is longer than it may
// be, or shorter than it was announced, is never used.
func (r *Receiver) read(req *http.Request) ([]byte, verdict, error) {
	limit := r.config.BodyLimit
	if req.ContentLength > limit {
		return nil, verdictTooLarge, nil
	}
	if req.ContentLength > 0 && req.ContentLength <= believed {
		body := make([]byte, req.ContentLength)
		if _, err := io.ReadFull(req.Body, body); err != nil {
			return nil, verdictTruncated, err
		}
		return body, "", nil
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, limit+1))
	switch {
	case err != nil:
		return nil, verdictTruncated, err
	case int64(len(body)) > limit:
		return nil, verdictTooLarge, nil
	}
	return body, "", nil
}

// unsupported reports a content type that no provider sends events in. Every
// other one, an absent or a misspelt one too, is fine: the signature decides.
func unsupported(contentType string) bool {
	kind, _, ok := strings.Cut(strings.TrimSpace(contentType), "/")
	if !ok {
		return false
	}
	for _, wrong := range [...]string{"multipart", "image", "audio", "video", "font"} {
		if strings.EqualFold(kind, wrong) {
			return true
		}
	}
	return false
}

// certificate is what the sender proved itself with, nil for nothing.
func (r *Receiver) certificate(req *http.Request) *x509.Certificate {
	switch {
	case r.config.Certificate != nil:
		return r.config.Certificate(req)
	case req.TLS != nil && len(req.TLS.PeerCertificates) > 0:
		return req.TLS.PeerCertificates[0]
	}
	return nil
}

// publicURL is the address the provider called, as it knows it.
func (r *Receiver) publicURL(req *http.Request) string {
	base := r.config.PublicURL
	if base == "" {
		scheme := "http"
		if req.TLS != nil {
			scheme = "https"
		}
		base = scheme + "://" + req.Host
	}
	return base + req.URL.RequestURI()
}

// linger is how long a refused sender may go on sending.
const linger = time.Second

// refuse answers with p under a request id by which the log can be searched.
func refuse(w http.ResponseWriter, p *problem.Problem) {
	h := w.Header()
	if h.Get(problem.RequestIDHeader) == "" {
		h.Set(problem.RequestIDHeader, uuid.Must(uuid.NewV7()).String())
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
	case v == verdictBusy || v == verdictFailed:
		level, message = slog.LevelError, "event.not_kept"
	case !v.accepted():
		level, message = slog.LevelWarn, "event.rejected"
	}
	if !r.config.Log.Enabled(ctx, level) {
		return
	}
	attributes := make([]slog.Attr, 0, 10)
	attributes = append(attributes, slog.String("service", d.service), slog.String("verdict", string(v)))
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
	attributes = append(attributes, slog.Duration("took", r.config.Now().Sub(start)))
	r.config.Log.LogAttrs(ctx, level, message, attributes...)
}
