package postgres

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/store/storetest"
	"github.com/sallyport/sallyport/test/services"
)

var _ storetest.Store = (*Store)(nil)

func TestMain(m *testing.M) {
	code := m.Run()
	services.EndShared()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// The tables are made once, in a database that the others are copies of.
const template = "sallyport_template"

var (
	databases    atomic.Int64
	makeTemplate sync.Once
)

// newDatabase makes a database with today's tables and nothing in them, and
// returns its DSN.
func newDatabase(t testing.TB) string {
	t.Helper()
	server := services.SharedPostgres(t)
	makeTemplate.Do(func() {
		createDatabase(t, server.DSN(), template, "template0")
		s, err := Open(context.Background(), databaseDSN(t, server.DSN(), template), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	name := fmt.Sprint("test_", databases.Add(1))
	createDatabase(t, server.DSN(), name, template)
	return databaseDSN(t, server.DSN(), name)
}

// emptyDatabase makes a database without tables.
func emptyDatabase(t testing.TB) string {
	t.Helper()
	server := services.SharedPostgres(t)
	name := fmt.Sprint("test_", databases.Add(1))
	createDatabase(t, server.DSN(), name, "template0")
	return databaseDSN(t, server.DSN(), name)
}

// creating is held while a database is made: its template must not be used by
// two at once.
var creating sync.Mutex

func createDatabase(t testing.TB, dsn, name, from string) {
	t.Helper()
	creating.Lock()
	defer creating.Unlock()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, from)); err != nil {
		t.Fatal(err)
	}
}

func databaseDSN(t testing.TB, dsn, name string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	q := u.Query()
	q.Set("pool_max_conns", "6") // many tests run at once
	u.RawQuery = q.Encode()
	return u.String()
}

// openTest opens a store with a database of its own and closes it with the test.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	return openAt(t, newDatabase(t), o)
}

func openAt(t testing.TB, dsn string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// R9.2: the store passes the suite of every store.
func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		dsn := newDatabase(t)
		s := openAt(t, dsn, Options{})
		return storetest.Harness{
			Store: s,
			Queue: s.EventQueue(),
			CallQueue: func(s storetest.Store) lease.Queue[integration.Call, integration.CallOutcome] {
				return s.(*Store).CallQueue()
			},
			ConnectionQueue: func(s storetest.Store) lease.Queue[integration.Connection, integration.ConnectionOutcome] {
				return s.(*Store).ConnectionQueue()
			},
			Commits: func() int64 { return s.Stats().Commits },
			FailCommits: func(err error) {
				if err == nil {
					s.beforeEnd.Store(nil)
					return
				}
				fail := func() error { return err }
				s.beforeEnd.Store(&fail)
			},
			Flush: func(s storetest.Store) { s.(*Store).flushRecords() },
			Reopen: func(t testing.TB) storetest.Store {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return openAt(t, dsn, Options{})
			},
		}
	})
}

// flushRecords returns when the calls that were recorded before are written.
func (s *Store) flushRecords() {
	k := &work{done: make(chan struct{}, 1)}
	if s.put(context.Background(), s.records, k) == nil {
		<-k.done
	}
}

// Several instances that start on an empty database at once make its tables
// once, and all of them work.
func TestOpenedByManyAtOnce(t *testing.T) {
	t.Parallel()
	dsn := emptyDatabase(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), dsn, Options{})
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

func testEvent(id string) *integration.Event {
	return &integration.Event{
		ID: "id-" + id, Service: "stripe", ExternalID: id, Type: "invoice.paid",
		ReceivedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Status: integration.EventReceived, Payload: []byte("{}"),
	}
}
