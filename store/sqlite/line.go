package sqlite

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Events of one order key form a line: only the first that is not over is lent,
// and while one of a line is on loan no other is. Those behind it are put off
// when a claim comes across them, and the end of a loan calls the next.

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

const dueInLine = `SELECT seq, status, order_key FROM webhook_events INDEXED BY webhook_events_due_ordered
WHERE ` + ordered + ` AND coalesce(lease_until, due_at) <= ?1
ORDER BY coalesce(lease_until, due_at), seq LIMIT ?2`

const firstInLine = `SELECT seq, coalesce(lease_until, due_at), parked FROM webhook_events INDEXED BY webhook_events_line
WHERE status IN ('received', 'processing') AND order_key IS NOT NULL AND order_key = ?1 ORDER BY seq LIMIT 1`

const lentInLine = `SELECT seq, coalesce(lease_until, due_at), parked FROM webhook_events INDEXED BY webhook_events_one_of_a_line
WHERE status = 'processing' AND order_key IS NOT NULL AND order_key = ?1 LIMIT 1`

const lendOne = `UPDATE webhook_events
SET status = 'processing', attempts = attempts + 1, lease_owner = ?1, lease_until = ?2
WHERE seq = ?3 RETURNING seq, attempts`

const putOff = "UPDATE webhook_events SET due_at = ?2, parked = ?3 WHERE seq = ?1"

const someInLine = `SELECT 1 FROM webhook_events INDEXED BY webhook_events_line
WHERE status IN ('received', 'processing') AND order_key IS NOT NULL LIMIT 1`

// nextInLine makes the first of a line due, if it stands behind the event whose
// loan ended.
const nextInLine = `UPDATE webhook_events SET due_at = ?2
WHERE seq = (
	SELECT f.seq FROM webhook_events AS f INDEXED BY webhook_events_line
	WHERE f.status IN ('received', 'processing') AND f.order_key IS NOT NULL AND f.order_key = (SELECT order_key FROM webhook_events WHERE id = ?1)
	ORDER BY f.seq LIMIT 1)
AND seq > (SELECT seq FROM webhook_events WHERE id = ?1) AND status = 'received' AND parked IS NULL AND due_at > ?2`

// waiting is an event that is due and has an order.
type waiting struct {
	seq    int64
	status string
	key    string
}

// ahead is the event that another has to wait for.
type ahead struct {
	seq    int64
	at     sql.NullInt64
	parked sql.NullString
}

// claimOrdered lends up to most events of lines.
func claimOrdered(t *transaction, c lease.Claim, most int, loans *[]loan) error {
	full := len(*loans) + most
	for round := 0; round < lineRounds && len(*loans) < full; round++ {
		var due []waiting
		err := t.query(func(r rowScanner) error {
			var w waiting
			err := r.Scan(&w.seq, &w.status, &w.key)
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
			t.changed = true
			if before.parked.Valid {
				_, err = t.exec(putOff, w.seq, nil, before.parked.String)
				return err
			}
			until := micros(c.Now.Add(putOffMost))
			if before.at.Valid {
				until = min(until, before.at.Int64)
			}
			_, err = t.exec(putOff, w.seq, max(until, micros(c.Now.Add(putOffLeast))), nil)
			return err
		}
	}
	return lend(t, loans, lendOne, c.Owner, micros(c.Until), w.seq)
}

// waitsFor finds what stands before the event; its seq is 0 if nothing does.
func (w waiting) waitsFor(t *transaction) (ahead, error) {
	for _, statement := range []string{firstInLine, lentInLine} {
		var before ahead
		err := t.query(func(r rowScanner) error { return r.Scan(&before.seq, &before.at, &before.parked) }, statement, w.key)
		if err != nil {
			return ahead{}, err
		}
		if before.seq != 0 && before.seq != w.seq {
			return before, nil
		}
	}
	return ahead{}, nil
}

// anyInLine reports whether any event has an order and is not over.
func anyInLine(t *transaction) (found bool, err error) {
	err = t.query(func(r rowScanner) error {
		found = true
		var one int
		return r.Scan(&one)
	}, someInLine)
	return found, err
}

// callNext makes the event due that comes after one whose loan ended.
func callNext(t *transaction, id string, now time.Time) error {
	_, err := t.exec(nextInLine, id, micros(now))
	return err
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
