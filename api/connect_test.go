package api_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

const (
	publicURL  = "https://gateway.example.com"
	goodKey    = "sk_test_good_canary"
	badKey     = "sk_test_bad_canary"
	connectURL = "/api/v1/integrations/stripe/connect"
)

// withConnections adds connections of the service stripe with one way of
// authorisation, as if the plan said so.
func withConnections(t *testing.T, service connect.Service, at http.RoundTripper) func(*api.Config) {
	return func(c *api.Config) {
		t.Helper()
		store := c.Keys.(*sqlite.Store)
		path := filepath.Join(t.TempDir(), "keyset.json")
		if err := vault.CreateKeyset(path); err != nil {
			t.Fatal(err)
		}
		master, err := vault.OpenKeyset(path)
		if err != nil {
			t.Fatal(err)
		}
		sealer, err := vault.NewSealer(vault.SealerConfig{Keys: store, Master: master})
		if err != nil {
			t.Fatal(err)
		}
		service.Name, service.Environment, service.Transport = "stripe", "development", at
		connections, err := connect.New(connect.Config{
			Services: []connect.Service{service}, Store: store, Sealer: sealer, PublicURL: publicURL, Owner: "test",
			ReturnURLs: []string{"https://app.example.com/*"}, Log: c.Log,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Connections = connections
	}
}

// keyCheck answers 200 to the good key.
type keyCheck struct{}

func (keyCheck) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	switch r.Header.Get("Authorization") {
	case "Bearer " + goodKey:
		w.WriteHeader(http.StatusOK)
	default:
		w.WriteHeader(http.StatusUnauthorized)
	}
	return w.Result(), nil
}

func keyService() connect.Service {
	return connect.Service{
		Auth:    catalog.Auth{Kind: "api_key", In: "header", Name: "Authorization", Prefix: "Bearer "},
		BaseURL: "https://api.provider.example", Check: &connect.Check{URL: "/v1/me"},
	}
}

func noCanary(t *testing.T, b *bundle, texts ...string) {
	t.Helper()
	for _, text := range append(texts, b.log.String()) {
		for _, canary := range []string{goodKey, badKey} {
			if strings.Contains(text, canary) {
				t.Errorf("%s is in %.300s", canary, text)
			}
		}
	}
}

// R3.5, R2.1: keys over the API are tried before they are kept.
func TestConnectWithKey(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nil, withConnections(t, keyService(), keyCheck{}))
	refused := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","secrets":{"api_key":"`+badKey+`"}}`)
	refused.problem(t, http.StatusUnprocessableEntity, "credential_refused")
	unknown := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","secrets":{"apikey":"`+goodKey+`"}}`)
	unknown.problem(t, http.StatusUnprocessableEntity, "invalid_request")
	if list, _, err := b.store.Connections(t.Context(), integration.Filter{}); err != nil || len(list) != 0 {
		t.Fatalf("%d connections were kept: %v", len(list), err)
	}
	made := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","secrets":{"api_key":"`+goodKey+`"}}`)
	if v := made.json(t); made.status != http.StatusOK || v["state"] != "connected" || v["url"] != nil || v["untried"] != nil {
		t.Fatalf("%d %s", made.status, made.text)
	}
	id := made.json(t)["connection"].(string)
	status := b.do(b.app, http.MethodGet, "/api/v1/integrations/stripe/status?tenant=acme", "")
	if !strings.Contains(status.text, id) || !strings.Contains(status.text, `"connected"`) {
		t.Errorf("%s", status.text)
	}
	if other := b.do(b.app, http.MethodGet, "/api/v1/integrations/stripe/status?tenant=other", ""); strings.Contains(other.text, id) {
		t.Error("another tenant sees it")
	}
	again := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","secrets":{"api_key":"`+goodKey+`"}}`)
	if again.json(t)["connection"] != id {
		t.Error("connecting again changed the id")
	}
	end := b.do(b.app, http.MethodPost, "/api/v1/integrations/stripe/disconnect", `{"connection":"`+id+`"}`)
	if v := end.json(t); end.status != http.StatusOK || v["revoked"] != false || v["pending"] != false || !strings.Contains(end.text, "takes no credential back") {
		t.Errorf("%d %s", end.status, end.text)
	}
	b.do(b.app, http.MethodPost, "/api/v1/integrations/stripe/disconnect", `{"connection":"nope"}`).problem(t, http.StatusNotFound, "not_found")
	b.do("", http.MethodPost, connectURL, `{"tenant":"acme"}`).problem(t, http.StatusUnauthorized, "key_missing")
	b.do(b.app, http.MethodPost, "/api/v1/integrations/nope/connect", `{"tenant":"acme"}`).problem(t, http.StatusNotFound, "unknown_service")
	noCanary(t, b, refused.text, unknown.text, made.text, status.text, end.text)
}

// post sends a form to one of our pages, as a browser does.
func (b *bundle) post(client *http.Client, path string, form url.Values, site string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", site)
	return b.through(client, r)
}

func (b *bundle) through(client *http.Client, r *http.Request) answer {
	b.t.Helper()
	response, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, text: string(text)}
}

func stays() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// R3.5: the hosted page: it asks for the key, tries it, lets the person try
// again, and works once.
func TestHostedPage(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nil, withConnections(t, keyService(), keyCheck{}))
	begun := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","return_url":"https://app.example.com/done"}`).json(t)
	link, _ := begun["url"].(string)
	path, ok := strings.CutPrefix(link, publicURL)
	if !ok || !strings.HasPrefix(path, "/connect/") {
		t.Fatalf("%v", begun)
	}
	client := stays()
	form := b.do("", http.MethodGet, path, "")
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Security-Policy": "default-src 'none'"} {
		if !strings.Contains(form.header.Get(name), want) {
			t.Errorf("%s is %q", name, form.header.Get(name))
		}
	}
	if form.status != http.StatusOK || !strings.Contains(form.text, `type="password"`) || strings.Contains(form.text, "<script") {
		t.Errorf("%d %s", form.status, form.text)
	}
	if cross := b.post(client, path, url.Values{"api_key": {goodKey}}, "cross-site"); cross.status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", cross.status)
	}
	wrong := b.post(client, path, url.Values{"api_key": {badKey}}, "same-origin")
	if wrong.status != http.StatusUnprocessableEntity || !strings.Contains(wrong.text, `role="alert"`) {
		t.Errorf("%d %s", wrong.status, wrong.text)
	}
	done := b.post(client, path, url.Values{"api_key": {goodKey}}, "same-origin")
	if done.status != http.StatusOK || !strings.Contains(done.text, "https://app.example.com/done?") || !strings.Contains(done.text, "status=connected") {
		t.Errorf("%d %s", done.status, done.text)
	}
	if again := b.do("", http.MethodGet, path, ""); again.status != http.StatusBadRequest || strings.Contains(again.text, "app.example.com") {
		t.Errorf("the link works again: %d", again.status)
	}
	if missing := b.do("", http.MethodGet, "/connect/"+strings.Repeat("x", 43), ""); missing.status != http.StatusBadRequest {
		t.Errorf("a guess: %d", missing.status)
	}
	declined := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"two","return_url":"https://app.example.com/done"}`).json(t)["url"].(string)
	if no := b.post(client, strings.TrimPrefix(declined, publicURL), url.Values{"do": {"decline"}}, "same-origin"); !strings.Contains(no.text, "reason=access_denied") {
		t.Errorf("%s", no.text)
	}
	b.do(b.app, http.MethodPost, connectURL, `{"tenant":"x","return_url":"https://evil.example/"}`).problem(t, http.StatusUnprocessableEntity, "invalid_request")
	noCanary(t, b, form.text, wrong.text, done.text)
}

type inMemory struct{ h http.Handler }

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.h.ServeHTTP(w, r)
	return w.Result(), nil
}

// R2.2, R3.5: the whole way over HTTP, in a browser with cookies and in another
// one without.
func TestConnectOAuth(t *testing.T) {
	t.Parallel()
	p, err := catalog.Load("zoom")
	if err != nil {
		t.Fatal(err)
	}
	server, err := sandbox.NewOAuth(sandbox.OAuthConfig{Auth: p.Auth[0], ClientID: "app", ClientSecret: "s", RedirectURIs: []string{publicURL + "/oauth/callback"}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, nil, withConnections(t, connect.Service{
		Auth: p.Auth[0], BaseURL: p.API.BaseURL,
		Client: func() oauth.Client { return oauth.Client{ID: "app", Secret: integration.NewSecret("s")} },
	}, inMemory{server}))
	visit := func(address string) string {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, address, http.NoBody)
		response, err := inMemory{server}.RoundTrip(r)
		if err != nil || response.StatusCode != http.StatusFound {
			t.Fatalf("%v %d", err, response.StatusCode)
		}
		_ = response.Body.Close()
		return strings.TrimPrefix(response.Header.Get("Location"), publicURL)
	}
	get := func(client *http.Client, path string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return b.through(client, r)
	}

	begun := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","return_url":"https://app.example.com/done"}`).json(t)
	back := get(stays(), visit(begun["url"].(string)))
	if back.status != http.StatusSeeOther || !strings.HasPrefix(back.header.Get("Location"), "https://app.example.com/done?") || back.header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("%d %v", back.status, back.header)
	}

	begun = b.do(b.app, http.MethodPost, connectURL, `{"tenant":"bound","page":true}`).json(t)
	path := strings.TrimPrefix(begun["url"].(string), publicURL)
	first := get(stays(), path)
	cookie := first.header.Get("Set-Cookie")
	if first.status != http.StatusSeeOther || !strings.HasPrefix(cookie, "__Host-sallyport-connect=") || !strings.Contains(cookie, "HttpOnly; Secure; SameSite=Lax") {
		t.Fatalf("%d %v", first.status, first.header)
	}
	if other := get(stays(), visit(first.header.Get("Location"))); other.status != http.StatusBadRequest || !strings.Contains(other.text, "another browser") {
		t.Errorf("another browser: %d %s", other.status, other.text)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := stays()
	browser.Jar = jar
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	first = b.through(browser, r)
	name, value, _ := strings.Cut(strings.SplitN(first.header.Get("Set-Cookie"), ";", 2)[0], "=")
	r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+visit(first.header.Get("Location")), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: name, Value: value}) // the jar keeps it for TLS only
	if own := b.through(browser, r); own.status != http.StatusOK || !strings.Contains(own.text, "Connected") {
		t.Errorf("the same browser: %d %s", own.status, own.text)
	}
	if got := get(stays(), "/oauth/callback?state=x&code=y"); got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
		t.Errorf("a made-up callback: %d", got.status)
	}
}
