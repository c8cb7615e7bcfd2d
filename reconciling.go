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
		subscribers = append(subscribers, reconcile.Subscriber{
			Plan: s.plan, Calls: s.calls, Secret: func() integration.Secret { return s.secrets.First(vault.WebhookSecret) },
		})
		if givesSecret(s) {
			h.given[name] = &atomic.Pointer[[]integration.Secret]{}
		}
	}
	var err error
	h.subscriptions, err = reconcile.NewSubscriptions(reconcile.SubscriptionConfig{
		Services: subscribers, Store: a.store, PublicURL: a.config.PublicURL, Seal: a.sealGiven, Now: a.config.Now, Log: a.config.Log,
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
		PublicURL: a.config.PublicURL, Grace: a.config.Grace, Now: a.config.Now, Dice: a.config.Dice, Log: a.config.Log,
	})
	if a.holding.finder == nil {
		return err
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

// givenBinding is the place of a signing secret that a provider gave.
func givenBinding(service, externalID string) vault.Binding {
	return vault.Binding{Connection: "subscription/" + service + "/" + externalID, Field: vault.WebhookSecret}
}

func (a *App) sealGiven(ctx context.Context, service, externalID string, secret integration.Secret) ([]byte, error) {
	sealer, err := a.sealer(ctx)
	if err != nil {
		return nil, err
	}
	return sealer.Seal(ctx, givenBinding(service, externalID), secret)
}

// learn reads the signing secrets that a provider gave.
func (a *App) learn(ctx context.Context, service string) error {
	list, err := a.store.Subscriptions(ctx, service)
	if err != nil {
		return err
	}
	var secrets []integration.Secret
	for i := range list {
		if len(list[i].Sealed) == 0 {
			continue
		}
		sealer, err := a.sealer(ctx)
		if err != nil {
			return err
		}
		secret, err := sealer.Open(ctx, givenBinding(service, list[i].ExternalID), list[i].Sealed)
		if err != nil {
			return err
		}
		secrets = append(secrets, secret)
	}
	a.holding.given[service].Store(&secrets)
	return nil
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
