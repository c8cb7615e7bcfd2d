package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/integration"
)

// bytesAtOnce bounds the payloads that one read of whole events brings into
// memory; the first is read however large it is.
const bytesAtOnce = 4 << 20

// errEnough ends a read.
var errEnough = errors.New("enough was read")

// EventsAfter reads events whole in the order in which they were kept: those
// behind position that match the filter, at most f.Limit (zero means 50). next is
// the position to go on from; it moves on also where nothing matched. Nothing
// that is kept later will ever stand before next.
func (s *Store) EventsAfter(ctx context.Context, f integration.Filter, position int64) (events []integration.Event, next int64, err error) {
	last, err := s.LastEvent(ctx)
	if err != nil || last <= position {
		return nil, position, err
	}
	seqs, next, err := s.eventsBehind(ctx, f, position, last)
	if err != nil || len(seqs) == 0 {
		return nil, next, err
	}
	rows, err := s.query(ctx,
		"SELECT "+eventColumns+wholeColumns+" FROM webhook_events WHERE seq = ANY($1::bigint[]) ORDER BY seq", seqs)
	if err != nil {
		return nil, position, fmt.Errorf("postgres: events after %d: %w", position, err)
	}
	size := 0
	err = each(rows, func(r rowScanner) error {
		seq, e, err := scanEvent(r, true)
		if size += len(e.Payload); err == nil && len(events) > 0 && size > bytesAtOnce {
			return errEnough
		}
		e.Position, last = seq, seq
		events = append(events, e)
		return err
	})
	if errors.Is(err, errEnough) { // packed, they seemed smaller
		return events, last, nil
	}
	if err != nil {
		return nil, position, fmt.Errorf("postgres: events after %d: %w", position, err)
	}
	return events, next, nil
}

// eventsBehind finds which rows are next, and where to go on after them.
func (s *Store) eventsBehind(ctx context.Context, f integration.Filter, position, last int64) (seqs []int64, next int64, err error) {
	p := eventPage(f)
	p.where.add("seq > ?", position)
	p.where.add("seq <= ?", last)
	limit := f.Limit
	if limit <= 0 {
		limit = pageUsual
	}
	rows, err := s.query(ctx,
		fmt.Sprintf("SELECT seq, octet_length(payload) FROM webhook_events%s ORDER BY seq LIMIT %d", p.where.String(), min(limit, pageMost)), p.where.args...)
	if err != nil {
		return nil, position, fmt.Errorf("postgres: events after %d: %w", position, err)
	}
	size, full := int64(0), false
	err = each(rows, func(r rowScanner) error {
		var seq, length int64
		err := r.Scan(&seq, &length)
		if size += length; full || len(seqs) > 0 && size > bytesAtOnce {
			full = true
			return err
		}
		seqs = append(seqs, seq)
		return err
	})
	if err != nil {
		return nil, position, fmt.Errorf("postgres: events after %d: %w", position, err)
	}
	if full || len(seqs) == min(limit, pageMost) {
		return seqs, seqs[len(seqs)-1], nil
	}
	return seqs, last, nil
}

// writers are the transactions that hold the table for writing at this moment. One
// of those that are not among them takes its number of the sequence later.
const writers = `SELECT coalesce((SELECT max(seq) FROM webhook_events), 0), coalesce((
	SELECT array_agg(virtualtransaction) FROM pg_locks
	WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND relation = 'webhook_events'::regclass AND mode = 'RowExclusiveLock'), '{}')`

// LastEvent is the position of the event that was kept last; zero if there is
// none. Transactions that overlap may be seen in another order than that of their
// rows: a row that stands further on is taken for the last only when all that
// wrote to the table when it was seen are over.
func (s *Store) LastEvent(ctx context.Context) (last int64, err error) {
	var now sight
	if err := s.row(ctx, writers).Scan(&now.last, &now.writers); err != nil {
		return 0, fmt.Errorf("postgres: last event: %w", err)
	}
	now.at = time.Now()
	return s.horizon.move(now), nil
}

// sight is what was seen of the table at one moment.
type sight struct {
	last    int64     // row
	writers []string  // transactions
	at      time.Time // when
}

// horizon is up to where no row can appear any more.
type horizon struct {
	mu      sync.Mutex
	last    int64
	pending []sight // oldest first
}

// patience is how long a transaction of ours can be under way at most. One of
// somebody else may take hours, and is not waited for.
const patience = 10 * time.Second

// sightsMost bounds how much is remembered.
const sightsMost = 256

// move takes note of a sight and says how far the horizon is.
func (h *horizon) move(now sight) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(now.writers) == 0 {
		h.last, h.pending = max(h.last, now.last), nil
		return h.last
	}
	over := 0
	for _, s := range h.pending {
		if s.under(now.writers) && now.at.Sub(s.at) < patience {
			break
		}
		h.last = max(h.last, s.last)
		over++
	}
	h.pending = slices.Delete(h.pending, 0, over)
	if n := len(h.pending); n == 0 && now.last > h.last || n > 0 && n < sightsMost && now.last > h.pending[n-1].last {
		h.pending = append(h.pending, now)
	}
	return h.last
}

// under reports whether one of the transactions of that moment still writes.
func (s sight) under(now []string) bool {
	return slices.ContainsFunc(s.writers, func(w string) bool { return slices.Contains(now, w) })
}

// EventsSince is a position behind which all events stand that were received at
// since or later. Rows stand about in the order of their time, so it is found by
// halving, and taken a little further back than found.
func (s *Store) EventsSince(ctx context.Context, since time.Time) (position int64, err error) {
	last, err := s.LastEvent(ctx)
	if err != nil {
		return 0, err
	}
	const about = 1000 // how far out of order rows may stand
	found := sort.Search(int(last), func(i int) bool {
		var received int64
		e := s.row(ctx, "SELECT received_at FROM webhook_events WHERE seq > $1 ORDER BY seq LIMIT 1", i).Scan(&received)
		if e != nil && !errors.Is(e, pgx.ErrNoRows) {
			err = e
		}
		return e != nil || received >= micros(since)
	})
	if err != nil {
		return 0, fmt.Errorf("postgres: events since %s: %w", since.Format(time.RFC3339), err)
	}
	return int64(max(found-about, 0)), nil
}
