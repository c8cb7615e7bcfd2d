package sallyport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/send"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/vault"
)

// connecting is what connections are kept alive with.
type connecting struct {
	connections *connect.Connections
	sealer      *vault.Sealer
	runner      *lease.Runner[integration.Connection, integration.ConnectionOutcome]
}

// served are the connections for the API; nil when there are none.
func (c *connecting) served() *connect.Connections {
	if c == nil {
		return nil
	}
	return c.connections
}

// used counts a request with a credential (R2.10).
func (a *App) used(c *integration.Call, connection, fingerprint string, refused bool) {
	a.metrics.Used(c.Service, refused)
	a.usage.Used(integration.CredentialUse{Service: c.Service, Tenant: c.Tenant, Connection: connection, Fingerprint: fingerprint, Endpoint: c.Endpoint, Actor: string(c.Entry)}, refused)
}

// connect makes the connections of the services whose tenants authorise them, or
// whose token is asked for once for all; nil when there is none.
func (a *App) connect(ctx context.Context) (*connecting, error) {
	var services []connect.Service
	for _, name := range a.Services() {
		s := a.services[name]
		if s.plan.Auth.OfTenants() && a.config.PublicURL == "" {
			return nil, fmt.Errorf("%s: tenants connect in their browsers, so the gateway's own address is needed: set public_url", name)
		}
		if s.plan.Auth.OfTenants() || s.plan.Auth.Granted() {
			services = append(services, a.connectable(s))
		}
	}
	if len(services) == 0 {
		return nil, nil //nolint:nilnil // no tenants' credentials is the usual case
	}
	if _, ok := open.File(a.config.Database); !ok && a.config.Keyset == "" {
		return nil, errors.New("keyset: instances on one database share one master key, and a file beside the database is none they share; make one with: sallyport secrets keyset FILE, and set keyset for all of them")
	}
	sealer, err := a.newSealer(ctx)
	if err != nil {
		return nil, err
	}
	c := &connecting{sealer: sealer}
	c.connections, err = connect.New(connect.Config{
		Services: services, Store: a.store, Sealer: checkedSealer{sealer, a.hearing.Leaked}, PublicURL: a.config.PublicURL, ReturnURLs: a.config.ReturnURLs, Owner: owner(),
		Now: a.config.Now, Dice: a.config.Dice, Log: a.config.Log, Ending: a.leave, Renewed: a.metrics.Renewed,
		Wake: func() {
			if c.runner != nil {
				c.runner.Wake()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	c.runner, err = c.connections.Runner(a.store.ConnectionQueue())
	return c, err
}

// owner names this process among those on one store.
func owner() string {
	host, _ := os.Hostname() // an empty one is fine: the random part is what counts
	return fmt.Sprintf("%s-%d-%.8s", host, os.Getpid(), rand.Text())
}

// connectable is a service as its tenants connect it.
func (a *App) connectable(s *service) connect.Service {
	environment, p := a.config.Environment, s.plan
	one := connect.Service{
		Name: p.Service, Environment: environment, Variables: p.Provider.API.Variables, BaseURL: p.BaseURL(environment), Scopes: p.Auth.Scopes,
		Transport: a.hosts(s), Check: checkOf(p), Tell: p.Auth.Tell,
	}
	if i := slices.IndexFunc(p.Provider.Auth, func(c catalog.Auth) bool { return c.Kind == p.Auth.Use }); i >= 0 {
		one.Auth = p.Provider.Auth[i]
	}
	accountsOf(s, &one)
	if own := p.Environments[environment].BaseURL; own != "" {
		if u, err := url.Parse(own); err == nil && privateHost(u) {
			one.StandIn = u.Scheme + "://" + u.Host
		}
	}
	if secrets := p.Environments[environment].Secrets; len(secrets["client_id"]) > 0 || len(secrets["private_key"]) > 0 {
		one.Client = func() oauth.Client {
			return oauth.Client{
				ID: s.secrets.First("client_id").Reveal(), Secret: s.secrets.First("client_secret"), Key: s.secrets.First("private_key"), KeyID: s.secrets.First("key_id").Reveal(),
			}
		}
	}
	if p.Auth.Granted() {
		one.Own = s.secrets.First
	}
	return one
}

// checkOf is a read of the plan that any working credential may make: keys are
// tried with it before they are kept. Nil when every read needs something.
func checkOf(p *plan.Plan) *connect.Check {
	best := ""
	for _, e := range p.Endpoints {
		if e == nil || e.Effect != plan.EffectRead || e.Method() != http.MethodGet || len(e.PathVariables()) > 0 {
			continue
		}
		if best == "" || len(e.Path()) < len(best) || len(e.Path()) == len(best) && e.Path() < best {
			best = e.Path()
		}
	}
	if best == "" {
		return nil
	}
	return &connect.Check{URL: best}
}

// tenants authorises the calls of one service by its connections.
type tenants struct {
	connections *connect.Connections
	service     string

	mu    sync.Mutex
	ready map[*connect.Credential]*call.Authorized
}

// maxReady bounds how many credentials are held ready for calls.
const maxReady = 10_000

// For returns the credential of a tenant's connection.
func (t *tenants) For(ctx context.Context, tenant, connection string) (*call.Authorized, error) {
	c, err := t.connections.For(ctx, t.service, tenant, connection)
	if err != nil {
		return nil, notConnected(err)
	}
	return t.authorized(c)
}

// Refused has the credential renewed after a 401.
func (t *tenants) Refused(ctx context.Context, a *call.Authorized) (*call.Authorized, error) {
	next, err := t.connections.Refused(ctx, a.Origin.(*connect.Credential))
	if err != nil || next == nil {
		return nil, err
	}
	return t.authorized(next)
}

// StillRefused says that the renewed one was refused as well.
func (t *tenants) StillRefused(ctx context.Context, a *call.Authorized) error {
	return t.connections.StillRefused(ctx, a.Origin.(*connect.Credential))
}

func (t *tenants) authorized(c *connect.Credential) (*call.Authorized, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a, ok := t.ready[c]; ok {
		return a, nil
	}
	a := &call.Authorized{Connection: c.Connection, Secret: c.Secret, Apply: c.Apply, Origin: c}
	if c.BaseURL != "" {
		base, err := url.Parse(c.BaseURL)
		if err != nil || base.Host == "" {
			return nil, fmt.Errorf("connection %s: its base URL is none", c.Connection)
		}
		a.BaseURL = base
	}
	if t.ready == nil || len(t.ready) >= maxReady {
		t.ready = map[*connect.Credential]*call.Authorized{}
	}
	t.ready[c] = a
	return a, nil
}

// forget drops what is ready for a tenant.
func (t *tenants) forget(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.ready {
		if c.Tenant == tenant {
			delete(t.ready, c)
		}
	}
}

// notConnected is the failure of a call whose tenant has no usable connection.
func notConnected(err error) error {
	var state *connect.StateError
	if !errors.As(err, &state) {
		return err
	}
	code := "connection_" + string(state.State)
	if state.State == "" {
		code = "connection_missing"
	}
	return &integration.Failure{
		Class: integration.ClassUnauthorized, Code: code, Reason: "credential", Err: err,
		Message: "The account at the provider has to be connected.",
		Hint:    state.Error(),
	}
}

// hosts sends to the hosts of a plan, and to those its tenants' connections live
// at: each through a transport of its own that goes nowhere else.
func (a *App) hosts(s *service) http.RoundTripper { return &perHost{first: s.sender} }

// maxHosts bounds how many hosts are kept open.
const maxHosts = 1000

type perHost struct {
	first *send.Transport

	mu   sync.Mutex
	more map[string]*send.Transport
}

// RoundTrip sends.
func (p *perHost) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.first.Serves(r.URL) {
		return p.first.RoundTrip(r)
	}
	p.mu.Lock()
	t, ok := p.more[r.URL.Host]
	if !ok {
		var err error
		if t, err = send.New(send.Config{Hosts: []string{r.URL.Host}}); err != nil {
			p.mu.Unlock()
			return nil, err
		}
		if p.more == nil || len(p.more) >= maxHosts {
			for _, old := range p.more {
				old.CloseIdleConnections()
			}
			p.more = map[string]*send.Transport{}
		}
		p.more[r.URL.Host] = t
	}
	p.mu.Unlock()
	return t.RoundTrip(r)
}
