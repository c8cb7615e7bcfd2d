package handshake

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// ErrRefused is wrapped by every error of Answer: the request looks like a
// handshake and must not be answered as one. The sender should learn only "no".
var ErrRefused = errors.New("handshake refused")

// Bounds on values that are sent back or stored.
const (
	defaultMaxLength = 256
	largestMaxLength = 4096
	minSecret        = 8
)

// Set holds the handshakes of one provider. It is safe for concurrent use; each
// call needs a Request of its own. A nil Set matches nothing.
type Set struct{ list []*Handshake }

// Handshake is one compiled handshake.
type Handshake struct {
	name      string
	methods   []string
	when      []condition
	signedBy  string
	token     extract.Path
	charset   func(byte) bool
	charName  string
	maxLength int
	compute   *computation
	answer    answer
	store     extract.Path
	visit     extract.Path
	hosts     []string
}

// Response is what to answer, and what else is to be done.
type Response struct {
	Status int
	Header http.Header // always with nosniff and no-store
	Body   []byte
	// Store is a secret that signs from now on; the zero Secret when there is
	// none. It must be kept before the answer is sent.
	Store integration.Secret
	// Visit is an address to fetch with GET to confirm; empty for none. It is
	// https and of a host that the profile names.
	Visit string
}

// Compile makes a Set. The error names the handshake and the field.
func Compile(list []catalog.Handshake) (*Set, error) {
	s := &Set{}
	for i, c := range list {
		h, err := compile(c)
		if err != nil {
			return nil, fmt.Errorf("handshakes[%d] %q: %w", i, c.Name, err)
		}
		if slices.ContainsFunc(s.list, func(o *Handshake) bool { return o.name == h.name }) {
			return nil, fmt.Errorf("handshakes[%d]: name: there is another %q", i, c.Name)
		}
		s.list = append(s.list, h)
	}
	return s, nil
}

var knownMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost}

func compile(c catalog.Handshake) (*Handshake, error) {
	h := &Handshake{name: c.Name, methods: c.Method, signedBy: c.SignedBy, maxLength: c.MaxLength, hosts: c.VisitHosts}
	if len(h.methods) == 0 {
		h.methods = []string{http.MethodPost}
	}
	if h.maxLength == 0 {
		h.maxLength = defaultMaxLength
	}
	switch {
	case c.Name == "":
		return nil, errors.New("name: it is missing")
	case slices.ContainsFunc(h.methods, func(m string) bool { return !slices.Contains(knownMethods, m) }):
		return nil, fmt.Errorf("method: %v: want some of %v", h.methods, knownMethods)
	case slices.Contains(h.methods, http.MethodPost) && len(c.When) == 0:
		return nil, errors.New("when: nothing tells it from an event")
	case h.maxLength < 1 || h.maxLength > largestMaxLength:
		return nil, fmt.Errorf("max_length: %d is not from 1 to %d", c.MaxLength, largestMaxLength)
	case c.Visit != "" && c.SignedBy == "":
		return nil, errors.New("visit: only a signed request may have us fetch something")
	case c.Visit != "" && len(c.VisitHosts) == 0:
		return nil, errors.New("visit_hosts: they are missing")
	}
	if err := verify.CheckHosts(c.VisitHosts); err != nil {
		return nil, fmt.Errorf("visit_hosts: %w", err)
	}
	for _, step := range []func(catalog.Handshake) error{h.compileWhen, h.compilePaths, h.compileCharset, h.compileCompute, h.compileAnswer} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *Handshake) compilePaths(c catalog.Handshake) error {
	for _, p := range []struct {
		field, expr string
		to          *extract.Path
	}{{"token", c.Token, &h.token}, {"store", c.Store, &h.store}, {"visit", c.Visit, &h.visit}} {
		if p.expr == "" {
			continue
		}
		path, err := extract.Parse(p.expr)
		if err != nil {
			return fmt.Errorf("%s: %w", p.field, err)
		}
		*p.to = path
	}
	return nil
}

// condition is one path of When.
type condition struct {
	path   extract.Path
	absent bool
	any    bool
	values []expected
}

// expected is a value as it is, or a configured one.
type expected struct {
	text             string
	config, optional bool
}

func (h *Handshake) compileWhen(c catalog.Handshake) error {
	for _, expr := range slices.Sorted(maps.Keys(c.When)) {
		path, err := extract.Parse(expr)
		if err != nil {
			return fmt.Errorf("when: %w", err)
		}
		k := condition{path: path}
		for _, v := range c.When[expr] {
			name, isConfig := strings.CutPrefix(v, "{config:")
			switch {
			case v == "-":
				k.absent = true
			case v == "*":
				k.any = true
			case isConfig && strings.HasSuffix(name, "}"):
				bare, optional := strings.CutSuffix(strings.TrimSuffix(name, "}"), "?")
				k.values = append(k.values, expected{text: bare, config: true, optional: optional})
			default:
				k.values = append(k.values, expected{text: v})
			}
		}
		if len(c.When[expr]) == 0 || k.absent && len(c.When[expr]) > 1 {
			return fmt.Errorf("when: %s: want values, \"*\" for any or \"-\" alone for none", expr)
		}
		h.when = append(h.when, k)
	}
	return nil
}

func (k *condition) fits(r *extract.Request) bool {
	value, ok := k.path.Value(r)
	switch {
	case k.absent:
		return !ok
	case k.any:
		return ok && value != ""
	}
	return slices.ContainsFunc(k.values, func(e expected) bool {
		if !e.config {
			return ok && value == e.text
		}
		want := r.Config[e.text]
		if want == "" {
			return e.optional
		}
		return ok && subtle.ConstantTimeCompare([]byte(value), []byte(want)) == 1
	})
}

// Takes reports whether some handshake comes with the method, so that a door
// that otherwise takes POST alone knows what to let in.
func (s *Set) Takes(method string) bool {
	return s != nil && slices.ContainsFunc(s.list, func(h *Handshake) bool { return slices.Contains(h.methods, method) })
}

// Match returns the handshake that the request is, nil when it is none: then it
// is an event. It decides nothing about whether the request is to be believed.
func (s *Set) Match(r *extract.Request) *Handshake {
	if s == nil {
		return nil
	}
	for _, h := range s.list {
		if slices.Contains(h.methods, r.Method) && !slices.ContainsFunc(h.when, func(k condition) bool { return !k.fits(r) }) {
			return h
		}
	}
	return nil
}

// Name of the handshake in its profile.
func (h *Handshake) Name() string { return h.name }

// SignedBy says what must verify the request before Answer is asked: "verify" for
// any scheme of the provider, the name of a variant, or empty for nothing.
func (h *Handshake) SignedBy() string { return h.signedBy }

// Answer answers the request. Where SignedBy is not empty the caller has verified
// it. The secrets are those of the source; a delivered secret is taken only while
// there is none, unless the request is signed.
func (h *Handshake) Answer(r *extract.Request, secrets []integration.Secret) (Response, error) {
	secrets = slices.DeleteFunc(slices.Clone(secrets), integration.Secret.IsZero)
	if err := h.checkToken(r, secrets); err != nil {
		return Response{}, err
	}
	computed, err := h.computed(r, secrets)
	if err != nil {
		return Response{}, err
	}
	response, err := h.render(r, computed)
	if err != nil {
		return Response{}, err
	}
	if response.Store, err = h.delivered(r, secrets); err != nil {
		return Response{}, err
	}
	if !h.visit.IsZero() {
		address, _ := h.visit.Value(r)
		if _, err := verify.CheckAddress(address, h.hosts); err != nil {
			return Response{}, fmt.Errorf("%w: %s: %w", ErrRefused, h.visit, err)
		}
		response.Visit = address
	}
	return response, nil
}

func (h *Handshake) checkToken(r *extract.Request, secrets []integration.Secret) error {
	if h.token.IsZero() {
		return nil
	}
	got, _ := h.token.Value(r)
	if got == "" || len(got) > largestMaxLength {
		return fmt.Errorf("%w: no usable %s", ErrRefused, h.token)
	}
	same := false
	for _, s := range secrets {
		same = equal(got, s.Reveal()) || same
	}
	if !same {
		return fmt.Errorf("%w: %s is none of the %d secrets", ErrRefused, h.token, len(secrets))
	}
	return nil
}

// equal compares in a time that depends on neither.
func equal(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// delivered is the secret that the request brings, zero when it brings none or
// one that is known.
func (h *Handshake) delivered(r *extract.Request, secrets []integration.Secret) (none integration.Secret, err error) {
	if h.store.IsZero() {
		return none, nil
	}
	got, _ := h.store.Value(r)
	if len(got) < minSecret || len(got) > h.maxLength || strings.IndexFunc(got, func(c rune) bool { return c > '~' || c <= ' ' }) >= 0 {
		return none, fmt.Errorf("%w: %s holds no secret of %d to %d characters", ErrRefused, h.store, minSecret, h.maxLength)
	}
	for _, s := range secrets {
		if equal(got, s.Reveal()) {
			return none, nil // said again: our answer did not arrive
		}
	}
	if len(secrets) > 0 && h.signedBy == "" {
		return none, fmt.Errorf("%w: it brings a secret, and there is one; remove that first if the provider is to give a new one", ErrRefused)
	}
	return integration.NewSecret(got), nil
}
