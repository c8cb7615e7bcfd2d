package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// R0.4: drift is kept once for each place and kind, counted, and survives.
func testDrift(f *fixture) {
	one := integration.Drift{
		Service: "stripe", Endpoint: "get_customer", Pointer: "/data/*/status", Kind: integration.DriftNewValue, Row: "mapping.customer.status",
		Expected: "one of 3 values", Example: "disputed", FirstSeen: start, LastSeen: start.Add(time.Minute), Count: 2,
	}
	end := integration.Drift{
		Service: "stripe", Endpoint: "get_customer", Kind: integration.DriftDeprecation, Expected: "supported", Example: "deprecated",
		Ends: start.Add(24 * time.Hour), FirstSeen: start, LastSeen: start, Count: 1,
	}
	other := one
	other.Service = "slack"
	f.drift(one, end, other)
	more := one
	more.Example, more.FirstSeen, more.LastSeen, more.Count = "void", start.Add(time.Hour), start.Add(2*time.Hour), 5
	f.drift(more)
	f.Store = f.Reopen(f)

	want := one
	want.Example, want.LastSeen, want.Count = "void", more.LastSeen, 7
	got, next, err := f.Store.Drift(f.Context(), integration.Filter{Service: "stripe"})
	if err != nil || next != "" || !reflect.DeepEqual(got, []integration.Drift{end, want}) {
		f.Errorf("got %+v, %q, %v", got, next, err)
	}
	for name, c := range map[string]struct {
		filter integration.Filter
		want   int
	}{
		"kind":              {integration.Filter{Status: string(integration.DriftDeprecation)}, 1},
		"endpoint":          {integration.Filter{Type: "get_customer"}, 3},
		"endpoint not seen": {integration.Filter{Type: "elsewhere"}, 0},
		"part of a row":     {integration.Filter{Query: "customer.stat"}, 2},
		"seen since":        {integration.Filter{Since: start.Add(time.Hour)}, 1},
	} {
		if got, _, err := f.Store.Drift(f.Context(), c.filter); err != nil || len(got) != c.want {
			f.Errorf("%s: %d, %v; want %d", name, len(got), err, c.want)
		}
	}
	page, next, err := f.Store.Drift(f.Context(), integration.Filter{Limit: 2})
	if err != nil || len(page) != 2 || next == "" {
		f.Fatalf("%d, %q, %v", len(page), next, err)
	}
	if rest, last, err := f.Store.Drift(f.Context(), integration.Filter{Limit: 2, Cursor: next}); err != nil || len(rest) != 1 || last != "" {
		f.Errorf("%d, %q, %v", len(rest), last, err)
	}
	if _, _, err := f.Store.Drift(f.Context(), integration.Filter{Cursor: "nonsense"}); !errors.Is(err, integration.ErrCursor) {
		f.Errorf("a made-up cursor: %v", err)
	}
	bad := one
	bad.Count = 0
	late := one
	late.Pointer = "/late"
	if err := f.Store.RecordDrift(f.Context(), []integration.Drift{late, bad}); err == nil {
		f.Error("a count of nothing was kept")
	}
	if got, _, err := f.Store.Drift(f.Context(), integration.Filter{Query: "/late"}); err != nil || len(got) != 0 {
		f.Errorf("half a list was kept: %+v, %v", got, err)
	}
}

func (f *fixture) drift(list ...integration.Drift) {
	f.Helper()
	if err := f.Store.RecordDrift(f.Context(), list); err != nil {
		f.Fatalf("drift: %v", err)
	}
}
