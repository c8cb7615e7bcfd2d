package storetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Reconciling is what is asked of a store by those who look for events that
// never came and who subscribe to events (R5.14, R5.15).
type Reconciling interface {
	Accept(ctx context.Context, e *integration.Event) (fresh bool, err error)
	PutCursors(ctx context.Context, ids []string, due time.Time) error
	Cursor(ctx context.Context, id string) (integration.Cursor, error)
	Cursors(ctx context.Context, prefix string, most int) ([]integration.Cursor, error)
	KnownEvents(ctx context.Context, service, source string, externalIDs []string) (map[string]bool, error)
	PutSubscription(ctx context.Context, s *integration.Subscription) error
	ForgetSubscription(ctx context.Context, service, connection, externalID string) error
	Subscriptions(ctx context.Context, service string) ([]integration.Subscription, error)
	SubscriptionsOf(ctx context.Context, service, connection string) ([]integration.Subscription, error)
	SetSubscribing(ctx context.Context, service string, on bool, now time.Time) error
	Subscribing(ctx context.Context, service string) (bool, error)
	EraseKeys(ctx context.Context, tenant string, audit integration.AuditEntry) (integration.Erasure, error)
}

// RunReconciling runs the suite of a Reconciling; open returns a new one for
// each test. Its queue of cursors has to pass the suite of leasetest as well.
func RunReconciling(t *testing.T, open func(t *testing.T) Reconciling) {
	for name, test := range map[string]func(*testing.T, Reconciling){
		"PutCursors": testPutCursors, "KnownEvents": testKnownEvents, "Subscriptions": testSubscriptions, "TenantsSubscriptions": testTenantsSubscriptions, "Subscribing": testSubscribing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// R5.14: a task that is there keeps its place; it may only come sooner.
func testPutCursors(t *testing.T, s Reconciling) {
	ctx := t.Context()
	put := func(due time.Time, ids ...string) {
		t.Helper()
		if err := s.PutCursors(ctx, ids, due); err != nil {
			t.Fatal(err)
		}
	}
	put(start, "reconcile:stripe", "reconcile:github")
	put(start.Add(time.Hour), "reconcile:stripe")
	put(start.Add(-time.Hour), "reconcile:github")
	for id, want := range map[string]time.Time{"reconcile:stripe": start, "reconcile:github": start.Add(-time.Hour)} {
		got, err := s.Cursor(ctx, id)
		if err != nil || got.ID != id || !got.DueAt.Equal(want) || len(got.State) != 0 || got.Attempts != 0 {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	put(start, "reconcile:github/c1", "reconcile:github/c2", "reconcile:githuc", "reconcile:githu")
	if got, err := s.Cursors(ctx, "reconcile:github/", 10); err != nil || len(got) != 2 || got[0].ID != "reconcile:github/c1" || !got[1].DueAt.Equal(start) {
		t.Errorf("by the beginning of the id: %+v, %v", got, err)
	}
	if got, err := s.Cursors(ctx, "reconcile:github/", 1); err != nil || len(got) != 1 {
		t.Errorf("the first: %+v, %v", got, err)
	}
	if _, err := s.Cursor(ctx, "reconcile:slack"); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("a cursor that was never put: %v", err)
	}
	if err := s.PutCursors(ctx, []string{"reconcile:slack", ""}, start); err == nil {
		t.Error("a cursor without an id was kept")
	}
	if _, err := s.Cursor(ctx, "reconcile:slack"); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("half a list was kept: %v", err)
	}
}

// R5.14: an id is known for its service and source alone.
func testKnownEvents(t *testing.T, s Reconciling) {
	ctx := t.Context()
	for _, e := range []integration.Event{
		{ID: "1", Service: "stripe", ExternalID: "evt_1"},
		{ID: "2", Service: "stripe", Source: "eu", ExternalID: "evt_2"},
		{ID: "3", Service: "slack", ExternalID: "evt_3"},
	} {
		e.Type, e.ReceivedAt, e.Status = "invoice.paid", start, integration.EventReceived
		if fresh, err := s.Accept(ctx, &e); err != nil || !fresh {
			t.Fatalf("%v, %v", fresh, err)
		}
	}
	got, err := s.KnownEvents(ctx, "stripe", "", []string{"evt_1", "evt_2", "evt_3", `"]`, ""})
	if err != nil || !reflect.DeepEqual(got, map[string]bool{"evt_1": true}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := s.KnownEvents(ctx, "stripe", "", nil); err != nil || len(got) != 0 {
		t.Errorf("of nothing %v, %v", got, err)
	}
}

// R5.15: a secret that was told once stays; what was forgotten is gone.
func testSubscriptions(t *testing.T, s Reconciling) {
	ctx := t.Context()
	put := func(one integration.Subscription) {
		t.Helper()
		if err := s.PutSubscription(ctx, &one); err != nil {
			t.Fatal(err)
		}
	}
	first := integration.Subscription{
		Service: "stripe", ExternalID: "we_1", URL: "https://example.com/api/webhooks/stripe", Events: []string{"invoice.paid"}, State: "enabled",
		CreatedAt: start, CheckedAt: start, Sealed: []byte{1, 0, 2}, Extra: map[string]string{"resource_id": "r"},
	}
	other := integration.Subscription{Service: "msgraph", ExternalID: "we_1", Resource: "users", CreatedAt: start, CheckedAt: start, ExpiresAt: start.Add(time.Hour)}
	put(first)
	put(other)
	seen := first
	seen.Events, seen.CheckedAt, seen.CreatedAt, seen.Sealed, seen.Error = []string{"invoice.paid", "invoice.voided"}, start.Add(time.Hour), start.Add(time.Hour), nil, "no"
	put(seen)

	want := seen
	want.CreatedAt, want.Sealed = first.CreatedAt, first.Sealed
	if got, err := s.Subscriptions(ctx, "stripe"); err != nil || !reflect.DeepEqual(got, []integration.Subscription{want}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := s.ForgetSubscription(ctx, "stripe", "", "we_1"); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetSubscription(ctx, "stripe", "", "we_1"); err != nil {
		t.Errorf("forgetting twice: %v", err)
	}
	if got, err := s.Subscriptions(ctx, "stripe"); err != nil || len(got) != 0 {
		t.Errorf("after forgetting: %+v, %v", got, err)
	}
	if got, err := s.Subscriptions(ctx, "msgraph"); err != nil || !reflect.DeepEqual(got, []integration.Subscription{other}) {
		t.Errorf("the other service: %+v, %v", got, err)
	}
	if err := s.PutSubscription(ctx, &integration.Subscription{Service: "stripe"}); err == nil {
		t.Error("a subscription without an id was kept")
	}
}

// R5.15: two tenants' subscriptions of one id are two; an erased tenant has none.
func testTenantsSubscriptions(t *testing.T, s Reconciling) {
	ctx := t.Context()
	for _, connection := range []string{"", "c1", "c2"} {
		one := integration.Subscription{
			Service: "shopify", Connection: connection, ExternalID: "1", Resource: "of " + connection, CreatedAt: start, CheckedAt: start,
			Tenant: map[string]string{"c1": "acme", "c2": "umbrella"}[connection],
		}
		if err := s.PutSubscription(ctx, &one); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.Subscriptions(ctx, "shopify"); err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, connection := range []string{"", "c1"} {
		if got, err := s.SubscriptionsOf(ctx, "shopify", connection); err != nil || len(got) != 1 || got[0].Connection != connection || got[0].Resource != "of "+connection {
			t.Errorf("of %q: %+v, %v", connection, got, err)
		}
	}
	if err := s.ForgetSubscription(ctx, "shopify", "c1", "1"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SubscriptionsOf(ctx, "shopify", "c1"); err != nil || len(got) != 0 {
		t.Errorf("forgotten: %+v, %v", got, err)
	}
	if got, err := s.SubscriptionsOf(ctx, "shopify", "c2"); err != nil || len(got) != 1 || got[0].Tenant != "umbrella" {
		t.Errorf("the other's: %+v, %v", got, err)
	}
	if _, err := s.EraseKeys(ctx, "umbrella", integration.AuditEntry{ID: "1", At: start, Actor: "test", Action: "tenant.erased", Target: "umbrella"}); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Subscriptions(ctx, "shopify"); err != nil || len(all) != 1 || all[0].Tenant != "" {
		t.Errorf("after the erasure %+v, %v", all, err)
	}
}

// R5.15: connections are subscribed by themselves unless it was said that they
// are not.
func testSubscribing(t *testing.T, s Reconciling) {
	ctx := t.Context()
	for i, step := range []struct {
		service  string
		set      bool // SetSubscribing(on) before
		on, want bool
	}{
		{"shopify", false, false, true},
		{"shopify", true, false, false},
		{"shopify", true, false, false},
		{"msgraph", false, false, true},
		{"shopify", true, true, true},
		{"shopify", true, true, true},
	} {
		if step.set {
			if err := s.SetSubscribing(ctx, step.service, step.on, start); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Subscribing(ctx, step.service); err != nil || got != step.want {
			t.Errorf("%d: %t, %v", i, got, err)
		}
	}
}
