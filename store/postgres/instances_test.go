package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/lease/leasetest"
)

// R5.4, R9.2: of repeats that reach several instances at once, one is fresh.
func TestInstancesKnowEachOthersEvents(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	const events, instances = 300, 3
	var fresh [events]atomic.Int64
	var wg sync.WaitGroup
	for i := range instances {
		s := openAt(t, dsn, Options{})
		for range 4 {
			wg.Go(func() {
				for _, n := range rand.Perm(events) {
					e := testEvent(fmt.Sprint("evt_", n))
					e.ID = fmt.Sprintf("id-%d-%d-%d", i, n, rand.Uint64())
					ok, err := s.Accept(context.Background(), e)
					if err != nil {
						t.Errorf("accept: %v", err)
					}
					if ok {
						fresh[n].Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	for n := range fresh {
		if got := fresh[n].Load(); got != 1 {
			t.Errorf("evt_%d was fresh %d times", n, got)
		}
	}
}

// byTurns is one queue reached through several instances.
type byTurns[T, O any] struct {
	queues []lease.Queue[T, O]
	n      *atomic.Int64
}

func (q byTurns[T, O]) next() lease.Queue[T, O] { return q.queues[int(q.n.Add(1))%len(q.queues)] }

func (q byTurns[T, O]) Claim(ctx context.Context, c lease.Claim) ([]lease.Held[T], error) {
	return q.next().Claim(ctx, c)
}

func (q byTurns[T, O]) NextDue(ctx context.Context) (time.Time, error) { return q.next().NextDue(ctx) }

func (q byTurns[T, O]) Renew(ctx context.Context, owner string, keys []lease.Key, until time.Time) ([]lease.Key, error) {
	return q.next().Renew(ctx, owner, keys, until)
}

func (q byTurns[T, O]) Complete(ctx context.Context, owner string, done []lease.Done[O]) ([]lease.Key, error) {
	return q.next().Complete(ctx, owner, done)
}

// R9.2: several instances are one queue: what one lends the other does not, and
// either takes back.
func TestInstancesAreOneQueue(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(t *testing.T) leasetest.Harness[integration.Event, integration.Outcome] {
		dsn := newDatabase(t)
		one, other := openAt(t, dsn, Options{}), openAt(t, dsn, Options{})
		n := 0
		return leasetest.Harness[integration.Event, integration.Outcome]{
			Queue: byTurns[integration.Event, integration.Outcome]{[]lease.Queue[integration.Event, integration.Outcome]{one.EventQueue(), other.EventQueue()}, new(atomic.Int64)},
			Add: func(t testing.TB, due time.Time) string {
				n++
				e := testEvent(fmt.Sprintf("%06d", n))
				e.ReceivedAt, e.DueAt, e.Tenant = due, due, ""
				if fresh, err := one.Accept(t.Context(), e); err != nil || !fresh {
					t.Fatalf("accept: %v, %v", fresh, err)
				}
				return e.ID
			},
			Finished: func(t testing.TB, id string) bool {
				e, _, err := other.Event(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				return e.Status.Final()
			},
			Finish: integration.Outcome{Status: integration.EventProcessed},
			Again: func(due time.Time) integration.Outcome {
				return integration.Outcome{Status: integration.EventReceived, DueAt: due, Error: "not now"}
			},
			Release: integration.Outcome{Released: true},
		}
	})
}

// R4.6: a job that is stopped while its calls have their turns leaves none of
// them in the queue.
func TestJobStoppedUnderItsCalls(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	one, other := openAt(t, dsn, Options{}), openAt(t, dsn, Options{})
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for round := range 10 {
		service := fmt.Sprint("s", round)
		for i := range 8 {
			if err := one.Record(t.Context(), &integration.Call{
				ID: fmt.Sprintf("%s-%d", service, i), Service: service, Method: "GET", Path: "/", State: integration.CallFailed, CreatedAt: now, Body: []byte("x"),
			}); err != nil {
				t.Fatal(err)
			}
		}
		job := &integration.Job{ID: "job-" + service, Service: service, Filter: integration.Filter{Service: service, Status: string(integration.CallFailed)}, CreatedAt: now}
		if err := one.CreateJob(t.Context(), job, integration.AuditEntry{}); err != nil {
			t.Fatal(err)
		}
		if _, err := one.AdvanceJob(t.Context(), job.ID, now, time.Time{}, 100); err != nil {
			t.Fatal(err)
		}
		q := one.CallQueue()
		held, err := q.Claim(t.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 8})
		if err != nil || len(held) != 8 {
			t.Fatal(len(held), err)
		}
		var wg sync.WaitGroup
		for _, h := range held { // each goes back to wait for another turn
			wg.Go(func() {
				o := integration.CallOutcome{Call: h.Value}
				o.Call.State, o.Call.DueAt = integration.CallQueued, now.Add(time.Hour)
				if _, err := q.Complete(t.Context(), "w", []lease.Done[integration.CallOutcome]{{Key: h.Key, Outcome: o}}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := other.CancelJob(t.Context(), job.ID, now, integration.AuditEntry{}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		counts, err := other.CallCounts(t.Context(), service, "")
		if err != nil || counts.ByState["failed"] != 8 {
			t.Errorf("%v, %v; want all with the person they were with", counts.ByState, err)
		}
	}
}
