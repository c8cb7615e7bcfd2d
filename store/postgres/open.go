package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Options tune a Store. The zero value is right for most. The size of the pool
// of connections stands in the DSN: pool_max_conns, pool_min_conns,
// pool_max_conn_lifetime, pool_max_conn_idle_time, as pgxpool documents them.
type Options struct {
	// Queue is how many events may wait for a commit before Accept answers
	// integration.ErrBusy. Zero means 4096.
	Queue int
	// Committers is how many transactions that take events in run at once.
	// Zero means 2: one gathers while the other commits, and more make the batches
	// smaller. Each takes a connection of the pool while it commits.
	Committers int
	// Timeout bounds every operation, the wait for a connection included. Zero
	// means 10 seconds.
	Timeout time.Duration
	// Now is the clock that created_at and processed_at are dated by. Nil
	// means time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.Committers <= 0 {
		o.Committers = 2
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// ErrClosed answers every use of a Store after Close.
var ErrClosed = errors.New("postgres: the store is closed")

// errSlow is why an operation was given up.
var errSlow = errors.New("the database did not answer in time")

// Store is one instance's way to the database. Its methods may be called from
// any number of goroutines.
type Store struct {
	options Options
	pool    *pgxpool.Pool

	turns   turns // of tenants, when events are behind
	lines   lines // of events with an order
	horizon horizon
	events  lane // refused when full
	records lane // calls; waited for shortly, then lost

	mu         sync.RWMutex // held for reading while work is taken in
	closed     bool
	inHand     sync.WaitGroup // transactions under way
	committing sync.WaitGroup // committers
	close      func() error

	commits, writes, lost, refused atomic.Int64
	lastCommit                     atomic.Int64                 // microseconds; 0 before the first and after a failure
	beforeEnd                      atomic.Pointer[func() error] // tests let a commit fail here; nil otherwise
}

// Open connects to the database that dsn names, a postgres:// URL or a list of
// keyword=value, and brings its tables up to date; of several instances that
// start together one does. ctx bounds opening only.
//
// The role needs to create tables in the schema that it finds first. It refuses
// tables that a newer version has written to.
func Open(ctx context.Context, dsn string, options Options) (*Store, error) {
	options = options.withDefaults()
	config, err := parse(dsn, options)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if err := reach(ctx, pool, options.Timeout); err != nil {
		pool.Close()
		return nil, err
	}
	if err := migrate(ctx, config.ConnConfig); err != nil {
		pool.Close()
		return nil, err
	}
	s := &Store{
		options: options, pool: pool,
		events: make(lane, options.Queue), records: make(lane, 4096),
	}
	s.start()
	s.close = sync.OnceValue(s.end)
	return s, nil
}

// Close refuses new work, commits what was handed in before and closes the
// connections. Closing twice is harmless.
func (s *Store) Close() error { return s.close() }

func (s *Store) end() error {
	s.mu.Lock()
	s.closed = true
	close(s.events)
	close(s.records)
	s.mu.Unlock()
	s.committing.Wait()
	s.inHand.Wait()
	s.pool.Close()
	return nil
}

// enter counts an operation in; it must be counted out with s.inHand.Done.
func (s *Store) enter() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	s.inHand.Add(1)
	return nil
}

// Stats are running totals since Open, and the connections of the moment.
type Stats struct {
	Commits     int64 // transactions that changed something
	Writes      int64 // pieces of work they carried
	LostRecords int64 // calls that Record had to drop because the store was behind
	Retries     int64 // transactions begun again, as the server had rolled them back
	Connections int   // open now
	InUse       int   // of those
	Most        int   // that may be open
}

// Stats returns the totals so far.
func (s *Store) Stats() Stats {
	p := s.pool.Stat()
	return Stats{
		Commits: s.commits.Load(), Writes: s.writes.Load(), LostRecords: s.lost.Load(), Retries: s.refused.Load(),
		Connections: int(p.TotalConns()), InUse: int(p.AcquiredConns()), Most: int(p.MaxConns()),
	}
}
