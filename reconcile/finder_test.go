package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/reconcile"
	"github.com/sallyport/sallyport/sandbox"
)

// R5.14: what Stripe lists and never sent is taken in once, marked and counted;
// what came is left.
func TestStripeEventsThatNeverCame(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	f := b.finder()
	old := b.emit("invoice.paid", sandbox.EmitOptions{Lost: true, Age: time.Hour})
	came := b.emit("invoice.paid", sandbox.EmitOptions{})
	lost := b.emit("invoice.paid", sandbox.EmitOptions{Lost: true, Age: 10 * time.Minute, Object: map[string]any{"metadata": map[string]any{"tenant_id": "acme"}}})
	unused := b.emit("invoice.voided", sandbox.EmitOptions{Lost: true})

	s := f.turn()
	events := b.events()
	if len(events) != 2 || s.Found != 1 || s.Error != "" || s.LastRun.IsZero() || s.Running || s.Lag < 9*time.Minute || s.Lag > 11*time.Minute {
		t.Fatalf("%d events, %+v", len(events), s)
	}
	e := b.event(events[lost].ID)
	if e.Tenant != "acme" || e.Type != "invoice.paid" || e.Origin() != integration.OriginReconciled || e.Status != integration.EventReceived {
		t.Errorf("found %+v", e)
	}
	if !strings.HasPrefix(string(e.Payload), `{"api_version"`) || !strings.Contains(string(e.Payload), lost) {
		t.Errorf("payload %s", e.Payload)
	}
	if e := b.event(events[came].ID); e.Origin() != "" {
		t.Errorf("what came is marked %q", e.Origin())
	}
	if _, ok := events[old]; ok {
		t.Error("the first run reached back further than the overlap")
	}
	if _, ok := events[unused]; ok {
		t.Error("a type that the plan does not use was taken in")
	}
	if b.woken != 2 || !b.log.has("reconcile.gap", "found=1", "alert=true") {
		t.Errorf("woken %d, log %v", b.woken, b.log.text)
	}
	if again := f.turn(); again.Found != 1 || len(b.events()) != 2 {
		t.Errorf("the second run found %+v", again)
	}
	if b.log.has(apiKey) || b.log.has(webhookSecret) {
		t.Error("a secret stands in the log")
	}
}

// R5.14: GitHub lists deliveries; the payload of one is read by itself, and only
// of those that did not come.
func TestGitHubDeliveriesThatNeverCame(t *testing.T) {
	t.Parallel()
	b := github(t)
	f := b.finder()
	if s := f.turn(); !strings.Contains(s.Error, "sallyport webhooks sync github") || s.Failures != 1 {
		t.Fatalf("without a subscription: %+v", s)
	}
	err := b.store.PutSubscription(t.Context(), &integration.Subscription{Service: "github", ExternalID: "77", URL: b.door + "/api/webhooks/github", CreatedAt: time.Now(), CheckedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	came := b.emit("push", sandbox.EmitOptions{Object: map[string]any{"ref": "refs/heads/came"}})
	lost := b.emit("push", sandbox.EmitOptions{Lost: true, Object: map[string]any{"ref": "refs/heads/lost"}})
	b.requests()
	s := f.turn()
	events := b.events()
	if len(events) != 2 || s.Found != 1 || s.Error != "" {
		t.Fatalf("%d events, %+v, log %v", len(events), s, b.log.text)
	}
	e := b.event(events[lost].ID)
	if e.Type != "push" || !strings.Contains(string(e.Payload), "refs/heads/lost") || strings.Contains(string(e.Payload), "guid") || e.Origin() != integration.OriginReconciled {
		t.Errorf("found %+v, %s", e, e.Payload)
	}
	if _, ok := events[came]; !ok {
		t.Error("what came is gone")
	}
	asked := b.requests()
	if len(asked) != 2 || !strings.HasPrefix(asked[0], "GET /repos/acme/shop/hooks/77/deliveries?") || !strings.HasPrefix(asked[1], "GET /repos/acme/shop/hooks/77/deliveries/") {
		t.Errorf("asked %q", asked)
	}
}

// R5.14: after an outage the list is read in pages, over several turns, and from
// where it was after a crash; nothing is missing and nothing is there twice.
func TestCatchesUpAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	f := b.finder(func(c *reconcile.Config) { c.Pages = 2 })
	f.turn()
	want := map[string]bool{}
	for i := range 510 {
		lost := i%3 != 0
		want[b.emit("invoice.paid", sandbox.EmitOptions{Lost: lost})] = true
	}
	turns := 0
	for s := f.turn(); s.Running; s = f.turn() {
		if turns++; turns > 20 {
			t.Fatal("it does not end")
		}
		if turns == 2 { // another process goes on
			f = b.finder(func(c *reconcile.Config) { c.Pages = 2 })
		}
	}
	events := b.events()
	for id := range want {
		if _, ok := events[id]; !ok {
			t.Errorf("%s is missing", id)
		}
	}
	if len(events) != len(want) || turns < 2 {
		t.Errorf("%d events of %d in %d turns", len(events), len(want), turns)
	}
	if s := f.turn(); s.Found != 340 || s.Error != "" {
		t.Errorf("%+v", s)
	}
}

// R5.14: the provider's clock may be wrong by hours, events may be listed out of
// order, and one may lie in the future: none is missed.
func TestSkewedClocks(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"behind": -3 * time.Hour, "ahead": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &scripted{}
			b := start(t, "stripe", nil, nil, l)
			clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
			step := func(by time.Duration) {
				clock = clock.Add(by)
				b.mu.Lock()
				b.clock = clock
				b.mu.Unlock()
				l.clock(clock.Add(skew))
			}
			step(0)
			f := b.finder(func(c *reconcile.Config) { c.Settle = time.Minute })
			l.add("evt_first", clock.Add(skew-20*time.Minute))
			f.turn()
			step(10 * time.Minute)
			l.add("evt_future", clock.Add(skew+24*time.Hour))
			l.add("evt_a", clock.Add(skew-2*time.Minute))
			l.add("evt_late", clock.Add(skew-25*time.Minute)) // listed late
			l.add("evt_b", clock.Add(skew-3*time.Minute))
			l.add("evt_young", clock.Add(skew-10*time.Second))
			f.turn()
			events := b.events()
			if _, young := events["evt_young"]; young || len(events) != 4 {
				t.Errorf("%d events: %v", len(events), events)
			}
			step(10 * time.Minute)
			if s := f.turn(); s.Found != 5 || s.Mark.After(clock.Add(skew)) {
				t.Errorf("%+v", s)
			}
			step(25 * time.Hour)
			if s := f.turn(); s.Found != 6 || len(b.events()) != 6 {
				t.Errorf("%+v, %d events", s, len(b.events()))
			}
		})
	}
}

// R5.14: a webhook that comes while the list is read is kept once, a thousand
// times over.
func TestWebhookAndListRace(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	f := b.finder()
	f.turn()
	const rounds = 1000
	done := make(chan error, 1)
	go func() {
		for i := range rounds {
			if e, err := b.sandbox.Emit(t.Context(), "invoice.paid", sandbox.EmitOptions{}); err != nil || !e.Accepted {
				done <- fmt.Errorf("round %d: %+v, %w", i, e, err)
				return
			}
		}
		done <- nil
	}()
	turns := 0
	for ended := false; !ended; turns++ {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			ended = true
		default:
		}
		for s := f.turn(); s.Running; s = f.turn() {
		}
	}
	stats := b.receiver.Stats("stripe")
	s := f.turn()
	if got := len(b.events()); got != rounds || stats.Received+s.Found != rounds || stats.Duplicate != s.Found {
		t.Errorf("%d events; %d came, %d were found, %d came after they were found", got, stats.Received, s.Found, stats.Duplicate)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.woken != rounds {
		t.Errorf("%d deliveries were begun", b.woken)
	}
	t.Logf("%d turns; %d found before their webhook came", turns, s.Found)
}

// lostOne is an event that is listed and never sent.
var lostOne = sandbox.EmitOptions{Lost: true}
