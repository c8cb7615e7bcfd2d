package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// How many accounts are worked on at once, and how many of one service at most,
// so that a slow provider, or one with very many tenants, leaves room for others.
const (
	workers    = 8
	ofService  = 3
	pageOfThem = 200             // connections that are read at once
	lookBack   = 2 * time.Minute // over the look before, for clocks that differ
)

// turns counts what is worked on, by service.
type turns struct {
	mu  sync.Mutex
	now map[string]int
}

// begin reports whether there is room for one more of a service.
func (t *turns) begin(service string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now[service] >= ofService {
		return false
	}
	if t.now == nil {
		t.now = map[string]int{}
	}
	t.now[service]++
	return true
}

func (t *turns) end(service string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now[service]--
}

// ofTenants are the services with something to do for each connection, sorted.
func (f *Finder) ofTenants() []string {
	var names []string
	for name, l := range f.services {
		if l.ofTenants {
			names = append(names, name)
		}
	}
	if s := f.config.Subscriptions; s != nil {
		for name, one := range s.services {
			if one.ofTenants && s.tended(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// tasksOf are the ids of cursors of a connection.
func (f *Finder) tasksOf(service, connection string) []string {
	var ids []string
	if l := f.services[service]; l != nil && l.ofTenants {
		ids = append(ids, CursorID(service, connection))
	}
	if s := f.config.Subscriptions; s.tended(service) && s.services[service].ofTenants {
		ids = append(ids, taskID(subscriptionPrefix, service, connection))
	}
	return ids
}

// lookForConnections begins to look after connections that are new, or work
// again, until ctx ends.
func (f *Finder) lookForConnections(ctx context.Context, services []string) {
	since := map[string]time.Time{}
	ticker := time.NewTicker(f.config.Look)
	defer ticker.Stop()
	for {
		for _, name := range services {
			began := f.config.Now()
			switch err := f.begin(ctx, name, since[name]); {
			case err == nil:
				since[name] = began.Add(-lookBack)
			case ctx.Err() == nil:
				f.config.Log.Error("reconcile.connections", "service", name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// begin sees that those connections have their tasks that changed since then.
func (f *Finder) begin(ctx context.Context, service string, since time.Time) error {
	return f.eachConnection(ctx, service, since, func(list []integration.Connection) error {
		var due []string
		for i := range list {
			ids := f.tasksOf(service, list[i].ID)
			if !list[i].State.Usable() {
				for _, id := range ids {
					delete(f.seen, id)
				}
				continue
			}
			for _, id := range ids {
				if f.seen[id] {
					continue
				}
				waits, err := f.waits(ctx, id)
				if err != nil {
					return err
				}
				if waits && since.IsZero() { // as after a restart: it need not come at once
					f.seen[id] = true
					continue
				}
				due = append(due, id)
			}
		}
		if len(due) == 0 {
			return nil
		}
		if err := f.config.Store.PutCursors(ctx, due, f.config.Now()); err != nil {
			return err
		}
		for _, id := range due {
			f.seen[id] = true
		}
		f.runner.Wake()
		return nil
	})
}

// waits reports whether a task is there and has its next turn.
func (f *Finder) waits(ctx context.Context, id string) (bool, error) {
	c, err := f.config.Store.Cursor(ctx, id)
	if errors.Is(err, integration.ErrNotFound) {
		return false, nil
	}
	return err == nil && !c.DueAt.IsZero(), err
}

// eachConnection goes through those connections of a service that changed since
// then, page by page; the zero time: all.
func (f *Finder) eachConnection(ctx context.Context, service string, since time.Time, do func([]integration.Connection) error) error {
	filter := integration.Filter{Service: service, Type: f.config.Environment, Since: since, Limit: pageOfThem}
	for {
		list, next, err := f.config.Connections.Connections(ctx, filter)
		if err != nil {
			return err
		}
		if err := do(list); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		filter.Cursor = next
	}
}

// at is a service's list at the account of a connection; or the outcome of the
// turn when there is nothing to read.
func (f *Finder) at(ctx context.Context, l *listed, connection string, cursor integration.Cursor) (*listed, *integration.CursorOutcome) {
	c, err := connectionOf(ctx, f.config.Connections, l.name, f.config.Environment, connection)
	switch {
	case errors.Is(err, integration.ErrNotFound):
		return nil, &integration.CursorOutcome{State: cursor.State} // it is gone, and so is the task
	case err != nil:
		f.config.Log.Error("reconcile.failed", "service", l.name, "connection", connection, "error", err)
		return nil, &integration.CursorOutcome{State: cursor.State, DueAt: f.config.Now().Add(failedFirst)}
	case !c.State.Usable():
		return nil, &integration.CursorOutcome{State: cursor.State, DueAt: f.config.Now().Add(registerLook)}
	}
	one := *l
	one.account = accountOf(&c)
	return &one, nil
}

// Now has the list of a service read now and not at its next turn, at all its
// accounts. While one is being read, the next turn stays where it is.
func (f *Finder) Now(ctx context.Context, service string) error {
	l := f.services[service]
	if l == nil {
		return fmt.Errorf("reconcile: no list of %q is read", service)
	}
	return f.now(ctx, cursorPrefix, service, l.ofTenants)
}

// TendNow has what is subscribed to at all accounts of a service looked after
// now.
func (f *Finder) TendNow(ctx context.Context, service string) error {
	s := f.config.Subscriptions
	if !s.tended(service) {
		return fmt.Errorf("reconcile: subscriptions of %q are not looked after", service)
	}
	return f.now(ctx, subscriptionPrefix, service, s.services[service].ofTenants)
}

func (f *Finder) now(ctx context.Context, prefix, service string, ofTenants bool) error {
	put := func(ids []string) error { return f.config.Store.PutCursors(ctx, ids, f.config.Now()) }
	var err error
	if ofTenants {
		err = f.eachConnection(ctx, service, time.Time{}, func(list []integration.Connection) error {
			var ids []string
			for i := range list {
				if list[i].State.Usable() {
					ids = append(ids, taskID(prefix, service, list[i].ID))
				}
			}
			return put(ids)
		})
	} else {
		err = put([]string{taskID(prefix, service, "")})
	}
	f.runner.Wake()
	return err
}
