package deliver_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// R5.8: where an event before it has still to go an event waits, without an
// attempt; everybody else has it.
func TestBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHosts()
		h.status("c", 500)
		d := newBundle(t, h, canary, several("a", "b", "c"))
		e := testEvent("many", paid)
		e.Ordered, e.Behind = true, []string{"b"}

		start := time.Now()
		out := d.Deliver(t.Context(), e)
		want := map[string]integration.ProgressState{"a": "succeeded", "b": "waiting", "c": "waiting"}
		if got := states(out.Progress); !maps.Equal(got, want) || out.Status != integration.EventReceived || len(out.Deliveries) != 2 || out.Progress["b"].Attempts != 0 || out.Progress["b"].Error != "" {
			t.Fatalf("behind at b: %v, %+v", got, out)
		}
		if wait := out.DueAt.Sub(start); wait != 4500*time.Millisecond {
			t.Errorf("due in %s, want c's own wait", wait)
		}
		if asked := h.count(); asked["b"] != 0 || asked["a"] != 1 {
			t.Errorf("asked %v", asked)
		}

		h.status("c", 200)
		time.Sleep(4500 * time.Millisecond)
		e = next(e, out)
		out = d.Deliver(t.Context(), e)
		if wait := time.Until(out.DueAt); wait != 5*time.Minute || out.Released || out.Error != "" {
			t.Errorf("only behind: due in %s, %+v", wait, out)
		}
		e = next(e, out)
		out = d.Deliver(t.Context(), e)
		if !out.Released || len(out.Deliveries) != 0 || out.Status != integration.EventReceived || out.Parked != "" {
			t.Errorf("still behind: %+v", out)
		}

		// Called before it is due: its turn has come.
		h.count()
		e = next(e, out)
		e.Behind = nil
		out = d.Deliver(t.Context(), e)
		if asked := h.count(); out.Status != integration.EventProcessed || !maps.Equal(asked, map[string]int{"b": 1}) {
			t.Errorf("called: asked %v, %+v", asked, out)
		}
	})
}

// R5.8, R5.11: behind at a paused destination an event is parked for it.
func TestBehindAtPaused(t *testing.T) {
	t.Parallel()
	h := newHosts()
	d := newBundle(t, h, canary, several("a", "b"))
	d.SetPaused(map[string]bool{"stripe/b": true})
	e := testEvent("many", paid)
	e.Ordered, e.Behind = true, []string{"b"}
	out := d.Deliver(t.Context(), e)
	if out.Parked != "stripe/b" || !out.DueAt.IsZero() || out.Progress["b"].State != integration.ProgressParked || out.Progress["a"].State != integration.ProgressSucceeded {
		t.Errorf("paused: %+v", out)
	}
}

// R5.8: where events of an order go to several destinations, those behind one
// that has a single destination wait there and nowhere else.
func TestBehindWithOneDestination(t *testing.T) {
	t.Parallel()
	h := newHosts()
	one := func(p *plan.Plan) {
		several("a", "b")(p)
		p.Webhooks.Events["one"] = plan.EventHandling{To: []string{"b"}}
	}
	d := newBundle(t, h, canary, one)
	h.status("b", 500)
	e := testEvent("one", paid)
	if out := d.Deliver(t.Context(), e); out.Progress != nil {
		t.Errorf("without an order it has progress: %+v", out)
	}
	e.Ordered = true
	if out := d.Deliver(t.Context(), e); out.Progress["b"].State != integration.ProgressWaiting || out.Released {
		t.Errorf("failed once: %+v", out)
	}
	h.count()
	e.Behind = []string{"b"}
	if out := d.Deliver(t.Context(), e); !out.Released || out.Progress["b"].State != integration.ProgressWaiting || h.count()["b"] != 0 {
		t.Errorf("behind: %+v", out)
	}
}

// What all destinations are refused for is said once.
func TestErrorIsSaidOnce(t *testing.T) {
	t.Parallel()
	d := newBundle(t, newHosts(), canary, several("app", "books", "ledger"), func(p *plan.Plan) {
		p.Webhooks.Events["many"] = plan.EventHandling{To: []string{"app", "books", "ledger"}, From: "data.nothing"}
	})
	out := d.Deliver(t.Context(), testEvent("many", paid))
	if want := `app, books, ledger: the payload has nothing at "data.nothing"`; out.Error != want || out.Status != integration.EventFailed || len(out.Deliveries) != 3 {
		t.Errorf("error %q, want %q", out.Error, want)
	}
	if out.Progress["books"].Error != `the payload has nothing at "data.nothing"` {
		t.Errorf("progress %+v", out.Progress)
	}
}

// R5.12: who wants the event raw has it though the mapping refuses it.
func TestRawNeedsNoMapping(t *testing.T) {
	t.Parallel()
	h := newHosts()
	raw := func(p *plan.Plan) {
		several("a", "b")(p)
		p.Destinations["b"] = plan.Destination{URL: "https://b.example/", Secret: catalog.OneOrMore{"env:X"}, Format: "raw"}
		p.Webhooks.Events["many"] = plan.EventHandling{To: []string{"a", "b"}, From: "data.nothing"}
		p.Webhooks.Events["one"] = plan.EventHandling{To: []string{"b"}, From: "data.nothing"}
	}
	d := newBundle(t, h, canary, raw)
	out := d.Deliver(t.Context(), testEvent("many", paid))
	if out.Progress["a"].State != integration.ProgressFailed || out.Progress["b"].State != integration.ProgressSucceeded || out.Status != integration.EventFailed {
		t.Errorf("of two: %+v", out)
	}
	if asked := h.count(); !maps.Equal(asked, map[string]int{"b": 1}) {
		t.Errorf("asked %v", asked)
	}
	if out := d.Deliver(t.Context(), testEvent("one", paid)); out.Status != integration.EventProcessed || h.count()["b"] != 1 {
		t.Errorf("raw alone: %+v", out)
	}
	if p := d.Preview(testEvent("one", paid)); p.Err != nil || p.Status != integration.EventReceived {
		t.Errorf("preview of raw alone: %+v", p)
	}
	if p := d.Preview(testEvent("many", paid)); p.Err == nil || p.Status != integration.EventFailed {
		t.Errorf("preview of both: %+v", p)
	}
	if err := d.On("stripe", "one", func(context.Context, deliver.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if out := d.Deliver(t.Context(), testEvent("one", paid)); out.Status != integration.EventFailed {
		t.Errorf("a handler needs the mapping: %+v", out)
	}
}
