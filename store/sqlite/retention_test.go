package sqlite

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// seed stores n events of one service that were received a year ago, so many
// seconds apart, without the way through Accept.
func seed(t testing.TB, s *Store, n, payload int) {
	t.Helper()
	err := s.writer.do(t.Context(), s.writer.jobs, func(tx *transaction) error {
		_, err := tx.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
			INSERT INTO webhook_events (id, tenant_id, provider, source, event_type, external_id, subject, status, received_at, created_at, processed_at, headers, payload)
			SELECT printf('0001-%09d', i), 'acme', 'old', '', 't', printf('old_%09d', i), '', 'processed', ?2 + i * 1000000, 0, 0, '{}', zeroblob(?3) FROM n`,
			n, micros(time.Now().AddDate(-1, 0, 0)), payload)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// R5.4: while very many old events go, what is received waits for the transaction
// that is under way and no other, and a step is never large.
func TestDeletionDoesNotStallIngest(t *testing.T) {
	t.Parallel()
	const callers = 4
	old := 200_000
	if raced {
		old = 10_000
	}
	// The clock counts commits, so that created_at says how many there were
	// before an event's own.
	var commits atomic.Int64
	s := openTest(t, Options{Now: func() time.Time { return time.UnixMicro(commits.Load()) }})
	seed(t, s, old, 100)
	count := func() error { commits.Add(1); return nil }
	s.writer.beforeEnd.Store(&count)

	var working sync.WaitGroup
	stop, most := make(chan struct{}), make([]int64, callers)
	accepted := make([]int, callers)
	for c := range callers {
		working.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				e := testEvent(fmt.Sprintf("new-%d-%d", c, i))
				before := commits.Load()
				if fresh, err := s.Accept(t.Context(), e); err != nil || !fresh {
					t.Error(fresh, err)
					return
				}
				var created int64
				if err := s.read.QueryRowContext(t.Context(), "SELECT created_at FROM webhook_events WHERE id = ?", e.ID).Scan(&created); err != nil {
					t.Error(err)
					return
				}
				most[c], accepted[c] = max(most[c], created-before), accepted[c]+1
			}
		})
	}
	step := integration.Step{Rows: 1000, Bytes: 4 << 20}
	now := time.Now()
	expiry := integration.Expiry{Service: "old", Payload: now, IDs: now}
	emptied, deleted, steps := 0, 0, 0
	for {
		swept, err := s.EmptyPayloads(t.Context(), expiry, step)
		if err != nil {
			t.Fatal(err)
		}
		emptied, expiry.From, steps = emptied+swept.Payloads, swept.Reached, steps+1
		gone, err := s.DeleteEvents(t.Context(), expiry, step)
		if err != nil {
			t.Fatal(err)
		}
		deleted += gone.Events
		if swept.Rows() > step.Rows || gone.Rows() > step.Rows {
			t.Fatalf("steps of %d and %d", swept.Rows(), gone.Rows())
		}
		if swept.Rows() == 0 && gone.Rows() == 0 {
			break
		}
	}
	close(stop)
	working.Wait()
	if emptied != old || deleted != old {
		t.Errorf("emptied %d and deleted %d of %d", emptied, deleted, old)
	}
	total := 0
	for c := range callers {
		total += accepted[c]
		if most[c] > 1 {
			t.Errorf("an event waited for %d transactions", most[c])
		}
	}
	if total < steps {
		t.Errorf("%d events were accepted during %d steps", total, steps)
	}
	size, err := s.Sizes(t.Context())
	if err != nil || size.Free < size.Bytes/2 {
		t.Errorf("the pages are not free again: %+v, %v", size, err)
	}
}
