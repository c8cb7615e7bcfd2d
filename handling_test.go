package sallyport_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/integration"
	database "github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/services"
)

func ignoreTx(context.Context, sallyport.Tx, sallyport.Event) error { return nil }

// Design decision 5: an SQLite gateway says that it can't.
func TestOnTxNeedsPostgreSQL(t *testing.T) {
	t.Parallel()
	app := start(t, configure(t))
	if err := app.OnTx("stripe", "invoice.paid", ignoreTx); err == nil || !strings.Contains(err.Error(), "PostgreSQL") || !strings.Contains(err.Error(), "use On") {
		t.Errorf("got %v", err)
	}
	for want, err := range map[string]error{
		`no plan for "paypal"`: app.OnTx("paypal", "invoice.paid", ignoreTx), `does not use the event "x"`: app.OnTx("stripe", "x", ignoreTx),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Design decision 5: a failed attempt leaves nothing, the next one writes once,
// and the event is processed without a lease being lost.
func TestOnTx(t *testing.T) {
	t.Parallel()
	c := configure(t)
	c.Database = services.Postgres(t).DSN()
	c.Redelivery = []time.Duration{time.Millisecond, time.Millisecond}
	store, err := database.Database(t.Context(), c.Database, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	conn, err := pgx.Connect(t.Context(), c.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // nothing is left to lose
	if _, err := conn.Exec(t.Context(), "CREATE TABLE effects (event text)"); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e := &integration.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Service: "stripe", ExternalID: "evt_1", Type: "invoice.paid", Payload: []byte(`{"data":{"object":{"id":"in_1"}}}`),
		Status: integration.EventReceived, ReceivedAt: now, DueAt: now,
	}
	if _, err := store.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	app := start(t, c)
	err = app.OnTx("stripe", "invoice.paid", func(ctx context.Context, tx sallyport.Tx, e sallyport.Event) error {
		if _, err := tx.Exec(ctx, "INSERT INTO effects VALUES ($1)", e.ID); err != nil {
			return err
		}
		switch e.Attempts {
		case 1:
			return errors.New("not yet")
		case 2:
			panic("not yet")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := app.OnTx("stripe", "invoice.paid", ignoreTx); err == nil {
		t.Error("two handlers for one event")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	var found integration.Event
	var deliveries []integration.Delivery
	for end := time.Now().Add(30 * time.Second); found.Status != integration.EventProcessed && time.Now().Before(end); {
		if found, deliveries, err = store.Event(t.Context(), e.ID); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := await(t, ended); err != nil {
		t.Fatal(err)
	}
	var effects int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM effects").Scan(&effects); err != nil || effects != 1 {
		t.Errorf("%d effects: %v", effects, err)
	}
	if found.Status != integration.EventProcessed || found.Attempts != 3 || len(deliveries) != 3 || deliveries[2].Destination != "handler" {
		t.Errorf("%+v %+v", found, deliveries)
	}
}
