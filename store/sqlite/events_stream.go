package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sort"
	"time"

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
	rows, err := s.read.QueryContext(ctx,
		"SELECT "+eventColumns+wholeColumns+" FROM webhook_events WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq", jsonArray(seqs))
	if err != nil {
		return nil, position, fmt.Errorf("sqlite: events after %d: %w", position, err)
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
		return nil, position, fmt.Errorf("sqlite: events after %d: %w", position, err)
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
	rows, err := s.read.QueryContext(ctx,
		fmt.Sprintf("SELECT seq, length(payload) FROM webhook_events %s%s ORDER BY seq LIMIT %d", notIndexed, p.where.String(), min(limit, pageMost)), p.where.args...)
	if err != nil {
		return nil, position, fmt.Errorf("sqlite: events after %d: %w", position, err)
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
		return nil, position, fmt.Errorf("sqlite: events after %d: %w", position, err)
	}
	if full || len(seqs) == min(limit, pageMost) {
		return seqs, seqs[len(seqs)-1], nil
	}
	return seqs, last, nil
}

// LastEvent is the position of the event that was kept last; zero if there is
// none.
func (s *Store) LastEvent(ctx context.Context) (last int64, err error) {
	if err := s.read.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM webhook_events").Scan(&last); err != nil {
		return 0, fmt.Errorf("sqlite: last event: %w", err)
	}
	return last, nil
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
		e := s.read.QueryRowContext(ctx, "SELECT received_at FROM webhook_events WHERE seq > ? ORDER BY seq LIMIT 1", i).Scan(&received)
		if e != nil && !errors.Is(e, sql.ErrNoRows) {
			err = e
		}
		return e != nil || received >= micros(since)
	})
	if err != nil {
		return 0, fmt.Errorf("sqlite: events since %s: %w", since.Format(time.RFC3339), err)
	}
	return int64(max(found-about, 0)), nil
}
