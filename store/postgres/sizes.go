package postgres

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/integration"
)

// sizedTables are the tables that grow with use.
var sizedTables = []string{"webhook_events", "deliveries", "calls", "attempts", "audit_log", "credential_uses", "connections", "credentials"}

// Sizes says how large the database is. The rows of a table are as many as
// PostgreSQL counted when it last analyzed it, and not known before it ever did.
func (s *Store) Sizes(ctx context.Context) (size integration.StoreSize, err error) {
	size = integration.StoreSize{Free: -1, Log: -1}
	if err := s.row(ctx, "SELECT pg_database_size(current_database())").Scan(&size.Bytes); err != nil {
		return size, fmt.Errorf("postgres: size: %w", err)
	}
	rows, err := s.query(ctx, `SELECT name, coalesce(c.reltuples, -1)::bigint, coalesce(pg_total_relation_size(c.oid), -1)
		FROM unnest($1::text[]) WITH ORDINALITY AS t (name, place) LEFT JOIN pg_class c ON c.oid = to_regclass(name) ORDER BY place`, sizedTables)
	if err != nil {
		return size, fmt.Errorf("postgres: sizes of the tables: %w", err)
	}
	err = each(rows, func(r rowScanner) error {
		var t integration.TableSize
		err := r.Scan(&t.Table, &t.Rows, &t.Bytes)
		size.Tables = append(size.Tables, t)
		return err
	})
	if err != nil {
		return size, fmt.Errorf("postgres: sizes of the tables: %w", err)
	}
	return size, nil
}
