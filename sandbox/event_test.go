package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
)

// received is one webhook as it came, and what the official client says to it.
type received struct {
	event   stripe.Event
	err     error
	payload []byte
}

// receiver takes webhooks and answers with the statuses it is given, then 200.
func receiver(t *testing.T, statuses ...int) (url string, got chan received) {
	t.Helper()
	got = make(chan received, 100)
	answers := make(chan int, len(statuses))
	for _, s := range statuses {
		answers <- s
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		payload, _ := io.ReadAll(r.Body)
		event, err := webhook.ConstructEvent(payload, r.Header.Get("Stripe-Signature"), webhookSecret)
		select {
		case s := <-answers:
			w.WriteHeader(s)
		default:
			if err != nil {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}
		got <- received{event, err, payload}
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func withReceiver(t *testing.T, statuses ...int) (bundle, chan received) {
	t.Helper()
	url, got := receiver(t, statuses...)
	cfg := stripeConfig(t)
	cfg.WebhooksTo = url
	transport := &http.Transport{DisableKeepAlives: true}
	cfg.Client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return start(t, cfg), got
}

// R6.1, R5.1: calls cause events, and the official client accepts them.
func TestCallsCauseEvents(t *testing.T) {
	t.Parallel()
	b, got := withReceiver(t)
	b.run(t)
	invoice := b.do(t, "POST", "/v1/invoices", "metadata[tenant_id]=7", "Idempotency-Key", "k1")
	created := <-got
	if created.err != nil || created.event.Type != "invoice.created" || created.event.Data.Object["id"] != invoice.at("id") {
		t.Fatalf("%v\n%s", created.err, created.payload)
	}
	if r := created.event.Request; r == nil || r.ID != invoice.header.Get("Request-Id") || r.IdempotencyKey != "k1" {
		t.Errorf("request %+v", r)
	}
	id := invoice.at("id").(string)
	b.do(t, "POST", "/v1/invoices/"+id+"/finalize", "")
	if r := <-got; r.event.Type != "invoice.finalized" || r.event.Data.Object["status"] != "open" {
		t.Errorf("%s", r.payload)
	}
	b.do(t, "POST", "/v1/invoices/"+id, "description=x")
	if r := <-got; r.event.Type != "invoice.updated" || len(r.event.Data.PreviousAttributes) != 1 || r.event.Data.PreviousAttributes["description"] != nil {
		t.Errorf("%s", r.payload)
	}
	b.do(t, "POST", "/v1/subscriptions", "customer=cus_1&items[0][price]=p")
	if r := <-got; r.event.Type != "customer.subscription.created" {
		t.Errorf("%s", r.payload)
	}
	list := b.do(t, "GET", "/v1/events?type=invoice.finalized", "")
	if data := list.at("data").([]any); len(data) != 1 {
		t.Errorf("%s", list.body)
	}
	read := b.do(t, "GET", "/v1/events/"+created.event.ID, "")
	var sent, kept any
	_ = json.Unmarshal(created.payload, &sent)
	_ = json.Unmarshal([]byte(read.body), &kept)
	if s, k := compact(sent), compact(kept); s != k {
		t.Errorf("sent %s\nkept %s", s, k)
	}
}

func compact(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func TestEmit(t *testing.T) {
	t.Parallel()
	b, got := withReceiver(t)
	ctx := t.Context()

	e, err := b.Emit(ctx, "invoice.payment_failed", sandbox.EmitOptions{Object: map[string]any{"amount_due": 4200, "metadata": map[string]string{"tenant_id": "7"}}, Age: time.Hour})
	r := <-got
	if err != nil || !e.Accepted || len(e.Sent) != 1 || r.err != nil || r.event.ID != e.ID {
		t.Fatalf("%+v, %v, %v", e, err, r.err)
	}
	if r.event.Data.Object["amount_due"] != 4200.0 || r.event.Data.Object["object"] != "invoice" || time.Since(time.Unix(r.event.Created, 0)) < time.Hour-time.Minute {
		t.Errorf("%s", r.payload)
	}

	e, err = b.Emit(ctx, "invoice.paid", sandbox.EmitOptions{Duplicate: true})
	one, two := <-got, <-got
	if err != nil || len(e.Sent) != 2 || string(one.payload) != string(two.payload) || one.event.ID != e.ID || one.event.Data.Object["status"] != "paid" {
		t.Errorf("%+v, %v\n%s\n%s", e, err, one.payload, two.payload)
	}

	e, err = b.Emit(ctx, "invoice.paid", sandbox.EmitOptions{Forged: true})
	if r := <-got; err != nil || e.Accepted || len(e.Sent) != 1 || e.Sent[0].Status != 401 || r.err == nil {
		t.Errorf("forged: %+v, %v, %v", e, err, r.err)
	}
	e, err = b.Emit(ctx, "invoice.paid", sandbox.EmitOptions{SignedAgo: time.Hour})
	if r := <-got; err != nil || e.Accepted || r.err == nil {
		t.Errorf("stale: %+v, %v, %v", e, err, r.err)
	}

	customer := b.do(t, "POST", "/v1/customers", "email=a@example.com")
	id, _ := customer.at("id").(string)
	if _, err = b.Emit(ctx, "customer.updated", sandbox.EmitOptions{ID: id}); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.event.Data.Object["id"] != id || r.event.Data.Object["email"] != "a@example.com" {
		t.Errorf("%s", r.payload)
	}
	if _, err = b.Emit(ctx, "customer.updated", sandbox.EmitOptions{ID: "cus_nobody"}); err == nil {
		t.Error("an event about nobody was sent")
	}
	if _, err = b.Emit(ctx, "", sandbox.EmitOptions{}); err == nil {
		t.Error("an event without a type was sent")
	}
}

// A receiver that fails gets the event again, with the same id.
func TestEmitRetries(t *testing.T) {
	t.Parallel()
	b, got := withReceiver(t, 503)
	e, err := b.Emit(t.Context(), "invoice.paid", sandbox.EmitOptions{})
	one, two := <-got, <-got
	if err != nil || !e.Accepted || len(e.Sent) != 2 || e.Sent[0].Status != 503 || one.event.ID != two.event.ID {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	b, got := withReceiver(t)
	r := b.do(t, "POST", "/_sandbox/events", `{"type":"invoice.paid","object":{"amount_due":9007199254740993},"age":"5m"}`)
	if webhook := <-got; r.status != 200 || r.at("accepted") != true || !strings.Contains(string(webhook.payload), `"amount_due":9007199254740993`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, bad := range []string{`{`, `{"typ":"x"}`, `{}`, `{"type":"x","age":"soon"}`} {
		if r := b.do(t, "POST", "/_sandbox/events", bad); r.status != 400 || r.at("error") == nil {
			t.Errorf("%s: %d %s", bad, r.status, r.body)
		}
	}
	if r := b.do(t, "PUT", "/_sandbox/faults", `- {endpoint: "*", first: 1, status: 503}`); r.status != 200 {
		t.Error(r.body)
	}
	if r := b.do(t, "PUT", "/_sandbox/faults", `- {endpoint: elsewhere, status: 503}`); r.status != 400 || !strings.Contains(r.body, "elsewhere") {
		t.Error(r.body)
	}
	if r := b.do(t, "GET", "/_sandbox/faults", ""); r.status != 200 || !strings.Contains(r.body, "503") {
		t.Error(r.body)
	}
	if r := b.do(t, "GET", "/v1/customers", ""); r.status != 503 {
		t.Errorf("the fault set last is not in force: %d", r.status)
	}
	if r := b.do(t, "DELETE", "/_sandbox/faults", ""); r.status != 405 {
		t.Error(r.status)
	}
}

// R2.10: the request log shows no credential, whichever way it came.
func TestRequestLogHidesCredentials(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	b.do(t, "POST", "/v1/customers", "email=a@example.com")
	b.do(t, "GET", "/v1/customers?limit=1", "", "Authorization", "Basic c2tfdGVzdF80ZUMzOUhxTHlqV0Rhcmp0VDF6ZHA3ZGM6", "Cookie", "session=canary")
	r := b.do(t, "GET", "/_sandbox/requests", "")
	for _, secret := range []string{apiKey, "c2tfdGVzdF80", "canary"} {
		if strings.Contains(r.body, secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	log := b.Requests()
	if len(log) != 2 || log[0].Operation != "POST /v1/customers" || log[0].Body != "email=a@example.com" || log[1].Path != "/v1/customers?limit=1" || log[1].Number != 2 {
		t.Errorf("%+v", log)
	}
}

// GitHub's way: the type stands in a header, and the payload is the object.
func TestEventInHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		got <- r
	}))
	t.Cleanup(server.Close)
	cfg := ticketsConfig(t)
	cfg.WebhooksTo = server.URL
	cfg.Secrets.Webhook = integration.NewSecret("hush")
	cfg.Client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	cfg.Plan.Provider.Webhooks = &catalog.Webhooks{
		ID: []string{"header:X-Delivery"}, Type: []string{"header:X-Event"}, Time: "json:sent_at", TimeFormat: "rfc3339",
		Verify: catalog.Verification{
			Scheme: "hmac", Header: catalog.OneOrMore{"X-Signature"}, Algorithm: "hmac-sha256", Encoding: "hex", SignedContent: "{body}", KeyEncoding: "utf8",
			Parse: &catalog.SignatureParse{Prefix: "sha256="},
		},
	}
	b := start(t, cfg)
	b.do(t, "POST", "/tickets?token=t", `{"title": "Fix it"}`, "Content-Type", "application/json")
	e, err := b.Emit(t.Context(), "ticket.closed", sandbox.EmitOptions{})
	if err != nil || !e.Accepted {
		t.Fatalf("%+v, %v", e, err)
	}
	r := <-got
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("X-Event") != "ticket.closed" || r.Header.Get("X-Delivery") != e.ID || !strings.HasPrefix(r.Header.Get("X-Signature"), "sha256=") {
		t.Errorf("%v", r.Header)
	}
	for _, want := range []string{`"title":"Fix it"`, `"state":"closed"`, `"sent_at":"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s misses %s", body, want)
		}
	}
}
