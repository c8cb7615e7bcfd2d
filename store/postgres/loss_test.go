package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/test/services"
)

// operations are one of each kind; all must end in time, whatever the database
// does.
func operations(s *Store) map[string]func(context.Context) error {
	now := time.Now()
	return map[string]func(context.Context) error{
		"accept": func(ctx context.Context) error {
			_, err := s.Accept(ctx, testEvent(fmt.Sprint(time.Now().UnixNano())))
			return err
		},
		"record": func(ctx context.Context) error {
			return s.Record(ctx, &integration.Call{ID: fmt.Sprint(time.Now().UnixNano()), Service: "stripe", State: integration.CallFailed, CreatedAt: now})
		},
		"transaction": func(ctx context.Context) error { return s.Audit(ctx, integration.AuditEntry{Actor: "test"}) },
		"claim": func(ctx context.Context) error {
			_, err := s.EventQueue().Claim(ctx, lease.Claim{Owner: "w", Now: time.Unix(1, 0), Until: now, Limit: 1})
			return err
		},
		"list":     func(ctx context.Context) error { _, _, err := s.Events(ctx, integration.Filter{}); return err },
		"read":     func(ctx context.Context) error { _, err := s.Keys(ctx); return err },
		"next due": func(ctx context.Context) error { _, err := s.EventQueue().NextDue(ctx); return err },
		"ping":     func(ctx context.Context) error { s.lastCommit.Store(0); return s.Ping(ctx) },
	}
}

// all runs every operation at once and hands what came of each to check.
func all(t *testing.T, s *Store, check func(name string, err error, took time.Duration)) {
	t.Helper()
	var wg sync.WaitGroup
	for name, do := range operations(s) {
		wg.Go(func() {
			began := time.Now()
			check(name, do(t.Context()), time.Since(began))
		})
	}
	wg.Wait()
}

// R5.6: while the database is away everything fails at once, and works again by
// itself when it is back, as often as that happens.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	server := services.Postgres(t)
	s := openAt(t, server.DSN(), Options{})
	well := func(name string, err error, _ time.Duration) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, end := range []func(){server.Stop, server.Kill} {
		all(t, s, well)
		end()
		all(t, s, func(name string, err error, took time.Duration) {
			if err == nil || took > 5*time.Second {
				t.Errorf("%s while the database is away: %v after %s", name, err, took)
			}
		})
		server.Start()
		all(t, s, well)
	}
}

// A database that hangs makes every operation fail when its time is over, and
// nothing hangs along.
func TestDatabaseHangs(t *testing.T) {
	t.Parallel()
	server := services.Postgres(t)
	s := openAt(t, server.DSN(), Options{Timeout: 500 * time.Millisecond})
	pids := append(s.backends(t), server.PID())
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	all(t, s, func(name string, err error, took time.Duration) {
		if err == nil || took > 8*time.Second {
			t.Errorf("%s while the database hangs: %v after %s", name, err, took)
		}
	})
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	within := time.Now().Add(20 * time.Second)
	for err := errors.New("not tried"); err != nil; {
		if err = s.Audit(t.Context(), integration.AuditEntry{Actor: "after"}); err != nil && time.Now().After(within) {
			t.Fatalf("it does not come back: %v", err)
		}
	}
}

// backends are the server's processes of this store's connections.
func (s *Store) backends(t *testing.T) (pids []int) {
	t.Helper()
	var wg sync.WaitGroup
	for range 4 { // so that there are some
		wg.Go(func() { _, _ = s.Keys(t.Context()) })
	}
	wg.Wait()
	list, err := s.query(t.Context(), "SELECT pid FROM pg_stat_activity WHERE application_name = 'sallyport'")
	if err == nil {
		err = each(list, func(r rowScanner) error {
			var pid int
			err := r.Scan(&pid)
			pids = append(pids, pid)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// A transaction that another one blocks is given up in time, and says so.
func TestBlockedTransactionEnds(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	s, other := openAt(t, dsn, Options{Timeout: time.Second}), openAt(t, dsn, Options{})
	key := integration.APIKey{ID: "k1", Hash: "h", Scope: integration.ScopeApp, CreatedAt: time.Now()}
	if err := s.CreateKey(t.Context(), key, integration.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	locked, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := other.do(t.Context(), func(tx *transaction) error {
			_, err := tx.exec("UPDATE api_keys SET name = 'x' WHERE id = 'k1'")
			close(locked)
			<-release
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	<-locked
	began := time.Now()
	err := s.RevokeKey(t.Context(), "k1", time.Now(), integration.AuditEntry{})
	if err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	if _, err := s.Keys(t.Context()); err != nil {
		t.Errorf("reading meanwhile: %v", err)
	}
	close(release)
	wg.Wait()
	if err := s.RevokeKey(t.Context(), "k1", time.Now(), integration.AuditEntry{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Two transactions that wait for each other: the server ends one, and it is
// tried again.
func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	for _, id := range []string{"a", "b"} {
		if err := s.CreateKey(t.Context(), integration.APIKey{ID: id, Hash: id, Scope: integration.ScopeApp, CreatedAt: time.Now()}, integration.AuditEntry{}); err != nil {
			t.Fatal(err)
		}
	}
	var first sync.WaitGroup
	first.Add(2)
	var wg sync.WaitGroup
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			met := sync.OnceFunc(func() { first.Done(); first.Wait() })
			if err := s.do(t.Context(), func(tx *transaction) error {
				for _, id := range order {
					if _, err := tx.exec("UPDATE api_keys SET name = name || 'x' WHERE id = $1", id); err != nil {
						return err
					}
					met()
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys, err := s.Keys(t.Context())
	if err != nil || keys[0].Name != "xx" || keys[1].Name != "xx" {
		t.Errorf("%+v, %v", keys, err)
	}
	if s.Stats().Retries == 0 {
		t.Error("nothing was tried again: the test proves nothing")
	}
}

// R5.6: a full queue refuses at once.
func TestFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	s, other := openAt(t, dsn, Options{Queue: 1, Committers: 1}), openAt(t, dsn, Options{})
	locked, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := other.do(t.Context(), func(tx *transaction) error {
			_, err := tx.exec("LOCK TABLE webhook_events IN EXCLUSIVE MODE")
			close(locked)
			<-release
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	<-locked
	results := make(chan error, 8)
	for i := range 8 {
		wg.Go(func() {
			_, err := s.Accept(t.Context(), testEvent(fmt.Sprint("evt_", i)))
			results <- err
		})
	}
	if err := <-results; !errors.Is(err, integration.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	close(release)
	wg.Wait()
	if fresh, err := s.Accept(t.Context(), testEvent("evt_later")); err != nil || !fresh {
		t.Errorf("afterwards: fresh %v, %v", fresh, err)
	}
}

// A newer version's tables are left alone.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	s := openAt(t, dsn, Options{})
	if err := s.do(t.Context(), func(tx *transaction) error {
		_, err := tx.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dsn, want string }{
		"the future":   {dsn, "version 99999"},
		"no name":      {"", "name a database"},
		"nobody there": {"postgres://postgres@127.0.0.1:1/x?connect_timeout=1", "refused"},
		"no database":  {strings.Replace(dsn, "/test_", "/none_", 1), "does not exist"},
		"malformed":    {"postgres://u:canary@h:port/d", "can't be read"},
		"too few":      {strings.Replace(dsn, "pool_max_conns=6", "pool_max_conns=2", 1), "too few"},
	} {
		s, err := Open(t.Context(), c.dsn, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want it to say %q", name, err, c.want)
		}
		if s != nil {
			t.Errorf("%s: a store was returned", name)
		}
	}
}
