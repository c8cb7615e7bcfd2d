package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/reconcile"
)

// subscriptions makes them for a bundle; what is sealed is kept in a map.
func (b *bundle) subscriptions(sealed map[string]string, change ...func(*reconcile.SubscriptionConfig)) *reconcile.Subscriptions {
	b.t.Helper()
	c := reconcile.SubscriptionConfig{
		Services:  []reconcile.Subscriber{{Plan: b.plan, Calls: b.calls, Secret: func() integration.Secret { return integration.NewSecret(webhookSecret) }}},
		Store:     b.store,
		PublicURL: publicURL, Now: b.now, Log: slog.New(b.log),
		Seal: func(_ context.Context, one *integration.Subscription, secret integration.Secret) ([]byte, error) {
			sealed[one.Service+"/"+one.ExternalID] = secret.Reveal()
			return []byte("sealed"), nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	s, err := reconcile.NewSubscriptions(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

const publicURL = "https://gateway.example.com"

// done lists what a comparison came to.
func done(c *reconcile.Comparison) string {
	var list []string
	for _, change := range c.Changes {
		word := change.Do
		if change.Done {
			word += "!"
		}
		list = append(list, word)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func (b *bundle) sync(s *reconcile.Subscriptions, want string) *reconcile.Comparison {
	b.t.Helper()
	c, err := s.Sync(b.t.Context(), reconcile.Whose{Service: b.plan.Service})
	if err != nil || done(c) != want {
		b.t.Fatalf("sync did %q, want %q; %v", done(c), want, err)
	}
	return c
}

func (b *bundle) compare(s *reconcile.Subscriptions, want string) *reconcile.Comparison {
	b.t.Helper()
	c, err := s.Compare(b.t.Context(), reconcile.Whose{Service: b.plan.Service})
	if err != nil || done(c) != want {
		b.t.Fatalf("compared %q, want %q; %v", done(c), want, err)
	}
	return c
}

// known are the subscriptions that are kept.
func (b *bundle) known() []integration.Subscription {
	b.t.Helper()
	list, err := b.store.Subscriptions(b.t.Context(), b.plan.Service)
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// noChange fails when a provider was asked to change something.
func (b *bundle) noChange() {
	b.t.Helper()
	for _, r := range b.requests() {
		if !strings.HasPrefix(r, "GET ") {
			b.t.Errorf("%s was sent", r)
		}
	}
}

// R5.15: at Stripe an endpoint is registered, compared, changed and removed; its
// secret is kept sealed and shows nowhere; those of other addresses stay.
func TestStripeSubscription(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	other := b.post("/v1/webhook_endpoints", "url=https://elsewhere.example.com/hook&enabled_events[0]=*")
	sealed := map[string]string{}
	s := b.subscriptions(sealed)

	b.requests()
	if c := b.compare(s, "register"); c.Others != 1 || !c.Listed || c.URL != publicURL+"/api/webhooks/stripe" || !slices.Equal(c.Events, []string{"customer.created", "invoice.paid"}) {
		t.Errorf("%+v", c)
	}
	b.noChange()
	b.sync(s, "register!")
	known := b.known()
	if len(known) != 1 || known[0].URL != publicURL+"/api/webhooks/stripe" || string(known[0].Sealed) != "sealed" || sealed["stripe/"+known[0].ExternalID] == "" {
		t.Fatalf("known %+v, sealed for %d", known, len(sealed))
	}
	b.compare(s, "keep")
	b.sync(s, "keep")

	delete(b.plan.Webhooks.Events, "customer.created")
	if c := b.compare(s, "update"); !strings.Contains(c.Changes[0].Why, "-customer.created") {
		t.Errorf("why: %s", c.Changes[0].Why)
	}
	b.sync(s, "update!")
	if known := b.known(); !slices.Equal(known[0].Events, []string{"invoice.paid"}) || string(known[0].Sealed) != "sealed" {
		t.Errorf("after the change %+v", known)
	}
	b.compare(s, "keep")

	c, err := s.Remove(t.Context(), reconcile.Whose{Service: "stripe"})
	if err != nil || done(c) != "remove!" || len(b.known()) != 0 {
		t.Errorf("removing: %s, %v, %+v", done(c), err, b.known())
	}
	if c := b.compare(s, "register"); c.Others != 1 {
		t.Errorf("the other address has %d left", c.Others)
	}
	for _, r := range b.requests() {
		if strings.HasPrefix(r, "DELETE") && strings.Contains(r, other) {
			t.Errorf("%s touched another's", r)
		}
	}
	for _, secret := range sealed {
		if b.log.has(secret) || b.recorded(secret) {
			t.Error("the signing secret stands in a log or a record")
		}
	}
}

// R5.15: without a place to keep it, nothing is registered that gives a secret.
func TestNoKeysetNoSecret(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	s := b.subscriptions(nil, func(c *reconcile.SubscriptionConfig) { c.Seal = nil })
	b.requests()
	if _, err := s.Sync(t.Context(), reconcile.Whose{Service: "stripe"}); err == nil || !strings.Contains(err.Error(), "keyset") {
		t.Errorf("got %v", err)
	}
	b.noChange()
	s = b.subscriptions(nil, func(c *reconcile.SubscriptionConfig) {
		c.Seal = func(context.Context, *integration.Subscription, integration.Secret) ([]byte, error) {
			return nil, fmt.Errorf("the disk is full")
		}
	})
	if _, err := s.Sync(t.Context(), reconcile.Whose{Service: "stripe"}); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
	b.compare(s, "register") // what could not be used was taken back
}

// R5.15: at GitHub the hook is ours by its URL, our secret goes along, and a hook
// that was turned off is turned on.
func TestGitHubSubscription(t *testing.T) {
	t.Parallel()
	b := github(t)
	s := b.subscriptions(nil)
	b.sync(s, "register!")
	if len(b.known()) != 1 {
		t.Fatalf("known %+v", b.known())
	}
	id := b.known()[0].ExternalID
	b.compare(s, "keep")
	b.patch("/repos/acme/shop/hooks/"+id, `{"active":false}`)
	if c := b.compare(s, "update"); !strings.Contains(c.Changes[0].Why, "turned it off") {
		t.Errorf("why: %s", c.Changes[0].Why)
	}
	b.sync(s, "update!")
	b.compare(s, "keep")
	if known := b.known(); len(known) != 1 || known[0].ExternalID != id || known[0].State != "true" {
		t.Errorf("known %+v", known)
	}
	if b.log.has(webhookSecret) || b.recorded(webhookSecret) {
		t.Error("the signing secret stands in a log or a record")
	}
	// The list of deliveries is that of this hook.
	f := b.finder(func(c *reconcile.Config) { c.PublicURL = publicURL })
	b.requests()
	if st := f.turn(); st.Error != "" {
		t.Errorf("%+v", st)
	}
	if asked := b.requests(); len(asked) != 1 || !strings.Contains(asked[0], "/hooks/"+id+"/deliveries") {
		t.Errorf("asked %q", asked)
	}
	if c, err := s.Remove(t.Context(), reconcile.Whose{Service: "github"}); err != nil || done(c) != "remove!" {
		t.Errorf("%s, %v", done(c), err)
	}
}

// R5.15: what can't be done says what to do.
func TestSubscriptionRefusals(t *testing.T) {
	t.Parallel()
	b := github(t)
	ctx := t.Context()
	if _, err := b.subscriptions(nil, func(c *reconcile.SubscriptionConfig) { c.PublicURL = "" }).Compare(ctx, reconcile.Whose{Service: "github"}); err == nil || !strings.Contains(err.Error(), "public_url") {
		t.Errorf("without a public URL: %v", err)
	}
	if _, err := b.subscriptions(nil).Compare(ctx, reconcile.Whose{Service: "gitlab"}); err == nil {
		t.Error("an unknown service was compared")
	}
	noSecret := b.subscriptions(nil, func(c *reconcile.SubscriptionConfig) { c.Services[0].Secret = nil })
	b.requests()
	if _, err := noSecret.Sync(ctx, reconcile.Whose{Service: "github"}); err == nil || !strings.Contains(err.Error(), "webhook_secret") {
		t.Errorf("without a secret: %v", err)
	}
	b.noChange()
	b.plan.Webhooks.Path = nil
	if _, err := b.subscriptions(nil).Compare(ctx, reconcile.Whose{Service: "github"}); err == nil || !strings.Contains(err.Error(), "webhooks.path.owner") {
		t.Errorf("without an owner: %v", err)
	}
}
