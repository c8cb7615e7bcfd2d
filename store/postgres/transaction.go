package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SQLSTATE codes, from the appendix "PostgreSQL Error Codes" of its manual.
const (
	codeForeignKey    = "23503"
	codeUnique        = "23505"
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeStarting      = "57P03" // cannot_connect_now
)

// triesMost is how often a transaction is tried that the server rolls back for
// the sake of another.
const triesMost = 5

// rowScanner is one row of an answer.
type rowScanner interface{ Scan(dest ...any) error }

// transaction is one transaction under way.
type transaction struct {
	ctx     context.Context //nolint:containedctx // it lives as long as the transaction does
	tx      pgx.Tx
	changed bool
}

// exec runs a statement and returns how many rows it changed.
func (t *transaction) exec(query string, args ...any) (int64, error) {
	tag, err := t.tx.Exec(t.ctx, query, texts(args)...)
	t.changed = t.changed || tag.RowsAffected() > 0
	return tag.RowsAffected(), err
}

// query runs a statement and hands each row to scan.
func (t *transaction) query(scan func(rowScanner) error, query string, args ...any) error {
	list, err := t.tx.Query(t.ctx, query, texts(args)...)
	if err != nil {
		return err
	}
	return each(&rows{Rows: list}, scan)
}

// texts are the arguments with every text as PostgreSQL takes it; args itself
// stays as it is, as it may be used again.
func texts(args []any) []any {
	out := args
	set := func(i int, v any) {
		if &out[0] == &args[0] {
			out = append([]any(nil), args...)
		}
		out[i] = v
	}
	for i, a := range args {
		switch v := a.(type) {
		case string:
			if s := storable(v); len(s) != len(v) {
				set(i, s)
			}
		case []string:
			if list := storableAll(v); len(list) > 0 && &list[0] != &v[0] {
				set(i, list)
			}
		}
	}
	return out
}

// rows is an answer whose texts come back as they were written.
type rows struct {
	pgx.Rows
	done func() // called at the end; may be nil
}

// Scan reads one row.
func (r *rows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	for _, d := range dest {
		switch v := d.(type) {
		case *string:
			*v = restored(*v)
		case *sql.NullString:
			v.String = restored(v.String)
		}
	}
	return err
}

// each hands every row to scan and closes rows.
func each(r *rows, scan func(rowScanner) error) error {
	if r.done != nil {
		defer r.done()
	}
	defer r.Close()
	for r.Next() {
		if err := scan(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// query runs a read of its own; each must be called with its answer.
func (s *Store) query(ctx context.Context, query string, args ...any) (*rows, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, errSlow)
	done := func() { cancel(); s.inHand.Done() }
	list, err := s.pool.Query(ctx, query, texts(args)...)
	if err != nil {
		done()
		return nil, because(ctx, err)
	}
	return &rows{Rows: list, done: done}, nil
}

// oneRow is the answer to a read of one row.
type oneRow struct {
	rows *rows
	err  error
}

// row runs a read of one row; Scan must be called on its answer.
func (s *Store) row(ctx context.Context, query string, args ...any) oneRow {
	r, err := s.query(ctx, query, args...) //nolint:rowserrcheck,sqlclosecheck // Scan does both
	return oneRow{r, err}
}

// Scan reads the row; pgx.ErrNoRows when there is none.
func (o oneRow) Scan(dest ...any) error {
	if o.err != nil {
		return o.err
	}
	found := false
	err := each(o.rows, func(r rowScanner) error {
		if found {
			return nil
		}
		found = true
		return r.Scan(dest...)
	})
	if err == nil && !found {
		return pgx.ErrNoRows
	}
	return err
}

// do runs f in a transaction. It runs f again when the server rolled the
// transaction back for the sake of another; when f fails, what it wrote is
// undone. A transaction that has begun is ended whether or not its caller stays,
// so that callers that hang up cost no connections.
func (s *Store) do(ctx context.Context, f func(*transaction) error) error {
	return s.bounded(ctx, func(work context.Context, conn *pgxpool.Conn) error {
		tx, err := conn.Begin(work)
		if err != nil {
			return fmt.Errorf("postgres: begin: nothing was written: %w", because(work, err))
		}
		t := &transaction{ctx: work, tx: tx}
		if err := f(t); err != nil {
			_ = tx.Rollback(work) // where it fails the connection is closed, which undoes as well
			return because(work, err)
		}
		if err := s.mayEnd(); err != nil {
			_ = tx.Rollback(work)
			return fmt.Errorf("postgres: commit: nothing was written: %w", err)
		}
		if err := tx.Commit(work); err != nil {
			return uncertain(work, err)
		}
		if t.changed {
			s.committed(1)
		}
		return nil
	})
}

// bounded runs f with a connection, within the time that an operation may take,
// and again when the server asks for that.
func (s *Store) bounded(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.inHand.Done()
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, errSlow)
	defer cancel()
	work, end := context.WithTimeoutCause(context.WithoutCancel(ctx), s.options.Timeout, errSlow)
	defer end()
	for try := 1; ; try++ {
		err := s.withConn(ctx, work, f)
		if err == nil || try == triesMost || !rolledBack(err) || ctx.Err() != nil {
			if err != nil && !own(err) {
				s.lastCommit.Store(0)
			}
			return err
		}
		s.refused.Add(1)
		select {
		case <-time.After(time.Duration(rand.Int64N(int64(try) * int64(20*time.Millisecond)))):
		case <-ctx.Done():
		}
	}
}

func (s *Store) withConn(ctx, work context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("postgres: no connection: nothing was written: %w", because(ctx, err))
	}
	defer conn.Release()
	return f(work, conn)
}

// mayEnd lets tests fail a commit.
func (s *Store) mayEnd() error {
	f := s.beforeEnd.Load()
	if f == nil {
		return nil
	}
	err := (*f)()
	if err != nil {
		s.lastCommit.Store(0)
	}
	return err
}

// committed counts a transaction that changed something.
func (s *Store) committed(pieces int) {
	s.commits.Add(1)
	s.writes.Add(int64(pieces))
	s.lastCommit.Store(micros(s.options.Now()))
}

// because adds why ctx ended to an error that came of it.
func because(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

// uncertain is the error of a commit: what the server refused was undone, what
// it did not answer may have been kept.
func uncertain(ctx context.Context, err error) error {
	var p *pgconn.PgError
	if errors.As(err, &p) || pgconn.SafeToRetry(err) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return fmt.Errorf("postgres: nothing was written: %w", because(ctx, err))
	}
	return fmt.Errorf("postgres: it may have been written: %w", because(ctx, err))
}

// own reports whether err is a refusal of ours, or of a row, and not the
// database's failure.
func own(err error) bool {
	var p *pgconn.PgError
	var c *pgconn.ConnectError
	if errors.As(err, &p) {
		return len(p.Code) == 5 && (p.Code[:2] == "22" || p.Code[:2] == "23")
	}
	return !errors.As(err, &c) && !errors.Is(err, errSlow)
}

// rolledBack reports whether the server undid a transaction for the sake of
// another.
func rolledBack(err error) bool { return has(err, codeSerialization, codeDeadlock) }

// isMissing reports that a row names another that is not there.
func isMissing(err error) bool { return has(err, codeForeignKey) }

// isTaken reports that there is a row of that key already.
func isTaken(err error) bool { return has(err, codeUnique) }

func has(err error, codes ...string) bool {
	var p *pgconn.PgError
	if !errors.As(err, &p) {
		return false
	}
	for _, c := range codes {
		if p.Code == c {
			return true
		}
	}
	return false
}
