package sallyport

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/integration"
)

const (
	// echoPatience is how old an event grows before it is taken for nobody's echo:
	// it may come before the call that caused it is written down.
	echoPatience = 3 * time.Second
	echoAgain    = 500 * time.Millisecond
)

// deliverFunc hands one event over.
type deliverFunc func(context.Context, integration.Event) integration.Outcome

// echoed marks an event that names the idempotency key of a call of ours, before
// it is handed over. The door only notes the key: a provider that waits for its
// answer must not wait for this.
func (a *App) echoed(next deliverFunc) deliverFunc {
	return func(ctx context.Context, e integration.Event) integration.Outcome {
		keys := e.EchoKeys()
		if len(keys) == 0 || e.Echo() {
			return next(ctx, e)
		}
		ours, err := a.isEcho(ctx, &e)
		now := a.config.Now()
		switch {
		case ours:
			e.Header = e.Header.Clone()
			e.MarkEcho()
		case err != nil && ctx.Err() == nil:
			a.config.Log.WarnContext(ctx, "echo.unknown", "service", e.Service, "event", e.ID, "error", err)
			return integration.Outcome{Status: integration.EventReceived, Released: true, DueAt: now.Add(echoPatience).UTC()}
		case now.Sub(e.ReceivedAt) < echoPatience && e.Replays == 0:
			return integration.Outcome{Status: integration.EventReceived, Released: true, DueAt: now.Add(echoAgain).UTC()}
		}
		return next(ctx, e)
	}
}

// isEcho reports whether a call of ours caused the event.
func (a *App) isEcho(ctx context.Context, e *integration.Event) (bool, error) {
	if e.Echo() {
		return true, nil
	}
	for _, key := range e.EchoKeys() {
		id, err := a.store.CallWithKey(ctx, e.Service, key)
		if err != nil || id != "" {
			return id != "", err
		}
	}
	return false, nil
}
