package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

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

// headOfLane ends a search for the first call of a lane.
const headOfLane = " ORDER BY service, tenant_id, priority, coalesce(lease_until, due_at) LIMIT 1"

// callLanes lists the lanes that have waiting calls with the time of the first:
// a walk from head to head over the index.
const callLanes = `WITH RECURSIVE lane (service, tenant_id, priority, at) AS (
	(SELECT service, tenant_id, priority, coalesce(lease_until, due_at) FROM calls WHERE ` + waitingCall + headOfLane + `)
	UNION ALL
	SELECT next.* FROM lane, LATERAL (
		SELECT service, tenant_id, priority, coalesce(lease_until, due_at) FROM calls
		WHERE ` + waitingCall + ` AND (service, tenant_id, priority) > (lane.service, lane.tenant_id, lane.priority)` + headOfLane + `) next
)
SELECT service, tenant_id, priority, at FROM lane`

// dueInLane takes calls that nobody else is lending at this moment.
const dueInLane = `SELECT seq FROM calls
WHERE ` + waitingCall + ` AND service = $1 AND tenant_id = $2 AND priority = $3 AND coalesce(lease_until, due_at) <= $4
AND seq <> ALL($6::bigint[])
ORDER BY coalesce(lease_until, due_at), seq LIMIT $5 FOR UPDATE SKIP LOCKED`

const lendCalls = `UPDATE calls SET state = 'running', loans = loans + 1, lease_owner = $1, lease_until = $2
WHERE seq = ANY($3::bigint[]) RETURNING seq, loans`

const nextCall = `SELECT coalesce(lease_until, due_at) FROM calls
WHERE ` + waitingCall + ` ORDER BY coalesce(lease_until, due_at) LIMIT 1`

const oldestCall = `SELECT due_at FROM calls
WHERE ` + waitingCall + ` AND state = 'queued' AND service = $1 AND ($2 = '' OR tenant_id = $2)
ORDER BY coalesce(lease_until, due_at) LIMIT 1`

// heldCall is the condition under which an owner holds a call.
const heldCall = " WHERE id = $1 AND lease_owner = $2 AND loans = $3 AND state = 'running'"

const renewCall = "UPDATE calls SET lease_until = $4" + heldCall

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
		return nil, errors.New("postgres: a claim needs an owner and an end after its beginning")
	}
	var order []int64
	loans := map[int64]int{}
	err := q.s.do(ctx, func(t *transaction) error {
		clear(loans)
		var err error
		if order, err = q.pick(t, c); err != nil || len(order) == 0 {
			return err
		}
		t.changed = true
		return t.query(func(r rowScanner) error {
			var seq int64
			var attempt int
			err := r.Scan(&seq, &attempt)
			loans[seq] = attempt
			return err
		}, lendCalls, c.Owner, micros(c.Until), order)
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
	for i := range taken {
		taken[i] = []int64{} // nil would be NULL
	}
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
			}, dueInLane, h.service, h.tenant, h.priority, micros(now), n, taken[i])
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
	rows, err := q.s.query(ctx, "SELECT "+callColumns+callWhole+" FROM calls WHERE seq = ANY($1)", order)
	if err != nil {
		return nil, fmt.Errorf("postgres: calls on loan: %w", err)
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
		return nil, fmt.Errorf("postgres: calls on loan: %w", err)
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
	err := q.s.row(ctx, nextCall).Scan(&us)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("postgres: next due call: %w", err)
	}
	return fromMicros(us), nil
}

// nextOpen is NextDue while some tenants are held back.
func (q *CallQueue) nextOpen(ctx context.Context) (time.Time, error) {
	heads, err := lanes(func(scan func(rowScanner) error) error {
		rows, err := q.s.query(ctx, callLanes)
		if err != nil {
			return err
		}
		return each(rows, scan)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("postgres: next due call: %w", err)
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
	err = q.s.do(ctx, func(t *transaction) error {
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
		return nil, fmt.Errorf("postgres: renewing leases of calls: %w", err)
	}
	return lost, nil
}
