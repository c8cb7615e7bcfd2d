package deliver

import (
	"errors"
	"slices"

	"github.com/sallyport/sallyport/integration"
)

// Preview is what delivering an event would come to with the plan as it is now.
type Preview struct {
	// Status is received where it would be handed over, ignored where the plan
	// does not use it, and failed where Err says what would be refused.
	Status       integration.EventStatus
	Destinations []string // who would have it, as in the plan, or HandlerName
	Data         []byte   // the mapped resource; nil with Err or Fetch, and where nobody needs it and the mapping refuses it
	Body         []byte   // the CloudEvent; nil where Data is
	// Fetch is the endpoint that would be asked first for what the event is about:
	// what it answers can't be foretold.
	Fetch string
	Err   error // why it would be refused; nil when it would not
}

// errNowhere is the refusal of an event that nobody takes.
var errNowhere = errors.New("there is neither a destination nor a Go handler for it")

// Preview says what delivering the event would come to. Nothing is sent, and
// nothing asked of anybody.
func (d *Deliverer) Preview(e integration.Event) Preview {
	r, ok := d.routes[e.Service][e.Type]
	if to, own := e.Destination(); own {
		r, ok = d.own(e.Service, to), true
	}
	if !ok {
		return Preview{Status: integration.EventIgnored}
	}
	p := Preview{Status: integration.EventReceived, Destinations: d.takers(r, &e)}
	if len(p.Destinations) == 0 {
		if len(r.routes) > 0 {
			return Preview{Status: integration.EventIgnored}
		}
		p.Err = errNowhere
	}
	if r.fetch != nil {
		p.Fetch = r.fetch.endpoint
		if _, err := r.fetch.of(&e); err != nil {
			p.Err = err
		}
	} else if data, err := r.data(e.Payload, "the payload"); err != nil {
		if d.handler(e.Service, e.Type) != nil || slices.ContainsFunc(r.of(&e), func(t *destination) bool { return !wantsRaw(t, &e) }) {
			p.Err = err
		}
	} else {
		p.Data, p.Body = data, cloudEvent(e, data)
	}
	if p.Err != nil {
		p.Status, p.Data, p.Body = integration.EventFailed, nil, nil
	}
	return p
}

// takers are the names of those who would have the event.
func (d *Deliverer) takers(r *route, e *integration.Event) []string {
	if d.handler(e.Service, e.Type) != nil {
		return []string{HandlerName}
	}
	var names []string
	for _, to := range r.of(e) {
		names = append(names, to.name)
	}
	return names
}
