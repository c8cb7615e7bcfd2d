package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// transaction is the writer's connection with its prepared statements. Its
// methods take no context: a statement half-way through would leave the others
// in the transaction in doubt, and each is short.
type transaction struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	changed    bool
}

func newTransaction(ctx context.Context, db *sql.DB) (*transaction, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlite: connect: %w", err)
	}
	return &transaction{conn: conn, statements: map[string]*sql.Stmt{}}, nil
}

func (t *transaction) prepared(query string) (*sql.Stmt, error) {
	if s := t.statements[query]; s != nil {
		return s, nil
	}
	if t.conn == nil {
		return nil, driver.ErrBadConn
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.statements[query] = s
	return s, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *transaction) exec(query string, args ...any) (int64, error) {
	s, err := t.prepared(query) //nolint:sqlclosecheck // kept for the life of the connection
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	t.changed = t.changed || n > 0
	return n, err
}

// query runs a statement and hands each row to scan.
func (t *transaction) query(scan func(rowScanner) error, query string, args ...any) error {
	s, err := t.prepared(query) //nolint:sqlclosecheck // kept for the life of the connection
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	return each(rows, scan)
}

// each hands every row to scan and closes rows.
func each(rows *sql.Rows, scan func(rowScanner) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t *transaction) run(query string) error {
	s, err := t.prepared(query) //nolint:sqlclosecheck // kept for the life of the connection
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background())
	return err
}

func (t *transaction) begin() error {
	t.changed = false
	return t.run("BEGIN IMMEDIATE")
}

func (t *transaction) commit() (changed bool, err error) { return t.changed, t.run("COMMIT") }

// rollback undoes everything. SQLite may have done so itself, which is no error.
func (t *transaction) rollback() { _ = t.run("ROLLBACK") }

// isolate runs f so that what it wrote is undone if it fails.
func (t *transaction) isolate(f func(*transaction) error) error {
	if err := t.run("SAVEPOINT piece"); err != nil {
		return err
	}
	err := f(t)
	if err != nil && !brokeAll(err) {
		if undo := t.run("ROLLBACK TO piece"); undo != nil {
			return undo
		}
	}
	if brokeAll(err) {
		return err
	}
	if release := t.run("RELEASE piece"); release != nil {
		return release
	}
	return err
}

// reconnect replaces the connection.
func (t *transaction) reconnect(db *sql.DB) error {
	closeErr := t.discard()
	fresh, err := newTransaction(context.Background(), db)
	if err != nil {
		return errors.Join(err, closeErr)
	}
	*t = *fresh
	return nil
}

// discard closes the connection instead of returning it to the pool.
func (t *transaction) discard() error {
	if t.conn == nil {
		return nil
	}
	for _, s := range t.statements {
		s.Close()
	}
	err := t.conn.Raw(func(any) error { return driver.ErrBadConn })
	t.conn, t.statements = nil, map[string]*sql.Stmt{}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

func (t *transaction) close() error {
	if t.conn == nil {
		return nil
	}
	for _, s := range t.statements {
		s.Close()
	}
	return t.conn.Close()
}

// brokeAll reports whether err puts the whole transaction in doubt: the disk
// is full, the file is damaged, a statement could not be prepared. What is
// wrong with one row, and refusals of ours, are no such errors.
func brokeAll(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return true
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case codes.SQLITE_ERROR, codes.SQLITE_CONSTRAINT, codes.SQLITE_TOOBIG, codes.SQLITE_MISMATCH, codes.SQLITE_RANGE:
		return false
	}
	return true
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == codes.SQLITE_BUSY || e.Code()&0xff == codes.SQLITE_LOCKED)
}
