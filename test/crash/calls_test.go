package crash

import (
	"context"
	"encoding/json"
	"fmt"
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

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/test/gateway"
)

const (
	callRounds    = 12
	callSenders   = 4
	callsOfSender = 6 // in a round: the provider's limit lets 25 a second through
)

const callPlan = `sallyport: 1
service: stripe
uses: stripe
need: Survive.
environments:
  development:
    base_url: "%s"
    secrets: {api_key: env:KEY}
auth: {use: api_key}
endpoints:
  create_customer: {call: POST /v1/customers, purpose: Has a key., effect: create, idempotency: {header: Idempotency-Key}}
  create_note: {call: POST /v1/notes, purpose: Has none., effect: create}
  pay: {call: POST /v1/payouts, purpose: Money leaves., effect: irreversible, idempotency: {header: Idempotency-Key}}
limits: {headroom: 100%%, wait: 100ms}
errors:
  5xx: {retry: 5, backoff: [200ms], then: keep}
  network: {retry: 5, backoff: [200ms], then: keep}
`

// R4.6, R4.7: whatever moment the gateway dies at, every call that was accepted
// is made, none twice unless under the same idempotency key, and what may have
// been sent and must not be repeated is with a person.
func TestQueuedCallsKilledAtRandomMoments(t *testing.T) { onEach(t, queuedCallsKilled) }

func queuedCallsKilled(t *testing.T, database string) {
	callRounds := killings(callRounds)
	third := newThirdParty()
	defer third.Close()
	options, key := callGateway(t, database, third.URL)
	var accepted sync.Map // our id → *sentCall
	var sequence atomic.Int64
	for range callRounds {
		p := gateway.Start(t, options)
		ctx, stop := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		for range callSenders {
			sending.Go(func() { sendCalls(ctx, p, key, &sequence, &accepted) })
		}
		select {
		case <-time.After(time.Duration(50+rand.IntN(500)) * time.Millisecond):
		case <-ctx.Done():
		}
		p.Kill()
		stop()
		sending.Wait()
	}
	calls := map[string]*sentCall{}
	accepted.Range(func(id, c any) bool { calls[id.(string)] = c.(*sentCall); return true })
	if len(calls) < 2*callRounds {
		t.Fatalf("%d calls accepted: too little to prove anything", len(calls))
	}
	last := gateway.Start(t, options)
	states := waitForCalls(t, last, key, calls, 2*time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := last.Stop(ctx); err != nil {
		t.Errorf("stop: %v\n%s", err, tail(last.Log()))
	}
	unknown, repeated := 0, 0
	for id, c := range calls {
		asked := third.asked(c.ref)
		if states[id] == string(integration.CallUnknown) && c.endpoint != "create_customer" {
			unknown++
		} else if states[id] != string(integration.CallSucceeded) || len(asked) == 0 {
			t.Errorf("%s %s is %q and was asked %d times", c.endpoint, c.ref, states[id], len(asked))
		}
		if len(asked) > 1 {
			repeated++
		}
		for _, key := range asked {
			if c.endpoint == "create_customer" && (key == "" || key != asked[0]) {
				t.Errorf("%s %s was asked under the keys %q", c.endpoint, c.ref, asked)
				break
			}
		}
		if c.endpoint != "create_customer" && len(asked) > 1 {
			t.Errorf("%s %s was sent %d times", c.endpoint, c.ref, len(asked))
		}
	}
	t.Logf("%d kills, %d calls accepted, %d of unknown outcome, %d asked again under their key", callRounds, len(calls), unknown, repeated)
}

// callGateway is a gateway with a key in its database already.
func callGateway(t *testing.T, database, provider string) (gateway.Options, string) {
	t.Helper()
	plans := t.TempDir()
	if err := os.WriteFile(filepath.Join(plans, "stripe.yaml"), fmt.Appendf(nil, callPlan, provider), 0o644); err != nil {
		t.Fatal(err)
	}
	return gateway.Options{Plans: plans, Database: database, Env: []string{"KEY=sk_test_crash"}}, adminKey(t, database)
}

type sentCall struct{ endpoint, ref string }

// sendCalls has some calls accepted, until the gateway is gone.
func sendCalls(ctx context.Context, p *gateway.Process, key string, sequence *atomic.Int64, accepted *sync.Map) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for range callsOfSender {
		n := sequence.Add(1)
		c := &sentCall{endpoint: []string{"create_customer", "create_note", "pay"}[n%3], ref: fmt.Sprintf("ref-%06d", n)}
		body := fmt.Sprintf(`{"tenant":"t%d","body":{"ref":%q}}`, n%4, c.ref)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL("/api/v1/integrations/stripe/endpoints/"+c.endpoint), strings.NewReader(body))
		if err != nil {
			return
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Prefer", "respond-async")
		answer, err := client.Do(request)
		if err != nil {
			return // it died: whether this one was kept is open, and that is allowed
		}
		var v struct{ ID string }
		err = json.NewDecoder(answer.Body).Decode(&v)
		answer.Body.Close()
		if err == nil && answer.StatusCode == http.StatusAccepted && v.ID != "" {
			accepted.Store(v.ID, c)
		}
	}
}

// waitForCalls asks until every call has come to an end, and says which.
func waitForCalls(t *testing.T, p *gateway.Process, key string, calls map[string]*sentCall, within time.Duration) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	states := make(map[string]string, len(calls))
	for {
		waiting := 0
		for id := range calls {
			if s := states[id]; s != "" && s != string(integration.CallQueued) && s != string(integration.CallRunning) {
				continue
			}
			states[id] = callState(ctx, client, p, key, id)
			if s := states[id]; s == "" || s == string(integration.CallQueued) || s == string(integration.CallRunning) {
				waiting++
			}
		}
		if waiting == 0 {
			return states
		}
		select {
		case <-ctx.Done():
			t.Errorf("%d of %d accepted calls were not made within %s\n%s", waiting, len(calls), within, tail(p.Log()))
			return states
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func callState(ctx context.Context, client *http.Client, p *gateway.Process, key, id string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL("/api/v1/calls/"+id), http.NoBody)
	if err != nil {
		return ""
	}
	request.Header.Set("Authorization", "Bearer "+key)
	answer, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	var v struct{ State string }
	if err := json.NewDecoder(answer.Body).Decode(&v); err != nil {
		return ""
	}
	return v.State
}

// thirdParty is a provider that remembers under which key it was asked for what.
type thirdParty struct {
	*httptest.Server
	mu   sync.Mutex
	keys map[string][]string
}

func newThirdParty() *thirdParty {
	p := &thirdParty{keys: map[string][]string{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ref := r.FormValue("ref")
		p.mu.Lock()
		p.keys[ref] = append(p.keys[ref], r.Header.Get("Idempotency-Key"))
		p.mu.Unlock()
		select {
		case <-time.After(time.Duration(rand.IntN(30)) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
		if r.URL.Path == "/v1/customers" && rand.IntN(10) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id":"x_1"}`))
	}))
	return p
}

// asked is under which keys it was asked for ref.
func (p *thirdParty) asked(ref string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.keys[ref]...)
}
