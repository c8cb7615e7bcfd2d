package call_test

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/cache"
	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// R4.15: identical reads in flight share one request, each with its own answer;
// another customer's, and another tenant's, are others.
func TestReadsInFlightShareOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		p.Endpoints["get_customer"].Cache = plan.Duration(time.Second)
		b := newBundle(t, p, "development", func(r *http.Request) (*http.Response, error) {
			time.Sleep(time.Second) // the provider's time, on synctest's clock
			return answer(200, `{"id":"`+r.URL.Path+`"}`)(r)
		})
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				tenant, id := []string{"a", "b"}[i%2], []string{"1", "2", "3"}[i%3]
				resp, err := b.Transport(tenant, integration.EntryClient).RoundTrip(request(t, http.MethodGet, customers+"/"+id, ""))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != `{"id":"/v1/customers/`+id+`"}` {
					t.Errorf("%s %v", body, err)
				}
			})
		}
		wg.Wait()
		if n := len(b.provider.asked); n != 6 {
			t.Errorf("%d requests for 6 different reads", n)
		}
	})
}

// R4.15, R4.11: an answer is served again for the endpoint's time, then
// revalidated; a write to it ends that; while the provider is down the last one
// stands in, marked.
func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		p.Endpoints["get_customer"].Cache, p.Endpoints["get_customer"].Fallback = plan.Duration(30*time.Second), "cached"
		down := false
		b := newBundle(t, p, "development", func(r *http.Request) (*http.Response, error) {
			switch {
			case down:
				return answer(503, `{}`)(r)
			case r.Header.Get("If-None-Match") == `"1"`:
				return answer(304, ``, "ETag: \"1\"")(r)
			}
			return answer(200, `{"id":"cus_1","currency":"usd"}`, "ETag: \"1\"", "Cache-Control: no-cache, no-store")(r)
		})
		get := func(want string, requests int) {
			t.Helper()
			out, err := b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": "cus_1"}})
			if err != nil || !same(t, out.Body, `{"stripeCustomerId":"cus_1","currency":"usd"}`) || out.Cache != want || (out.CallID == "") != (want == cache.Hit) {
				t.Errorf("got %+v %v, want %s", out, err, want)
			}
			if n := len(b.provider.asked); n != requests {
				t.Errorf("%s: %d requests, want %d", want, n, requests)
			}
		}
		get(cache.Miss, 1)
		get(cache.Hit, 1)
		time.Sleep(31 * time.Second)
		get(cache.Revalidated, 2)
		get(cache.Hit, 2)
		if _, err := b.Endpoint(t.Context(), "update_customer", call.Request{Path: map[string]string{"id": "cus_1"}, Body: []byte(`{"email":"a"}`)}); err != nil {
			t.Fatal(err)
		}
		get(cache.Miss, 4)
		time.Sleep(31 * time.Second)
		down = true
		get(cache.Stale, 8)
		status, _, header, err := b.ask(t, request(t, http.MethodGet, customers+"/cus_2", ""))
		if err != nil || status != 503 || header.Get(call.HeaderFallback) != "" {
			t.Errorf("what was never read: %d %v %v", status, header, err)
		}
		for _, c := range b.journal.calls {
			if c.State.Kept() {
				t.Errorf("a read is kept for a person: %+v", c)
			}
		}
	})
}

// A failure is never kept, also one inside a 200 (R4.9).
func TestCacheKeepsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, stripePlan)
		p.Endpoints["get_customer"].Cache = plan.Duration(30 * time.Second)
		b := newBundle(t, p, "development", answer(404, `{"error":{"message":"gone"}}`))
		for range 2 {
			out, err := b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": "cus_1"}})
			if err == nil || out.Status != 404 || out.CallID == "" {
				t.Errorf("got %+v %v", out, err)
			}
		}
		if n := len(b.provider.asked); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}
