package receive

import (
	"context"
	"errors"
	"fmt"
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
	source  string // name of the address below the service; empty: the main one
	fixed   string // tenant of all that comes there; empty: the event tells
	schemes []scheme
	secrets func() []integration.Secret
	values  map[string]string
	keep    func(context.Context, integration.Secret) error
	visit   func(context.Context, string) error
	keepOf  func(ctx context.Context, tenant string, secret integration.Secret) error
	success success
	refused int // status of a wrong signature; 0 is 401

	patience time.Duration // how long a commit is waited for
	late     *lateness     // of the requests under way; nil: each has its own

	handshakes *handshake.Set
	batch      extract.Split
	identity   identity
	kind       []extract.Path
	time       extract.Path
	format     string // of the time
	subject    extract.Path
	tenant     extract.Path
	ordered    bool
	echo       echoes
	account    []extract.Path // none: accounts name no tenants
	byPath     func(context.Context, string) ([]integration.Secret, bool, error)
	byAccount  func(context.Context, string) (string, error)
	used       map[string]plan.EventHandling
	drop       map[string]bool // headers that are not kept
	signed     map[string]bool // headers that verify an event again
	raw        map[string]bool // types that are delivered raw somewhere
	counters   *counters       // of all doors of the service
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
		patience: patience(facts.Answer.DeadlineS), late: &lateness{}, ordered: p.Webhooks.Ordered, counters: &counters{},
	}
	if err := d.placed(s); err != nil {
		return nil, err
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
	list := func(at string, expressions []string) (paths []extract.Path) {
		for _, expression := range expressions {
			paths = append(paths, path(at, expression))
		}
		return paths
	}
	d.identity = identity{ids: list("profile webhooks.id", facts.ID), parts: list("profile webhooks.composite", facts.Composite), indistinct: facts.Indistinct}
	d.kind = list("profile webhooks.type", facts.Type)
	d.time = path("profile webhooks.time", facts.Time)
	d.subject = path("webhooks.order_by", p.Webhooks.OrderBy)
	switch {
	case d.fixed != "", p.Webhooks.Tenant == plan.TenantByPath:
	case p.Webhooks.Tenant == plan.TenantByAccount:
		d.account = list("profile webhooks.account", facts.Account)
	default:
		d.tenant = path("webhooks.tenant", p.Webhooks.Tenant)
	}
	var err error
	if d.batch, err = extract.ParseSplit(facts.Batch); err != nil {
		problems = append(problems, fmt.Errorf("profile webhooks.batch: %w", err))
	}
	d.identity.whole = len(facts.Batch) > 0 && strings.HasPrefix(facts.Batch[0], "form:")
	if d.echo, err = compileEchoes(p.Webhooks); err != nil {
		problems = append(problems, err)
	}
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
