package postgres

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/integration"
)

func TestStorable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                   "",
		"evt_1":              "evt_1",
		"ü€😀":                "ü€😀",
		"\u2028\ufffd\u007f": "\u2028\ufffd\u007f",
		"a\x00b":             "a\x1a00b",
		"\xff\xfe":           "\x1aff\x1afe",
		"\x1a":               "\x1a1a",
		"\x1a00":             "\x1a1a00",
		"\xed\xa0\x80":       "\x1aed\x1aa0\x1a80", // half of a surrogate pair
	} {
		if got := storable(in); got != want {
			t.Errorf("%q is stored as %q, want %q", in, got, want)
		}
		if got := restored(want); got != in {
			t.Errorf("%q is read as %q, want %q", want, got, in)
		}
	}
	for _, foreign := range []string{"\x1a", "x\x1azz", "\x1a0", "\x1a\x1a"} { // another program wrote it
		if got := restored(foreign); got != foreign {
			t.Errorf("%q is read as %q", foreign, got)
		}
	}
}

// What is stored is UTF-8 without NUL, and is read as it was; so two texts that
// differ are stored as two.
func TestStorableProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{0, substitute, 'a', '0', 0xff}))).Draw(t, "in"))
		out := storable(in)
		if !utf8.ValidString(out) || strings.IndexByte(out, 0) >= 0 {
			t.Fatalf("%q is stored as %q", in, out)
		}
		if back := restored(out); back != in {
			t.Fatalf("%q is read as %q", in, back)
		}
	})
}

// Arguments may be used twice, when a transaction is tried again: they stay as
// they are.
func TestTextsLeavesItsArguments(t *testing.T) {
	t.Parallel()
	list := []string{"a", "\x00", "\xff"}
	args := []any{"\x00", 1, list, "b"}
	for range 2 {
		got := texts(args)
		if got[0] != "\x1a00" || got[1] != 1 || got[3] != "b" || strings.Join(got[2].([]string), ",") != "a,\x1a00,\x1aff" {
			t.Errorf("%q", got)
		}
	}
	if args[0] != "\x00" || list[1] != "\x00" {
		t.Errorf("%q, %q", args, list)
	}
}

// R5.4: ids that differ in bytes PostgreSQL does not take are two events, and
// what was stored is found again.
func TestOddIDs(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	ids := []string{"a\x00", "a", "a\x1a00", "a\xff", "a\xfe", "a\ufffd"}
	for i, id := range ids {
		for again := range 2 {
			e := testEvent(id)
			e.ID = uuid.NewString()
			if fresh, err := s.Accept(t.Context(), e); err != nil || fresh != (again == 0) {
				t.Errorf("%d %q: fresh %v, %v", i, id, fresh, err)
			}
		}
	}
	known, err := s.KnownEvents(t.Context(), "stripe", "", append([]string{"b\x00"}, ids...))
	if err != nil || len(known) != len(ids) || !known["a\x00"] || known["b\x00"] {
		t.Errorf("%v, %v", known, err)
	}
	found, _, err := s.Events(t.Context(), integration.Filter{Query: "A\x00"})
	if err != nil || len(found) != 1 || found[0].ExternalID != "a\x00" {
		t.Errorf("%v, %v", found, err)
	}
}

// FuzzAccept stores what strangers may send: it comes out as it went in, and
// is known when it comes again.
func FuzzAccept(f *testing.F) {
	f.Add("evt_1", "invoice.paid", "acme", "in_1", "application/json", []byte(`{"id":"evt_1"}`))
	f.Add("'; DROP TABLE webhook_events; --", "%_\\", "\x00", "ü", "\"\r\n", []byte{0, 0xff})
	f.Add("\xff\xfe", "0012", "1e9", "NULL", "", []byte{})
	f.Add("", "a", "b", "c", "d", []byte("e"))
	f.Add("{evt_1,\"}", "\x1a", "\x1a00", "{NULL}", "x", []byte("\\x00"))
	s := openTest(f, Options{})
	f.Fuzz(func(t *testing.T, external, kind, tenant, subject, header string, payload []byte) {
		if len(external)+len(tenant) > 800 {
			return // the door cuts names off at 512 bytes; an index takes about 2,700
		}
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
		if fresh, err = s.Accept(t.Context(), e); err != nil || fresh {
			t.Fatalf("a repeat: fresh %v, %v", fresh, err)
		}
		if _, _, err := s.Events(t.Context(), integration.Filter{Service: "fuzz", Query: external, Type: kind, Tenant: tenant}); err != nil {
			t.Fatal(err)
		}
		got, _, err := s.Event(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.ExternalID != external || got.Type != kind || got.Tenant != tenant || got.Subject != subject || string(got.Payload) != string(payload) {
			t.Fatalf("got %+v, want %+v", got, e)
		}
		if utf8.ValidString(header) && got.Header.Get("X-Any") != header {
			t.Fatalf("header %q, want %q", got.Header.Get("X-Any"), header)
		}
	})
}
