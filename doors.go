package sallyport

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/vault"
)

// doors are the addresses of a service at which its provider's events come in:
// the main one, and one for each source of the plan.
func (a *App) doors(s *service) []receive.Service {
	main := receive.Service{Plan: s.plan, Secrets: func() []integration.Secret { return a.signingSecrets(s) }}
	a.shaking(s, &main)
	switch s.plan.Webhooks.Tenant {
	case plan.TenantByPath:
		main.Tenant, main.KeepTenant = a.tenantsOfPaths(s), a.keepDeliveredTo(s)
	case plan.TenantByAccount:
		main.Account = a.tenantsOfAccounts(s)
	}
	list := []receive.Service{main}
	for _, name := range sourcesOf(s) {
		source := main
		source.Source, source.Tenant, source.KeepTenant = name, nil, nil
		secret := s.plan.Webhooks.Sources[name].Secret
		if secret == "" {
			secret = vault.WebhookSecret
		}
		source.Secrets = func() []integration.Secret {
			own := s.secrets.All(secret)
			if delivered := a.entrusted(s.plan.Service, name); len(delivered) > 0 {
				return slices.Concat(delivered, own)
			}
			return own
		}
		if main.Keep != nil {
			source.Keep = func(ctx context.Context, delivered integration.Secret) error {
				return a.keepEntrusted(ctx, s, name, delivered)
			}
		}
		list = append(list, source)
	}
	return list
}

// accountsOf has connections say whose account they are in the words of the
// provider's events, and take tenants' own signing secrets.
func accountsOf(s *service, one *connect.Service) {
	facts := webhookFacts(s)
	if facts == nil {
		return
	}
	one.WebhookSecret = s.plan.Webhooks.Tenant == plan.TenantByPath
	one.Account = facts.AccountOf
	if name, ok := strings.CutPrefix(facts.AccountOf, "token:"); ok && one.Auth.OAuth != nil {
		own := *one.Auth.OAuth // the profile is everybody's
		own.Answer = append(slices.Clone(own.Answer), name)
		one.Auth.OAuth = &own
	}
}

// What the doors remember of tenants: long enough that a burst of events asks the
// store once, short enough that nobody who disconnects has events for long.
const (
	rememberTenant = 10 * time.Second
	mostRemembered = 10_000
)

// remembered keeps answers for a short while. It is emptied when it is full.
type remembered[T any] struct {
	now    func() time.Time
	forget func(T) bool // answers that are not remembered; nil: none

	mu      sync.Mutex
	answers map[string]rememberedAnswer[T]
}

type rememberedAnswer[T any] struct {
	value T
	until time.Time
}

// get answers from memory, or asks. Errors are not remembered.
func (r *remembered[T]) get(key string, ask func() (T, error)) (T, error) {
	now := r.now()
	r.mu.Lock()
	known, ok := r.answers[key]
	r.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.value, nil
	}
	value, err := ask()
	if err != nil || r.forget != nil && r.forget(value) {
		return value, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil || len(r.answers) >= mostRemembered {
		r.answers = map[string]rememberedAnswer[T]{}
	}
	r.answers[key] = rememberedAnswer[T]{value, now.Add(rememberTenant)}
	return value, nil
}

// tenantsOfAccounts finds the tenant that is connected to an account at the
// provider. Where several are, it is nobody's: guessing would give one tenant's
// events to another. That an account is nobody's is not remembered: only who signs
// as the provider makes us ask, and an event that comes right after a tenant
// connected is the tenant's.
func (a *App) tenantsOfAccounts(s *service) func(context.Context, string) (string, error) {
	known := remembered[string]{now: a.config.Now, forget: func(tenant string) bool { return tenant == "" }}
	return func(ctx context.Context, account string) (string, error) {
		return known.get(account, func() (string, error) {
			tenants, err := a.store.TenantsOfAccount(ctx, s.plan.Service, a.config.Environment, account)
			if err != nil || len(tenants) == 0 {
				return "", err
			}
			if len(tenants) > 1 {
				a.config.Log.WarnContext(ctx, "account.shared", "service", s.plan.Service, "account", account, "tenants", tenants,
					"hint", "events of the account are kept without a tenant; disconnect all but one")
				return "", nil
			}
			return tenants[0], nil
		})
	}
}

// pathTenant is what is known of a tenant that an address names.
type pathTenant struct {
	known   bool
	secrets []integration.Secret // its own; none: those of the plan
}

// tenantsOfPaths finds the tenant that an address names. Where tenants connect, it
// has to be connected, and its own webhook_secret is the only one that counts.
func (a *App) tenantsOfPaths(s *service) func(context.Context, string) ([]integration.Secret, bool, error) {
	if !s.plan.Auth.OfTenants() {
		return func(context.Context, string) ([]integration.Secret, bool, error) { return nil, true, nil }
	}
	// Who connects is known from then on, and what is delivered in a handshake
	// verifies from then on, at any instance. Strangers, who can make up names, would
	// not be kept from the store by what is remembered of one.
	remember := remembered[pathTenant]{now: a.config.Now, forget: func(t pathTenant) bool { return !t.known || deliversSecret(s) != nil }}
	return func(ctx context.Context, tenant string) ([]integration.Secret, bool, error) {
		found, err := remember.get(tenant, func() (pathTenant, error) { return a.pathTenant(ctx, s, tenant) })
		return found.secrets, found.known, err
	}
}

func (a *App) pathTenant(ctx context.Context, s *service, tenant string) (t pathTenant, err error) {
	list, err := a.store.ConnectionsOf(ctx, s.plan.Service, a.config.Environment, tenant)
	if err != nil {
		return pathTenant{}, err
	}
	for i := range list {
		if list[i].State == integration.ConnectionDisconnected {
			continue
		}
		t.known = true
		given, err := a.givenTo(ctx, s, list[i].ID)
		if err != nil {
			return pathTenant{}, err
		}
		delivered, err := a.deliveredTo(ctx, s, &list[i])
		if err != nil {
			return pathTenant{}, err
		}
		t.secrets = append(append(t.secrets, given...), delivered...)
		c, credentials, err := a.store.Connection(ctx, list[i].ID)
		if err != nil {
			return pathTenant{}, err
		}
		j := slices.IndexFunc(credentials, func(k integration.Credential) bool { return k.Field == vault.WebhookSecret })
		if j < 0 {
			continue
		}
		sealer, err := a.sealer(ctx)
		if err != nil {
			return pathTenant{}, err
		}
		secret, err := sealer.Open(ctx, vault.Binding{Tenant: c.Tenant, Connection: c.ID, Field: vault.WebhookSecret}, credentials[j].Sealed)
		if err != nil {
			return pathTenant{}, err
		}
		t.secrets = append(t.secrets, secret)
	}
	return t, nil
}
