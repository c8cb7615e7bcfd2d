package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

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
// and not of those who commit.
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

// Accept stores an event that has not been seen before, by any instance, and
// returns after the commit; fresh is false for a repeat of (Service, Source,
// ExternalID), of which nothing is stored. Requests that arrive while commits
// are in progress share the next one.
//
// An event with status received is due at DueAt, or at ReceivedAt if that is
// zero; one with status ignored is kept and never due.
//
// When the queue in front of the committers is full it answers
// integration.ErrBusy at once. When ctx ends first, or the connection is lost
// while the server commits, the event may be stored all the same: the error says
// so, and the caller must then leave e and its Payload unchanged. On every other
// error nothing is kept.
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
	ok, err := s.offer(s.events, &a.work)
	if err != nil || !ok {
		a.newEvent = newEvent{}
		accepts.Put(a)
		if err == nil {
			err = integration.ErrBusy
		}
		return false, err
	}
	if err := a.wait(ctx); err != nil {
		return false, err // not used again: a committer may still hold it
	}
	fresh = a.fresh
	if e.Ordered {
		s.lines.told()
	}
	a.newEvent = newEvent{}
	accepts.Put(a)
	return fresh, nil
}

// checkNew refuses what could not be found again and encodes the headers.
func checkNew(e *integration.Event) (headers string, err error) {
	switch {
	case e.ID == "":
		err = errors.New("postgres: an event needs an id of ours")
	case e.Service == "":
		err = errors.New("postgres: an event needs its service")
	case e.ExternalID == "":
		err = errors.New("postgres: an event needs the provider's id; without one repeats can't be told from news")
	case e.ReceivedAt.IsZero():
		err = errors.New("postgres: an event needs the time at which it was received")
	case e.Status != integration.EventReceived && e.Status != integration.EventIgnored:
		err = fmt.Errorf("postgres: a new event is received or ignored, not %q", e.Status)
	}
	if err != nil {
		return "", err
	}
	return pack.Header(e.Header), nil
}

// insertEvents writes events with one statement and sets fresh, or err. A
// statement that the server refuses for the sake of one row is cut in two, until
// that row stands alone.
func (s *Store) insertEvents(batch []*work) {
	// In the order of the key: two statements that hold the same events then
	// wait for each other in one direction only.
	slices.SortFunc(batch, func(a, b *work) int {
		return cmp.Or(cmp.Compare(a.event.Service, b.event.Service), cmp.Compare(a.event.Source, b.event.Source), cmp.Compare(a.event.ExternalID, b.event.ExternalID))
	})
	err := s.insertStatement(batch)
	switch {
	case err == nil:
		return
	case isRowsFault(err) && len(batch) > 1:
		half := len(batch) / 2
		s.insertEvents(batch[:half])
		s.insertEvents(batch[half:])
		return
	case isRowsFault(err):
		err = fmt.Errorf("postgres: event %s of %s: %w", batch[0].event.ExternalID, batch[0].event.Service, err)
	}
	for _, k := range batch {
		k.err = err
	}
}

// isRowsFault reports whether the server refused a statement for what one of its
// rows holds: a value, a constraint, a size.
func isRowsFault(err error) bool {
	var p *pgconn.PgError
	if !errors.As(err, &p) || len(p.Code) != 5 {
		return false
	}
	return p.Code[:2] == "22" || p.Code[:2] == "23" || p.Code[:2] == "54"
}

// insertColumns are written for a new event, in this order.
const insertColumns = "id, tenant_id, provider, source, event_type, external_id, subject, status, occurred_at, received_at, created_at, processed_at, due_at, headers, payload, packed, kept, order_key"

const insertEvents = `INSERT INTO webhook_events (` + insertColumns + `)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
	$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::bytea[], $16::boolean[], $17::smallint[], $18::text[])
ON CONFLICT (provider, source, external_id) DO NOTHING RETURNING id`

// insertStatement is one transaction: a statement on its own.
func (s *Store) insertStatement(batch []*work) error {
	columns := newEventColumns(len(batch))
	now := micros(s.options.Now())
	byID := make(map[string]*newEvent, len(batch))
	for _, k := range batch {
		columns.add(k.event, now)
		byID[storable(k.event.ID)] = k.event
	}
	inserted := 0
	err := s.bounded(context.Background(), func(ctx context.Context, conn *pgxpool.Conn) error {
		if err := s.mayEnd(); err != nil {
			return fmt.Errorf("postgres: nothing was kept: %w", err)
		}
		inserted = 0
		list, err := conn.Query(ctx, insertEvents, columns.args()...)
		if err != nil {
			return uncertain(ctx, err)
		}
		var id string
		err = each(&rows{Rows: list}, func(r rowScanner) error {
			inserted++
			if err := list.Scan(&id); err != nil {
				return err
			}
			if e := byID[id]; e != nil {
				e.fresh = true
			}
			return nil
		})
		if err != nil {
			return uncertain(ctx, err)
		}
		return nil
	})
	if err != nil {
		for _, e := range byID {
			e.fresh = false
		}
		return err
	}
	if inserted > 0 {
		s.committed(len(batch))
	}
	return nil
}

// eventColumnLists are the columns of new events, each as one parameter.
type eventColumnLists struct {
	text      [9][]string // id to status, and headers
	occurred  []pgtype.Int8
	received  []int64
	created   []int64
	processed []pgtype.Int8
	due       []pgtype.Int8
	payload   [][]byte
	orderKey  []*string
	packed    []bool
	kept      []int16
}

func newEventColumns(n int) *eventColumnLists {
	c := &eventColumnLists{
		occurred: make([]pgtype.Int8, 0, n), received: make([]int64, 0, n), created: make([]int64, 0, n),
		processed: make([]pgtype.Int8, 0, n), due: make([]pgtype.Int8, 0, n), payload: make([][]byte, 0, n), orderKey: make([]*string, 0, n),
		packed: make([]bool, 0, n), kept: make([]int16, 0, n),
	}
	for i := range c.text {
		c.text[i] = make([]string, 0, n)
	}
	return c
}

func (c *eventColumnLists) add(e *newEvent, now int64) {
	for i, s := range [...]string{e.ID, e.Tenant, e.Service, e.Source, e.Type, e.ExternalID, e.Subject, string(e.Status), e.headers} {
		c.text[i] = append(c.text[i], storable(s))
	}
	due, processed := pgtype.Int8{}, pgtype.Int8{}
	if e.Status == integration.EventReceived {
		due = pgtype.Int8{Int64: micros(e.ReceivedAt), Valid: true}
		if !e.DueAt.IsZero() {
			due.Int64 = micros(e.DueAt)
		}
	} else {
		processed = pgtype.Int8{Int64: micros(e.ReceivedAt), Valid: true}
	}
	occurred := pgtype.Int8{}
	if !e.OccurredAt.IsZero() {
		occurred = pgtype.Int8{Int64: micros(e.OccurredAt), Valid: true}
	}
	payload := e.stored
	if payload == nil {
		payload = []byte{}
	}
	c.orderKey = append(c.orderKey, orderKey(e.Event))
	c.occurred, c.received, c.created = append(c.occurred, occurred), append(c.received, micros(e.ReceivedAt)), append(c.created, now)
	c.processed, c.due, c.payload = append(c.processed, processed), append(c.due, due), append(c.payload, payload)
	c.packed, c.kept = append(c.packed, e.packed), append(c.kept, int16(e.Kept))
}

func (c *eventColumnLists) args() []any {
	t := &c.text
	return []any{
		t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7],
		c.occurred, c.received, c.created, c.processed, c.due, t[8], c.payload, c.packed, c.kept, c.orderKey,
	}
}

// insertOne writes one event within a transaction; a repeat is left out.
func insertOne(t *transaction, e *newEvent, now int64) error {
	c := newEventColumns(1)
	c.add(e, now)
	_, err := t.tx.Exec(t.ctx, insertEvents, c.args()...)
	t.changed = true
	return err
}
