package open_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/store/postgres"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/test/services"
)

func TestMain(m *testing.M) {
	code := m.Run()
	services.EndShared()
	os.Exit(code)
}

// alone is what one engine offers and the other has no use for, and why.
var alone = map[string]string{
	"LimitLedger": "instances share limits; a file has one instance",
	"Handling":    "a handler shares the app's own PostgreSQL with the event; a file is shared with nobody",
}

// R9.2: both engines offer the same, so that what works on one works on the other.
func TestEnginesOfferTheSame(t *testing.T) {
	t.Parallel()
	file, server := methods(reflect.TypeFor[*sqlite.Store]()), methods(reflect.TypeFor[*postgres.Store]())
	for name, signature := range file {
		if server[name] != signature {
			t.Errorf("%s: sqlite has %s, postgres has %q", name, signature, server[name])
		}
	}
	for name := range server {
		if file[name] == "" && alone[name] == "" {
			t.Errorf("%s: postgres has it and sqlite has not", name)
		}
	}
}

// methods are the signatures of a store's methods, the engine's own types read
// as one.
func methods(of reflect.Type) map[string]string {
	found := map[string]string{}
	for m := range of.Methods() {
		found[m.Name] = strings.NewReplacer("*sqlite.Store", "store", "*postgres.Store", "store", "sqlite.", "", "postgres.", "").Replace(m.Type.String())
	}
	return found
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for dsn, good := range map[string]bool{
		"sqlite:x.db": true, "postgres://h/d": true, "postgresql://h/d": true,
		"": false, "sqlite:": false, "mysql://h/d": false, "x.db": false, "postgres:h": false,
	} {
		if err := open.Check(dsn); (err == nil) != good {
			t.Errorf("%q: %v", dsn, err)
		}
		if !good {
			if s, err := open.Database(t.Context(), dsn, open.Options{}); err == nil || s != nil {
				t.Errorf("%q was opened: %v", dsn, err)
			}
		}
	}
}

// R2.7: what is wrong with a DSN is said without the password in it.
func TestNoPasswordInErrors(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:canary-password@127.0.0.1:1/d", "postgres://u:canary-password@127.0.0.1:port/d", "postgres://u:canary-password@127.0.0.1:1/d?sslmode=odd",
		"postgres://u:canary-password@127.0.0.1:1/d?pool_max_conns=x", "postgres://u:canary-password%@127.0.0.1/d", "mysql://u:canary-password@h/d",
	} {
		_, err := open.Database(t.Context(), dsn, open.Options{})
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary") {
			t.Errorf("%v", err)
		}
	}
}

// R9.2: one call opens either engine.
func TestDatabase(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"sqlite:" + filepath.Join(t.TempDir(), "x.db"), services.SharedPostgres(t).DSN()} {
		s, err := open.Database(t.Context(), dsn, open.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Audit(t.Context(), integration.AuditEntry{Actor: "test"}); err != nil {
			t.Error(err)
		}
		for name, q := range map[string]any{"events": s.EventQueue(), "calls": s.CallQueue(), "connections": s.ConnectionQueue(), "cursors": s.CursorQueue()} {
			if q == nil {
				t.Errorf("no queue of %s", name)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Audit(context.Background(), integration.AuditEntry{Actor: "test"}); !open.IsClosed(err) {
			t.Errorf("after its end: %v", err)
		}
	}
}
