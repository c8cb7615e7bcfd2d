package reconcile

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// Turn takes one turn as the runner does.
func Turn(f *Finder, ctx context.Context, c integration.Cursor) integration.CursorOutcome { //nolint:revive // the receiver of a method stands first
	return f.turn(ctx, c)
}

// TendTurn takes one turn with a connection's subscriptions.
func TendTurn(s *Subscriptions, ctx context.Context, service, connection string, c integration.Cursor) integration.CursorOutcome { //nolint:revive // the receiver of a method stands first
	return s.turn(ctx, service, connection, c)
}

// ReadItem reads one entry of a list.
func ReadItem(p *plan.Plan, raw []byte) (time.Time, bool) {
	one, ok := (&listed{facts: p.Provider.Webhooks.List}).item(raw)
	return one.at, ok
}

// FillItem puts places of an entry into a path.
func FillItem(path string, raw []byte) (plain, escaped string, err error) { return fillItem(path, raw) }
