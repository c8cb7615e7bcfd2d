package broker

import (
	"context"
	"errors"
)

// errClosed is what a Publisher says that was closed.
var errClosed = errors.New("the broker's connection was closed")

// later opens its Publisher when it is first needed, so that a broker that is
// away keeps nobody from starting. What failed to open is tried anew by the next
// who needs it.
type later struct {
	open   func(context.Context) (Publisher, error)
	turn   chan struct{} // holds one token; who has it may look at the rest
	opened Publisher
	closed bool
}

func openLater(open func(context.Context) (Publisher, error)) *later {
	l := &later{open: open, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// Publish opens what it has to and publishes.
func (l *later) Publish(ctx context.Context, m Message) error {
	p, err := l.publisher(ctx)
	if err != nil {
		return err
	}
	return p.Publish(ctx, m)
}

func (l *later) publisher(ctx context.Context) (Publisher, error) {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { l.turn <- struct{}{} }()
	if l.closed {
		return nil, errClosed
	}
	if l.opened == nil {
		opened, err := l.open(ctx)
		if err != nil {
			return nil, err
		}
		l.opened = opened
	}
	return l.opened, nil
}

// Close closes what was opened.
func (l *later) Close() error {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.opened == nil {
		return nil
	}
	return l.opened.Close()
}
