package demo

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver is the user's own application in the demo: it takes deliveries,
// checks their Standard Webhooks signature with the library of that name, and
// remembers what came.
type receiver struct {
	verifier *standardwebhooks.Webhook
	told     func(delivery)

	mu       sync.Mutex
	events   []delivery
	unsigned int
	refuse   int // how many deliveries are still to be refused with 503
}

// delivery is one CloudEvent as it arrived.
type delivery struct {
	ID      string          `json:"id"`
	Type    string          `json:"type"`
	Source  string          `json:"source"`
	Subject string          `json:"subject"`
	Tenant  string          `json:"tenant"`
	Data    json.RawMessage `json:"data"`
	Refused bool            `json:"-"`
}

func newReceiver(secret string, told func(delivery)) (*receiver, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	return &receiver{verifier: verifier, told: told}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := r.verifier.Verify(body, req.Header); err != nil {
		r.mu.Lock()
		r.unsigned++
		r.mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	d.Refused = r.refuse > 0
	if d.Refused {
		r.refuse--
	} else {
		r.events = append(r.events, d)
	}
	r.mu.Unlock()
	if d.Refused {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	r.told(d)
}

// refuseNext makes the next n deliveries fail with 503.
func (r *receiver) refuseNext(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = n
}

// taken returns what was delivered and how many deliveries had no valid signature.
func (r *receiver) taken() (events []delivery, unsigned int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivery(nil), r.events...), r.unsigned
}
