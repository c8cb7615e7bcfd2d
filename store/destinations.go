package store

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Destinations keeps which destinations a person paused, and the events that wait
// for them.
type Destinations interface {
	PauseDestination(ctx context.Context, p integration.PausedDestination, audit integration.AuditEntry) error
	ResumeDestination(ctx context.Context, service, name string, audit integration.AuditEntry) error
	PausedDestinations(ctx context.Context) ([]integration.PausedDestination, error)
	ParkedEvents(ctx context.Context, counted bool) ([]integration.Parked, error)
	Unpark(ctx context.Context, parked string, now time.Time, most int) (n int, err error)
}
