package deliver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "signing-canary"

func testPlan(url string) *plan.Plan {
	return &plan.Plan{
		Service: "stripe",
		Mappings: map[string][]plan.MappingRow{"invoice": {
			{External: "id", Type: "string", Internal: "stripeInvoiceId", As: "string"},
			{External: "amount_due", Type: "integer", Internal: "amountDue", As: "decimal", Transform: "money(currency)"},
			{External: "status", Type: "string", Internal: "status", As: "enum", Values: map[string]string{"paid": "PAID"}, Unknown: "fail"},
		}},
		Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{
			"invoice.paid":  {From: "data.object", Map: "invoice", To: catalog.OneOrMore{"billing"}},
			"customer.made": {To: catalog.OneOrMore{"billing"}},
			"handled":       {From: "data.object"},
		}},
		Destinations: map[string]plan.Destination{"billing": {URL: url, Secret: catalog.OneOrMore{"env:X"}, Timeout: plan.Duration(5 * time.Second)}},
	}
}

func testEvent(eventType, payload string) integration.Event {
	return integration.Event{
		ID: "0193-event", Service: "stripe", ExternalID: "evt_1", Type: eventType, Tenant: "acme", Subject: "in_1",
		OccurredAt: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC), Payload: []byte(payload), Attempts: 1, Status: integration.EventProcessing,
	}
}

const paid = `{"id":"evt_1","data":{"object":{"id":"in_1","amount_due":1990,"currency":"eur","status":"paid"}}}`

// roundTrip is a destination in memory.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("answer-canary"))}, nil
}

type bundle struct {
	*deliver.Deliverer
	log *lines
	now func() time.Time
}

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

func newBundle(t testing.TB, transport http.RoundTripper, secret string, change ...func(*plan.Plan)) *bundle {
	t.Helper()
	p := testPlan("https://billing.example/stripe")
	for _, c := range change {
		c(p)
	}
	b := &bundle{log: &lines{}, now: time.Now}
	d, err := deliver.New(deliver.Config{
		Services:  []deliver.Service{{Plan: p, Secrets: func(string) []integration.Secret { return []integration.Secret{integration.NewSecret(secret)} }}},
		Transport: transport, Log: slog.New(slog.NewJSONHandler(b.log, nil)), Dice: func() float64 { return 0.5 },
		Redelivery: []time.Duration{4 * time.Second, 40 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	b.Deliverer = d
	return b
}

// R5.8: mapped, as a CloudEvent, signed so that the Standard Webhooks library
// accepts it, over a real connection.
func TestDeliversSignedCloudEvent(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"whsec_" + base64.StdEncoding.EncodeToString([]byte(canary)), canary} {
		got := make(chan *http.Request, 1)
		body := make(chan []byte, 1)
		destination := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got <- r
			body <- b
			w.WriteHeader(http.StatusNoContent)
		}))
		defer destination.Close()
		b := newBundle(t, nil, secret, func(p *plan.Plan) {
			p.Destinations["billing"] = plan.Destination{URL: destination.URL + "/stripe?x=1", Secret: catalog.OneOrMore{"env:X"}}
		})
		out := b.Deliver(t.Context(), testEvent("invoice.paid", paid))
		if out.Status != integration.EventProcessed || out.Error != "" || out.Released || len(out.Deliveries) != 1 {
			t.Fatalf("outcome %+v", out)
		}
		if d := out.Deliveries[0]; d.State != integration.DeliverySucceeded || d.Status != 204 || d.Destination != "billing" || d.EventID != "0193-event" || d.Attempt != 1 || len(d.ID) != 36 {
			t.Errorf("delivery %+v", d)
		}
		r, sent := <-got, <-body
		if r.Method != http.MethodPost || r.URL.String() != "/stripe?x=1" || r.Header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" {
			t.Errorf("request %s %s %v", r.Method, r.URL, r.Header)
		}
		hook, err := standardwebhooks.NewWebhookRaw([]byte(canary))
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify(sent, r.Header); err != nil {
			t.Errorf("the library refuses the signature: %v", err)
		}
		if err := hook.Verify(append([]byte(" "), sent...), r.Header); err == nil {
			t.Error("the library accepts another body")
		}
		var event map[string]any
		if err := json.Unmarshal(sent, &event); err != nil {
			t.Fatalf("%v: %s", err, sent)
		}
		want := map[string]any{
			"specversion": "1.0", "id": "0193-event", "source": "sallyport/stripe", "type": "stripe.invoice.paid", "subject": "in_1",
			"time": "2026-11-24T08:00:00Z", "tenant": "acme", "datacontenttype": "application/json",
			"data": map[string]any{"stripeInvoiceId": "in_1", "amountDue": "19.90", "status": "PAID"},
		}
		if !reflect.DeepEqual(event, want) {
			t.Errorf("sent %s", sent)
		}
		for _, never := range []string{canary, secret, "amount_due"} { // R2.10
			if strings.Contains(b.log.String(), never) {
				t.Errorf("the log holds %q: %s", never, b.log)
			}
		}
		if !strings.Contains(b.log.String(), "delivery.attempted") {
			t.Errorf("log %s", b.log)
		}
	}
}

// R5.10: what each answer leads to. The first wait of the schedule is 4 s, and
// the dice add an eighth of it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		status int
		header []string
		want   integration.EventStatus
		state  integration.DeliveryState
		wait   time.Duration
	}{
		{"200", 200, nil, integration.EventProcessed, integration.DeliverySucceeded, 0},
		{"299", 299, nil, integration.EventProcessed, integration.DeliverySucceeded, 0},
		{"410 stops", 410, nil, integration.EventFailed, integration.DeliveryFailed, 0},
		{"500", 500, nil, integration.EventReceived, integration.DeliveryRetrying, 4500 * time.Millisecond},
		{"400 may be mended", 400, nil, integration.EventReceived, integration.DeliveryRetrying, 4500 * time.Millisecond},
		{"429 longer than the schedule", 429, []string{"Retry-After", "60"}, integration.EventReceived, integration.DeliveryRetrying, time.Minute},
		{"503 shorter than the schedule", 503, []string{"Retry-After", "1"}, integration.EventReceived, integration.DeliveryRetrying, 4500 * time.Millisecond},
		{"503 date", 503, []string{"Retry-After", "Sat, 01 Jan 2000 00:02:00 GMT"}, integration.EventReceived, integration.DeliveryRetrying, 2 * time.Minute},
		{"503 absurd", 503, []string{"Retry-After", "999999999"}, integration.EventReceived, integration.DeliveryRetrying, 24 * time.Hour},
		{"503 nonsense", 503, []string{"Retry-After", "-5"}, integration.EventReceived, integration.DeliveryRetrying, 4500 * time.Millisecond},
		{"500 asks for nothing", 500, []string{"Retry-After", "60"}, integration.EventReceived, integration.DeliveryRetrying, 4500 * time.Millisecond},
		{"redirect", 302, []string{"Location", "https://elsewhere.example/"}, integration.EventReceived, integration.DeliveryRetrying, 4500 * time.Millisecond},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // the clock stands at 2000-01-01 00:00
				var asked int
				b := newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) {
					asked++
					return answer(c.status, c.header...)
				}), canary)
				out := b.Deliver(t.Context(), testEvent("invoice.paid", paid))
				if out.Status != c.want || len(out.Deliveries) != 1 || out.Deliveries[0].State != c.state || out.Deliveries[0].Status != c.status {
					t.Errorf("outcome %+v", out)
				}
				if asked != 1 {
					t.Errorf("%d requests; redirects must not be followed", asked)
				}
				if c.wait == 0 && !out.DueAt.IsZero() || c.wait > 0 && !out.DueAt.Equal(time.Now().Add(c.wait)) {
					t.Errorf("due in %s, want %s", time.Until(out.DueAt), c.wait)
				}
				if (out.Error == "") != (c.state == integration.DeliverySucceeded) || strings.Contains(out.Error, "answer-canary") {
					t.Errorf("error %q", out.Error)
				}
			})
		})
	}
}

func TestGivesUpWhenTheScheduleIsUsedUp(t *testing.T) {
	t.Parallel()
	b := newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) { return answer(500) }), canary)
	e := testEvent("invoice.paid", paid)
	for e.Attempts = 1; e.Attempts <= 2; e.Attempts++ {
		if out := b.Deliver(t.Context(), e); out.Status != integration.EventReceived {
			t.Errorf("attempt %d: %+v", e.Attempts, out)
		}
	}
	out := b.Deliver(t.Context(), e)
	if out.Status != integration.EventFailed || !strings.Contains(out.Error, "given up after 3 attempts") || out.Deliveries[0].State != integration.DeliveryFailed {
		t.Errorf("outcome %+v", out)
	}
}

// R5.10: a person who asks again gets the whole schedule anew, not one attempt;
// attempts go on counting.
func TestAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) { return answer(500) }), canary)
		e := testEvent("invoice.paid", paid)
		e.Attempts, e.RetriedAfter = 4, 3
		out := b.Deliver(t.Context(), e)
		if out.Status != integration.EventReceived || !out.DueAt.Equal(time.Now().Add(4500*time.Millisecond)) || out.Deliveries[0].Attempt != 4 {
			t.Errorf("the first attempt since: %+v", out)
		}
		if e.Attempts++; b.Deliver(t.Context(), e).Status != integration.EventReceived {
			t.Error("the second attempt since is the last")
		}
		e.Attempts++
		if out := b.Deliver(t.Context(), e); out.Status != integration.EventFailed || !strings.Contains(out.Error, "given up after 6 attempts, 3 of them since it was asked for again") {
			t.Errorf("the third attempt since: %+v", out)
		}
	})
}

// What a person must mend fails at once and names its place; nothing is sent.
func TestRefusesWhatAPersonMustMend(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		event  integration.Event
		secret string
		want   string
	}{
		"mapping":        {testEvent("invoice.paid", strings.Replace(paid, `"paid"`, `"new"`, 1)), canary, "mapping.invoice.status"},
		"no resource":    {testEvent("invoice.paid", `{"id":"evt_1"}`), canary, `"data.object"`},
		"no JSON":        {testEvent("invoice.paid", `%%%`), canary, `"data.object"`},
		"no secret":      {testEvent("invoice.paid", paid), "", "no signing secret"},
		"odd secret":     {testEvent("invoice.paid", paid), "whsec_canary!", "no base64"},
		"nobody to tell": {testEvent("handled", paid), canary, "neither a destination nor a Go handler"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("something was sent")
				return answer(200)
			}), c.secret)
			out := b.Deliver(t.Context(), c.event)
			if out.Status != integration.EventFailed || !out.DueAt.IsZero() || !strings.Contains(out.Error, c.want) || strings.Contains(out.Error+b.log.String(), "canary!") {
				t.Errorf("outcome %+v", out)
			}
			if len(out.Deliveries) != 1 || out.Deliveries[0].State != integration.DeliveryFailed {
				t.Errorf("deliveries %+v", out.Deliveries)
			}
		})
	}
}

func TestTimeoutSaysWhichClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}), canary)
		start := time.Now()
		out := b.Deliver(t.Context(), testEvent("invoice.paid", paid))
		if took := time.Since(start); took != 5*time.Second || out.Deliveries[0].Took != took {
			t.Errorf("took %s, written down as %s", took, out.Deliveries[0].Took)
		}
		if out.Status != integration.EventReceived || out.Released || !strings.Contains(out.Error, "did not answer in time (5s)") {
			t.Errorf("outcome %+v", out)
		}
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	b := newBundle(t, nil, canary, func(p *plan.Plan) {
		p.Destinations["billing"] = plan.Destination{URL: strings.Replace(closed.URL, "http://", "http://user:url-canary@", 1) + "/?token=url-canary", Secret: catalog.OneOrMore{"env:X"}}
	})
	out := b.Deliver(t.Context(), testEvent("invoice.paid", paid))
	if out.Status != integration.EventReceived || !strings.Contains(out.Error, "could not be reached") || strings.Contains(out.Error+b.log.String(), "url-canary") {
		t.Errorf("outcome %+v", out)
	}
}

// Stopping gives the event back: the attempt does not count, and nothing is
// written down about it.
func TestReleasedWhenStopping(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	b := newBundle(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		stop(errors.New("stopping"))
		<-r.Context().Done()
		return nil, r.Context().Err()
	}), canary)
	out := b.Deliver(ctx, testEvent("invoice.paid", paid))
	if !out.Released || out.Status != integration.EventReceived || len(out.Deliveries) != 0 || out.Error != "" {
		t.Errorf("outcome %+v", out)
	}
	if strings.Contains(b.log.String(), "delivery.attempted") {
		t.Error("an attempt that does not count is logged as one")
	}
	// A delivery that ended all the same is done, not given back.
	done, stop2 := context.WithCancel(t.Context())
	b = newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) {
		stop2()
		return answer(200)
	}), canary)
	if out := b.Deliver(done, testEvent("invoice.paid", paid)); out.Status != integration.EventProcessed || out.Released {
		t.Errorf("outcome %+v", out)
	}
}

func TestHandlers(t *testing.T) {
	t.Parallel()
	b := newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("a handled event was sent")
		return answer(200)
	}), canary)
	var next func(deliver.Event) error
	for _, name := range []string{"handled", "invoice.paid"} {
		if err := b.On("stripe", name, func(_ context.Context, e deliver.Event) error { return next(e) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.On("stripe", "handled", func(context.Context, deliver.Event) error { return nil }); err == nil {
		t.Error("a second handler is taken")
	}
	if err := b.On("stripe", "other", nil); err == nil {
		t.Error("a nil handler is taken")
	}

	var got deliver.Event
	next = func(e deliver.Event) error { got = e; return nil }
	out := b.Deliver(t.Context(), testEvent("invoice.paid", paid))
	if out.Status != integration.EventProcessed || out.Deliveries[0].Destination != deliver.HandlerName || out.Deliveries[0].Status != 0 {
		t.Errorf("outcome %+v", out)
	}
	if string(got.Data) != `{"stripeInvoiceId":"in_1","amountDue":"19.90","status":"PAID"}` || got.ID != "0193-event" || string(got.Payload) != paid {
		t.Errorf("the handler got %s", got.Data)
	}
	out = b.Deliver(t.Context(), testEvent("handled", paid))
	if out.Status != integration.EventProcessed || string(got.Data) != `{"id":"in_1","amount_due":1990,"currency":"eur","status":"paid"}` {
		t.Errorf("unmapped: %+v, data %s", out, got.Data)
	}

	next = func(deliver.Event) error { return errors.New("no disk") }
	out = b.Deliver(t.Context(), testEvent("handled", paid))
	if out.Status != integration.EventReceived || !strings.Contains(out.Error, "the handler failed: no disk") || out.DueAt.IsZero() {
		t.Errorf("outcome %+v", out)
	}
	next = func(deliver.Event) error { panic("oh") }
	out = b.Deliver(t.Context(), testEvent("handled", paid))
	if out.Status != integration.EventReceived || !strings.Contains(out.Error, "it panicked: oh") || out.Deliveries[0].State != integration.DeliveryRetrying {
		t.Errorf("outcome %+v", out)
	}
	if !strings.Contains(b.log.String(), "deliver_test.go") {
		t.Error("the log does not say where the handler panicked")
	}
}

func TestUnknownTypeIsIgnored(t *testing.T) {
	t.Parallel()
	b := newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) { return answer(500) }), canary)
	for _, e := range []integration.Event{testEvent("never.heard", paid), {Service: "github", Type: "invoice.paid"}} {
		if out := b.Deliver(t.Context(), e); out.Status != integration.EventIgnored || len(out.Deliveries) != 0 {
			t.Errorf("outcome %+v", out)
		}
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nil, "whsec_canary!")
	err := b.Ready()
	if err == nil || !strings.Contains(err.Error(), "webhooks.events.handled has neither") || !strings.Contains(err.Error(), "destination billing") || strings.Contains(err.Error(), "canary!") {
		t.Errorf("error %v", err)
	}
	b = newBundle(t, nil, canary)
	if err := b.On("stripe", "handled", func(context.Context, deliver.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("error %v", err)
	}
}

func TestNewNamesEveryMistake(t *testing.T) {
	t.Parallel()
	p := testPlan("http://x")
	p.Webhooks.Events = map[string]plan.EventHandling{
		"a": {To: catalog.OneOrMore{"nowhere"}}, "b": {From: "data..object", To: catalog.OneOrMore{"billing"}}, "c": {Map: "nothing", To: catalog.OneOrMore{"billing"}},
	}
	_, err := deliver.New(deliver.Config{Services: []deliver.Service{{Plan: p}}, Dice: func() float64 { return 0 }})
	for _, want := range []string{"webhooks.events.a.to", "webhooks.events.b.from", "webhooks.events.c"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
}

func TestPanicked(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nil, canary)
	if out := b.Panicked("boom"); out.Status != integration.EventReceived || out.DueAt.IsZero() || out.Error != "panic: boom" {
		t.Errorf("outcome %+v", out)
	}
}
