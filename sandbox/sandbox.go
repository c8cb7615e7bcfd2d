package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// What a sandbox keeps at most.
const (
	maxBody     = 1 << 20 // bytes of a request
	maxObjects  = 10_000  // created objects and events
	maxKeys     = 10_000  // idempotency keys
	maxRequests = 1_000   // entries of the request log
	maxQueue    = 1_000   // events waiting to be sent
)

// Config says whose stand-in a sandbox is.
type Config struct {
	Plan     *plan.Plan        // with its Provider set, as plan.Load gives it
	Document *openapi.Document // the provider's API document
	// Fixtures are sample objects as {"resources": {name: object}}, by the name
	// their schema has in the document. Nil: samples are made from the schemas.
	Fixtures []byte
	Secrets  Secrets
	// OAuth is the provider's authorization server. It answers at the same address,
	// and calls need a token that it gave. Nil: there is none, and any bearer
	// token is taken where the plan wants one.
	OAuth *OAuth
	// WebhooksTo is the URL that events are sent to. Empty: they are only kept.
	WebhooksTo string
	// LoseEvents is the share of events that calls cause which are never sent, 0
	// to 1. The provider's list has them.
	LoseEvents float64
	Faults     []Fault
	Seed       uint64           // two sandboxes with one seed answer alike
	Now        func() time.Time // nil: the real time
	Client     *http.Client     // sends webhooks; nil: one with a timeout of 10 seconds
	Log        *slog.Logger     // nil: nothing is logged
}

// Secrets are the test credentials of the stand-in.
type Secrets struct {
	// APIKeys are accepted. Empty: any that begins like a test key of the
	// provider, or any at all when the profile knows no such beginning.
	APIKeys []integration.Secret
	// Webhook signs events. Empty: events are not sent.
	Webhook integration.Secret
}

// Sandbox stands in for a provider. Make it with New; it is safe for
// concurrent use.
type Sandbox struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	model   *model
	routes  *router
	dialect *dialect
	guard   *guard
	sender  *sender
	control http.Handler
	journal journal
	faults  faults

	mu      sync.Mutex // guards what calls change
	objects *objects
	keys    *keys
	dice    *dice
}

// New makes a sandbox, or says what it lacks.
func New(cfg Config) (*Sandbox, error) {
	if cfg.Plan == nil || cfg.Plan.Provider == nil {
		return nil, errors.New("sandbox: a plan with its provider profile is needed; load it with plan.Load")
	}
	if cfg.Document == nil {
		return nil, errors.New("sandbox: the provider's document is needed; name it in the plan's profile.spec")
	}
	s := &Sandbox{cfg: cfg, log: cfg.Log, now: cfg.Now, objects: newObjects(), keys: newKeys(), dice: newDice(cfg.Seed)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if s.model, err = newModel(cfg.Document, cfg.Fixtures); err != nil {
		return nil, err
	}
	s.routes = newRouter(s.model, cfg.Document)
	if err := s.checkPlan(); err != nil {
		return nil, err
	}
	s.dialect = newDialect(cfg.Plan.Provider.Errors, s.model)
	s.guard = newGuard(cfg.Plan, cfg.Secrets.APIKeys)
	s.guard.needs(cfg.OAuth)
	if s.sender, err = newSender(cfg, s.log); err != nil {
		return nil, err
	}
	if err := s.faults.set(s, cfg.Faults); err != nil {
		return nil, err
	}
	s.control = s.newControl()
	return s, nil
}

// checkPlan makes sure that every endpoint of the plan can be answered.
func (s *Sandbox) checkPlan() error {
	var errs []error
	for name, e := range s.cfg.Plan.Endpoints {
		method, path, _ := strings.Cut(e.Call, " ")
		if s.routes.exact(method, path) == nil {
			errs = append(errs, fmt.Errorf("sandbox: endpoint %s: the document has no operation %q", name, e.Call))
		}
	}
	return errors.Join(errs...)
}

// answer is what the provider would send.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) set(name, value string) {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(name, value)
}

// ServeHTTP answers one request. What happens to it, in order: faults that come
// before, the credential, the path, the idempotency key, the parameters, the
// effect, faults that come after.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o := s.cfg.OAuth; o != nil && o.Answers(r) {
		o.ServeHTTP(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, controlPrefix) {
		s.control.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	c := &call{request: r, body: body, id: s.requestID(), entry: s.journal.begin(s, r, body)}
	defer func() { s.journal.end(c) }()
	if err != nil {
		s.reply(w, c, s.dialect.refuse(http.StatusRequestEntityTooLarge, problem{kind: kindInvalid, message: "The request body is too large or broken."}))
		return
	}
	c.route, c.vars = s.routes.find(r.Method, s.routes.trim(r.URL.Path))
	fault := s.faults.take(c.route)
	if fault != nil {
		c.entry.Fault = fault.String()
		if !fault.wait(r.Context()) {
			return
		}
		if fault.Effect != EffectAfter && fault.interrupts() {
			s.fail(w, c, fault)
			return
		}
	}
	a := s.answer(c)
	if fault != nil && fault.interrupts() {
		s.fail(w, c, fault)
		return
	}
	s.reply(w, c, a)
}

// call is one request on its way through.
type call struct {
	request *http.Request
	body    []byte
	id      string // the provider's id for the request
	route   *route // nil: there is no such operation
	vars    map[string]string
	key     string // idempotency key
	entry   *Entry
}

// answer is the provider's answer when no fault interferes.
func (s *Sandbox) answer(c *call) *answer {
	if p := s.guard.check(c.request); p != nil {
		return s.dialect.refuse(http.StatusUnauthorized, *p)
	}
	if c.route == nil {
		return s.dialect.refuse(http.StatusNotFound, problem{
			kind: kindUnknown, message: fmt.Sprintf("Unrecognized request URL (%s: %s).", c.request.Method, c.request.URL.Path),
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	remember := func(*answer) {}
	if c.key = s.idempotencyKey(c.request); c.key != "" {
		kept, p := s.keys.begin(c)
		switch {
		case p != nil:
			return s.dialect.refuse(http.StatusBadRequest, *p)
		case kept != nil:
			c.entry.Replayed = true
			return kept
		}
		remember = func(a *answer) { s.keys.end(c, a) }
	}
	fields, p := s.read(c)
	if p != nil {
		return s.dialect.refuse(http.StatusBadRequest, *p)
	}
	a, p := s.act(c, fields)
	if p != nil {
		a = s.dialect.refuse(p.status, *p)
	}
	remember(a)
	return a
}

// idempotencyKey is the request's key where the profile says it counts.
func (s *Sandbox) idempotencyKey(r *http.Request) string {
	facts := s.cfg.Plan.Provider.Idempotency
	if facts.Header == "" {
		return ""
	}
	for _, m := range facts.Methods {
		if m == r.Method {
			return r.Header.Get(facts.Header)
		}
	}
	return ""
}

// reply sends an answer with the headers the provider puts on every one.
func (s *Sandbox) reply(w http.ResponseWriter, c *call, a *answer) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	provider := s.cfg.Plan.Provider
	if name := provider.Errors.RequestIDHeader; name != "" {
		h.Set(name, c.id)
	}
	if pin := provider.API.VersionPin; pin != nil && pin.In == "header" {
		version := c.request.Header.Get(pin.Name)
		if version == "" {
			version = s.version()
		}
		h.Set(pin.Name, version)
	}
	if c.key != "" {
		h.Set(provider.Idempotency.Header, c.key)
	}
	if len(a.body) > 0 && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	c.entry.Status = a.status
	w.WriteHeader(a.status)
	_, _ = io.Copy(w, bytes.NewReader(a.body)) // the caller may be gone
}

// version is the API version the stand-in speaks: the document's, unless the
// plan pins one.
func (s *Sandbox) version() string {
	if v := s.cfg.Plan.Profile.Version; v != "" {
		return v
	}
	return s.cfg.Document.Version
}

func (s *Sandbox) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "req_" + s.dice.letters(14)
}
