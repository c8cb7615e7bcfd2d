package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/pack"
)

// eventColumns are what a list shows of an event; wholeColumns
// follow where one is read whole.
const eventColumns = "seq, id, tenant_id, provider, source, event_type, external_id, subject, status, attempts, occurred_at, received_at, processed_at, due_at, error"

// wholeColumns follow eventColumns where an event is read whole. A column that
// stands behind the payload is slow to read where the payload is not read too.
const wholeColumns = ", headers, payload, kept, packed, retried_after, replays, replayed_at, job_id"

// scanEvent reads eventColumns, wholeColumns if whole, and what follows them.
func scanEvent(r rowScanner, whole bool, more ...any) (seq int64, e integration.Event, err error) {
	var occurred, processed, due, replayed sql.NullInt64
	var job sql.NullString
	var received int64
	var headers string
	var packed bool
	into := []any{
		&seq, &e.ID, &e.Tenant, &e.Service, &e.Source, &e.Type, &e.ExternalID, &e.Subject, (*string)(&e.Status), &e.Attempts,
		&occurred, &received, &processed, &due, &e.Error,
	}
	if whole {
		into = append(into, &headers, &e.Payload, (*int)(&e.Kept), &packed, &e.RetriedAfter, &e.Replays, &replayed, &job)
	}
	if err := r.Scan(append(into, more...)...); err != nil {
		return 0, e, err
	}
	e.OccurredAt, e.ReceivedAt = fromOptional(occurred), fromMicros(received)
	e.ProcessedAt, e.DueAt = fromOptional(processed), fromOptional(due)
	e.ReplayedAt, e.Job = fromOptional(replayed), job.String
	if whole {
		if e.Header, err = pack.ParseHeader(headers); err == nil {
			e.Payload, err = pack.Unpack(e.Payload, packed)
		}
	}
	return seq, e, err
}

// deliveryColumns are the columns of a delivery, less the count of replays that
// the store adds.
const deliveryColumns = "id, event_id, destination, attempt, state, status, started_at, took, error"

func scanDelivery(r rowScanner) (d integration.Delivery, err error) {
	var started, took int64
	err = r.Scan(&d.ID, &d.EventID, &d.Destination, &d.Attempt, (*string)(&d.State), &d.Status, &started, &took, &d.Error, &d.Replay)
	d.StartedAt, d.Took = fromMicros(started), time.Duration(took)*time.Microsecond
	return d, err
}

// Events lists events, the youngest first, without header and payload. next is
// the cursor of the following page, empty on the last. A cursor that is not
// ours is integration.ErrCursor.
func (s *Store) Events(ctx context.Context, f integration.Filter) (events []integration.Event, next string, err error) {
	return list(ctx, s, eventPage(f), func(r rowScanner) (int64, integration.Event, error) { return scanEvent(r, false) })
}

func eventPage(f integration.Filter) page {
	p := page{prefix: "e", table: "webhook_events", columns: eventColumns, filter: f}
	p.where.equal("provider", f.Service)
	p.where.equal("source", f.Source)
	p.where.equal("tenant_id", f.Tenant)
	p.where.equal("event_type", f.Type)
	p.where.equal("status", f.Status)
	p.where.contains(f.Query, "id", "external_id", "error")
	p.where.between("received_at", f.Since, f.Until)
	return p
}

// Event reads one event whole, with its deliveries in the order they were
// made; integration.ErrNotFound if there is none.
func (s *Store) Event(ctx context.Context, id string) (integration.Event, []integration.Delivery, error) {
	_, e, err := scanWhole(s.row(ctx, "SELECT "+eventColumns+wholeColumns+queueColumns+" FROM webhook_events AS e WHERE id = $1", id))
	if err != nil {
		return integration.Event{}, nil, oneError("event", id, err)
	}
	rows, err := s.query(ctx, "SELECT "+deliveryColumns+", replay FROM deliveries WHERE event_id = $1 ORDER BY started_at, id", id)
	if err != nil {
		return integration.Event{}, nil, fmt.Errorf("postgres: deliveries of %s: %w", id, err)
	}
	var deliveries []integration.Delivery
	err = each(rows, func(r rowScanner) error {
		d, err := scanDelivery(r)
		deliveries = append(deliveries, d)
		return err
	})
	if err != nil {
		return integration.Event{}, nil, fmt.Errorf("postgres: deliveries of %s: %w", id, err)
	}
	return e, deliveries, nil
}

// RetryEvent makes an event due at now, whatever came of it before; its
// attempts go on counting, and RetriedAfter says where they stood. One that had
// a final status is replayed: Replays counts it. The audit entry is written with it or not at all.
// It is integration.ErrNotFound if there is no such event and
// integration.ErrState while one is being processed.
func (s *Store) RetryEvent(ctx context.Context, id string, now time.Time, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		if err := leaveJobs(t, "id = $1", id); err != nil {
			return fmt.Errorf("postgres: retry of event %s: %w", id, err)
		}
		n, err := t.exec(replayEvents+"id = $1 AND kept < 2", id, micros(now), nil)
		if err != nil {
			return fmt.Errorf("postgres: retry of event %s: %w", id, err)
		}
		if n == 0 {
			return t.whyNotAgain(id)
		}
		return insertAudit(t, audit)
	})
}

const countEvents = `SELECT status, count(*) FROM webhook_events
WHERE provider = $1 AND $2 = '' GROUP BY status`

// countTenantEvents uses the index (tenant_id, provider, status) of R5.16.
const countTenantEvents = `SELECT status, count(*) FROM webhook_events
WHERE tenant_id = $2 AND provider = $1 GROUP BY status`

// oldestDue finds what waits the longest in each half of the queue.
const oldestDue = `SELECT least(
	(SELECT due_at FROM webhook_events
	WHERE ` + waitingEvent + ` AND coalesce(lease_until, due_at) IS NOT NULL AND status = 'received' AND provider = $1 AND ($2 = '' OR tenant_id = $2)
	ORDER BY coalesce(lease_until, due_at) LIMIT 1),
	(SELECT due_at FROM webhook_events
	WHERE ` + waitingLine + ` AND coalesce(lease_until, due_at) IS NOT NULL AND status = 'received' AND provider = $1 AND ($2 = '' OR tenant_id = $2)
	ORDER BY coalesce(lease_until, due_at) LIMIT 1))`

// EventCounts counts a service's events by status, one tenant's only when
// tenant is not empty. OldestDue is the due time of the received event that
// waits the longest, those due in the future included.
func (s *Store) EventCounts(ctx context.Context, service, tenant string) (integration.Counts, error) {
	query := countEvents
	if tenant != "" {
		query = countTenantEvents
	}
	counts, err := s.counts(ctx, query, service, tenant)
	if err != nil {
		return counts, err
	}
	var due sql.NullInt64
	if err := s.row(ctx, oldestDue, service, tenant).Scan(&due); err != nil {
		return counts, fmt.Errorf("postgres: oldest due event: %w", err)
	}
	counts.OldestDue = fromOptional(due)
	return counts, nil
}

func (s *Store) counts(ctx context.Context, query, service, tenant string) (integration.Counts, error) {
	counts := integration.Counts{ByState: map[string]int{}}
	rows, err := s.query(ctx, query, service, tenant)
	if err != nil {
		return counts, fmt.Errorf("postgres: counts of %s: %w", service, err)
	}
	err = each(rows, func(r rowScanner) error {
		var state string
		var n int
		err := r.Scan(&state, &n)
		counts.ByState[state] = n
		return err
	})
	if err != nil {
		return counts, fmt.Errorf("postgres: counts of %s: %w", service, err)
	}
	return counts, nil
}

// whyNot tells a record that is not there from one in the wrong state.
func (t *transaction) whyNot(table, column, what, id string) error {
	state := ""
	err := t.query(func(r rowScanner) error { return r.Scan(&state) }, "SELECT "+column+" FROM "+table+" WHERE id = $1", id)
	switch {
	case err != nil:
		return fmt.Errorf("postgres: %s %s: %w", what, id, err)
	case state == "":
		return fmt.Errorf("%s %s: %w", what, id, integration.ErrNotFound)
	}
	return fmt.Errorf("%s %s is %s: %w", what, id, state, integration.ErrState)
}

func oneError(what, id string, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s %s: %w", what, id, integration.ErrNotFound)
	}
	return fmt.Errorf("postgres: %s %s: %w", what, id, err)
}
