package storetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/integration"
)

// Doors is what the providers' doors ask beside keeping events.
type Doors interface {
	AcceptAll(ctx context.Context, events []*integration.Event) (fresh []bool, err error)
	TenantsOfAccount(ctx context.Context, service, environment, account string) ([]string, error)
	CallWithKey(ctx context.Context, service, key string) (id string, err error)
}

// R5.13: events that came together are all kept, and repeats among them known.
func testAcceptAll(f *fixture) {
	known := f.accept()
	const n = 600
	events := make([]*integration.Event, 0, n)
	for i := range n {
		events = append(events, f.event(func(e *integration.Event) { e.ExternalID = fmt.Sprintf("many_%d", i) }))
	}
	events[7].ExternalID, events[n-1].ExternalID = known.ExternalID, "many_3"
	fresh, err := f.Store.AcceptAll(f.Context(), events)
	if err != nil || len(fresh) != n {
		f.Fatalf("%d told, %v", len(fresh), err)
	}
	for i, ok := range fresh {
		if want := i != 7 && i != n-1; ok != want && i != 3 {
			f.Errorf("event %d: fresh %v", i, ok)
		}
	}
	if fresh[3] == fresh[n-1] {
		f.Errorf("of two events with one id %v and %v are fresh", fresh[3], fresh[n-1])
	}
	again, err := f.Store.AcceptAll(f.Context(), events)
	if err != nil || slices.Contains(again, true) {
		f.Errorf("a repeat: %v", err)
	}
	if none, err := f.Store.AcceptAll(f.Context(), nil); err != nil || len(none) != 0 {
		f.Errorf("nothing: %v %v", none, err)
	}
	bad := []*integration.Event{f.event(), f.event(func(e *integration.Event) { e.ExternalID = "" }), f.event()}
	fresh, err = f.Store.AcceptAll(f.Context(), bad)
	if err == nil || len(fresh) != 1 || !fresh[0] {
		f.Errorf("one that can't be kept: %v, %v", fresh, err)
	}
}

// R5.3: the tenant is the one that is connected to the account.
func testTenantsOfAccount(f *fixture) {
	of := func(tenant, account string, change ...func(*integration.Connection)) {
		made := f.connection("c-"+tenant, append(change, func(c *integration.Connection) { c.Tenant, c.Account = tenant, account })...)
		made.Put = nil // no credential, so no key of the tenant
		if err := f.Store.CreateConnection(f.Context(), made); err != nil {
			f.Fatal(err)
		}
	}
	of("acme", "acct_1")
	of("none", "")
	of("other", "acct_1", func(c *integration.Connection) { c.Service = "paypal" })
	of("sandbox", "acct_1", func(c *integration.Connection) { c.Environment = "development" })
	of("left", "acct_1", func(c *integration.Connection) {
		c.State = integration.ConnectionDisconnected
	})
	for account, want := range map[string][]string{"acct_1": {"acme"}, "acct_2": nil, "": nil} {
		got, err := f.Store.TenantsOfAccount(f.Context(), "shopify", "production", account)
		if err != nil || !slices.Equal(got, want) {
			f.Errorf("%q is of %v, want %v: %v", account, got, want, err)
		}
	}
	of("twin", "acct_1")
	if got, err := f.Store.TenantsOfAccount(f.Context(), "shopify", "production", "acct_1"); err != nil || !slices.Equal(got, []string{"acme", "twin"}) {
		f.Errorf("shared by %v: %v", got, err)
	}
}

// R5.11: an event names the key of the call that caused it.
func testCallWithKey(f *fixture) {
	c := f.record(f.call(integration.CallFailed))
	for _, q := range []struct{ service, key, want string }{
		{c.Service, c.IdempotencyKey, c.ID}, {"paypal", c.IdempotencyKey, ""}, {c.Service, "another", ""}, {c.Service, "", ""},
	} {
		if id, err := f.Store.CallWithKey(f.Context(), q.service, q.key); err != nil || id != q.want {
			f.Errorf("%s %q: %q, want %q: %v", q.service, q.key, id, q.want, err)
		}
	}
}
