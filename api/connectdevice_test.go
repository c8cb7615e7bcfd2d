package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
)

// oauthBundle is an API before a provider's authorization server.
func oauthBundle(t *testing.T, provider string) (*bundle, *sandbox.OAuth) {
	t.Helper()
	p, err := catalog.Load(provider)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Auth {
		if a.Kind != "oauth2" {
			continue
		}
		server, err := sandbox.NewOAuth(sandbox.OAuthConfig{Auth: a, ClientID: "app", ClientSecret: "s", RedirectURIs: []string{publicURL + "/oauth/callback"}})
		if err != nil {
			t.Fatal(err)
		}
		return newBundle(t, nil, withConnections(t, connect.Service{
			Auth: a, BaseURL: p.API.BaseURL,
			Client: func() oauth.Client { return oauth.Client{ID: "app", Secret: integration.NewSecret("s")} },
		}, inMemory{server})), server
	}
	t.Fatalf("%s has no oauth2", provider)
	return nil, nil
}

// R2.2, R3.5: a code over the API, in the status, and on the page that shows it,
// until somebody declines.
func TestConnectDevice(t *testing.T) {
	t.Parallel()
	b, _ := oauthBundle(t, "github")
	made := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","device":true,"return_url":"https://app.example.com/done"}`)
	v := made.json(t)
	code, _ := v["device"].(map[string]any)
	userCode, _ := code["user_code"].(string)
	until, err := time.Parse(time.RFC3339, code["expires_at"].(string))
	if made.status != http.StatusOK || userCode == "" || err != nil || time.Until(until) < time.Minute {
		t.Fatalf("%d %s", made.status, made.text)
	}
	if strings.Contains(made.text, "dc_") {
		t.Error("the device code itself is shown")
	}
	status := b.do(b.app, http.MethodGet, "/api/v1/integrations/stripe/status?tenant=acme", "")
	if !strings.Contains(status.text, userCode) || strings.Contains(status.text, "dc_") || strings.Contains(status.text, `"reconnect"`) {
		t.Errorf("%s", status.text)
	}
	if other := b.do(b.app, http.MethodGet, "/api/v1/integrations/stripe/status?tenant=other", ""); strings.Contains(other.text, userCode) {
		t.Error("another tenant sees the code")
	}
	path := strings.TrimPrefix(v["url"].(string), publicURL)
	page := b.do("", http.MethodGet, path, "")
	address := code["verification_uri"].(string)
	for _, want := range []string{userCode, address, `rel="noreferrer noopener"`, "I have confirmed it"} {
		if page.status != http.StatusOK || !strings.Contains(page.text, want) {
			t.Errorf("no %q: %d %s", want, page.status, page.text)
		}
	}
	if strings.Contains(page.text, "<script") || strings.Contains(page.text, "http-equiv") || page.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %s", page.header, page.text)
	}
	no := b.post(stays(), path, url.Values{"do": {"decline"}}, "same-origin")
	if no.status != http.StatusOK || !strings.Contains(no.text, "reason=access_denied") {
		t.Errorf("%d %s", no.status, no.text)
	}
	if again := b.do("", http.MethodGet, path, ""); again.status != http.StatusBadRequest {
		t.Errorf("the link works again: %d", again.status)
	}
	status = b.do(b.app, http.MethodGet, "/api/v1/integrations/stripe/status?tenant=acme", "")
	if strings.Contains(status.text, userCode) || !strings.Contains(status.text, "said no") {
		t.Errorf("%s", status.text)
	}
	zoom, _ := oauthBundle(t, "zoom")
	zoom.do(zoom.app, http.MethodPost, connectURL, `{"tenant":"acme","device":true}`).problem(t, http.StatusUnprocessableEntity, "invalid_request")
}

// R3.5: where nobody waits elsewhere, the flow begins on our page and is bound to
// the browser; page decides otherwise, both ways.
func TestConnectIsBoundUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	b, _ := oauthBundle(t, "zoom")
	for body, ours := range map[string]bool{
		`{"tenant":"a"}`:                                                         true,
		`{"tenant":"a","page":false}`:                                            false,
		`{"tenant":"a","page":true}`:                                             true,
		`{"tenant":"a","device":false}`:                                          true,
		`{"tenant":"a","return_url":"https://app.example.com/done"}`:             false,
		`{"tenant":"a","return_url":"https://app.example.com/done","page":true}`: true,
	} {
		address, _ := b.do(b.app, http.MethodPost, connectURL, body).json(t)["url"].(string)
		if got := strings.HasPrefix(address, publicURL+"/connect/"); got != ours {
			t.Errorf("%s leads to %s", body, address)
		}
	}
}
