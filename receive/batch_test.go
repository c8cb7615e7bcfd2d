package receive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/verify"
)

// provider is the door of one provider, and how it signs.
type provider struct {
	*receive.Receiver
	name    string
	inbox   receive.Inbox
	scheme  *verify.Scheme
	private string
}

func providerOf(t testing.TB, name string, w *plan.Webhooks, in receive.Inbox) *provider {
	t.Helper()
	profile, err := catalog.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := verify.Compile(profile.Webhooks.Verify)
	if err != nil {
		t.Fatal(err)
	}
	private, public := keyPair(t, profile.Webhooks.Verify)
	p := &provider{name: name, inbox: in, scheme: scheme, private: private}
	p.Receiver, err = receive.New(receive.Config{
		Services: []receive.Service{{Plan: &plan.Plan{Service: name, Provider: profile, Webhooks: w}, Secrets: func() []integration.Secret { return wrapped([]string{public}) }}},
		Inbox:    in, PublicURL: hooks, Now: func() time.Time { return clock }, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *provider) send(t testing.TB, body string) int {
	t.Helper()
	of := &verify.Request{Method: http.MethodPost, URL: hooks + "/api/webhooks/" + p.name, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
	if err := p.scheme.Sign(of, integration.NewSecret(p.private), clock); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/webhooks/"+p.name, strings.NewReader(string(of.Body)))
	r.Header = of.Header
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Code
}

// R5.13: every event of a batch is kept by itself, with its own id, type, time
// and status, in the order in which they came; a repeat adds what is new.
func TestBatch(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	w := &plan.Webhooks{OrderBy: "json:[].email", Events: map[string]plan.EventHandling{"delivered": {}}}
	p := providerOf(t, "sendgrid", w, in)
	one, two := `{"email":"a@b.c", "event":"delivered","sg_event_id":"e1","timestamp":1795510800}`, `{"email":"d@e.f","event":"open","sg_event_id":"e2","timestamp":1795510801}`
	if code := p.send(t, "["+one+" ,\r\n"+two+"]\r\n"); code != http.StatusOK {
		t.Fatalf("answered %d", code)
	}
	events := in.all()
	if len(events) != 2 {
		t.Fatalf("%d events kept", len(events))
	}
	for i, want := range []struct {
		id, kind, subject, payload string
		status                     integration.EventStatus
		at                         int64
	}{{"e1", "delivered", "a@b.c", one, integration.EventReceived, 1795510800}, {"e2", "open", "d@e.f", two, integration.EventIgnored, 1795510801}} {
		e := events[i]
		if e.ExternalID != want.id || e.Type != want.kind || e.Subject != want.subject || string(e.Payload) != want.payload || e.Status != want.status || e.OccurredAt.Unix() != want.at {
			t.Errorf("item %d: %+v", i, e)
		}
		if b, ok := e.Batch(); !ok || b.Item != i+1 || b.Of != 2 || b.ID == "" {
			t.Errorf("item %d: batch %+v", i, b)
		}
	}
	three := strings.ReplaceAll(one, "e1", "e3")
	if code := p.send(t, "["+two+","+three+",null,7]"); code != http.StatusOK {
		t.Fatalf("answered %d", code)
	}
	if events = in.all(); len(events) != 5 || events[2].ExternalID != "e3" || events[3].Type != "unknown" || string(events[4].Payload) != "7" {
		t.Errorf("kept %d", len(events))
	}
	if s := p.Stats("sendgrid"); s.Received != 2 || s.Ignored != 3 || s.Duplicate != 1 {
		t.Errorf("counted %+v", s)
	}
}

// R5.13: what the envelope shares stays with the item; ids of the envelope don't
// make its items one.
func TestBatchesOfEnvelopes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		ids  []string
		item string
	}{
		"okta": {
			`{"eventId":"E","data":{"events":[{"uuid":"1","eventType":"user.session.start"},{"uuid":"2","eventType":"user.session.end"}]}}`,
			[]string{"E#1", "E#2"},
			`{"eventId":"E","data":{"events":[{"uuid":"2","eventType":"user.session.end"}]}}`,
		},
		"xero": {
			`{"events":[{"resourceId":"r","eventType":"UPDATE","eventDateUtc":"2026-01-01T00:00:00","x":1},{"resourceId":"r","eventType":"UPDATE","eventDateUtc":"2026-01-01T00:00:00","x":2}],"entropy":"Z"}`,
			[]string{"sha256/parts:", "sha256/id:"},
			`{"events":[{"resourceId":"r","eventType":"UPDATE","eventDateUtc":"2026-01-01T00:00:00","x":2}],"entropy":"Z"}`,
		},
		"mailchannels": {`[{"event":"open"},{"event":"click"}]`, []string{"sha256/body:", "sha256/body:"}, `{"event":"click"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &inbox{}
			p := providerOf(t, name, &plan.Webhooks{}, in)
			for range 2 {
				if code := p.send(t, c.body); code != http.StatusOK {
					t.Fatalf("answered %d", code)
				}
			}
			events := in.all()
			if len(events) != 2 {
				t.Fatalf("%d events kept", len(events))
			}
			for i, e := range events {
				if !strings.HasPrefix(e.ExternalID, c.ids[i]) || e.Type == "unknown" {
					t.Errorf("item %d is %q of type %q", i, e.ExternalID, e.Type)
				}
			}
			if string(events[1].Payload) != c.item {
				t.Errorf("the second item is %s", events[1].Payload)
			}
		})
	}
}

// R5.13: a batch of nothing, such as a heartbeat, is answered and nothing is kept.
func TestEmptyBatch(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	p := providerOf(t, "asana", &plan.Webhooks{}, in)
	if code := p.send(t, `{"events":[]}`); code != http.StatusOK || len(in.all()) != 0 {
		t.Errorf("answered %d, %d kept", code, len(in.all()))
	}
	if s := p.Stats("asana"); s.Empty != 1 || s.Received+s.Ignored != 0 {
		t.Errorf("counted %+v", s)
	}
}

// breaking is an inbox that fails at the nth event.
type breaking struct {
	inbox
	left int
	with error
}

func (b *breaking) Accept(ctx context.Context, e *integration.Event) (bool, error) {
	if b.left == 0 {
		return false, b.with
	}
	b.left--
	return b.inbox.Accept(ctx, e)
}

// R5.6, R5.13: unless all events of a batch are kept the sender is told to come
// again; what was kept is known then, and nothing is lost.
func TestBatchIsKeptWholeOrAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"busy": integration.ErrBusy, "broken": errors.New("disk full")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &breaking{left: 2, with: failure}
			p := providerOf(t, "sendgrid", &plan.Webhooks{Events: map[string]plan.EventHandling{"open": {}}}, in)
			var items []map[string]any
			for i := range 4 {
				items = append(items, map[string]any{"sg_event_id": fmt.Sprint("e", i), "event": "open"})
			}
			body, err := json.Marshal(items)
			if err != nil {
				t.Fatal(err)
			}
			if code := p.send(t, string(body)); code != http.StatusServiceUnavailable {
				t.Fatalf("answered %d", code)
			}
			if s := p.Stats("sendgrid"); s.Received != 2 || s.NotKept != 1 {
				t.Errorf("counted %+v", s)
			}
			in.left = -1
			if code := p.send(t, string(body)); code != http.StatusOK {
				t.Fatalf("answered %d", code)
			}
			if n := len(in.all()); n != 4 {
				t.Errorf("%d events kept", n)
			}
			if s := p.Stats("sendgrid"); s.Received != 4 || s.Duplicate != 2 {
				t.Errorf("counted %+v", s)
			}
		})
	}
}

// R5.13: a request of more events than can be taken at once is refused whole.
func TestTooManyEventsAtOnce(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	p := providerOf(t, "sendgrid", &plan.Webhooks{}, in)
	if code := p.send(t, "["+strings.Repeat("{},", 20_001)+"{}]"); code != http.StatusRequestEntityTooLarge || len(in.all()) != 0 {
		t.Errorf("answered %d, %d kept", code, len(in.all()))
	}
}

// R5.4: at a provider whose same bytes may be news, no news is lost.
func TestPingsAreNeverTakenForRepeats(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	p := providerOf(t, "dropbox", &plan.Webhooks{Events: map[string]plan.EventHandling{"list_folder": {}}}, in)
	for range 3 {
		if code := p.send(t, `{"list_folder":{"accounts":["dbid:1"]}}`); code != http.StatusOK {
			t.Fatalf("answered %d", code)
		}
	}
	if events := in.all(); len(events) != 3 || events[0].Status != integration.EventReceived {
		t.Errorf("%d events kept", len(events))
	}
}
