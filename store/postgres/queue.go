package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// EventQueue lends the events that are due: a lease.Queue that instances share.
//
// As long as everything that is due can be lent, the oldest is lent first. When
// there is more, tenants have their turns, each with its oldest: one with very
// many waits behind itself and nobody else. Whose turn it is each instance knows
// for itself.
type EventQueue struct{ s *Store }

// EventQueue returns the queue of received events.
func (s *Store) EventQueue() EventQueue { return EventQueue{s} }

// The two halves of the queue, as their indexes say it: events that wait for
// nobody, and those that must not overtake others. What is parked is in neither,
// unless it is due for another destination.
const (
	waitingEvent = "status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NULL"
	waitingLine  = "status IN ('received', 'processing') AND (parked IS NULL OR due_at IS NOT NULL) AND order_key IS NOT NULL"
)

// claimDue lends the rows that are due and that nobody else is lending at this
// moment.
const claimDue = `WITH due AS MATERIALIZED (
	SELECT seq FROM webhook_events
	WHERE ` + waitingEvent + ` AND coalesce(lease_until, due_at) <= $3
	ORDER BY coalesce(lease_until, due_at), seq LIMIT $4 FOR UPDATE SKIP LOCKED)
UPDATE webhook_events e SET status = 'processing', attempts = attempts + 1, lease_owner = $1, lease_until = $2
FROM due WHERE e.seq = due.seq
RETURNING e.` + eventColumns + wholeColumns + queueColumns

const nextDue = `SELECT least(
	(SELECT coalesce(lease_until, due_at) FROM webhook_events
	WHERE ` + waitingEvent + ` AND coalesce(lease_until, due_at) IS NOT NULL ORDER BY coalesce(lease_until, due_at) LIMIT 1),
	(SELECT coalesce(lease_until, due_at) FROM webhook_events
	WHERE ` + waitingLine + ` AND coalesce(lease_until, due_at) IS NOT NULL ORDER BY coalesce(lease_until, due_at) LIMIT 1))`

// heldRows are the rows among the input that the owner holds, locked in the order
// of their ids: two statements that hold the same rows then wait for each other
// in one direction only.
const heldRows = `held AS MATERIALIZED (
	SELECT e.seq, e.order_key, e.holds AS was, i.* FROM input i JOIN webhook_events e ON e.id = i.id
	WHERE e.lease_owner = $1 AND e.attempts = i.attempt AND e.status = 'processing'
	ORDER BY e.id FOR UPDATE OF e)`

const renewLeases = `WITH input AS (SELECT * FROM unnest($2::text[], $3::integer[]) AS i (id, attempt)), ` + heldRows + `
UPDATE webhook_events e SET lease_until = $4 FROM held WHERE e.seq = held.seq RETURNING e.id, held.attempt`

// completeLeases ends leases, writes the deliveries of those that were held and
// calls the next of each line.
// A release that names no time leaves due_at where it was: in the past, so due at
// once.
const completeLeases = `WITH input AS (
	SELECT * FROM unnest($2::text[], $3::integer[], $4::boolean[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $21::text[])
		AS i (id, attempt, released, status, error, due_at, processed_at, parked, progress, outstanding)
), ` + heldRows + `, ` + movedOn + `, done AS (
	UPDATE webhook_events e SET
		status = CASE WHEN held.released THEN 'received' ELSE held.status END,
		attempts = CASE WHEN held.released THEN e.attempts - 1 ELSE e.attempts END,
		error = CASE WHEN held.released THEN e.error ELSE held.error END,
		due_at = CASE WHEN held.released AND held.parked = '' THEN coalesce(held.due_at, e.due_at) ELSE held.due_at END,
		parked = nullif(held.parked, ''), progress = coalesce(nullif(held.progress, ''), e.progress),
		processed_at = CASE WHEN held.released THEN e.processed_at ELSE held.processed_at END,
		lease_owner = NULL, lease_until = NULL, holds = moved.holds
	FROM held LEFT JOIN moved ON moved.seq = held.seq WHERE e.seq = held.seq RETURNING e.id, held.attempt, e.replays
), told AS (
	INSERT INTO deliveries (` + deliveryColumns + `, replay)
	SELECT d.id, d.event_id, d.destination, d.attempt, d.state, d.status, d.started_at, d.took, d.error, done.replays
	FROM unnest($11::text[], $12::text[], $13::text[], $14::integer[], $15::text[], $16::integer[], $17::bigint[], $18::bigint[], $19::text[])
		AS d (id, event_id, destination, attempt, state, status, started_at, took, error)
	JOIN done ON done.id = d.event_id
), ` + toldHolding + `, called AS (
	UPDATE webhook_events n SET due_at = $20 FROM (
		SELECT (SELECT f.seq FROM webhook_events f
			WHERE f.status IN ('received', 'processing') AND f.order_key IS NOT NULL AND f.holds IS NULL AND f.order_key = held.order_key AND f.seq > held.seq
			ORDER BY f.seq LIMIT 1) AS seq
		FROM held WHERE held.order_key IS NOT NULL) next
	WHERE n.seq = next.seq AND n.status = 'received' AND n.parked IS NULL AND n.due_at > $20
)
SELECT id, attempt FROM done`

// tenantsFrom lists tenants that have waiting events, from one on: a walk from
// tenant to tenant over the index.
const tenantsFrom = `WITH RECURSIVE lane (tenant_id, n) AS (
	(SELECT tenant_id, 1 FROM webhook_events WHERE ` + waitingEvent + ` AND tenant_id >= $1 ORDER BY tenant_id LIMIT 1)
	UNION ALL
	SELECT next.tenant_id, lane.n + 1 FROM lane, LATERAL (
		SELECT tenant_id FROM webhook_events WHERE ` + waitingEvent + ` AND tenant_id > lane.tenant_id ORDER BY tenant_id LIMIT 1) next
	WHERE lane.n < $2
)
SELECT tenant_id FROM lane`

// claimInTurn lends to each of some tenants a share of the limit.
const claimInTurn = `WITH due AS MATERIALIZED (
	SELECT first.seq FROM unnest($5::text[]) AS lane (tenant_id), LATERAL (
		SELECT seq FROM webhook_events e
		WHERE ` + waitingEvent + ` AND e.tenant_id = lane.tenant_id AND coalesce(lease_until, due_at) <= $3
		ORDER BY coalesce(lease_until, due_at), seq LIMIT greatest(1, $4 / cardinality($5::text[])) FOR UPDATE SKIP LOCKED) first
	LIMIT $4
)
UPDATE webhook_events e SET status = 'processing', attempts = attempts + 1, lease_owner = $1, lease_until = $2
FROM due WHERE e.seq = due.seq
RETURNING e.` + eventColumns + wholeColumns + queueColumns

// turns is whose turn it is.
type turns struct {
	mu     sync.Mutex
	behind bool   // the last claim left something that was due
	from   string // the tenant to go on with
}

// begin says whether tenants have their turns, and from which on.
func (t *turns) begin() (from string, behind bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.from, t.behind
}

// end notes how a claim ended: behind is whether it may have left something.
func (t *turns) end(behind bool, from string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.behind, t.from = behind, from
}

// after is the text that comes right after another, byte by byte.
func after(text string) string { return text + "\x01" }

// Claim lends due events; see lease.Queue.
func (q EventQueue) Claim(ctx context.Context, c lease.Claim) ([]lease.Held[integration.Event], error) {
	if c.Limit < 1 {
		return nil, nil
	}
	if c.Owner == "" || !c.Until.After(c.Now) {
		return nil, errors.New("postgres: a claim needs an owner and an end after its beginning")
	}
	inLine, err := q.claimOrdered(ctx, c, (c.Limit+1)/2)
	if err != nil {
		return nil, err
	}
	whole := c.Limit
	c.Limit -= len(inLine)
	held, from, err := q.claimTurns(ctx, c)
	if err != nil && len(held) == 0 { // what is on loan already is worked on
		return nil, err
	}
	if left := c.Limit - len(held); left > 0 {
		rest, err := q.claim(ctx, claimDue, c.Owner, micros(c.Until), micros(c.Now), left)
		if err != nil && len(held) == 0 {
			return nil, err
		}
		held = append(held, rest...)
	}
	q.s.turns.end(len(held) == c.Limit, from)
	held = append(held, inLine...)
	if left := whole - len(held); left > 0 && len(inLine) == (whole+1)/2 {
		rest, err := q.claimOrdered(ctx, c, left)
		if err != nil && len(held) == 0 {
			return nil, err
		}
		held = append(held, rest...)
	}
	slices.SortStableFunc(held, func(a, b lease.Held[integration.Event]) int {
		return a.Value.DueAt.Compare(b.Value.DueAt)
	})
	return held, nil
}

// roundsMost is how many times a claim asks further tenants because those before
// had less than their share.
const roundsMost = 4

// claimTurns lends to tenants by turns, if events are behind, and says which
// tenant is next.
func (q EventQueue) claimTurns(ctx context.Context, c lease.Claim) (held []lease.Held[integration.Event], from string, err error) {
	from, behind := q.s.turns.begin()
	for round := 0; behind && round < roundsMost && len(held) < c.Limit; round++ {
		left := c.Limit - len(held)
		tenants, err := q.tenants(ctx, from, left)
		if err != nil {
			return held, from, err
		}
		if len(tenants) > 0 {
			some, err := q.claim(ctx, claimInTurn, c.Owner, micros(c.Until), micros(c.Now), left, tenants)
			if err != nil {
				return held, from, err
			}
			held = append(held, some...)
		}
		if len(tenants) < left { // the round of all tenants is over
			from = ""
			break
		}
		from = after(tenants[len(tenants)-1])
	}
	return held, from, nil
}

// tenants lists up to most tenants with waiting events, from one on.
func (q EventQueue) tenants(ctx context.Context, from string, most int) (tenants []string, err error) {
	list, err := q.s.query(ctx, tenantsFrom, from, most)
	if err == nil {
		err = each(list, func(r rowScanner) error {
			var tenant string
			err := r.Scan(&tenant)
			tenants = append(tenants, tenant)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: tenants with waiting events: %w", err)
	}
	return tenants, nil
}

func (q EventQueue) claim(ctx context.Context, statement string, args ...any) (held []lease.Held[integration.Event], err error) {
	err = q.s.one(ctx, func() { held = held[:0] }, func(r rowScanner) error {
		_, e, err := scanWhole(r)
		held = append(held, lease.Held[integration.Event]{Key: lease.Key{ID: e.ID, Attempt: e.Attempts}, Value: e})
		return err
	}, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("postgres: due events: %w", err)
	}
	return held, nil
}

// NextDue is when the next event can be claimed; see lease.Queue.
func (q EventQueue) NextDue(ctx context.Context) (time.Time, error) {
	var us sql.NullInt64
	if err := q.s.row(ctx, nextDue).Scan(&us); err != nil {
		return time.Time{}, fmt.Errorf("postgres: next due event: %w", err)
	}
	return fromOptional(us), nil
}

// Renew extends leases; see lease.Queue.
func (q EventQueue) Renew(ctx context.Context, owner string, keys []lease.Key, until time.Time) (lost []lease.Key, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ids, attempts := keyColumnsOf(keys)
	kept := keySet{}
	if err := q.s.one(ctx, kept.reset, kept.scan, renewLeases, owner, ids, attempts, micros(until)); err != nil {
		return nil, fmt.Errorf("postgres: renewing leases: %w", err)
	}
	return kept.missing(keys), nil
}

// Complete ends leases and writes down outcomes and deliveries; see lease.Queue.
func (q EventQueue) Complete(ctx context.Context, owner string, done []lease.Done[integration.Outcome]) (lost []lease.Key, err error) {
	if len(done) == 0 {
		return nil, nil
	}
	args, keys, err := outcomeColumns(owner, done, q.s.options.Now())
	if err != nil {
		return nil, err
	}
	kept := keySet{}
	if err := q.s.complete(ctx, kept, done, args); err != nil {
		return nil, fmt.Errorf("postgres: writing outcomes: %w", err)
	}
	return kept.missing(keys), nil
}

// one runs a statement that is a transaction on its own. begin is called before
// each try.
func (s *Store) one(ctx context.Context, begin func(), scan func(rowScanner) error, statement string, args ...any) error {
	args = texts(args)
	changed := 0
	err := s.bounded(ctx, func(work context.Context, conn *pgxpool.Conn) error {
		if err := s.mayEnd(); err != nil {
			return fmt.Errorf("nothing was written: %w", err)
		}
		begin()
		changed = 0
		list, err := conn.Query(work, statement, args...)
		if err != nil {
			return uncertain(work, err)
		}
		err = each(&rows{Rows: list}, func(r rowScanner) error { changed++; return scan(r) })
		if err != nil {
			return uncertain(work, err)
		}
		return nil
	})
	if err == nil && changed > 0 {
		s.committed(changed)
	}
	return err
}

// keySet are the loans that a statement found held.
type keySet map[lease.Key]bool

func (k keySet) reset() { clear(k) }

func (k keySet) scan(r rowScanner) error {
	var key lease.Key
	err := r.Scan(&key.ID, &key.Attempt)
	k[key] = true
	return err
}

// missing are the keys that were not held; of a key that stands there twice, the
// second.
func (k keySet) missing(keys []lease.Key) (lost []lease.Key) {
	for _, key := range keys {
		if !k[key] {
			lost = append(lost, key)
		}
		delete(k, key)
	}
	return lost
}

func keyColumnsOf(keys []lease.Key) (ids []string, attempts []int32) {
	for _, k := range keys {
		ids, attempts = append(ids, k.ID), append(attempts, int32(k.Attempt))
	}
	return ids, attempts
}

// outcomeColumns are the arguments of completeLeases.
func outcomeColumns(owner string, done []lease.Done[integration.Outcome], now time.Time) (args []any, keys []lease.Key, err error) {
	var released []bool
	var status, problem, parked, progress, outstanding []string
	var due, processed []pgtype.Int8
	var d deliveryLists
	seen := map[lease.Key]bool{}
	for i := range done {
		o := &done[i].Outcome
		if err := checkOutcome(o); err != nil {
			return nil, nil, fmt.Errorf("postgres: event %s: %w", done[i].ID, err)
		}
		text, err := o.Progress.Text()
		if err != nil {
			return nil, nil, fmt.Errorf("postgres: event %s: %w", done[i].ID, err)
		}
		parked, progress = append(parked, o.Parked), append(progress, text)
		outstanding = append(outstanding, integration.BehindText(o.Progress.Outstanding()))
		keys = append(keys, done[i].Key)
		released, status, problem = append(released, o.Released), append(status, string(o.Status)), append(problem, o.Error)
		again, over := pgtype.Int8{}, pgtype.Int8{}
		switch {
		case o.Released:
			again = pgtype.Int8{Int64: micros(o.DueAt), Valid: !o.DueAt.IsZero()}
		case o.Status != integration.EventReceived:
			over = pgtype.Int8{Int64: micros(now), Valid: true}
		case o.DueAt.IsZero() && o.Parked == "":
			again = pgtype.Int8{Int64: micros(now), Valid: true}
		default:
			again = pgtype.Int8{Int64: micros(o.DueAt), Valid: !o.DueAt.IsZero()}
		}
		due, processed = append(due, again), append(processed, over)
		if !seen[done[i].Key] {
			d.add(done[i].ID, o.Deliveries)
		}
		seen[done[i].Key] = true
	}
	ids, attempts := keyColumnsOf(keys)
	args = append([]any{owner, ids, attempts, released, status, problem, due, processed, parked, progress}, d.args()...)
	return append(args, micros(now), outstanding), keys, nil
}

func checkOutcome(o *integration.Outcome) error {
	switch {
	case o.Parked != "" && !o.Released && o.Status.Final():
		return errors.New("an event that is over waits for nothing")
	case o.Released, o.Status == integration.EventReceived, o.Status.Final():
		return nil
	}
	return fmt.Errorf("an outcome can't leave the event %q", o.Status)
}

// deliveryLists are the columns of deliveries, each as one parameter.
type deliveryLists struct {
	id, event, destination, state, problem []string
	attempt, status                        []int32
	started, took                          []int64
}

func (l *deliveryLists) add(event string, list []integration.Delivery) {
	for i := range list {
		d := &list[i]
		l.id, l.event, l.destination = append(l.id, d.ID), append(l.event, event), append(l.destination, d.Destination)
		l.state, l.problem = append(l.state, string(d.State)), append(l.problem, d.Error)
		l.attempt, l.status = append(l.attempt, int32(d.Attempt)), append(l.status, int32(d.Status))
		l.started, l.took = append(l.started, micros(d.StartedAt)), append(l.took, d.Took.Microseconds())
	}
}

func (l *deliveryLists) args() []any {
	return []any{l.id, l.event, l.destination, l.attempt, l.state, l.status, l.started, l.took, l.problem}
}
