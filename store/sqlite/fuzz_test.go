package sqlite

import (
	"bytes"
	"net/http"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
)

// FuzzAccept stores what strangers may send: it comes out as it went in, and
// is known when it comes again.
func FuzzAccept(f *testing.F) {
	f.Add("evt_1", "invoice.paid", "acme", "in_1", "application/json", []byte(`{"id":"evt_1"}`))
	f.Add("'; DROP TABLE webhook_events; --", "%_\\", "\x00", "ü", "\"\r\n", []byte{0, 0xff})
	f.Add("\xff\xfe", "0012", "1e9", "NULL", "", []byte{})
	f.Add("", "a", "b", "c", "d", []byte("e"))
	f.Add("evt_1 ", "", "", "", "x", []byte("null"))
	s := openTest(f, Options{})
	f.Fuzz(func(t *testing.T, external, kind, tenant, subject, header string, payload []byte) {
		e := &integration.Event{
			ID: uuid.NewString(), Service: "fuzz", Source: uuid.NewString(), ExternalID: external, Type: kind, Tenant: tenant, Subject: subject,
			ReceivedAt: time.Now(), Status: integration.EventIgnored, Header: http.Header{"X-Any": {header}}, Payload: payload,
		}
		fresh, err := s.Accept(t.Context(), e)
		if external == "" {
			if err == nil || fresh {
				t.Fatalf("an event without an id: fresh %v, %v", fresh, err)
			}
			return
		}
		if err != nil || !fresh {
			t.Fatalf("fresh %v, %v", fresh, err)
		}
		got, _, err := s.Event(t.Context(), e.ID)
		if err != nil || got.ExternalID != external || got.Type != kind || got.Tenant != tenant || got.Subject != subject || !bytes.Equal(got.Payload, payload) {
			t.Fatalf("got %+v, %v; want %+v", got, err, e)
		}
		if utf8.ValidString(header) && got.Header.Get("X-Any") != header {
			t.Fatalf("header %q, want %q", got.Header.Get("X-Any"), header)
		}
		repeat := *e
		repeat.ID = uuid.NewString()
		if fresh, err := s.Accept(t.Context(), &repeat); err != nil || fresh {
			t.Fatalf("again: fresh %v, %v", fresh, err)
		}
		if _, _, err := s.Events(t.Context(), integration.Filter{Service: "fuzz", Query: external, Type: kind, Cursor: ""}); err != nil {
			t.Fatal(err)
		}
	})
}
