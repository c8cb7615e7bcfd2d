package connect

import (
	"context"

	"github.com/sallyport/sallyport/integration"
)

// Standing is a connection as Status shows it.
type Standing struct {
	integration.Connection
	// Reconnect is where the tenant can connect again; empty when that is not
	// needed.
	Reconnect string
	// Device is the code that a person has to confirm; nil: none.
	Device *Device
}

// mostLinks is how many addresses for connecting again one answer makes.
const mostLinks = 20

// Status lists the connections of a tenant, or of all tenants, the youngest
// first, 500 at most. Those that need a person carry an address to go to.
func (s *Connections) Status(ctx context.Context, service, tenant string) ([]Standing, error) {
	one, err := s.service(service)
	if err != nil {
		return nil, err
	}
	if one.Own != nil {
		tenant = "" // it is everybody's
	}
	list, _, err := s.Store.Connections(ctx, integration.Filter{Service: one.Name, Type: one.Environment, Tenant: tenant, Limit: 500})
	if err != nil {
		return nil, err
	}
	standings := make([]Standing, len(list))
	links := 0
	for i := range list {
		standings[i].Connection = list[i]
		if list[i].Task == integration.TaskCheck {
			if standings[i].Device, err = s.waiting(ctx, list[i].ID); err != nil {
				return nil, err
			}
			if standings[i].Device != nil {
				continue
			}
		}
		if list[i].State.Usable() || one.Own != nil || links >= mostLinks {
			continue
		}
		links++
		if standings[i].Reconnect, err = s.reconnect(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return standings, nil
}

// waiting is the code that a connection waits for; nil: it waits for none.
func (s *Connections) waiting(ctx context.Context, id string) (*Device, error) {
	c, sealed, err := s.Store.Connection(ctx, id)
	if err != nil {
		return nil, err
	}
	flow, err := s.device(ctx, &c, sealed)
	if err != nil || flow == nil {
		return nil, err
	}
	return flow.shown(), nil
}
