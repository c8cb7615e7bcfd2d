package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

// Connections are what tenants authorised; the store has them.
type Connections interface {
	Connection(ctx context.Context, id string) (integration.Connection, []integration.Credential, error)
	Connections(ctx context.Context, f integration.Filter) (found []integration.Connection, next string, err error)
}

// Whose says at which account of a service something is. Without a tenant and a
// connection it is that of the service's own credential; where tenants authorise
// the service, one of both has to be named.
type Whose struct {
	Service    string
	Tenant     string
	Connection string
}

// account is an account at a provider; the zero value is that of the service's
// own credential.
type account struct {
	tenant     string
	connection string
	variables  map[string]string // parts of addresses, such as the shop's name
}

// accountOf is the account of a connection.
func accountOf(c *integration.Connection) account {
	return account{tenant: c.Tenant, connection: c.ID, variables: c.Variables}
}

// path are the values of path variables: those of the plan, and in front of
// them those of the connection.
func (a account) path(ofPlan map[string]string) map[string]string {
	if len(a.variables) == 0 {
		return ofPlan
	}
	all := maps.Clone(ofPlan)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, a.variables)
	return all
}

// name says on a request whose credential it is made with.
func (a account) name(r *http.Request) {
	if a.connection != "" {
		r.Header[call.HeaderConnection] = []string{a.connection}
	}
}

// Ways the plan finds a tenant by.
const tenantByPath = "path"

// address is where a service's webhooks are received; those of a tenant at an
// address of its own where the plan tells tenants apart by it.
func address(publicURL, service, tenantBy, tenant string) string {
	at := strings.TrimSuffix(publicURL, "/") + "/api/webhooks/" + service
	if tenantBy == tenantByPath && tenant != "" {
		at += "/" + url.PathEscape(tenant)
	}
	return at
}

// Errors of services whose tenants authorise them.
var (
	ErrWhose = errors.New("each tenant has subscriptions of its own; name a tenant, or one of its connections")
	ErrOff   = errors.New("the subscriptions of its tenants were removed and are not registered again; to have them, sync the service as a whole")
)

// tasks are the ids of cursors: of a service, and of each of its connections.
func taskID(prefix, service, connection string) string {
	if connection == "" {
		return prefix + service
	}
	return prefix + service + "/" + connection
}

// task divides the id of a cursor.
func task(id string) (prefix, service, connection string) {
	kind, rest, _ := strings.Cut(id, ":")
	service, connection, _ = strings.Cut(rest, "/")
	return kind + ":", service, connection
}

// connectionOf reads a connection of a service.
func connectionOf(ctx context.Context, from Connections, service, environment, id string) (integration.Connection, error) {
	c, _, err := from.Connection(ctx, id)
	if err == nil && (c.Service != service || c.Environment != environment) {
		err = fmt.Errorf("connection %.64q of %s: %w", id, service, integration.ErrNotFound)
	}
	return c, err
}

// one finds the connection that is meant: the one of that id, or the only usable
// one of the tenant.
func (w Whose) one(ctx context.Context, from Connections, environment string) (integration.Connection, error) {
	switch {
	case w.Connection != "":
		c, err := connectionOf(ctx, from, w.Service, environment, w.Connection)
		if err == nil && w.Tenant != "" && c.Tenant != w.Tenant {
			err = fmt.Errorf("connection %.64q of %.64q: %w", w.Connection, w.Tenant, integration.ErrNotFound)
		}
		return c, err
	case w.Tenant == "":
		return integration.Connection{}, fmt.Errorf("webhooks of %s: %w", w.Service, ErrWhose)
	}
	list, _, err := from.Connections(ctx, integration.Filter{Service: w.Service, Type: environment, Tenant: w.Tenant, Limit: 100})
	if err != nil {
		return integration.Connection{}, err
	}
	var usable []integration.Connection
	for i := range list {
		if list[i].State.Usable() {
			usable = append(usable, list[i])
		}
	}
	switch len(usable) {
	case 0:
		return integration.Connection{}, fmt.Errorf("webhooks of %s: %.64q has no connection that works: %w", w.Service, w.Tenant, integration.ErrNotFound)
	case 1:
		return usable[0], nil
	}
	return integration.Connection{}, fmt.Errorf("webhooks of %s: %.64q has %d connections; name one: %w", w.Service, w.Tenant, len(usable), ErrWhose)
}
