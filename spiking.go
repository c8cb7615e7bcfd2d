package sallyport

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/monitor"
)

// spikeLook is how often is looked for spikes.
const spikeLook = 30 * time.Second

// spikes are the alarms of one service (R5.12): deliveries that fail, events of
// types that the plan does not use, and webhooks that are no proof of anything.
type spikes struct {
	failures, unexpected, refused monitor.Spike
}

// newSpikes takes it that deliveries usually succeed. A provider may send types the
// plan does not use from the first day on, and anybody may knock at the door.
func newSpikes() *spikes {
	return &spikes{unexpected: monitor.Spike{Learn: true}, refused: monitor.Spike{Learn: true}}
}

// watchSpikes raises alarms about spikes until ctx ends.
func (a *App) watchSpikes(ctx context.Context) {
	all := map[string]*spikes{}
	for _, name := range a.Services() {
		if a.services[name].plan.Webhooks != nil {
			all[name] = newSpikes()
			a.lookForSpikes(ctx, name, all[name])
		}
	}
	ticker := time.NewTicker(spikeLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for name, s := range all {
				a.lookForSpikes(ctx, name, s)
			}
		}
	}
}

func (a *App) lookForSpikes(ctx context.Context, name string, s *spikes) {
	now := a.config.Now()
	failed, tried := a.deliverer.Attempts(name)
	if alarm, since, n := s.failures.Decide(failed, tried, now); alarm {
		a.config.Log.ErrorContext(ctx, "deliveries.failing", "alert", true, "service", name, "failed", n, "since", since, "destinations", a.failing(name, since),
			"meaning", "many attempts to hand events over failed; they are tried again, and those given up are kept")
	}
	door := a.door.Stats(name)
	taken := door.Received + door.Ignored
	if alarm, since, n := s.unexpected.Decide(door.Ignored, taken, now); alarm {
		a.config.Log.ErrorContext(ctx, "events.unexpected", "alert", true, "service", name, "events", n, "since", since, "types", a.unexpected(ctx, name, since),
			"meaning", "events came of types that the plan does not use; they are kept as ignored and can be replayed when it does")
	}
	refused := int64(0)
	for _, reason := range []string{"unsigned", "mismatch", "stale"} {
		refused += door.Rejected[reason]
	}
	if alarm, since, n := s.refused.Decide(refused, refused+taken+door.Duplicate, now); alarm {
		a.config.Log.ErrorContext(ctx, "webhooks.refused", "alert", true, "service", name, "webhooks", n, "since", since,
			"meaning", "webhooks were not signed as they must be; see whether the secret was changed at the provider")
	}
}

// failing names the destinations of a service that failed since then, each with
// its last error.
func (a *App) failing(service string, since time.Time) []string {
	var list []string
	for _, d := range a.deliverer.Destinations() {
		if d.Service == service && !d.LastFailure.Before(since) {
			list = append(list, d.Name+": "+d.LastError)
		}
	}
	if len(list) == 0 { // of handlers each event has its error
		list = []string{deliver.HandlerName}
	}
	return list
}

// Of the events that are looked at for what types they are of, and of types that
// are named, there are at most so many.
const (
	unexpectedMost = 500
	typesMost      = 10
)

// unexpected names the types of ignored events, those first that came the most.
func (a *App) unexpected(ctx context.Context, service string, since time.Time) []string {
	events, _, err := a.store.Events(ctx, integration.Filter{Service: service, Status: string(integration.EventIgnored), Since: since, Limit: unexpectedMost})
	if err != nil {
		a.config.Log.WarnContext(ctx, "events.unexpected", "service", service, "error", err)
		return nil
	}
	count := map[string]int{}
	for i := range events {
		count[events[i].Type]++
	}
	types := make([]string, 0, len(count))
	for name := range count {
		types = append(types, name)
	}
	slices.SortFunc(types, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a, b)) })
	for i, name := range types {
		types[i] = fmt.Sprintf("%s (%d)", name, count[name])
	}
	return types[:min(len(types), typesMost)]
}
