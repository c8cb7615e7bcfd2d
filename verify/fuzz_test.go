package verify

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// R5.1: nothing a stranger sends panics, and nothing verifies that was not signed
// with our secret. The seeds are valid requests of every scheme, signed with
// somebody else's.
func FuzzVerify(f *testing.F) {
	var schemes []*Scheme
	var list []catalog.Verification
	for _, e := range entries(f) {
		s := compile(f, e.Verify)
		for _, v := range e.Vectors {
			r := v.request()
			f.Add(len(schemes), v.Method, v.URL, carried(e.Verify, r), r.Header.Get(e.Verify.TimestampHeader), r.Header.Get("Content-Type"), r.Body)
		}
		schemes, list = append(schemes, s), append(list, e.Verify)
	}
	f.Add(0, "POST", "https://example.com", "t=9223372036854775807,v1=00", "", "", []byte("{}"))
	f.Add(0, "POST", "::", "t=1,v1=,v1==,=,,", "99999999999999999999", "a/b; c", []byte{0xff})
	ours := []integration.Secret{integration.NewSecret("whsec_00112233445566778899aabbccddeeff")}
	f.Fuzz(func(t *testing.T, n int, method, u, signature, timestamp, contentType string, body []byte) {
		i := int(uint(n) % uint(len(schemes)))
		v := list[i]
		r := &Request{Method: method, URL: u, Body: body, Header: http.Header{}}
		r.Header.Set("Content-Type", contentType)
		for _, h := range v.Header {
			r.Header.Set(h, signature)
			r.Header.Set(h+"1", signature)
		}
		r.Header.Set(v.TimestampHeader, timestamp)
		for _, h := range []string{"webhook-id", "svix-id", "Finch-Event-Id", "Twitch-Eventsub-Message-Id"} {
			r.Header.Set(h, "id_1")
		}
		if err := schemes[i].Verify(r, ours, time.Unix(1_700_000_000, 0)); err == nil {
			t.Fatalf("%v verified %q %q", v, signature, body)
		}
	})
}

// carried is the signature as the request carries it in a header.
func carried(v catalog.Verification, r *Request) string {
	for _, h := range v.Header {
		if s := r.Header.Get(h); s != "" {
			return s
		}
	}
	return ""
}
