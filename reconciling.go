package sallyport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/reconcile"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/vault"
)

// holding keeps our hold on providers' events: what is subscribed to (R5.15) and
// what never came (R5.14).
type holding struct {
	subscriptions *reconcile.Subscriptions
	finder        *reconcile.Finder
	mu            sync.Mutex
	opened        *vault.Sealer                                    // nil: not needed so far
	given         map[string]*atomic.Pointer[[]integration.Secret] // signing secrets that providers gave, by service
}

// learnEvery is how soon an instance learns of a signing secret that another one
// was given.
const learnEvery = 15 * time.Second

// hold makes what looks after the providers' events. The door is opened after
// it, because it verifies by the secrets that providers gave.
func (a *App) hold(ctx context.Context) error {
	h := &holding{given: map[string]*atomic.Pointer[[]integration.Secret]{}}
	a.holding = h
	var subscribers []reconcile.Subscriber
	for _, name := range a.Services() {
		s := a.services[name]
		one, err := a.subscriber(s)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		subscribers = append(subscribers, one)
		if givesSecret(s) {
			h.given[name] = &atomic.Pointer[[]integration.Secret]{}
		}
	}
	var err error
	h.subscriptions, err = reconcile.NewSubscriptions(reconcile.SubscriptionConfig{
		Services: subscribers, Store: a.store, Connections: a.store, Environment: a.config.Environment, PublicURL: a.config.PublicURL, Seal: a.sealGiven, Now: a.config.Now, Log: a.config.Log,
		Kept: func(service string) {
			if err := a.learn(context.WithoutCancel(ctx), service); err != nil {
				a.config.Log.Error("secrets.given", "service", service, "error", err)
			}
		},
	})
	if err != nil {
		return err
	}
	for name := range h.given {
		if err := a.learn(ctx, name); err != nil {
			return fmt.Errorf("%s: the signing secret of its subscription: %w", name, err)
		}
	}
	return nil
}

// hasSecret sees that the webhooks of a provider that gives its signing secret to
// who subscribes can be verified, or will be.
func (a *App) hasSecret(s *service) error {
	if len(s.plan.Webhooks.Events) == 0 || len(a.signingSecrets(s)) > 0 || a.holding.subscriptions.OfTenants(s.plan.Service) {
		return nil
	}
	if a.config.PublicURL == "" {
		return fmt.Errorf("%s: environments.%s.secrets.%s is missing: webhooks can't be verified without it; add it, or set public_url and subscribe with: sallyport webhooks sync %s",
			s.plan.Service, a.config.Environment, vault.WebhookSecret, s.plan.Service)
	}
	a.config.Log.Warn("webhooks.no_secret", "service", s.plan.Service, "meanwhile", "its webhooks are refused",
		"way_out", "sallyport webhooks sync "+s.plan.Service+" subscribes and keeps the secret that the provider gives")
	return nil
}

// find makes what looks for events that never came. A plan whose list can't be
// read is served all the same, and the log says so.
func (a *App) find(door *receive.Receiver) error {
	var services []reconcile.Service
	for _, name := range a.Services() {
		s := a.services[name]
		services = append(services, reconcile.Service{Plan: s.plan, Calls: s.calls})
	}
	var err error
	a.holding.finder, err = reconcile.New(reconcile.Config{
		Services: services, Door: door, Store: a.store, Queue: a.store.CursorQueue(), Subscriptions: a.holding.subscriptions,
		Connections: a.store, Environment: a.config.Environment, PublicURL: a.config.PublicURL, Grace: a.config.Grace, Now: a.config.Now, Dice: a.config.Dice, Log: a.config.Log,
	})
	if a.holding.finder == nil {
		return err
	}
	for name := range a.holding.given {
		if err := a.hasSecret(a.services[name]); err != nil {
			return err
		}
	}
	if err != nil {
		a.config.Log.Error("reconcile.unusable", "error", err, "meanwhile", "events that never came are not looked for there")
	}
	return nil
}

// givesSecret reports whether the provider gives the signing secret when one
// subscribes.
func givesSecret(s *service) bool {
	p := s.plan.Provider
	return s.plan.Webhooks != nil && p != nil && p.Webhooks != nil && p.Webhooks.Subscription != nil && p.Webhooks.Subscription.Secret != ""
}

// sealer opens the master key when it is needed first, so that a gateway that
// keeps no secrets needs none.
func (a *App) sealer(ctx context.Context) (*vault.Sealer, error) {
	h := a.holding
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opened != nil {
		return h.opened, nil
	}
	if _, ok := open.File(a.config.Database); !ok && a.config.Keyset == "" {
		return nil, reconcile.ErrNotKept
	}
	var err error
	h.opened, err = a.newSealer(ctx)
	return h.opened, err
}

// givenBinding is the place of a signing secret that a provider gave. A tenant's
// is sealed with the tenant's own key, so that it goes with the tenant.
func givenBinding(s *integration.Subscription) vault.Binding {
	return vault.Binding{Tenant: s.Tenant, Connection: "subscription/" + s.Service + "/" + s.ExternalID, Field: vault.WebhookSecret}
}

func (a *App) sealGiven(ctx context.Context, s *integration.Subscription, secret integration.Secret) ([]byte, error) {
	sealer, err := a.sealer(ctx)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(ctx, givenBinding(s), secret)
}

// leaveTimeout bounds how long a disconnection waits for what is subscribed to
// to be removed at the provider.
const leaveTimeout = 20 * time.Second

// leave removes what a connection is subscribed to, before it ends.
func (a *App) leave(ctx context.Context, c *integration.Connection) {
	if _, err := a.forgetAll(ctx, entrustedTo(c.Service, c)); err != nil {
		a.config.Log.ErrorContext(ctx, "handshake.secret_left", "service", c.Service, "connection", c.ID, "error", err)
	}
	if a.holding == nil || a.holding.subscriptions == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := a.holding.subscriptions.Leave(ctx, c.Service, c.ID); err != nil {
		a.config.Log.ErrorContext(ctx, "subscription.left", "service", c.Service, "connection", c.ID, "error", err, "alert", true,
			"meaning", "the connection ends all the same; remove its webhooks at the provider")
	}
}

// learn reads the signing secrets that a provider gave.
func (a *App) learn(ctx context.Context, service string) error {
	list, err := a.store.Subscriptions(ctx, service)
	if err != nil {
		return err
	}
	var secrets []integration.Secret
	byPath := a.services[service].plan.Webhooks.Tenant == plan.TenantByPath
	for i := range list {
		if len(list[i].Sealed) == 0 || byPath && list[i].Tenant != "" { // that one counts at the tenant's address alone
			continue
		}
		sealer, err := a.sealer(ctx)
		if err != nil {
			return err
		}
		secret, err := sealer.Open(ctx, givenBinding(&list[i]), list[i].Sealed)
		if err != nil {
			return err
		}
		secrets = append(secrets, secret)
	}
	a.holding.given[service].Store(&secrets)
	return nil
}

// givenTo are the signing secrets that a provider gave with the subscriptions of
// one tenant.
func (a *App) givenTo(ctx context.Context, s *service, connection string) (secrets []integration.Secret, err error) {
	if !givesSecret(s) {
		return nil, nil
	}
	list, err := a.store.SubscriptionsOf(ctx, s.plan.Service, connection)
	for i := range list {
		if len(list[i].Sealed) == 0 {
			continue
		}
		sealer, err := a.sealer(ctx)
		if err != nil {
			return nil, err
		}
		secret, err := sealer.Open(ctx, givenBinding(&list[i]), list[i].Sealed)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, err
}

// signingSecrets are those of the plan and those that the provider gave or
// delivered.
func (a *App) signingSecrets(s *service) []integration.Secret {
	own := s.secrets.All(vault.WebhookSecret)
	if delivered := a.entrusted(s.plan.Service, ""); len(delivered) > 0 {
		own = slices.Concat(delivered, own)
	}
	given := a.holding.given[s.plan.Service]
	if given == nil {
		return own
	}
	list := given.Load()
	if list == nil || len(*list) == 0 {
		return own
	}
	return append(append(make([]integration.Secret, 0, len(own)+len(*list)), *list...), own...)
}

// run looks after providers' events until ctx ends.
func (h *holding) run(ctx context.Context, a *App) {
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() {
		if err := h.finder.Run(ctx); err != nil {
			a.config.Log.Error("reconcile.ended", "error", err)
		}
	})
	if len(h.given) == 0 {
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
		for name := range h.given {
			if err := a.learn(ctx, name); err != nil && !errors.Is(err, context.Canceled) {
				a.config.Log.Error("secrets.given", "service", name, "error", err)
			}
		}
	}
}
