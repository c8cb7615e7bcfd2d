package leasetest_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/lease/leasetest"
)

// The suite holds for the queue in memory, which is also a test of the suite.
func TestMemory(t *testing.T) {
	t.Parallel()
	leasetest.Run(t, func(*testing.T) leasetest.Harness[leasetest.Item, leasetest.Outcome] {
		m := &leasetest.Memory{}
		return leasetest.Harness[leasetest.Item, leasetest.Outcome]{
			Queue:    m,
			Add:      func(_ testing.TB, due time.Time) string { return m.Add(due) },
			Finished: func(_ testing.TB, id string) bool { return m.State(id).Finished },
			Again:    func(due time.Time) leasetest.Outcome { return leasetest.Outcome{Again: due} },
			Release:  leasetest.Outcome{Released: true},
		}
	})
}
