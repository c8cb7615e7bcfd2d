package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// Options tune a Store. The zero value is right for most.
type Options struct {
	// Queue is how many events may wait for a commit before Accept answers
	// integration.ErrBusy. Zero means 4096.
	Queue int
	// Readers is how many reads run at once. Zero means the number of CPUs,
	// at least 4.
	Readers int
	// BusyTimeout is how long to wait for another process that writes to the
	// same file. Zero means 10 seconds.
	BusyTimeout time.Duration
	// Now is the clock that created_at and processed_at are dated by. Nil
	// means time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.Readers <= 0 {
		o.Readers = max(4, runtime.GOMAXPROCS(0))
	}
	if o.BusyTimeout <= 0 {
		o.BusyTimeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// ErrClosed answers every use of a Store after Close.
var ErrClosed = errors.New("sqlite: the store is closed")

// Store is one open database file. Its methods may be called from any number
// of goroutines.
type Store struct {
	options Options
	path    string
	write   *sql.DB // one connection, the writer's
	read    *sql.DB
	writer  *writer
	lost    atomic.Int64
	close   func() error
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the file at path, creates it (mode 0600) if there is none, and
// brings its tables up to date. ctx bounds opening only.
//
// It refuses a file that a newer version has written to.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	options = options.withDefaults()
	if path == "" || path == ":memory:" {
		return nil, errors.New("sqlite: name a file; a database in memory would lose what it acknowledged")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := create(path); err != nil {
		return nil, err
	}
	s := &Store{options: options, path: path}
	if s.write, err = connect(path, options, false); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	if err := migrateTogether(ctx, s.write, path); err != nil {
		s.write.Close()
		return nil, err
	}
	if s.read, err = connect(path, options, true); err != nil {
		s.write.Close()
		return nil, err
	}
	s.read.SetMaxOpenConns(options.Readers)
	s.read.SetMaxIdleConns(options.Readers)
	if s.writer, err = startWriter(ctx, s.write, path, options); err != nil {
		return nil, errors.Join(err, s.read.Close(), s.write.Close())
	}
	s.close = sync.OnceValue(func() error {
		err := s.writer.stop()
		return errors.Join(err, s.read.Close(), s.write.Close())
	})
	return s, nil
}

// Close refuses new work, commits what was handed in before and closes the
// file. Closing twice is harmless.
func (s *Store) Close() error { return s.close() }

// Stats are running totals since Open.
type Stats struct {
	Commits     int64 // transactions that changed something
	Writes      int64 // pieces of work they carried
	LostRecords int64 // calls that Record had to drop because the store was behind
}

// Stats returns the totals so far.
func (s *Store) Stats() Stats {
	return Stats{Commits: s.writer.commits.Load(), Writes: s.writer.writes.Load(), LostRecords: s.lost.Load()}
}

// create makes the file with its mode before SQLite does with a wider one; the
// -wal and -shm files take the mode of the file.
func create(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sqlite: %w; create the folder first", err)
	case err != nil:
		return fmt.Errorf("sqlite: %w; the file must be readable and writable by this process", err)
	}
	return file.Close()
}

// connect opens the file with pragmas in the DSN, where they hold for each
// connection of the pool.
func connect(path string, o Options, readOnly bool) (*sql.DB, error) {
	pragmas := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", o.BusyTimeout.Milliseconds()),
			"foreign_keys(1)",
			"temp_store(memory)",
		},
	}
	if readOnly {
		pragmas.Add("_pragma", "query_only(1)")
	} else {
		pragmas.Add("_pragma", "journal_mode(wal)")
		pragmas.Add("_pragma", "synchronous(full)")
		pragmas.Add("_pragma", fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages))
		pragmas.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", walBytesKept))
	}
	// A URI keeps "?", "#" and "%" in a path from being read as part of the DSN.
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: pragmas.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %s: %w", path, err)
	}
	return db, nil
}

// The write-ahead log is copied back into the file each time it has grown by
// checkpointPages pages of 4 kB. The writer waits for it: with four times as many
// the slowest hundredth of events waited twice as long, and no more were taken in
// a second. walBytesKept is what a log that grew in a rush is cut back to.
const (
	checkpointPages = 1000
	walBytesKept    = 64 << 20
)

// migrateTogether is migrate for processes that may open a new file at the same
// time. One of them makes the tables; the others fail on what it made and look
// again.
func migrateTogether(ctx context.Context, db *sql.DB, path string) (err error) {
	for range 5 {
		if err = migrate(ctx, db, path); err == nil || !errors.Is(err, errMigrating) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// errMigrating marks failures of the migration itself.
var errMigrating = errors.New("bringing the tables up to date")

// migrate brings the tables up to date.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("sqlite: migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("sqlite: migrations: %w", err)
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return openingError(path, err)
	}
	if has > knows {
		return fmt.Errorf("sqlite: %s has tables of version %d and this program knows up to %d: a newer version has used the file; run that one, or restore a backup from before", path, has, knows)
	}
	if has == knows {
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return openingError(path, err)
	}
	return nil
}

func openingError(path string, err error) error {
	if strings.Contains(err.Error(), "file is not a database") {
		return fmt.Errorf("sqlite: %s is not an SQLite database: %w", path, err)
	}
	return fmt.Errorf("sqlite: %s: %w: %w", path, errMigrating, err)
}
