package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
)

const subscriptionPrefix = "subscription:"

// How often what we registered is compared with what is there, how soon is
// looked again where nothing is registered, and how soon a renewal that failed
// is tried again.
const (
	compareEvery  = 6 * time.Hour
	registerLook  = time.Hour
	renewAgain    = 10 * time.Minute
	renewSoonest  = time.Minute
	renewQuarters = 4 // a failed renewal is tried again after this part of what is left
)

// tended reports whether the subscriptions of a service are looked after.
func (s *Subscriptions) tended(service string) bool {
	if s == nil {
		return false
	}
	one := s.services[service]
	return one != nil && one.facts != nil && one.byHand() == "" && one.url != ""
}

// tasks are the ids of cursors of the services with one account, sorted.
func (s *Subscriptions) tasks() []string {
	if s == nil {
		return nil
	}
	var ids []string
	for name, one := range s.services {
		if s.tended(name) && !one.ofTenants {
			ids = append(ids, taskID(subscriptionPrefix, name, ""))
		}
	}
	slices.Sort(ids)
	return ids
}

// Tend looks after what was registered with Sync: it renews what would expire,
// registers again what ended, and says so where something else differs from the
// plan; that is for Sync to change. Where nothing was registered it does nothing.
//
// With a connection it does all that Sync does, because nobody could do it by
// hand for each tenant, unless Want said that there is to be nothing: then it
// removes what there is. The error is integration.ErrNotFound when the
// connection is gone.
//
// next is when to come again; it is set also when there is an error.
func (s *Subscriptions) Tend(ctx context.Context, service, connection string) (next time.Time, err error) {
	now := s.config.Now()
	one, err := s.ready(service)
	if err != nil {
		return now.Add(compareEvery), err
	}
	if connection != "" {
		return s.tendConnection(ctx, one, connection)
	}
	if err := one.needs(); err != nil {
		return now.Add(compareEvery), err
	}
	known, err := one.ours(ctx)
	if err != nil {
		return now.Add(renewAgain), err
	}
	if len(known) == 0 {
		return now.Add(registerLook), nil
	}
	c, err := one.compare(ctx)
	if err == nil {
		err = one.tend(ctx, c)
	}
	if errors.Is(err, ErrCredential) { // events still come; only a person can give another
		s.config.Log.WarnContext(ctx, "subscription.unseen", "service", service, "error", err, "meaning", "it is not known whether what was registered is still there")
		return now.Add(compareEvery), err
	}
	if err != nil {
		s.config.Log.ErrorContext(ctx, "subscription.failed", "service", service, "error", err, "expires_at", soonest(known), "alert", true)
		return one.after(now, known, true), err
	}
	if known, err = one.ours(ctx); err != nil {
		return now.Add(renewAgain), err
	}
	return one.after(now, known, false), nil
}

// ours are our records of the account that send to our address.
func (s *subscribed) ours(ctx context.Context) ([]integration.Subscription, error) {
	known, err := s.known(ctx)
	return slices.DeleteFunc(known, func(k integration.Subscription) bool { return k.URL != s.url }), err
}

// tend does those of the changes that keep up what was registered.
func (s *subscribed) tend(ctx context.Context, c *Comparison) error {
	var problems []error
	for i := range c.Changes {
		change := &c.Changes[i]
		expires := RenewAt(s.facts, change.Subscription)
		switch due := !expires.IsZero() && expires.Before(s.config.Now()); {
		case change.Do == Keep:
		case change.Do == Register && change.refused == nil:
			s.config.Log.ErrorContext(ctx, "subscription.ended", "service", s.name, "events", change.Events, "alert", true,
				"meaning", "the provider no longer had what was registered; it is registered again")
			problems = append(problems, s.change(ctx, change))
		case due && (change.Do == Renew || change.Do == Replace):
			problems = append(problems, s.change(ctx, change))
		default:
			s.config.Log.ErrorContext(ctx, "subscription.differs", "service", s.name, "subscription", change.Subscription.ExternalID, "would", change.Do,
				"why", change.Why, "alert", true, "way_out", "sallyport webhooks sync "+s.name)
		}
	}
	return errors.Join(problems...)
}

// tendConnection looks after the subscriptions of one connection.
func (s *Subscriptions) tendConnection(ctx context.Context, service *subscribed, connection string) (next time.Time, err error) {
	now := s.config.Now()
	if !service.ofTenants {
		return now.Add(compareEvery), integration.ErrNotFound
	}
	c, err := connectionOf(ctx, s.config.Connections, service.name, s.config.Environment, connection)
	if errors.Is(err, integration.ErrNotFound) {
		return now.Add(compareEvery), errors.Join(err, s.forget(ctx, service.name, connection))
	}
	if err != nil {
		return now.Add(renewAgain), err
	}
	if !c.State.Usable() { // it ended, and what it had was removed; or its tenant is to connect again
		if c.State == integration.ConnectionDisconnected {
			err = s.forget(ctx, service.name, connection)
		}
		return now.Add(registerLook), err
	}
	on, err := s.config.Store.Subscribing(ctx, service.name)
	if err != nil {
		return now.Add(renewAgain), err
	}
	one := service.at(accountOf(&c))
	if !on {
		return now.Add(compareEvery), s.leave(ctx, one, "the subscriptions of all tenants were ended")
	}
	known, err := one.ours(ctx)
	if err != nil {
		return now.Add(renewAgain), err
	}
	if err := one.keep(ctx); err != nil {
		return one.after(now, known, true), err
	}
	if known, err = one.ours(ctx); err != nil {
		return now.Add(renewAgain), err
	}
	return one.after(now, known, false), nil
}

// keep makes the account have what the plan wants.
func (s *subscribed) keep(ctx context.Context) error {
	if err := s.needs(); err != nil {
		return err
	}
	c, err := s.compare(ctx)
	if err != nil {
		return err
	}
	return s.apply(ctx, c)
}

// Leave removes what a connection is subscribed to at the provider, while its
// credential still works: it is about to end. What another connection at the same
// account has as well stays for that one.
func (s *Subscriptions) Leave(ctx context.Context, service, connection string) error {
	one, err := s.ready(service)
	if err != nil || !one.ofTenants || one.byHand() != "" {
		return nil //nolint:nilerr // nothing is subscribed to from here
	}
	c, err := connectionOf(ctx, s.config.Connections, service, s.config.Environment, connection)
	if err != nil {
		return err
	}
	return s.leave(ctx, one.at(accountOf(&c)), "the connection ends")
}

func (s *Subscriptions) leave(ctx context.Context, one *subscribed, why string) error {
	known, err := one.known(ctx)
	if err != nil || len(known) == 0 {
		return err
	}
	all, err := s.config.Store.Subscriptions(ctx, one.name)
	if err != nil {
		return err
	}
	var problems []error
	for i := range known {
		k := known[i]
		shared := slices.ContainsFunc(all, func(o integration.Subscription) bool {
			return o.Connection != k.Connection && o.ExternalID == k.ExternalID && o.URL == k.URL
		})
		if shared || k.URL != one.url {
			problems = append(problems, s.config.Store.ForgetSubscription(ctx, one.name, one.connection, k.ExternalID))
			continue
		}
		problems = append(problems, one.remove(ctx, &Change{Do: Remove, Subscription: k, Why: why}))
	}
	return errors.Join(problems...)
}

// forget drops our records of a connection whose credential is gone: nobody can
// remove at the provider what is left there.
func (s *Subscriptions) forget(ctx context.Context, service, connection string) error {
	known, err := s.config.Store.SubscriptionsOf(ctx, service, connection)
	for i := range known {
		s.config.Log.WarnContext(ctx, "subscription.left", "service", service, "connection", connection, "subscription", known[i].ExternalID,
			"meaning", "its connection ended before it could be removed; unless the provider removed it as well, its events still come")
		err = errors.Join(err, s.config.Store.ForgetSubscription(ctx, service, connection, known[i].ExternalID))
	}
	return err
}

// tending is what is kept between the turns of a connection.
type tending struct {
	Failures int    `json:"failures,omitempty"` // turns that failed one after the other
	Error    string `json:"error,omitempty"`    // why the last one did
}

// turn looks after one account when it is its turn.
func (s *Subscriptions) turn(ctx context.Context, service, connection string, c integration.Cursor) integration.CursorOutcome {
	var state tending
	if len(c.State) > 0 {
		_ = json.Unmarshal(c.State, &state) // notes that can't be read are of no use
	}
	next, err := s.Tend(ctx, service, connection)
	switch {
	case ctx.Err() != nil:
		return integration.CursorOutcome{State: c.State, DueAt: s.config.Now()}
	case connection == "": // it has said what failed
		return integration.CursorOutcome{State: c.State, DueAt: next}
	case errors.Is(err, integration.ErrNotFound):
		return integration.CursorOutcome{} // the connection is gone, and so is the task
	case err == nil:
		return integration.CursorOutcome{DueAt: next}
	}
	state.Failures++
	state.Error = err.Error()
	s.config.Log.ErrorContext(ctx, "subscription.failed", "service", service, "connection", connection, "error", err, "failures", state.Failures,
		"again_at", next, "alert", state.Failures == 1)
	if wait := renewAgain << min(state.Failures-1, 6); state.Failures > 1 && !s.expires(ctx, service, connection) {
		next = s.config.Now().Add(min(wait, compareEvery))
	}
	notes, err := json.Marshal(state)
	if err != nil {
		notes = nil // a number and text always encode
	}
	return integration.CursorOutcome{State: notes, DueAt: next}
}

// expires reports whether there is something that would expire meanwhile.
func (s *Subscriptions) expires(ctx context.Context, service, connection string) bool {
	known, err := s.config.Store.SubscriptionsOf(ctx, service, connection)
	return err != nil || !soonest(known).IsZero()
}

// after is when to look again.
func (s *subscribed) after(now time.Time, known []integration.Subscription, failed bool) time.Time {
	next := now.Add(compareEvery)
	if failed {
		next = now.Add(renewAgain)
		if at := soonest(known); !at.IsZero() && at.After(now) {
			next = now.Add(min(renewAgain, at.Sub(now)/renewQuarters))
		}
	} else {
		for _, k := range known {
			if at := RenewAt(s.facts, k); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
	}
	if soon := now.Add(renewSoonest); next.Before(soon) {
		return soon
	}
	return next
}

// soonest is when the first of them expires; zero: none does.
func soonest(list []integration.Subscription) (at time.Time) {
	for _, one := range list {
		if !one.ExpiresAt.IsZero() && (at.IsZero() || one.ExpiresAt.Before(at)) {
			at = one.ExpiresAt
		}
	}
	return at
}
