package sallyport_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store"
	database "github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/services"
)

// onEngines runs a test on each engine; place puts a configuration's database there.
func onEngines(t *testing.T, test func(t *testing.T, place func(*sallyport.Config))) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, func(*sallyport.Config) {})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, func(c *sallyport.Config) { c.Database = services.Postgres(t).DSN() })
	})
}

// openAny opens the database of c, whichever engine it is on.
func openAny(t testing.TB, c sallyport.Config) store.Store {
	t.Helper()
	opened, err := database.Database(t.Context(), c.Database, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// said is a log that hands on the messages of some kind.
type said struct {
	slog.Handler
	message string
	records chan slog.Record
}

func newSaid(message string) *said {
	return &said{Handler: slog.DiscardHandler, message: message, records: make(chan slog.Record, 100)}
}

func (s *said) Enabled(context.Context, slog.Level) bool { return true }

func (s *said) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s *said) WithGroup(string) slog.Handler      { return s }

func (s *said) Handle(_ context.Context, r slog.Record) error {
	if r.Message == s.message {
		s.records <- r
	}
	return nil
}

// R5.7: the destination has what the plan redacts; what is kept, shown and logged
// after that has not, and what nobody is to receive never had.
func TestRedactedValuesAreNotKept(t *testing.T) { onEngines(t, testRedacted) }

func testRedacted(t *testing.T, place func(*sallyport.Config)) {
	got := make(chan rawDelivery, 10)
	destination := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- rawDelivery{r.Header, body}
	}))
	defer destination.Close()
	c := configure(t, "mappings: {}", `destinations: {app: {url: "`+destination.URL+`", secret: "env:LIVE"}}`,
		"invoice.paid: {from: data.object}", "invoice.paid: {from: data.object, to: app}\n  redact: [data.object.email]")
	place(&c)
	delivered := newSaid("delivery.attempted")
	c.Log = slog.New(delivered)
	app := start(t, c)
	address, stop, ended := serving(t, app)
	send := func(id, kind string) {
		payload := `{"id": "` + id + `", "object": "event", "type": "` + kind + `",  "created": 1764000000, "data": {"object": {"id": "in_1", "email": "jo@canary.example", "n": 1.50}}}`
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(payload), Secret: webhookSecret})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/api/webhooks/stripe", strings.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Stripe-Signature", signed.Header)
		r.Header.Set("Content-Type", "application/json")
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the door answered %d", resp.StatusCode)
		}
	}
	send("evt_used", "invoice.paid")
	send("evt_unused", "charge.refunded")
	if d := arrived(t, got); !strings.Contains(string(d.body), "jo@canary.example") {
		t.Errorf("delivered was %s", d.body)
	}
	arrived(t, delivered.records)
	stop()
	if err := await(t, ended); err != nil {
		t.Fatal(err)
	}
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	store := openAny(t, c)
	defer store.Close()
	events, _, err := store.Events(t.Context(), integration.Filter{})
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range events {
		whole, _, err := store.Event(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"id": "` + e.ExternalID + `", "object": "event", "type": "` + e.Type + `",  "created": 1764000000, "data": {"object": {"id": "in_1", "email": "[redacted]", "n": 1.50}}}`
		if string(whole.Payload) != want || whole.Kept != integration.KeptRedacted || e.Status != map[string]integration.EventStatus{"evt_used": integration.EventProcessed, "evt_unused": integration.EventIgnored}[e.ExternalID] {
			t.Errorf("%s is %s, kept is %d: %s", e.ExternalID, e.Status, whole.Kept, whole.Payload)
		}
	}
}

// R5.4, R5.7: retention is on by default, for services without a plan as well, and
// off when it is said so.
func TestRetention(t *testing.T) { onEngines(t, testRetention) }

func testRetention(t *testing.T, place func(*sallyport.Config)) {
	for name, off := range map[string]bool{"on": false, "off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := configure(t)
			place(&c)
			c.NoRetention = off
			log := newSaid(map[bool]string{false: "retention.swept", true: "retention.off"}[off])
			c.Log = slog.New(log)
			now := time.Now()
			store := openAny(t, c)
			ids := map[string]int{}
			for service, days := range map[string][]int{"stripe": {1, 40, 100}, "gone": {29, 31, 91}} {
				for _, n := range days {
					e := &integration.Event{
						ID: service + time.Duration(n).String(), Service: service, ExternalID: time.Duration(n).String(), Type: "t", Status: integration.EventIgnored,
						ReceivedAt: now.AddDate(0, 0, -n), Payload: []byte("{}"),
					}
					if _, err := store.Accept(t.Context(), e); err != nil {
						t.Fatal(err)
					}
					ids[e.ID] = n
				}
			}
			// As it is when the first deletion was announced long ago.
			if _, err := store.TakeHousekeeping(t.Context(), "before", now.Add(-time.Hour), now.Add(-time.Minute), now.Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
			store.Close()
			app := start(t, c)
			if err := app.On("stripe", "invoice.paid", ignore); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- app.Run(ctx) }()
			arrived(t, log.records)
			stop()
			if err := await(t, ended); err != nil {
				t.Fatal(err)
			}
			if err := app.Close(); err != nil {
				t.Fatal(err)
			}
			store = openAny(t, c)
			defer store.Close()
			for id, n := range ids {
				e, _, err := store.Event(t.Context(), id)
				gone, emptied := errors.Is(err, integration.ErrNotFound), e.Kept == integration.KeptNothing
				if gone != (n > 90 && !off) || !gone && emptied != (n > 30 && !off) {
					t.Errorf("%s, %d days old: gone %t, emptied %t, %v", id, n, gone, emptied, err)
				}
			}
		})
	}
}
