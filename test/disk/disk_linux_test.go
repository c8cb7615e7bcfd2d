package disk

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/test/gateway"
)

const secret = "whsec_disk_test"

// deadline is how long the provider of the plan waits for an answer.
const deadline = 10 * time.Second

// What is delivered has nowhere to go: a disk must not fill with our own doings
// either.
const diskPlan = `sallyport: 1
service: stripe
uses: stripe
need: Live with a full disk.
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

// provider sends events to one gateway and remembers what was acknowledged.
type provider struct {
	t        *testing.T
	p        *gateway.Process
	client   *http.Client
	database string

	mu           sync.Mutex
	acknowledged map[string][32]byte // external id → digest of its bytes
	again        map[string][]byte   // external id → what was refused
	sent         int
}

func start(t *testing.T, database string) *provider {
	t.Helper()
	plans := t.TempDir()
	if err := os.WriteFile(filepath.Join(plans, "stripe.yaml"), []byte(diskPlan), 0o644); err != nil {
		t.Fatal(err)
	}
	p := gateway.Start(t, gateway.Options{
		Plans: plans, Database: database,
		Env: []string{"KEY=sk_test_disk", "SECRET=" + secret, "APP_SECRET=whsec_Y3Jhc2g="},
	})
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	return &provider{t: t, p: p, client: client, database: database, acknowledged: map[string][32]byte{}, again: map[string][]byte{}}
}

// send sends a new event of about so many bytes and returns the status and how
// long the answer took. Anything but 200 and 503 is an error.
func (s *provider) send(size int) (status int, took time.Duration) {
	s.t.Helper()
	s.mu.Lock()
	s.sent++
	id := fmt.Sprintf("evt_disk_%06d", s.sent)
	s.mu.Unlock()
	noise := make([]byte, size/2) // that no store can make smaller
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	return s.sendEvent(id, fmt.Appendf(nil, `{"id":%q,"object":"event","type":"invoice.paid","created":%d,"data":{"object":{"id":"in_1","object":"invoice","noise":"%x"}}}`,
		id, time.Now().Unix(), noise))
}

func (s *provider) sendEvent(id string, payload []byte) (status int, took time.Duration) {
	s.t.Helper()
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: secret})
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.p.URL("/api/webhooks/stripe"), bytes.NewReader(payload))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Stripe-Signature", signed.Header)
	began := time.Now()
	answer, err := s.client.Do(request)
	if err != nil {
		s.t.Errorf("no answer: %v\n%s", err, tail(s.p.Log()))
		return 0, time.Since(began)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	took = time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again[id] = payload
	switch {
	case answer.StatusCode == http.StatusOK:
		s.acknowledged[id] = sha256.Sum256(payload)
		delete(s.again, id)
	case answer.StatusCode != http.StatusServiceUnavailable:
		s.t.Errorf("%s was answered %s: %s", id, answer.Status, body)
	case answer.Header.Get("Retry-After") == "":
		s.t.Error("503 does not say when to come again")
	}
	return answer.StatusCode, took
}

// until sends events until one is answered like this, and fails after a minute.
func (s *provider) until(status, size int) {
	s.t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; {
		if got, _ := s.send(size); got == status {
			return
		}
	}
	s.t.Fatalf("no answer %d within a minute\n%s", status, tail(s.p.Log()))
}

// refused are the events that were told to come again.
func (s *provider) refused() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.again)
}

// ready is what /readyz answers.
func (s *provider) ready() int {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.p.URL("/readyz"), http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// count stops the gateway and sees that what was acknowledged is in the table,
// once and to the byte.
func (s *provider) count() {
	s.t.Helper()
	if err := s.p.Stop(s.t.Context()); err != nil {
		s.t.Errorf("stop: %v\n%s", err, tail(s.p.Log()))
	}
	dsn := s.database
	if !strings.Contains(dsn, "://") {
		dsn = "sqlite:" + dsn
	}
	store, err := open.Database(s.t.Context(), dsn, open.Options{})
	if err != nil {
		s.t.Fatalf("the database does not open again: %v", err)
	}
	defer store.Close()
	seen := map[string]int{}
	for cursor := ""; ; {
		events, next, err := store.Events(s.t.Context(), integration.Filter{Service: "stripe", Limit: 100, Cursor: cursor})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, listed := range events {
			seen[listed.ExternalID]++
			e, _, err := store.Event(s.t.Context(), listed.ID)
			if err != nil {
				s.t.Errorf("%s can't be read: %v", listed.ExternalID, err)
				continue
			}
			if want, ok := s.acknowledged[e.ExternalID]; ok && sha256.Sum256(e.Payload) != want {
				s.t.Errorf("%s is not what was sent: %d bytes", e.ExternalID, len(e.Payload))
			}
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	for id := range s.acknowledged {
		if seen[id] == 0 {
			s.t.Errorf("%s was answered 200 and is not in the table", id)
		}
	}
	for id, n := range seen {
		if n != 1 {
			s.t.Errorf("%s is in the table %d times", id, n)
		}
	}
	s.t.Logf("%d events sent, %d acknowledged, %d in the table", s.sent, len(s.acknowledged), len(seen))
}

func tail(s string) string { return s[max(0, len(s)-4000):] }
