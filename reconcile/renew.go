package reconcile

import (
	"context"
	"errors"
	"fmt"
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

// tended are the services whose subscriptions are looked after.
func (s *Subscriptions) tended() []string {
	if s == nil {
		return nil
	}
	var names []string
	for name, one := range s.services {
		if one.facts != nil && one.facts.ByHand == "" && one.url != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Tend looks after what was registered with Sync: it renews what would expire,
// registers again what ended, and says so where something else differs from the
// plan; that is for Sync to change. Where nothing was registered it does nothing.
// next is when to come again; it is set also when there is an error.
func (s *Subscriptions) Tend(ctx context.Context, service string) (next time.Time, err error) {
	now := s.config.Now()
	one, err := s.of(service)
	if err != nil {
		return now.Add(compareEvery), err
	}
	known, err := s.config.Store.Subscriptions(ctx, service)
	if err != nil {
		return now.Add(renewAgain), err
	}
	known = slices.DeleteFunc(known, func(k integration.Subscription) bool { return k.URL != one.url })
	if len(known) == 0 {
		return now.Add(registerLook), nil
	}
	c, err := one.compare(ctx)
	if err == nil {
		err = one.tend(ctx, c)
	}
	if err != nil {
		s.config.Log.ErrorContext(ctx, "subscription.failed", "service", service, "error", err, "expires_at", soonest(known), "alert", true)
		return one.after(now, known, true), err
	}
	if known, err = s.config.Store.Subscriptions(ctx, service); err != nil {
		return now.Add(renewAgain), err
	}
	return one.after(now, known, false), nil
}

// tend does those of the changes that keep up what was registered.
func (s *subscribed) tend(ctx context.Context, c *Comparison) error {
	var problems []error
	for i := range c.Changes {
		change := &c.Changes[i]
		expires := RenewAt(s.facts, change.Subscription)
		switch due := !expires.IsZero() && expires.Before(s.config.Now()); {
		case change.Do == Keep:
		case change.Do == Register:
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

// Standing is what is known of a service's subscriptions without asking the
// provider.
type Standing struct {
	URL           string
	ByHand        string // what a person has to do where there is no API for it
	Subscriptions []integration.Subscription
}

// Standing tells what is known; integration.ErrNotFound when the service has no
// webhooks.
func (s *Subscriptions) Standing(ctx context.Context, service string) (Standing, error) {
	one := s.services[service]
	if one == nil {
		return Standing{}, fmt.Errorf("webhooks of %s: %w", service, integration.ErrNotFound)
	}
	list, err := s.config.Store.Subscriptions(ctx, service)
	out := Standing{URL: one.url, Subscriptions: list}
	if one.facts != nil {
		out.ByHand = one.facts.ByHand
	}
	return out, err
}
