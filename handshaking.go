package sallyport

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/send"
	"github.com/sallyport/sallyport/vault"
	"github.com/sallyport/sallyport/verify/keys"
)

// entrusting keeps the signing secrets that providers deliver in their
// handshakes (R5.3): sealed in the store, and in memory for the door, which must
// not wait for the store to check a signature.
type entrusting struct {
	app   *App
	mu    sync.Mutex // one delivered secret at a time
	known map[string]*atomic.Pointer[[]integration.Secret]
}

// mostEntrusted is how many secrets of one address verify: those delivered last.
// A provider that signs its handshake may deliver one with every installation.
const mostEntrusted = 10

// deliversSecret is the handshake by which the provider delivers the secret, nil
// for none.
func deliversSecret(s *service) *catalog.Handshake {
	facts := webhookFacts(s)
	if facts == nil {
		return nil
	}
	i := slices.IndexFunc(facts.Handshakes, func(h catalog.Handshake) bool { return h.Store != "" })
	if i < 0 {
		return nil
	}
	return &facts.Handshakes[i]
}

// webhookFacts are the facts about the webhooks that the plan uses; nil for none.
func webhookFacts(s *service) *catalog.Webhooks {
	if s.plan.Webhooks == nil || s.plan.Provider == nil {
		return nil
	}
	return s.plan.Provider.Webhooks
}

// entrustedPlace is the address that a delivered secret belongs to.
func entrustedPlace(service, source string) string {
	if source == "" {
		return service
	}
	return service + "/" + source
}

// entrustedService is the name under which a delivered secret is kept among the
// subscriptions: the handshake is how that subscription began. No service can
// have such a name, so what looks after a service's own subscriptions neither
// sees nor forgets it.
func entrustedService(place string) string { return "handshake/" + place }

// entrustedAt is where delivered secrets are kept: those of an address of the
// plan, or those of a tenant's address, which go with its connection.
type entrustedAt struct {
	service, tenant, connection string
}

func (at entrustedAt) binding(fingerprint string) vault.Binding {
	place := at.service
	if at.connection != "" {
		place += "/" + at.connection
	}
	return vault.Binding{Tenant: at.tenant, Connection: place + "/" + fingerprint, Field: vault.WebhookSecret}
}

// entrust reads what was delivered so far. The door is opened after it.
func (a *App) entrust(ctx context.Context) error {
	a.entrusting = &entrusting{app: a, known: map[string]*atomic.Pointer[[]integration.Secret]{}}
	for _, name := range a.Services() {
		s := a.services[name]
		if deliversSecret(s) == nil {
			continue
		}
		for _, source := range append([]string{""}, sourcesOf(s)...) {
			place := entrustedPlace(name, source)
			a.entrusting.known[place] = &atomic.Pointer[[]integration.Secret]{}
			if _, err := a.learnEntrusted(ctx, place); err != nil {
				return fmt.Errorf("%s: the signing secret that the provider delivered: %w", place, err)
			}
		}
	}
	return nil
}

func sourcesOf(s *service) []string {
	sources := make([]string, 0, len(s.plan.Webhooks.Sources))
	for name := range s.plan.Webhooks.Sources {
		sources = append(sources, name)
	}
	slices.Sort(sources)
	return sources
}

// learnEntrusted reads the delivered secrets of one address of the plan.
func (a *App) learnEntrusted(ctx context.Context, place string) ([]integration.Subscription, error) {
	rows, err := a.store.SubscriptionsOf(ctx, entrustedService(place), "")
	if err != nil {
		return nil, err
	}
	secrets, err := a.openEntrusted(ctx, entrustedAt{service: entrustedService(place)}, rows)
	if err != nil {
		return nil, err
	}
	a.entrusting.known[place].Store(&secrets)
	return rows, nil
}

// openEntrusted returns the secrets of rows that are in the order in which they
// came, the newest first.
func (a *App) openEntrusted(ctx context.Context, at entrustedAt, rows []integration.Subscription) (secrets []integration.Secret, err error) {
	for i := range slices.Backward(rows) {
		if len(secrets) == mostEntrusted {
			break
		}
		sealer, err := a.sealer(ctx)
		if err != nil {
			return nil, err
		}
		secret, err := sealer.Open(ctx, at.binding(rows[i].ExternalID), rows[i].Sealed)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// entrusted are the secrets that were delivered at an address, from memory.
func (a *App) entrusted(service, source string) []integration.Secret {
	if a.entrusting == nil {
		return nil // the doors are not open yet
	}
	known := a.entrusting.known[entrustedPlace(service, source)]
	if known == nil {
		return nil
	}
	if list := known.Load(); list != nil {
		return *list
	}
	return nil
}

// errEntrusted is why a second secret that nobody signed is not taken.
var errEntrusted = errors.New("another secret was delivered first; if the provider is to deliver a new one: sallyport webhooks forget-secret, or disconnect the tenant")

// Forget implements api.Delivered.
func (e *entrusting) Forget(ctx context.Context, service, source string) (n int, known bool, err error) {
	place := entrustedPlace(service, source)
	if e.known[place] == nil {
		return 0, false, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n, err = e.app.forgetAll(ctx, entrustedAt{service: entrustedService(place)})
	_, learnErr := e.app.learnEntrusted(ctx, place)
	return n, true, errors.Join(err, learnErr)
}

// keepEntrusted keeps a secret that a provider delivered at an address of the
// plan. Returning nil it is in the store, sealed, and verifies from now on.
func (a *App) keepEntrusted(ctx context.Context, s *service, source string, secret integration.Secret) error {
	e, place := a.entrusting, entrustedPlace(s.plan.Service, source)
	e.mu.Lock()
	defer e.mu.Unlock()
	err := a.keepDelivered(ctx, s, entrustedAt{service: entrustedService(place)}, place, secret)
	_, learnErr := a.learnEntrusted(ctx, place)
	return errors.Join(err, learnErr)
}

// keepDelivered keeps a delivered secret. Of two that come unsigned at the same
// time, at one instance or at two, the first is kept and the second refused.
func (a *App) keepDelivered(ctx context.Context, s *service, at entrustedAt, place string, secret integration.Secret) error {
	now, id := a.config.Now().UTC(), secret.Fingerprint()
	signed := deliversSecret(s).SignedBy != ""
	rows, err := a.store.SubscriptionsOf(ctx, at.service, at.connection)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(r integration.Subscription) bool { return r.ExternalID == id }) {
		return nil
	}
	if len(rows) > 0 && !signed {
		return errEntrusted
	}
	sealer, err := a.sealer(ctx)
	if err != nil {
		return err
	}
	sealed, err := sealer.Seal(ctx, at.binding(id), secret)
	if err != nil {
		return err
	}
	err = a.store.PutSubscription(ctx, &integration.Subscription{
		Service: at.service, Tenant: at.tenant, Connection: at.connection, ExternalID: id, State: "enabled", CreatedAt: now, CheckedAt: now, Sealed: sealed,
	})
	if err != nil {
		return err
	}
	if rows, err = a.store.SubscriptionsOf(ctx, at.service, at.connection); err != nil {
		return err
	}
	if !signed && rows[0].ExternalID != id { // another instance was faster
		return errors.Join(errEntrusted, a.store.ForgetSubscription(ctx, at.service, at.connection, id))
	}
	a.config.Log.Warn("handshake.secret_kept", "place", place, "fingerprint", id)
	return a.store.Audit(ctx, integration.AuditEntry{
		At: now, Actor: "provider", Action: "webhook.secret_delivered", Target: place, Detail: "fingerprint " + id,
	})
}

// entrustedTo is where the secrets are kept that were delivered at the address of
// a tenant. No source has an empty name, so no address of the plan is there.
func entrustedTo(service string, c *integration.Connection) entrustedAt {
	return entrustedAt{service: entrustedService(service) + "/", tenant: c.Tenant, connection: c.ID}
}

// deliveredTo are the secrets that were delivered to a connected tenant.
func (a *App) deliveredTo(ctx context.Context, s *service, c *integration.Connection) ([]integration.Secret, error) {
	if deliversSecret(s) == nil {
		return nil, nil
	}
	at := entrustedTo(s.plan.Service, c)
	rows, err := a.store.SubscriptionsOf(ctx, at.service, at.connection)
	if err != nil {
		return nil, err
	}
	return a.openEntrusted(ctx, at, rows)
}

// keepDeliveredTo keeps secrets that are delivered at the addresses of tenants;
// nil where the provider delivers none, or where tenants need not be connected:
// then a stranger could make up a tenant and deliver its secret.
func (a *App) keepDeliveredTo(s *service) func(context.Context, string, integration.Secret) error {
	if deliversSecret(s) == nil || !s.plan.Auth.OfTenants() {
		return nil
	}
	return func(ctx context.Context, tenant string, secret integration.Secret) error {
		a.entrusting.mu.Lock()
		defer a.entrusting.mu.Unlock()
		list, err := a.store.ConnectionsOf(ctx, s.plan.Service, a.config.Environment, tenant)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(c integration.Connection) bool { return c.State != integration.ConnectionDisconnected })
		if i < 0 {
			return errors.New("the tenant was disconnected meanwhile")
		}
		return a.keepDelivered(ctx, s, entrustedTo(s.plan.Service, &list[i]), entrustedPlace(s.plan.Service, tenant), secret)
	}
}

// forgetAll forgets what was delivered at one place.
func (a *App) forgetAll(ctx context.Context, at entrustedAt) (n int, err error) {
	rows, err := a.store.SubscriptionsOf(ctx, at.service, at.connection)
	for i := range rows {
		if e := a.store.ForgetSubscription(ctx, at.service, at.connection, rows[i].ExternalID); e != nil {
			return n, errors.Join(err, e)
		}
		n++
	}
	return n, err
}

// learnEntrustedOften has this instance learn of what another one was delivered,
// until ctx ends.
func (a *App) learnEntrustedOften(ctx context.Context) {
	if len(a.entrusting.known) == 0 {
		return
	}
	ticker := time.NewTicker(learnEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for place := range a.entrusting.known {
			if _, err := a.learnEntrusted(ctx, place); err != nil && !errors.Is(err, context.Canceled) {
				a.config.Log.Error("handshake.secrets", "place", place, "error", err)
			}
		}
	}
}

// shaking gives a door what its handshakes need: where delivered secrets are
// kept, how an address is visited, and the values that are neither in the profile
// nor in a request.
func (a *App) shaking(s *service, door *receive.Service) {
	facts := webhookFacts(s)
	if facts == nil {
		return
	}
	door.Values = a.configured(s, facts)
	if deliversSecret(s) != nil {
		door.Keep = func(ctx context.Context, secret integration.Secret) error { return a.keepEntrusted(ctx, s, "", secret) }
	}
	if slices.ContainsFunc(facts.Handshakes, func(h catalog.Handshake) bool { return h.Visit != "" }) {
		door.Visit = a.visitor()
	}
}

var configuredName = regexp.MustCompile(`\{config:([a-z][a-z0-9_]*)(\??)\}`)

// configured are the values that a profile calls {config:NAME}: the secret NAME
// of the environment. Braintree's key_id and PayPal's webhook_id are such.
func (a *App) configured(s *service, facts *catalog.Webhooks) map[string]string {
	text, err := json.Marshal(facts)
	if err != nil {
		return nil // facts are plain values; they were read from a file
	}
	values := map[string]string{}
	for _, found := range configuredName.FindAllStringSubmatch(string(text), -1) {
		name, optional := found[1], found[2] != ""
		value := s.secrets.First(name)
		if value.IsZero() && !optional {
			a.config.Log.Warn("webhooks.value_missing", "service", s.plan.Service, "secret", name,
				"hint", "the provider's webhooks need it: add environments."+a.config.Environment+".secrets."+name+" to the plan")
			continue
		}
		if !value.IsZero() {
			values[name] = value.Reveal()
		}
	}
	return values
}

// visitWithin is how long a visit that confirms a subscription may take: the
// provider waits for our answer meanwhile, 15 seconds where it is Amazon SNS.
const visitWithin = 5 * time.Second

// visitor fetches an address that confirms a subscription. The handshake checked
// its host against the profile; private addresses are refused when dialled, and
// no redirect is followed.
func (a *App) visitor() func(context.Context, string) error {
	transport := keys.PerHost(func(host string) (http.RoundTripper, error) { return send.New(send.Config{Hosts: []string{host}}) })
	return func(ctx context.Context, address string) error {
		ctx, cancel := context.WithTimeoutCause(ctx, visitWithin, fmt.Errorf("the visit took longer than %s", visitWithin))
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return errors.New("the address to visit is none") // the error would show its token
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("visiting %s: %w", req.URL.Host, cmp.Or(context.Cause(ctx), err))
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
			return fmt.Errorf("visiting %s: %w", req.URL.Host, err)
		}
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("visiting %s: it answered %d", req.URL.Host, resp.StatusCode)
		}
		return nil
	}
}
