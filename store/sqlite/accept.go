package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/pack"
)

// newEvent is an event on its way into the table.
type newEvent struct {
	*integration.Event
	headers string
	stored  []byte // the payload as it is stored
	packed  bool   // that is compressed
	fresh   bool   // it was not there before
}

// incoming prepares an event for the table. Compressing is the work of the caller
// and not of the writer.
func incoming(e *integration.Event, headers string) newEvent {
	n := newEvent{Event: e, headers: headers}
	n.stored, n.packed = pack.Pack(e.Payload)
	return n
}

// accept is the work of one Accept; they are used again.
type accept struct {
	work
	newEvent
}

var accepts = sync.Pool{New: func() any {
	return &accept{work: work{done: make(chan struct{}, 1)}}
}}

// Accept stores an event that has not been seen before and returns after the
// commit; fresh is false for a repeat of (Service, Source, ExternalID), of
// which nothing is stored. Requests that arrive while a commit is in progress
// share the next one.
//
// An event with status received is due at DueAt, or at ReceivedAt if that is
// zero; one with status ignored is kept and never due.
//
// When the queue in front of the writer is full it answers
// integration.ErrBusy at once. When ctx ends first, the event may be stored
// all the same if the writer had begun with it: the caller must then leave e
// and its Payload unchanged. On every other error nothing is kept.
func (s *Store) Accept(ctx context.Context, e *integration.Event) (fresh bool, err error) {
	headers, err := checkNew(e)
	if err != nil {
		return false, err
	}
	a := accepts.Get().(*accept)
	a.newEvent = incoming(e, headers)
	a.event = &a.newEvent
	a.err = nil
	a.state.Store(queued)
	ok, err := s.writer.offer(s.writer.events, &a.work)
	if err != nil || !ok {
		a.newEvent = newEvent{}
		accepts.Put(a)
		if err == nil {
			err = integration.ErrBusy
		}
		return false, err
	}
	if err := a.wait(ctx); err != nil {
		return false, err // not used again: the writer may still hold it
	}
	fresh = a.fresh
	a.newEvent = newEvent{}
	accepts.Put(a)
	return fresh, nil
}

// checkNew refuses what could not be found again and encodes the headers.
func checkNew(e *integration.Event) (headers string, err error) {
	switch {
	case e.ID == "":
		err = errors.New("sqlite: an event needs an id of ours")
	case e.Service == "":
		err = errors.New("sqlite: an event needs its service")
	case e.ExternalID == "":
		err = errors.New("sqlite: an event needs the provider's id; without one repeats can't be told from news")
	case e.ReceivedAt.IsZero():
		err = errors.New("sqlite: an event needs the time at which it was received")
	case e.Status != integration.EventReceived && e.Status != integration.EventIgnored:
		err = fmt.Errorf("sqlite: a new event is received or ignored, not %q", e.Status)
	}
	if err != nil {
		return "", err
	}
	return pack.Header(e.Header), nil
}

// inserter writes events with as few statements as it can. It belongs to the
// writer goroutine.
type inserter struct {
	events []*work
	args   []any
}

// insertSizes are the numbers of rows of one statement, each prepared once.
var insertSizes = [...]int{64, 16, 4, 1}

// insertColumns are written for a new event, in this order.
const insertColumns = "id, tenant_id, provider, source, event_type, external_id, subject, status, occurred_at, received_at, created_at, processed_at, due_at, headers, payload, packed, kept, order_key"

// insertStatements holds a statement for each of insertSizes.
var insertStatements = func() (s [len(insertSizes)]string) {
	row := "(" + strings.Repeat("?,", strings.Count(insertColumns, ",")) + "?)"
	for i, n := range insertSizes {
		s[i] = "INSERT INTO webhook_events (" + insertColumns + ") VALUES " + strings.Repeat(row+",", n-1) + row +
			" ON CONFLICT (provider, source, external_id) DO NOTHING"
	}
	return s
}()

// insert writes the events among the work and sets fresh, or err where the row
// itself was refused. The error it returns concerns the whole transaction.
func (in *inserter) insert(t *transaction, batch []*work, now time.Time) error {
	in.events = in.events[:0]
	for _, k := range batch {
		if k.event != nil {
			in.events = append(in.events, k)
		}
	}
	for rest := in.events; len(rest) > 0; {
		for i, n := range insertSizes {
			if n > len(rest) {
				continue
			}
			if err := in.rows(t, insertStatements[i], rest[:n], now); err != nil {
				return err
			}
			rest = rest[n:]
			break
		}
	}
	clear(in.events)
	return nil
}

// rows inserts some events with one statement, or one by one if the statement
// was refused for the sake of one of them.
func (in *inserter) rows(t *transaction, statement string, rows []*work, now time.Time) error {
	in.args = in.args[:0]
	for _, k := range rows {
		in.args = appendRow(in.args, k.event, now)
	}
	inserted, err := t.exec(statement, in.args...)
	clear(in.args)
	switch {
	case brokeAll(err):
		return err
	case err != nil && len(rows) == 1:
		rows[0].err = fmt.Errorf("sqlite: event %s of %s: %w", rows[0].event.ExternalID, rows[0].event.Service, err)
		return nil
	case err != nil:
		for i := range rows {
			if err := in.rows(t, insertStatements[len(insertStatements)-1], rows[i:i+1], now); err != nil {
				return err
			}
		}
		return nil
	}
	switch int(inserted) {
	case len(rows):
		for _, k := range rows {
			k.event.fresh = true
		}
		return nil
	case 0:
		return nil
	}
	return in.tellRepeats(t, rows)
}

// tellRepeats finds out which of the events are in the table under their own
// id; the others were there before, or came earlier in the batch.
func (in *inserter) tellRepeats(t *transaction, rows []*work) error {
	byID := make(map[string]*newEvent, len(rows))
	ids := make([]string, 0, len(rows))
	for _, k := range rows {
		byID[k.event.ID] = k.event
		ids = append(ids, k.event.ID)
	}
	return t.query(func(r rowScanner) error {
		var id string
		if err := r.Scan(&id); err != nil {
			return err
		}
		byID[id].fresh = true
		return nil
	}, "SELECT id FROM webhook_events WHERE id IN (SELECT value FROM json_each(?))", jsonArray(ids))
}

func appendRow(args []any, e *newEvent, now time.Time) []any {
	due, processed := any(nil), any(nil)
	if e.Status == integration.EventReceived {
		due = micros(e.ReceivedAt)
		if !e.DueAt.IsZero() {
			due = micros(e.DueAt)
		}
	} else {
		processed = micros(e.ReceivedAt)
	}
	payload := e.stored
	if payload == nil {
		payload = []byte{}
	}
	return append(args,
		e.ID, e.Tenant, e.Service, e.Source, e.Type, e.ExternalID, e.Subject, string(e.Status),
		optionalMicros(e.OccurredAt), micros(e.ReceivedAt), micros(now), processed, due,
		e.headers, payload, e.packed, int(e.Kept), orderKey(e.Event))
}
