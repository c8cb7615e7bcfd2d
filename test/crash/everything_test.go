package crash

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/gateway"
	"github.com/sallyport/sallyport/test/services"
)

// R0.5, R5.4, R5.6, R5.8: whatever dies, the gateway, its database or both at
// once, and whenever it does while 500 events a second come in, every event
// answered 200 is in the table once and is delivered.
func TestEverythingKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		everythingKilled(t, engines["SQLite"](t), nil)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		server := postgres(t)
		everythingKilled(t, server.DSN(), server)
	})
}

// everythingKilled kills the gateway and, where there is one, its database.
func everythingKilled(t *testing.T, database string, server *services.Server) {
	app := newApp()
	defer app.Close()
	options := eventGateway(t, database, app.URL)
	var p atomic.Pointer[gateway.Process]
	p.Store(gateway.Start(t, options))
	began := time.Now()
	flow := startFlowTo(t.Context(), func(int64) *gateway.Process { return p.Load() })
	defer flow.stop()
	rounds := killings(8)
	killed := map[string]int{}
	var back []time.Duration
	for round := range rounds {
		pause(t.Context(), time.Duration(50+rand.IntN(450))*time.Millisecond)
		what := "gateway"
		if server != nil {
			what = [...]string{"gateway", "database", "both"}[round%3]
		}
		if what != "gateway" {
			server.Kill()
		}
		if what != "database" {
			p.Load().Kill()
		}
		killed[what]++
		pause(t.Context(), time.Duration(rand.IntN(100))*time.Millisecond)
		dead := time.Now()
		if what != "gateway" {
			server.Start()
		}
		if what != "database" {
			p.Store(gateway.Start(t, options))
		}
		flow.waitFor(t, http.StatusOK)
		back = append(back, time.Since(dead))
	}
	flow.stop()
	took := time.Since(began)
	delete(flow.odd, "no answer") // of a gateway that was killed: what became of those is open, and may be
	if len(flow.odd) > 0 {
		t.Errorf("answers other than 200 and 503: %v", flow.odd)
	}
	if len(flow.acknowledged) < 20*rounds {
		t.Fatalf("%d kills, %d events acknowledged: too little to prove anything", rounds, len(flow.acknowledged))
	}
	count(t, p.Load(), app, database, flow.acknowledged)
	settled(t, database)
	again := 0
	for _, n := range app.deliveries() {
		if n > 1 {
			again++
		}
	}
	slices.Sort(back)
	t.Logf("%d kills (%s) in %s, %.0f events a second, %d acknowledged, %d told to come again, %d delivered, %d of them more than once; taking events again after %s at the median, %s at most",
		rounds, counts(killed), took.Round(time.Second), float64(flow.offered)/took.Seconds(), len(flow.acknowledged), flow.refused, app.distinct(), again,
		back[len(back)/2].Round(time.Millisecond), back[len(back)-1].Round(time.Millisecond))
}

// settled sees that no event of the table was given up, whatever killed the
// instance that had it in hand.
func settled(t *testing.T, database string) {
	t.Helper()
	store, err := open.Database(t.Context(), dsn(database), open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	events, _, err := store.Events(t.Context(), integration.Filter{Service: "stripe", Status: string(integration.EventFailed), Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		t.Errorf("event %s was given up after a crash: %s", e.ExternalID, e.Error)
	}
}

func counts(of map[string]int) string {
	var parts []string
	for what, n := range of {
		parts = append(parts, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
