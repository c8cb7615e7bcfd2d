package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// R5.9, R5.10: an outcome is written whole, with its deliveries.
func testOutcomes(f *fixture) {
	now := start.Add(time.Hour)
	e := f.accept()
	delivery := func(n int, state integration.DeliveryState) integration.Delivery {
		return integration.Delivery{
			ID: fmt.Sprintf("del_%d", n), EventID: e.ID, Destination: "app", Attempt: n, State: state, Status: 503,
			Error: "it's down", StartedAt: now.Add(time.Duration(n) * time.Second), Took: 1500 * time.Microsecond,
		}
	}
	first := delivery(1, integration.DeliveryRetrying)
	held := f.process(now, integration.Outcome{Status: integration.EventReceived, DueAt: now.Add(time.Minute), Error: "503", Deliveries: []integration.Delivery{first}})
	if len(held) != 1 || held[0].Value.Status != integration.EventProcessing || held[0].Value.Attempts != 1 || string(held[0].Value.Payload) != string(e.Payload) ||
		!reflect.DeepEqual(held[0].Value.Header, e.Header) {
		f.Fatalf("lent %+v", held)
	}
	got, deliveries := f.read(e.ID)
	if got.Status != integration.EventReceived || got.Error != "503" || got.Attempts != 1 || !got.DueAt.Equal(now.Add(time.Minute)) || !got.ProcessedAt.IsZero() {
		f.Errorf("to be tried again: %+v", got)
	}
	if !reflect.DeepEqual(deliveries, []integration.Delivery{first}) {
		f.Errorf("deliveries %+v, want %+v", deliveries, first)
	}
	second := delivery(2, integration.DeliveryFailed)
	f.process(now.Add(time.Minute), integration.Outcome{Status: integration.EventFailed, Error: "gave up", Deliveries: []integration.Delivery{second}})
	got, deliveries = f.read(e.ID)
	if got.Status != integration.EventFailed || got.Error != "gave up" || got.Attempts != 2 || got.ProcessedAt.IsZero() || !got.DueAt.IsZero() {
		f.Errorf("given up: %+v", got)
	}
	if !reflect.DeepEqual(deliveries, []integration.Delivery{first, second}) {
		f.Errorf("deliveries %+v", deliveries)
	}

	ok := f.accept()
	f.process(now, integration.Outcome{Status: integration.EventProcessed})
	if got, _ := f.read(ok.ID); got.Status != integration.EventProcessed || got.Error != "" || got.ProcessedAt.IsZero() {
		f.Errorf("processed: %+v", got)
	}
	testBadOutcome(f, now)
}

// testBadOutcome: one that makes no sense is refused, and so is the deliveries'
// half of a lost lease.
func testBadOutcome(f *fixture, now time.Time) {
	e := f.accept()
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 1})
	if err != nil || len(held) != 1 {
		f.Fatal(held, err)
	}
	if _, err := f.Queue.Complete(f.Context(), "w", []lease.Done[integration.Outcome]{{Key: held[0].Key, Outcome: integration.Outcome{Status: "delighted"}}}); err == nil {
		f.Error("an unknown status was written")
	}
	late := integration.Outcome{Status: integration.EventProcessed, Deliveries: []integration.Delivery{{ID: "late", EventID: e.ID, Destination: "app", State: integration.DeliverySucceeded, StartedAt: now}}}
	if lost, err := f.Queue.Complete(f.Context(), "another", []lease.Done[integration.Outcome]{{Key: held[0].Key, Outcome: late}}); err != nil || len(lost) != 1 {
		f.Errorf("another owner's outcome: lost %v, %v", lost, err)
	}
	if got, deliveries := f.read(e.ID); got.Status != integration.EventProcessing || len(deliveries) != 0 {
		f.Errorf("what was refused left %s and %v", got.Status, deliveries)
	}
}

// Lists show the youngest first, page by page, without payloads; events that
// arrive meanwhile neither push one off nor bring one twice.
func testEventPages(f *fixture) {
	var want []string
	for range 25 {
		want = append(want, f.accept().ID)
	}
	slices.Reverse(want)
	var got []string
	filter := integration.Filter{Service: "stripe", Limit: 10}
	for pages := 1; ; pages++ {
		events, next, err := f.Store.Events(f.Context(), filter)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range events {
			got = append(got, e.ID)
			if e.Payload != nil || e.Header != nil {
				f.Errorf("a list shows a payload or a header: %+v", e)
			}
		}
		if filter.Cursor = next; next == "" {
			if pages != 3 || len(events) != 5 {
				f.Errorf("page %d is the last, with %d events", pages, len(events))
			}
			break
		}
		f.accept()
	}
	if !slices.Equal(got, want) {
		f.Errorf("got %v\nwant %v", got, want)
	}
	// A full last page says that it is the last.
	if events, next, err := f.Store.Events(f.Context(), integration.Filter{Limit: 27}); err != nil || len(events) != 27 || next != "" {
		f.Errorf("%d events, next %q, %v", len(events), next, err)
	}
	for range 30 {
		f.accept()
	}
	if events, next, err := f.Store.Events(f.Context(), integration.Filter{}); err != nil || len(events) != 50 || next == "" {
		f.Errorf("the usual page has %d events, next %q, %v", len(events), next, err)
	}
}

func testEventFilters(f *fixture) {
	a := f.accept()
	b := f.accept(func(e *integration.Event) { e.Service, e.Type = "github", "push" })
	c := f.accept(func(e *integration.Event) { e.Tenant, e.ExternalID = "globex", "100%_Sure" })
	d := f.accept(func(e *integration.Event) { e.Status = integration.EventIgnored })
	bad := f.accept(func(e *integration.Event) { e.DueAt = start.Add(-time.Hour) })
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: start, Until: start.Add(time.Minute), Limit: 1})
	if err != nil || len(held) != 1 || held[0].ID != bad.ID {
		f.Fatal(held, err)
	}
	if _, err := f.Queue.Complete(f.Context(), "w", []lease.Done[integration.Outcome]{{Key: held[0].Key, Outcome: integration.Outcome{Status: integration.EventFailed, Error: "Mapping row 7"}}}); err != nil {
		f.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		filter integration.Filter
		want   []string
	}{
		{"all", integration.Filter{}, []string{bad.ID, d.ID, c.ID, b.ID, a.ID}},
		{"service", integration.Filter{Service: "github"}, []string{b.ID}},
		{"tenant", integration.Filter{Tenant: "globex"}, []string{c.ID}},
		{"type", integration.Filter{Type: "push"}, []string{b.ID}},
		{"status", integration.Filter{Status: "ignored"}, []string{d.ID}},
		{"failed", integration.Filter{Service: "stripe", Status: "failed"}, []string{bad.ID}},
		{"failed elsewhere", integration.Filter{Service: "github", Status: "failed"}, nil},
		{"no such status", integration.Filter{Status: "' OR 1=1 --"}, nil},
		{"part of an id", integration.Filter{Query: a.ID[len(a.ID)-5:]}, []string{a.ID}},
		{"part of an external id, any case", integration.Filter{Query: "%_sure"}, []string{c.ID}},
		{"wildcards are letters", integration.Filter{Query: "e%t"}, nil},
		{"and so are others", integration.Filter{Query: "evt_x"}, nil},
		{"a text longer than any", integration.Filter{Query: strings.Repeat("evt", 50_000)}, nil},
		{"part of an error", integration.Filter{Query: "mapping row"}, []string{bad.ID}},
		{"since", integration.Filter{Since: d.ReceivedAt}, []string{bad.ID, d.ID}},
		{"until", integration.Filter{Until: b.ReceivedAt}, []string{a.ID}},
		{"all together", integration.Filter{Service: "stripe", Tenant: "acme", Type: "invoice.paid", Status: "received", Query: "evt", Since: start, Until: start.Add(time.Hour)}, []string{a.ID}},
		{"nothing", integration.Filter{Service: "stripe", Tenant: "nobody"}, nil},
	} {
		c.filter.Limit = 2 // so that filters hold on later pages too
		var got []string
		for _, e := range f.events(c.filter) {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, c.want) {
			f.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// A cursor from elsewhere is told from the end of a list.
func testCursors(f *fixture) {
	for range 3 {
		f.accept()
	}
	_, good, err := f.Store.Events(f.Context(), integration.Filter{Limit: 1})
	if err != nil || good == "" {
		f.Fatalf("cursor %q, %v", good, err)
	}
	for _, cursor := range []string{"x", "-1", "e-1", "e", "e1.5", "e99999999999999999999", "e1 OR 1=1", "0' --"} {
		if _, _, err := f.Store.Events(f.Context(), integration.Filter{Cursor: cursor}); !errors.Is(err, integration.ErrCursor) {
			f.Errorf("cursor %q of events: %v, want ErrCursor", cursor, err)
		}
	}
	if _, _, err := f.Store.Calls(f.Context(), integration.Filter{Cursor: good}); !errors.Is(err, integration.ErrCursor) {
		f.Errorf("an event cursor among calls: %v, want ErrCursor", err)
	}
	if _, _, err := f.Store.AuditLog(f.Context(), integration.Filter{Cursor: good}); !errors.Is(err, integration.ErrCursor) {
		f.Errorf("an event cursor among audit entries: %v, want ErrCursor", err)
	}
}

// R5.10, R9.5: a person retries what is final; attempts go on counting, with a
// mark from where the schedule begins anew, and the audit log says who did it.
func testRetryEvent(f *fixture) {
	now := start.Add(time.Hour)
	for _, status := range []integration.EventStatus{integration.EventFailed, integration.EventProcessed, integration.EventIgnored} {
		e := f.accept()
		f.process(now, integration.Outcome{Status: status, Error: "was so"})
		if err := f.Store.RetryEvent(f.Context(), e.ID, now, audit("event.retry", e.ID)); err != nil {
			f.Fatalf("retry of a %s event: %v", status, err)
		}
		got, _ := f.read(e.ID)
		if got.Status != integration.EventReceived || !got.DueAt.Equal(now) || !got.ProcessedAt.IsZero() || got.Attempts != 1 || got.RetriedAfter != 1 || got.Error != "" {
			f.Errorf("retried, it stands at %+v", got)
		}
		again := integration.Outcome{Status: integration.EventReceived, DueAt: now, Error: "again"}
		if held := f.process(now, again); len(held) != 1 || held[0].Attempt != 2 || held[0].Value.RetriedAfter != 1 {
			f.Errorf("lent as %+v, want attempt 2, the first since the retry", held)
		}
		if held := f.process(now, integration.Outcome{Status: integration.EventProcessed}); len(held) != 1 || held[0].Attempt != 3 || held[0].Value.RetriedAfter != 1 {
			f.Errorf("lent as %+v, want attempt 3, the second since the retry", held)
		}
		if a := f.auditActions(); a[0] != "event.retry "+e.ID {
			f.Errorf("the audit log says %v", a)
		}
	}

	waiting := f.accept(func(e *integration.Event) { e.DueAt = now.Add(24 * time.Hour) })
	if err := f.Store.RetryEvent(f.Context(), waiting.ID, now, audit("event.retry", waiting.ID)); err != nil {
		f.Errorf("one that waits for its time: %v", err)
	}
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 1})
	if err != nil || len(held) != 1 || held[0].ID != waiting.ID {
		f.Fatalf("claimed %v, %v", held, err)
	}
	if held[0].Value.RetriedAfter != 0 {
		f.Errorf("never tried and asked for: %+v", held[0].Value)
	}
	n := len(f.auditActions())
	if err := f.Store.RetryEvent(f.Context(), waiting.ID, now, audit("event.retry", waiting.ID)); !errors.Is(err, integration.ErrState) {
		f.Errorf("one in work: %v, want ErrState", err)
	}
	if err := f.Store.RetryEvent(f.Context(), "nowhere", now, audit("event.retry", "nowhere")); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("one that is not there: %v, want ErrNotFound", err)
	}
	if got := len(f.auditActions()); got != n {
		f.Errorf("refused retries left %d audit entries", got-n)
	}
}

func testEventCounts(f *fixture) {
	if c, err := f.Store.EventCounts(f.Context(), "stripe", ""); err != nil || len(c.ByState) != 0 || !c.OldestDue.IsZero() {
		f.Errorf("empty: %+v, %v", c, err)
	}
	now := start.Add(time.Hour)
	for range 3 {
		f.accept()
	}
	f.process(now, integration.Outcome{Status: integration.EventProcessed})
	f.accept(func(e *integration.Event) { e.Status = integration.EventIgnored })
	f.accept(func(e *integration.Event) { e.DueAt = now.Add(-time.Minute) })
	if _, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: 1}); err != nil {
		f.Fatal(err)
	}
	f.accept(func(e *integration.Event) { e.DueAt = now.Add(time.Minute) })
	f.accept(func(e *integration.Event) { e.DueAt, e.Tenant = now.Add(2*time.Minute), "" })
	f.accept(func(e *integration.Event) { e.Service, e.DueAt = "github", start })
	c, err := f.Store.EventCounts(f.Context(), "stripe", "")
	want := map[string]int{"processed": 3, "ignored": 1, "processing": 1, "received": 2}
	if err != nil || !reflect.DeepEqual(c.ByState, want) || !c.OldestDue.Equal(now.Add(time.Minute)) {
		f.Errorf("%+v, %v; want %v, oldest %s", c, err, want, now.Add(time.Minute))
	}
	f.accept(func(e *integration.Event) { e.Tenant, e.DueAt = "alone", now.Add(time.Hour) })
	c, err = f.Store.EventCounts(f.Context(), "stripe", "alone")
	if err != nil || !reflect.DeepEqual(c.ByState, map[string]int{"received": 1}) || !c.OldestDue.Equal(now.Add(time.Hour)) {
		f.Errorf("of one tenant: %+v, %v; want its one event", c, err)
	}
}
