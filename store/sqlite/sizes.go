package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/sallyport/sallyport/integration"
)

// sizedTables are the tables that grow with use.
var sizedTables = []string{"webhook_events", "deliveries", "calls", "attempts", "audit_log", "credential_uses", "connections", "credentials"}

// Sizes says how large the database is. It reads the number of a page or two; but
// the sizes of single tables, which take reading all pages, are left out (-1)
// where the file is larger than sizedMost. The rows of a table are about the
// difference of its first and last number.
func (s *Store) Sizes(ctx context.Context) (size integration.StoreSize, err error) {
	var page, pages, free int64
	for pragma, into := range map[string]*int64{"page_size": &page, "page_count": &pages, "freelist_count": &free} {
		if err := s.read.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(into); err != nil {
			return size, fmt.Errorf("sqlite: size: %w", err)
		}
	}
	size = integration.StoreSize{Bytes: page * pages, Free: page * free, Log: fileSize(s.path + "-wal")}
	bytes, err := s.tableBytes(ctx, size.Bytes)
	if err != nil {
		return size, fmt.Errorf("sqlite: sizes of the tables: %w", err)
	}
	for _, name := range sizedTables {
		table := integration.TableSize{Table: name, Rows: -1, Bytes: -1}
		if b, ok := bytes[name]; ok {
			table.Bytes = b
		}
		var rows sql.NullInt64
		if hasSeq[name] {
			if err := s.read.QueryRowContext(ctx, "SELECT (SELECT max(seq) FROM "+name+") - (SELECT min(seq) FROM "+name+") + 1").Scan(&rows); err != nil {
				return size, fmt.Errorf("sqlite: rows of %s: %w", name, err)
			}
			table.Rows = rows.Int64
		}
		size.Tables = append(size.Tables, table)
	}
	return size, nil
}

// hasSeq are the tables whose rows are numbered.
var hasSeq = map[string]bool{"webhook_events": true, "calls": true, "audit_log": true, "credential_uses": true, "connections": true}

// sizedMost is the largest file of which all pages are read to know the sizes of
// its tables.
const sizedMost = 512 << 20

func (s *Store) tableBytes(ctx context.Context, file int64) (map[string]int64, error) {
	bytes := map[string]int64{}
	if file > sizedMost {
		return bytes, nil
	}
	rows, err := s.read.QueryContext(ctx, `SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_schema m ON m.name = d.name WHERE d.aggregate = TRUE GROUP BY m.tbl_name`)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(r rowScanner) error {
		var name string
		var n int64
		err := r.Scan(&name, &n)
		bytes[name] = n
		return err
	})
	return bytes, err
}

// fileSize is -1 when there is no such file.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}
