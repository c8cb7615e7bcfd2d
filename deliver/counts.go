package deliver

import (
	"sync/atomic"

	"github.com/sallyport/sallyport/integration"
)

// counts are the attempts of one service since the start.
type counts struct{ all, failed atomic.Int64 }

// Attempts is how often events of a service were handed to anybody since the
// start, and how many of these attempts failed, also where another follows. Events
// that were put off or parked are no attempts.
func (d *Deliverer) Attempts(service string) (failed, all int64) {
	if c := d.counts[service]; c != nil {
		return c.failed.Load(), c.all.Load()
	}
	return 0, 0
}

func (d *Deliverer) count(service string, state integration.DeliveryState) {
	c := d.counts[service]
	if c == nil {
		return
	}
	c.all.Add(1)
	if state != integration.DeliverySucceeded {
		c.failed.Add(1)
	}
}
