package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// layer is one way of making a call, over a transport of the measurement's.
type layer struct {
	name string
	wrap func(http.RoundTripper) (http.RoundTripper, error)
}

// layers are what is compared: everything each of them has is switched on, and
// nothing ever fails, waits or is refused.
//
//nolint:bodyclose // policies are made here, nothing is asked
func layers() []layer {
	return []layer{
		{"net/http alone", func(rt http.RoundTripper) (http.RoundTripper, error) { return rt, nil }},
		{"go-retryablehttp: retries", func(rt http.RoundTripper) (http.RoundTripper, error) {
			c := retryablehttp.NewClient()
			c.Logger, c.HTTPClient = nil, &http.Client{Transport: rt}
			return &retryablehttp.RoundTripper{Client: c}, nil
		}},
		{"failsafehttp: retries", func(rt http.RoundTripper) (http.RoundTripper, error) {
			return failsafehttp.NewRoundTripper(rt, failsafehttp.NewRetryPolicyBuilder().Build()), nil
		}},
		{"failsafehttp: retries, breaker, limit, timeout", func(rt http.RoundTripper) (http.RoundTripper, error) {
			return failsafehttp.NewRoundTripper(rt,
				failsafehttp.NewRetryPolicyBuilder().Build(),
				circuitbreaker.NewBuilder[*http.Response]().WithFailureRateThreshold(0.5, 20, 30*time.Second).Build(),
				ratelimiter.NewBurstyBuilder[*http.Response](1<<30, time.Second).WithMaxWaitTime(time.Second).Build(),
				timeout.New[*http.Response](30*time.Second)), nil
		}},
		{"sallyport: credential, breaker, limits, budget, retries, timeout, record", sallyportLayer(nil)},
		{"sallyport, and a line of JSON log a call", sallyportLayer(slog.New(slog.NewJSONHandler(io.Discard, nil)))}, //nolint:sloglint // the writing of the line is what is measured
	}
}

const layerPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments: {development: {base_url: "BASE"}}
auth: {use: api_key}
endpoints: {get_customer: {call: "GET /v1/customers/{id}", purpose: Show the payer., effect: read}}
`

// discarded records nothing: what the store costs is its own measurement.
type discarded struct{}

func (discarded) Record(context.Context, *integration.Call) error { return nil }

func sallyportLayer(log *slog.Logger) func(http.RoundTripper) (http.RoundTripper, error) {
	return func(rt http.RoundTripper) (http.RoundTripper, error) {
		p, err := plan.Parse("stripe.yaml", []byte(strings.Replace(layerPlan, "BASE", "http://127.0.0.1:1", 1)), catalog.Load)
		if err != nil {
			return nil, err
		}
		if at, ok := rt.(*toServer); ok {
			p.Environments["development"] = plan.Environment{BaseURL: at.base}
		}
		for i := range p.Provider.Limits.List {
			p.Provider.Limits.List[i].Limit = 1 << 30
		}
		s, err := call.New(call.Config{
			Plan: p, Environment: "development", Transport: rt, Journal: discarded{}, Log: log,
			Secret: func() integration.Secret { return integration.NewSecret("sk_test_bench") },
		})
		if err != nil {
			return nil, err
		}
		return s.Transport("acme", integration.EntryClient), nil
	}
}

// instant answers at once, without a network.
type instant struct{}

func (instant) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody, Request: r}, nil
}

// toServer is net/http to a server on the loopback interface.
type toServer struct {
	http.RoundTripper
	base string
}

// inProcess is what one call costs without a network.
type inProcess struct{ nanoseconds, allocations float64 }

func measureLayers(rounds int, length time.Duration) (string, error) {
	all := layers()
	alone := make(map[string][]inProcess, len(all))
	over := make(map[string][]float64, len(all))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"cus_1","object":"customer","email":"a@example.com"}`)
	}))
	defer server.Close()
	for round := range rounds {
		for i := range all {
			one := all[(i+round)%len(all)]
			fmt.Fprintf(os.Stderr, "%-16s round %d/%d  %s\n", "outbound", round+1, rounds, one.name)
			cost, err := costOf(one)
			if err != nil {
				return "", fmt.Errorf("%s: %w", one.name, err)
			}
			alone[one.name] = append(alone[one.name], cost)
			rate, err := rateOf(one, server.URL, length/2)
			if err != nil {
				return "", fmt.Errorf("%s: %w", one.name, err)
			}
			over[one.name] = append(over[one.name], rate)
		}
	}
	return layerReport(all, alone, over), nil
}

func costOf(one layer) (inProcess, error) {
	rt, err := one.wrap(instant{})
	if err != nil {
		return inProcess{}, err
	}
	var failed error
	r := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if err := ask(rt, "http://127.0.0.1:1"); err != nil {
				failed = err
				return
			}
		}
	})
	return inProcess{float64(r.T.Nanoseconds()) / float64(r.N), float64(r.MemAllocs) / float64(r.N)}, failed
}

func ask(rt http.RoundTripper, base string) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, base+"/v1/customers/cus_1", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer sk_test_dummy")
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // read to its end
	return err
}

// rateOf is how many calls a second 64 callers make over the loopback interface.
func rateOf(one layer, base string, length time.Duration) (float64, error) {
	pool := &http.Transport{MaxIdleConnsPerHost: 64}
	defer pool.CloseIdleConnections()
	rt, err := one.wrap(&toServer{pool, base})
	if err != nil {
		return 0, err
	}
	var made atomic.Int64
	var callers sync.WaitGroup
	failed := make(chan error, 64)
	start := time.Now()
	for range 64 {
		callers.Go(func() {
			for time.Since(start) < length {
				if err := ask(rt, base); err != nil {
					failed <- err
					return
				}
				made.Add(1)
			}
		})
	}
	callers.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	return float64(made.Load()) / time.Since(start).Seconds(), nil
}

func layerReport(all []layer, alone map[string][]inProcess, over map[string][]float64) string {
	var b strings.Builder
	b.WriteString(`## Calls out

What a layer adds to one call in process (a transport that answers at once), and how many calls 64 callers make through it to a server on the
loopback interface. Nothing fails, waits or is refused; each layer has all it offers switched on. Ratios are to the full failsafehttp, and to
net/http alone.

| layer | added ns | added allocations | of failsafehttp | calls/s, 64 callers | of net/http |
| --- | ---: | ---: | ---: | ---: | ---: |
`)
	ns := func(name string) float64 {
		return median(alone[name], func(x inProcess) float64 { return x.nanoseconds })
	}
	allocations := func(name string) float64 {
		return median(alone[name], func(x inProcess) float64 { return x.allocations })
	}
	rate := func(name string) float64 { return median(over[name], func(x float64) float64 { return x }) }
	bare := all[0].name
	full := all[slices.IndexFunc(all, func(l layer) bool { return strings.HasPrefix(l.name, "failsafehttp: retries, breaker") })].name
	for _, one := range all {
		added := ns(one.name) - ns(bare)
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %.2f | %.0f | %.2f |\n", one.name, added, allocations(one.name)-allocations(bare), added/(ns(full)-ns(bare)), rate(one.name), rate(one.name)/rate(bare))
	}
	b.WriteString("\n")
	return b.String()
}
