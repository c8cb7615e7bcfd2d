package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Events of one order key form a line: only the first that is not over is lent,
// and while one of a line is on loan no other is. Those behind it are put off
// when a claim comes across them, and the end of a loan calls the next.

// lineMost is how many events a claim looks at in one go, and lineRounds how
// often it looks.
const (
	lineMost   = 64
	lineRounds = 8
)

// An event that has to wait for another is put off until that one may move on,
// within these bounds: it is called when its turn comes, and looks by itself
// should the call be missed, as it is when two instances cross.
const (
	putOffLeast = time.Second
	putOffMost  = 5 * time.Minute
)

// keyMost bounds an order key; what is longer is told by its digest.
const keyMost = 512

// orderKey is what an event must not overtake within; nil without an order.
func orderKey(e *integration.Event) *string {
	if !e.Ordered || e.Subject == "" {
		return nil
	}
	key := e.Service + "/" + e.Subject
	if len(key) > keyMost {
		sum := sha256.Sum256([]byte(e.Subject))
		key = e.Service + "/sha256:" + hex.EncodeToString(sum[:])
	}
	key = storable(key)
	return &key
}

// claimInLine lends those of the first that are due whose turn it is, puts the
// others off, and answers with what it lent. That two instances lend two of one
// line at the same time an index refuses.
const claimInLine = `WITH due AS MATERIALIZED (
	SELECT seq, order_key, status FROM webhook_events
	WHERE ` + waitingLine + ` AND coalesce(lease_until, due_at) <= $3
	ORDER BY coalesce(lease_until, due_at), seq LIMIT $7 FOR UPDATE SKIP LOCKED
), judged AS MATERIALIZED (
	SELECT due.seq, due.status = 'processing' OR (first.seq = due.seq AND lent.seq IS NULL) AS turn,
		CASE WHEN first.seq = due.seq THEN lent.at ELSE first.at END AS at, first.parked
	FROM due
	LEFT JOIN LATERAL (SELECT f.seq, coalesce(f.lease_until, f.due_at) AS at, f.parked FROM webhook_events f
		WHERE f.status IN ('received', 'processing') AND f.order_key IS NOT NULL AND f.order_key = due.order_key
		ORDER BY f.seq LIMIT 1) first ON true
	LEFT JOIN LATERAL (SELECT l.seq, l.lease_until AS at FROM webhook_events l
		WHERE l.status = 'processing' AND l.order_key IS NOT NULL AND l.order_key = due.order_key AND l.seq <> due.seq
		LIMIT 1) lent ON true
), chosen AS (
	SELECT seq FROM judged WHERE turn ORDER BY seq LIMIT $4
), put_off AS (
	UPDATE webhook_events e SET parked = judged.parked,
		due_at = CASE WHEN judged.parked IS NULL THEN least(greatest(judged.at, $3 + $5), $3 + $6) END
	FROM judged WHERE e.seq = judged.seq AND NOT judged.turn
)
UPDATE webhook_events e SET status = 'processing', attempts = attempts + 1, lease_owner = $1, lease_until = $2
FROM chosen WHERE e.seq = chosen.seq
RETURNING e.` + eventColumns + wholeColumns + queueColumns

// someInLine says whether events with an order wait, and whether one is due.
const someInLine = `SELECT EXISTS (SELECT 1 FROM webhook_events WHERE ` + waitingLine + `),
	EXISTS (SELECT 1 FROM webhook_events WHERE ` + waitingLine + ` AND coalesce(lease_until, due_at) <= $1)`

// lineHeardEvery is how long it is taken for granted that no event has an order,
// after none was found.
const lineHeardEvery = 250 * time.Millisecond

// lines is whether events with an order wait, as far as this process knows.
type lines struct {
	mu    sync.Mutex
	until time.Time // none do until then
}

// told notes that there is one, and none that there was none.
func (l *lines) told()              { l.set(time.Time{}) }
func (l *lines) none(now time.Time) { l.set(now.Add(lineHeardEvery)) }

func (l *lines) set(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
}

// some reports whether it is worth asking.
func (l *lines) some(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !now.Before(l.until) || l.until.Sub(now) > lineHeardEvery // a clock that was set back
}

// claimOrdered lends up to most events of lines.
func (q EventQueue) claimOrdered(ctx context.Context, c lease.Claim, most int) (held []lease.Held[integration.Event], err error) {
	if !q.s.lines.some(time.Now()) {
		return nil, nil
	}
	for round := 0; round < lineRounds && len(held) < most; round++ {
		some, err := q.claim(ctx, claimInLine, c.Owner, micros(c.Until), micros(c.Now), most-len(held),
			putOffLeast.Microseconds(), putOffMost.Microseconds(), lineMost)
		var p *pgconn.PgError
		switch {
		case errors.As(err, &p) && p.Code == codeUnique: // another instance was quicker; nothing was lent
			continue
		case err != nil && len(held) == 0:
			return nil, err
		case err != nil:
			return held, nil //nolint:nilerr // what is on loan already is worked on
		}
		held = append(held, some...)
		if len(some) > 0 {
			continue
		}
		var waits, due bool
		if err := q.s.row(ctx, someInLine, micros(c.Now)).Scan(&waits, &due); err != nil || !due {
			if err == nil && !waits && len(held) == 0 {
				q.s.lines.none(time.Now())
			}
			return held, err
		}
	}
	return held, nil
}
