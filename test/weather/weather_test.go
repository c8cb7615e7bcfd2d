// Package weather puts bad weather between calls and their provider: latency,
// resets, cut bodies, narrow lines, silence, hosts that are down. The provider
// counts what arrives, so that nothing can be doubled unseen.
package weather

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/send"
)

const weatherPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Talk through bad weather.
environments:
  development: {base_url: "http://BASE"}
auth: {use: api_key}
endpoints:
  read: {call: "GET /v1/customers/{id}", purpose: Look., effect: read, timeout: 400ms}
  update: {call: "POST /v1/customers/{id}", purpose: Keep in step., effect: update, timeout: 400ms}
  create: {call: POST /v1/customers, purpose: With a key., effect: create, idempotency: {header: Idempotency-Key, keep: 24h}, timeout: 400ms}
  note: {call: POST /v1/notes, purpose: Without a key., effect: create, timeout: 400ms}
  pay: {call: POST /v1/payouts, purpose: Money leaves., effect: irreversible, idempotency: {header: Idempotency-Key}, timeout: 400ms}
`

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics write to the global log
	m.Run()
}

// answerSize is what the provider answers with, larger than all buffers on the
// way.
const answerSize = 40 << 10

// scene is a service, the weather, and a provider that counts.
type scene struct {
	*call.Service
	t       *testing.T
	station *toxiproxy.ApiServer
	weather *toxiproxy.Proxy
	address string // of the weather

	mu       sync.Mutex
	arrived  int             // requests
	effects  map[string]bool // by key; without one each request is one
	calls    []integration.Call
	clearing func() // called between the first attempt and the second
}

// Record keeps a call, as a store would.
func (s *scene) Record(_ context.Context, c *integration.Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, *c)
	return nil
}

func (s *scene) provider(w http.ResponseWriter, r *http.Request) {
	_, err := io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	s.arrived++
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		key = fmt.Sprint("request ", s.arrived)
	}
	if err == nil {
		s.effects[key] = true
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":"x","fill":%q}`, strings.Repeat("x", answerSize))
}

// jitter is asked between attempts. There is no wait, and the weather clears if
// it is to.
func (s *scene) jitter() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clearing != nil {
		s.clearing()
		s.clearing = nil
	}
	return 0
}

func (s *scene) counts() (arrived, effects int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived, len(s.effects)
}

func newScene(t *testing.T, toxics ...string) *scene {
	t.Helper()
	s := &scene{t: t, effects: map[string]bool{}}
	upstream := httptest.NewServer(http.HandlerFunc(s.provider))
	t.Cleanup(upstream.Close)
	s.station = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	s.weather = toxiproxy.NewProxy(s.station, "provider", "127.0.0.1:0", strings.TrimPrefix(upstream.URL, "http://"))
	if err := s.weather.Start(); err != nil {
		t.Fatal(err)
	}
	s.address = s.weather.Listen
	t.Cleanup(func() { s.weather.Stop() })
	for _, toxic := range toxics {
		if _, err := s.weather.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := plan.Parse("stripe.yaml", []byte(strings.ReplaceAll(weatherPlan, "BASE", s.address)), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	own := *p.Provider
	own.Limits.List = nil
	p.Provider = &own
	sender, err := send.New(send.Config{Hosts: []string{s.address}, AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.CloseIdleConnections)
	s.Service, err = call.New(call.Config{
		Plan: p, Environment: "development", Transport: sender, Journal: s, Dice: s.jitter,
		Secret: func() integration.Secret { return integration.NewSecret("sk_test_1") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// clear puts fair weather in the place of bad. Connections do not live to see
// it.
func (s *scene) clear() {
	s.weather.Stop()
	s.weather = toxiproxy.NewProxy(s.station, "fair", s.address, s.weather.Upstream)
	if err := s.weather.Start(); err != nil {
		s.t.Error(err)
	}
}

// outcome is what a call came to.
type outcome struct {
	state    integration.CallState
	attempts int
	err      error
	took     time.Duration
}

// make calls an endpoint by name, whose answer is read to its end.
func (s *scene) make(ctx context.Context, endpoint string) outcome {
	in := call.Request{}
	if endpoint == "read" || endpoint == "update" {
		in.Path = map[string]string{"id": "cus_1"}
	}
	if endpoint != "read" {
		in.Body = []byte(`{"email":"jo@example.com"}`)
	}
	start := time.Now()
	_, err := s.Endpoint(ctx, endpoint, in)
	out := outcome{err: err, took: time.Since(start)}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.calls[len(s.calls)-1]
	out.state, out.attempts = last.State, len(last.Attempts)
	return out
}

var endpoints = []string{"read", "update", "create", "note", "pay"}

const (
	succeeded = integration.CallSucceeded
	failed    = integration.CallFailed
	unknown   = integration.CallUnknown
)

// end is what a call comes to.
type end struct {
	state    integration.CallState
	attempts int
}

// all is the same end for every endpoint.
func all(state integration.CallState, attempts int) map[string]end {
	w := map[string]end{}
	for _, name := range endpoints {
		w[name] = end{state, attempts}
	}
	return w
}

// byEffect lets what may be repeated end one way and what may not another.
func byEffect(state integration.CallState, attempts int) map[string]end {
	w := all(state, attempts)
	w["note"], w["pay"] = end{unknown, 1}, end{unknown, 1}
	return w
}

// R4.7, R4.8: what comes of each effect in each weather. What may not be
// repeated after it was sent is not, and is kept as unknown; with a key there is
// one effect, however often it was sent.
func TestWeather(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		toxics []string
		clears bool // before the second attempt
		want   map[string]end
	}{
		"some latency":             {[]string{`{"type":"latency","stream":"downstream","attributes":{"latency":60,"jitter":30}}`}, false, all(succeeded, 1)},
		"latency beyond the clock": {[]string{`{"type":"latency","stream":"downstream","attributes":{"latency":1500}}`}, false, byEffect(failed, 4)},
		"latency that passes":      {[]string{`{"type":"latency","stream":"downstream","attributes":{"latency":1500}}`}, true, byEffect(succeeded, 2)},
		"reset after sending":      {[]string{`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":30}}`, `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`}, true, byEffect(succeeded, 2)},
		"reset on the way":         {[]string{`{"type":"reset_peer","stream":"upstream","attributes":{"timeout":0}}`}, true, byEffect(succeeded, 2)},
		"reset for good":           {[]string{`{"type":"reset_peer","stream":"upstream","attributes":{"timeout":0}}`}, false, byEffect(failed, 4)},
		"cut in the header":        {[]string{`{"type":"limit_data","stream":"downstream","attributes":{"bytes":30}}`}, true, byEffect(succeeded, 2)},
		"cut in the body":          {[]string{`{"type":"limit_data","stream":"downstream","attributes":{"bytes":20000}}`}, true, byEffect(succeeded, 2)},
		"cut in the request":       {[]string{`{"type":"limit_data","stream":"upstream","attributes":{"bytes":60}}`}, true, byEffect(succeeded, 2)},
		"a line too narrow":        {[]string{`{"type":"bandwidth","stream":"downstream","attributes":{"rate":20}}`}, true, byEffect(succeeded, 2)},
		"a wide line":              {[]string{`{"type":"bandwidth","stream":"downstream","attributes":{"rate":4000}}`}, false, all(succeeded, 1)},
		"slices":                   {[]string{`{"type":"slicer","stream":"downstream","attributes":{"average_size":400,"size_variation":200,"delay":100}}`, `{"type":"slicer","stream":"upstream","attributes":{"average_size":3,"size_variation":2,"delay":10}}`}, false, all(succeeded, 1)},
		"silence":                  {[]string{`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`}, true, byEffect(succeeded, 2)},
		"closed without a word":    {[]string{`{"type":"timeout","stream":"downstream","attributes":{"timeout":20}}`}, true, byEffect(succeeded, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls sync.WaitGroup
			defer calls.Wait()
			for _, endpoint := range endpoints {
				s := newScene(t, c.toxics...)
				if c.clears {
					s.clearing = s.clear
				}
				calls.Go(func() { s.check(t, endpoint, c.want[endpoint]) })
			}
		})
	}
}

func (s *scene) check(t *testing.T, endpoint string, w end) {
	t.Helper()
	got := s.make(t.Context(), endpoint)
	if got.state != w.state || got.attempts != w.attempts || (got.err == nil) != (w.state == succeeded) {
		t.Errorf("%s: %s after %d attempts, want %s after %d: %v", endpoint, got.state, got.attempts, w.state, w.attempts, got.err)
	}
	arrived, effects := s.counts()
	if arrived > got.attempts {
		t.Errorf("%s: %d attempts, and %d requests arrived", endpoint, got.attempts, arrived)
	}
	if endpoint != "read" && endpoint != "update" && effects > 1 {
		t.Errorf("%s: it had its effect %d times", endpoint, effects)
	}
	if limit := 4*400*time.Millisecond + 2*time.Second; got.took > limit {
		t.Errorf("%s: it took %s", endpoint, got.took)
	}
}

// R4.8: what is refused before sending is repeated whatever its effect, and
// never of unknown outcome.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	for _, endpoint := range endpoints {
		t.Run("for good/"+endpoint, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.weather.Stop()
			if got := s.make(t.Context(), endpoint); got.state != failed || got.attempts != 4 {
				t.Errorf("%s after %d attempts, want failed after 4: %v", got.state, got.attempts, got.err)
			}
			if arrived, _ := s.counts(); arrived != 0 {
				t.Errorf("%d requests arrived", arrived)
			}
		})
		t.Run("for a while/"+endpoint, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.weather.Stop()
			s.clearing = func() {
				if err := s.weather.Start(); err != nil {
					t.Error(err)
				}
			}
			if got := s.make(t.Context(), endpoint); got.state != succeeded || got.attempts != 2 {
				t.Errorf("%s after %d attempts, want success after 2: %v", got.state, got.attempts, got.err)
			}
			if arrived, effects := s.counts(); arrived != 1 || effects != 1 {
				t.Errorf("%d requests with %d effects arrived, want one", arrived, effects)
			}
		})
	}
}

// A caller's deadline holds in any weather.
func TestDeadlineHeld(t *testing.T) {
	t.Parallel()
	for name, toxic := range map[string]string{
		"silence": `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`,
		"latency": `{"type":"latency","stream":"downstream","attributes":{"latency":2000}}`,
		"narrow":  `{"type":"bandwidth","stream":"downstream","attributes":{"rate":5}}`,
		"resets":  `{"type":"reset_peer","stream":"upstream","attributes":{"timeout":150}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, toxic)
			ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
			defer cancel()
			if got := s.make(ctx, "read"); got.err == nil || got.took > time.Second {
				t.Errorf("ended after %s with %v", got.took, got.err)
			}
		})
	}
}

// A proxied answer takes as long as the line is narrow: its clock is for the
// header. One that breaks off must not look whole.
func TestStreamedAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		toxic string
		whole bool
	}{
		"narrow": {`{"type":"bandwidth","stream":"downstream","attributes":{"rate":40}}`, true},
		"cut":    {`{"type":"limit_data","stream":"downstream","attributes":{"bytes":20000}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.toxic)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+"/v1/customers/cus_1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			resp, err := s.Transport("acme", integration.EntryProxy).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if whole := err == nil && len(body) > answerSize; whole != c.whole {
				t.Errorf("%d bytes in %s: %v", len(body), time.Since(start), err)
			}
			if c.whole && time.Since(start) < 500*time.Millisecond {
				t.Error("the line was not narrow")
			}
			if arrived, _ := s.counts(); arrived != 1 {
				t.Errorf("%d requests arrived", arrived)
			}
		})
	}
}
