package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// callers is how many goroutines a benchmark uses.
const callers = 64

var benchHeader = http.Header{
	"Accept":         {"*/*; q=0.5, application/xml"},
	"Content-Length": {"2600"},
	"Content-Type":   {"application/json; charset=utf-8"},
	"User-Agent":     {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"},
	"Cache-Control":  {"no-cache"},
}

func benchEvent(n int64) *integration.Event {
	now := time.Now()
	return &integration.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Tenant: "acme", Service: "stripe", ExternalID: fmt.Sprintf("evt_%08x_%d", uint32(n)*2654435761, n),
		Type: "invoice.paid", Subject: "in_1", OccurredAt: now, ReceivedAt: now, Header: benchHeader,
		Payload: bytes.Repeat([]byte("x"), 2600), Status: integration.EventReceived,
	}
}

// inParallel runs do b.N times on callers goroutines.
func inParallel(b *testing.B, do func(n int64) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := do(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAccept(b *testing.B) {
	s := openTest(b, Options{})
	inParallel(b, func(n int64) error {
		_, err := s.Accept(context.Background(), benchEvent(n))
		return err
	})
	st := s.Stats()
	b.ReportMetric(float64(st.Writes)/float64(max(st.Commits, 1)), "events/commit")
}

// BenchmarkAcceptFloor is what Accept is measured against: group commit of the
// same events into a table of four columns and nothing else.
func BenchmarkAcceptFloor(b *testing.B) {
	f := openFloor(b)
	inParallel(b, func(n int64) error { return f.put(benchEvent(n)) })
}

type floorItem struct {
	e    *integration.Event
	done chan error
}

type floor struct {
	db *sql.DB
	in chan *floorItem
	st map[int]*sql.Stmt
}

func openFloor(b *testing.B) *floor {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "floor.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE events(id TEXT PRIMARY KEY, type TEXT NOT NULL, received INTEGER NOT NULL, delivered INTEGER, body BLOB NOT NULL) WITHOUT ROWID`); err != nil {
		b.Fatal(err)
	}
	f := &floor{db: db, in: make(chan *floorItem, 4096), st: map[int]*sql.Stmt{}}
	for _, n := range []int{1, 8, 64} {
		rows := strings.TrimSuffix(strings.Repeat("(?,?,?,?),", n), ",")
		f.st[n], err = db.Prepare(`INSERT INTO events(id,type,received,body) VALUES ` + rows + ` ON CONFLICT DO NOTHING RETURNING id`) //nolint:sqlclosecheck // closed with db
		if err != nil {
			b.Fatal(err)
		}
	}
	go f.run()
	b.Cleanup(func() { close(f.in) })
	return f
}

func (f *floor) put(e *integration.Event) error {
	it := &floorItem{e: e, done: make(chan error, 1)}
	f.in <- it
	return <-it.done
}

func (f *floor) run() {
	for first := range f.in {
		batch := []*floorItem{first}
		for len(f.in) > 0 && len(batch) < 512 {
			batch = append(batch, <-f.in)
		}
		err := f.commit(batch)
		for _, it := range batch {
			it.done <- err
		}
	}
}

func (f *floor) commit(batch []*floorItem) error {
	tx, err := f.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for rest := batch; len(rest) > 0; {
		n := 1
		if len(rest) >= 64 {
			n = 64
		} else if len(rest) >= 8 {
			n = 8
		}
		var args []any
		for _, it := range rest[:n] {
			args = append(args, it.e.ExternalID, it.e.Type, it.e.ReceivedAt.UnixMicro(), it.e.Payload)
		}
		rows, err := tx.Stmt(f.st[n]).Query(args...) //nolint:rowserrcheck,sqlclosecheck // each does both
		if err != nil {
			return err
		}
		if err := each(rows, func(r rowScanner) error { var id string; return r.Scan(&id) }); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return tx.Commit()
}

// BenchmarkRunner works off b.N events with a handler that does nothing but
// report one delivery.
func BenchmarkRunner(b *testing.B) {
	s := openTest(b, Options{})
	var wg sync.WaitGroup
	var next atomic.Int64
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if _, err := s.Accept(context.Background(), benchEvent(n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var done atomic.Int64
	runner, err := lease.New(lease.Config[integration.Event, integration.Outcome]{
		Queue: s.EventQueue(),
		Handle: func(_ context.Context, e integration.Event) integration.Outcome {
			if done.Add(1) == int64(b.N) {
				stop()
			}
			now := time.Now()
			return integration.Outcome{Status: integration.EventProcessed, Deliveries: []integration.Delivery{{
				ID: uuid.Must(uuid.NewV7()).String(), EventID: e.ID, Destination: "app", Attempt: e.Attempts, State: integration.DeliverySucceeded, Status: 200, StartedAt: now,
			}}}
		},
		Panicked: func(integration.Event, any) integration.Outcome {
			return integration.Outcome{Status: integration.EventFailed}
		},
		Released: integration.Outcome{Released: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	before := s.Stats().Commits
	b.ReportAllocs()
	b.ResetTimer()
	runner.Run(ctx)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.N)/float64(s.Stats().Commits-before), "events/commit")
	counts, err := s.EventCounts(context.Background(), "stripe", "")
	if err != nil || counts.ByState["processed"] != b.N {
		b.Errorf("%v, %v", counts, err)
	}
}

// BenchmarkPickUp is the way of one event through an idle store, from the door
// to the handler: accepted, committed, announced, claimed, committed, handed over.
func BenchmarkPickUp(b *testing.B) {
	s := openTest(b, Options{})
	ctx, stop := context.WithCancel(b.Context())
	handled := make(chan struct{})
	runner, err := lease.New(lease.Config[integration.Event, integration.Outcome]{
		Queue: s.EventQueue(),
		Handle: func(context.Context, integration.Event) integration.Outcome {
			handled <- struct{}{}
			return integration.Outcome{Status: integration.EventProcessed}
		},
		Panicked: func(integration.Event, any) integration.Outcome {
			return integration.Outcome{Status: integration.EventFailed}
		},
		Released: integration.Outcome{Released: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { runner.Run(ctx) })
	for n := int64(0); b.Loop(); n++ {
		if _, err := s.Accept(context.Background(), benchEvent(n)); err != nil {
			b.Fatal(err)
		}
		runner.Wake()
		<-handled
	}
	stop()
	running.Wait()
}
