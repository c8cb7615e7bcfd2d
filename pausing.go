package sallyport

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store"
)

// How often it is looked which destinations are paused, and how many events are
// taken out of a queue of parked ones in one transaction.
const (
	pausedEvery = time.Second
	unparkMost  = 1000
)

// pausing pauses destinations and resumes them, for all instances: the store
// says which are paused, and each instance asks it every second. Events that are
// parked for a destination that is not paused are brought back, by parts; so a
// resumption that was cut short goes on after a restart, and an event that was
// parked at the moment of a resumption does not stay behind.
type pausing struct {
	store     store.Destinations
	deliverer *deliver.Deliverer
	wake      func()
	app       *App
	asked     chan struct{} // has one when it is to be looked at once
}

func (a *App) newPausing() *pausing {
	return &pausing{store: a.store, deliverer: a.deliverer, wake: a.runner.Wake, app: a, asked: make(chan struct{}, 1)}
}

// run goes on until ctx ends.
func (p *pausing) run(ctx context.Context) {
	ticker := time.NewTicker(pausedEvery)
	defer ticker.Stop()
	for {
		if err := p.look(ctx); err != nil && ctx.Err() == nil {
			p.app.config.Log.Warn("destinations.paused", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-p.asked:
		}
	}
}

// look learns which destinations are paused and brings back what waits for none
// of them.
func (p *pausing) look(ctx context.Context) error {
	paused, err := p.learn(ctx)
	if err != nil {
		return err
	}
	parked, err := p.store.ParkedEvents(ctx, false)
	if err != nil {
		return err
	}
	for _, one := range parked {
		if p.waits(one.For, paused) {
			continue
		}
		if err := p.unpark(ctx, one.For); err != nil {
			return err
		}
	}
	return nil
}

// waits reports whether all that events are parked for is paused. One of several
// that is not, or that the plan names no more, brings them back; they are then
// parked again for the others. What is of services that are not served here is
// others' business.
func (p *pausing) waits(parked string, paused map[string]bool) bool {
	for _, name := range integration.ParkedNames(parked) {
		service, destination, _ := strings.Cut(name, "/")
		if !paused[name] || p.app.services[service] != nil && p.known(service, destination) != nil {
			return false
		}
	}
	return true
}

func (p *pausing) learn(ctx context.Context) (map[string]bool, error) {
	list, err := p.store.PausedDestinations(ctx)
	if err != nil {
		return nil, err
	}
	paused := make(map[string]bool, len(list))
	for _, one := range list {
		paused[integration.DestinationName(one.Service, one.Name)] = true
	}
	p.deliverer.SetPaused(paused)
	return paused, nil
}

// unpark brings back what is parked for destinations, until there is nothing or
// they were paused again.
func (p *pausing) unpark(ctx context.Context, parked string) error {
	total := 0
	for ctx.Err() == nil {
		n, err := p.store.Unpark(ctx, parked, p.app.config.Now(), unparkMost)
		if err != nil {
			return err
		}
		if total += n; n > 0 {
			p.wake()
		}
		if n < unparkMost {
			break
		}
		if paused, err := p.learn(ctx); err != nil || p.waits(parked, paused) {
			return err
		}
	}
	if total > 0 {
		p.app.config.Log.Info("destination.unparked", "destination", strings.Join(integration.ParkedNames(parked), ", "), "events", total)
	}
	return nil
}

// Destinations says how deliveries go, and how many events are parked for each
// destination (service/name).
func (p *pausing) Destinations(ctx context.Context) (list []deliver.DestinationStatus, parked map[string]int, err error) {
	paused, err := p.learn(ctx)
	if err != nil {
		return nil, nil, err
	}
	counted, err := p.store.ParkedEvents(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	parked = make(map[string]int, len(counted))
	for _, one := range counted {
		for _, name := range integration.ParkedNames(one.For) {
			parked[name] += one.Events
		}
	}
	list = p.deliverer.Destinations()
	for i := range list {
		delete(paused, integration.DestinationName(list[i].Service, list[i].Name))
	}
	for _, name := range slices.Sorted(maps.Keys(paused)) { // the plan names them no more
		service, destination, _ := strings.Cut(name, "/")
		if p.app.services[service] != nil {
			list = append(list, deliver.DestinationStatus{Service: service, Name: destination, Paused: true})
		}
	}
	return list, parked, nil
}

// Pause pauses a destination; integration.ErrNotFound if no plan names it.
func (p *pausing) Pause(ctx context.Context, service, name string, audit integration.AuditEntry) error {
	if err := p.known(service, name); err != nil {
		return err
	}
	if err := p.store.PauseDestination(ctx, integration.PausedDestination{Service: service, Name: name, At: audit.At, Actor: audit.Actor}, audit); err != nil {
		return err
	}
	_, err := p.learn(ctx)
	return err
}

// Resume ends a pause. What was parked comes back in the background.
func (p *pausing) Resume(ctx context.Context, service, name string, audit integration.AuditEntry) error {
	if err := p.resumable(ctx, service, name); err != nil {
		return err
	}
	if err := p.store.ResumeDestination(ctx, service, name, audit); err != nil {
		return err
	}
	_, err := p.learn(ctx)
	select {
	case p.asked <- struct{}{}:
	default:
	}
	return err
}

// resumable is nil also for a destination that the plan names no more and that is
// still paused.
func (p *pausing) resumable(ctx context.Context, service, name string) error {
	unknown := p.known(service, name)
	if unknown == nil {
		return nil
	}
	paused, err := p.learn(ctx)
	if err != nil {
		return err
	}
	if !paused[integration.DestinationName(service, name)] {
		return unknown
	}
	return nil
}

func (p *pausing) known(service, name string) error {
	if !slices.ContainsFunc(p.deliverer.Destinations(), func(d deliver.DestinationStatus) bool { return d.Service == service && d.Name == name }) {
		return fmt.Errorf("destination %s of %s: %w", name, service, integration.ErrNotFound)
	}
	return nil
}
