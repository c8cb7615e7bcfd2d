package sqlite

import (
	"database/sql"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// place is where an event on loan stands in its line.
type place struct {
	seq   int64
	key   sql.NullString // not valid: it has no order
	holds sql.NullString // before the outcome of the loan
}

func placeOf(t *transaction, id string) (p place, err error) {
	err = t.query(func(r rowScanner) error { return r.Scan(&p.seq, &p.key, &p.holds) },
		"SELECT seq, order_key, holds FROM webhook_events WHERE id = ?1", id)
	return p, err
}

// holdsAfter are the next rows that hold at some destinations.
const holdsAfter = `SELECT seq, coalesce(lease_until, due_at), parked, holds FROM webhook_events INDEXED BY webhook_events_holding
WHERE ` + live + ` AND holds IS NOT NULL AND order_key = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3`

const callHolding = `UPDATE webhook_events SET due_at = ?2
WHERE seq = ?1 AND status = 'received' AND (due_at IS NULL OR due_at > ?2)`

const setHolds = "UPDATE webhook_events SET holds = ?2 WHERE seq = ?1"

// moveOn writes down where the event holds those behind it after its loan, and
// calls the next.
func (p place) moveOn(t *transaction, o *integration.Outcome, now time.Time) error {
	before, err := one(t, holdsBefore, p.key.String, p.seq)
	if err != nil {
		return err
	}
	over := !o.Released && o.Status.Final()
	holds := p.holds
	if own := o.Progress.Outstanding(); !over && len(own) > 0 {
		holds = sql.NullString{String: joined(integration.BehindText(own), before.holds.String), Valid: true}
		if holds != p.holds {
			if _, err := t.exec(setHolds, p.seq, holds.String); err != nil {
				return err
			}
		}
	}
	if over {
		holds = before.holds
	}
	grew := !over && holds.Valid && (!p.holds.Valid || !within(holds.String, p.holds.String))
	if over || holds.Valid {
		if err := p.tellHolding(t, holds.String, grew, now); err != nil {
			return err
		}
	}
	_, err = t.exec(nextInLine, p.key.String, p.seq, micros(now))
	return err
}

// tellHolding makes the next that holds at some destinations due if it may go on
// at one or holds where nothing before it does any more. After an event that was
// asked for again those behind it hold also where that one does.
func (p place) tellHolding(t *transaction, holds string, grew bool, now time.Time) error {
	most := 1
	if grew {
		most = -1
	}
	var later []ahead
	err := t.query(func(r rowScanner) error {
		var a ahead
		err := r.Scan(&a.seq, &a.at, &a.parked, &a.holds)
		later = append(later, a)
		return err
	}, holdsAfter, p.key.String, p.seq, most)
	if err != nil {
		return err
	}
	for i, a := range later {
		if grew && !within(holds, a.holds.String) {
			a.holds.String = joined(a.holds.String, holds)
			if _, err := t.exec(setHolds, a.seq, a.holds.String); err != nil {
				return err
			}
		}
		if i == 0 && !within(a.holds.String, holds) {
			if _, err := t.exec(callHolding, a.seq, micros(now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// within reports whether every destination of one list is in another.
func within(list, other string) bool {
	all := integration.ParseBehind(other)
	for _, name := range integration.ParseBehind(list) {
		if !slices.Contains(all, name) {
			return false
		}
	}
	return true
}

// joined are the destinations of two lists, sorted, each once.
func joined(list, other string) string {
	all := append(integration.ParseBehind(list), integration.ParseBehind(other)...)
	slices.Sort(all)
	return integration.BehindText(slices.Compact(all))
}
