package integration_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

func TestNewID(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 10, 0, 0, 123_456_789, time.UTC)
	id, err := uuid.Parse(integration.NewID(now))
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Fatalf("%v: %v, version %d, variant %s", err, id, id.Version(), id.Variant())
	}
	if seconds, nanoseconds := id.Time().UnixTime(); time.Unix(seconds, nanoseconds).Before(now.Truncate(time.Millisecond)) {
		t.Errorf("%s is of %s, which is before %s", id, time.Unix(seconds, nanoseconds).UTC(), now)
	}
}

// Ids of one process grow, also when the clock stands still or goes back, and
// never repeat.
func TestNewIDGrows(t *testing.T) {
	t.Parallel()
	now := time.Now()
	before := integration.NewID(now)
	for i := range 10_000 {
		id := integration.NewID(now.Add(-time.Duration(i) * time.Millisecond))
		if id <= before {
			t.Fatalf("%s follows %s", id, before)
		}
		before = id
	}
	var mu sync.Mutex
	var all []string
	var makers sync.WaitGroup
	for range 8 {
		makers.Go(func() {
			own := make([]string, 0, 2000)
			for range 2000 {
				own = append(own, integration.NewID(time.Now()))
			}
			if !slices.IsSorted(own) {
				t.Error("the ids of one goroutine are not in order")
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	makers.Wait()
	slices.Sort(all)
	if len(slices.Compact(all)) != 16_000 {
		t.Error("an id came twice")
	}
}

func BenchmarkNewID(b *testing.B) {
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		integration.NewID(now)
	}
}
