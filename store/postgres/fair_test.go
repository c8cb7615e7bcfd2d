package postgres

import (
	"fmt"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// R5.8: a tenant with very many events waits behind itself: the others have a
// share of each claim, each its oldest first, and nothing is left over or lent
// twice.
func TestTenantsHaveTheirTurns(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	add := func(tenant string, n int, at time.Time) {
		for i := range n {
			e := testEvent(fmt.Sprintf("%s-%03d", tenant, i))
			e.Tenant, e.ReceivedAt = tenant, at.Add(time.Duration(i)*time.Millisecond)
			if fresh, err := s.Accept(t.Context(), e); err != nil || !fresh {
				t.Fatal(fresh, err)
			}
		}
	}
	add("noisy", 200, start)
	quiet := []string{"", "a", "o\x00", "zebra"}
	for _, tenant := range quiet {
		add(tenant, 3, start.Add(time.Minute))
	}
	q, now := s.EventQueue(), start.Add(time.Hour)
	lent, first := map[string]int{}, map[string]int{}
	for claim := 1; ; claim++ {
		held, err := q.Claim(t.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(held) == 0 {
			break
		}
		if len(held) > 10 || len(held) < 10 && len(lent)+len(held) < 212 {
			t.Fatalf("claim %d lent %d", claim, len(held))
		}
		noisy := 0
		done := make([]lease.Done[integration.Outcome], len(held))
		for i, h := range held {
			lent[h.ID]++
			if h.Value.Tenant == "noisy" {
				noisy++
			}
			if first[h.Value.Tenant] == 0 {
				first[h.Value.Tenant] = claim
			}
			done[i] = lease.Done[integration.Outcome]{Key: h.Key, Outcome: integration.Outcome{Status: integration.EventProcessed}}
		}
		if claim > 1 && noisy == 0 {
			t.Errorf("claim %d has nothing of the tenant with the most", claim)
		}
		if lost, err := q.Complete(t.Context(), "w", done); err != nil || len(lost) > 0 {
			t.Fatal(lost, err)
		}
	}
	for _, tenant := range quiet {
		if first[tenant] != 2 {
			t.Errorf("%q had its first turn in claim %d, want 2", tenant, first[tenant])
		}
	}
	if len(lent) != 212 {
		t.Errorf("%d events were lent, want 212", len(lent))
	}
	for id, n := range lent {
		if n != 1 {
			t.Errorf("%s was lent %d times", id, n)
		}
	}
}

// With more tenants than a claim takes, each has its turn in some claim.
func TestManyTenantsHaveTheirTurns(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	for i := range 60 {
		for n := range 3 {
			e := testEvent(fmt.Sprintf("%d-%d", i, n))
			e.Tenant = fmt.Sprintf("t%02d", i)
			if _, err := s.Accept(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	q, now := s.EventQueue(), time.Now()
	seen := map[string]bool{}
	for range 1 + 6 + 1 { // one before it is known that there is more, one where the round ends
		held, err := q.Claim(t.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range held {
			seen[h.Value.Tenant] = true
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d of 60 tenants had a turn", len(seen))
	}
}
