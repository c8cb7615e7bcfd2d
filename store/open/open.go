// Package open opens a store by its DSN, whichever engine it names.
package open

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/store"
	"github.com/sallyport/sallyport/store/postgres"
	"github.com/sallyport/sallyport/store/sqlite"
)

// Options are what all engines take. The zero value is right for most.
type Options struct {
	// Queue is how many events may wait for a commit. Zero means 4096.
	Queue int
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Check says what is wrong with a DSN without opening anything: nil for
// sqlite:PATH and postgres://… (or postgresql://…).
func Check(dsn string) error {
	if path, ok := File(dsn); ok && path != "" || shared(dsn) {
		return nil
	}
	return errors.New("want sqlite:PATH or postgres://USER@HOST:PORT/DATABASE")
}

// File is the path of the database file, for engines that keep one.
func File(dsn string) (path string, ok bool) { return strings.CutPrefix(dsn, "sqlite:") }

// shared reports whether the DSN names a server that instances may share.
func shared(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// Database opens the store that dsn names and brings its tables up to date. ctx
// bounds opening only.
func Database(ctx context.Context, dsn string, o Options) (store.Store, error) {
	if err := Check(dsn); err != nil {
		return nil, fmt.Errorf("database: %w", err) // without the DSN: it may hold a password
	}
	if path, ok := File(dsn); ok {
		s, err := sqlite.Open(ctx, path, sqlite.Options{Queue: o.Queue, Now: o.Now})
		if err != nil {
			return nil, err
		}
		return onFile{s}, nil
	}
	s, err := postgres.Open(ctx, dsn, postgres.Options{Queue: o.Queue, Now: o.Now})
	if err != nil {
		return nil, err
	}
	return onServer{s}, nil
}

// IsClosed reports whether err says that the store was closed before.
func IsClosed(err error) bool {
	return errors.Is(err, sqlite.ErrClosed) || errors.Is(err, postgres.ErrClosed)
}

// onFile is an SQLite store whose queues are those of every store.
type onFile struct{ *sqlite.Store }

// EventQueue lends events.
func (s onFile) EventQueue() lease.Queue[integration.Event, integration.Outcome] {
	return s.Store.EventQueue()
}

// CallQueue lends calls.
func (s onFile) CallQueue() store.CallQueue { return s.Store.CallQueue() }

// ConnectionQueue lends connections.
func (s onFile) ConnectionQueue() lease.Queue[integration.Connection, integration.ConnectionOutcome] {
	return s.Store.ConnectionQueue()
}

// CursorQueue lends tasks.
func (s onFile) CursorQueue() lease.Queue[integration.Cursor, integration.CursorOutcome] {
	return s.Store.CursorQueue()
}

// onServer is a PostgreSQL store whose queues are those of every store.
type onServer struct{ *postgres.Store }

// EventQueue lends events.
func (s onServer) EventQueue() lease.Queue[integration.Event, integration.Outcome] {
	return s.Store.EventQueue()
}

// CallQueue lends calls.
func (s onServer) CallQueue() store.CallQueue { return s.Store.CallQueue() }

// ConnectionQueue lends connections.
func (s onServer) ConnectionQueue() lease.Queue[integration.Connection, integration.ConnectionOutcome] {
	return s.Store.ConnectionQueue()
}

// CursorQueue lends tasks.
func (s onServer) CursorQueue() lease.Queue[integration.Cursor, integration.CursorOutcome] {
	return s.Store.CursorQueue()
}
