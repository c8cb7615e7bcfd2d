package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/integration"
)

const driftColumns = "seq, service, endpoint, pointer, kind, row_id, expected, example, ends, first_seen, last_seen, count"

// upsertDrift adds to a record that is there: its first sight stays, its count
// grows, and what was seen last is shown.
const upsertDrift = `INSERT INTO drift (service, endpoint, pointer, kind, row_id, expected, example, ends, first_seen, last_seen, count)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (service, endpoint, md5(pointer), kind) DO UPDATE SET
    row_id = excluded.row_id, expected = excluded.expected, example = excluded.example, ends = excluded.ends,
    first_seen = least(drift.first_seen, excluded.first_seen), last_seen = greatest(drift.last_seen, excluded.last_seen),
    count = drift.count + excluded.count`

// RecordDrift keeps records of drift that are new and adds to those that are
// there: Count says how often it was seen since the last time. All of the list
// is written or nothing.
func (s *Store) RecordDrift(ctx context.Context, list []integration.Drift) error {
	for i := range list {
		if d := &list[i]; d.Service == "" || d.Kind == "" || d.Count <= 0 {
			return errors.New("postgres: drift needs a service, a kind and a count above 0")
		}
	}
	return s.do(ctx, func(t *transaction) error {
		for i := range list {
			d := &list[i]
			if _, err := t.exec(
				upsertDrift, d.Service, d.Endpoint, d.Pointer, string(d.Kind), d.Row, d.Expected, d.Example,
				optionalMicros(d.Ends), micros(d.FirstSeen), micros(d.LastSeen), d.Count,
			); err != nil {
				return fmt.Errorf("postgres: drift of %s: %w", d.Service, err)
			}
		}
		return nil
	})
}

// Drift lists where a provider has drifted, what was noticed last first. Of the
// filter, Type is the endpoint and Status the kind; Query looks into pointer,
// row and example; Since and Until are about the last sight.
func (s *Store) Drift(ctx context.Context, f integration.Filter) (found []integration.Drift, next string, err error) {
	p := page{prefix: "d", table: "drift", columns: driftColumns, filter: f}
	p.where.equal("service", f.Service)
	p.where.equal("endpoint", f.Type)
	p.where.equal("kind", f.Status)
	p.where.contains(f.Query, "pointer", "row_id", "example")
	p.where.between("last_seen", f.Since, f.Until)
	return list(ctx, s, p, func(r rowScanner) (seq int64, d integration.Drift, err error) {
		var ends sql.NullInt64
		var first, last int64
		err = r.Scan(&seq, &d.Service, &d.Endpoint, &d.Pointer, (*string)(&d.Kind), &d.Row, &d.Expected, &d.Example, &ends, &first, &last, &d.Count)
		d.Ends, d.FirstSeen, d.LastSeen = fromOptional(ends), fromMicros(first), fromMicros(last)
		return seq, d, err
	})
}
