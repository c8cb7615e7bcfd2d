package deliver_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/mapping"
)

// R5.10: a dry run shows what would be delivered, or the refusal with its place;
// nothing is sent.
func TestPreview(t *testing.T) {
	t.Parallel()
	b := newBundle(t, roundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("it was sent")
		return answer(200)
	}), canary)
	p := b.Preview(testEvent("invoice.paid", paid))
	if p.Status != integration.EventReceived || p.Err != nil || !slices.Equal(p.Destinations, []string{"billing"}) ||
		!strings.Contains(string(p.Data), `"amountDue":"19.90"`) || !strings.Contains(string(p.Body), `"data":`+string(p.Data)) {
		t.Errorf("%+v: %s", p, p.Body)
	}
	p = b.Preview(testEvent("invoice.paid", strings.Replace(paid, `"paid"`, `"void"`, 1)))
	var refusal *mapping.Error
	if p.Status != integration.EventFailed || !errors.As(p.Err, &refusal) || refusal.Pointer != "/status" || p.Data != nil || p.Body != nil {
		t.Errorf("%+v", p)
	}
	if p := b.Preview(testEvent("handled", paid)); p.Status != integration.EventFailed || p.Err == nil {
		t.Errorf("nobody takes it: %+v", p)
	}
	if p := b.Preview(testEvent("unused", paid)); p.Status != integration.EventIgnored || len(p.Destinations) != 0 {
		t.Errorf("%+v", p)
	}
}

// R5.10: a replay is marked, keeps its id, and its deliveries say which it was.
func TestReplayIsMarked(t *testing.T) {
	t.Parallel()
	var bodies, ids []string
	b := newBundle(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		bodies, ids = append(bodies, string(body)), append(ids, r.Header.Get("Webhook-Id"))
		if err != nil {
			return nil, err
		}
		return answer(200)
	}), canary)
	e := testEvent("customer.made", `{"id":"evt_1"}`)
	first := b.Deliver(t.Context(), e)
	e.Replays, e.Attempts = 2, 3
	second := b.Deliver(t.Context(), e)
	if first.Deliveries[0].Replay != 0 || second.Deliveries[0].Replay != 2 {
		t.Errorf("%+v, then %+v", first.Deliveries, second.Deliveries)
	}
	if strings.Contains(bodies[0], "sallyportreplay") || !strings.Contains(bodies[1], `"sallyportreplay":true`) || ids[0] != e.ID || ids[1] != e.ID {
		t.Errorf("%v as %v", bodies, ids)
	}
}
