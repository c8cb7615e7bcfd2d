package crash

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/test/gateway"
)

// rate is how many events a second are sent while the database is killed.
const rate = 500

// R0.5, R5.6, R9.2: whatever moment the database dies at, the gateway lives on,
// tells senders to come again, and works again by itself when the database is
// back: every event answered 200 is in the table once and is delivered.
func TestDatabaseKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	app := newApp()
	defer app.Close()
	server := postgres(t)
	p := gateway.Start(t, eventGateway(t, server.DSN(), app.URL))
	flow := startFlow(t.Context(), p)
	defer flow.stop()
	var back []time.Duration
	killed := killings(6)
	for range killed {
		pause(t.Context(), time.Duration(100+rand.IntN(400))*time.Millisecond)
		server.Kill()
		flow.waitFor(t, http.StatusServiceUnavailable)
		for away := time.Now(); ready(t, p); { // what was committed within a second proves that it can
			if time.Since(away) > 3*time.Second {
				t.Error("the gateway says that it is ready while its database is away")
				break
			}
			pause(t.Context(), 20*time.Millisecond)
		}
		pause(t.Context(), time.Duration(rand.IntN(100))*time.Millisecond)
		server.Start()
		started := time.Now()
		flow.waitFor(t, http.StatusOK)
		back = append(back, time.Since(started))
	}
	flow.stop()
	if len(flow.odd) > 0 {
		t.Errorf("answers other than 200 and 503: %v", flow.odd)
	}
	if len(flow.acknowledged) < 50*killed {
		t.Fatalf("%d kills, %d events acknowledged: too little to prove anything", killed, len(flow.acknowledged))
	}
	count(t, p, app, server.DSN(), flow.acknowledged)
	slices.Sort(back)
	t.Logf("%d kills of the database, %d events acknowledged, %d told to come again, %d delivered; taking events again after %s at the median, %s at most",
		killed, len(flow.acknowledged), flow.refused, app.distinct(), back[len(back)/2].Round(time.Millisecond), back[len(back)-1].Round(time.Millisecond))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func ready(t *testing.T, p *gateway.Process) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL("/readyz"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// flow sends signed events at a steady rate, to several gateways by turns, and
// sends those that were not taken again, as providers do.
type flow struct {
	stop    func()
	answers chan int // of late; what nobody reads is dropped

	mu           sync.Mutex
	acknowledged map[string]bool
	offered      int // events, each of which was sent up to three times
	refused      int
	odd          map[string]int
}

func startFlow(ctx context.Context, gateways ...*gateway.Process) *flow {
	return startFlowTo(ctx, func(n int64) *gateway.Process { return gateways[int(n)%len(gateways)] })
}

// startFlowTo sends the nth event to the gateway that to names at that moment.
func startFlowTo(ctx context.Context, to func(n int64) *gateway.Process) *flow {
	ctx, cancel := context.WithCancel(ctx)
	f := &flow{answers: make(chan int, 1), acknowledged: map[string]bool{}, odd: map[string]int{}}
	var sending sync.WaitGroup
	f.stop = sync.OnceFunc(func() { cancel(); sending.Wait() })
	var sequence atomic.Int64
	for range senders {
		sending.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: 15 * time.Second}
			defer client.CloseIdleConnections()
			tick := time.NewTicker(senders * time.Second / rate)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
				n := sequence.Add(1)
				f.send(client, to(n), fmt.Sprintf("evt_flow_%08d", n))
			}
		})
	}
	return f
}

// send sends one event, up to three times until it is taken. One under way is
// waited for also when the flow stops, so that each has an answer.
func (f *flow) send(client *http.Client, p *gateway.Process, id string) {
	payload := fmt.Appendf(nil, `{"id":%q,"object":"event","type":"invoice.paid","created":%d,"data":{"object":{"id":"in_1","object":"invoice","external":%q}}}`, id, time.Now().Unix(), id)
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: secret})
	f.mu.Lock()
	f.offered++
	f.mu.Unlock()
	for range 3 {
		request, err := http.NewRequest(http.MethodPost, p.URL("/api/webhooks/stripe"), bytes.NewReader(payload))
		if err != nil {
			return
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Stripe-Signature", signed.Header)
		status, err := 0, error(nil)
		answer, err := client.Do(request)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			status = answer.StatusCode
		}
		f.mu.Lock()
		switch {
		case status == http.StatusOK:
			f.acknowledged[id] = true
		case status == http.StatusServiceUnavailable:
			f.refused++
		case err != nil:
			f.odd["no answer"]++
		default:
			f.odd[http.StatusText(status)]++
		}
		f.mu.Unlock()
		select {
		case f.answers <- status:
		default:
		}
		if status == http.StatusOK {
			return
		}
	}
}

// waitFor returns when a request that began after now is answered like this.
func (f *flow) waitFor(t *testing.T, status int) {
	t.Helper()
	late := time.After(time.Minute)
	select {
	case <-f.answers: // of before
	default:
	}
	for {
		select {
		case got := <-f.answers:
			if got == status {
				return
			}
		case <-late:
			t.Fatalf("no answer %d within a minute", status)
		}
	}
}
