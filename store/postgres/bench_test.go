package postgres

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// callers is how many goroutines a benchmark uses.
const callers = 64

// benchDatabase is a server that waits for the disk, if SALLYPORT_BENCH_POSTGRES
// names one; that of the tests does not.
func benchDatabase(b *testing.B) string {
	if dsn := os.Getenv("SALLYPORT_BENCH_POSTGRES"); dsn != "" {
		return dsn
	}
	return newDatabase(b)
}

func openBench(b *testing.B) *Store {
	dsn := benchDatabase(b)
	s, err := Open(b.Context(), dsn, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := s.do(b.Context(), func(t *transaction) error {
		_, err := t.exec("TRUNCATE webhook_events CASCADE")
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return s
}

var benchHeader = http.Header{
	"Accept":         {"*/*; q=0.5, application/xml"},
	"Content-Length": {"2600"},
	"Content-Type":   {"application/json; charset=utf-8"},
	"User-Agent":     {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"},
	"Cache-Control":  {"no-cache"},
}

// benchPayload is 2.6 kB of JSON in which keys and values vary as in a
// provider's.
func benchPayload(n int64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"id":"evt_%d","object":"event","data":{"object":{`, n)
	for i := 0; b.Len() < 2550; i++ {
		fmt.Fprintf(&b, `"field_%d":{"amount":%d,"currency":"eur","reference":"%08x"},`, i, n*int64(i)%100_000, uint32(n*2654435761+int64(i)*40503))
	}
	b.WriteString(`"last":null}}}`)
	return b.Bytes()
}

func benchEvent(n int64) *integration.Event {
	now := time.Now()
	return &integration.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Tenant: "acme", Service: "stripe", ExternalID: fmt.Sprintf("evt_%08x_%d", uint32(n)*2654435761, n),
		Type: "invoice.paid", Subject: "in_1", OccurredAt: now, ReceivedAt: now, Header: benchHeader,
		Payload: benchPayload(n), Status: integration.EventReceived,
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
	s := openBench(b)
	inParallel(b, func(n int64) error {
		_, err := s.Accept(context.Background(), benchEvent(n))
		return err
	})
	st := s.Stats()
	b.ReportMetric(float64(st.Writes)/float64(max(st.Commits, 1)), "events/commit")
}

// BenchmarkAcceptFloor is what Accept is measured against: group commit of the
// same events, by as many committers, into a table of four columns with one key
// and nothing else.
func BenchmarkAcceptFloor(b *testing.B) {
	pool, err := pgxpool.New(b.Context(), benchDatabase(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if _, err := pool.Exec(b.Context(), "DROP TABLE IF EXISTS floor; CREATE TABLE floor (id text PRIMARY KEY, type text NOT NULL, received bigint NOT NULL, body bytea NOT NULL)"); err != nil {
		b.Fatal(err)
	}
	type item struct {
		e    *integration.Event
		done chan error
	}
	in := make(chan *item, 4096)
	var committers sync.WaitGroup
	for range (Options{}).withDefaults().Committers {
		committers.Go(func() {
			for first := range in {
				batch := []*item{first}
				for len(batch) < 512 {
					select {
					case it := <-in:
						if it != nil {
							batch = append(batch, it)
							continue
						}
					default:
					}
					break
				}
				var ids, types []string
				var received []int64
				var bodies [][]byte
				for _, it := range batch {
					ids, types, received, bodies = append(ids, it.e.ExternalID), append(types, it.e.Type), append(received, it.e.ReceivedAt.UnixMicro()), append(bodies, it.e.Payload)
				}
				_, err := pool.Exec(context.Background(), "INSERT INTO floor SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) ON CONFLICT DO NOTHING", ids, types, received, bodies)
				for _, it := range batch {
					it.done <- err
				}
			}
		})
	}
	inParallel(b, func(n int64) error {
		it := &item{benchEvent(n), make(chan error, 1)}
		in <- it
		return <-it.done
	})
	close(in)
	committers.Wait()
}

// BenchmarkRunner works off b.N events with a handler that does nothing but
// report one delivery.
func BenchmarkRunner(b *testing.B) {
	s := openBench(b)
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
			return integration.Outcome{Status: integration.EventProcessed, Deliveries: []integration.Delivery{{
				ID: uuid.Must(uuid.NewV7()).String(), EventID: e.ID, Destination: "app", Attempt: e.Attempts, State: integration.DeliverySucceeded, Status: 200, StartedAt: time.Now(),
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
