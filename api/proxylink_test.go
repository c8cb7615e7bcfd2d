package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// SDKs follow the links in headers as they come. They must lead back here:
// followed to the provider they would carry our key there.
func TestProxyLinks(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		base := "http://" + r.Host
		w.Header().Set("Link", `<`+base+`/v1/x?page=2>; rel="next", <https://api.stripe.com/v1/x?page=9>; rel="last", <https://api.stripe.com.evil.test/v1>; rel="odd"`)
		w.Header().Set("Location", "https://api.stripe.com/v1/x/1")
		w.Header().Set("Content-Location", "/v1/x/1")
		w.Header().Set("X-Other", "https://api.stripe.com/v1")
	})
	for host, to := range map[string]string{"stripe.localhost:99": "http://stripe.localhost:99", "gateway.test": "http://gateway.test" + proxy} {
		path := "/v1/x"
		if !strings.HasPrefix(host, "stripe") {
			path = proxy + path
		}
		a := b.hostAsk(host, path, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+b.app) })
		want := `<` + to + `/v1/x?page=2>; rel="next", <` + to + `/v1/x?page=9>; rel="last", <https://api.stripe.com.evil.test/v1>; rel="odd"`
		if got := a.header.Get("Link"); got != want {
			t.Errorf("Link: %s\nwant  %s", got, want)
		}
		if a.header.Get("Location") != to+"/v1/x/1" || a.header.Get("Content-Location") != "/v1/x/1" || a.header.Get("X-Other") != "https://api.stripe.com/v1" {
			t.Errorf("%v", a.header)
		}
	}
	a := b.hostAsk("stripe.localhost", "/v1/x", func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+b.app)
		r.Header.Set("X-Forwarded-Proto", "https")
	})
	if got := a.header.Get("Location"); got != "https://stripe.localhost/v1/x/1" {
		t.Errorf("behind TLS: %s", got)
	}
}
