package reconcile

import (
	"context"

	"github.com/sallyport/sallyport/integration"
)

// Turn takes one turn as the runner does.
func Turn(f *Finder, ctx context.Context, c integration.Cursor) integration.CursorOutcome { //nolint:revive // the receiver of a method stands first
	return f.turn(ctx, c)
}
