package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/handshake"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/verify"
)

// door is one service, compiled: how to verify, where the id, the type, the
// time, the subject and the tenant stand, and which types are used.
type door struct {
	service string
	schemes []scheme
	secrets func() []integration.Secret
	values  map[string]string
	keep    func(context.Context, integration.Secret) error
	visit   func(context.Context, string) error
	success success
	refused int // status of a wrong signature; 0 is 401

	patience time.Duration // how long a commit is waited for

	handshakes *handshake.Set
	id, kind   []extract.Path
	time       extract.Path
	format     string // of the time
	subject    extract.Path
	tenant     extract.Path
	used       map[string]plan.EventHandling
	drop       map[string]bool // headers that are not kept
	signed     map[string]bool // headers that verify an event again
	raw        map[string]bool // types that are delivered raw somewhere
	counters   counters
}

func newDoor(s Service) (*door, error) {
	p := s.Plan
	if p.Provider == nil || p.Provider.Webhooks == nil {
		return nil, errors.New("the profile says nothing about webhooks")
	}
	if p.Webhooks == nil {
		return nil, errors.New("the plan uses no webhooks")
	}
	facts := p.Provider.Webhooks
	d := &door{
		service: p.Service, secrets: s.Secrets, format: facts.TimeFormat, used: p.Webhooks.Events, drop: unkept(facts),
		signed: signatures(facts), raw: rawTypes(p), values: s.Values, keep: s.Keep, visit: s.Visit, refused: facts.Answer.Refused, success: successOf(facts.Answer),
		patience: patience(facts.Answer.DeadlineS),
	}
	if err := d.compileSchemes(facts); err != nil {
		return nil, err
	}
	if err := d.compileHandshakes(facts); err != nil {
		return nil, err
	}
	var problems []error
	path := func(at, expression string) (path extract.Path) {
		if expression == "" {
			return path
		}
		path, err := extract.Parse(expression)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", at, err))
		}
		return path
	}
	for _, expression := range facts.ID {
		d.id = append(d.id, path("profile webhooks.id", expression))
	}
	for _, expression := range facts.Type {
		d.kind = append(d.kind, path("profile webhooks.type", expression))
	}
	d.time = path("profile webhooks.time", facts.Time)
	d.subject = path("webhooks.order_by", p.Webhooks.OrderBy)
	d.tenant = path("webhooks.tenant", p.Webhooks.Tenant)
	return d, errors.Join(problems...)
}

// compileSchemes takes the profile's scheme and those of its variants that
// this version knows. Any one of them verifying is enough.
func (d *door) compileSchemes(facts *catalog.Webhooks) error {
	compiled, err := verify.Compile(facts.Verify)
	switch {
	case err == nil:
		d.schemes = append(d.schemes, scheme{anyScheme, compiled})
	case !errors.Is(err, verify.ErrUnsupported):
		return fmt.Errorf("profile webhooks.verify: %w", err)
	}
	for _, variant := range facts.Variants {
		compiled, variantErr := verify.Compile(variant.Verify)
		switch {
		case variantErr == nil:
			d.schemes = append(d.schemes, scheme{variant.Name, compiled})
		case !errors.Is(variantErr, verify.ErrUnsupported):
			return fmt.Errorf("profile webhooks.variants.%s: %w", variant.Name, variantErr)
		}
	}
	if len(d.schemes) == 0 {
		return fmt.Errorf("profile webhooks.verify: %w", err)
	}
	return nil
}

// scheme is one way the provider signs, by the name of its variant.
type scheme struct {
	name string
	*verify.Scheme
}

// anyScheme is the name of the provider's main scheme, and asks for any.
const anyScheme = "verify"

// verify accepts what any scheme accepts, or the named variant. The error is that
// of the first scheme the request is signed in, else the first scheme's, which is
// the one the provider uses now.
func (d *door) verify(ctx context.Context, in *extract.Request, given verify.Given, by string) error {
	var first error
	for _, s := range d.schemes {
		if by != anyScheme && by != s.name {
			continue
		}
		err := s.VerifyWith(ctx, in, given)
		if err == nil {
			return nil
		}
		if first == nil || errors.Is(first, verify.ErrUnsigned) && !errors.Is(err, verify.ErrUnsigned) {
			first = err
		}
	}
	return first
}

// Errors of a webhook that is rightly signed and yet can't be used.
var (
	errNoID   = errors.New("the event has no id where the profile says it stands")
	errNoType = errors.New("the event has no type where the profile says it stands")
	errNoJSON = errors.New("the body is neither JSON nor a form")
)

// maxName bounds ids, types, subjects and tenants; nothing longer is one.
const maxName = 512

// event reads the event out of a verified request.
func (d *door) event(in *extract.Request, now time.Time) (*integration.Event, error) {
	if !in.IsForm() && !in.ValidJSON() {
		return nil, errNoJSON
	}
	e := &integration.Event{Service: d.service, Payload: in.Body, ReceivedAt: now.UTC(), DueAt: now.UTC(), Status: integration.EventReceived}
	var ok bool
	if e.ExternalID, ok = name(in, d.id); !ok {
		return nil, errNoID
	}
	if e.Type, ok = name(in, d.kind); !ok {
		return nil, errNoType
	}
	e.Subject, _ = name(in, []extract.Path{d.subject})
	e.Tenant, _ = name(in, []extract.Path{d.tenant})
	if text, ok := value(in, d.time); ok {
		e.OccurredAt = parseTime(d.format, text)
	}
	if _, used := d.used[e.Type]; !used {
		e.Status = integration.EventIgnored
	}
	e.Header = d.kept(in.Header, e.Type)
	return e, nil
}

func name(in *extract.Request, paths []extract.Path) (string, bool) {
	for _, p := range paths {
		if v, ok := value(in, p); ok && v != "" && len(v) <= maxName {
			return v, true
		}
	}
	return "", false
}

func value(in *extract.Request, p extract.Path) (string, bool) {
	if p.IsZero() {
		return "", false
	}
	return p.Value(in)
}

// unkept are the headers of the provider's schemes: with the signature and the
// payload out of one store a webhook could be replayed into another.
func unkept(facts *catalog.Webhooks) map[string]bool {
	drop := map[string]bool{integration.OriginHeader: true} // ours to set
	add := func(v catalog.Verification) {
		for _, h := range v.Header {
			if !strings.Contains(h, ":") {
				drop[http.CanonicalHeaderKey(strings.TrimSuffix(h, "*"))] = true
			}
		}
	}
	add(facts.Verify)
	for _, variant := range facts.Variants {
		add(variant.Verify)
	}
	return drop
}

// kept copies the headers that are kept of an event of that type.
func (d *door) kept(h http.Header, eventType string) http.Header {
	out := make(http.Header, len(h))
	for key, values := range h {
		switch {
		case integration.IsSigned(key): // ours to set
		case !d.drop[key] && !confidential(key):
			out[key] = values
		case d.signed[key] && d.raw[eventType]:
			out[integration.SignedPrefix+key] = values
		}
	}
	return out
}

// confidentialWords occur in the names of headers that carry a credential or a
// signature, whoever invented them: Authorization, Set-Cookie, X-Api-Key,
// X-Hub-Signature, X-Gitlab-Token.
var confidentialWords = [...]string{"auth", "cookie", "key", "signature", "token", "secret", "password", "hmac"}

func confidential(header string) bool {
	for _, word := range confidentialWords {
		for i := 0; i+len(word) <= len(header); i++ {
			if strings.EqualFold(header[i:i+len(word)], word) {
				return true
			}
		}
	}
	return false
}
