package sallyport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/store/postgres"
)

// openBroker opens the topic of a destination, with its secret or what the
// environment says.
func (a *App) openBroker(address string, credential integration.Secret) (broker.Publisher, error) {
	return broker.Open(address, broker.Options{Credential: credential, Lookup: a.config.LookupEnv})
}

// fetching reads what thin events of a service are about, as every other call.
func fetching(s *service) deliver.Fetch {
	return func(ctx context.Context, f deliver.Fetching) (body []byte, gone bool, err error) {
		return s.calls.Fetch(ctx, f.Endpoint, call.Request{Tenant: f.Tenant, Path: f.Path, Query: f.Query})
	}
}

// Tx is a transaction of the gateway's PostgreSQL: a pgx.Tx that can't be
// committed or rolled back by hand.
type Tx = postgres.Tx

// errNoTx refuses a handler that no transaction can be had for.
var errNoTx = errors.New("sallyport: OnTx needs a gateway on PostgreSQL (Database: postgres://…), in the database that the handler writes to; on SQLite use On, and make the handler repeatable by the event's ID")

// OnTx is On for a handler that writes into the gateway's own PostgreSQL: what it
// does with tx and that the event is processed are committed together, or neither
// is. So its writes are made exactly once, whatever is killed in between. What it
// does elsewhere (mails, calls) may happen again, as with On.
//
// An error or a panic rolls back, and the event is tried again on the schedule.
// So does a lease that was lost meanwhile. When the database rolls back for the
// sake of another transaction, the handler is called again at once. It may take a
// minute between two statements, and leaves tx alone once it has returned. Half
// of the pool's connections are for handlers (pool_max_conns in the DSN).
//
// On SQLite it fails: a handler could not take part there.
func (a *App) OnTx(service, eventType string, handler func(ctx context.Context, tx Tx, e Event) error) error {
	if err := a.handled(service, eventType); err != nil {
		return err
	}
	if a.commits.handling == nil {
		return errNoTx
	}
	if handler == nil {
		return errors.New("sallyport: the handler is nil")
	}
	return a.deliverer.On(service, eventType, func(ctx context.Context, e Event) error { return a.commits.handle(ctx, e, handler) })
}

// handled says why the events of a type can have no handler; nil when they can.
func (a *App) handled(service, eventType string) error {
	s, ok := a.services[service]
	if !ok {
		return a.unknown(service)
	}
	if s.plan.Webhooks == nil {
		return fmt.Errorf("sallyport: the plan of %s has no webhooks", service)
	}
	if _, ok := s.plan.Webhooks.Events[eventType]; !ok {
		return fmt.Errorf("sallyport: the plan of %s does not use the event %q; it uses %s",
			service, eventType, strings.Join(slices.Sorted(maps.Keys(s.plan.Webhooks.Events)), ", "))
	}
	return nil
}

// transacting completes events in the transactions of their handlers, and keeps
// the queue from completing them a second time.
type transacting struct {
	handling *postgres.Handling // nil: the store is no PostgreSQL
	owner    string             // of the leases
	keeping  *keeping
	now      func() time.Time

	written sync.Map // lease.Key: completed, and not yet asked to be
}

func (a *App) transact() *transacting {
	host, _ := os.Hostname() // an empty one is fine: the id is what counts
	t := &transacting{owner: fmt.Sprintf("%s-%d-%s", host, os.Getpid(), uuid.NewString()), keeping: a.keeping, now: a.config.Now}
	if s, ok := a.store.(interface{ Handling() *postgres.Handling }); ok {
		t.handling = s.Handling()
	}
	return t
}

func (t *transacting) handle(ctx context.Context, e Event, handler func(context.Context, Tx, Event) error) error {
	key := lease.Key{ID: e.ID, Attempt: e.Attempts}
	start := t.now()
	err := t.handling.Do(ctx, t.owner, key, func(ctx context.Context, tx Tx) (integration.Outcome, error) {
		if err := handler(ctx, tx, e); err != nil {
			return integration.Outcome{}, err
		}
		processed := t.keeping.handle(func(context.Context, integration.Event) integration.Outcome { return t.processed(&e.Event, start) })
		return processed(ctx, e.Event), nil
	})
	if err == nil {
		t.written.Store(key, true)
	}
	return err
}

// processed is the outcome of an event whose handler has returned nil.
func (t *transacting) processed(e *integration.Event, start time.Time) integration.Outcome {
	return integration.Outcome{Status: integration.EventProcessed, Deliveries: []integration.Delivery{{
		ID: uuid.Must(uuid.NewV7()).String(), EventID: e.ID, Destination: deliver.HandlerName, Attempt: e.Attempts,
		State: integration.DeliverySucceeded, StartedAt: start.UTC(), Took: t.now().Sub(start),
	}}}
}

// writtenQueue is the queue of events, with those left out that a handler's
// transaction has completed: their leases are over, and not lost.
type writtenQueue struct {
	lease.Queue[integration.Event, integration.Outcome]
	by *transacting
}

// Renew renews the leases that are not over.
func (q writtenQueue) Renew(ctx context.Context, owner string, keys []lease.Key, until time.Time) ([]lease.Key, error) {
	if q.by.handling != nil {
		keys = slices.DeleteFunc(slices.Clone(keys), func(k lease.Key) bool { _, over := q.by.written.Load(k); return over })
	}
	return q.Queue.Renew(ctx, owner, keys, until)
}

// Complete completes those that are not completed.
func (q writtenQueue) Complete(ctx context.Context, owner string, done []lease.Done[integration.Outcome]) (lost []lease.Key, err error) {
	if q.by.handling == nil {
		return q.Queue.Complete(ctx, owner, done)
	}
	over := make([]lease.Key, 0, len(done))
	open := slices.DeleteFunc(slices.Clone(done), func(d lease.Done[integration.Outcome]) bool {
		_, written := q.by.written.Load(d.Key)
		if written {
			over = append(over, d.Key)
		}
		return written
	})
	if lost, err = q.Queue.Complete(ctx, owner, open); err != nil {
		return lost, err
	}
	for _, key := range over {
		q.by.written.Delete(key)
	}
	return lost, nil
}
