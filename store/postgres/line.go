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

// Events of one order key form a line: while one of a line is on loan no other
// is. An event that was not worked on yet, or that nothing is known of the
// destinations of, holds those behind it altogether. One that some of its
// destinations have holds them only at the others: it stands beside the line, and
// its column holds says where it, or one before it, is not through. So the
// nearest before an event says all there is to say, however many there are.
// Those that have to wait are put off when a claim comes across them, and the end
// of a loan calls the next.

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

// claimInLine lends those of the first that are due whose turn it is, one of a
// line, puts the others off, and answers with what it lent. Behind an event that
// holds it altogether and is parked, an event that was not worked on yet is parked
// too. One that waits only for the end of a loan looks again soon: it is
// not always the one that is called then.
// That two instances lend two of one line at the same time an index refuses.
const claimInLine = `WITH due AS MATERIALIZED (
	SELECT seq, order_key, status, holds, parked, coalesce(lease_until, due_at) AS since FROM webhook_events
	WHERE ` + waitingLine + ` AND coalesce(lease_until, due_at) <= $3
	ORDER BY coalesce(lease_until, due_at), seq LIMIT $7 FOR UPDATE SKIP LOCKED
), judged AS MATERIALIZED (
	SELECT due.seq, due.order_key, due.since,
		due.status = 'processing' OR (first.seq IS NULL AND lent.seq IS NULL AND NOT coalesce(due.holds <@ before.holds, false)) AS turn,
		CASE WHEN first.seq IS NOT NULL THEN first.at WHEN due.holds <@ before.holds THEN before.at WHEN due.holds IS NULL THEN lent.at ELSE 0 END AS at,
		CASE WHEN due.holds IS NOT NULL THEN due.parked WHEN first.at IS NULL THEN first.parked END AS parked,
		due.holds IS NULL AND first.at IS NULL AND first.parked IS NOT NULL AS along
	FROM due
	LEFT JOIN LATERAL (SELECT f.seq, coalesce(f.lease_until, f.due_at) AS at, f.parked FROM webhook_events f
		WHERE f.status IN ('received', 'processing') AND f.order_key IS NOT NULL AND f.holds IS NULL AND f.order_key = due.order_key AND f.seq < due.seq
		ORDER BY f.seq LIMIT 1) first ON true
	LEFT JOIN LATERAL (SELECT b.seq, coalesce(b.lease_until, b.due_at) AS at, b.parked, b.holds FROM webhook_events b
		WHERE b.status IN ('received', 'processing') AND b.order_key IS NOT NULL AND b.holds IS NOT NULL AND b.order_key = due.order_key AND b.seq < due.seq
		ORDER BY b.seq DESC LIMIT 1) before ON true
	LEFT JOIN LATERAL (SELECT l.seq, l.lease_until AS at FROM webhook_events l
		WHERE l.status = 'processing' AND l.order_key IS NOT NULL AND l.order_key = due.order_key AND l.seq <> due.seq
		LIMIT 1) lent ON true
), chosen AS (
	SELECT seq FROM (SELECT DISTINCT ON (order_key) seq FROM judged WHERE turn ORDER BY order_key, since, seq) one ORDER BY seq LIMIT $4
), put_off AS (
	UPDATE webhook_events e SET parked = judged.parked, due_at = CASE WHEN NOT judged.along THEN least(greatest(judged.at, $3 + $5), $3 + $6) END
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
