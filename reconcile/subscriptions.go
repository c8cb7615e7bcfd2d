package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// SubscriptionStore keeps what is known of subscriptions.
type SubscriptionStore interface {
	PutSubscription(ctx context.Context, s *integration.Subscription) error
	ForgetSubscription(ctx context.Context, service, connection, externalID string) error
	Subscriptions(ctx context.Context, service string) ([]integration.Subscription, error)
}

// SubscriptionConfig is what Subscriptions works with. Store must be set.
type SubscriptionConfig struct {
	Services []Subscriber
	Store    SubscriptionStore
	// PublicURL is how providers reach us. Without one nothing can be compared.
	PublicURL string
	// Seal makes a signing secret that the provider gave fit to be kept. Nil: it
	// can't be kept, and nothing is registered where the provider gives one.
	Seal func(ctx context.Context, service, externalID string, secret integration.Secret) ([]byte, error)
	// Kept is called when such a secret was kept, so that it verifies from now on.
	// May be nil.
	Kept func(service string)
	// Now is the clock; nil: time.Now. NewID makes ids of our own choice; nil:
	// UUIDs.
	Now   func() time.Time
	NewID func() string
	Log   *slog.Logger // nil: slog.Default()
}

// Subscriber is one service whose events are subscribed to.
type Subscriber struct {
	Plan  *plan.Plan
	Calls Calls
	// Secret is the signing secret of the plan, for providers that take ours.
	Secret func() integration.Secret
}

// Subscriptions registers, compares, renews and removes what we are subscribed to
// at providers (R5.15). Make it with NewSubscriptions.
type Subscriptions struct {
	config   SubscriptionConfig
	services map[string]*subscribed
}

// subscribed is one service.
type subscribed struct {
	*Subscriptions
	name   string
	plan   *plan.Plan
	facts  *catalog.Subscription // nil: the profile knows nothing
	secret func() integration.Secret
	wire   *wire
	url    string
}

// NewSubscriptions makes a Subscriptions. Services without webhooks are left
// out.
func NewSubscriptions(c SubscriptionConfig) (*Subscriptions, error) {
	if c.Store == nil {
		return nil, errors.New("reconcile: subscriptions need a store")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = uuid.NewString
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	all := &Subscriptions{config: c, services: map[string]*subscribed{}}
	for _, s := range c.Services {
		if s.Plan.Webhooks == nil || s.Plan.Provider == nil || s.Plan.Provider.Webhooks == nil {
			continue
		}
		one := &subscribed{Subscriptions: all, name: s.Plan.Service, plan: s.Plan, facts: s.Plan.Provider.Webhooks.Subscription, secret: s.Secret}
		if one.secret == nil {
			one.secret = func() integration.Secret { return integration.Secret{} }
		}
		if c.PublicURL != "" {
			one.url = address(c.PublicURL, one.name)
		}
		one.wire = &wire{calls: s.Calls, form: s.Plan.Provider.API.Request == catalog.EncodingForm}
		all.services[one.name] = one
	}
	return all, nil
}

// What a Change does.
const (
	Register = "register" // there is none
	Update   = "update"   // other events, or it is turned off
	Renew    = "renew"    // it would expire
	Replace  = "replace"  // as update or renew, where the provider only takes a new one
	Remove   = "remove"   // more than is wanted
	Keep     = "keep"     // nothing
)

// Change is one thing to do, or that was done.
type Change struct {
	Do           string
	Subscription integration.Subscription // as it is before, and after it was done
	Events       []string                 // types that are wanted
	Why          string
	Done         bool
}

// Comparison is what the plan wants beside what the provider has.
type Comparison struct {
	Service string
	URL     string   // where events are to be sent
	Events  []string // types the plan uses, sorted
	ByHand  string   // what a person has to do; then there are no changes
	Listed  bool     // the provider was asked; false: it has no list, our own records stand for it
	Others  int      // subscriptions of other addresses, which are left alone
	Changes []Change // one for each subscription that is there or wanted
}

// Differs reports whether there is something to do.
func (c *Comparison) Differs() bool {
	return slices.ContainsFunc(c.Changes, func(ch Change) bool { return ch.Do != Keep })
}

// Errors of subscriptions.
var (
	ErrNoPublicURL = errors.New("it is not known how providers reach us: set public_url")
	ErrNoFacts     = errors.New("the profile does not say how one subscribes to events; add webhooks.subscription to it, or subscribe in the provider's dashboard")
	ErrNotKept     = errors.New("the provider gives the signing secret in its answer, and there is no keyset to keep it with: set keyset")
)

func (s *Subscriptions) of(service string) (*subscribed, error) {
	one := s.services[service]
	switch {
	case one == nil:
		return nil, fmt.Errorf("webhooks of %s: %w", service, integration.ErrNotFound)
	case one.facts == nil:
		return nil, fmt.Errorf("webhooks of %s: %w", service, ErrNoFacts)
	case one.url == "":
		return nil, fmt.Errorf("webhooks of %s: %w", service, ErrNoPublicURL)
	}
	for _, name := range one.facts.Needs {
		if one.plan.Webhooks.Path[name] == "" {
			return nil, fmt.Errorf("webhooks of %s: set webhooks.path.%s in the plan: the provider's API needs it", service, name)
		}
	}
	return one, nil
}

// Compare says what Sync would do. It changes nothing at the provider.
func (s *Subscriptions) Compare(ctx context.Context, service string) (*Comparison, error) {
	one, err := s.of(service)
	if err != nil {
		return nil, err
	}
	return one.compare(ctx)
}

// Sync makes the provider have what the plan wants. What it did stands in the
// Comparison also when there is an error.
func (s *Subscriptions) Sync(ctx context.Context, service string) (*Comparison, error) {
	one, err := s.of(service)
	if err != nil {
		return nil, err
	}
	c, err := one.compare(ctx)
	if err != nil {
		return c, err
	}
	return c, one.apply(ctx, c)
}

// Remove removes our subscriptions at the provider, and no others.
func (s *Subscriptions) Remove(ctx context.Context, service string) (*Comparison, error) {
	one, err := s.of(service)
	if err != nil {
		return nil, err
	}
	c, err := one.compare(ctx)
	if err != nil {
		return c, err
	}
	kept := c.Changes[:0]
	for _, change := range c.Changes {
		if change.Subscription.ExternalID != "" {
			change.Do, change.Why = Remove, "it was asked for"
			kept = append(kept, change)
		}
	}
	c.Changes = kept
	return c, one.apply(ctx, c)
}

// compare asks the provider what there is.
func (s *subscribed) compare(ctx context.Context) (*Comparison, error) {
	c := &Comparison{Service: s.name, URL: s.url, Events: slices.Sorted(maps.Keys(s.plan.Webhooks.Events)), ByHand: s.facts.ByHand}
	if c.ByHand != "" {
		return c, nil
	}
	known, err := s.config.Store.Subscriptions(ctx, s.name)
	if err != nil {
		return nil, err
	}
	present := slices.DeleteFunc(slices.Clone(known), func(k integration.Subscription) bool { return k.URL != s.url })
	if s.facts.List != "" {
		if present, c.Others, err = s.listed(ctx, known); err != nil {
			return nil, fmt.Errorf("webhooks of %s: %w", s.name, err)
		}
		c.Listed = true
		if err := s.remember(ctx, known, present); err != nil {
			return nil, err
		}
	}
	c.Changes = Decide(s.facts, present, c.Events, s.config.Now())
	return c, nil
}

// listed are our subscriptions at the provider, and how many are not ours.
func (s *subscribed) listed(ctx context.Context, known []integration.Subscription) (ours []integration.Subscription, others int, err error) {
	items, err := s.wire.list(ctx, s.facts.List, s.facts.Items, s.plan.Webhooks.Path)
	if err != nil {
		return nil, 0, err
	}
	for _, raw := range items {
		one := s.read(raw)
		if one.URL != s.url || one.ExternalID == "" || s.facts.Resource != "" && one.Resource != s.plan.Webhooks.Path["resource"] {
			others++
			continue
		}
		if i := slices.IndexFunc(known, func(k integration.Subscription) bool { return k.ExternalID == one.ExternalID }); i >= 0 {
			one.CreatedAt, one.Error = known[i].CreatedAt, known[i].Error
			one.Sealed = known[i].Sealed
		}
		ours = append(ours, one)
	}
	return ours, others, nil
}

// remember keeps what is there and forgets what is not.
func (s *subscribed) remember(ctx context.Context, known, present []integration.Subscription) error {
	for i := range present {
		if err := s.config.Store.PutSubscription(ctx, &present[i]); err != nil {
			return err
		}
	}
	for _, k := range known {
		if !slices.ContainsFunc(present, func(p integration.Subscription) bool { return p.ExternalID == k.ExternalID }) {
			if err := s.config.Store.ForgetSubscription(ctx, s.name, "", k.ExternalID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Decide says what to do, from what there is and the types that are wanted. It
// is pure. Of several that would do, the first is kept.
func Decide(facts *catalog.Subscription, present []integration.Subscription, wanted []string, now time.Time) []Change {
	if facts.Each {
		return decideEach(facts, present, wanted, now)
	}
	var changes []Change
	for i, p := range present {
		if i > 0 {
			changes = append(changes, Change{Do: Remove, Subscription: p, Why: "another of ours sends the same events"})
			continue
		}
		changes = append(changes, decideOne(facts, p, wanted, now))
	}
	if len(changes) == 0 {
		changes = append(changes, Change{Do: Register, Events: wanted, Why: "there is none for our address"})
	}
	return changes
}

func decideEach(facts *catalog.Subscription, present []integration.Subscription, wanted []string, now time.Time) []Change {
	var changes []Change
	had := map[string]bool{}
	for _, p := range present {
		event := strings.Join(p.Events, ",")
		switch {
		case !slices.Contains(wanted, event):
			changes = append(changes, Change{Do: Remove, Subscription: p, Why: "the plan does not use " + event})
		case had[event]:
			changes = append(changes, Change{Do: Remove, Subscription: p, Why: "another of ours sends the same events"})
		default:
			changes = append(changes, decideOne(facts, p, []string{event}, now))
		}
		had[event] = true
	}
	for _, event := range wanted {
		if !had[event] {
			changes = append(changes, Change{Do: Register, Events: []string{event}, Why: "there is none for our address"})
		}
	}
	return changes
}

func decideOne(facts *catalog.Subscription, p integration.Subscription, wanted []string, now time.Time) Change {
	c := Change{Do: Keep, Subscription: p, Events: wanted}
	switch {
	case facts.On != "" && p.State != facts.On:
		c.Do, c.Why = Update, "the provider has turned it off: "+p.State
	case facts.Events != "" && !facts.Each && differ(facts.All, p.Events, wanted):
		c.Do, c.Why = Update, difference(p.Events, wanted)
		if facts.FixedEvents {
			c.Do = Replace
		}
	case RenewAt(facts, p).Before(now) && !p.ExpiresAt.IsZero():
		c.Do, c.Why = Renew, "it expires at "+p.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if (c.Do == Update || c.Do == Renew) && facts.Update == nil {
		c.Do = Replace
	}
	return c
}

func differ(all string, have, wanted []string) bool {
	if all != "" && slices.Contains(have, all) {
		return !slices.Contains(wanted, all)
	}
	return !slices.Equal(have, wanted)
}

func difference(have, wanted []string) string {
	var parts []string
	for _, w := range wanted {
		if !slices.Contains(have, w) {
			parts = append(parts, "+"+w)
		}
	}
	for _, h := range have {
		if !slices.Contains(wanted, h) {
			parts = append(parts, "-"+h)
		}
	}
	return "other events: " + strings.Join(parts, " ")
}

// RenewAt is when a subscription is to be renewed: when a third of its time is
// left, and at least ten minutes. Zero: it does not expire.
func RenewAt(facts *catalog.Subscription, p integration.Subscription) time.Time {
	if p.ExpiresAt.IsZero() || facts.Expiry == nil {
		return time.Time{}
	}
	left := max(time.Duration(facts.Expiry.Seconds)*time.Second/3, 10*time.Minute)
	return p.ExpiresAt.Add(-left)
}
