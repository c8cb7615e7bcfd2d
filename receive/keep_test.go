package receive_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/integration"
)

// R5.4: no event is refused for what it lacks. It is kept under a key of its
// bytes, a repeat is known by them, and nothing is delivered that the plan does
// not name.
func TestKeepsWhatLacksAnIDOrAType(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 600)
	for name, c := range map[string]struct{ body, key, kind string }{
		"no JSON":             {`{"id":`, "sha256/body:", "unknown"},
		"empty":               {"", "sha256/body:", "unknown"},
		"two values":          {invoicePaid("evt_1") + invoicePaid("evt_1"), "sha256/body:", "unknown"},
		"no id":               {`{"type":"invoice.paid"}`, "sha256/body:", "invoice.paid"},
		"null id":             {`{"id":null,"type":"invoice.paid"}`, "sha256/body:", "invoice.paid"},
		"an endless id":       {`{"id":"` + long + `","type":"invoice.paid"}`, "sha256/id:", "invoice.paid"},
		"an id with a zero":   {`{"id":"a\u0000b","type":"invoice.paid"}`, "sha256/id:", "invoice.paid"},
		"an id like ours":     {`{"id":"sha256/body:00","type":"invoice.paid"}`, "sha256/id:", "invoice.paid"},
		"no type":             {`{"id":"evt_1"}`, "evt_1", "unknown"},
		"an endless type":     {`{"id":"evt_1","type":"` + long + `"}`, "evt_1", "unknown"},
		"another type of use": {`{"id":"evt_1","type":"charge.failed"}`, "evt_1", "charge.failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			for range 2 {
				if answer := b.answer(signed(c.body, secret, clock)); answer.StatusCode != http.StatusOK {
					t.Fatalf("answered %d: %s", answer.StatusCode, text(t, answer))
				}
			}
			events := b.inbox.all()
			if len(events) != 1 {
				t.Fatalf("%d events kept", len(events))
			}
			e := events[0]
			if !strings.HasPrefix(e.ExternalID, c.key) || e.Type != c.kind || string(e.Payload) != c.body {
				t.Errorf("kept %q of type %q", e.ExternalID, e.Type)
			}
			if used := c.kind == "invoice.paid"; used != (e.Status == integration.EventReceived) {
				t.Errorf("it is %s", e.Status)
			}
			if len(e.ExternalID) > 512 || strings.ContainsRune(e.ExternalID, 0) {
				t.Errorf("the key can't be kept: %q", e.ExternalID)
			}
		})
	}
}
