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
	SubscriptionsOf(ctx context.Context, service, connection string) ([]integration.Subscription, error)
	SetSubscribing(ctx context.Context, service string, on bool, now time.Time) error
	Subscribing(ctx context.Context, service string) (bool, error)
	Cursor(ctx context.Context, id string) (integration.Cursor, error)
	Cursors(ctx context.Context, prefix string, most int) ([]integration.Cursor, error)
}

// SubscriptionConfig is what Subscriptions works with. Store must be set.
type SubscriptionConfig struct {
	Services []Subscriber
	Store    SubscriptionStore
	// Connections are those of services whose tenants authorise them, in
	// Environment. Nil: each service has one account.
	Connections Connections
	Environment string
	// PublicURL is how providers reach us. Without one nothing can be compared.
	PublicURL string
	// Seal makes a signing secret that the provider gave fit to be kept with that
	// subscription. Nil: it can't be kept, and nothing is registered where the
	// provider gives one.
	Seal func(ctx context.Context, s *integration.Subscription, secret integration.Secret) ([]byte, error)
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
	// Own makes the calls about subscriptions where the profile has a credential
	// for them alone; its errors may be ErrCredential. Given reports whether there
	// is such a credential. Nil: there is none, and it is done by hand.
	Own   Calls
	Given func() bool
}

// Subscriptions registers, compares, renews and removes what we are subscribed to
// at providers (R5.15). Make it with NewSubscriptions.
type Subscriptions struct {
	config   SubscriptionConfig
	services map[string]*subscribed
}

// subscribed is one service, at one account.
type subscribed struct {
	*Subscriptions
	account
	name      string
	ofTenants bool
	plan      *plan.Plan
	facts     *catalog.Subscription // nil: the profile knows nothing
	secret    func() integration.Secret
	given     func() bool // the credential for subscriptions alone
	wire      *wire
	url       string
}

// at is the service at an account.
func (s *subscribed) at(a account) *subscribed {
	one := *s
	one.account = a
	w := *s.wire
	w.account = a
	one.wire = &w
	if s.config.PublicURL != "" {
		one.url = address(s.config.PublicURL, s.name, s.plan.Webhooks.Tenant, a.tenant)
	}
	return &one
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
		one.ofTenants = c.Connections != nil && s.Plan.Auth.OfTenants()
		one.wire = &wire{calls: s.Calls, form: s.Plan.Provider.API.Request == catalog.EncodingForm, errors: &s.Plan.Provider.Errors}
		if one.facts != nil && one.facts.Credential != nil {
			one.ofTenants, one.wire.calls, one.wire.facts = false, s.Own, one.facts
			one.given = func() bool { return s.Own != nil && s.Given != nil && s.Given() }
		}
		all.services[one.name] = one.at(account{})
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
	refused      error // why it is not done; nil: it may be
}

// Comparison is what the plan wants beside what the provider has.
type Comparison struct {
	Service    string
	Tenant     string   // whose account it is; empty: the service's own
	Connection string   // likewise
	URL        string   // where events are to be sent
	Events     []string // types the plan uses, sorted
	ByHand     string   // what a person has to do; then there are no changes
	Listed     bool     // the provider was asked; false: it has no list, our own records stand for it
	Others     int      // subscriptions of other addresses, which are left alone
	Changes    []Change // one for each subscription that is there or wanted
}

// Differs reports whether there is something to do.
func (c *Comparison) Differs() bool {
	return slices.ContainsFunc(c.Changes, func(ch Change) bool { return ch.Do != Keep })
}

// Errors of subscriptions.
var (
	ErrNoPublicURL = errors.New("it is not known how providers reach us: set public_url")
	ErrNoFacts     = errors.New("the profile does not say how one subscribes to events; add webhooks.subscription to it, or subscribe in the provider's dashboard")
	// ErrCredential is that the credential for subscriptions alone is not, or no
	// longer, valid.
	ErrCredential = errors.New("the credential for subscriptions is not valid")
	ErrNotKept    = errors.New("the provider gives the signing secret in its answer, and there is no keyset to keep it with: set keyset")
)

// ready is a service that can be subscribed to.
func (s *Subscriptions) ready(service string) (*subscribed, error) {
	one := s.services[service]
	switch {
	case one == nil:
		return nil, fmt.Errorf("webhooks of %s: %w", service, integration.ErrNotFound)
	case one.facts == nil:
		return nil, fmt.Errorf("webhooks of %s: %w", service, ErrNoFacts)
	case one.url == "":
		return nil, fmt.Errorf("webhooks of %s: %w", service, ErrNoPublicURL)
	}
	return one, nil
}

// byHand is what a person has to do; empty: the API does it.
func (s *subscribed) byHand() string {
	if s.facts == nil || s.given != nil && s.given() {
		return ""
	}
	return s.facts.ByHand
}

// needs says what the provider's API needs of the account.
func (s *subscribed) needs() error {
	if s.byHand() != "" {
		return nil
	}
	given := s.path(s.plan.Webhooks.Path)
	for _, name := range s.facts.Needs {
		if given[name] == "" {
			return fmt.Errorf("webhooks of %s: set webhooks.path.%s in the plan: the provider's API needs it", s.name, name)
		}
	}
	return nil
}

// of is the service at the account that is meant.
func (s *Subscriptions) of(ctx context.Context, w Whose) (*subscribed, error) {
	one, err := s.ready(w.Service)
	if err != nil {
		return nil, err
	}
	if one.ofTenants && one.byHand() == "" {
		c, err := w.one(ctx, s.config.Connections, s.config.Environment)
		if err != nil {
			return nil, err
		}
		one = one.at(accountOf(&c))
	}
	return one, one.needs()
}

// OfTenants reports whether each connection of a service has subscriptions of
// its own.
func (s *Subscriptions) OfTenants(service string) bool {
	one := s.services[service]
	return one != nil && one.ofTenants && one.byHand() == ""
}

// Want says whether the connections of a service are subscribed by themselves,
// each when it is its turn: registered, renewed and changed as the plan says; or
// not at all, and what there is removed.
func (s *Subscriptions) Want(ctx context.Context, service string, on bool) error {
	one, err := s.ready(service)
	if err != nil {
		return err
	}
	if !one.ofTenants {
		return fmt.Errorf("webhooks of %s: one credential serves everybody, and so does one subscription", service)
	}
	return s.config.Store.SetSubscribing(ctx, service, on, s.config.Now())
}

// Compare says what Sync would do. It changes nothing at the provider.
func (s *Subscriptions) Compare(ctx context.Context, w Whose) (*Comparison, error) {
	one, err := s.of(ctx, w)
	if err != nil {
		return nil, err
	}
	return one.compare(ctx)
}

// Sync makes the provider have what the plan wants. What it did stands in the
// Comparison also when there is an error.
func (s *Subscriptions) Sync(ctx context.Context, w Whose) (*Comparison, error) {
	one, err := s.of(ctx, w)
	if err != nil {
		return nil, err
	}
	if one.connection != "" {
		on, err := s.config.Store.Subscribing(ctx, w.Service)
		if err != nil {
			return nil, err
		}
		if !on {
			return nil, fmt.Errorf("webhooks of %s: %w", w.Service, ErrOff)
		}
	}
	c, err := one.compare(ctx)
	if err != nil {
		return c, err
	}
	return c, one.apply(ctx, c)
}

// Remove removes our subscriptions at the provider, and no others. Where tenants
// authorise the service, those of a connection that works come back by
// themselves: see Want.
func (s *Subscriptions) Remove(ctx context.Context, w Whose) (*Comparison, error) {
	one, err := s.of(ctx, w)
	if err != nil {
		return nil, err
	}
	c, err := one.compare(ctx)
	if err != nil {
		return c, err
	}
	return c, one.removeAll(ctx, c, "it was asked for")
}

// removeAll makes of a comparison one that removes what there is, and does it.
func (s *subscribed) removeAll(ctx context.Context, c *Comparison, why string) error {
	kept := c.Changes[:0]
	for _, change := range c.Changes {
		if change.Subscription.ExternalID != "" {
			change.Do, change.Why = Remove, why
			kept = append(kept, change)
		}
	}
	c.Changes = kept
	if err := s.apply(ctx, c); err != nil || s.facts.Document == nil {
		return err
	}
	known, err := s.known(ctx)
	if err != nil {
		return err
	}
	return s.remember(ctx, known, nil) // also what has become another's
}

// compare asks the provider what there is.
func (s *subscribed) compare(ctx context.Context) (*Comparison, error) {
	c := &Comparison{Service: s.name, Tenant: s.tenant, Connection: s.connection, URL: s.url, Events: slices.Sorted(maps.Keys(s.plan.Webhooks.Events)), ByHand: s.byHand()}
	if c.ByHand != "" {
		return c, nil
	}
	if s.facts.Document != nil {
		return s.compareDocument(ctx, c)
	}
	known, err := s.known(ctx)
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

// known are our records of the account.
func (s *subscribed) known(ctx context.Context) ([]integration.Subscription, error) {
	return s.config.Store.SubscriptionsOf(ctx, s.name, s.connection)
}

// listed are our subscriptions at the provider, and how many are not ours.
func (s *subscribed) listed(ctx context.Context, known []integration.Subscription) (ours []integration.Subscription, others int, err error) {
	items, err := s.wire.list(ctx, s.facts.List, s.facts.Items, s.path(s.plan.Webhooks.Path))
	if err != nil {
		return nil, 0, err
	}
	for _, raw := range items {
		one := s.read(raw)
		if one.URL != s.url || one.ExternalID == "" || s.facts.Resource != "" && one.Resource != s.path(s.plan.Webhooks.Path)["resource"] {
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
			if err := s.config.Store.ForgetSubscription(ctx, s.name, s.connection, k.ExternalID); err != nil {
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
	if (c.Do == Update || c.Do == Renew) && facts.Update == nil && facts.Document == nil {
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
