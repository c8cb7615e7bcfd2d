package sallyport_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/test/services"
)

const sharedPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments: {development: {base_url: "BASE", secrets: {api_key: env:STRIPE_API_KEY}}}
auth: {use: api_key}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Look., effect: read}
limits: {wait: 1ms}
errors:
  429: {retry: never}
`

// instances are gateways that share a provider, and a Redis or a database.
func instances(t *testing.T, n int, redis, database string, provider http.HandlerFunc) []*sallyport.App {
	t.Helper()
	server := httptest.NewServer(provider)
	t.Cleanup(server.Close)
	var apps []*sallyport.App
	for range n {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "stripe.yaml"), []byte(strings.Replace(sharedPlan, "BASE", server.URL, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		at := database
		if at == "" {
			at = "sqlite:" + filepath.Join(dir, "s.db")
		}
		app, err := sallyport.New(t.Context(), sallyport.Config{
			Plans: dir, Database: at, Redis: redis, Log: slog.New(slog.DiscardHandler),
			LookupEnv: func(string) (string, bool) { return "sk_test_1", true },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- app.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-ran; err != nil {
				t.Error(err)
			}
			if err := app.Close(); err != nil {
				t.Error(err)
			}
		})
		apps = append(apps, app)
	}
	return apps
}

// ask makes calls until as many were answered by the provider as wanted, or the
// time is over, and returns how many there were.
func ask(t *testing.T, app *sallyport.App, want int, within time.Duration) (answered int) {
	t.Helper()
	client, err := app.Client("stripe", "")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(within); answered < want && time.Now().Before(end); {
		resp, err := client.Get("https://api.stripe.com/v1/customers/cus_1")
		if err != nil {
			continue // our own limit
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		answered++
	}
	return answered
}

// R4.13: instances that share a Redis keep one limit together; without it each
// goes on with its part, and an instance starts also when Redis is not there.
func TestInstancesShareLimits(t *testing.T) {
	t.Parallel()
	redis := services.Redis(t)
	var asked atomic.Int64
	provider := func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"cus_1"}`)
	}
	apps := instances(t, 2, redis.URL(), "", provider)
	start := time.Now()
	var both sync.WaitGroup
	for _, app := range apps {
		both.Go(func() { ask(t, app, 40, 3*time.Second) })
	}
	both.Wait()
	// Stripe's sandbox allows 25 a second; 80 % of it is 20, for both together.
	seconds := int64(time.Since(start)/time.Second) + 1
	if n := asked.Load(); n > 20*seconds || n < 20 {
		t.Errorf("%d requests in %d seconds", n, seconds)
	}
	redis.Kill()
	if n := ask(t, apps[0], 1, 5*time.Second); n != 1 {
		t.Error("without Redis nothing goes through")
	}
	late := instances(t, 1, redis.URL(), "", provider)[0]
	if n := ask(t, late, 1, 5*time.Second); n != 1 {
		t.Error("an instance that starts without Redis makes no calls")
	}
	redis.Start()
	if n := ask(t, apps[1], 5, 5*time.Second); n != 5 {
		t.Errorf("%d calls once Redis is back", n)
	}
}

// R4.13, R9.2: without Redis, instances on one PostgreSQL keep one limit together.
func TestInstancesShareLimitsThroughTheDatabase(t *testing.T) {
	t.Parallel()
	database := services.Postgres(t)
	var asked atomic.Int64
	apps := instances(t, 2, "", database.DSN(), func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"cus_1"}`)
	})
	start := time.Now()
	var both sync.WaitGroup
	for _, app := range apps {
		both.Go(func() { ask(t, app, 40, 3*time.Second) })
	}
	both.Wait()
	seconds := int64(time.Since(start)/time.Second) + 1
	if n := asked.Load(); n > 20*seconds || n < 20 {
		t.Errorf("%d requests in %d seconds", n, seconds)
	}
}
