package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/reconcile"
)

// R5.14: while the provider is away nothing moves; afterwards nothing is missing.
func TestListThatFails(t *testing.T) {
	t.Parallel()
	l := &scripted{}
	b := start(t, "stripe", nil, nil, l)
	f := b.finder()
	first := f.turn()
	l.add("evt_1", time.Now().Add(-time.Second))
	l.fail(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":{"type":"invalid_request_error","message":"no `+apiKey+`"}}`)
	})
	for i := 1; i <= 3; i++ {
		s := f.turn()
		if s.Failures != i || s.Error == "" || !s.Mark.Equal(first.Mark) || s.Found != 0 || !s.NextRun.After(b.now()) {
			t.Fatalf("failure %d: %+v", i, s)
		}
	}
	if !b.log.has("reconcile.failed", "failures=3", "alert=true") || b.log.has(apiKey) {
		t.Errorf("log %v", b.log.text)
	}
	l.fail(nil)
	if s := f.turn(); s.Failures != 0 || s.Error != "" || s.Found != 1 {
		t.Errorf("afterwards %+v", s)
	}
}

// R5.14: entries that are not as the profile says are counted and harm no other;
// when all are, that is a failure and not an empty list.
func TestUnusableEntries(t *testing.T) {
	t.Parallel()
	l := &scripted{}
	b := start(t, "stripe", nil, nil, l)
	f := b.finder()
	f.turn()
	l.mu.Lock()
	l.events = append(l.events, `{"id":"","created":1}`, `{"id":"evt_no_time"}`, `7`, `null`, `[]`, `{"id":{"a":1},"created":"x"}`)
	l.mu.Unlock()
	if s := f.turn(); s.Failures != 1 || !strings.Contains(s.Error, "webhooks.list") {
		t.Errorf("%+v", s)
	}
	l.add("evt_good", time.Now())
	if s := f.turn(); s.Found != 1 || s.Failures != 0 || s.Unusable != 12 {
		t.Errorf("%+v", s)
	}
}

// R5.14: a provider that no longer knows the page a run was at does not stop it
// for good.
func TestPageThatIsGone(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	f := b.finder()
	f.turn()
	id := b.emit("invoice.paid", lostOne)
	ctx := t.Context()
	state, _ := json.Marshal(map[string]any{"mark": time.Now(), "page": "evt_nobody", "since": time.Now().Add(-time.Hour), "top": time.Now()})
	c := integration.Cursor{ID: reconcile.CursorID("stripe", ""), State: state}
	for range 3 {
		out := reconcile.Turn(f.Finder, ctx, c)
		c.State = out.State
	}
	if out := reconcile.Turn(f.Finder, ctx, c); strings.Contains(string(out.State), `"failures"`) {
		t.Errorf("state %s", out.State)
	}
	if _, ok := b.events()[id]; !ok {
		t.Error("the event is missing")
	}
	c.State = json.RawMessage(`{"mark":"nonsense"}`)
	if out := reconcile.Turn(f.Finder, ctx, c); strings.Contains(string(out.State), `"failures"`) {
		t.Errorf("after a damaged state: %s", out.State)
	}
}

// R5.14: a store that is full or fails holds the mark; the event is taken in
// later.
func TestDoorThatFails(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	b.finder().turn()
	b.emit("invoice.paid", lostOne)
	full := b.finder(func(c *reconcile.Config) { c.Door = fullDoor{} })
	before := full.turn()
	if before.Failures != 1 || before.Found != 0 {
		t.Errorf("%+v", before)
	}
	if s := b.finder().turn(); s.Found != 1 || s.Failures != 0 {
		t.Errorf("%+v", s)
	}
}

type fullDoor struct{}

func (fullDoor) Found(context.Context, string, string, http.Header, []byte) (*integration.Event, bool, error) {
	return &integration.Event{}, false, integration.ErrBusy
}

// R5.14: Run takes the turns by itself and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	id := b.emit("invoice.paid", lostOne)
	found := make(chan string, 1)
	f := b.finder(func(c *reconcile.Config) { c.Door = tellingDoor{c.Door, found} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	if got := <-found; got != id {
		t.Errorf("found %s, want %s", got, id)
	}
	second := b.emit("invoice.paid", lostOne)
	for got := ""; got == ""; { // the first turn may still be under way, then its end says when the next is
		if err := f.Now(ctx, "stripe"); err != nil {
			t.Fatal(err)
		}
		select {
		case got = <-found:
			if got != second {
				t.Errorf("found %s, want %s", got, second)
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := f.Now(ctx, "github"); err == nil {
		t.Error("a list that is not read was read")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type tellingDoor struct {
	reconcile.Door
	found chan string
}

func (d tellingDoor) Found(ctx context.Context, service, tenant string, h http.Header, body []byte) (*integration.Event, bool, error) {
	e, fresh, err := d.Door.Found(ctx, service, tenant, h, body)
	if err == nil && fresh {
		d.found <- e.ExternalID
	}
	return e, fresh, err
}

// R5.14: a plan that can't be worked with is named, and the others work.
func TestPlansThatCantBeReconciled(t *testing.T) {
	t.Parallel()
	b := stripe(t)
	blank := *b.plan
	provider := *b.plan.Provider
	hooks := *provider.Webhooks
	hooks.List = nil
	provider.Webhooks, blank.Provider, blank.Service = &hooks, &provider, "blank"
	f, err := reconcile.New(reconcile.Config{
		Services: []reconcile.Service{{Plan: &blank, Calls: b.calls}, {Plan: b.plan, Calls: b.calls}},
		Door:     b.receiver, Store: b.store, Queue: b.store.CursorQueue(),
	})
	if err == nil || !strings.Contains(err.Error(), "blank: webhooks.reconcile") || f == nil || len(f.Services()) != 1 {
		t.Errorf("%v", err)
	}
	if _, err := f.Status(t.Context(), "blank", ""); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := reconcile.New(reconcile.Config{}); err == nil {
		t.Error("a finder without a door was made")
	}
}

// Every profile that says how events are listed or subscribed to can be used.
func TestProfilesAreUsable(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	lists, subscriptions := 0, 0
	for _, p := range all {
		if p.Webhooks == nil {
			continue
		}
		if l := p.Webhooks.List; l != nil {
			lists++
			method, path := l.Parts()
			if method != http.MethodGet || !strings.HasPrefix(path, "/") || l.ID == "" || l.Type == "" || l.Time == "" || l.TimeFormat == "" {
				t.Errorf("%s: webhooks.list %+v", p.ID, l)
			}
		}
		if s := p.Webhooks.Subscription; s != nil {
			subscriptions++
			if (s.ByHand == "") == (s.Create == nil) || s.ByHand == "" && (s.Delete == nil || s.ID == "" || s.List != "" && s.URL == "") {
				t.Errorf("%s: webhooks.subscription %+v", p.ID, s)
			}
		}
	}
	if lists < 2 || subscriptions < 6 {
		t.Errorf("%d lists and %d subscriptions", lists, subscriptions)
	}
}

// FuzzItem: whatever a list holds, a turn ends.
func FuzzItem(f *testing.F) {
	for _, seed := range []string{
		`{"id":"evt_1","type":"invoice.paid","created":1790000000}`, `{"id":1,"created":"1e400"}`, `{"id":"x","created":-1}`, `[]`, `null`, `{"created":9223372036854775807,"id":"x"}`,
	} {
		f.Add(seed)
	}
	p, err := plan.Load("testdata/stripe.yaml", catalog.Load)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, item string) {
		if !json.Valid([]byte(item)) {
			return
		}
		if at, ok := reconcile.ReadItem(p, []byte(item)); ok && (at.IsZero() || at.Year() > 9999) {
			t.Errorf("time %s", at)
		}
		_, _, _ = reconcile.FillItem("/{id}/{a.b}", []byte(item))
	})
}
