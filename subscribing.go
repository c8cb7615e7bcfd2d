package sallyport

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/reconcile"
	"github.com/sallyport/sallyport/vault"
)

// subscriber is a service as its subscriptions are looked after, with calls of
// their own where the provider wants another credential for them than its API's.
func (a *App) subscriber(s *service) (reconcile.Subscriber, error) {
	one := reconcile.Subscriber{Plan: s.plan, Calls: s.calls, Secret: func() integration.Secret { return s.secrets.First(vault.WebhookSecret) }}
	facts := webhookFacts(s)
	if facts == nil || facts.Subscription == nil || facts.Subscription.Credential == nil {
		return one, nil
	}
	base, _, err := outboundHosts(s.plan, a.config.Environment)
	if err != nil {
		return one, err
	}
	transport := a.metrics.Requests(s.plan.Service, s.sender)
	token := reconcile.NewToken(reconcile.TokenConfig{
		Service: s.plan.Service, Facts: facts.Subscription.Credential, Errors: &s.plan.Provider.Errors, Secret: s.secrets.First,
		Base: base, Transport: transport, Store: a.store, Now: a.config.Now, Log: a.config.Log,
		Seal: func(ctx context.Context, secret integration.Secret) ([]byte, error) {
			sealer, err := a.sealer(ctx)
			if err != nil {
				return nil, fmt.Errorf("set keyset: %w", err)
			}
			return sealer.Seal(ctx, tokenBinding(s), secret)
		},
		Open: func(ctx context.Context, sealed []byte) (integration.Secret, error) {
			sealer, err := a.sealer(ctx)
			if err != nil {
				return integration.Secret{}, err
			}
			return sealer.Open(ctx, tokenBinding(s), sealed)
		},
	})
	one.Given = token.Given
	one.Own, err = call.New(call.Config{
		Plan: s.plan, Environment: a.config.Environment, Transport: transport, Authorizer: token, Journal: countedJournal{a.store, a.metrics},
		Log: a.config.Log, Now: a.config.Now, Dice: a.config.Dice,
	})
	return one, err
}

// tokenBinding is the place of a token for subscriptions alone.
func tokenBinding(s *service) vault.Binding {
	return vault.Binding{Connection: reconcile.TokenService(s.plan.Service), Field: s.plan.Provider.Webhooks.Subscription.Credential.Secret}
}
