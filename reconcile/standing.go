package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// maxShown bounds how many subscriptions a Standing lists.
const maxShown = 100

// Standing is what is known of a service's subscriptions without asking the
// provider.
type Standing struct {
	URL       string
	ByHand    string // what a person has to do where there is no API for it
	OfTenants bool   // each connection has its own
	Off       bool   // connections are not subscribed by themselves: see Subscriptions.Want
	Total     int
	// Connections is how many of them have a subscription.
	Connections int
	Failing     int       // subscriptions whose last renewal failed
	Expires     time.Time // when the first expires; zero: none does
	Problems    []Problem // of the tenant that was asked about: what can't be kept up at all
	// Subscriptions are the first of them, those that fail in front.
	Subscriptions []integration.Subscription
}

// Problem is why the subscriptions of a connection are not as the plan wants.
type Problem struct {
	Connection string
	Error      string
	Failures   int       // turns that failed one after the other
	Again      time.Time // when it is tried again
}

// Standing tells what is known of a service, or of one tenant where each has
// subscriptions of its own; integration.ErrNotFound when the service has no
// webhooks.
func (s *Subscriptions) Standing(ctx context.Context, service, tenant string) (Standing, error) {
	one := s.services[service]
	if one == nil {
		return Standing{}, fmt.Errorf("webhooks of %s: %w", service, integration.ErrNotFound)
	}
	out := Standing{URL: one.url, OfTenants: s.OfTenants(service)}
	out.ByHand = one.byHand()
	list, err := s.config.Store.Subscriptions(ctx, service)
	if err != nil {
		return out, err
	}
	if out.OfTenants {
		on, err := s.config.Store.Subscribing(ctx, service)
		if err != nil {
			return out, err
		}
		out.Off = !on
		if tenant != "" {
			out.URL = one.at(account{tenant: tenant}).url
			list = slices.DeleteFunc(list, func(k integration.Subscription) bool { return k.Tenant != tenant })
		}
		problems, err := s.problems(ctx, service, tenant)
		if err != nil {
			return out, err
		}
		out.Failing, out.Problems = len(problems), problems[:min(len(problems), maxShown)]
	}
	out.count(list)
	return out, nil
}

func (out *Standing) count(list []integration.Subscription) {
	connections := map[string]bool{}
	out.Total = len(list)
	for i := range list {
		if list[i].Connection != "" {
			connections[list[i].Connection] = true
		}
		if list[i].Error != "" && !slices.ContainsFunc(out.Problems, func(p Problem) bool { return p.Connection == list[i].Connection }) {
			out.Failing++
		}
	}
	out.Connections, out.Expires = len(connections), soonest(list)
	slices.SortStableFunc(list, func(a, b integration.Subscription) int {
		switch {
		case a.Error != "" && b.Error == "":
			return -1
		case a.Error == "" && b.Error != "":
			return 1
		}
		return 0
	})
	out.Subscriptions = list[:min(len(list), maxShown)]
}

// maxTasks bounds how many tasks of a service are looked at to tell how it
// stands.
const maxTasks = 10_000

// problems are those of a tenant's connections, or with no tenant those of all;
// the first hundred.
func (s *Subscriptions) problems(ctx context.Context, service, tenant string) ([]Problem, error) {
	cursors, err := cursorsOf(ctx, s.config.Store, s.config.Connections, subscriptionPrefix, Whose{Service: service, Tenant: tenant}, s.config.Environment)
	if err != nil {
		return nil, err
	}
	var list []Problem
	for i := range cursors {
		var state tending
		if len(cursors[i].State) == 0 || json.Unmarshal(cursors[i].State, &state) != nil || state.Error == "" {
			continue
		}
		_, _, connection := task(cursors[i].ID)
		list = append(list, Problem{Connection: connection, Error: state.Error, Failures: state.Failures, Again: cursors[i].DueAt})
	}
	return list, nil
}

// cursorsOf are the tasks of a service's connections, or of those of one tenant.
func cursorsOf(ctx context.Context, from interface {
	Cursor(ctx context.Context, id string) (integration.Cursor, error)
	Cursors(ctx context.Context, prefix string, most int) ([]integration.Cursor, error)
}, connections Connections, prefix string, w Whose, environment string,
) ([]integration.Cursor, error) {
	if w.Tenant == "" {
		return from.Cursors(ctx, taskID(prefix, w.Service, "")+"/", maxTasks)
	}
	found, _, err := connections.Connections(ctx, integration.Filter{Service: w.Service, Type: environment, Tenant: w.Tenant, Limit: maxShown})
	if err != nil {
		return nil, err
	}
	var list []integration.Cursor
	for i := range found {
		c, err := from.Cursor(ctx, taskID(prefix, w.Service, found[i].ID))
		if errors.Is(err, integration.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}
