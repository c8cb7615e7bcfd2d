package crash

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/gateway"
)

// R9.2: two instances on one database share the work: nothing is delivered twice
// while both live, and each shows what the other took in.
func TestTwoInstances(t *testing.T) {
	t.Parallel()
	app := newApp()
	defer app.Close()
	database := postgres(t).DSN()
	key := adminKey(t, database)
	options := eventGateway(t, database, app.URL)
	one, other := gateway.Start(t, options), gateway.Start(t, options)
	flow := startFlow(t.Context(), one, other)
	defer flow.stop()
	pause(t.Context(), 2*time.Second)
	flow.stop()
	if len(flow.odd) > 0 || flow.refused > 0 {
		t.Errorf("%d told to come again, and %v", flow.refused, flow.odd)
	}
	if missing := app.waitFor(t.Context(), flow.acknowledged, time.Minute); len(missing) > 0 {
		t.Fatalf("%d of %d events were not delivered", len(missing), len(flow.acknowledged))
	}
	for id, n := range app.deliveries() {
		if n != 1 {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
	for _, p := range []*gateway.Process{one, other} {
		n := 0
		for range 100 { // what was delivered last is written down a moment later
			if n = processed(t, p, key); n == len(flow.acknowledged) {
				break
			}
			pause(t.Context(), 50*time.Millisecond)
		}
		if n != len(flow.acknowledged) {
			t.Errorf("an instance shows %d processed events, want %d", n, len(flow.acknowledged))
		}
	}
	t.Logf("%d events by two instances, each delivered once", len(flow.acknowledged))
}

// R5.8, R9.2: what an instance had in hand when it died is done by the other
// within seconds.
func TestInstanceKilled(t *testing.T) {
	t.Parallel()
	app := newApp()
	defer app.Close()
	database := postgres(t).DSN()
	options := eventGateway(t, database, app.URL)
	one, other := gateway.Start(t, options), gateway.Start(t, options)
	app.hold() // deliveries stay in hand
	flow := startFlow(t.Context(), one)
	defer flow.stop()
	pause(t.Context(), time.Second)
	flow.stop()
	one.Kill()
	app.release()
	began := time.Now()
	if missing := app.waitFor(t.Context(), flow.acknowledged, 40*time.Second); len(missing) > 0 {
		t.Fatalf("%d of %d events were not delivered\n%s", len(missing), len(flow.acknowledged), tail(other.Log()))
	}
	t.Logf("%d events taken in by an instance that died; the other had delivered all %s later", len(flow.acknowledged), time.Since(began).Round(100*time.Millisecond))
	count(t, other, app, database, flow.acknowledged)
}

// adminKey makes a key in a database.
func adminKey(t *testing.T, database string) string {
	t.Helper()
	store, err := open.Database(t.Context(), dsn(database), open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	secret, record := api.NewKey("crash", integration.ScopeAdmin, time.Now())
	if err := store.CreateKey(t.Context(), record, integration.AuditEntry{ID: "a-1", At: time.Now(), Action: "key.create", Target: record.ID}); err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

// processed counts the processed events that an instance lists.
func processed(t *testing.T, p *gateway.Process, key string) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for cursor := ""; ; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL("/api/v1/admin/integrations/stripe/logs?kind=event&status=processed&limit=500&cursor="+cursor), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Events []json.RawMessage
			Next   string
		}
		err = json.NewDecoder(answer.Body).Decode(&page)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Events)
		if cursor = page.Next; cursor == "" {
			return n
		}
	}
}
