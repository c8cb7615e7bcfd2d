package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/lease/leasetest"
	"github.com/sallyport/sallyport/store/storetest"
)

var _ lease.Queue[integration.Cursor, integration.CursorOutcome] = CursorQueue{}

// R5.14: turns pass the suite of every queue: one instance has a task at a time.
func TestCursorQueue(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(t *testing.T) leasetest.Harness[integration.Cursor, integration.CursorOutcome] {
		s := openTest(t, Options{})
		n := 0
		return leasetest.Harness[integration.Cursor, integration.CursorOutcome]{
			Queue: s.CursorQueue(),
			Add: func(t testing.TB, due time.Time) string {
				n++
				id := fmt.Sprintf("reconcile:%04d", n)
				if err := s.PutCursors(t.Context(), []string{id}, due); err != nil {
					t.Fatal(err)
				}
				return id
			},
			Finished: func(t testing.TB, id string) bool {
				c, err := s.Cursor(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				return c.DueAt.IsZero()
			},
			Finish:  integration.CursorOutcome{State: []byte(`{}`)},
			Again:   func(due time.Time) integration.CursorOutcome { return integration.CursorOutcome{DueAt: due} },
			Release: integration.CursorOutcome{Released: true},
		}
	})
}

// R5.14, R5.15: cursors and subscriptions are kept.
func TestReconciling(t *testing.T) {
	t.Parallel()
	storetest.RunReconciling(t, func(t *testing.T) storetest.Reconciling { return openTest(t, Options{}) })
}
