package deliver_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
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

// hosts answers by the first label of the host name, and counts.
type hosts struct {
	mu     sync.Mutex
	asked  map[string]int
	answer map[string]func(*http.Request) (*http.Response, error)
}

func newHosts() *hosts {
	return &hosts{asked: map[string]int{}, answer: map[string]func(*http.Request) (*http.Response, error){}}
}

func (h *hosts) RoundTrip(r *http.Request) (*http.Response, error) {
	name, _, _ := strings.Cut(r.URL.Host, ".")
	h.mu.Lock()
	h.asked[name]++
	do := h.answer[name]
	h.mu.Unlock()
	if do == nil {
		return answer(http.StatusOK)
	}
	return do(r)
}

func (h *hosts) set(name string, do func(*http.Request) (*http.Response, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer[name] = do
}

func (h *hosts) status(name string, status int, header ...string) {
	h.set(name, func(*http.Request) (*http.Response, error) { return answer(status, header...) })
}

// count is how often each was asked since the last count.
func (h *hosts) count() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = map[string]int{}
	return asked
}

// hang does not answer before the request is given up.
func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// several is a plan whose events of type "many" go to the named destinations.
func several(names ...string) func(*plan.Plan) {
	return func(p *plan.Plan) {
		for _, name := range names {
			p.Destinations[name] = plan.Destination{URL: "https://" + name + ".example/", Secret: catalog.OneOrMore{"env:X"}, Timeout: plan.Duration(5 * time.Second)}
		}
		p.Webhooks.Events["many"] = plan.EventHandling{To: names}
	}
}

// states are the destinations' states, in words.
func states(p integration.Progress) map[string]integration.ProgressState {
	s := map[string]integration.ProgressState{}
	for name, one := range p {
		s[name] = one.State
	}
	return s
}

// next is the event as it is lent again after an outcome.
func next(e integration.Event, o integration.Outcome) integration.Event {
	e.Progress, e.Attempts = o.Progress, e.Attempts+1
	if o.Released {
		e.Attempts--
	}
	return e
}

// R5.11: each destination has its own attempts and its own end, and what has the
// event does not get it again.
func TestFanOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.status("b", 500)
		h.status("c", http.StatusGone)
		d := newBundle(t, h, canary, several("a", "b", "c"))
		e := testEvent("many", paid)

		start := time.Now()
		out := d.Deliver(t.Context(), e)
		want := map[string]integration.ProgressState{"a": "succeeded", "b": "waiting", "c": "failed"}
		if got := states(out.Progress); !maps.Equal(got, want) || out.Status != integration.EventReceived || out.Released || len(out.Deliveries) != 3 {
			t.Fatalf("first turn: %v, %+v", got, out)
		}
		if wait := out.DueAt.Sub(start); wait != 4500*time.Millisecond {
			t.Errorf("due in %s, want b's own wait of 4.5s", wait)
		}
		if !strings.Contains(out.Error, "b: the destination answered 500") || !strings.Contains(out.Error, "c: the destination answered 410") || strings.Contains(out.Error, "a:") {
			t.Errorf("error %q", out.Error)
		}
		h.count()

		time.Sleep(time.Until(out.DueAt) - time.Millisecond)
		early := d.Deliver(t.Context(), next(e, out))
		if asked := h.count(); len(asked) != 0 || !early.Released || !early.DueAt.Equal(out.DueAt) {
			t.Errorf("before it is due: asked %v, %+v", asked, early)
		}

		time.Sleep(time.Millisecond)
		e = next(e, out)
		out = d.Deliver(t.Context(), e)
		if asked := h.count(); !maps.Equal(asked, map[string]int{"b": 1}) {
			t.Errorf("second turn asked %v, want b alone", asked)
		}
		if one := out.Progress["b"]; one.Attempts != 2 || out.Deliveries[0].Attempt != 2 || out.Deliveries[0].Destination != "b" {
			t.Errorf("b: %+v, %+v", one, out.Deliveries)
		}

		time.Sleep(time.Until(out.DueAt))
		e = next(e, out)
		out = d.Deliver(t.Context(), e) // the schedule has two waits
		if out.Status != integration.EventFailed || out.Progress["b"].State != integration.ProgressFailed || !strings.Contains(out.Error, "given up after 3 attempts") {
			t.Errorf("given up: %+v", out)
		}
		h.count()

		// Asked for again by hand: only what has not succeeded has its turn (R5.10).
		h.status("b", 200)
		h.status("c", 200)
		e = next(e, out)
		e.RetriedAfter = 3
		out = d.Deliver(t.Context(), e)
		if asked := h.count(); !maps.Equal(asked, map[string]int{"b": 1, "c": 1}) || out.Status != integration.EventProcessed || out.Error != "" {
			t.Errorf("by hand: asked %v, %+v", asked, out)
		}
		if failed, all := d.Attempts("stripe"); failed != 4 || all != 7 {
			t.Errorf("%d of %d attempts failed, want 4 of 7", failed, all)
		}
		if out.Progress["b"].Attempts != 4 || out.Progress["c"].Attempts != 2 || out.Progress["a"].Attempts != 1 {
			t.Errorf("attempts %+v", out.Progress)
		}
	})
}

// A retry by hand begins the schedule of a destination anew, also where it fails
// again.
func TestFanOutScheduleBeginsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.status("b", 500)
		d := newBundle(t, h, canary, several("a", "b"))
		e := testEvent("many", paid)
		e.Attempts, e.RetriedAfter = 4, 3
		e.Progress = integration.Progress{
			"a": {State: integration.ProgressSucceeded, Attempts: 1}, "b": {State: integration.ProgressFailed, Attempts: 3, Error: "500"},
		}
		start := time.Now()
		out := d.Deliver(t.Context(), e)
		if b := out.Progress["b"]; b.State != integration.ProgressWaiting || b.DueAt.Sub(start) != 4500*time.Millisecond || b.Before != 3 || b.RetriedAfter != 3 {
			t.Errorf("%+v", b)
		}
	})
}

// Where the plan names others than it did, those that are new have the event and
// those that are gone are no matter.
func TestFanOutAfterThePlanChanged(t *testing.T) {
	t.Parallel()
	h := newHosts()
	d := newBundle(t, h, canary, several("a", "b"))
	e := testEvent("many", paid)
	e.Progress = integration.Progress{
		"a": {State: integration.ProgressSucceeded, Attempts: 1}, "gone": {State: integration.ProgressFailed, Attempts: 9, Error: "500"},
		"was": {State: integration.ProgressSucceeded, Attempts: 1},
	}
	out := d.Deliver(t.Context(), e)
	want := map[string]integration.ProgressState{"a": "succeeded", "b": "succeeded", "was": "succeeded"}
	if asked := h.count(); !maps.Equal(asked, map[string]int{"b": 1}) || out.Status != integration.EventProcessed || !maps.Equal(states(out.Progress), want) {
		t.Errorf("asked %v, %+v", asked, out)
	}
}

// What a stopping process cut short is due as before; what was done is written.
func TestFanOutReleasedWhenStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.set("b", hang)
		d := newBundle(t, h, canary, several("a", "b"))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("stopping")) })
		out := d.Deliver(ctx, testEvent("many", paid))
		if out.Status != integration.EventReceived || len(out.Deliveries) != 1 || out.Deliveries[0].Destination != "a" {
			t.Errorf("outcome %+v", out)
		}
		if b := out.Progress["b"]; b.State != integration.ProgressWaiting || b.Attempts != 0 {
			t.Errorf("b: %+v", b)
		}
		if out.DueAt.After(time.Now()) {
			t.Errorf("due at %s, want at once", out.DueAt)
		}
	})
}

// R5.11: a paused destination parks what is for it, also where others have it.
func TestPaused(t *testing.T) {
	t.Parallel()
	h := newHosts()
	d := newBundle(t, h, canary, several("a", "b", "c"))
	if err := d.On("stripe", "handled", func(context.Context, deliver.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	d.SetPaused(map[string]bool{"stripe/b": true, "stripe/billing": true, "stripe/handler": true, "github/a": true})

	for _, one := range []struct{ eventType, name string }{{"customer.made", "stripe/billing"}, {"handled", "stripe/handler"}} {
		out := d.Deliver(t.Context(), testEvent(one.eventType, paid))
		if !out.Released || out.Parked != one.name || len(out.Deliveries) != 0 {
			t.Errorf("%s: %+v", one.eventType, out)
		}
	}
	e := testEvent("many", paid)
	out := d.Deliver(t.Context(), e)
	want := map[string]integration.ProgressState{"a": "succeeded", "b": "parked", "c": "succeeded"}
	if out.Parked != "stripe/b" || out.Released || out.Status != integration.EventReceived || !maps.Equal(states(out.Progress), want) {
		t.Errorf("parked: %+v", out)
	}
	if asked := h.count(); !maps.Equal(asked, map[string]int{"a": 1, "c": 1}) {
		t.Errorf("asked %v", asked)
	}

	d.SetPaused(nil)
	out = d.Deliver(t.Context(), next(e, out))
	if asked := h.count(); !maps.Equal(asked, map[string]int{"b": 1}) || out.Status != integration.EventProcessed {
		t.Errorf("resumed: asked %v, %+v", asked, out)
	}
}

// An event that waits for several paused destinations names them all, so that
// each resumption finds it; and one that waits for a retry besides is due then.
func TestPausedSeveral(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.status("a", 500)
		d := newBundle(t, h, canary, several("a", "b", "c"))
		d.SetPaused(map[string]bool{"stripe/b": true, "stripe/c": true})
		out := d.Deliver(t.Context(), testEvent("many", paid))
		if !slices.Equal(integration.ParkedNames(out.Parked), []string{"stripe/b", "stripe/c"}) || out.DueAt.IsZero() || out.Status != integration.EventReceived {
			t.Errorf("%+v", out)
		}
		if got := slices.Sorted(maps.Keys(h.count())); !slices.Equal(got, []string{"a"}) {
			t.Errorf("asked %v", got)
		}
	})
}

// R5.11: while an event waits for one quick destination that is at its cap, it
// takes no place at another.
func TestWaitingHoldsNoOtherPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.set("b", func(*http.Request) (*http.Response, error) { time.Sleep(20 * time.Millisecond); return answer(200) })
		both := func(p *plan.Plan) {
			capped(nil)(p)
			b := p.Destinations["b"]
			b.Concurrency = 1
			p.Destinations["b"] = b
			p.Webhooks.Events["for.both"] = plan.EventHandling{To: catalog.OneOrMore{"a", "b"}}
		}
		d := newBundle(t, h, canary, both)
		d.Deliver(t.Context(), to("b")) // so that it is known to be quick
		var working sync.WaitGroup
		working.Go(func() { d.Deliver(t.Context(), to("b")) })
		synctest.Wait()
		working.Go(func() { d.Deliver(t.Context(), to("both")) })
		synctest.Wait()
		if n := destinationOf(t, d, "a").InFlight; n != 0 {
			t.Errorf("%d places of a are held while b is waited for", n)
		}
		working.Wait()
		if got := h.count(); got["a"] != 1 || got["b"] != 3 {
			t.Errorf("delivered %v", got)
		}
	})
}
