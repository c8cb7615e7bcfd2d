package sqlite

import (
	"github.com/sallyport/sallyport/lease"
)

// turns is whose turn it is, when more is due than a claim takes. It belongs to
// the writer goroutine.
type turns struct {
	behind bool // the last claim left something that was due
	from   lane2
}

// turnSteps bounds the seeks of one claim for tenants, and turnLook how many
// events of a tenant are looked at for those that are due; a share is no larger.
const (
	turnSteps = 512
	turnLook  = 256
)

// Tenants are walked over with the index of R5.16, which has all events, so that
// fairness costs nothing where nothing is behind.
// The next is looked for in two steps: SQLite seeks (a, b) > (?, ?) by a alone and
// would read all events of a tenant that has very many.
const (
	nextService = `SELECT tenant_id, provider FROM webhook_events INDEXED BY webhook_events_by_status
WHERE tenant_id = ?1 AND provider > ?2 ORDER BY provider LIMIT 1`
	nextTenant = `SELECT tenant_id, provider FROM webhook_events INDEXED BY webhook_events_by_status
WHERE tenant_id > ?1 ORDER BY tenant_id, provider LIMIT 1`
	someReceived = `SELECT 1 FROM webhook_events INDEXED BY webhook_events_by_status
WHERE tenant_id = ?1 AND provider = ?2 AND status = 'received' LIMIT 1`
)

// claimInTurn lends a share to one tenant, of one service: what has been due the
// longest of what it finds.
const claimInTurn = `UPDATE webhook_events
SET status = 'processing', attempts = attempts + 1, lease_owner = ?1, lease_until = ?2
WHERE seq IN (SELECT seq FROM (
	SELECT * FROM (SELECT seq, due_at AS at, order_key FROM webhook_events INDEXED BY webhook_events_by_status
		WHERE tenant_id = ?5 AND provider = ?6 AND status = 'received' ORDER BY seq LIMIT ?7)
	UNION ALL
	SELECT * FROM (SELECT seq, lease_until AS at, order_key FROM webhook_events INDEXED BY webhook_events_by_status
		WHERE tenant_id = ?5 AND provider = ?6 AND status = 'processing' ORDER BY seq LIMIT ?7))
	WHERE at <= ?3 AND order_key IS NULL ORDER BY at, seq LIMIT ?4)
RETURNING seq, attempts`

// claimTurns lends up to most events, to tenants by turns, each with its oldest
// first.
func (q EventQueue) claimTurns(t *transaction, c lease.Claim, most int, loans *[]loan) error {
	full := len(*loans) + most
	lanes, err := q.s.writer.turns.lanes(t, most)
	if err != nil || len(lanes) == 0 {
		return err
	}
	share := max(1, most/len(lanes))
	for i, l := range lanes {
		left := full - len(*loans)
		if left == 0 {
			return nil
		}
		if i == len(lanes)-1 {
			share = left
		}
		if err := lend(t, loans, claimInTurn, c.Owner, micros(c.Until), micros(c.Now), min(share, left), l.tenant, l.service, turnLook); err != nil {
			return err
		}
	}
	return nil
}

// lanes lists up to most tenants and services with events that wait, from where
// the last claim stopped; where it ends before that, the next begins anew.
func (u *turns) lanes(t *transaction, most int) (list []lane2, err error) {
	at := u.from
	for range turnSteps {
		if len(list) == most {
			break
		}
		found, waits := lane2{}, false
		scan := func(r rowScanner) error { return r.Scan(&found.tenant, &found.service) }
		if err := t.query(scan, nextService, at.tenant, at.service); err != nil {
			return nil, err
		}
		if found.service == "" {
			if err := t.query(scan, nextTenant, at.tenant); err != nil {
				return nil, err
			}
		}
		if at = found; at.service == "" { // the round is over
			break
		}
		err := t.query(func(r rowScanner) error { waits = true; var one int; return r.Scan(&one) }, someReceived, at.tenant, at.service)
		if err != nil {
			return nil, err
		}
		if waits {
			list = append(list, at)
		}
	}
	u.from = at
	return list, nil
}
