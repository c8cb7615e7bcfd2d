package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// stream is one listener of the test.
type stream struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Scanner
}

func (b *bundle) listen(query url.Values) *stream {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+"/api/v1/admin/integrations/stripe/events/stream?"+query.Encode(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.admin)
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { resp.Body.Close(); client.CloseIdleConnections() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		b.t.Fatalf("%s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	s := &stream{b.t, resp, bufio.NewScanner(resp.Body)}
	s.in.Buffer(nil, 1<<20)
	if first := s.line(); first.Kind != "alive" || first.Cursor == "" {
		b.t.Fatalf("%+v", first)
	}
	return s
}

func (s *stream) line() (l api.StreamLine) {
	s.t.Helper()
	if !s.in.Scan() {
		s.t.Fatalf("the stream ended: %v", s.in.Err())
	}
	if err := json.Unmarshal(s.in.Bytes(), &l); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// event is the next line that is one.
func (s *stream) event() (l api.StreamLine) {
	s.t.Helper()
	for l.Kind != "event" {
		l = s.line()
	}
	return l
}

// Issue 5, point 11: events come in order, each with the place to go on from;
// who comes back has those that came meanwhile; nothing about them changes.
func TestListen(t *testing.T) {
	t.Parallel()
	arrivals := api.NewArrivals()
	b := newBundle(t, noProvider(t), previewing(t), func(c *api.Config) { c.Arrivals = arrivals })
	b.had("before", "invoice.paid", `{"data":{"object":{"n":0}}}`, integration.EventReceived)
	one, two := b.listen(nil), b.listen(url.Values{"type": {"invoice.paid"}})
	for i := range 5 {
		b.had(fmt.Sprint("e-", i), map[bool]string{true: "invoice.paid", false: "invoice.voided"}[i%2 == 0], fmt.Sprintf(`{"data":{"object":{"n":%d}}}`, i), integration.EventReceived)
		arrivals.Announce()
	}
	cursor := ""
	for i := range 5 {
		l := one.event()
		if l.Event.ID != fmt.Sprint("e-", i) || string(l.Body) != fmt.Sprintf(`{"data":{"object":{"n":%d}}}`, i) || l.Event.Status != "received" || l.Event.Headers["Content-Type"] == nil {
			t.Errorf("%+v %s", l.Event, l.Body)
		}
		if verdict := l.Preview.Verdict; (i%2 == 0) != (verdict == "delivered") || (i%2 == 1) != (verdict == "ignored") {
			t.Errorf("event %d is %s", i, verdict)
		}
		if i == 2 {
			cursor = l.Cursor
		}
	}
	for _, want := range []string{"e-0", "e-2", "e-4"} {
		if l := two.event(); l.Event.ID != want {
			t.Errorf("%s, want %s", l.Event.ID, want)
		}
	}
	one.resp.Body.Close()
	b.had("e-5", "invoice.paid", `{}`, integration.EventReceived)
	back := b.listen(url.Values{"cursor": {cursor}})
	for _, want := range []string{"e-3", "e-4", "e-5"} {
		if l := back.event(); l.Event.ID != want {
			t.Errorf("%s, want %s", l.Event.ID, want)
		}
	}
	all := b.listen(url.Values{"since": {b.now.Add(-time.Hour).Format(time.RFC3339)}})
	if l := all.event(); l.Event.ID != "before" {
		t.Errorf("since an hour ago it begins with %s", l.Event.ID)
	}
	arrivals.Close()
	for _, s := range []*stream{two, back} {
		if l := s.line(); l.Kind != "end" || s.in.Scan() {
			t.Errorf("at shutdown: %+v, then %s", l, s.in.Text())
		}
	}
	counts, err := b.store.EventCounts(t.Context(), "stripe", "")
	if err != nil || counts.ByState["received"] != 7 {
		t.Errorf("%+v, %v", counts, err)
	}
}

// R5.7: a listener does not see the provider's signature, also where it is kept
// for raw deliveries.
func TestListenShowsNoSignature(t *testing.T) {
	t.Parallel()
	arrivals := api.NewArrivals()
	b := newBundle(t, noProvider(t), previewing(t), func(c *api.Config) { c.Arrivals = arrivals })
	t.Cleanup(arrivals.Close)
	s := b.listen(nil)
	e := &integration.Event{
		ID: "e-1", Service: "stripe", ExternalID: "x-1", Type: "invoice.paid", Payload: []byte(`{}`), ReceivedAt: b.now, Status: integration.EventReceived,
		Header: http.Header{"Content-Type": {"application/json"}, integration.SignedPrefix + "Stripe-Signature": {"t=1,v1=abcdef"}},
	}
	if _, err := b.store.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	arrivals.Announce()
	if l := s.event(); l.Event.Headers["Content-Type"] == nil || bytes.Contains(s.in.Bytes(), []byte("abcdef")) {
		t.Errorf("%s", s.in.Bytes())
	}
}

// A key has few listeners, and only admins listen.
func TestListenersAreFew(t *testing.T) {
	t.Parallel()
	arrivals := api.NewArrivals()
	b := newBundle(t, noProvider(t), func(c *api.Config) { c.Arrivals = arrivals })
	t.Cleanup(arrivals.Close)
	const path = "/api/v1/admin/integrations/stripe/events/stream"
	for range 8 {
		b.listen(nil)
	}
	b.do(b.admin, "GET", path, "").problem(t, 429, "too_many_listeners")
	b.do(b.app, "GET", path, "").problem(t, 403, "scope_missing")
	b.do(b.admin, "GET", path+"?cursor=e12", "").problem(t, 400, "invalid_cursor")
	b.do(b.admin, "GET", "/api/v1/admin/integrations/none/events/stream", "").problem(t, 404, "unknown_service")
}
