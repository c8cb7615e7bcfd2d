package deliver_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// An event of our own goes to the destination it names, signed and typed as
// ours, whatever the plan says of the provider's events.
func TestOwnEvent(t *testing.T) {
	t.Parallel()
	var body []byte
	var header http.Header
	b := newBundle(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
		return answer(200)
	}), "whsec_Y2FuYXJ5", func(p *plan.Plan) { p.Webhooks = nil })
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	e := integration.OwnEvent("0193-own", "stripe", "billing", integration.EventCallFinished, "call-1:0", "acme", at, []byte(`{"id":"call-1","state":"succeeded"}`))
	if out := b.Deliver(t.Context(), *e); out.Status != integration.EventProcessed {
		t.Fatalf("%+v", out)
	}
	for path, want := range map[string]string{
		"type": "sallyport.call.finished", "source": "sallyport/stripe", "id": "0193-own", "tenant": "acme", "data.state": "succeeded", "time": "2026-11-24T09:00:00Z",
	} {
		if got := gjson.GetBytes(body, path).String(); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if header.Get("Webhook-Id") != "0193-own" || header.Get("Webhook-Signature") == "" {
		t.Errorf("header %v", header)
	}
	// A destination that the plan has no longer is a person's to mend.
	e = integration.OwnEvent("0193-lost", "stripe", "gone", integration.EventCallFinished, "call-2:0", "acme", at, []byte(`{}`))
	body = nil
	if out := b.Deliver(t.Context(), *e); out.Status != integration.EventFailed || body != nil {
		t.Errorf("%+v, sent %q", out, body)
	}
}

// A provider can't write in our name: what comes in by a door keeps its service
// in its type.
func TestProvidersEventIsNotOurs(t *testing.T) {
	t.Parallel()
	var body []byte
	b := newBundle(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		body, _ = io.ReadAll(r.Body)
		return answer(200)
	}), "whsec_Y2FuYXJ5", func(p *plan.Plan) {
		p.Webhooks.Events[integration.EventCallFinished] = plan.EventHandling{To: catalog.OneOrMore{"billing"}}
	})
	if out := b.Deliver(t.Context(), testEvent(integration.EventCallFinished, `{}`)); out.Status != integration.EventProcessed {
		t.Fatalf("%+v", out)
	}
	if got := gjson.GetBytes(body, "type").String(); got != "stripe.sallyport.call.finished" {
		t.Errorf("type %q", got)
	}
}
