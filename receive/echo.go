package receive

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// callKey is the value of an echo that stands for the idempotency key of any call
// of ours.
const callKey = "call.key"

// echoes are the places where an event says that a call of ours caused it.
type echoes []echo

type echo struct {
	place  extract.Path
	values []string
	keys   bool // call.key is among the values
}

func compileEchoes(w *plan.Webhooks) (list echoes, err error) {
	for place, values := range w.Echo {
		path, err := extract.Parse(place)
		if err != nil {
			return nil, fmt.Errorf("webhooks.echo: %w", err)
		}
		list = append(list, echo{place: path, values: values, keys: slices.Contains(values, callKey)})
	}
	return list, nil
}

// mark marks an event that a call of ours caused. What may be the key of a call
// is only noted: looking it up must not hold up the answer.
func (list echoes) mark(e *integration.Event, in *extract.Request) {
	for _, echo := range list {
		found, ok := name(in, []extract.Path{echo.place})
		switch {
		case !ok:
		case found != callKey && slices.Contains(echo.values, found):
			e.MarkEcho()
		case echo.keys:
			e.MarkEchoKey(found)
		}
	}
}
