package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/lease/leasetest"
)

var _ lease.Queue[integration.Event, integration.Outcome] = EventQueue{}

// R5.8, R5.10: received events pass the suite of every queue.
func TestEventQueue(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(t *testing.T) leasetest.Harness[integration.Event, integration.Outcome] {
		s := openTest(t, Options{})
		n := 0
		return leasetest.Harness[integration.Event, integration.Outcome]{
			Queue: s.EventQueue(),
			Add: func(t testing.TB, due time.Time) string {
				n++
				id := fmt.Sprintf("0198-%06d", n)
				fresh, err := s.Accept(t.Context(), &integration.Event{
					ID: id, Service: "stripe", ExternalID: "evt_" + id, Type: "invoice.paid",
					ReceivedAt: due, DueAt: due, Status: integration.EventReceived, Payload: []byte("{}"),
				})
				if err != nil || !fresh {
					t.Fatalf("accept: %v, %v", fresh, err)
				}
				return id
			},
			Finished: func(t testing.TB, id string) bool {
				e, _, err := s.Event(t.Context(), id)
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

var _ lease.Queue[integration.Call, integration.CallOutcome] = (*CallQueue)(nil)

// R4.6: queued calls pass the suite of every queue.
func TestCallQueue(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(t *testing.T) leasetest.Harness[integration.Call, integration.CallOutcome] {
		s := openTest(t, Options{})
		n := 0
		call := func(state integration.CallState, due time.Time) integration.CallOutcome {
			return integration.CallOutcome{Call: integration.Call{State: state, DueAt: due}}
		}
		return leasetest.Harness[integration.Call, integration.CallOutcome]{
			Queue: s.CallQueue(),
			Add: func(t testing.TB, due time.Time) string {
				n++
				id := fmt.Sprintf("0198-%06d", n)
				if err := s.Record(t.Context(), &integration.Call{
					ID: id, Service: "stripe", Tenant: "acme", Method: "POST", Path: "/v1/customers", State: integration.CallQueued, CreatedAt: due, DueAt: due,
				}); err != nil {
					t.Fatal(err)
				}
				return id
			},
			Finished: func(t testing.TB, id string) bool {
				c, err := s.Call(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				return c.State == integration.CallSucceeded
			},
			Finish:  call(integration.CallSucceeded, time.Time{}),
			Again:   func(due time.Time) integration.CallOutcome { return call(integration.CallQueued, due) },
			Release: integration.CallOutcome{Released: true},
		}
	})
}

var _ lease.Queue[integration.Connection, integration.ConnectionOutcome] = ConnectionQueue{}

// R2.4: connections that are due pass the suite of every queue.
func TestConnectionQueue(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(t *testing.T) leasetest.Harness[integration.Connection, integration.ConnectionOutcome] {
		s := openTest(t, Options{})
		n := 0
		return leasetest.Harness[integration.Connection, integration.ConnectionOutcome]{
			Queue: s.ConnectionQueue(),
			Add: func(t testing.TB, due time.Time) string {
				n++
				id := fmt.Sprintf("0198-%06d", n)
				if err := s.CreateConnection(t.Context(), integration.ConnectionChange{Connection: integration.Connection{
					ID: id, Tenant: "acme", Service: "shopify", State: integration.ConnectionConnected, UpdatedAt: due, Task: integration.TaskRefresh, DueAt: due,
				}}); err != nil {
					t.Fatal(err)
				}
				return id
			},
			Finished: func(t testing.TB, id string) bool {
				c, _, err := s.Connection(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				return c.Task == integration.TaskNone
			},
			Again: func(due time.Time) integration.ConnectionOutcome {
				return integration.ConnectionOutcome{Task: integration.TaskRefresh, DueAt: due}
			},
			Release: integration.ConnectionOutcome{Released: true},
		}
	})
}
