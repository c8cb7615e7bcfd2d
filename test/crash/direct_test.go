package crash

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/test/gateway"
)

// R4.7: a gateway that dies while something irreversible is under way, with its
// caller waiting, leaves a call of unknown outcome for a person, and never sends
// it again.
func TestKilledWhileACallerWaits(t *testing.T) { onEach(t, killedWhileACallerWaits) }

func killedWhileACallerWaits(t *testing.T, database string) {
	var asked atomic.Int32
	held, release := make(chan struct{}, 1), make(chan struct{})
	third := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		held <- struct{}{}
		<-release
		w.WriteHeader(http.StatusOK)
	}))
	defer third.Close()
	defer close(release)
	options, key := callGateway(t, database, third.URL)
	file := filepath.Join(options.Plans, "stripe.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, "calls: {deadline: 1s}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	p := gateway.Start(t, options)
	go func() {
		r, err := http.NewRequest(http.MethodPost, p.URL("/api/v1/integrations/stripe/endpoints/pay"), strings.NewReader(`{"body":{"amount":1}}`))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close() // the gateway dies before it answers
		}
	}()
	<-held
	p.Kill()
	last := gateway.Start(t, options)
	c := waitForCall(t, last, key)
	if c.State != string(integration.CallUnknown) || c.Endpoint != "pay" || asked.Load() != 1 {
		t.Errorf("%s is %s and was sent %d times", c.Endpoint, c.State, asked.Load())
	}
}

// waitForCall waits until the one call there is came to an end.
func waitForCall(t *testing.T, p *gateway.Process, key string) api.CallView {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		var page struct{ Calls []api.CallView }
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL("/api/v1/admin/integrations/stripe/logs?kind=call"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			err = json.NewDecoder(answer.Body).Decode(&page)
			answer.Body.Close()
		}
		if err == nil && len(page.Calls) == 1 && page.Calls[0].State != string(integration.CallRunning) {
			return page.Calls[0]
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%v %+v\n%s", err, page.Calls, tail(p.Log()))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
