package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/sallyport/sallyport/openapi"
)

// EmitOptions say how an event sent by hand differs from an ordinary one.
type EmitOptions struct {
	// ID names the object the event is about. Empty: the newest of its kind, or
	// a sample when there is none.
	ID string
	// Object sets fields of the object as the event shows it. What is
	// remembered of the object does not change.
	Object map[string]any
	// Age is how long ago the event happened. It is signed as it is sent.
	Age time.Duration
	// SignedAgo is how long ago it was signed; beyond the receiver's replay
	// window it should be refused.
	SignedAgo time.Duration
	// Duplicate sends the event twice, with the same id.
	Duplicate bool
	// Forged signs it with a secret that the receiver does not have.
	Forged bool
	// Lost keeps it in the provider's list and never sends it.
	Lost bool
}

// Emitted is what became of an event.
type Emitted struct {
	ID       string `json:"id"`       // the event's
	Type     string `json:"type"`     //
	Accepted bool   `json:"accepted"` // every delivery was answered with 2xx in the end
	Sent     []Sent `json:"sent"`     // in order; two or more of a duplicate or a retry
}

// Sent is one attempt at sending an event.
type Sent struct {
	Status int           `json:"status,omitempty"` // 0: there was no answer
	Error  string        `json:"error,omitempty"`  // why there was none
	Took   time.Duration `json:"took_ns"`
}

// Emit sends an event and reports what the receiver answered. An error means
// that nothing could be sent; a receiver that refuses is no error.
func (s *Sandbox) Emit(ctx context.Context, eventType string, o EmitOptions) (Emitted, error) {
	if eventType == "" {
		return Emitted{}, errors.New("sandbox: an event needs a type")
	}
	if s.cfg.WebhooksTo == "" {
		return Emitted{}, errors.New("sandbox: there is no URL to send events to; give WebhooksTo")
	}
	h, err := s.compose(eventType, o)
	if err != nil {
		return Emitted{}, err
	}
	result := Emitted{ID: h.id, Type: h.typ}
	if o.Lost {
		return result, nil
	}
	times := 1
	if o.Duplicate {
		times = 2
	}
	result.Accepted = true
	for range times {
		sent := s.sender.deliver(ctx, h, how{forged: o.Forged, signedAgo: o.SignedAgo})
		result.Sent = append(result.Sent, sent...)
		result.Accepted = result.Accepted && sent[len(sent)-1].Status/100 == 2
	}
	return result, ctx.Err()
}

// compose makes the event.
func (s *Sandbox) compose(typ string, o EmitOptions) (*happening, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	resource, word := s.resourceOf(typ)
	x := s.objects.newest(resource)
	if o.ID != "" {
		if x = s.objects.get(o.ID); x == nil {
			return nil, fmt.Errorf("sandbox: there is no object %s", describe(o.ID))
		}
		resource = x.resource
	}
	schema := s.model.doc.Schema(resource)
	var body map[string]any
	if x != nil {
		body, _ = clone(x.body).(map[string]any)
	} else if body, _ = s.model.sample(&openapi.Schema{Ref: resource}, s.now(), 0).(map[string]any); body != nil && schema != nil {
		s.freshen(body, &openapi.Schema{Ref: resource})
	}
	if body == nil {
		body = map[string]any{}
	}
	if schema != nil {
		if property, status := s.model.statusAfter(schema, word); property != "" {
			body[property] = status
		}
	}
	given, _ := normal(o.Object).(map[string]any)
	maps.Copy(body, given)
	return s.happening(typ, body, nil, s.now().Add(-o.Age), nil), nil
}

// resourceOf reads the kind of object and what happened out of a type:
// customer.subscription.deleted is about a subscription when the document has no
// customer.subscription.
func (s *Sandbox) resourceOf(typ string) (resource, word string) {
	resource, word = splitLast(typ)
	for rest := resource; rest != ""; {
		if s.model.doc.Schema(rest) != nil {
			return rest, word
		}
		_, tail, found := strings.Cut(rest, ".")
		if !found {
			break
		}
		rest = tail
	}
	return resource, word
}
