package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// handled is a store with one event on loan to "first".
func handled(t *testing.T) (s *Store, key lease.Key, now time.Time) {
	t.Helper()
	s = openTest(t, Options{})
	if _, err := s.pool.Exec(t.Context(), "CREATE TABLE effects (event text)"); err != nil {
		t.Fatal(err)
	}
	now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	e := testEvent("0198-handled")
	e.Status, e.ReceivedAt, e.DueAt = integration.EventReceived, now, now
	if fresh, err := s.Accept(t.Context(), e); err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	return s, claim(t, s, "first", now), now
}

func claim(t *testing.T, s *Store, owner string, now time.Time) lease.Key {
	t.Helper()
	held, err := s.EventQueue().Claim(t.Context(), lease.Claim{Owner: owner, Now: now, Until: now.Add(time.Minute), Limit: 1})
	if err != nil || len(held) != 1 {
		t.Fatalf("%d events on loan: %v", len(held), err)
	}
	return held[0].Key
}

func write(ctx context.Context, tx Tx) (integration.Outcome, error) {
	_, err := tx.Exec(ctx, "INSERT INTO effects VALUES ('x')")
	return integration.Outcome{Status: integration.EventProcessed}, err
}

// check compares what handlers wrote and where the event stands.
func check(t *testing.T, s *Store, key lease.Key, effects int, status integration.EventStatus) {
	t.Helper()
	var n int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM effects").Scan(&n); err != nil {
		t.Fatal(err)
	}
	e, _, err := s.Event(t.Context(), key.ID)
	if err != nil || n != effects || e.Status != status {
		t.Errorf("%d effects and the event is %s (%v), want %d and %s", n, e.Status, err, effects, status)
	}
}

// Design decision 5: the handler's writes and the event's completion are
// committed together.
func TestHandled(t *testing.T) {
	t.Parallel()
	s, key, now := handled(t)
	err := s.Handling().Do(t.Context(), "first", key, func(ctx context.Context, tx Tx) (integration.Outcome, error) {
		if tx.Commit(ctx) == nil || tx.Rollback(ctx) == nil {
			t.Error("the handler ends the transaction")
		}
		if lost, err := s.EventQueue().Renew(ctx, "first", []lease.Key{key}, now.Add(time.Hour)); err != nil || len(lost) != 0 {
			t.Errorf("the lease can't be renewed meanwhile: %v %v", lost, err)
		}
		return write(ctx, tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, s, key, 1, integration.EventProcessed)
	if err := s.Handling().Do(t.Context(), "first", key, write); !errors.Is(err, lease.ErrLost) {
		t.Errorf("handled twice: %v", err)
	}
	check(t, s, key, 1, integration.EventProcessed)
}

// Neither is there when the lease is another's by the end.
func TestHandledTooLate(t *testing.T) {
	t.Parallel()
	s, key, now := handled(t)
	err := s.Handling().Do(t.Context(), "first", key, func(ctx context.Context, tx Tx) (integration.Outcome, error) {
		claim(t, s, "second", now.Add(2*time.Minute))
		return write(ctx, tx)
	})
	if !errors.Is(err, lease.ErrLost) {
		t.Errorf("got %v", err)
	}
	check(t, s, key, 0, integration.EventProcessing)
}

// Nor after an error, a panic, a statement whose error was swallowed, an outcome
// that leaves the event open, or a commit that fails.
func TestHandledInVain(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(context.Context, Tx) (integration.Outcome, error){
		"error": func(ctx context.Context, tx Tx) (integration.Outcome, error) {
			_, err := write(ctx, tx)
			return integration.Outcome{}, errors.Join(err, errors.New("no"))
		},
		"swallowed": func(ctx context.Context, tx Tx) (integration.Outcome, error) {
			out, err := write(ctx, tx)
			if _, bad := tx.Exec(ctx, "SELECT 1/0"); bad == nil {
				t.Error("it divides")
			}
			return out, err
		},
		"open": func(ctx context.Context, tx Tx) (integration.Outcome, error) {
			_, err := write(ctx, tx)
			return integration.Outcome{Status: integration.EventReceived}, err
		},
		"panic": func(ctx context.Context, tx Tx) (integration.Outcome, error) {
			if _, err := write(ctx, tx); err != nil {
				t.Error(err)
			}
			panic("no")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, key, _ := handled(t)
			err := func() (err error) {
				defer func() {
					if cause := recover(); cause != nil {
						err = errors.New("it panicked")
					}
				}()
				return s.Handling().Do(t.Context(), "first", key, f)
			}()
			if err == nil {
				t.Error("it counts as handled")
			}
			check(t, s, key, 0, integration.EventProcessing)
			if n := s.pool.Stat().AcquiredConns(); n != 0 {
				t.Errorf("%d connections are not given back", n)
			}
		})
	}
}

// A transaction that the server rolls back for the sake of another runs again.
func TestHandledAgain(t *testing.T) {
	t.Parallel()
	s, key, _ := handled(t)
	tries := 0
	err := s.Handling().Do(t.Context(), "first", key, func(ctx context.Context, tx Tx) (integration.Outcome, error) {
		out, err := write(ctx, tx)
		if tries++; tries == 1 {
			_, err = tx.Exec(ctx, "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$")
		}
		return out, err
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries: %v", tries, err)
	}
	check(t, s, key, 1, integration.EventProcessed)
}

// What waits for its turn gives up with its caller.
func TestHandledWaits(t *testing.T) {
	t.Parallel()
	s, key, _ := handled(t)
	h := s.Handling()
	for range cap(h.turns) {
		h.turns <- struct{}{}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(lease.ErrStopping)
	if err := h.Do(ctx, "first", key, write); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("got %v", err)
	}
	check(t, s, key, 0, integration.EventProcessing)
}
