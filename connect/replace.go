package connect

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/sallyport/sallyport/integration"
)

// Replace puts new secrets in place of those of a connection that stands on
// keys; the others stay (R2.9). They are tried before they are kept, so a wrong
// one changes nothing. Calls go on meanwhile: until all is written they use the
// old ones, and an instance that still does afterwards takes the new ones when
// the provider refuses it, or after Config.Fresh. So the old ones should be
// revoked at the provider a minute later, not before.
//
// Untried says that nobody knows a call to try them with. The error may be a
// *RequestError, a *RefusedError or what Start returns.
func (s *Connections) Replace(ctx context.Context, service, connection string, secrets map[string]integration.Secret, actor string) (untried bool, err error) {
	one, err := s.service(service)
	if err != nil {
		return false, err
	}
	if one.needsPerson() {
		return false, &RequestError{Problems: []string{"the credentials of " + one.Name + " come from the provider; connect again in their place"}}
	}
	if len(secrets) == 0 {
		return false, &RequestError{Problems: []string{"secrets is empty"}}
	}
	c, sealed, err := s.Store.Connection(ctx, connection)
	if err == nil && (c.Service != one.Name || c.Environment != one.Environment) {
		err = fmt.Errorf("connection %.64q: %w", connection, integration.ErrNotFound)
	}
	if err != nil {
		return false, err
	}
	if c.State == integration.ConnectionDisconnected && len(sealed) == 0 {
		return false, &RequestError{Problems: []string{"the connection was ended and nothing is kept of it; connect again"}}
	}
	kept, err := s.open(ctx, &c, sealed)
	if err != nil {
		return false, err
	}
	all := map[string]integration.Secret{}
	for _, f := range one.fields() {
		if v, ok := kept[f.Name]; ok && f.Secret {
			all[f.Name] = v
		}
	}
	maps.Copy(all, secrets)
	given := make(map[string]string, len(c.Variables))
	for name, value := range c.Variables {
		if _, known := one.Variables[name]; known {
			given[name] = value
		}
	}
	o := integration.OAuthState{Connection: c.ID, Tenant: c.Tenant, Service: c.Service, Environment: c.Environment, Variables: given, Scopes: c.Scopes}
	if untried, err = s.connectWith(ctx, one, o, all, actor); errors.Is(err, integration.ErrFenced) {
		err = fmt.Errorf("the connection was changed meanwhile; look at it, and try again: %w", err)
	}
	return untried, err
}

// Forget drops what is in memory of a tenant.
func (s *Connections) Forget(tenant string) {
	s.memory.forgetTenant(tenant)
}

func (m *memory) forgetTenant(tenant string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries.Range(func(key, e any) bool {
		if e.(*entry).credential.Tenant == tenant {
			m.order.Remove(key.(who))
			m.entries.Delete(key)
		}
		return true
	})
}
