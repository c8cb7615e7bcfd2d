package oauth_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

var (
	now    = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	client = oauth.Client{ID: "app:1", Secret: integration.NewSecret("s3cret/+")}
)

// method compiles the n-th way of a kind that the profile has.
func method(t testing.TB, provider string, kind oauth.Grant) *oauth.Method {
	t.Helper()
	p, err := catalog.Load(provider)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Auth {
		if a.Kind == string(kind) {
			m, err := oauth.Compile(a, p.API.Variables)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	t.Fatalf("%s has no %s", provider, kind)
	return nil
}

func form(t testing.TB, r *http.Request) url.Values {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Get("Content-Type") == "application/json" {
		var m map[string]string
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		v := url.Values{}
		for k, s := range m {
			v.Set(k, s)
		}
		return v
	}
	v, err := url.ParseQuery(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// R2.2: every authorization-code profile sends people to https with state,
// PKCE S256 and the exact redirect URI; the verifier and the secret stay here.
func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range all {
		for i := range p.Auth {
			if p.Auth[i].Kind != "oauth2" || p.Auth[i].OAuth == nil || p.Auth[i].OAuth.AuthorizeURL == "" {
				continue
			}
			seen++
			m, err := oauth.Compile(p.Auth[i], p.API.Variables)
			if err != nil {
				t.Errorf("%s: %v", p.ID, err)
				continue
			}
			values := oauth.Values{}
			for _, name := range m.Missing(nil) {
				values[name] = example(p.API.Variables[name])
			}
			verifier := oauth.NewVerifier()
			const redirect = "https://app.example.com/oauth/callback"
			address, err := m.AuthorizeURL(oauth.Authorization{Client: client, Values: values, RedirectURI: redirect, State: "st", Verifier: verifier, Scopes: []string{"one", "two"}})
			if err != nil {
				t.Errorf("%s: %v", p.ID, err)
				continue
			}
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "https" {
				t.Errorf("%s: %s", p.ID, address)
				continue
			}
			q := u.Query()
			if q.Get("state") != "st" || q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != redirect ||
				q.Get("code_challenge") != oauth2.S256ChallengeFromVerifier(verifier.Reveal()) {
				t.Errorf("%s: %s", p.ID, address)
			}
			if strings.Contains(address, verifier.Reveal()) || strings.Contains(address, url.QueryEscape(client.Secret.Reveal())) || strings.Contains(address, "{") {
				t.Errorf("%s: a secret or an open variable in %s", p.ID, address)
			}
		}
	}
	if seen < 40 {
		t.Errorf("only %d profiles with an authorization code were seen", seen)
	}
}

func example(v catalog.Variable) string {
	switch {
	case v.Example != "":
		return v.Example
	case len(v.Values) > 0:
		return v.Values[0]
	case strings.Contains(v.Pattern, "salesforce"):
		return "login.salesforce.com"
	case strings.Contains(v.Pattern, `\.`):
		return "acme.example.com"
	}
	return "acme"
}

// The quirks of the providers' requests, each named by the provider that has it.
func TestTokenRequests(t *testing.T) {
	t.Parallel()
	secret := client.Secret.Reveal()
	for _, c := range []struct {
		provider string
		values   oauth.Values
		refresh  bool
		url      string
		json     bool
		basic    bool
		want     map[string]string
		absent   []string
	}{
		{provider: "shopify", values: oauth.Values{"shop": "acme"}, url: "https://acme.myshopify.com/admin/oauth/access_token", want: map[string]string{"expiring": "1", "client_secret": secret}},
		{provider: "tiktok", url: "https://open.tiktokapis.com/v2/oauth/token/", want: map[string]string{"client_key": "app:1", "client_secret": secret}, absent: []string{"client_id"}},
		{provider: "square", url: "https://connect.squareup.com/oauth2/token", json: true, want: map[string]string{"client_secret": secret, "grant_type": "authorization_code"}},
		{provider: "zoom", url: "https://zoom.us/oauth/token", basic: true, absent: []string{"client_secret", "client_id"}},
		{provider: "figma", refresh: true, basic: true, url: "https://api.figma.com/v1/oauth/refresh", want: map[string]string{"grant_type": "refresh_token", "refresh_token": "r"}},
		{provider: "figma", url: "https://api.figma.com/v1/oauth/token", basic: true},
		{provider: "dropbox-sign", refresh: true, url: "https://app.hellosign.com/oauth/token?refresh"},
		{provider: "bamboohr", values: oauth.Values{"company": "acme"}, json: true, url: "https://acme.bamboohr.com/token.php", want: map[string]string{"request": "token"}},
		{provider: "etsy", url: "https://api.etsy.com/v3/public/oauth/token", want: map[string]string{"client_id": "app:1"}, absent: []string{"client_secret"}},
		{provider: "bigcommerce", url: "https://login.bigcommerce.com/oauth2/token", want: map[string]string{"context": "stores/h4sh"}},
		{provider: "amazon-sp-api", url: "https://api.amazon.com/auth/o2/token", want: map[string]string{"code": "c0de"}, absent: []string{"spapi_oauth_code"}},
	} {
		t.Run(c.provider, func(t *testing.T) {
			t.Parallel()
			m := method(t, c.provider, oauth.AuthorizationCode)
			a := oauth.Asker{Client: client, Values: c.values, Now: now}
			callback := oauth.Callback{Code: integration.NewSecret("c0de"), Query: url.Values{"context": {"stores/h4sh"}}}
			r, err := m.CodeRequest(t.Context(), a, callback, "https://a.example/cb", integration.NewSecret("verifier"))
			if c.refresh {
				r, err = m.RefreshRequest(t.Context(), a, integration.NewSecret("r"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.URL.String() != c.url || r.Method != http.MethodPost || (r.Header.Get("Content-Type") == "application/json") != c.json {
				t.Errorf("%s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"))
			}
			user, _, basic := r.BasicAuth()
			if basic != c.basic || basic && user != url.QueryEscape("app:1") {
				t.Errorf("basic authentication: %v %q", basic, user)
			}
			f := form(t, r)
			for k, v := range c.want {
				if f.Get(k) != v {
					t.Errorf("%s is %q, not %q", k, f.Get(k), v)
				}
			}
			for _, k := range c.absent {
				if f.Has(k) {
					t.Errorf("%s was sent", k)
				}
			}
			if strings.Contains(r.URL.String(), "c0de") || strings.Contains(r.URL.String(), secret) {
				t.Errorf("a secret in the address: %s", r.URL)
			}
		})
	}
}

// R2.2: a value for {shop} is one DNS label and nothing else.
func TestHostVariables(t *testing.T) {
	t.Parallel()
	m := method(t, "shopify", oauth.AuthorizationCode)
	for _, bad := range []string{"evil.example/", "acme.evil.example#", "acme@evil.example", "a\nb", "", "..", "acme:80", "acme%2f", "é", strings.Repeat("a", 254), "acme\n"} {
		if _, err := m.AuthorizeURL(oauth.Authorization{Client: client, Values: oauth.Values{"shop": bad}, RedirectURI: "https://a/cb", State: "s", Verifier: oauth.NewVerifier()}); err == nil {
			t.Errorf("shop %q was taken", bad)
		}
	}
	if err := m.CheckAll(oauth.Values{"shoppe": "x"}); err == nil {
		t.Error("an unknown variable was taken")
	}
}

// R2.2: how answers tell the end of a token, what they grant, where the API is.
func TestReadToken(t *testing.T) {
	t.Parallel()
	at := now.Add
	for _, c := range []struct {
		name, provider, body string
		status               int
		contentType          string
		expires              time.Time
		reason               oauth.Reason
		missing              []string
		learnt               oauth.Values
	}{
		{name: "seconds", provider: "zoom", body: `{"access_token":"a","refresh_token":"r","expires_in":3600}`, expires: at(time.Hour)},
		{name: "seconds as text", provider: "zoom", body: `{"access_token":"a","expires_in":"60"}`, expires: at(time.Minute)},
		{name: "iso", provider: "square", body: `{"access_token":"a","expires_at":"2026-12-25T10:00:00Z"}`, expires: at(30 * 24 * time.Hour)},
		{name: "epoch", provider: "strava", body: `{"access_token":"a","expires_at":1795604400}`, expires: time.Unix(1795604400, 0)},
		{name: "none", provider: "salesforce", body: `{"access_token":"a","instance_url":"https://acme.my.salesforce.com","expires_in":7}`, learnt: oauth.Values{"instance": "acme.my.salesforce.com"}},
		{name: "zero is never", provider: "zoom", body: `{"access_token":"a","expires_in":0}`},
		{name: "absurd", provider: "zoom", body: `{"access_token":"a","expires_in":1e300}`, expires: at(10 * 365 * 24 * time.Hour)},
		{name: "absent, but known", provider: "zoom", body: `{"access_token":"a","refresh_token":"r"}`, expires: at(time.Hour)},
		{name: "form", provider: "github", contentType: "application/x-www-form-urlencoded", body: `access_token=a&scope=one&token_type=bearer`, missing: []string{"two"}},
		{name: "error in a form with 200", provider: "github", contentType: "application/x-www-form-urlencoded", body: `error=bad_verification_code&error_description=it+is+old`, reason: oauth.ReasonGrant},
		{name: "error with 200", provider: "slack", body: `{"ok":false,"error":"invalid_refresh_token"}`, reason: oauth.ReasonGrant},
		{name: "error beside a token", provider: "zoho-crm", body: `{"access_token":"a","error":"invalid_code"}`, reason: oauth.ReasonGrant},
		{name: "domain ending", provider: "zoho-crm", body: `{"access_token":"a","api_domain":"https://www.zohoapis.com.au","expires_in":60}`, expires: at(time.Minute), learnt: oauth.Values{"dc": "com.au"}},
		{name: "fewer scopes", provider: "slack", body: `{"ok":true,"access_token":"a","scope":"one"}`, missing: []string{"two"}},
		{name: "scopes as a list", provider: "zoom", body: `{"access_token":"a","expires_in":0,"scope":["One","two"]}`},
		{name: "a person's token", provider: "slack", body: `{"ok":true,"authed_user":{"access_token":"a","scope":"one,two"}}`},
		{name: "invalid_grant", provider: "zoom", status: 400, body: `{"error":"invalid_grant","error_description":"used eyJhbGciOiJIUzI1NiJ9.secret.secret"}`, reason: oauth.ReasonGrant},
		{name: "the client", provider: "zoom", status: 401, body: `{"error":"invalid_client"}`, reason: oauth.ReasonClient},
		{name: "down", provider: "zoom", status: 503, body: `<html>`, reason: oauth.ReasonTemporary},
		{name: "a page in between", provider: "zoom", body: `<html>log in to the wifi</html>`, contentType: "text/html", reason: oauth.ReasonTemporary},
		{name: "an array", provider: "zoom", body: `[1]`, reason: oauth.ReasonTemporary},
		{name: "their own code", provider: "strava", status: 400, body: `{"message":"Bad Request","errors":[{"field":"refresh_token","code":"invalid"}]}`, reason: oauth.ReasonGrant},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := method(t, c.provider, oauth.AuthorizationCode)
			status := c.status
			if status == 0 {
				status = http.StatusOK
			}
			token, err := m.ReadToken(oauth.Answer{Status: status, Header: http.Header{"Content-Type": {c.contentType}}, Body: []byte(c.body)}, []string{"one", "two"}, now)
			if c.reason != "" {
				var refused *oauth.Error
				if !errors.As(err, &refused) || refused.Reason != c.reason {
					t.Fatalf("%v, not %s", err, c.reason)
				}
				if strings.Contains(err.Error(), "eyJ") {
					t.Errorf("the error repeats a token: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if token.Access.Reveal() != "a" || !token.Expires.Equal(c.expires) || strings.Join(token.Missing, " ") != strings.Join(c.missing, " ") {
				t.Errorf("expires %v, missing %v", token.Expires, token.Missing)
			}
			learnt, err := m.Learn(token, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range c.learnt {
				if learnt[k] != v {
					t.Errorf("{%s} is %q, not %q", k, learnt[k], v)
				}
			}
		})
	}
}

// A base URL learnt from an answer leads to the provider and nowhere else.
func TestLearnRefusesOtherHosts(t *testing.T) {
	t.Parallel()
	m := method(t, "salesforce", oauth.AuthorizationCode)
	for _, told := range []string{"https://evil.example", "https://acme.salesforce.com.evil.example", "javascript:1", "https://x@evil.example/"} {
		token, err := m.ReadToken(oauth.Answer{Status: 200, Body: []byte(`{"access_token":"a","instance_url":"` + told + `"}`)}, nil, now)
		if err != nil {
			t.Fatal(err)
		}
		if learnt, err := m.Learn(token, nil); err == nil {
			t.Errorf("%s was taken: %v", told, learnt)
		}
	}
}

// R2.2: the callback: a no, a repeated parameter, an answer of another issuer.
func TestReadCallback(t *testing.T) {
	t.Parallel()
	m := method(t, "google", oauth.AuthorizationCode)
	for _, c := range []struct {
		query string
		ok    bool
	}{
		{"code=c&state=s", true},
		{"code=c&state=s&iss=https://accounts.google.com", true},
		{"code=c&state=s&iss=https://evil.example", false},
		{"code=c&code=d&state=s", false},
		{"error=access_denied&state=s", false},
		{"state=s", false},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.ReadCallback(q, nil)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.query, err)
		}
		if c.ok && got.Query.Has("code") {
			t.Errorf("%s: the code is among what is kept", c.query)
		}
	}
	if c, err := method(t, "amazon-sp-api", oauth.AuthorizationCode).ReadCallback(url.Values{"spapi_oauth_code": {"c"}, "state": {"s"}}, nil); err != nil || c.Code.Reveal() != "c" {
		t.Errorf("a renamed code: %v", err)
	}
}
