package deliver_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
)

// sendOne delivers an event and returns what was sent.
func sendOne(t testing.TB, e integration.Event) []byte {
	t.Helper()
	var sent []byte
	b := newBundle(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		sent, _ = io.ReadAll(r.Body)
		return answer(200)
	}), canary)
	b.Deliver(t.Context(), e)
	return sent
}

// checkEnvelope holds for every payload: the body is JSON in UTF-8, with the
// attributes CloudEvents requires, and the payload comes out as it went in.
func checkEnvelope(t testing.TB, e integration.Event, sent []byte) {
	t.Helper()
	if !json.Valid(sent) || !utf8.Valid(sent) {
		t.Fatalf("not valid JSON: %q", sent)
	}
	var event struct {
		SpecVersion, ID, Source, Type, DataContentType string
		Data                                           json.RawMessage
		Base64                                         []byte `json:"data_base64"`
	}
	if err := json.Unmarshal(sent, &event); err != nil {
		t.Fatal(err)
	}
	if event.SpecVersion != "1.0" || event.ID == "" || event.Source == "" || event.Type == "" || event.DataContentType == "" {
		t.Fatalf("an attribute is missing: %s", sent)
	}
	switch {
	case event.Base64 != nil || event.Data == nil:
		if !bytes.Equal(event.Base64, e.Payload) {
			t.Fatalf("payload %q became %q", e.Payload, event.Base64)
		}
	case !bytes.Contains(sent, e.Payload):
		t.Fatalf("payload %q is not embedded to the byte in %s", e.Payload, sent)
	}
}

func FuzzCloudEvent(f *testing.F) {
	f.Add("acme", "in_1", []byte(paid))
	f.Add("\xff\x00\u2028</script>", "\"\\", []byte("\xff\xfe"))
	f.Add("", "", []byte("{\"a\":\"\xff\"}"))
	f.Add("", "", []byte(`{"a":1} {"b":2}`))
	f.Add("", "", []byte{})
	f.Fuzz(func(t *testing.T, tenant, subject string, payload []byte) {
		e := testEvent("customer.made", string(payload))
		e.Tenant, e.Subject = tenant, subject
		checkEnvelope(t, e, sendOne(t, e))
	})
}

func TestAnyPayloadMakesAValidCloudEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		e := testEvent("customer.made", "")
		e.Payload = rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.MapOf(rapid.String(), rapid.String()), func(m map[string]string) []byte { b, _ := json.Marshal(m); return b }),
		).Draw(r, "payload")
		e.Tenant, e.Subject, e.ID = rapid.String().Draw(r, "tenant"), rapid.String().Draw(r, "subject"), rapid.StringN(1, 40, -1).Draw(r, "id")
		checkEnvelope(t, e, sendOne(t, e))
	})
}

func TestPayloadThatIsNoJSON(t *testing.T) {
	t.Parallel()
	e := testEvent("customer.made", "a=1&b=2")
	e.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	sent := string(sendOne(t, e))
	if !strings.Contains(sent, `"datacontenttype":"application/x-www-form-urlencoded"`) || !strings.Contains(sent, base64.StdEncoding.EncodeToString(e.Payload)) || strings.Contains(sent, `"data":`) {
		t.Errorf("sent %s", sent)
	}
}

// R5.10: the schedule spreads, never shortens, and ends.
func TestNext(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	schedule := deliver.DefaultRedelivery()
	if attempts := len(schedule) + 1; attempts != 16 {
		t.Errorf("%d attempts", attempts)
	}
	var total time.Duration
	for i, wait := range schedule {
		if i > 0 && wait < schedule[i-1] {
			t.Errorf("wait %d is shorter than the one before", i)
		}
		total += wait
	}
	if total < 48*time.Hour || total > 96*time.Hour {
		t.Errorf("the schedule takes %s", total)
	}
	rapid.Check(t, func(r *rapid.T) {
		attempt := rapid.IntRange(-1, 20).Draw(r, "attempt")
		dice := rapid.Float64Range(0, 0.999999).Draw(r, "dice")
		asked := time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(r, "asked"))
		at, ok := deliver.Next(schedule, attempt, now, dice, asked)
		if ok != (attempt >= 1 && attempt <= len(schedule)) {
			r.Fatalf("attempt %d: %v", attempt, ok)
		}
		if !ok {
			return
		}
		wait := schedule[attempt-1]
		low, high := max(wait, min(asked, 24*time.Hour)), max(wait+wait/4, min(asked, 24*time.Hour))
		if got := at.Sub(now); got < low || got > high {
			r.Fatalf("wait %s, want between %s and %s", got, low, high)
		}
	})
}

// BenchmarkDeliver is a delivery without the wire: mapping, envelope,
// signature, judgement.
func BenchmarkDeliver(b *testing.B) {
	payload := strings.TrimSuffix(paid, "}}}") + `,"pad":"` + strings.Repeat("x", 2500) + `"}}}`
	d := newBundle(b, roundTrip(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return answer(200)
	}), canary)
	for _, kind := range []string{"invoice.paid", "customer.made"} {
		e := testEvent(kind, payload)
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if out := d.Deliver(b.Context(), e); out.Status != integration.EventProcessed {
					b.Fatal(out.Error)
				}
			}
		})
	}
}
