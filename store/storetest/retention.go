package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/store/pack"
)

// Retaining is what is asked of a store about deleting what has had its time.
type Retaining interface {
	EmptyPayloads(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error)
	DeleteEvents(ctx context.Context, e integration.Expiry, step integration.Step) (integration.Swept, error)
	DeleteCalls(ctx context.Context, service string, before time.Time, step integration.Step) (integration.Swept, error)
	DeleteUses(ctx context.Context, before time.Time, step integration.Step) (integration.Swept, error)
	StoredServices(ctx context.Context) ([]string, error)
	Due(ctx context.Context, e integration.Expiry, calls time.Time, most int) (integration.Due, error)
	TakeHousekeeping(ctx context.Context, owner string, now, until, begins time.Time) (integration.HousekeepingTurn, error)
	Backlog() int
	Sizes(ctx context.Context) (integration.StoreSize, error)
}

// step is large enough for all that a test stores.
var step = integration.Step{Rows: 1000, Bytes: 1 << 30}

// day n is n days after the first event of a test was received.
func day(n int) time.Time { return start.AddDate(0, 0, n) }

// received stores an event that was received on a day.
func (f *fixture) received(n int, change ...func(*integration.Event)) *integration.Event {
	f.Helper()
	return f.accept(append([]func(*integration.Event){func(e *integration.Event) { e.ReceivedAt = day(n) }}, change...)...)
}

// end gives one event the final status.
func (f *fixture) end(e *integration.Event, o integration.Outcome) {
	f.Helper()
	now := day(1000)
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "end", Now: now, Until: now.Add(time.Minute), Limit: 100})
	if err != nil {
		f.Fatal(err)
	}
	done := make([]lease.Done[integration.Outcome], len(held))
	for i := range held {
		done[i] = lease.Done[integration.Outcome]{Key: held[i].Key, Outcome: integration.Outcome{Released: true}}
		if held[i].ID == e.ID {
			done[i].Outcome = o
		}
	}
	if lost, err := f.Queue.Complete(f.Context(), "end", done); err != nil || len(lost) > 0 {
		f.Fatalf("lost %v, %v", lost, err)
	}
}

// R5.4, R5.7: payloads go when their time has come, ids stay for as long as
// repeats may come; what is under way or failed is not touched.
func testEmptyPayloads(f *fixture) {
	old := f.received(1)
	f.end(old, integration.Outcome{Status: integration.EventProcessed})
	ignored := f.received(2, func(e *integration.Event) { e.Status = integration.EventIgnored })
	failed := f.received(3)
	f.end(failed, integration.Outcome{Status: integration.EventFailed, Error: "gave up"})
	waiting := f.received(4)
	foreign := f.received(1, func(e *integration.Event) { e.Service, e.Status = "paypal", integration.EventIgnored })
	young := f.received(50, func(e *integration.Event) { e.Status = integration.EventIgnored })

	expiry := integration.Expiry{Service: "stripe", Payload: day(50)}
	if due, err := f.Store.Due(f.Context(), expiry, time.Time{}, 10); err != nil || due != (integration.Due{Payloads: 2}) {
		f.Errorf("due are %+v, %v", due, err)
	}
	swept, err := f.Store.EmptyPayloads(f.Context(), expiry, step)
	if err != nil || swept.Payloads != 2 || swept.Rows() != 2 || swept.More || !swept.Reached.Equal(day(2)) || swept.Bytes != int64(len(old.Payload)+len(ignored.Payload)) {
		f.Errorf("emptied %+v, %v", swept, err)
	}
	for _, e := range []*integration.Event{old, ignored} {
		got, _ := f.read(e.ID)
		if len(got.Payload) != 0 || len(got.Header) != 0 || got.Kept != integration.KeptNothing || got.ExternalID != e.ExternalID || !got.ReceivedAt.Equal(e.ReceivedAt) {
			f.Errorf("emptied: %+v", got)
		}
		if fresh, err := f.Store.Accept(f.Context(), f.event(func(r *integration.Event) { r.ExternalID = e.ExternalID })); err != nil || fresh {
			f.Errorf("a repeat of an emptied event: fresh %v, %v", fresh, err)
		}
		if err := f.Store.RetryEvent(f.Context(), e.ID, day(60), audit("event.retry", e.ID)); !errors.Is(err, integration.ErrNotKept) {
			f.Errorf("a retry of an emptied event: %v", err)
		}
		if got, _ := f.read(e.ID); got.Status != e.Status && got.Status != integration.EventProcessed {
			f.Errorf("the refused retry left it %s", got.Status)
		}
	}
	for _, e := range []*integration.Event{failed, waiting, foreign, young} {
		if got, _ := f.read(e.ID); !bytes.Equal(got.Payload, e.Payload) || !reflect.DeepEqual(got.Header, e.Header) || got.Kept != integration.KeptWhole {
			f.Errorf("not due and yet emptied: %+v", got)
		}
	}
	if again, err := f.Store.EmptyPayloads(f.Context(), expiry, step); err != nil || again.Rows() != 0 || again.More {
		f.Errorf("a second time: %+v, %v", again, err)
	}
	if none, err := f.Store.EmptyPayloads(f.Context(), integration.Expiry{Service: "stripe"}, step); err != nil || none.Rows() != 0 {
		f.Errorf("without a time: %+v, %v", none, err)
	}
}

// R5.4: rows go after the ids' time, failed ones as well, with their deliveries.
func testDeleteEvents(f *fixture) {
	delivery := func(e *integration.Event) []integration.Delivery {
		return []integration.Delivery{{ID: "d-" + e.ID, EventID: e.ID, Destination: "app", Attempt: 1, State: integration.DeliverySucceeded, StartedAt: start}}
	}
	old := f.received(1)
	f.end(old, integration.Outcome{Status: integration.EventProcessed, Deliveries: delivery(old)})
	failed := f.received(2)
	f.end(failed, integration.Outcome{Status: integration.EventFailed, Deliveries: delivery(failed)})
	waiting := f.received(3)
	emptied := f.received(4, func(e *integration.Event) { e.Status = integration.EventIgnored })
	foreign := f.received(1, func(e *integration.Event) { e.Service, e.Status = "paypal", integration.EventIgnored })
	young := f.received(100)
	f.end(young, integration.Outcome{Status: integration.EventProcessed, Deliveries: delivery(young)})
	if _, err := f.Store.EmptyPayloads(f.Context(), integration.Expiry{Service: "stripe", Payload: day(5)}, step); err != nil {
		f.Fatal(err)
	}

	expiry := integration.Expiry{Service: "stripe", Payload: day(100), IDs: day(100)}
	var swept integration.Swept
	for steps, more := 0, true; more; steps++ {
		s, err := f.Store.DeleteEvents(f.Context(), expiry, integration.Step{Rows: 2, Bytes: 1 << 20})
		if err != nil || s.Rows() > 2 || steps > 5 {
			f.Fatalf("step %d: %+v, %v", steps, s, err)
		}
		swept.Add(s)
		more = s.Rows() > 0
	}
	if swept.Events != 3 || swept.Deliveries != 2 {
		f.Errorf("deleted %+v", swept)
	}
	var left []string
	for _, e := range f.events(integration.Filter{}) {
		left = append(left, e.ID)
	}
	slices.Sort(left)
	want := []string{waiting.ID, foreign.ID, young.ID}
	if slices.Sort(want); !slices.Equal(left, want) {
		f.Errorf("left are %v, want %v; old was %s, failed %s, emptied %s", left, want, old.ID, failed.ID, emptied.ID)
	}
	if _, deliveries := f.read(young.ID); len(deliveries) != 1 {
		f.Errorf("the young one's deliveries: %v", deliveries)
	}
	if fresh, err := f.Store.Accept(f.Context(), f.event(func(r *integration.Event) { r.ExternalID = old.ExternalID })); err != nil || !fresh {
		f.Errorf("an id whose time has passed: fresh %v, %v", fresh, err)
	}
}

// A step is as small as it is told to be, and the next goes on behind it.
func testSteps(f *fixture) {
	body := bytes.Repeat([]byte("x"), 1000)
	for i := range 20 {
		f.received(1, func(e *integration.Event) {
			e.Status, e.Payload, e.ReceivedAt = integration.EventIgnored, body, day(1).Add(time.Duration(i)*time.Second)
		})
	}
	expiry := integration.Expiry{Service: "stripe", Payload: day(10)}
	for _, c := range []struct {
		step integration.Step
		want int
	}{
		{integration.Step{}, 0},
		{integration.Step{Rows: 3, Bytes: 1 << 20}, 3},
		{integration.Step{Rows: 100, Bytes: 2500}, 2},
		{integration.Step{Rows: 100, Bytes: 10}, 1}, // one is done always
	} {
		s, err := f.Store.EmptyPayloads(f.Context(), expiry, c.step)
		if err != nil || s.Payloads != c.want || s.Bytes != int64(c.want)*1000 || s.More != (c.want > 0) {
			f.Errorf("%+v: %+v, %v", c.step, s, err)
		}
		if c.want > 0 {
			expiry.From = s.Reached
		}
	}
	rest := integration.Swept{More: true}
	for rest.More {
		s, err := f.Store.EmptyPayloads(f.Context(), expiry, integration.Step{Rows: 5, Bytes: 1 << 20})
		if err != nil {
			f.Fatal(err)
		}
		rest.Add(s)
		rest.More, expiry.From = s.More, s.Reached
	}
	if rest.Payloads != 14 {
		f.Errorf("the rest was %d, want 14", rest.Payloads)
	}
}

// What is being worked on keeps its payload, whenever it was received, and so
// does what a person asked for again.
func testRetentionAndRetry(f *fixture) {
	e := f.received(1, func(e *integration.Event) { e.Status = integration.EventIgnored })
	if err := f.Store.RetryEvent(f.Context(), e.ID, day(200), audit("event.retry", e.ID)); err != nil {
		f.Fatal(err)
	}
	all := integration.Expiry{Service: "stripe", Payload: day(300), IDs: day(300)}
	if s, err := f.Store.EmptyPayloads(f.Context(), all, step); err != nil || s.Rows() != 0 {
		f.Errorf("a received one was emptied: %+v, %v", s, err)
	}
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: "w", Now: day(201), Until: day(202), Limit: 1})
	if err != nil || len(held) != 1 {
		f.Fatal(held, err)
	}
	for _, sweep := range []func(context.Context, integration.Expiry, integration.Step) (integration.Swept, error){f.Store.EmptyPayloads, f.Store.DeleteEvents} {
		if s, err := sweep(f.Context(), all, step); err != nil || s.Rows() != 0 {
			f.Errorf("one in work was touched: %+v, %v", s, err)
		}
	}
	if lost, err := f.Queue.Complete(f.Context(), "w", []lease.Done[integration.Outcome]{{Key: held[0].Key, Outcome: integration.Outcome{Status: integration.EventProcessed}}}); err != nil || len(lost) > 0 {
		f.Fatal(lost, err)
	}
	if got, _ := f.read(e.ID); !bytes.Equal(got.Payload, e.Payload) {
		f.Errorf("delivered was %q", got.Payload)
	}
	if s, err := f.Store.DeleteEvents(f.Context(), all, step); err != nil || s.Events != 1 {
		f.Errorf("at last: %+v, %v", s, err)
	}
}

// R5.7: an outcome may leave less of the payload than there was, in the same
// transaction.
func testKeepLess(f *fixture) {
	large := append([]byte(`{"a":"`), append(bytes.Repeat([]byte("secret "), pack.Least), `"}`...)...)
	e := f.received(1, func(e *integration.Event) { e.Payload = large })
	clean := append([]byte(`{"a":"[redacted]","b":"`), append(bytes.Repeat([]byte("x"), 2*pack.Least), `"}`...)...)
	f.end(e, integration.Outcome{Status: integration.EventReceived, DueAt: day(2), Payload: clean, Kept: integration.KeptRedacted})
	if got, _ := f.read(e.ID); !bytes.Equal(got.Payload, large) || got.Kept != integration.KeptWhole {
		f.Error("what is to be tried again was redacted")
	}
	f.end(e, integration.Outcome{Status: integration.EventProcessed, Payload: clean, Kept: integration.KeptRedacted})
	got, _ := f.read(e.ID)
	if !bytes.Equal(got.Payload, clean) || got.Kept != integration.KeptRedacted || !reflect.DeepEqual(got.Header, e.Header) {
		f.Errorf("redacted: %.40q, kept %d, %v", got.Payload, got.Kept, got.Header)
	}
	other := f.received(2)
	f.end(other, integration.Outcome{Status: integration.EventProcessed, Kept: integration.KeptNothing})
	if got, _ := f.read(other.ID); len(got.Payload) != 0 || len(got.Header) != 0 || got.Kept != integration.KeptNothing {
		f.Errorf("nothing was to be kept: %+v", got)
	}
	from := f.received(3, func(e *integration.Event) {
		e.Status, e.Kept, e.Payload = integration.EventIgnored, integration.KeptRedacted, []byte("{}")
	})
	if got, _ := f.read(from.ID); got.Kept != integration.KeptRedacted {
		f.Errorf("accepted redacted: kept %d", got.Kept)
	}
}

// R5.7: large payloads take less room and come back byte for byte, wherever an
// event is read whole.
func testLargePayloads(f *fixture) {
	body := bytes.Repeat([]byte("{\"n\": 1, \"\x00\xff\": \"\u00e9\"}\n"), 2000)
	e := f.received(1, func(e *integration.Event) { e.Payload = body })
	held := f.process(day(2), integration.Outcome{Status: integration.EventProcessed})
	if len(held) != 1 || !bytes.Equal(held[0].Value.Payload, body) {
		f.Error("other bytes were lent")
	}
	f.Store = f.Reopen(f)
	if got, _ := f.read(e.ID); !bytes.Equal(got.Payload, body) {
		f.Error("other bytes were read")
	}
	swept, err := f.Store.EmptyPayloads(f.Context(), integration.Expiry{Service: "stripe", Payload: day(10)}, step)
	if err != nil || swept.Payloads != 1 || swept.Bytes > int64(len(body)/4) {
		f.Errorf("%d bytes were stored as %d, %v", len(body), swept.Bytes, err)
	}
}

// Calls go with their attempts when they ended long ago, unless their outcome is
// unknown or they may still be made; so do the notes about uses of credentials.
func testDeleteCalls(f *fixture) {
	add := func(id string, state integration.CallState, made, ended int, change ...func(*integration.Call)) {
		c := f.call(state, append([]func(*integration.Call){func(c *integration.Call) {
			c.ID, c.CreatedAt, c.FinishedAt = id, day(made), day(ended)
			c.Attempts = []integration.Attempt{{Number: 1, StartedAt: day(made)}}
		}}, change...)...)
		if err := f.Store.Record(f.Context(), c); err != nil {
			f.Fatal(err)
		}
		f.flush()
	}
	add("old-1", integration.CallSucceeded, 1, 1)
	add("long", integration.CallSucceeded, 1, 95)
	add("old-2", integration.CallSucceeded, 2, 2)
	add("failed", integration.CallFailed, 1, 1)
	add("rejected", integration.CallRejected, 1, 1)
	add("unknown", integration.CallUnknown, 1, 1)
	add("young", integration.CallSucceeded, 95, 95)
	add("foreign", integration.CallSucceeded, 1, 1, func(c *integration.Call) { c.Service = "paypal" })

	if due, err := f.Store.Due(f.Context(), integration.Expiry{Service: "stripe"}, day(90), 3); err != nil || due != (integration.Due{Calls: 3}) {
		f.Errorf("due are %+v, %v", due, err)
	}
	var swept integration.Swept
	for range 4 {
		s, err := f.Store.DeleteCalls(f.Context(), "stripe", day(90), integration.Step{Rows: 2})
		if err != nil || s.Calls > 2 {
			f.Fatalf("%+v, %v", s, err)
		}
		swept.Add(s)
	}
	if swept.Calls != 4 || swept.Attempts != 4 {
		f.Errorf("deleted %+v", swept)
	}
	left, _, err := f.Store.Calls(f.Context(), integration.Filter{})
	var ids []string
	for _, c := range left {
		ids = append(ids, c.ID)
	}
	if want := []string{"foreign", "young", "unknown", "long"}; err != nil || !slices.Equal(ids, want) {
		f.Errorf("left are %v, %v; want %v", ids, err, want)
	}
	uses := []integration.CredentialUse{{Minute: day(1), Service: "stripe", Fingerprint: "a", Count: 1}, {Minute: day(2), Service: "stripe", Fingerprint: "a", Count: 1}, {Minute: day(95), Service: "stripe", Fingerprint: "a", Count: 1}}
	if err := f.Store.RecordUses(f.Context(), uses); err != nil {
		f.Fatal(err)
	}
	for _, want := range []int{1, 1, 0} {
		if s, err := f.Store.DeleteUses(f.Context(), day(90), integration.Step{Rows: 1}); err != nil || s.Uses != want || s.More != (want > 0) {
			f.Errorf("uses: %+v, %v; want %d", s, err, want)
		}
	}
	if found, _, err := f.Store.CredentialUses(f.Context(), integration.Filter{}); err != nil || len(found) != 1 || !found[0].Minute.Equal(day(95)) {
		f.Errorf("uses left: %v, %v", found, err)
	}
}

// Every service that something is kept of is found, with a plan or without.
func testStoredServices(f *fixture) {
	if names, err := f.Store.StoredServices(f.Context()); err != nil || len(names) != 0 {
		f.Errorf("of nothing: %v, %v", names, err)
	}
	f.received(1, func(e *integration.Event) { e.Service, e.Status = "b", integration.EventIgnored })
	if _, err := f.Store.EmptyPayloads(f.Context(), integration.Expiry{Service: "b", Payload: day(2)}, step); err != nil {
		f.Fatal(err)
	}
	f.received(1, func(e *integration.Event) { e.Service = "d" })
	f.received(1, func(e *integration.Event) { e.Service = "d" })
	for _, service := range []string{"a", "c", "d", "c"} {
		c := f.call(integration.CallSucceeded, func(c *integration.Call) { c.Service = service })
		if err := f.Store.Record(f.Context(), c); err != nil {
			f.Fatal(err)
		}
	}
	f.flush()
	if names, err := f.Store.StoredServices(f.Context()); err != nil || !slices.Equal(names, []string{"a", "b", "c", "d"}) {
		f.Errorf("%v, %v", names, err)
	}
}

// One process deletes at a time, and none before the time that was announced.
func testHousekeeping(f *fixture) {
	take := func(owner string, now time.Time) integration.HousekeepingTurn {
		turn, err := f.Store.TakeHousekeeping(f.Context(), owner, now, now.Add(time.Minute), now.Add(time.Hour))
		if err != nil {
			f.Fatal(err)
		}
		return turn
	}
	begins := start.Add(time.Hour)
	for i, c := range []struct {
		owner string
		now   time.Time
		want  integration.HousekeepingTurn
	}{
		{"a", start, integration.HousekeepingTurn{Mine: true, First: true, From: begins}},
		{"b", start, integration.HousekeepingTurn{From: begins}},
		{"a", start.Add(30 * time.Second), integration.HousekeepingTurn{Mine: true, From: begins}},
		{"b", start.Add(61 * time.Second), integration.HousekeepingTurn{From: begins}}, // a went on
		{"b", start.Add(2 * time.Minute), integration.HousekeepingTurn{Mine: true, From: begins}},
		{"a", start.Add(2 * time.Minute), integration.HousekeepingTurn{From: begins}},
	} {
		if got := take(c.owner, c.now); got != c.want {
			f.Errorf("%d: %+v, want %+v", i, got, c.want)
		}
	}
}

// The sizes are those of what is stored, and asking costs no error.
func testSizes(f *fixture) {
	for i := range 50 {
		f.received(1, func(e *integration.Event) { e.Header = http.Header{"X-N": {fmt.Sprint(i)}} })
	}
	size, err := f.Store.Sizes(f.Context())
	if err != nil || size.Bytes <= 0 {
		f.Fatalf("%+v, %v", size, err)
	}
	i := slices.IndexFunc(size.Tables, func(t integration.TableSize) bool { return t.Table == "webhook_events" })
	if i < 0 || size.Tables[i].Bytes < 50*int64(len(`{"id":"evt_1"}`)) || size.Tables[i].Rows != 50 && size.Tables[i].Rows != -1 {
		f.Errorf("%+v", size)
	}
	if n := f.Store.Backlog(); n != 0 {
		f.Errorf("%d events wait for their commit", n)
	}
}
