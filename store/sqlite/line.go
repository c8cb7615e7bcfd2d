package sqlite

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"time"

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
// often it looks while those it finds have to wait.
const (
	lineMost   = 64
	lineRounds = 8
)

// An event that has to wait for another is put off until that one may move on,
// within these bounds: it is called when its turn comes, and looks by itself
// should the call be missed.
const (
	putOffLeast = time.Second
	putOffMost  = 5 * time.Minute
)

// keyMost bounds an order key; what is longer is told by its digest.
const keyMost = 512

// orderKey is what an event must not overtake within; nil without an order.
func orderKey(e *integration.Event) any {
	if !e.Ordered || e.Subject == "" {
		return nil
	}
	key := e.Service + "/" + e.Subject
	if len(key) > keyMost {
		sum := sha256.Sum256([]byte(e.Subject))
		key = e.Service + "/sha256:" + hex.EncodeToString(sum[:])
	}
	return key
}

// live is every event that is in a line, as the indexes say it.
const live = "status IN ('received', 'processing') AND order_key IS NOT NULL"

const dueInLine = `SELECT seq, status, order_key, holds, parked FROM webhook_events INDEXED BY webhook_events_due_ordered
WHERE ` + ordered + ` AND coalesce(lease_until, due_at) <= ?1
ORDER BY coalesce(lease_until, due_at), seq LIMIT ?2`

const firstInLine = `SELECT seq, coalesce(lease_until, due_at), parked, holds FROM webhook_events INDEXED BY webhook_events_line
WHERE ` + live + ` AND holds IS NULL AND order_key = ?1 ORDER BY seq LIMIT 1`

// holdsBefore is the nearest before a row that holds at some destinations.
const holdsBefore = `SELECT seq, coalesce(lease_until, due_at), parked, holds FROM webhook_events INDEXED BY webhook_events_holding
WHERE ` + live + ` AND holds IS NOT NULL AND order_key = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT 1`

const lentInLine = `SELECT seq, coalesce(lease_until, due_at), parked, holds FROM webhook_events INDEXED BY webhook_events_one_of_a_line
WHERE status = 'processing' AND order_key IS NOT NULL AND order_key = ?1 LIMIT 1`

const lendOne = `UPDATE webhook_events
SET status = 'processing', attempts = attempts + 1, lease_owner = ?1, lease_until = ?2
WHERE seq = ?3 RETURNING seq, attempts`

const putOff = "UPDATE webhook_events SET due_at = ?2, parked = ?3 WHERE seq = ?1"

// someLentInLine is quick where no event has an order.
const someLentInLine = `SELECT 1 FROM webhook_events INDEXED BY webhook_events_one_of_a_line
WHERE status = 'processing' AND order_key IS NOT NULL LIMIT 1`

// nextInLine makes the first of a line due, if it stands behind the event whose
// loan ended.
const nextInLine = `UPDATE webhook_events SET due_at = ?3
WHERE seq = (
	SELECT f.seq FROM webhook_events AS f INDEXED BY webhook_events_line
	WHERE f.status IN ('received', 'processing') AND f.order_key IS NOT NULL AND f.holds IS NULL AND f.order_key = ?1
	ORDER BY f.seq LIMIT 1)
AND seq > ?2 AND status = 'received' AND parked IS NULL AND due_at > ?3`

// waiting is an event that is due and has an order.
type waiting struct {
	seq    int64
	status string
	key    string
	holds  sql.NullString
	parked sql.NullString
}

// ahead is the event that another has to wait for.
type ahead struct {
	seq    int64
	at     sql.NullInt64
	parked sql.NullString
	holds  sql.NullString
}

// one reads one row ahead; its seq is 0 if there is none.
func one(t *transaction, statement string, args ...any) (a ahead, err error) {
	err = t.query(func(r rowScanner) error { return r.Scan(&a.seq, &a.at, &a.parked, &a.holds) }, statement, args...)
	return a, err
}

// claimOrdered lends up to most events of lines.
func claimOrdered(t *transaction, c lease.Claim, most int, loans *[]loan) error {
	full := len(*loans) + most
	for round := 0; round < lineRounds && len(*loans) < full; round++ {
		var due []waiting
		err := t.query(func(r rowScanner) error {
			var w waiting
			err := r.Scan(&w.seq, &w.status, &w.key, &w.holds, &w.parked)
			due = append(due, w)
			return err
		}, dueInLine, micros(c.Now), lineMost)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, w := range due {
			if len(*loans) == full {
				return nil
			}
			if err := w.claim(t, c, loans); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim lends the event if it is its turn, and puts it off otherwise.
func (w waiting) claim(t *transaction, c lease.Claim, loans *[]loan) error {
	if w.status == string(integration.EventReceived) {
		before, err := w.waitsFor(t)
		if err != nil {
			return err
		}
		if before.seq != 0 {
			return w.putOff(t, before, c.Now)
		}
	}
	return lend(t, loans, lendOne, c.Owner, micros(c.Until), w.seq)
}

// putOff puts the event off until the one before it may move on. Behind one that
// holds it altogether and is parked, an event that was not worked on yet is
// parked too.
func (w waiting) putOff(t *transaction, before ahead, now time.Time) error {
	t.changed = true
	parked := w.parked.String
	if !w.holds.Valid {
		parked = ""
		if before.parked.Valid && !before.at.Valid {
			_, err := t.exec(putOff, w.seq, nil, before.parked.String)
			return err
		}
	}
	until := micros(now.Add(putOffMost))
	if before.at.Valid {
		until = min(until, before.at.Int64)
	}
	_, err := t.exec(putOff, w.seq, max(until, micros(now.Add(putOffLeast))), optionalText(parked))
	return err
}

// waitsFor finds what the event has to wait for altogether; its seq is 0 if
// nothing is. One that waits only for the end of a loan looks again soon: it is
// not always the one that is called then.
func (w waiting) waitsFor(t *transaction) (ahead, error) {
	first, err := one(t, firstInLine, w.key)
	if err != nil || first.seq != 0 && first.seq < w.seq {
		return first, err
	}
	if w.holds.Valid {
		before, err := one(t, holdsBefore, w.key, w.seq)
		if err != nil || before.seq != 0 && within(w.holds.String, before.holds.String) {
			return before, err
		}
	}
	lent, err := one(t, lentInLine, w.key)
	if err != nil || lent.seq == w.seq {
		return ahead{}, err
	}
	if w.holds.Valid {
		lent.at.Int64 = 0
	}
	return lent, nil
}

// anyLentInLine reports whether any event on loan has an order.
func anyLentInLine(t *transaction) (found bool, err error) {
	err = t.query(func(r rowScanner) error {
		found = true
		var one int
		return r.Scan(&one)
	}, someLentInLine)
	return found, err
}

// keepProgress writes down what only some outcomes have: the state of each
// destination.
func keepProgress(t *transaction, id string, o *integration.Outcome) error {
	text, err := o.Progress.Text()
	if err != nil || text == "" {
		return err
	}
	_, err = t.exec("UPDATE webhook_events SET progress = ?2 WHERE id = ?1", id, text)
	return err
}
