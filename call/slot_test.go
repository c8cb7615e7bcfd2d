package call_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// R4.12: a request holds its place among those in flight until its answer is
// closed, and units are counted as the endpoint says.
func TestInFlightAndCost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		p.Provider.Limits.List = []catalog.Limit{{Name: "open", Unit: "concurrent", Limit: 5, Scope: "account"}} // 4 at 80 %
		b := newBundle(t, p, "development", answer(200, `{}`))
		var open []*http.Response
		for range 4 {
			resp, err := b.Transport("", integration.EntryClient).RoundTrip(request(t, http.MethodGet, customers+"/cus_1", ""))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, resp)
		}
		var fifth sync.WaitGroup
		var waited time.Duration
		start := time.Now()
		fifth.Go(func() {
			if status, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", "")); err != nil || status != 200 {
				t.Error(status, err)
			}
			waited = time.Since(start)
		})
		time.Sleep(time.Second) // synctest's clock
		open[0].Body.Close()
		fifth.Wait()
		for _, resp := range open {
			resp.Body.Close()
		}
		if waited != time.Second {
			t.Errorf("the fifth went after %s", waited)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		p.Provider.Limits.List = []catalog.Limit{{Name: "points", Unit: "points", Limit: 10, Window: 60, Scope: "account"}} // 8 at 80 %
		p.Endpoints["get_customer"].Cost = 4
		p.Limits.Wait = 0
		b := newBundle(t, p, "development", answer(200, `{}`))
		passed := 0
		for range 4 {
			if _, _, _, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_1", "")); err == nil {
				passed++
			}
		}
		if passed != 2 {
			t.Errorf("%d calls of 4 points in a share of 8", passed)
		}
	})
}
