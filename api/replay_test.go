package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// previewing makes the API preview events with the plan it serves.
func previewing(t *testing.T) func(*api.Config) {
	return func(c *api.Config) {
		d, err := deliver.New(deliver.Config{
			Services: []deliver.Service{{
				Plan:    c.Integrations[0].Plan,
				Secrets: func(string) []integration.Secret { return []integration.Secret{integration.NewSecret(webhookSecret)} },
			}},
			Dice: func() float64 { return 0 }, Now: c.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		c.Previewer = d
	}
}

// had stores an event and has it processed as the outcome says.
func (b *bundle) had(id, eventType, payload string, status integration.EventStatus) {
	b.t.Helper()
	e := &integration.Event{
		ID: id, Service: "stripe", ExternalID: "evt_" + id, Type: eventType, Tenant: "acme", ReceivedAt: b.now, Status: integration.EventReceived,
		Header: http.Header{"Content-Type": {"application/json"}}, Payload: []byte(payload),
	}
	if _, err := b.store.Accept(b.t.Context(), e); err != nil {
		b.t.Fatal(err)
	}
	if status == integration.EventReceived {
		return
	}
	q := b.store.EventQueue()
	held, err := q.Claim(b.t.Context(), lease.Claim{Owner: "w", Now: b.now, Until: b.now.Add(time.Minute), Limit: 1})
	if err != nil || len(held) != 1 {
		b.t.Fatalf("%d, %v", len(held), err)
	}
	done := []lease.Done[integration.Outcome]{{Key: held[0].Key, Outcome: integration.Outcome{Status: status}}}
	if _, err := q.Complete(b.t.Context(), "w", done); err != nil {
		b.t.Fatal(err)
	}
}

// R5.10: many events are processed again by a filter, after a count; calls keep
// theirs.
func TestRetryManyEvents(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	for i := range 5 {
		status := integration.EventProcessed
		if i < 3 {
			status = integration.EventFailed
		}
		b.had(fmt.Sprint("e-", i), "invoice.paid", `{}`, status)
	}
	const path = "/api/v1/admin/integrations/stripe/retry"
	a := b.do(b.admin, "POST", path, `{"kind":"event","filter":{"status":"failed","type":"invoice.paid"},"dry_run":true}`)
	if v := a.json(t); a.status != 200 || v["total"] != 3.0 || v["id"] != "" || a.header.Get("Location") != "" {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if jobs, err := b.store.UnfinishedJobs(t.Context()); err != nil || len(jobs) != 0 || len(b.audited()) != 0 {
		t.Errorf("a count left %v, %v, %v", jobs, b.audited(), err)
	}
	a = b.do(b.admin, "POST", path, `{"kind":"event","filter":{"status":"failed"}}`)
	v := a.json(t)
	if a.status != 202 || v["kind"] != "event" || v["total"] != 3.0 || v["state"] != "running" || v["filter"].(map[string]any)["status"] != "failed" {
		t.Fatalf("%d %s", a.status, a.text)
	}
	id, _ := v["id"].(string)
	if _, err := b.store.AdvanceJob(t.Context(), id, b.now, time.Time{}, 10); err != nil {
		t.Fatal(err)
	}
	if v := b.do(b.admin, "GET", "/api/v1/admin/jobs/"+id, "").json(t); v["queued"] != 3.0 || v["done"] != 0.0 {
		t.Errorf("%v", v)
	}
	if a := b.do(b.admin, "POST", "/api/v1/admin/jobs/"+id+"/cancel", ""); a.status != 200 || a.json(t)["state"] != "canceled" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if v := b.do(b.admin, "GET", "/api/v1/admin/events/e-0", "").json(t); v["status"] != "failed" || v["replays"] != nil {
		t.Errorf("after the job was stopped: %v", v)
	}
	b.do(b.admin, "POST", path, `{"kind":"event","filter":{"endpoint":"get_customer"}}`).problem(t, 422, "invalid_filter")
	b.do(b.admin, "POST", path, `{"filter":{"type":"invoice.paid"}}`).problem(t, 422, "invalid_filter")
	b.do(b.admin, "POST", path, `{"kind":"event","filter":{"status":"processing"}}`).problem(t, 422, "invalid_request")
	b.do(b.app, "POST", path, `{"kind":"event","filter":{}}`).problem(t, 403, "scope_missing")
}

// R5.10: a preview says what would be delivered, or where the plan refuses it;
// nothing changes but the audit log.
func TestPreview(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), previewing(t))
	b.had("e-1", "invoice.paid", `{"data":{"object":{"id":"in_1"}}}`, integration.EventProcessed)
	b.had("e-2", "invoice.paid", `{"data":{}}`, integration.EventFailed)
	b.had("e-3", "invoice.voided", `{}`, integration.EventIgnored)
	before := b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs", "").text
	v := b.do(b.admin, "POST", "/api/v1/admin/events/e-1/preview", "").json(t)
	event, _ := v["cloudevent"].(map[string]any)
	if v["verdict"] != "delivered" || fmt.Sprint(v["destinations"]) != "[billing]" || event["id"] != "e-1" || fmt.Sprint(event["data"]) != "map[id:in_1]" {
		t.Errorf("%v", v)
	}
	v = b.do(b.admin, "POST", "/api/v1/admin/events/e-2/preview", "").json(t)
	refusal, _ := v["refusal"].(map[string]any)
	if v["verdict"] != "refused" || !strings.Contains(fmt.Sprint(refusal["detail"]), `"data.object"`) || v["cloudevent"] != nil {
		t.Errorf("%v", v)
	}
	a := b.do(b.admin, "POST", "/api/v1/admin/integrations/stripe/preview", `{"filter":{},"limit":2}`)
	list, _ := a.json(t)["previews"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["verdict"] != "ignored" || list[1].(map[string]any)["id"] != "e-2" {
		t.Errorf("%s", a.text)
	}
	if after := b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs", "").text; after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	b.do(b.app, "POST", "/api/v1/admin/events/e-1/preview", "").problem(t, 403, "scope_missing")
	b.do(b.admin, "POST", "/api/v1/admin/events/none/preview", "").problem(t, 404, "not_found")
	if got := b.audited(); len(got) < 3 || got[0] != "event.read stripe" || got[1] != "event.read e-2" {
		t.Errorf("%v", got)
	}
}
