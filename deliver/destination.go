package deliver

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/deliver/broker"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// destination is where a plan sends events.
type destination struct {
	plan.Destination
	name    string
	secrets func() []integration.Secret
	gate    *gate
}

// destinations are those of the plan, by name.
func (s Service) destinations() map[string]*destination {
	known := make(map[string]*destination, len(s.Plan.Destinations))
	for name, declared := range s.Plan.Destinations {
		known[name] = &destination{
			Destination: declared, name: name, secrets: func() []integration.Secret { return s.Secrets(name) }, gate: newGate(declared),
		}
	}
	return known
}

// destination returns the plan's destination of that name.
func (s Service) destination(name string) (*destination, bool) {
	to, ok := s.known[name]
	return to, ok
}

// ready says what keeps deliveries from being signed, or a broker's address from
// being used.
func (t *destination) ready() error {
	if t.Broker() {
		return broker.Check(t.URL)
	}
	_, err := signingKeys(t.secrets())
	return err
}

// send hands the event to its destination once, whatever kind it is of.
func (d *Deliverer) send(ctx context.Context, to *destination, e integration.Event, data []byte, now time.Time) result {
	if to.Broker() {
		return d.publish(ctx, to, e, data)
	}
	return d.post(ctx, to, e, data, now)
}
