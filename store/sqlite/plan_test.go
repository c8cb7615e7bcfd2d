package sqlite

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/integration"
)

// The queries that must stay quick in a large table use their index and sort
// nothing.
func TestQueriesUseTheirIndexes(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	events := func(f integration.Filter) string { p := eventPage(f); return p.query(50) }
	calls := func(f integration.Filter) string { p := callPage(f); return p.query(50) }
	for name, c := range map[string]struct{ query, want string }{
		"claim":            {claimDue, "webhook_events_due"},
		"next due":         {nextDue, "webhook_events_due"},
		"oldest due":       {oldestDue, "webhook_events_due"},
		"complete":         {completeLease, "sqlite_autoindex_webhook_events_1"},
		"next service":     {nextService, "webhook_events_by_status (tenant_id=? AND provider>?)"},
		"next tenant":      {nextTenant, "webhook_events_by_status (tenant_id>?)"},
		"waits":            {someReceived, "webhook_events_by_status (tenant_id=? AND provider=? AND status=?)"},
		"due in line":      {dueInLine, "webhook_events_due_ordered"},
		"first in line":    {firstInLine, "webhook_events_line (order_key=?)"},
		"lent in line":     {lentInLine, "webhook_events_one_of_a_line (order_key=?)"},
		"holds before":     {holdsBefore, "webhook_events_holding (order_key=? AND seq<?)"},
		"holds after":      {holdsAfter, "webhook_events_holding (order_key=? AND seq>?)"},
		"counts":           {countEvents, "COVERING INDEX webhook_events_by_status"},
		"failed":           {events(integration.Filter{Service: "stripe", Status: "failed"}), "webhook_events_failed"},
		"of a tenant":      {events(integration.Filter{Service: "stripe", Status: "processed", Tenant: "a"}), "webhook_events_by_status (tenant_id=? AND provider=? AND status=?)"},
		"page":             {events(integration.Filter{Service: "stripe", Type: "x", Query: "y"}), "SCAN webhook_events"},
		"calls":            {calls(integration.Filter{Service: "stripe"}), "SCAN calls"},
		"calls in a state": {calls(integration.Filter{Service: "stripe", Status: "failed"}), "calls_by_state (service=? AND state=?)"},
		"lanes":            {callLanes, "calls_lanes (service=? AND tenant_id=? AND priority>?)"},
		"due in a lane":    {dueInLane, "calls_lanes (service=? AND tenant_id=? AND priority=? AND <expr><?)"},
		"next call":        {nextCall, "calls_due"},
		"oldest call":      {oldestCall, "calls_due"},
		"complete call":    {renewCall, "sqlite_autoindex_calls_1"},
		"payloads due":     {wholeDue, "webhook_events_whole (provider=? AND received_at>? AND received_at<?)"},
		"emptied and old":  {emptiedOld, "webhook_events_emptied (provider=? AND received_at>? AND received_at<?)"},
		"whole and old":    {wholeOld, "webhook_events_whole (provider=? AND received_at>? AND received_at<?)"},
		"calls in a lane":  {callLane, "calls_by_state (service=? AND state=?)"},
		"services":         {storedServices, "webhook_events_whole (provider>?)"},
		"key":              {"SELECT " + keyColumns + " FROM api_keys WHERE hash = ?", "(hash=?)"},
	} {
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+c.query, planArgs(c.query)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var plan []string
		err = each(rows, func(r rowScanner) error {
			var id, parent, unused int
			var detail string
			err := r.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		})
		text := strings.Join(plan, "; ")
		if err != nil || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, %v; want it to use %s", name, text, err, c.want)
		}
		if name != "counts" && strings.Contains(text, "TEMP B-TREE") {
			t.Errorf("%s sorts: %s", name, text)
		}
	}
}

// planArgs are as many arguments as the query has parameters.
func planArgs(query string) []any {
	n := 0
	for n < 9 && strings.Contains(query, "?"+string(rune('1'+n))) {
		n++
	}
	if n == 0 {
		n = strings.Count(query, "?")
	}
	args := make([]any, n)
	for i := range args {
		args[i] = 1
	}
	return args
}
