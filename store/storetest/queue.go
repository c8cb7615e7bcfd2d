package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Destinations is what is asked of a store about paused destinations.
type Destinations interface {
	PauseDestination(ctx context.Context, p integration.PausedDestination, audit integration.AuditEntry) error
	ResumeDestination(ctx context.Context, service, name string, audit integration.AuditEntry) error
	PausedDestinations(ctx context.Context) ([]integration.PausedDestination, error)
	ParkedEvents(ctx context.Context, counted bool) ([]integration.Parked, error)
	Unpark(ctx context.Context, parked string, now time.Time, most int) (n int, err error)
}

// take lends what is due.
func (f *fixture) take(now time.Time, limit int) []lease.Held[integration.Event] {
	f.Helper()
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: limit})
	if err != nil {
		f.Fatalf("claim: %v", err)
	}
	return held
}

// settle ends a loan that must still be held.
func (f *fixture) settle(h lease.Held[integration.Event], o integration.Outcome) {
	f.Helper()
	if lost, err := f.Queue.Complete(f.Context(), "w", []lease.Done[integration.Outcome]{{Key: h.Key, Outcome: o}}); err != nil || len(lost) > 0 {
		f.Fatalf("complete: lost %v, %v", lost, err)
	}
}

func (f *fixture) due() time.Time {
	f.Helper()
	at, err := f.Queue.NextDue(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return at
}

// R5.8: an event that was put off does not count an attempt, is due when it was
// said, and keeps what was told of it.
func testPutOff(f *fixture) {
	now := start.Add(time.Hour)
	e := f.accept()
	held := f.take(now, 10)
	f.settle(held[0], integration.Outcome{Status: integration.EventReceived, Released: true, DueAt: now.Add(30 * time.Second)})
	got, _ := f.read(e.ID)
	if got.Status != integration.EventReceived || got.Attempts != 0 || !got.DueAt.Equal(now.Add(30*time.Second)) {
		f.Errorf("put off: %+v", got)
	}
	if at := f.due(); !at.Equal(now.Add(30 * time.Second)) {
		f.Errorf("next due %s", at)
	}
	if held := f.take(now.Add(29*time.Second), 10); len(held) != 0 {
		f.Errorf("lent too early: %+v", held)
	}
	held = f.take(now.Add(30*time.Second), 10)
	if len(held) != 1 || held[0].Attempt != 1 {
		f.Fatalf("lent %+v", held)
	}
	f.settle(held[0], integration.Outcome{Status: integration.EventReceived, Released: true})
	if got, _ := f.read(e.ID); !got.DueAt.Equal(now.Add(30 * time.Second)) {
		f.Errorf("released without a time: due %s", got.DueAt)
	}
}

// R5.11: where an event stands with each destination is written with the outcome.
func testProgress(f *fixture) {
	now := start.Add(time.Hour)
	e := f.accept()
	if got, _ := f.read(e.ID); got.Progress != nil {
		f.Errorf("a new event has progress %v", got.Progress)
	}
	progress := integration.Progress{
		"a":  {State: integration.ProgressSucceeded, Attempts: 1},
		"b'": {State: integration.ProgressWaiting, Attempts: 1, DueAt: now.Add(time.Minute), Error: "it's 503"},
	}
	f.settle(f.take(now, 1)[0], integration.Outcome{Status: integration.EventReceived, DueAt: now.Add(time.Minute), Error: "b': 503", Progress: progress})
	held := f.take(now.Add(time.Minute), 1)
	if !reflect.DeepEqual(held[0].Value.Progress, progress) {
		f.Errorf("lent with %+v, want %+v", held[0].Value.Progress, progress)
	}
	f.settle(held[0], integration.Outcome{Status: integration.EventReceived, Released: true, DueAt: now.Add(time.Hour)})
	if got, _ := f.read(e.ID); !reflect.DeepEqual(got.Progress, progress) {
		f.Errorf("no progress took the old away: %+v", got.Progress)
	}
}

// R5.11: what is parked is in nobody's way, and comes back by parts.
func testParked(f *fixture) {
	s, ok := f.Store.(Destinations)
	if !ok {
		f.Fatalf("%T can't pause destinations", f.Store)
	}
	now := start.Add(time.Hour)
	var ids []string
	for range 5 {
		ids = append(ids, f.accept().ID)
	}
	for i, h := range f.take(now, 10) {
		o := integration.Outcome{Status: integration.EventReceived, Released: true, Parked: "stripe/app"}
		if i == 4 {
			o = integration.Outcome{Status: integration.EventReceived, Error: "other: 503", Parked: "stripe/other"}
		}
		f.settle(h, o)
	}
	if at := f.due(); !at.IsZero() {
		f.Errorf("parked events are due at %s", at)
	}
	if held := f.take(now.Add(100*24*time.Hour), 10); len(held) != 0 {
		f.Errorf("parked events were lent: %+v", held)
	}
	if got, _ := f.read(ids[0]); got.Status != integration.EventReceived || got.Parked != "stripe/app" || got.Attempts != 0 || !got.DueAt.IsZero() {
		f.Errorf("parked: %+v", got)
	}
	if got, _ := f.read(ids[4]); got.Parked != "stripe/other" || got.Attempts != 1 {
		f.Errorf("parked after an attempt: %+v", got)
	}
	f.parked(s, true, []integration.Parked{{For: "stripe/app", Events: 4}, {For: "stripe/other", Events: 1}})
	f.parked(s, false, []integration.Parked{{For: "stripe/app"}, {For: "stripe/other"}})
	if n, err := s.Unpark(f.Context(), "stripe/app", now, 3); err != nil || n != 3 {
		f.Errorf("unparked %d, %v", n, err)
	}
	var lent []string
	for _, h := range f.take(now, 10) {
		lent = append(lent, h.ID)
	}
	if slices.Sort(lent); !slices.Equal(lent, ids[:3]) {
		f.Errorf("lent %v, want the oldest three of %v", lent, ids)
	}
	if err := f.Store.RetryEvent(f.Context(), ids[3], now, audit("event.retry", ids[3])); err != nil {
		f.Fatal(err)
	}
	if held := f.take(now, 10); len(held) != 1 || held[0].ID != ids[3] {
		f.Errorf("asked for again by hand: lent %+v", held)
	}
	f.parked(s, true, []integration.Parked{{For: "stripe/other", Events: 1}})
	if n, err := s.Unpark(f.Context(), "stripe/other", now, 1000); err != nil || n != 1 {
		f.Errorf("unparked %d, %v", n, err)
	}
	f.parked(s, true, nil)
	f.refuseParkedFinal(now)
}

func (f *fixture) refuseParkedFinal(now time.Time) {
	held := f.take(now, 1)
	o := integration.Outcome{Status: integration.EventProcessed, Parked: "stripe/app"}
	if _, err := f.Queue.Complete(f.Context(), "w", []lease.Done[integration.Outcome]{{Key: held[0].Key, Outcome: o}}); err == nil {
		f.Error("an event that is over was parked")
	}
}

// R5.11: what waits for one destination's retry and for another that is paused is
// due for the one, and comes back earlier when the other is resumed.
func testParkedAndDue(f *fixture) {
	s, ok := f.Store.(Destinations)
	if !ok {
		f.Fatalf("%T can't pause destinations", f.Store)
	}
	now := start.Add(time.Hour)
	for _, ordered := range []bool{false, true} {
		e := f.accept(func(e *integration.Event) { e.Subject, e.Ordered = "a", ordered })
		both := integration.ParkedFor("stripe/app", "stripe/b c")
		f.settle(f.take(now, 10)[0], integration.Outcome{Status: integration.EventReceived, Parked: both, DueAt: now.Add(time.Hour), Error: "503"})
		if at := f.due(); !at.Equal(now.Add(time.Hour)) {
			f.Errorf("next due %s", at)
		}
		f.parked(s, true, []integration.Parked{{For: both, Events: 1}})
		f.lent(f.take(now.Add(59*time.Minute), 10))
		held := f.take(now.Add(time.Hour), 10)
		f.lent(held, e.ID)
		if _, err := s.Unpark(f.Context(), both, now, 10); err != nil { // while it is on loan
			f.Fatal(err)
		}
		f.settle(held[0], integration.Outcome{Status: integration.EventReceived, Released: true})
		if got, _ := f.read(e.ID); got.DueAt.IsZero() || got.Parked != "" {
			f.Errorf("unparked while it was on loan: due %s, parked %q", got.DueAt, got.Parked)
		}
		held = f.take(now.Add(time.Hour), 10)
		f.lent(held, e.ID)
		f.settle(held[0], integration.Outcome{Status: integration.EventReceived, Released: true, Parked: "stripe/app", DueAt: now.Add(9 * time.Hour)})
		if n, err := s.Unpark(f.Context(), "stripe/app", now.Add(2*time.Hour), 10); err != nil || n != 1 {
			f.Errorf("unparked %d, %v", n, err)
		}
		held = f.take(now.Add(2*time.Hour), 10)
		f.lent(held, e.ID)
		f.settle(held[0], integration.Outcome{Status: integration.EventProcessed})
		f.parked(s, true, nil)
		if at := f.due(); !at.IsZero() {
			f.Errorf("something is left, due at %s", at)
		}
	}
}

func (f *fixture) parked(s Destinations, counted bool, want []integration.Parked) {
	f.Helper()
	if got, err := s.ParkedEvents(f.Context(), counted); err != nil || !slices.Equal(got, want) {
		f.Errorf("parked %+v, %v; want %+v", got, err, want)
	}
}

// R5.11: a pause is kept, once, with who did it.
func testPause(f *fixture) {
	s, ok := f.Store.(Destinations)
	if !ok {
		f.Fatalf("%T can't pause destinations", f.Store)
	}
	first := integration.PausedDestination{Service: "stripe", Name: "app", At: start, Actor: "key:1"}
	for _, p := range []integration.PausedDestination{first, {Service: "stripe", Name: "app", At: start.Add(time.Hour), Actor: "key:2"}} {
		if err := s.PauseDestination(f.Context(), p, audit("destination.pause", "stripe/app")); err != nil {
			f.Fatal(err)
		}
	}
	if got, err := s.PausedDestinations(f.Context()); err != nil || !slices.Equal(got, []integration.PausedDestination{first}) {
		f.Errorf("paused %+v, %v", got, err)
	}
	for range 2 {
		if err := s.ResumeDestination(f.Context(), "stripe", "app", audit("destination.resume", "stripe/app")); err != nil {
			f.Fatal(err)
		}
	}
	if got, err := s.PausedDestinations(f.Context()); err != nil || len(got) != 0 {
		f.Errorf("paused %+v, %v", got, err)
	}
	want := []string{"destination.resume stripe/app", "destination.resume stripe/app", "destination.pause stripe/app", "destination.pause stripe/app"}
	if got := f.auditActions(); !slices.Equal(got, want) {
		f.Errorf("audit %v", got)
	}
}

// R5.8: events of one subject are lent one after the other by arrival; what
// waits for a retry holds back its own subject and no other; what was given up
// lets the next go on.
func testLines(f *fixture) {
	now := start.Add(time.Hour)
	in := func(subject string) func(*integration.Event) {
		return func(e *integration.Event) { e.Subject, e.Ordered = subject, true }
	}
	a1, a2, a3 := f.accept(in("a")), f.accept(in("a")), f.accept(in("a"))
	b1, b2 := f.accept(in("b")), f.accept(in("b"))
	free := f.accept(in("")) // no subject, no order
	held := f.take(now, 10)
	f.lent(held, a1.ID, b1.ID, free.ID)
	by := map[string]lease.Held[integration.Event]{}
	for _, h := range held {
		by[h.ID] = h
	}
	if !by[a1.ID].Value.Ordered || by[free.ID].Value.Ordered {
		f.Error("an event does not say whether it has an order")
	}
	f.lent(f.take(now, 10)) // nothing
	f.settle(by[a1.ID], integration.Outcome{Status: integration.EventReceived, DueAt: now.Add(12 * time.Hour), Error: "503"})
	f.settle(by[b1.ID], integration.Outcome{Status: integration.EventProcessed})
	f.settle(by[free.ID], integration.Outcome{Status: integration.EventProcessed})
	later := now.Add(time.Minute) // the end of the loan that b2 was put off to
	held = f.take(later, 10)
	f.lent(held, b2.ID)
	f.settle(held[0], integration.Outcome{Status: integration.EventProcessed})
	for _, wait := range []time.Duration{2 * time.Minute, time.Hour, 11 * time.Hour} {
		f.lent(f.take(now.Add(wait), 10)) // a2 and a3 do not overtake
	}
	if at := f.due(); at.IsZero() {
		f.Error("what waits for another is never looked at again")
	}
	now = now.Add(12 * time.Hour)
	held = f.take(now, 10)
	f.lent(held, a1.ID)
	f.settle(held[0], integration.Outcome{Status: integration.EventFailed, Error: "given up"})
	held = f.take(time.Now().Add(time.Second), 10) // called by the store's own clock
	f.lent(held, a2.ID)
	f.settle(held[0], integration.Outcome{Status: integration.EventReceived, Released: true, Parked: "stripe/app"})
	f.lent(f.take(time.Now().Add(time.Hour), 10)) // a3 is parked with a2
	s, _ := f.Store.(Destinations)
	f.parked(s, true, []integration.Parked{{For: "stripe/app", Events: 2}})
	again := time.Now().Add(2 * time.Hour)
	if _, err := s.Unpark(f.Context(), "stripe/app", again, 10); err != nil {
		f.Fatal(err)
	}
	f.lent(f.take(again, 10), a2.ID)
	// An owner that died: the same event again, and none beside it.
	f.lent(f.take(again.Add(2*time.Minute), 10), a2.ID)
	_ = a3
}

// lent checks which events were lent, in any order.
func (f *fixture) lent(held []lease.Held[integration.Event], want ...string) {
	f.Helper()
	var got []string
	for _, h := range held {
		got = append(got, h.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		f.Fatalf("lent %v, want %v", got, want)
	}
}

// An earlier event that is asked for again waits until the later one on loan is
// back, and a long line does not keep other events from being lent.
func testLongLine(f *fixture) {
	now := start.Add(time.Hour)
	in := func(e *integration.Event) { e.Subject, e.Ordered = "a", true }
	first := f.accept(in)
	f.settle(f.take(now, 10)[0], integration.Outcome{Status: integration.EventFailed, Error: "given up"})
	second := f.accept(in)
	held := f.take(now, 10)
	f.lent(held, second.ID)
	if err := f.Store.RetryEvent(f.Context(), first.ID, now, audit("event.retry", first.ID)); err != nil {
		f.Fatal(err)
	}
	f.lent(f.take(now, 10))
	f.settle(held[0], integration.Outcome{Status: integration.EventProcessed})
	now = now.Add(2 * time.Minute)
	held = f.take(now, 10)
	f.lent(held, first.ID)
	for range 200 {
		f.accept(in)
	}
	other := f.accept(func(e *integration.Event) { e.Ordered, e.Subject = true, "b" })
	free := f.accept()
	f.lent(f.take(now.Add(30*time.Second), 5), other.ID, free.ID)
}

// R5.11: an event is stale when one of its subject that the provider dates later
// was processed before it; other subjects, tenants and services say nothing.
func testStale(f *fixture) {
	now := start.Add(time.Hour)
	at := func(subject string, occurred time.Time) func(*integration.Event) {
		return func(e *integration.Event) { e.Subject, e.OccurredAt = subject, occurred }
	}
	old := f.accept(at("in_1", start))
	fresh := f.accept(at("in_1", start.Add(time.Minute)))
	for _, h := range f.take(now, 10) {
		if h.Value.Stale {
			f.Errorf("%s is stale before any was processed", h.ID)
		}
		o := integration.Outcome{Status: integration.EventReceived, DueAt: now.Add(time.Minute)}
		if h.ID == fresh.ID {
			o = integration.Outcome{Status: integration.EventProcessed}
		}
		f.settle(h, o)
	}
	same := f.accept(at("in_1", start.Add(time.Minute)))
	undated := f.accept(at("in_1", time.Time{}))
	another := f.accept(at("in_2", start))
	tenant := f.accept(at("in_1", start), func(e *integration.Event) { e.Tenant = "globex" })
	service := f.accept(at("in_1", start), func(e *integration.Event) { e.Service = "github" })
	nothing := f.accept(at("", start))
	long := f.accept(at(fmt.Sprintf("%0512d", 1), start))
	want := map[string]bool{old.ID: true, same.ID: false, undated.ID: false, another.ID: false, tenant.ID: false, service.ID: false, nothing.ID: false, long.ID: false}
	held := f.take(now.Add(time.Minute), 20)
	for _, h := range held {
		if h.Value.Stale != want[h.ID] {
			f.Errorf("%s of %q is stale: %v", h.ID, h.Value.Subject, h.Value.Stale)
		}
		f.settle(h, integration.Outcome{Status: integration.EventProcessed})
	}
	if len(held) != len(want) {
		f.Errorf("%d lent, want %d", len(held), len(want))
	}
	if got, _ := f.read(old.ID); !got.Stale {
		f.Error("a stale event does not say so when it is read")
	}
	if got, _ := f.read(fresh.ID); got.Stale {
		f.Error("the latest event is stale")
	}
}

// R5.8: a tenant with very many events waits behind itself: the others have a
// share of each claim, each its oldest first, and nothing is left over or lent
// twice.
func testEventTurns(f *fixture) {
	of := func(tenant string, at time.Time) func(*integration.Event) {
		return func(e *integration.Event) { e.Tenant, e.ReceivedAt = tenant, at }
	}
	for i := range 200 {
		f.accept(of("noisy", start.Add(time.Duration(i)*time.Millisecond)))
	}
	quiet := []string{"", "a", "o\x00", "zebra"}
	for _, tenant := range quiet {
		for i := range 3 {
			f.accept(of(tenant, start.Add(time.Minute+time.Duration(i)*time.Millisecond)))
		}
	}
	now := start.Add(time.Hour)
	lent, first := map[string]int{}, map[string]int{}
	for claim := 1; ; claim++ {
		held := f.take(now, 10)
		if len(held) == 0 {
			break
		}
		if len(held) > 10 || len(held) < 10 && len(lent)+len(held) < 212 {
			f.Fatalf("claim %d lent %d", claim, len(held))
		}
		noisy := 0
		for _, h := range held {
			lent[h.ID]++
			if h.Value.Tenant == "noisy" {
				noisy++
			}
			if first[h.Value.Tenant] == 0 {
				first[h.Value.Tenant] = claim
			}
			f.settle(h, integration.Outcome{Status: integration.EventProcessed})
		}
		if claim > 1 && noisy == 0 {
			f.Errorf("claim %d has nothing of the tenant with the most", claim)
		}
	}
	for _, tenant := range quiet {
		if first[tenant] > 3 {
			f.Errorf("%q had its first turn in claim %d", tenant, first[tenant])
		}
	}
	if len(lent) != 212 {
		f.Errorf("%d events were lent, want 212", len(lent))
	}
	for id, n := range lent {
		if n != 1 {
			f.Errorf("%s was lent %d times", id, n)
		}
	}
}
