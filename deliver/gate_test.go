package deliver_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// to is an event for one of the destinations that capped names.
func to(name string) integration.Event { return testEvent("for."+name, paid) }

// capped is a plan with destinations a and b, each with events of its own.
func capped(change func(*plan.Destination)) func(*plan.Plan) {
	return func(p *plan.Plan) {
		for _, name := range []string{"a", "b"} {
			d := plan.Destination{URL: "https://" + name + ".example/", Secret: catalog.OneOrMore{"env:X"}, Timeout: plan.Duration(10 * time.Second)}
			if change != nil && name == "a" {
				change(&d)
			}
			p.Destinations[name] = d
			p.Webhooks.Events["for."+name] = plan.EventHandling{To: catalog.OneOrMore{name}}
		}
	}
}

func destinationOf(t *testing.T, d *bundle, name string) deliver.DestinationStatus {
	t.Helper()
	for _, one := range d.Destinations() {
		if one.Service == "stripe" && one.Name == name {
			return one
		}
	}
	t.Fatalf("there is no destination %s", name)
	return deliver.DestinationStatus{}
}

// R5.11: over its cap nothing waits in a worker: the event is put off, which is
// no attempt, and events come back at the pace of the destination.
func TestConcurrencyCap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		slow := func(*http.Request) (*http.Response, error) { time.Sleep(time.Second); return answer(200) }
		h.set("a", slow)
		h.set("b", slow)
		d := newBundle(t, h, canary, capped(func(a *plan.Destination) { a.Concurrency = 3 }))
		var working sync.WaitGroup
		for range 3 {
			working.Go(func() { d.Deliver(t.Context(), to("a")) })
		}
		synctest.Wait()
		start := time.Now()
		var last time.Time
		for i := range 10 {
			out := d.Deliver(t.Context(), to("a"))
			if !out.Released || len(out.Deliveries) != 0 || out.Status != integration.EventReceived || !out.DueAt.After(last) || !out.DueAt.After(start) {
				t.Fatalf("event %d over the cap: %+v", i, out)
			}
			last = out.DueAt
		}
		if time.Since(start) != 0 {
			t.Errorf("a worker waited for %s", time.Since(start))
		}
		if s := destinationOf(t, d, "a"); s.InFlight != 3 || s.PutOff != 10 {
			t.Errorf("status %+v", s)
		}
		for range 16 { // the default
			working.Go(func() { d.Deliver(t.Context(), to("b")) })
		}
		synctest.Wait()
		if out := d.Deliver(t.Context(), to("b")); !out.Released {
			t.Errorf("the seventeenth at once: %+v", out)
		}
		working.Wait()
		if out := d.Deliver(t.Context(), to("a")); out.Status != integration.EventProcessed {
			t.Errorf("with room again: %+v", out)
		}
	})
}

// R5.11: a rate holds in any window, and what is over it is due when there is
// room.
func TestRateCap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate  string
		least time.Duration // for 25 deliveries
		most  time.Duration
	}{{"10/s", 2 * time.Second, 3 * time.Second}, {"5/m", 4 * time.Minute, 5 * time.Minute}} {
		t.Run(strings.ReplaceAll(c.rate, "/", " per "), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newBundle(t, newHosts(), canary, capped(func(a *plan.Destination) { a.Rate = c.rate }))
				start := time.Now()
				for range 25 {
					for {
						out := d.Deliver(t.Context(), to("a"))
						if out.Status == integration.EventProcessed {
							break
						}
						if !out.Released || !out.DueAt.After(time.Now()) {
							t.Fatalf("over the rate: %+v", out)
						}
						if other := d.Deliver(t.Context(), to("b")); other.Status != integration.EventProcessed {
							t.Fatalf("another destination: %+v", other)
						}
						time.Sleep(time.Until(out.DueAt))
					}
				}
				if took := time.Since(start); took < c.least || took > c.most {
					t.Errorf("25 deliveries at %s took %s", c.rate, took)
				}
			})
		})
	}
}

// R5.11: a destination that fails again and again is left alone, longer each
// time; one event at a time tries, and a success ends it.
func TestBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.status("a", 500)
		d := newBundle(t, h, canary, capped(nil))
		for i := range 5 {
			if out := d.Deliver(t.Context(), to("a")); len(out.Deliveries) != 1 {
				t.Fatalf("attempt %d: %+v", i, out)
			}
		}
		h.count()
		var waits []time.Duration
		for range 6 {
			begun := time.Now()
			until := destinationOf(t, d, "a").BackingOffUntil
			waits = append(waits, until.Sub(begun))
			out := d.Deliver(t.Context(), to("a"))
			if !out.Released || out.DueAt.Before(until) || len(h.count()) != 0 {
				t.Fatalf("while it backs off: %+v", out)
			}
			time.Sleep(time.Until(until))
			if out := d.Deliver(t.Context(), to("a")); len(out.Deliveries) != 1 || h.count()["a"] != 1 {
				t.Fatalf("the probe: %+v", out)
			}
		}
		// 5 s, doubled up to a minute, and an eighth by the dice.
		want := []time.Duration{5625 * time.Millisecond, 11250 * time.Millisecond, 22500 * time.Millisecond, 45 * time.Second, 67500 * time.Millisecond, 67500 * time.Millisecond}
		if fmt.Sprint(waits) != fmt.Sprint(want) {
			t.Errorf("left alone for %v, want %v", waits, want)
		}
		if s := destinationOf(t, d, "a"); s.Failures != 11 || !strings.Contains(s.LastError, "500") || s.LastFailure.IsZero() || !s.LastSuccess.IsZero() {
			t.Errorf("status %+v", s)
		}

		// While one probes nothing else is tried.
		time.Sleep(time.Until(destinationOf(t, d, "a").BackingOffUntil))
		h.set("a", func(*http.Request) (*http.Response, error) { time.Sleep(time.Second); return answer(200) })
		probe := make(chan integration.Outcome)
		go func() { probe <- d.Deliver(t.Context(), to("a")) }()
		synctest.Wait()
		for range 20 {
			if out := d.Deliver(t.Context(), to("a")); !out.Released {
				t.Fatalf("beside the probe: %+v", out)
			}
		}
		if out := <-probe; out.Status != integration.EventProcessed || h.count()["a"] != 1 {
			t.Errorf("the probe: %+v", out)
		}
		if s := destinationOf(t, d, "a"); !s.BackingOffUntil.IsZero() || s.Failures != 0 || s.LastSuccess.IsZero() {
			t.Errorf("status %+v", s)
		}
		for range 10 {
			if out := d.Deliver(t.Context(), to("a")); out.Status != integration.EventProcessed {
				t.Errorf("afterwards: %+v", out)
			}
		}
	})
}

// R5.8: what a destination asks for holds for all that goes there, may only
// delay, and not for longer than an hour.
func TestRetryAfterHoldsForAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked string
		want  time.Duration
	}{{"90", 90 * time.Second}, {"1", 5625 * time.Millisecond}, {"999999", time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHosts()
			h.status("a", 429, "Retry-After", c.asked)
			d := newBundle(t, h, canary, capped(nil))
			start := time.Now()
			d.Deliver(t.Context(), to("a"))
			if wait := destinationOf(t, d, "a").BackingOffUntil.Sub(start); wait != c.want {
				t.Errorf("asked for %s s: left alone for %s, want %s", c.asked, wait, c.want)
			}
			if out := d.Deliver(t.Context(), to("a")); !out.Released || out.DueAt.Sub(start) < c.want || h.count()["a"] != 1 {
				t.Errorf("the second event: %+v", out)
			}
		})
	}
}

// What is wrong with one event is not wrong with the destination.
func TestRefusedEventsDoNotBackOff(t *testing.T) {
	t.Parallel()
	h := newHosts()
	d := newBundle(t, h, canary, capped(nil))
	for _, status := range []int{400, 409, 410, 413, 415, 422} {
		h.status("a", status)
		for range 10 {
			if out := d.Deliver(t.Context(), to("a")); len(out.Deliveries) != 1 {
				t.Fatalf("%d: %+v", status, out)
			}
		}
	}
	if s := destinationOf(t, d, "a"); !s.BackingOffUntil.IsZero() || s.InFlight != 0 {
		t.Errorf("status %+v", s)
	}
}

// R5.8: a destination that hangs until its time-out does not starve another:
// with 32 workers and 500 events for each, the other has all of its events
// before the first time-out is over.
func TestHangingDestinationStarvesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, events = 32, 500
		h := newHosts()
		h.set("a", hang)
		h.set("b", func(*http.Request) (*http.Response, error) { time.Sleep(10 * time.Millisecond); return answer(200) })
		d := newBundle(t, h, canary, capped(nil))
		q := &memoryQueue{}
		for range events {
			q.put(to("a"), time.Now())
			q.put(to("b"), time.Now())
		}
		start := time.Now()
		var finished time.Time
		var mu sync.Mutex
		left, tried := events, 0
		var working sync.WaitGroup
		for range workers {
			working.Go(func() {
				for {
					e, ok := q.take(time.Now())
					if !ok {
						if time.Since(start) > 25*time.Second {
							return
						}
						time.Sleep(50 * time.Millisecond)
						continue
					}
					out := d.Deliver(t.Context(), e)
					if out.Status == integration.EventReceived {
						q.put(e, out.DueAt)
					}
					mu.Lock()
					if tried += len(out.Deliveries); e.Type == "for.b" {
						if left--; left == 0 {
							finished = time.Now()
						}
					}
					mu.Unlock()
				}
			})
		}
		working.Wait()
		if left != 0 || finished.Sub(start) > 10*time.Second {
			t.Errorf("%d events for the other were left; it had all after %s", left, finished.Sub(start))
		}
		// Its concurrency, as many as the first time-outs before the fifth let in,
		// and one that tries whether it is well again.
		if n := tried - events; n > 16+4+1 {
			t.Errorf("%d events were tried at the one that hangs", n)
		}
	})
}

// memoryQueue lends what is due, in the order it came.
type memoryQueue struct {
	mu   sync.Mutex
	list []dueEvent
}

type dueEvent struct {
	at time.Time
	e  integration.Event
}

func (q *memoryQueue) put(e integration.Event, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, dueEvent{at, e})
}

func (q *memoryQueue) take(now time.Time) (integration.Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, one := range q.list {
		if !one.at.After(now) {
			q.list = append(q.list[:i], q.list[i+1:]...)
			return one.e, true
		}
	}
	return integration.Event{}, false
}

// A panic of a transport does not keep its place.
func TestPanicFreesItsPlace(t *testing.T) {
	t.Parallel()
	h := newHosts()
	h.set("a", func(*http.Request) (*http.Response, error) { panic(errors.New("transport")) })
	d := newBundle(t, h, canary, capped(nil))
	out := d.Deliver(t.Context(), to("a"))
	if out.Status != integration.EventReceived || !strings.Contains(out.Error, "panicked") {
		t.Errorf("outcome %+v", out)
	}
	if s := destinationOf(t, d, "a"); s.InFlight != 0 {
		t.Errorf("status %+v", s)
	}
}

// R5.11: what waited for a destination that hung comes soon after it is well
// again, not at the pace at which it hung.
func TestBackSoonAfterAHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.set("a", func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() })
		d := newBundle(t, h, canary, capped(func(a *plan.Destination) { a.Concurrency = 2 }))
		for range 6 {
			d.Deliver(t.Context(), to("a"))
		}
		until := destinationOf(t, d, "a").BackingOffUntil
		if until.IsZero() {
			t.Fatal("it is not left alone")
		}
		for range 1000 {
			out := d.Deliver(t.Context(), to("a"))
			if !out.Released || out.DueAt.Before(until) || out.DueAt.After(until.Add(2*time.Second)) {
				t.Fatalf("put off to %v after the pause: %+v", out.DueAt.Sub(until), out)
			}
		}
		h.status("a", 200)
		time.Sleep(time.Until(until))
		if out := d.Deliver(t.Context(), to("a")); out.Status != integration.EventProcessed {
			t.Fatalf("the probe: %+v", out)
		}
		// Over the cap again, it is put off by what a delivery takes now.
		h.set("a", func(*http.Request) (*http.Response, error) { time.Sleep(10 * time.Millisecond); return answer(200) })
		var working sync.WaitGroup
		for range 2 {
			working.Go(func() { d.Deliver(t.Context(), to("a")) })
		}
		synctest.Wait()
		if out := d.Deliver(t.Context(), to("a")); !out.Released || time.Until(out.DueAt) > 100*time.Millisecond {
			t.Errorf("over the cap it is put off by %v", time.Until(out.DueAt))
		}
		working.Wait()
	})
}

// R5.11: a quick destination at its cap is waited for, as putting events off
// costs more; what it can't take in time is put off all the same.
func TestQuickDestinationIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.set("a", func(*http.Request) (*http.Response, error) { time.Sleep(10 * time.Millisecond); return answer(200) })
		d := newBundle(t, h, canary, capped(func(a *plan.Destination) { a.Concurrency = 2 }))
		d.Deliver(t.Context(), to("a")) // so that it is known to be quick
		const events = 20
		outcomes := make(chan integration.Outcome, events)
		for range events {
			go func() { outcomes <- d.Deliver(t.Context(), to("a")) }()
		}
		delivered, putOff := 0, 0
		for range events {
			if out := <-outcomes; out.Released {
				putOff++
			} else if out.Status == integration.EventProcessed {
				delivered++
			}
		}
		if delivered < 8 || delivered > 14 || delivered+putOff != events {
			t.Errorf("%d were delivered and %d put off, of %d in 50 ms at two a time of 10 ms", delivered, putOff, events)
		}
	})
}
