package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// leg is one of several destinations that have their turn with an event now.
type leg struct {
	to     *destination
	pass   pass
	start  time.Time
	result result
	took   time.Duration
}

// behindMost is how long an event is put off that waits only for those before it
// in its order: it is due earlier when its turn comes.
const behindMost = 5 * time.Minute

// deliverMany hands the event to those of its destinations that are due, all at
// once. Each has its own attempts, schedule and end. Where an event before it in
// its order has still to go it waits, without an attempt.
func (d *Deliverer) deliverMany(ctx context.Context, r *route, e integration.Event, to []*destination) integration.Outcome {
	now := d.config.Now()
	progress := begin(e, to, now)
	var due []*destination
	for _, t := range to {
		one := progress[t.name]
		if one.State != integration.ProgressWaiting || one.DueAt.After(now) {
			continue
		}
		one.DueAt = time.Time{}
		switch {
		case d.pausedNow(e.Service, t.name):
			one.State = integration.ProgressParked
		case slices.Contains(e.Behind, t.name):
			one.State = integration.ProgressWaiting
		default:
			due = append(due, t)
		}
		progress[t.name] = one
	}
	// Nobody's pass is held, and counted as a delivery that takes so long, while
	// another destination is waited for.
	for _, t := range due {
		t.gate.wait(ctx)
	}
	start := d.config.Now()
	var legs []*leg
	for _, t := range due {
		p, again := t.gate.admit(start)
		if p.gate != nil {
			legs = append(legs, &leg{to: t, pass: p, start: start})
			continue
		}
		one := progress[t.name]
		one.DueAt = again.UTC()
		progress[t.name] = one
	}
	d.handOverAll(ctx, r, e, legs)
	out := integration.Outcome{Progress: progress}
	stopped := ctx.Err() != nil
	for _, l := range legs {
		if stopped && l.result.err != nil && !l.result.final {
			continue // it stays due
		}
		out.Deliveries = append(out.Deliveries, d.settle(ctx, e, l, progress))
	}
	return d.sum(e, to, out)
}

// begin is where the event stands with each destination before this turn.
func begin(e integration.Event, to []*destination, now time.Time) integration.Progress {
	progress := integration.Progress{}
	for name, one := range e.Progress {
		if one.State == integration.ProgressSucceeded { // also of one that the plan names no more
			progress[name] = one
		}
	}
	for _, t := range to {
		one, known := e.Progress[t.name]
		switch {
		case !known:
			one = integration.DestinationProgress{State: integration.ProgressWaiting, RetriedAfter: e.RetriedAfter}
		case one.State == integration.ProgressSucceeded:
		case one.RetriedAfter != e.RetriedAfter: // a person asked for it again
			one.State, one.DueAt, one.Before, one.RetriedAfter = integration.ProgressWaiting, now, one.Attempts, e.RetriedAfter
		case one.State == integration.ProgressParked:
			one.State, one.DueAt = integration.ProgressWaiting, now
		}
		progress[t.name] = one
	}
	return progress
}

// handOverAll maps the event once and hands it to all at the same time. Those who
// want it raw need no mapping.
func (d *Deliverer) handOverAll(ctx context.Context, r *route, e integration.Event, legs []*leg) {
	if len(legs) == 0 {
		return
	}
	data, failed := d.mapped(ctx, r, &e)
	var under sync.WaitGroup
	for _, l := range legs {
		if failed.holds(l.to, &e) {
			l.result = *failed
			l.pass.done(result{}, false, d.config.Now(), 0)
			continue
		}
		under.Go(func() {
			l.result = d.sendOnce(ctx, l.to, l.pass, e, data, l.start)
			l.took = d.config.Now().Sub(l.start)
		})
	}
	under.Wait()
}

// mapped is content with a panic of ours as a failure.
func (d *Deliverer) mapped(ctx context.Context, r *route, e *integration.Event) (data []byte, failed *result) {
	defer func() {
		if cause := recover(); cause != nil {
			failed = &result{err: fmt.Errorf("it panicked: %v", cause), stack: debug.Stack()}
		}
	}()
	return d.content(ctx, r, e)
}

// sendOnce sends to one destination and tells its gate; a panic is a failure.
func (d *Deliverer) sendOnce(ctx context.Context, to *destination, p pass, e integration.Event, data []byte, start time.Time) (res result) {
	counts := true
	defer func() {
		if cause := recover(); cause != nil {
			res = result{err: fmt.Errorf("%w: %v", errPanicked, cause), stack: debug.Stack()}
		}
		if res.status == 0 && res.final || ctx.Err() != nil && res.err != nil {
			counts = false // refused by us, or cut short
		}
		p.done(res, counts, d.config.Now(), d.config.Dice())
	}()
	return d.send(ctx, to, e, data, start)
}

// settle writes down what became of one destination's turn.
func (d *Deliverer) settle(ctx context.Context, e integration.Event, l *leg, progress integration.Progress) integration.Delivery {
	one := progress[l.to.name]
	one.Attempts++
	one.Error, one.State = "", integration.ProgressSucceeded
	delivery := integration.Delivery{
		ID: uuid.Must(uuid.NewV7()).String(), EventID: e.ID, Destination: l.to.name, Attempt: one.Attempts, Replay: e.Replays,
		State: integration.DeliverySucceeded, Status: l.result.status, StartedAt: l.start.UTC(), Took: l.took,
	}
	if err := l.result.err; err != nil {
		one.Error, delivery.Error = err.Error(), err.Error()
		at, again := Next(d.config.Redelivery, one.Attempts-one.Before, d.config.Now(), d.config.Dice(), l.result.retryAfter)
		if l.result.final || !again {
			one.State, delivery.State = integration.ProgressFailed, integration.DeliveryFailed
			if !l.result.final {
				one.Error += givenUp(one.Attempts, one.Before)
			}
		} else {
			one.State, one.DueAt, delivery.State = integration.ProgressWaiting, at.UTC(), integration.DeliveryRetrying
		}
	}
	progress[l.to.name] = one
	d.panicked(ctx, e, l.result)
	d.log(ctx, e, delivery, one.DueAt)
	return delivery
}

func givenUp(attempts, before int) string {
	text := fmt.Sprintf("; given up after %d attempts", attempts)
	if before > 0 {
		text += fmt.Sprintf(", %d of them since it was asked for again", attempts-before)
	}
	return text
}

// sum is what the destinations' states come to for the event: due again at the
// earliest of those that wait, parked for those that are paused, processed when
// all have it, and failed when all are through and one has not.
func (d *Deliverer) sum(e integration.Event, to []*destination, out integration.Outcome) integration.Outcome {
	var parked, failed []string
	var due time.Time
	waiting := false
	for _, t := range to {
		one := out.Progress[t.name]
		switch one.State {
		case integration.ProgressWaiting:
			at := one.DueAt
			if at.IsZero() && slices.Contains(e.Behind, t.name) {
				at = d.config.Now().Add(behindMost).UTC()
			}
			if !waiting || at.Before(due) {
				due = at
			}
			waiting = true
		case integration.ProgressParked:
			parked = append(parked, integration.DestinationName(e.Service, t.name))
		case integration.ProgressFailed:
			failed = append(failed, t.name)
		}
	}
	out.Error = problems(out.Progress)
	out.Status, out.Released = integration.EventReceived, len(out.Deliveries) == 0
	slices.Sort(parked)
	out.Parked = integration.ParkedFor(parked...)
	switch {
	case waiting && due.IsZero():
		out.DueAt = d.config.Now().UTC()
	case waiting:
		out.DueAt = due
	case len(parked) > 0:
	case len(failed) > 0:
		out.Status, out.Released = integration.EventFailed, false
	default:
		out.Status, out.Released = integration.EventProcessed, false
	}
	return out
}

// problems says why destinations do not have the event: what several say, once.
func problems(progress integration.Progress) string {
	var causes []string
	names := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(progress)) {
		one := progress[name]
		if one.Error == "" || one.State == integration.ProgressSucceeded {
			continue
		}
		if names[one.Error] == nil {
			causes = append(causes, one.Error)
		}
		names[one.Error] = append(names[one.Error], name)
	}
	for i, cause := range causes {
		causes[i] = strings.Join(names[cause], ", ") + ": " + cause
	}
	return strings.Join(causes, "; ")
}

// panicked logs the stack of what panicked.
func (d *Deliverer) panicked(ctx context.Context, e integration.Event, r result) {
	if r.stack != nil {
		d.config.Log.LogAttrs(ctx, slog.LevelError, "delivery.panicked", slog.String("service", e.Service), slog.String("event", e.ID),
			slog.String("type", e.Type), slog.String("stack", string(r.stack)))
	}
}
