// Package nasty lets clients at a real listening gateway that mean no good, or
// do not know better: slow ones, lying ones, broken ones. Beside them a good
// client goes on sending events. Each nasty one must get the answer it deserves
// or none, nothing of theirs may be kept, the good one must be served all the
// time, and memory and connections must be given back (R0.5, R5.1, R5.6).
package nasty

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/gateway"
)

func TestMain(m *testing.M) {
	code := m.Run()
	gateway.Clean()
	os.Exit(code)
}

const (
	secret = "whsec_nasty_test"
	door   = "/api/webhooks/stripe"
	plan   = `sallyport: 1
service: stripe
uses: stripe
need: Be left in peace.
environments:
  development:
    base_url: http://127.0.0.1:9
    secrets: {api_key: env:KEY, webhook_secret: env:SECRET}
auth: {use: api_key}
endpoints:
  get_invoice: {call: "GET /v1/invoices/{invoice}", purpose: Read an invoice., effect: read}
webhooks:
  events:
    invoice.paid: {from: data.object, to: app}
destinations:
  app: {url: "http://127.0.0.1:9/", secret: env:APP_SECRET}
`
)

// The gateway ends connections by these limits; the clients wait a little longer.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 60 * time.Second
	slack         = 15 * time.Second // a machine that does other things besides
)

// TestNastyClients runs all clients at once.
func TestNastyClients(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "stripe.yaml"), []byte(plan), 0o644); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "nasty.db")
	p := gateway.Start(t, gateway.Options{
		Plans: folder, Database: database, Env: []string{"KEY=sk_test_nasty", "SECRET=" + secret, "APP_SECRET=whsec_Y3Jhc2g="},
	})
	good := startGood(t, p)
	good.waitFor(t, 5)
	before := usage(t, p)

	outcomes := map[string]chan string{}
	for _, c := range clients {
		outcome := make(chan string, 1)
		if outcomes[c.name] != nil {
			t.Fatalf("two clients are called %q", c.name)
		}
		outcomes[c.name] = outcome
		go func() { outcome <- c.run(t.Context(), p.Address) }()
	}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			if got := <-outcomes[c.name]; !slices.Contains(c.want, got) {
				t.Errorf("got %q, want %s", got, strings.Join(c.want, " or "))
			}
		})
	}

	good.waitFor(t, 5) // it is served still
	good.stop()
	if len(good.problems) > 0 {
		t.Errorf("the good client was not served: %d times, such as %s", len(good.problems), good.problems[0])
	}
	gaveBack(t, p, before)
	if strings.Contains(p.Log(), "panic") {
		t.Errorf("something panicked:\n%s", p.Log())
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("stop: %v", err)
	}
	only(t, database, good.kept)
	t.Logf("%d clients, %d events of the good one, the slowest answered after %s", len(clients), len(good.kept), good.slowest.Round(time.Millisecond))
}

// only sees that the table holds these events and no others.
func only(t *testing.T, database string, want map[string]bool) {
	t.Helper()
	store, err := open.Database(t.Context(), "sqlite:"+database, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	stored := 0
	for cursor := ""; ; {
		events, next, err := store.Events(t.Context(), integration.Filter{Limit: 500, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			stored++
			if !want[e.ExternalID] {
				t.Errorf("%s was kept and is of no good client", e.ExternalID)
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	if stored != len(want) {
		t.Errorf("%d events are kept, %d were acknowledged", stored, len(want))
	}
}

// event is a rightly signed event.
func event(id string, at time.Time) (payload []byte, signature string) {
	payload = fmt.Appendf(nil, `{"id":%q,"object":"event","type":"invoice.paid","created":%d,"data":{"object":{"id":"in_1","object":"invoice"}}}`, id, at.Unix())
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: secret, Timestamp: at})
	return payload, signed.Header
}

// good is a client as providers are.
type good struct {
	stop func()
	news chan struct{}

	mu       sync.Mutex
	kept     map[string]bool
	problems []string
	slowest  time.Duration
}

// patience is how long the good client's provider waits for an answer.
const patience = 10 * time.Second

func startGood(t *testing.T, p *gateway.Process) *good {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	g := &good{kept: map[string]bool{}, news: make(chan struct{}, 1)}
	var sending sync.WaitGroup
	g.stop = sync.OnceFunc(func() { cancel(); sending.Wait() })
	t.Cleanup(g.stop)
	sending.Go(func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience} // each takes a new connection
		every := time.NewTicker(50 * time.Millisecond)
		defer every.Stop()
		for n := 0; ; n++ {
			select {
			case <-every.C:
			case <-ctx.Done():
				return
			}
			g.send(client, p.URL(door), fmt.Sprintf("evt_good_%06d", n))
		}
	})
	return g
}

func (g *good) send(client *http.Client, url, id string) {
	payload, signature := event(id, time.Now())
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Stripe-Signature", signature)
	began := time.Now()
	answer, err := client.Do(request)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slowest = max(g.slowest, time.Since(began))
	if err != nil {
		g.problems = append(g.problems, err.Error())
		return
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		g.problems = append(g.problems, answer.Status)
		return
	}
	g.kept[id] = true
	select {
	case g.news <- struct{}{}:
	default:
	}
}

// waitFor waits until so many more events were taken.
func (g *good) waitFor(t *testing.T, more int) {
	t.Helper()
	for range more {
		select {
		case <-g.news:
		case <-time.After(30 * time.Second):
			t.Fatal("the good client was not served for 30 seconds")
		}
	}
}

// conn is a connection of a nasty client, which says what it wants.
type conn struct {
	*net.TCPConn
	answers *bufio.Reader
}

func dial(ctx context.Context, address string) (*conn, error) {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{c.(*net.TCPConn), bufio.NewReader(c)}, nil
}

// say writes; that nobody listens any more is seen when the answer is read.
func (c *conn) say(text string) bool {
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(c, text)
	return err == nil
}

// outcome reads answers until the gateway ends the connection, "401 closed", or
// says no more for so long, "401 open".
func (c *conn) outcome(within time.Duration) string {
	var said []string
	for {
		_ = c.SetReadDeadline(time.Now().Add(within))
		answer, err := http.ReadResponse(c.answers, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			said = append(said, answer.Status[:3])
		}
		if err == nil {
			continue
		}
		end := "closed"
		if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
			end = "open"
		}
		return strings.Join(append(said, end), " ")
	}
}
