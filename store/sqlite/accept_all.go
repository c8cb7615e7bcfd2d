package sqlite

import (
	"context"

	"github.com/sallyport/sallyport/integration"
)

// acceptMost is how many events of one request wait for a commit together.
const acceptMost = 256

// AcceptAll is Accept for events that came together: those in hand share their
// commits, so they may be stored in another order. On an error fresh tells of
// the events before the first that is not known to be kept; of those behind it
// some may be.
func (s *Store) AcceptAll(ctx context.Context, events []*integration.Event) (fresh []bool, err error) {
	fresh = make([]bool, 0, len(events))
	for len(events) > 0 {
		n := min(len(events), acceptMost)
		some, err := s.acceptSome(ctx, events[:n])
		fresh = append(fresh, some...)
		if err != nil {
			return fresh, err
		}
		events = events[n:]
	}
	return fresh, nil
}

func (s *Store) acceptSome(ctx context.Context, events []*integration.Event) (fresh []bool, err error) {
	inHand := make([]*accept, 0, len(events))
	var refused error
	for _, e := range events {
		headers, err := checkNew(e)
		if err != nil {
			refused = err
			break
		}
		a := &accept{work: work{done: make(chan struct{}, 1)}}
		a.newEvent = incoming(e, headers)
		a.event = &a.newEvent
		ok, err := s.writer.offer(s.writer.events, &a.work)
		if err == nil && !ok {
			err = integration.ErrBusy
		}
		if err != nil {
			refused = err
			break
		}
		inHand = append(inHand, a)
	}
	for _, a := range inHand {
		if waited := a.wait(ctx); waited != nil && err == nil {
			err = waited
		}
		if err == nil {
			fresh = append(fresh, a.fresh)
		}
	}
	if err == nil {
		err = refused
	}
	return fresh, err
}
