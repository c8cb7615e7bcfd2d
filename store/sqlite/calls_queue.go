package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// holdMost is the longest that a refused turn keeps the other calls of a tenant
// from asking for theirs: what refused it may concern one endpoint only.
const holdMost = 10 * time.Second

// CallQueue lends the calls that are due: a lease.Queue.
//
// Calls of a higher priority go first. Those of one priority have their turns
// tenant by tenant and service by service, the oldest of each first, so that a
// tenant with very many waits behind itself and nobody else. A call that was
// refused its turn holds back its tenant's calls to the service for a while, so
// that they are not lent one by one to be refused.
//
// Whose turn it is, and who is held back, is known to this CallQueue and to no
// other process; each is fair on its own. A claim looks at every lane (a tenant
// of a service with a priority) that has waiting calls: some microseconds each.
type CallQueue struct {
	s *Store

	mu     sync.Mutex
	turn   int64
	served map[lane3]int64 // when a lane last had calls lent
	held   map[lane2]time.Time
}

// lane2 is a tenant of a service.
type lane2 struct{ service, tenant string }

// lane3 is a tenant of a service with a priority.
type lane3 struct {
	lane2
	priority int
}

// CallQueue returns a queue of the waiting calls. A process should use one.
func (s *Store) CallQueue() *CallQueue {
	return &CallQueue{s: s, served: make(map[lane3]int64), held: make(map[lane2]time.Time)}
}

// waitingCall is what the indexes of the queue are limited to, word for word.
const waitingCall = "state IN ('queued', 'running') AND due_at IS NOT NULL"

// firstOfLane ends a search for the first call of the next lane.
const firstOfLane = " ORDER BY service, tenant_id, priority, coalesce(lease_until, due_at) LIMIT 1"

// callLanes lists the lanes that have waiting calls with the time of the first:
// a walk from head to head over the index. The next head is looked for in three
// steps, because SQLite searches an index by a row value's first column only.
const callLanes = `WITH RECURSIVE lane (seq, service, tenant_id, priority) AS (
	SELECT * FROM (SELECT seq, service, tenant_id, priority FROM calls INDEXED BY calls_lanes WHERE ` + waitingCall + firstOfLane + `)
	UNION ALL
	SELECT c.seq, c.service, c.tenant_id, c.priority FROM lane CROSS JOIN calls c ON c.seq = coalesce(
		(SELECT seq FROM calls INDEXED BY calls_lanes WHERE ` + waitingCall + `
			AND service = lane.service AND tenant_id = lane.tenant_id AND priority > lane.priority` + firstOfLane + `),
		(SELECT seq FROM calls INDEXED BY calls_lanes WHERE ` + waitingCall + `
			AND service = lane.service AND tenant_id > lane.tenant_id` + firstOfLane + `),
		(SELECT seq FROM calls INDEXED BY calls_lanes WHERE ` + waitingCall + `
			AND service > lane.service` + firstOfLane + `))
)
SELECT lane.service, lane.tenant_id, lane.priority, coalesce(c.lease_until, c.due_at) FROM lane CROSS JOIN calls c ON c.seq = lane.seq`

const dueInLane = `SELECT seq FROM calls INDEXED BY calls_lanes
WHERE ` + waitingCall + ` AND service = ?1 AND tenant_id = ?2 AND priority = ?3 AND coalesce(lease_until, due_at) <= ?4
ORDER BY coalesce(lease_until, due_at), seq LIMIT ?5 OFFSET ?6`

const lendCalls = `UPDATE calls SET state = 'running', loans = loans + 1, lease_owner = ?1, lease_until = ?2
WHERE seq IN (SELECT value FROM json_each(?3)) RETURNING seq, loans`

const nextCall = `SELECT coalesce(lease_until, due_at) FROM calls INDEXED BY calls_due
WHERE ` + waitingCall + ` ORDER BY coalesce(lease_until, due_at) LIMIT 1`

const oldestCall = `SELECT due_at FROM calls INDEXED BY calls_due
WHERE ` + waitingCall + ` AND state = 'queued' AND service = ?1 AND (?2 = '' OR tenant_id = ?2)
ORDER BY coalesce(lease_until, due_at) LIMIT 1`

// heldCall is the condition under which an owner holds a call.
const heldCall = " WHERE id = ?1 AND lease_owner = ?2 AND loans = ?3 AND state = 'running'"

const renewCall = "UPDATE calls SET lease_until = ?4" + heldCall

const releaseCall = "UPDATE calls SET state = 'queued', loans = loans - 1, lease_owner = NULL, lease_until = NULL" + heldCall

const completeCall = `UPDATE calls SET state = ?4, status = ?5, failure = ?6, due_at = ?7, finished_at = ?8, idempotency_key = ?9,
	lease_owner = NULL, lease_until = NULL, in_doubt = 0,
	headers = CASE WHEN ?10 THEN headers END, body = CASE WHEN ?10 THEN body END,
	kept_as = CASE WHEN ?11 THEN kept_as ELSE '' END, job_id = CASE WHEN ?11 THEN job_id ELSE '' END,
	answer = ?12, answer_body = ?13, answer_until = ?14` + heldCall

// head is a lane and when its first call may be taken.
type head struct {
	lane3
	at int64
}

// Claim lends due calls; see lease.Queue.
func (q *CallQueue) Claim(ctx context.Context, c lease.Claim) ([]lease.Held[integration.Call], error) {
	if c.Limit < 1 {
		return nil, nil
	}
	if c.Owner == "" || !c.Until.After(c.Now) {
		return nil, errors.New("sqlite: a claim needs an owner and an end after its beginning")
	}
	var order []int64
	loans := map[int64]int{}
	err := q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		clear(loans)
		var err error
		if order, err = q.pick(t, c); err != nil || len(order) == 0 {
			return err
		}
		t.changed = true
		return t.query(func(r rowScanner) error {
			var l loan
			err := r.Scan(&l.seq, &l.attempt)
			loans[l.seq] = l.attempt
			return err
		}, lendCalls, c.Owner, micros(c.Until), jsonArray(order))
	})
	if err != nil || len(order) == 0 {
		return nil, err
	}
	return q.lent(ctx, order, loans)
}

// pick chooses up to c.Limit due calls, in the order of their turns.
func (q *CallQueue) pick(t *transaction, c lease.Claim) ([]int64, error) {
	heads, err := lanes(func(scan func(rowScanner) error) error { return t.query(scan, callLanes) })
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	heads = q.open(heads, c.Now)
	var order []int64
	for len(heads) > 0 && len(order) < c.Limit {
		same := 1
		for same < len(heads) && heads[same].priority == heads[0].priority {
			same++
		}
		more, err := q.share(t, heads[:same], c.Now, c.Limit-len(order))
		if err != nil {
			return nil, err
		}
		order, heads = append(order, more...), heads[same:]
	}
	return order, nil
}

// open leaves the lanes whose first call may be taken now: by priority, those
// that were served the longest ago first, and then by age. Lanes that are gone
// are forgotten.
func (q *CallQueue) open(heads []head, now time.Time) []head {
	there := make(map[lane3]int64, len(heads))
	for _, h := range heads {
		if last, ok := q.served[h.lane3]; ok {
			there[h.lane3] = last
		}
	}
	q.served = there
	for key, until := range q.held {
		if !until.After(now) {
			delete(q.held, key)
		}
	}
	heads = slices.DeleteFunc(heads, func(h head) bool {
		_, held := q.held[h.lane2]
		return held || h.at > micros(now)
	})
	slices.SortStableFunc(heads, func(a, b head) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(there[a.lane3], there[b.lane3]), cmp.Compare(a.at, b.at))
	})
	return heads
}

// share takes up to limit calls from lanes of one priority, each as many as the
// others have to give, and orders them in rounds.
func (q *CallQueue) share(t *transaction, heads []head, now time.Time, limit int) ([]int64, error) {
	taken := make([][]int64, len(heads))
	active := make([]int, len(heads))
	for i := range heads {
		active[i] = i
	}
	for left := limit; left > 0 && len(active) > 0; {
		each := max(1, left/len(active))
		var more []int
		for _, i := range active {
			n := min(each, left)
			if n == 0 {
				break
			}
			h, before := heads[i], len(taken[i])
			err := t.query(func(r rowScanner) error {
				var seq int64
				err := r.Scan(&seq)
				taken[i] = append(taken[i], seq)
				return err
			}, dueInLane, h.service, h.tenant, h.priority, micros(now), n, before)
			if err != nil {
				return nil, err
			}
			got := len(taken[i]) - before
			left -= got
			if got == n {
				more = append(more, i)
			}
		}
		active = more
	}
	var order []int64
	for round := 0; len(order) < limit; round++ {
		before := len(order)
		for i, list := range taken {
			if round < len(list) {
				order = append(order, list[round])
				q.turn++
				q.served[heads[i].lane3] = q.turn
			}
		}
		if len(order) == before {
			break
		}
	}
	return order, nil
}

func lanes(query func(func(rowScanner) error) error) ([]head, error) {
	var heads []head
	err := query(func(r rowScanner) error {
		var h head
		err := r.Scan(&h.service, &h.tenant, &h.priority, &h.at)
		heads = append(heads, h)
		return err
	})
	return heads, err
}

// lent reads the calls on loan, outside the transaction, in the order of their
// turns.
func (q *CallQueue) lent(ctx context.Context, order []int64, loans map[int64]int) ([]lease.Held[integration.Call], error) {
	byRow := make(map[int64]*lease.Held[integration.Call], len(order))
	rows, err := q.s.read.QueryContext(ctx, "SELECT "+callColumns+callWhole+" FROM calls WHERE seq IN (SELECT value FROM json_each(?))", jsonArray(order))
	if err != nil {
		return nil, fmt.Errorf("sqlite: calls on loan: %w", err)
	}
	err = each(rows, func(r rowScanner) error {
		seq, c, err := scanCall(r, true)
		if err != nil {
			return err
		}
		// The turn is the loan's: should the lease have run out already and
		// another have taken the row, it must not pass for theirs.
		c.Turn = loans[seq]
		byRow[seq] = &lease.Held[integration.Call]{Key: lease.Key{ID: c.ID, Attempt: c.Turn}, Value: c}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: calls on loan: %w", err)
	}
	ids := make([]string, 0, len(order))
	for _, one := range byRow {
		ids = append(ids, one.ID)
	}
	attempts, err := q.s.attempts(ctx, ids...)
	if err != nil {
		return nil, err
	}
	held := make([]lease.Held[integration.Call], 0, len(order))
	for _, seq := range order {
		one := byRow[seq]
		if one == nil {
			continue
		}
		one.Value.Attempts = attempts[one.ID]
		held = append(held, *one)
	}
	return held, nil
}

// NextDue is when the next call can be claimed; see lease.Queue.
func (q *CallQueue) NextDue(ctx context.Context) (time.Time, error) {
	q.mu.Lock()
	holding := len(q.held) > 0
	q.mu.Unlock()
	if holding {
		return q.nextOpen(ctx)
	}
	var us int64
	err := q.s.read.QueryRowContext(ctx, nextCall).Scan(&us)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("sqlite: next due call: %w", err)
	}
	return fromMicros(us), nil
}

// nextOpen is NextDue while some tenants are held back.
func (q *CallQueue) nextOpen(ctx context.Context) (time.Time, error) {
	heads, err := lanes(func(scan func(rowScanner) error) error {
		rows, err := q.s.read.QueryContext(ctx, callLanes)
		if err != nil {
			return err
		}
		return each(rows, scan)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("sqlite: next due call: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var next time.Time
	for _, h := range heads {
		at := fromMicros(h.at)
		if until := q.held[h.lane2]; until.After(at) {
			at = until
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, nil
}

// Renew extends leases; see lease.Queue.
func (q *CallQueue) Renew(ctx context.Context, owner string, keys []lease.Key, until time.Time) (lost []lease.Key, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	err = q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		lost = lost[:0]
		for _, k := range keys {
			n, err := t.exec(renewCall, k.ID, owner, k.Attempt, micros(until))
			if err != nil {
				return err
			}
			if n == 0 {
				lost = append(lost, k)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: renewing leases of calls: %w", err)
	}
	return lost, nil
}

// Complete ends leases and writes down what the turns came to, with the event
// that tells about a call's end; see lease.Queue.
func (q *CallQueue) Complete(ctx context.Context, owner string, done []lease.Done[integration.CallOutcome]) (lost []lease.Key, err error) {
	if len(done) == 0 {
		return nil, nil
	}
	rows := make([]*turnRow, len(done))
	for i := range done {
		if rows[i], err = newTurnRow(&done[i]); err != nil {
			return nil, fmt.Errorf("sqlite: call %s: %w", done[i].ID, err)
		}
	}
	now := q.s.options.Now()
	err = q.s.writer.do(ctx, q.s.writer.jobs, func(t *transaction) error {
		lost = lost[:0]
		for _, row := range rows {
			held, err := row.write(t, owner, now)
			if err != nil {
				return fmt.Errorf("call %s: %w", row.ID, err)
			}
			if !held {
				lost = append(lost, row.Key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: writing outcomes of calls: %w", err)
	}
	q.hold(rows, now)
	return lost, nil
}

// hold keeps the calls of a tenant back that was refused a turn.
func (q *CallQueue) hold(rows []*turnRow, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, row := range rows {
		c := &row.Outcome.Call
		if !row.Outcome.Refused || !c.State.Waiting() || !c.DueAt.After(now) {
			continue
		}
		until := c.DueAt
		if most := now.Add(holdMost); until.After(most) {
			until = most
		}
		q.held[lane2{c.Service, c.Tenant}] = until
	}
}

// turnRow is what a turn came to as it is written.
type turnRow struct {
	lease.Done[integration.CallOutcome]
	failure any
	answer  any
	body    any
	until   any
}

func newTurnRow(d *lease.Done[integration.CallOutcome]) (*turnRow, error) {
	row := &turnRow{Done: *d}
	c := &d.Outcome.Call
	if !d.Outcome.Released && (c.State == "" || c.State == integration.CallRunning) {
		return nil, fmt.Errorf("an outcome can't leave the call %q", c.State)
	}
	if c.Failure != nil {
		text, err := json.Marshal(newFailureRow(c.Failure))
		if err != nil {
			return nil, fmt.Errorf("failure: %w", err)
		}
		row.failure = string(text)
	}
	if a := c.Answer; a != nil {
		text, err := json.Marshal(answerRow{Status: a.Status, Header: a.Header, Cut: a.Cut})
		if err != nil {
			return nil, fmt.Errorf("answer: %w", err)
		}
		row.answer, row.body, row.until = string(text), append([]byte{}, a.Body...), optionalMicros(a.Until)
	}
	return row, nil
}

// write ends one lease; false means that it is not held any more.
func (row *turnRow) write(t *transaction, owner string, now time.Time) (held bool, err error) {
	if row.Outcome.Released {
		n, err := t.exec(releaseCall, row.ID, owner, row.Attempt)
		return n > 0, err
	}
	c := &row.Outcome.Call
	job := ""
	if !c.State.Waiting() {
		if job, err = jobOf(t, row.ID); err != nil {
			return false, err
		}
	}
	due, finished := any(nil), any(micros(now))
	if c.State.Waiting() {
		finished = nil
		if due = optionalMicros(c.DueAt); due == nil {
			due = micros(now)
		}
	} else if !c.FinishedAt.IsZero() {
		finished = micros(c.FinishedAt)
	}
	n, err := t.exec(completeCall, row.ID, owner, row.Attempt, string(c.State), c.Status, row.failure, due, finished, c.IdempotencyKey,
		c.State.Repeatable(), c.State.Waiting(), row.answer, row.body, row.until)
	if err != nil || n == 0 {
		return false, err
	}
	if err := insertAttempts(t, row.ID, c.Attempts); err != nil {
		return false, err
	}
	if err := insertFinished(t, row.Outcome.Finished, now); err != nil {
		return false, err
	}
	if c.State.Waiting() && c.Job != "" { // the job may have been stopped meanwhile
		_, err := t.exec(cancelCalls+"id = ?1 AND job_id IN (SELECT id FROM jobs WHERE state = 'canceled')", row.ID, micros(now))
		return true, err
	}
	return true, countInJob(t, job, c.State, now)
}

// insertFinished queues the event that tells about a call's end, once.
func insertFinished(t *transaction, e *integration.Event, now time.Time) error {
	if e == nil {
		return nil
	}
	headers, err := checkNew(e)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO webhook_events (id, tenant_id, provider, source, event_type, external_id, subject, status, occurred_at, received_at, created_at, due_at, headers, payload)
		VALUES (?, ?, ?, ?, ?, ?, ?, 'received', ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		e.ID, e.Tenant, e.Service, e.Source, e.Type, e.ExternalID, e.Subject, optionalMicros(e.OccurredAt), micros(e.ReceivedAt), micros(now), micros(now),
		headers, e.Payload)
	return err
}
