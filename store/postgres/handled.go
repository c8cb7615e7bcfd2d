package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// Tx is a transaction of this database. It is an alias, so that what embeds the
// gateway needs no second name for it.
type Tx = pgx.Tx

// Handling lets handlers write into this database in the transaction that
// completes their event: both are there afterwards, or neither is, whatever dies
// in between. It holds handlers to half of the pool's connections, so that the
// other half is there for leases and webhooks.
type Handling struct {
	store *Store
	turns chan struct{}
}

// Handling returns the store's.
func (s *Store) Handling() *Handling {
	return &Handling{store: s, turns: make(chan struct{}, max(1, s.pool.Config().MaxConns/2))}
}

// handleFor is how long a handler's transaction may be idle: while the handler
// does something else than ask the database.
const handleFor = time.Minute

// Do runs f in a transaction, writes down the outcome that f returns as that of
// the loan, and commits. The outcome must be final. On an error nothing was
// written, unless the error says that it may have been; lease.ErrLost says that
// the event is another's by now. When the database rolls a transaction back for
// the sake of another, f runs again.
func (h *Handling) Do(ctx context.Context, owner string, key lease.Key, f func(context.Context, Tx) (integration.Outcome, error)) error {
	if err := h.store.enter(); err != nil {
		return err
	}
	defer h.store.inHand.Done()
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for try := 1; ; try++ {
		err := h.once(ctx, owner, key, f)
		if err == nil || try == triesMost || !rolledBack(err) || ctx.Err() != nil {
			return err
		}
		h.store.refused.Add(1)
	}
}

func (h *Handling) once(ctx context.Context, owner string, key lease.Key, f func(context.Context, Tx) (integration.Outcome, error)) error {
	s := h.store
	acquire, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, errSlow)
	defer cancel()
	conn, err := s.pool.Acquire(acquire)
	if err != nil {
		return fmt.Errorf("postgres: no connection: nothing was written: %w", because(acquire, err))
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("postgres: begin: nothing was written: %w", because(ctx, err))
	}
	ended := false
	defer func() { // also when f panics
		if !ended {
			undo(ctx, conn, tx)
		}
	}()
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", handleFor.Milliseconds())); err != nil {
		return fmt.Errorf("postgres: nothing was written: %w", because(ctx, err))
	}
	outcome, err := f(ctx, handlersTx{tx})
	if err != nil {
		return err
	}
	if err := s.completeLent(ctx, tx, owner, key, outcome); err != nil {
		return err
	}
	ended = true
	work, end := context.WithTimeoutCause(context.WithoutCancel(ctx), s.options.Timeout, errSlow)
	defer end()
	if err := tx.Commit(work); err != nil {
		return uncertain(work, err)
	}
	s.committed(1)
	return nil
}

// completeLent completes the loan in the transaction. The event's row is locked
// here and not before: its lease is renewed while the handler works.
func (s *Store) completeLent(ctx context.Context, tx pgx.Tx, owner string, key lease.Key, outcome integration.Outcome) error {
	if !outcome.Status.Final() || outcome.Released {
		return errors.New("postgres: what was handled must have a final outcome")
	}
	done := []lease.Done[integration.Outcome]{{Key: key, Outcome: outcome}}
	args, _, err := outcomeColumns(owner, done, s.options.Now())
	if err != nil {
		return err
	}
	held := keySet{}
	if err := completeIn(&transaction{ctx: ctx, tx: tx}, held, done, args); err != nil {
		return fmt.Errorf("postgres: completing the event: nothing was written: %w", because(ctx, err))
	}
	if !held[key] {
		return fmt.Errorf("postgres: nothing was written: %w", lease.ErrLost)
	}
	return nil
}

// undo rolls back also when the handler's time is over.
func undo(ctx context.Context, conn *pgxpool.Conn, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := tx.Rollback(ctx); err != nil {
		_ = conn.Conn().Close(ctx) // which undoes as well
	}
}

// handlersTx is a transaction as a handler has it: to write in, not to end.
type handlersTx struct{ pgx.Tx }

// errLent refuses to end a transaction that is not the handler's.
var errLent = errors.New("the transaction is the gateway's: it commits when the handler returns nil, and rolls back when it returns an error")

// Commit is refused.
func (handlersTx) Commit(context.Context) error { return errLent }

// Rollback is refused.
func (handlersTx) Rollback(context.Context) error { return errLent }
