package receive_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
)

const (
	secret = "whsec_current_canary"
	old    = "whsec_previous_canary"
	limit  = 100_000
)

// clock is the time of the tests; signatures are made for it.
var clock = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// quiet is a log that nobody reads.
var quiet = slog.New(slog.DiscardHandler)

// inbox is a store in memory that can be told to fail.
type inbox struct {
	mu     sync.Mutex
	events []*integration.Event
	seen   map[string]bool
	err    error
}

func (i *inbox) Accept(_ context.Context, e *integration.Event) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return false, i.err
	}
	key := e.Service + "/" + e.Source + "/" + e.ExternalID
	if i.seen[key] {
		return false, nil
	}
	if i.seen == nil {
		i.seen = map[string]bool{}
	}
	i.seen[key] = true
	i.events = append(i.events, e)
	return true, nil
}

func (i *inbox) all() []*integration.Event {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]*integration.Event(nil), i.events...)
}

// lines is a log that can be read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bundle is a door of Stripe with everything around it.
type bundle struct {
	*receive.Receiver
	inbox *inbox
	log   *lines
	woken chan *integration.Event
}

func stripePlan(t testing.TB) *plan.Plan {
	t.Helper()
	profile, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	return &plan.Plan{
		Service: "stripe", Uses: "stripe", Provider: profile,
		Webhooks: &plan.Webhooks{
			Tenant:  "json:data.object.metadata.tenant_id",
			OrderBy: "json:data.object.id",
			Events:  map[string]plan.EventHandling{"invoice.paid": {From: "data.object"}},
		},
	}
}

func newBundle(t testing.TB, secrets ...string) *bundle {
	t.Helper()
	if secrets == nil {
		secrets = []string{secret}
	}
	b := &bundle{inbox: &inbox{}, log: &lines{}, woken: make(chan *integration.Event, 1000)}
	var err error
	b.Receiver, err = receive.New(receive.Config{
		Services: []receive.Service{{Plan: stripePlan(t), Secrets: func() []integration.Secret { return wrapped(secrets) }}},
		Inbox:    b.inbox, BodyLimit: limit, Now: func() time.Time { return clock },
		Log:      slog.New(slog.NewJSONHandler(b.log, nil)),
		Received: func(e *integration.Event) { b.woken <- e },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wrapped(values []string) []integration.Secret {
	var out []integration.Secret
	for _, v := range values {
		out = append(out, integration.NewSecret(v))
	}
	return out
}

// invoicePaid is an event in Stripe's form, with odd spacing that must survive.
func invoicePaid(id string) string {
	return fmt.Sprintf(`{ "id": %q, "object":"event",  "type":"invoice.paid", "created": 1795510800,`+"\n"+
		`"data":{"object":{"id":"in_1","amount_due":1990,"currency":"eur","metadata":{"tenant_id":"acme"}}}}`, id)
}

// signed is the request as Stripe sends it, signed by Stripe's own library.
func signed(body, key string, at time.Time) *http.Request {
	made := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: key, Timestamp: at})
	r := httptest.NewRequest(http.MethodPost, "/api/webhooks/stripe", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Stripe-Signature", made.Header)
	return r
}

func (b *bundle) answer(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
