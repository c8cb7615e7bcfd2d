// Package vault keeps secrets: it turns the references of plans into secrets,
// and seals what tenants entrust to us.
//
// A plan holds references, never values (R2.1, R2.8):
//
//	env:NAME                an environment variable
//	file:PATH               a file; one trailing newline is cut off
//	vault:MOUNT/PATH#FIELD  HashiCorp Vault or OpenBao, KV version 2
//	ssm:NAME                a parameter of AWS Systems Manager
//
// Several references under one name are all valid at once, so that a secret
// can be rotated with overlap (R2.9). References are resolved at start, again
// on Reload and by Watch. A secret whose place does not answer then stays as it
// was.
//
// A Sealer encrypts tokens and keys of tenants for the database (R2.7). A
// Keyset, or a key service, holds the master key; a Rotation swaps it.
package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// Secrets are the resolved secrets of one plan in one environment. It is safe
// for use by many goroutines.
type Secrets struct {
	plan        *plan.Plan
	environment string
	resolver    *Resolver
	reloading   sync.Mutex
	current     atomic.Pointer[resolved]
	refused     map[string]bool // fingerprints; guarded by reloading
}

// resolved is what was read at one time.
type resolved struct {
	byName      map[string][]integration.Secret
	usable      map[string][]integration.Secret // byName without those that leaked
	byReference map[string][]integration.Secret
}

// Open resolves every secret the plan needs in the environment: its own, and
// the signing secrets of its destinations. The error lists every problem, one
// a line: references that don't resolve, secrets that the plan needs and does
// not name, live keys outside production and test keys inside it (R2.11).
func Open(p *plan.Plan, environment string, lookup Environment) (*Secrets, error) {
	return OpenWith(context.Background(), p, environment, NewResolver(lookup))
}

// OpenWith is Open with a resolver that several plans share, so that they log
// in at a vault once.
func OpenWith(ctx context.Context, p *plan.Plan, environment string, resolver *Resolver) (*Secrets, error) {
	s := &Secrets{plan: p, environment: environment, resolver: resolver}
	if err := s.ReloadContext(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload is ReloadContext without a context.
func (s *Secrets) Reload() error { return s.ReloadContext(context.Background()) }

// ErrStale marks references whose place did not answer: the secrets are as they
// were, the others are fresh.
var ErrStale = errors.New("the last value stays in use")

// ReloadContext resolves the references again. On an error nothing changes,
// unless it is only that the place of some references did not answer (every
// problem is ErrStale): then those keep their last value.
func (s *Secrets) ReloadContext(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	env, ok := s.plan.Environments[s.environment]
	if !ok {
		return fmt.Errorf("%s: the plan has no environment %q; it has %s", s.plan.Service, s.environment, strings.Join(names(s.plan.Environments), ", "))
	}
	r := reading{ctx: ctx, secrets: s, last: s.current.Load(), fresh: &resolved{byName: map[string][]integration.Secret{}, byReference: map[string][]integration.Secret{}}}
	for _, name := range names(env.Secrets) {
		r.resolve(name, "environments."+s.environment+".secrets."+name, env.Secrets[name])
	}
	for _, name := range names(s.plan.Destinations) {
		r.resolve(destinationKey(name), "destinations."+name+".secret", s.plan.Destinations[name].Secret)
	}
	r.problems = append(r.problems, s.missing(env)...)
	r.problems = append(r.problems, s.mixed(r.fresh.byName[APIKey])...)
	if err := errors.Join(r.problems...); err != nil {
		return err
	}
	r.fresh.usable = s.usable(r.fresh.byName)
	s.current.Store(r.fresh)
	return errors.Join(r.stale...)
}

// reading is one resolving of all references.
type reading struct {
	ctx             context.Context //nolint:containedctx // it lives as long as one call
	secrets         *Secrets
	last, fresh     *resolved
	problems, stale []error
}

func (r *reading) resolve(name, at string, references []string) {
	for _, reference := range references {
		list, err := r.secrets.resolver.All(r.ctx, reference)
		if err != nil {
			err = fmt.Errorf("%s: %s: %w", r.secrets.plan.Service, at, err)
			if r.last == nil || len(r.last.byReference[reference]) == 0 || !remote(reference) {
				r.problems = append(r.problems, err)
				continue
			}
			list = r.last.byReference[reference]
			r.stale = append(r.stale, fmt.Errorf("%w; %w", err, ErrStale))
		}
		r.fresh.byReference[reference] = list
		r.fresh.byName[name] = append(r.fresh.byName[name], list...)
	}
}

// The names of secrets that stages ask for.
const (
	APIKey        = "api_key"
	WebhookSecret = "webhook_secret"
)

func destinationKey(name string) string { return "destination/" + name }

// missing names the secrets that the plan can't run without.
func (s *Secrets) missing(env plan.Environment) []error {
	var problems []error
	need := func(name, why string) {
		if len(env.Secrets[name]) == 0 {
			problems = append(problems, fmt.Errorf("%s: environments.%s.secrets.%s is missing: %s; add it, for example as env:%s_%s",
				s.plan.Service, s.environment, name, why,
				strings.ToUpper(strings.ReplaceAll(s.plan.Service, "-", "_")), strings.ToUpper(name)))
		}
	}
	if !s.plan.Auth.OfTenants() && !s.plan.Auth.Granted() { // what is granted is checked by who asks for it
		need(APIKey, "calls need a credential")
	}
	if s.plan.Webhooks != nil && len(s.plan.Webhooks.Events) > 0 && !secretless(s.plan.Provider) {
		need(WebhookSecret, "webhooks can't be verified without it")
	}
	return problems
}

// secretless reports that webhooks of the provider can be verified without a
// secret of the plan: it delivers one in its handshake, gives one to who
// subscribes, or publishes the keys of every way it signs.
func secretless(p *catalog.Profile) bool {
	if p == nil || p.Webhooks == nil {
		return false
	}
	w := p.Webhooks
	if slices.ContainsFunc(w.Handshakes, func(h catalog.Handshake) bool { return h.Store != "" }) {
		return true
	}
	if w.Subscription != nil && w.Subscription.Secret != "" {
		return true
	}
	return w.Verify.Keys != nil && !slices.ContainsFunc(w.Variants, func(v catalog.VerifyVariant) bool { return v.Verify.Keys == nil })
}

// mixed finds keys of the wrong stage (R2.11).
func (s *Secrets) mixed(keys []integration.Secret) []error {
	auth := s.auth()
	if auth == nil {
		return nil
	}
	production := plan.Production(s.environment)
	var problems []error
	for _, key := range keys {
		if prefix := prefixOf(key, auth.LivePrefix); prefix != "" && !production {
			problems = append(problems, fmt.Errorf("%s: environments.%s.secrets.%s holds a live key (%s…); live keys belong to production only",
				s.plan.Service, s.environment, APIKey, prefix))
		}
		if prefix := prefixOf(key, auth.TestPrefix); prefix != "" && production {
			problems = append(problems, fmt.Errorf("%s: environments.%s.secrets.%s holds a test key (%s…); production needs a live key",
				s.plan.Service, s.environment, APIKey, prefix))
		}
	}
	return problems
}

func (s *Secrets) auth() *catalog.Auth {
	if s.plan.Provider == nil {
		return nil
	}
	i := slices.IndexFunc(s.plan.Provider.Auth, func(a catalog.Auth) bool { return a.Kind == s.plan.Auth.Use })
	if i < 0 {
		return nil
	}
	return &s.plan.Provider.Auth[i]
}

func prefixOf(key integration.Secret, prefixes []string) string {
	for _, p := range prefixes {
		if strings.HasPrefix(key.Reveal(), p) {
			return p
		}
	}
	return ""
}

// All returns the secrets under name, newest first, without those that leaked;
// nil when there are none.
func (s *Secrets) All(name string) []integration.Secret { return s.current.Load().usable[name] }

// First returns the secret to use under name: the first listed. It is empty
// when there is none.
func (s *Secrets) First(name string) integration.Secret {
	if all := s.All(name); len(all) > 0 {
		return all[0]
	}
	return integration.Secret{}
}

// Destination returns the signing secrets of a destination.
func (s *Secrets) Destination(name string) []integration.Secret {
	return s.All(destinationKey(name))
}

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
