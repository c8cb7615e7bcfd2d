package pack_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/store/pack"
)

// A header comes back as it was, whatever bytes are in it, and is the JSON that
// the standard library reads.
func TestHeader(t *testing.T) {
	t.Parallel()
	if got := pack.Header(nil); got != "{}" {
		t.Errorf("a nil header is %s", got)
	}
	if h, err := pack.ParseHeader("{}"); err != nil || h != nil {
		t.Error(h, err)
	}
	if _, err := pack.ParseHeader("{"); err == nil {
		t.Error("half a header is read")
	}
	rapid.Check(t, func(t *rapid.T) {
		h := http.Header(rapid.MapOfN(rapid.String(), rapid.SliceOfN(rapid.String(), 1, 3), 1, 6).Draw(t, "header"))
		text := pack.Header(h)
		var plain map[string][]string
		if err := json.Unmarshal([]byte(text), &plain); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		back, err := pack.ParseHeader(text)
		if err != nil || !maps.EqualFunc(h, back, slices.Equal[[]string]) {
			t.Fatalf("%q came back as %q: %v", h, back, err)
		}
	})
}

func BenchmarkHeader(b *testing.B) {
	h := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"Stripe/1.0 (+https://stripe.com/docs/webhooks)"}, "Content-Length": {"2612"}}
	b.ReportAllocs()
	for b.Loop() {
		_ = pack.Header(h)
	}
}
