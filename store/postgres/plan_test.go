package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// The queries that must stay quick in a large table use their index, also where
// nearly all rows are processed and their number is known.
func TestQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	fill := []string{
		`INSERT INTO webhook_events (id, tenant_id, provider, source, event_type, external_id, subject, status, received_at, created_at, due_at, headers, payload)
			SELECT 'id-' || n, 't' || n % 50, 'stripe', '', 'invoice.paid', 'evt_' || n, '', CASE WHEN n % 200 = 0 THEN 'received' ELSE 'processed' END, n, n, CASE WHEN n % 200 = 0 THEN n END, '{}', '{}'
			FROM generate_series(1, 20000) n`,
		`INSERT INTO calls (id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, retry_of, due_at)
			SELECT 'id-' || n, 'stripe', 't' || n % 50, 'e', 'proxy', 'GET', '/', 'read', '', CASE WHEN n % 200 = 0 THEN 'queued' ELSE 'succeeded' END, 200, n, '', CASE WHEN n % 200 = 0 THEN n END
			FROM generate_series(1, 20000) n`,
		"ANALYZE webhook_events, calls",
	}
	if err := s.do(t.Context(), func(tx *transaction) error {
		for _, statement := range fill {
			if _, err := tx.exec(statement); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	now := micros(time.Unix(1, 0))
	event := func(f integration.Filter) (string, []any) { p := eventPage(f); return p.query(50), p.where.args }
	call := func(f integration.Filter) (string, []any) { p := callPage(f); return p.query(50), p.where.args }
	completed, _, err := outcomeColumns("w", []lease.Done[integration.Outcome]{{Key: lease.Key{ID: "id-1", Attempt: 1}, Outcome: integration.Outcome{Status: integration.EventProcessed}}}, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	with := func(query string, args ...any) func() (string, []any) {
		return func() (string, []any) { return query, args }
	}
	for name, c := range map[string]struct {
		query func() (string, []any)
		want  string
	}{
		"claim":            {with(claimDue, "w", now, now, 10), "webhook_events_due"},
		"claim in turn":    {with(claimInTurn, "w", now, now, 10, []string{"t1", "t2"}), "webhook_events_lanes"},
		"tenants":          {with(tenantsFrom, "", 10), "webhook_events_lanes"},
		"next due":         {with(nextDue), "webhook_events_due"},
		"oldest due":       {with(oldestDue, "stripe", ""), "webhook_events_due"},
		"complete":         {with(renewLeases, "w", []string{"id-1"}, []int32{1}, now), "webhook_events_id_key"},
		"claim in line":    {with(claimInLine, "w", now, now, 10, putOffLeast.Microseconds(), putOffMost.Microseconds(), lineMost), "webhook_events_holding"},
		"complete in line": {with(completeLeases, completed...), "webhook_events_holding"},
		"failed":           {func() (string, []any) { return event(integration.Filter{Service: "stripe", Status: "failed"}) }, "webhook_events_failed"},
		"page":             {func() (string, []any) { return event(integration.Filter{Service: "stripe"}) }, "webhook_events_pkey"},
		"calls":            {func() (string, []any) { return call(integration.Filter{Service: "stripe"}) }, "calls_pkey"},
		"lanes":            {with(callLanes), "calls_lanes"},
		"due in a lane":    {with(dueInLane, "stripe", "t1", 0, now, 10, []int64{}), "calls_lanes"},
		"next call":        {with(nextCall), "calls_due"},
	} {
		query, args := c.query()
		var lines []string
		list, err := s.query(t.Context(), "EXPLAIN "+query, args...)
		if err == nil {
			err = each(list, func(r rowScanner) error {
				var line string
				err := r.Scan(&line)
				lines = append(lines, line)
				return err
			})
		}
		text := strings.Join(lines, "\n")
		if err != nil || !strings.Contains(text, c.want) || strings.Contains(text, "Seq Scan on webhook_events") || strings.Contains(text, "Seq Scan on calls") {
			t.Errorf("%s: %v; want it to use %s:\n%s", name, err, c.want, text)
		}
	}
}
