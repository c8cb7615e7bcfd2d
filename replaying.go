package sallyport

import (
	"context"

	"github.com/sallyport/sallyport/integration"
)

// arrived is told of each event that was kept: it is due, and whoever listens
// wants to see it.
func (a *App) arrived(e *integration.Event) {
	a.metrics.Arrived(e)
	a.runner.Wake()
	a.arrivals.Announce()
}

// listening ends listeners when ctx does: they would keep the server from
// stopping.
func (a *App) listening(ctx context.Context) {
	<-ctx.Done()
	a.arrivals.Close()
}
