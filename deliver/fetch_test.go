package deliver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// posted are deliveries, by the first label of the host.
type posted struct {
	mu     sync.Mutex
	header map[string]http.Header
	body   map[string][]byte
}

func (p *posted) RoundTrip(r *http.Request) (*http.Response, error) {
	b, _ := io.ReadAll(r.Body)
	name, _, _ := strings.Cut(r.URL.Host, ".")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.header[name], p.body[name] = r.Header.Clone(), b
	return answer(http.StatusOK)
}

// thinly delivers events of type "thin", about which fetch is asked, to a mapped
// and to a raw destination.
func thinly(t *testing.T, fetch deliver.Fetch) (*deliver.Deliverer, *posted) {
	t.Helper()
	p := testPlan("https://billing.example/")
	p.Destinations["raw"] = plan.Destination{URL: "https://raw.example/", Secret: catalog.OneOrMore{"env:X"}, Format: "raw"}
	p.Webhooks.Events["thin"] = plan.EventHandling{
		Map: "invoice", To: catalog.OneOrMore{"billing", "raw"},
		Fetch: &plan.Fetch{Endpoint: "get_invoice", Path: map[string]string{"id": "json:id"}, Query: map[string]string{"expand": "header:X-Expand", "absent": "json:absent"}},
	}
	got := &posted{header: map[string]http.Header{}, body: map[string][]byte{}}
	d, err := deliver.New(deliver.Config{
		Services: []deliver.Service{{
			Plan: p, Fetch: fetch, Secrets: func(string) []integration.Secret { return []integration.Secret{integration.NewSecret(canary)} },
		}},
		Transport: got, Log: slog.New(slog.DiscardHandler), Dice: func() float64 { return 0 }, Redelivery: []time.Duration{4 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d, got
}

func thinEvent() integration.Event {
	e := testEvent("thin", `{"id":"in_7"}`)
	e.Header = http.Header{"X-Expand": {"lines"}}
	return e
}

// R5.13: what was read takes the place of the payload for those who have it
// mapped; who has the event raw has it as it came.
func TestFetched(t *testing.T) {
	t.Parallel()
	var asked []deliver.Fetching
	d, got := thinly(t, func(_ context.Context, f deliver.Fetching) ([]byte, bool, error) {
		asked = append(asked, f)
		return []byte(`{"id":"in_7","amount_due":1990,"currency":"eur","status":"paid"}`), false, nil
	})
	if out := d.Deliver(t.Context(), thinEvent()); out.Status != integration.EventProcessed {
		t.Fatalf("outcome %+v", out)
	}
	if len(asked) != 1 || asked[0].Endpoint != "get_invoice" || asked[0].Tenant != "acme" || asked[0].Path["id"] != "in_7" ||
		!reflect.DeepEqual(map[string][]string(asked[0].Query), map[string][]string{"expand": {"lines"}}) {
		t.Errorf("asked for %+v", asked)
	}
	if data := gjson.GetBytes(got.body["billing"], "data").Raw; data != `{"stripeInvoiceId":"in_7","amountDue":"19.90","status":"PAID"}` {
		t.Errorf("data %s", data)
	}
	if string(got.body["raw"]) != `{"id":"in_7"}` || got.header["raw"].Get("Sallyport-Gone") != "" || gjson.GetBytes(got.body["billing"], "sallyportgone").Exists() {
		t.Errorf("raw %s %v", got.body["raw"], got.header["raw"])
	}
}

// R5.13: both hear that it is gone.
func TestFetchedGone(t *testing.T) {
	t.Parallel()
	d, got := thinly(t, func(context.Context, deliver.Fetching) ([]byte, bool, error) { return nil, true, nil })
	if out := d.Deliver(t.Context(), thinEvent()); out.Status != integration.EventProcessed {
		t.Fatalf("outcome %+v", out)
	}
	if b := got.body["billing"]; !gjson.GetBytes(b, "sallyportgone").Bool() || gjson.GetBytes(b, "data").Raw != `{"id":"in_7"}` {
		t.Errorf("sent %s", b)
	}
	if got.header["raw"].Get("Sallyport-Gone") != "true" || string(got.body["raw"]) != `{"id":"in_7"}` {
		t.Errorf("raw %s %v", got.body["raw"], got.header["raw"])
	}
}

// R5.13: a failed call is a failed attempt that may be delayed, never hastened;
// nothing is delivered.
func TestFetchFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for wait, want := range map[time.Duration]time.Duration{0: 4 * time.Second, time.Second: 4 * time.Second, time.Minute: time.Minute} {
			d, got := thinly(t, func(context.Context, deliver.Fetching) ([]byte, bool, error) {
				return nil, false, errors.Join(errors.New("no"), &integration.Failure{RetryAfter: wait})
			})
			out := d.Deliver(t.Context(), thinEvent())
			if out.Status != integration.EventReceived || !strings.Contains(out.Error, "reading it by get_invoice") || len(got.body) != 0 {
				t.Errorf("outcome %+v", out)
			}
			due := out.DueAt
			if due.IsZero() { // each destination has its own
				due = out.Progress["billing"].DueAt
			}
			if !due.Equal(time.Now().Add(want)) {
				t.Errorf("asked to wait %s: due in %s, want %s", wait, time.Until(due), want)
			}
		}
	})
}

// R5.13: an event that does not name what to read is a person's to mend; nobody
// is asked.
func TestNothingToFetch(t *testing.T) {
	t.Parallel()
	d, got := thinly(t, func(context.Context, deliver.Fetching) ([]byte, bool, error) {
		t.Error("the provider was asked")
		return nil, false, nil
	})
	e := thinEvent()
	e.Payload = []byte(`{"id":""}`)
	out := d.Deliver(t.Context(), e)
	if out.Status != integration.EventFailed || len(got.body) != 0 || !strings.Contains(out.Deliveries[0].Error, "does not name the id") {
		t.Errorf("outcome %+v", out)
	}
}
