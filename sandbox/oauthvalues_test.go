package sandbox

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential/oauth"
)

// Every variable of a profile with an authorization server has an example that
// the gateway takes.
func TestExamplesFit(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for _, a := range p.Auth {
			if a.OAuth == nil {
				continue
			}
			for name, value := range withExamples(p.API.Variables, nil) {
				if err := oauth.CheckAll(p.API.Variables, oauth.Values{name: value}); err != nil {
					t.Errorf("%s: %q: %v", p.ID, value, err)
				}
			}
		}
	}
	if got := withExamples(map[string]catalog.Variable{"shop": {}}, map[string]string{"shop": "given"}); got["shop"] != "given" {
		t.Errorf("%v", got)
	}
}

// What is the authorization server's, and what is the API's.
func TestOAuthAnswers(t *testing.T) {
	t.Parallel()
	o, err := NewOAuth(OAuthConfig{Auth: catalog.Auth{Kind: "oauth2", OAuth: &catalog.OAuth{
		AuthorizeURL: "https://{shop}.example.com/authorize", TokenURL: "https://example.com/token", DeviceURL: "https://example.com/device",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]bool{
		"GET /authorize": true, "POST /authorize": false, "POST /token": true, "GET /token": false, "POST /device": true,
		"GET /_sandbox/device": true, "GET /_sandbox/requests": false, "GET /v1/things": false, "POST /": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		r := httptest.NewRequest(method, path, http.NoBody)
		if o.Answers(r) != want {
			t.Errorf("%s: %v", request, !want)
		}
	}
	w := httptest.NewRecorder()
	if o.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/things", http.NoBody)); w.Code != http.StatusNotFound {
		t.Errorf("%d", w.Code)
	}
}
