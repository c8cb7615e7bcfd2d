package sallyport

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/vault"
)

// erasureKeys opens the erasure keys; nil when none are configured.
func (c Config) erasureKeys() (*vault.ErasureKeys, error) {
	if c.ErasureKeys == "" {
		return nil, nil //nolint:nilnil // none is the usual case
	}
	return vault.OpenErasureKeys(c.ErasureKeys)
}

// newSealer opens the master key and makes what seals with it.
func (a *App) newSealer(ctx context.Context) (*vault.Sealer, error) {
	file, _ := open.File(a.config.Database)
	master, err := vault.OpenMaster(ctx, vault.MasterConfig{
		Setting: a.config.Keyset, Database: file, Environment: a.config.Environment, Resolver: a.resolver, Keys: a.store,
		Said: func(text string) { a.config.Log.Warn("keyset", "said", text) },
	})
	if err != nil {
		return nil, err
	}
	return vault.NewSealer(vault.SealerConfig{Keys: a.store, Master: master, ErasureKeys: a.erasure, Now: a.config.Now})
}

// checkedSealer does not seal what is marked as leaked: a tenant must not connect
// again with the same key (R2.9).
type checkedSealer struct {
	*vault.Sealer
	leaked func(fingerprint string) bool
}

// Credential seals, or says that the secret leaked.
func (s checkedSealer) Credential(ctx context.Context, b vault.Binding, secret integration.Secret) (integration.Credential, error) {
	if s.leaked(secret.Fingerprint()) && vault.Replaceable(b.Field) {
		return integration.Credential{}, &connect.RequestError{Problems: []string{b.Field + " is marked as leaked; make a new one at the provider"}}
	}
	return s.Sealer.Credential(ctx, b, secret)
}

// hear makes what has this process hear of leaks and erasures, and looks once.
func (a *App) hear(ctx context.Context) error {
	a.hearing = &vault.Hearing{Kept: a.store, Forget: a.forget, Log: a.config.Log, Now: a.config.Now}
	for _, name := range a.Services() {
		a.hearing.Secrets = append(a.hearing.Secrets, a.services[name].secrets)
	}
	return a.hearing.Look(ctx)
}

// forget drops what this process has in memory of a tenant's credentials.
func (a *App) forget(tenant string) {
	if c := a.connecting; c != nil {
		c.sealer.Forget(tenant)
		c.connections.Forget(tenant)
	}
	for _, s := range a.services {
		if s.tenants != nil {
			s.tenants.forget(tenant)
		}
	}
}

// custody is what the API does about secrets.
func (a *App) custody() api.Custody {
	return api.Custody{
		Leaks: a.store,
		Fingerprints: func(service, name string) []string {
			if s, ok := a.services[service]; ok {
				return s.secrets.Fingerprints(name)
			}
			return nil
		},
		Reload: func(ctx context.Context, service string) error {
			if s, ok := a.services[service]; ok {
				return s.secrets.ReloadContext(ctx)
			}
			return a.unknown(service)
		},
		Heard: a.hearing.Look,
		Erase: func(ctx context.Context, tenant, actor string) (vault.Receipt, error) {
			e := vault.Erasing{From: a.store, ErasureKeys: a.erasure, Forget: a.forget, Now: a.config.Now}
			receipt, err := e.Tenant(ctx, tenant, actor)
			if err != nil {
				return receipt, err
			}
			return receipt, a.store.Audit(ctx, integration.AuditEntry{At: receipt.At, Actor: actor, Action: "tenant.erased", Target: tenant, Detail: "receipt " + receipt.SHA256})
		},
	}
}

// leaked is why a plan has no credential for calls, where that is because it
// leaked: the call fails, and says so.
func (s *service) leaked() error {
	if !s.secrets.Leaked(vault.APIKey) {
		return nil
	}
	name := s.plan.Service
	return &integration.Failure{
		Class: integration.ClassUnauthorized, Code: "credential_leaked", Reason: "credential", Err: errLeaked,
		Message: "The connection to the provider is interrupted for a security reason.",
		Hint:    fmt.Sprintf("every value of %s of %s is marked as leaked and none is used; make a new one at the provider and put it in place: sallyport secrets replace %s %s", vault.APIKey, name, name, vault.APIKey),
	}
}

var errLeaked = errors.New("the credential is marked as leaked")
