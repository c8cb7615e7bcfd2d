package api

import (
	"unicode/utf8"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/redact"
)

// keptWords are how much of what came in with an event is kept, as the API says it.
var keptWords = map[integration.Kept]string{integration.KeptWhole: "whole", integration.KeptRedacted: "redacted", integration.KeptNothing: "nothing"}

// redactions are the compiled paths of the plans that have some, by service. A
// path that can't be read is refused where the plan is loaded.
func redactions(list []Integration) map[string]*redact.Paths {
	paths := map[string]*redact.Paths{}
	for i := range list {
		w := list[i].Plan.Webhooks
		if w == nil {
			continue
		}
		if p, err := redact.New(w.Redact); err == nil && p != nil {
			paths[list[i].Plan.Service] = p
		}
	}
	return paths
}

// shown is what anybody may see of an event's payload: not what its plan redacts,
// and nothing of what can't be read where it redacts something. Everything that
// leaves the API goes through it.
func (s *server) shown(e *integration.Event) (payload []byte, redacted bool) {
	paths := s.redactions[e.Service]
	if paths == nil {
		return e.Payload, e.Kept == integration.KeptRedacted
	}
	payload, ok := paths.Apply(e.Header.Get("Content-Type"), e.Payload)
	if !ok {
		return nil, true
	}
	return payload, e.Kept == integration.KeptRedacted || string(payload) != string(e.Payload)
}

// showPayload puts what came in into the view of one event.
func (s *server) showPayload(view *EventView, e *integration.Event) {
	payload, redacted := s.shown(e)
	view.Redacted, view.Kept = redacted, keptWords[e.Kept]
	if utf8.Valid(payload) {
		view.Payload = string(payload)
	} else {
		view.PayloadB64 = payload
	}
}
