package api

import (
	"context"

	"github.com/sallyport/sallyport/integration"
)

// BatchView is where an event stood in a request that carried several.
type BatchView struct {
	ID   string `json:"id" doc:"the same for all events of the request"`
	Item int    `json:"item" doc:"which one it was, from 1"`
	Of   int    `json:"of" doc:"how many there were"`
}

// showArrival puts how an event came into the view of one event.
func (s *server) showArrival(ctx context.Context, view *EventView, e *integration.Event) {
	if b, ok := e.Batch(); ok {
		view.Batch = &BatchView{ID: b.ID, Item: b.Item, Of: b.Of}
	}
	view.Echo = e.Echo()
	if view.Echo || s.Echo == nil || len(e.EchoKeys()) == 0 {
		return
	}
	ours, err := s.Echo(ctx, e)
	if err != nil { // the rest of the event is worth more than an error
		s.Log.WarnContext(ctx, "echo.unknown", "event", e.ID, "error", err)
	}
	view.Echo = ours
}
