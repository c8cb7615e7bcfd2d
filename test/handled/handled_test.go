package handled_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/services"
)

const planText = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments:
  development: {base_url: "http://127.0.0.1:1", secrets: {api_key: "env:API_KEY", webhook_secret: "env:WEBHOOK_SECRET"}}
auth: {use: api_key}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Show the payer., effect: read}
mappings: {}
webhooks:
  events:
    invoice.paid: {from: data.object}
`

// The child is this test program again, as a gateway.
const (
	childDatabase = "HANDLED_DATABASE"
	childPlans    = "HANDLED_PLANS"
	childRound    = "HANDLED_ROUND"
	childKillAt   = "HANDLED_KILL_AT" // which call of the handler does not come back; 0 for none
)

func TestMain(m *testing.M) {
	if os.Getenv(childDatabase) != "" {
		if err := gateway(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

func lookup(name string) (string, bool) {
	v, ok := map[string]string{"API_KEY": "sk_test_x", "WEBHOOK_SECRET": "whsec_x"}[name]
	return v, ok
}

// gateway runs until it is killed. Its handler writes an effect, and dies at one
// of them after the write and before the commit. Each round's clock is an hour
// later than the last's, so that nobody waits for the leases of the dead.
func gateway() error {
	later := time.Duration(number(childRound)) * time.Hour
	app, err := sallyport.New(context.Background(), sallyport.Config{
		Plans: os.Getenv(childPlans), Database: os.Getenv(childDatabase), LookupEnv: lookup, Log: slog.New(slog.DiscardHandler), Workers: 4,
		Now: func() time.Time { return time.Now().Add(later) },
	})
	if err != nil {
		return err
	}
	var calls atomic.Int64
	err = app.OnTx("stripe", "invoice.paid", func(ctx context.Context, tx sallyport.Tx, e sallyport.Event) error {
		if _, err := tx.Exec(ctx, "INSERT INTO effects (event) VALUES ($1)", e.ID); err != nil {
			return err
		}
		if calls.Add(1) == int64(number(childKillAt)) {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			<-ctx.Done()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return app.Run(context.Background())
}

// rounds is how many gateways are killed.
const rounds = 50

// Design decision 5: what a handler writes is there exactly once for each event,
// although 50 gateways are killed: half of them between the handler's write and
// the commit, half at any moment.
func TestKilledHandlersWriteOnce(t *testing.T) {
	t.Parallel()
	dsn := services.Postgres(t).DSN()
	plans := t.TempDir()
	if err := os.WriteFile(filepath.Join(plans, "stripe.yaml"), []byte(planText), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := open.Database(t.Context(), dsn, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // nothing is left to lose
	if _, err := conn.Exec(t.Context(), "CREATE TABLE effects (event text NOT NULL, at timestamptz NOT NULL DEFAULT now())"); err != nil {
		t.Fatal(err)
	}
	events := 0
	for round := range rounds {
		for range 8 {
			events++
			now := time.Now()
			e := &integration.Event{
				ID: uuid.Must(uuid.NewV7()).String(), Service: "stripe", ExternalID: fmt.Sprintf("evt_%d", events), Type: "invoice.paid",
				Payload: []byte(`{"data":{"object":{}}}`), Status: integration.EventReceived, ReceivedAt: now, DueAt: now,
			}
			if fresh, err := store.Accept(t.Context(), e); err != nil || !fresh {
				t.Fatal(fresh, err)
			}
		}
		killAt := 1 + round%6
		if round%2 == 1 {
			killAt = 0
		}
		child := start(t, dsn, plans, round, killAt)
		if killAt == 0 { // at any moment: the sooner, the more is under way
			before := effects(t, conn)
			until(t, func() bool { return effects(t, conn) >= before+1+round%5 })
			_ = child.Process.Kill() //nolint:errcheck // it may be over
		}
		var killed *exec.ExitError
		if err := child.Wait(); !errors.As(err, &killed) || killed.ExitCode() != -1 {
			t.Fatalf("round %d: the gateway ended by itself: %v", round, err)
		}
	}
	last := start(t, dsn, plans, rounds, 0)
	defer func() {
		_ = last.Process.Kill() //nolint:errcheck // it may be over
		_ = last.Wait()
	}()
	until(t, func() bool {
		counts, err := store.EventCounts(t.Context(), "stripe", "")
		if err != nil {
			t.Fatal(err)
		}
		return counts.ByState[string(integration.EventProcessed)] == events
	})
	var all, distinct int
	if err := conn.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT event) FROM effects").Scan(&all, &distinct); err != nil {
		t.Fatal(err)
	}
	if all != events || distinct != events {
		t.Errorf("%d events had %d effects, of %d of them: want each once", events, all, distinct)
	}
	var again int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM webhook_events WHERE attempts > 1").Scan(&again); err != nil || again < rounds/2 {
		t.Errorf("only %d events were begun twice (%v): the gateways died at nothing", again, err)
	}
	var told int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM deliveries WHERE state = 'succeeded'").Scan(&told); err != nil {
		t.Fatal(err)
	}
	if told != events {
		t.Errorf("%d deliveries were written down for %d events", told, events)
	}
}

func start(t *testing.T, dsn, plans string, round, killAt int) *exec.Cmd {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDatabase+"="+dsn, childPlans+"="+plans, childRound+"="+strconv.Itoa(round), childKillAt+"="+strconv.Itoa(killAt))
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child
}

func effects(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM effects").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// until asks again and again, for a minute.
func until(t *testing.T, true func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !true(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it does not come about")
		}
	}
}
