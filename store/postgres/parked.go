package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// queueColumns follow wholeColumns where an event is read whole from a table
// called e: where it stands, where it has to wait for those before it, and
// whether a later one of its subject was processed before it.
const queueColumns = `, e.progress, e.parked, e.order_key IS NOT NULL,
	CASE WHEN e.order_key IS NOT NULL THEN (SELECT array_to_string(b.holds, E'\n') FROM webhook_events AS b
		WHERE b.status IN ('received', 'processing') AND b.order_key IS NOT NULL AND b.holds IS NOT NULL AND b.order_key = e.order_key AND b.seq < e.seq
		ORDER BY b.seq DESC LIMIT 1) END, EXISTS (SELECT 1 FROM webhook_events AS l
	WHERE l.status = 'processed' AND l.subject <> '' AND l.occurred_at IS NOT NULL AND l.provider = e.provider AND l.tenant_id = e.tenant_id
	AND l.subject = e.subject AND l.occurred_at > e.occurred_at AND (e.processed_at IS NULL OR l.processed_at < e.processed_at))`

// scanWhole reads eventColumns, wholeColumns and queueColumns.
func scanWhole(r rowScanner) (seq int64, e integration.Event, err error) {
	var progress, parked, behind sql.NullString
	var ordered, stale bool
	seq, e, err = scanEvent(r, true, &progress, &parked, &ordered, &behind, &stale)
	if err != nil {
		return seq, e, err
	}
	e.Parked, e.Ordered, e.Stale = parked.String, ordered, stale
	e.Behind = integration.ParseBehind(behind.String)
	e.Progress, err = integration.ParseProgress(progress.String)
	return seq, e, err
}

// PauseDestination pauses a destination, so that what is to go there is parked.
// Pausing one that is paused leaves who did it first.
func (s *Store) PauseDestination(ctx context.Context, p integration.PausedDestination, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		_, err := t.exec("INSERT INTO paused_destinations (service, name, at, actor) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", p.Service, p.Name, micros(p.At), p.Actor)
		if err != nil {
			return fmt.Errorf("postgres: pausing %s/%s: %w", p.Service, p.Name, err)
		}
		return insertAudit(t, audit)
	})
}

// ResumeDestination ends a pause. What is parked stays so until Unpark.
func (s *Store) ResumeDestination(ctx context.Context, service, name string, audit integration.AuditEntry) error {
	return s.do(ctx, func(t *transaction) error {
		if _, err := t.exec("DELETE FROM paused_destinations WHERE service = $1 AND name = $2", service, name); err != nil {
			return fmt.Errorf("postgres: resuming %s/%s: %w", service, name, err)
		}
		return insertAudit(t, audit)
	})
}

// PausedDestinations lists the destinations that are paused.
func (s *Store) PausedDestinations(ctx context.Context) ([]integration.PausedDestination, error) {
	rows, err := s.query(ctx, "SELECT service, name, at, actor FROM paused_destinations ORDER BY service, name")
	if err != nil {
		return nil, fmt.Errorf("postgres: paused destinations: %w", err)
	}
	var list []integration.PausedDestination
	err = each(rows, func(r rowScanner) error {
		var p integration.PausedDestination
		var at int64
		err := r.Scan(&p.Service, &p.Name, &at, &p.Actor)
		p.At = fromMicros(at)
		list = append(list, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: paused destinations: %w", err)
	}
	return list, nil
}

// parkedAt walks from destination to destination over the index.
const parkedAt = `WITH RECURSIVE at (name) AS (
	(SELECT parked FROM webhook_events WHERE parked IS NOT NULL ORDER BY parked LIMIT 1)
	UNION ALL
	SELECT (SELECT parked FROM webhook_events WHERE parked IS NOT NULL AND parked > at.name ORDER BY parked LIMIT 1)
	FROM at WHERE at.name IS NOT NULL
)
SELECT name, CASE WHEN $1::boolean THEN (SELECT count(*) FROM webhook_events WHERE parked IS NOT NULL AND parked = at.name) ELSE 0 END
FROM at WHERE name IS NOT NULL`

// ParkedEvents lists what events are parked for; with counted,
// each with their number, which takes the longer the more there are.
func (s *Store) ParkedEvents(ctx context.Context, counted bool) ([]integration.Parked, error) {
	rows, err := s.query(ctx, parkedAt, counted)
	if err != nil {
		return nil, fmt.Errorf("postgres: parked events: %w", err)
	}
	var list []integration.Parked
	err = each(rows, func(r rowScanner) error {
		var p integration.Parked
		err := r.Scan(&p.For, &p.Events)
		list = append(list, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: parked events: %w", err)
	}
	return list, nil
}

const unpark = `WITH first AS MATERIALIZED (
	SELECT seq FROM webhook_events WHERE parked IS NOT NULL AND parked = $1 ORDER BY seq LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE webhook_events e SET parked = NULL, due_at = CASE WHEN status = 'received' THEN $2::bigint ELSE due_at END FROM first WHERE e.seq = first.seq`

// Unpark makes up to most of the events due at now that are parked
// for what ParkedEvents named, the oldest first, and says how many it were.
func (s *Store) Unpark(ctx context.Context, parked string, now time.Time, most int) (n int, err error) {
	err = s.do(ctx, func(t *transaction) error {
		changed, err := t.exec(unpark, parked, micros(now), most)
		n = int(changed)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: events parked for %s: %w", parked, err)
	}
	s.lines.told() // perhaps
	return n, nil
}
