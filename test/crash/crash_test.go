// Package crash kills the gateway, and its database, again and again while
// webhooks arrive, and then counts. "make reliability" does so for longer, on a
// database that waits for the disk, and says what it counted.
package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/gateway"
	"github.com/sallyport/sallyport/test/services"
)

func TestMain(m *testing.M) {
	code := m.Run()
	gateway.Clean()
	os.Exit(code)
}

// rounds is how often the gateway is killed, on each store; a database takes
// longer to come back and is killed a fifth as often unless this is set.
var rounds = flag.Int("rounds", 0, "how often to kill, on each store; 0: 30 times, a database 6 times")

// durable has PostgreSQL wait for the disk before it says that something is
// committed. What this process kills does not need that, as the kernel keeps
// what was written; it is there for the figures to be those of real settings.
var durable = flag.Bool("durable", false, "let PostgreSQL wait for the disk, as outside of tests")

// postgres is a server of the test's own.
func postgres(t *testing.T) *services.Server {
	t.Helper()
	if *durable {
		return services.Postgres(t, "fsync=on", "synchronous_commit=on", "full_page_writes=on")
	}
	return services.Postgres(t)
}

func killings(usual int) int {
	if *rounds > 0 {
		return *rounds
	}
	return usual
}

const (
	senders = 8
	secret  = "whsec_crash_test"
)

// engines are the stores, each with a way to a new database: a file, or a DSN.
var engines = map[string]func(*testing.T) string{
	"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "crash.db") },
	"PostgreSQL": func(t *testing.T) string { return postgres(t).DSN() },
}

// onEach runs a test on each store.
func onEach(t *testing.T, test func(t *testing.T, database string)) {
	t.Parallel()
	for name, database := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, database(t))
		})
	}
}

// dsn is how the store is opened that a gateway has under this name.
func dsn(database string) string {
	if strings.Contains(database, "://") {
		return database
	}
	return "sqlite:" + database
}

const crashPlan = `sallyport: 1
service: stripe
uses: stripe
need: Survive.
environments:
  development:
    base_url: http://127.0.0.1:9
    secrets: {api_key: env:KEY, webhook_secret: env:SECRET}
auth: {use: api_key}
endpoints:
  get_invoice: {call: "GET /v1/invoices/{invoice}", purpose: Read an invoice., effect: read}
webhooks:
  events:
    invoice.paid: {from: data.object, to: app}
destinations:
  app: {url: "%s", secret: env:APP_SECRET}
`

// R0.5, R5.4, R5.8: whatever moment the gateway dies at, every event answered
// 200 is in the table once and is delivered at least once.
func TestKilledAtRandomMoments(t *testing.T) { onEach(t, killedAtRandomMoments) }

func killedAtRandomMoments(t *testing.T, database string) {
	app := newApp()
	defer app.Close()
	options := eventGateway(t, database, app.URL)
	rounds := killings(30)
	var acknowledged sync.Map // external id → true
	var sequence atomic.Int64
	killed := 0
	for range rounds {
		p := gateway.Start(t, options)
		ctx, stop := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		for range senders {
			sending.Go(func() { send(ctx, p, &sequence, &acknowledged) })
		}
		select {
		case <-time.After(time.Duration(20+rand.IntN(250)) * time.Millisecond):
		case <-ctx.Done():
		}
		p.Kill()
		killed++
		stop()
		sending.Wait()
	}
	want := map[string]bool{}
	acknowledged.Range(func(id, _ any) bool { want[id.(string)] = true; return true })
	if killed != rounds || len(want) < rounds {
		t.Fatalf("%d rounds, %d events acknowledged: too little to prove anything", killed, len(want))
	}

	last := gateway.Start(t, options)
	count(t, last, app, database, want)
	t.Logf("%d kills, %d events acknowledged, %d delivered", killed, len(want), app.distinct())
}

// eventGateway is a gateway that hands events on to an application.
func eventGateway(t *testing.T, database, app string) gateway.Options {
	t.Helper()
	plans := t.TempDir()
	if err := os.WriteFile(filepath.Join(plans, "stripe.yaml"), fmt.Appendf(nil, crashPlan, app), 0o644); err != nil {
		t.Fatal(err)
	}
	return gateway.Options{
		Plans: plans, Database: database,
		Env: []string{"KEY=sk_test_crash", "SECRET=" + secret, "APP_SECRET=whsec_Y3Jhc2g="},
	}
}

// count waits until what was acknowledged is delivered, stops the gateway, and
// sees that all of it is in the table, each event once.
func count(t *testing.T, last *gateway.Process, app *app, database string, want map[string]bool) {
	t.Helper()
	missing := app.waitFor(t.Context(), want, time.Minute)
	if len(missing) > 0 {
		t.Errorf("%d of %d acknowledged events were never delivered, such as %s\n%s", len(missing), len(want), missing[0], tail(last.Log()))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := last.Stop(ctx); err != nil {
		t.Errorf("stop: %v\n%s", err, tail(last.Log()))
	}

	stored := storedEvents(t, database)
	for id := range want {
		if stored[id] == 0 {
			t.Errorf("event %s was answered 200 and is not in the table", id)
		}
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("event %s is in the table %d times", id, n)
		}
	}
}

// send posts signed events, each under a new id and some twice, until the
// gateway is gone.
func send(ctx context.Context, p *gateway.Process, sequence *atomic.Int64, acknowledged *sync.Map) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		id := fmt.Sprintf("evt_crash_%08d", sequence.Add(1))
		payload := fmt.Appendf(nil, `{"id":%q,"object":"event","type":"invoice.paid","created":%d,"data":{"object":{"id":"in_1","object":"invoice","external":%q}}}`, id, time.Now().Unix(), id)
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: secret})
		for range 1 + rand.IntN(2) {
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL("/api/webhooks/stripe"), bytes.NewReader(payload))
			if err != nil {
				return
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Stripe-Signature", signed.Header)
			answer, err := client.Do(request)
			if err != nil {
				return // it died: whether this one was kept is open, and that is allowed
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				acknowledged.Store(id, true)
			}
		}
	}
}

// storedEvents counts the rows of each external id.
func storedEvents(t *testing.T, database string) map[string]int {
	t.Helper()
	store, err := open.Database(t.Context(), dsn(database), open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	counts := map[string]int{}
	for cursor := ""; ; {
		events, next, err := store.Events(t.Context(), integration.Filter{Service: "stripe", Limit: 500, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			counts[e.ExternalID]++
		}
		if cursor = next; cursor == "" {
			return counts
		}
	}
}

// app is the user's own application: it takes deliveries and remembers ids.
type app struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]int
	news chan struct{}
	held chan struct{} // deliveries wait until it is closed; nil: none does
}

func newApp() *app {
	a := &app{seen: map[string]int{}, news: make(chan struct{}, 1)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Data struct {
				External string `json:"external"`
			} `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil || event.Data.External == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		a.mu.Lock()
		held := a.held
		a.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-r.Context().Done():
				return
			}
		}
		a.mu.Lock()
		a.seen[event.Data.External]++
		a.mu.Unlock()
		select {
		case a.news <- struct{}{}:
		default:
		}
	}))
	return a
}

// hold keeps deliveries waiting until release.
func (a *app) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = make(chan struct{})
}

func (a *app) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.held)
	a.held = nil
}

// deliveries are how often each event came.
func (a *app) deliveries() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.seen)
}

func (a *app) distinct() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// waitFor returns the ids that did not come within the time.
func (a *app) waitFor(ctx context.Context, want map[string]bool, within time.Duration) []string {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		a.mu.Lock()
		var missing []string
		for id := range want {
			if a.seen[id] == 0 {
				missing = append(missing, id)
			}
		}
		a.mu.Unlock()
		if len(missing) == 0 || ctx.Err() != nil {
			return missing
		}
		select {
		case <-a.news:
		case <-ctx.Done():
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-4000):] }
