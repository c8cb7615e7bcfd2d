package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

var testTime = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keep puts an event into the store.
func (b *bundle) keep(n int, payload string) string {
	b.t.Helper()
	e := &integration.Event{
		ID: fmt.Sprintf("0193-0000-event-%d", n), Service: "stripe", ExternalID: fmt.Sprint("evt_", n), Type: "invoice.paid", Tenant: "acme",
		Status: integration.EventReceived, ReceivedAt: b.now, DueAt: b.now, Payload: []byte(payload), Header: http.Header{"User-Agent": {"Stripe/1.0"}},
	}
	if fresh, err := b.store.Accept(b.t.Context(), e); err != nil || !fresh {
		b.t.Fatal(fresh, err)
	}
	return e.ID
}

// finish leases every due event and ends it.
func (b *bundle) finish(out integration.Outcome) int {
	b.t.Helper()
	queue := b.store.EventQueue()
	held, err := queue.Claim(b.t.Context(), lease.Claim{Owner: "test", Now: b.now, Until: b.now.Add(time.Minute), Limit: 100})
	if err != nil {
		b.t.Fatal(err)
	}
	var done []lease.Done[integration.Outcome]
	for _, h := range held {
		done = append(done, lease.Done[integration.Outcome]{Key: h.Key, Outcome: out})
	}
	if len(done) > 0 {
		if _, err := queue.Complete(b.t.Context(), "test", done); err != nil {
			b.t.Fatal(err)
		}
	}
	return len(held)
}

func TestLogsOfEvents(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	for n := range 5 {
		b.keep(n, `{"payload":"canary"}`)
	}
	var seen []string
	cursor := ""
	for page := 0; page < 5; page++ {
		a := b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs?limit=2&type=invoice.paid&tenant=acme&status=received&since=2026-11-24T08:00:00Z&cursor="+cursor, "")
		if a.status != http.StatusOK || strings.Contains(a.text, "canary") || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", a.status, a.header, a.text)
		}
		v := a.json(t)
		events, _ := v["events"].([]any)
		for _, e := range events {
			fields, _ := e.(map[string]any)
			seen = append(seen, fmt.Sprint(fields["external_id"]))
		}
		next, ok := v["next"].(string)
		if !ok {
			break
		}
		cursor = next
	}
	if want := []string{"evt_4", "evt_3", "evt_2", "evt_1", "evt_0"}; !slices.Equal(seen, want) {
		t.Errorf("listed %v", seen)
	}
	if v := b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs?q=evt_3", "").json(t); len(v["events"].([]any)) != 1 {
		t.Errorf("search found %v", v)
	}
	if v := b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs?until=2026-11-24T08:00:00Z", "").json(t); v["events"] != nil {
		t.Errorf("listed %v", v)
	}
	b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs?cursor=guess", "").problem(t, http.StatusBadRequest, "invalid_cursor")
	for _, bad := range []string{"kind=mail", "status=lost", "limit=501", "limit=0", "since=yesterday"} {
		b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs?"+bad, "").problem(t, http.StatusUnprocessableEntity, "invalid_request")
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	id := b.keep(1, "{ \"a\" : 1.10 }\n")
	binary := b.keep(2, "\xff\xfe")
	b.finish(integration.Outcome{
		Status: integration.EventFailed, Error: "the destination answered 500",
		Deliveries: []integration.Delivery{{ID: "d-1", Destination: "billing", Attempt: 1, State: integration.DeliveryFailed, Status: 500, StartedAt: b.now, Took: 1500 * time.Microsecond}},
	})
	a := b.do(b.admin, "GET", "/api/v1/admin/events/"+id, "")
	v := a.json(t)
	if a.status != http.StatusOK || v["payload"] != "{ \"a\" : 1.10 }\n" || v["status"] != "failed" || v["error"] != "the destination answered 500" || v["due_at"] != nil {
		t.Errorf("%d %s", a.status, a.text)
	}
	deliveries, _ := v["deliveries"].([]any)
	if len(deliveries) != 1 || deliveries[0].(map[string]any)["took_ms"] != 1.5 {
		t.Errorf("deliveries %v", v["deliveries"])
	}
	if v := b.do(b.admin, "GET", "/api/v1/admin/events/"+binary, "").json(t); v["payload_base64"] != "//4=" || v["payload"] != nil {
		t.Errorf("binary payload %v", v)
	}
	if got := b.audited(); !slices.Equal(got, []string{"event.read " + binary, "event.read " + id}) { // R9.5
		t.Errorf("audited %v", got)
	}
	b.do(b.admin, "GET", "/api/v1/admin/events/none", "").problem(t, http.StatusNotFound, "not_found")
}

// R5.10: a person may have an event processed again.
func TestRetryEvent(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	id := b.keep(1, "{}")
	path := "/api/v1/admin/integrations/stripe/retry/" + id
	held := must(b.store.EventQueue().Claim(t.Context(), lease.Claim{Owner: "test", Now: b.now, Until: b.now.Add(time.Minute), Limit: 1}))
	b.do(b.admin, "POST", path, "").problem(t, http.StatusConflict, "wrong_state")
	if len(b.woken) != 0 || len(b.audited()) != 0 {
		t.Error("a refused retry did something")
	}
	must(b.store.EventQueue().Complete(t.Context(), "test", []lease.Done[integration.Outcome]{{Key: held[0].Key, Outcome: integration.Outcome{Status: integration.EventFailed, Error: "x"}}}))
	if n := b.finish(integration.Outcome{}); n != 0 {
		t.Fatal("a failed event is due")
	}
	a := b.do(b.admin, "POST", path, "")
	if v := a.json(t); a.status != http.StatusAccepted || v["kind"] != "event" || v["id"] != id || v["status"] != "received" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if len(b.woken) != 1 || !slices.Equal(b.audited(), []string{"event.retry " + id}) {
		t.Errorf("woken %d times, audited %v", len(b.woken), b.audited())
	}
	if n := b.finish(integration.Outcome{Status: integration.EventProcessed}); n != 1 {
		t.Errorf("%d events due", n)
	}
	b.do(b.admin, "POST", "/api/v1/admin/integrations/stripe/retry/none", "").problem(t, http.StatusNotFound, "not_found")
}

// Nothing is shown, and nothing is done, that can't be audited.
func TestNothingWithoutAudit(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), func(c *api.Config) { c.Keys = noAudit{c.Keys} })
	id := b.keep(1, `{"payload":"canary"}`)
	a := b.do(b.admin, "GET", "/api/v1/admin/events/"+id, "")
	a.problem(t, http.StatusServiceUnavailable, "store_unavailable")
	if strings.Contains(a.text, "canary") {
		t.Error("shown all the same")
	}
}

type noAudit struct{ api.Keys }

func (noAudit) Audit(context.Context, integration.AuditEntry) error { return errAway }

func TestStatus(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id":"cus_1"}`)) })
	v := b.do(b.app, "GET", "/api/v1/integrations/stripe/status", "").json(t)
	if fmt.Sprint(v["calls"]) != "map[]" || fmt.Sprint(v["webhook_events"].(map[string]any)["by_status"]) != "map[]" {
		t.Errorf("status %v", v)
	}
	b.keep(1, "{}")
	b.do(b.app, "POST", "/api/v1/integrations/stripe/endpoints/get_customer", `{"path":{"id":"cus_1"}}`)
	b.do("", "POST", "/api/webhooks/stripe", `{"forged":true}`).problem(t, http.StatusUnauthorized, "signature_refused")
	a := b.do(b.app, "GET", "/api/v1/integrations/stripe/status", "")
	v = a.json(t)
	if v["service"] != "stripe" || v["provider"] != "Stripe" || v["environment"] != "development" || v["credential"] != integration.NewSecret(providerKey).Fingerprint() {
		t.Errorf("status %s", a.text)
	}
	events := v["webhook_events"].(map[string]any)
	if events["by_status"].(map[string]any)["received"] != float64(1) || events["oldest_due"] != "2026-11-24T09:00:00Z" {
		t.Errorf("events %v", events)
	}
	if door := v["door"].(map[string]any); door["rejected"].(map[string]any)["unsigned"] != float64(1) {
		t.Errorf("door %v", door)
	}
	if strings.Contains(a.text, providerKey) || strings.Contains(a.text, webhookSecret) {
		t.Error("a secret is shown")
	}
	list := b.do(b.app, "GET", "/api/v1/integrations", "").json(t)["integrations"].([]any)
	if one := list[0].(map[string]any); len(list) != 1 || fmt.Sprint(one["endpoints"]) != "[create_customer get_customer]" || fmt.Sprint(one["events"]) != "[invoice.paid]" || one["webhooks"] != "/api/webhooks/stripe" {
		t.Errorf("list %v", list)
	}
}
