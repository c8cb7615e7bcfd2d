package sallyport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/redact"
	"github.com/sallyport/sallyport/retain"
)

// DefaultCallRetention is how long calls are kept after they ended when nothing
// else is said.
const DefaultCallRetention = 90 * 24 * time.Hour

// keeping keeps less than came in: nothing for longer than it is said, and not
// what plans redact.
type keeping struct {
	keeper *retain.Keeper           // nil: nothing is deleted
	paths  map[string]*redact.Paths // by service; those without paths are not there
}

// keep makes what deletes, and what redacts.
func (a *App) keep() error {
	k := &keeping{paths: map[string]*redact.Paths{}}
	a.keeping = k
	var others *plan.Webhooks
	c := retain.Config{
		Store: a.store, Services: map[string]retain.Times{}, Others: times(others), Calls: max(0, a.config.CallRetention),
		Owner: uuid.Must(uuid.NewV7()).String(), Now: a.config.Now, Log: a.config.Log,
	}
	var problems []error
	for _, name := range a.Services() {
		w := a.services[name].plan.Webhooks
		c.Services[name] = times(w)
		if w == nil {
			continue
		}
		paths, err := redact.New(w.Redact)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: webhooks.redact: %w", name, err))
		}
		if paths != nil {
			k.paths[name] = paths
		}
	}
	if !a.config.NoRetention {
		var err error
		k.keeper, err = retain.New(c)
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func times(w *plan.Webhooks) retain.Times {
	payload, ids := w.Kept()
	return retain.Times{Payload: payload, IDs: ids}
}

// run deletes until ctx ends.
func (k *keeping) run(ctx context.Context, a *App) {
	if k.keeper == nil {
		a.config.Log.InfoContext(ctx, "retention.off", "meanwhile", "nothing is deleted, and the database grows")
		return
	}
	k.keeper.Run(ctx)
}

// clean is what of a payload may be kept, and how much that is.
func (k *keeping) clean(e *integration.Event) (payload []byte, kept integration.Kept) {
	paths := k.paths[e.Service]
	if paths == nil || e.Kept == integration.KeptNothing {
		return e.Payload, e.Kept
	}
	payload, ok := paths.Apply(e.Header.Get("Content-Type"), e.Payload)
	if !ok {
		return nil, integration.KeptNothing
	}
	return payload, integration.KeptRedacted
}

// handle has processed and ignored events kept without what their plan redacts,
// in the transaction that writes the outcome. Failed ones stay whole: a person
// may still want them delivered.
func (k *keeping) handle(next func(context.Context, integration.Event) integration.Outcome) func(context.Context, integration.Event) integration.Outcome {
	if len(k.paths) == 0 {
		return next
	}
	return func(ctx context.Context, e integration.Event) integration.Outcome {
		out := next(ctx, e)
		if k.paths[e.Service] == nil || out.Released || out.Status != integration.EventProcessed && out.Status != integration.EventIgnored {
			return out
		}
		out.Payload, out.Kept = k.clean(&e)
		return out
	}
}

// inbox has events that nobody is to receive kept without it from the beginning.
func (k *keeping) inbox(next receive.Inbox) receive.Inbox {
	if len(k.paths) == 0 {
		return next
	}
	return cleanInbox{keeping: k, next: next}
}

// cleanInbox is an inbox before which events are cleaned.
type cleanInbox struct {
	keeping *keeping
	next    receive.Inbox
}

// cleaned is the event as it may be kept; the caller's stays as it is.
func (c cleanInbox) cleaned(e *integration.Event) *integration.Event {
	if e.Status != integration.EventIgnored || c.keeping.paths[e.Service] == nil {
		return e
	}
	less := *e
	if less.Payload, less.Kept = c.keeping.clean(e); less.Kept == integration.KeptNothing {
		less.Header = nil
	}
	return &less
}

// Accept keeps one event.
func (c cleanInbox) Accept(ctx context.Context, e *integration.Event) (fresh bool, err error) {
	return c.next.Accept(ctx, c.cleaned(e))
}

// AcceptAll keeps many, in few commits where the inbox can.
func (c cleanInbox) AcceptAll(ctx context.Context, events []*integration.Event) (fresh []bool, err error) {
	less := make([]*integration.Event, len(events))
	for i, e := range events {
		less[i] = c.cleaned(e)
	}
	if many, ok := c.next.(receive.ManyInbox); ok {
		return many.AcceptAll(ctx, less)
	}
	for _, e := range less {
		one, err := c.next.Accept(ctx, e)
		if err != nil {
			return fresh, err
		}
		fresh = append(fresh, one)
	}
	return fresh, nil
}
