package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/sallyport/sallyport/integration"
)

func testEvent(id string) *integration.Event {
	return &integration.Event{
		ID: "id-" + id, Service: "stripe", ExternalID: id, Type: "invoice.paid",
		ReceivedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Status: integration.EventReceived, Payload: []byte("{}"),
	}
}

// R2.7: only the process's own user may read the file and what lies beside it.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd name?_pragma=x#%20;.db")
	s := openAt(t, path, Options{})
	if _, err := s.Accept(t.Context(), testEvent("evt_1")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(name), mode)
		}
	}
}

// R0.5: what was answered is on the disk; reads can't write.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	for pragma, want := range map[string]int{"synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000} {
		var got int
		err := s.writer.do(t.Context(), s.writer.jobs, func(tx *transaction) error {
			return tx.query(func(r rowScanner) error { return r.Scan(&got) }, "PRAGMA "+pragma)
		})
		if err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", pragma, got, err, want)
		}
	}
	var mode string
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
	if _, err := s.read.ExecContext(t.Context(), "DELETE FROM audit_log"); err == nil {
		t.Error("a reading connection could write")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("these are my notes. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ path, want string }{
		"no name":     {"", "name a file"},
		"memory":      {":memory:", "would lose"},
		"no folder":   {filepath.Join(dir, "none", "x.db"), "create the folder"},
		"a folder":    {dir, "must be readable and writable"},
		"other bytes": {text, "is not an SQLite database"},
	} {
		s, err := Open(t.Context(), c.path, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.want)
		}
		if s != nil {
			t.Errorf("%s: a store was returned", name)
		}
	}
	if got, err := os.ReadFile(text); err != nil || !strings.HasPrefix(string(got), "these are my notes") {
		t.Errorf("the other file was changed: %v", err)
	}
}

// A file that a newer version has written to is left alone.
func TestOpenRefusesTheFuture(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "future.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(withoutWriter(t, s), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	_ = s.read.Close()
	_ = s.write.Close()
	_, err = Open(t.Context(), path, Options{})
	if err == nil || !strings.Contains(err.Error(), "version 99999") || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("got %v, want a refusal that names the version", err)
	}
}

// A file of the first version gets what came since, and keeps its events, its
// calls and their attempts.
func TestOpenThePast(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "past.db")
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, Options{}.withDefaults(), false)
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	first, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{
		`INSERT INTO webhook_events (id, tenant_id, provider, source, event_type, external_id, subject, status, attempts, received_at, created_at, headers, payload)
			VALUES ('old', '', 'stripe', '', 'invoice.paid', 'evt_1', '', 'failed', 16, 1, 1, '{}', '{}')`,
		`INSERT INTO calls (id, service, tenant_id, endpoint, entry, method, path, effect, idempotency_key, state, status, created_at, retry_of, headers, body)
			VALUES ('call', 'stripe', 'acme', 'create_customer', 'proxy', 'POST', '/v1/customers', 'create', 'key-1', 'failed', 503, 1, '', '{}', 'a=b')`,
		`INSERT INTO attempts VALUES ('call', 1, 1, 1, 1, 503, 'unavailable', 'req_1', '', 0, 1)`,
	} {
		if _, err := db.ExecContext(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if e, _, err := s.Event(t.Context(), "old"); err != nil || e.Attempts != 16 || e.RetriedAfter != 0 {
		t.Errorf("%+v, %v", e, err)
	}
	if c, err := s.Call(t.Context(), "call"); err != nil || c.State != integration.CallFailed || string(c.Body) != "a=b" || len(c.Attempts) != 1 || c.Attempts[0].RequestID != "req_1" {
		t.Errorf("%+v, %v", c, err)
	}
	if err := s.RequeueCall(t.Context(), "call", time.UnixMicro(2), time.Time{}, integration.AuditEntry{ID: "a"}); err != nil {
		t.Errorf("the old call can't be put into the queue: %v", err)
	}
	var broken int
	if err := s.read.QueryRowContext(t.Context(), "SELECT count(*) FROM pragma_foreign_key_check").Scan(&broken); err != nil || broken != 0 {
		t.Errorf("%d references are broken, %v", broken, err)
	}
}

// withoutWriter ends the writer, so that its connection can be used.
func withoutWriter(t *testing.T, s *Store) context.Context {
	t.Helper()
	if err := s.writer.stop(); err != nil {
		t.Fatal(err)
	}
	return t.Context()
}

// Opening again keeps what is there and migrates nothing.
func TestOpenAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "again.db")
	for i := range 3 {
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if fresh, err := s.Accept(t.Context(), testEvent("evt_1")); err != nil || fresh != (i == 0) {
			t.Errorf("opening %d: fresh %v, %v", i, fresh, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("closing left the log behind: %v", err)
		}
	}
}

// R5.6: a full disk is an error to those who wanted to write, not damage;
// reads go on, and so do writes once there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	if _, err := s.Accept(t.Context(), testEvent("evt_before")); err != nil {
		t.Fatal(err)
	}
	fill(t, s, "max_page_count = 60")
	big := make([]byte, 40_000)
	var full error
	stored := []string{"evt_before"}
	for i := 0; full == nil && i < 100; i++ {
		e := testEvent("evt_" + strings.Repeat("i", i+1))
		e.Payload = big
		var fresh bool
		if fresh, full = s.Accept(t.Context(), e); full == nil && fresh {
			stored = append(stored, e.ExternalID)
		} else if fresh {
			t.Errorf("fresh, and %v", full)
		}
	}
	if full == nil || !strings.Contains(full.Error(), "full") || errors.Is(full, integration.ErrBusy) {
		t.Fatalf("got %v, want the disk to be full", full)
	}
	checkWhole(t, s, stored)
	if _, err := s.Accept(t.Context(), testEvent("evt_after")); err != nil {
		t.Errorf("after there was room again: %v", err)
	}
	checkWhole(t, s, append(stored, "evt_after"))
}

// A file that became read-only is an error to those who wanted to write.
func TestReadOnlyFile(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	if _, err := s.Accept(t.Context(), testEvent("evt_before")); err != nil {
		t.Fatal(err)
	}
	fill(t, s, "query_only = 1")
	if fresh, err := s.Accept(t.Context(), testEvent("evt_1")); err == nil || fresh || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("fresh %v, %v; want an error that says read-only", fresh, err)
	}
	checkWhole(t, s, []string{"evt_before"})
}

// fill sets a pragma on the writer's connection. The connection is replaced
// after a failure, and the pragma is gone with it.
func fill(t *testing.T, s *Store, pragma string) {
	t.Helper()
	err := s.writer.do(t.Context(), s.writer.jobs, func(tx *transaction) error {
		return tx.query(func(rowScanner) error { return nil }, "PRAGMA "+pragma)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkWhole(t *testing.T, s *Store, want []string) {
	t.Helper()
	var damage string
	if err := s.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&damage); err != nil || damage != "ok" {
		t.Errorf("integrity: %q, %v", damage, err)
	}
	events, _, err := s.Events(t.Context(), integration.Filter{Limit: 500})
	if err != nil || len(events) != len(want) {
		t.Fatalf("%d events, %v; want %d", len(events), err, len(want))
	}
	for i, e := range events {
		if w := want[len(want)-1-i]; e.ExternalID != w {
			t.Errorf("event %d is %s, want %s", i, e.ExternalID, w)
		}
	}
}

// Another process that holds the file makes us busy for a while; the command
// line beside the gateway is one.
func TestAnotherProcessWrites(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{BusyTimeout: 20 * time.Millisecond})
	other, err := connect(s.path, Options{}.withDefaults(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	held, err := other.BeginTx(t.Context(), &sql.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := s.Accept(t.Context(), testEvent("evt_1")); fresh || !errors.Is(err, integration.ErrBusy) {
		t.Errorf("fresh %v, %v; want ErrBusy", fresh, err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, integration.ErrBusy) {
		t.Errorf("ping: %v, want ErrBusy", err)
	}
	if _, _, err := s.Events(t.Context(), integration.Filter{}); err != nil {
		t.Errorf("reading meanwhile: %v", err)
	}
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	if fresh, err := s.Accept(t.Context(), testEvent("evt_1")); !fresh || err != nil {
		t.Errorf("afterwards: fresh %v, %v", fresh, err)
	}
}

// The command line and the gateway may both find no file and make it.
func TestOpenedByTwoAtOnce(t *testing.T) {
	t.Parallel()
	for range 3 {
		path := filepath.Join(t.TempDir(), "new.db")
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				s, err := Open(t.Context(), path, Options{})
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				if fresh, err := s.Accept(t.Context(), testEvent(fmt.Sprint("evt_", i))); err != nil || !fresh {
					t.Errorf("accept: fresh %v, %v", fresh, err)
				}
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		wg.Wait()
	}
}
