package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
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

func rsaKey(t testing.TB) (*rsa.PrivateKey, integration.Secret) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, integration.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// R2.3: grants without a person, with their variants.
func TestOwnRequests(t *testing.T) {
	t.Parallel()
	key, secret := rsaKey(t)
	signer := oauth.Client{ID: "app", Key: secret, KeyID: "k1"}
	for _, c := range []struct {
		provider string
		grant    oauth.Grant
		client   oauth.Client
		values   oauth.Values
		own      oauth.Own
		want     map[string]string
		assert   string // the parameter that holds a signed assertion
	}{
		{"zoom", oauth.ClientCredentials, client, oauth.Values{"account_id": "a1"}, oauth.Own{}, map[string]string{"grant_type": "account_credentials", "account_id": "a1"}, ""},
		{"auth0", oauth.ClientCredentials, client, oauth.Values{"domain": "acme.eu.auth0.com"}, oauth.Own{}, map[string]string{"audience": "https://acme.eu.auth0.com/api/v2/", "client_secret": client.Secret.Reveal()}, ""},
		{"box", oauth.ClientCredentials, client, oauth.Values{"id": "77"}, oauth.Own{}, map[string]string{"box_subject_id": "77"}, ""},
		{"ebay", oauth.ClientCredentials, client, nil, oauth.Own{}, map[string]string{"scope": "https://api.ebay.com/oauth/api_scope"}, ""},
		{"okta", oauth.ClientCredentials, signer, oauth.Values{"org": "acme"}, oauth.Own{Scopes: []string{"okta.users.read"}}, map[string]string{"scope": "okta.users.read"}, "client_assertion"},
		{"netsuite", oauth.ClientCredentials, signer, oauth.Values{"account": "acme"}, oauth.Own{}, nil, "client_assertion"},
		{"google", oauth.JWTBearer, signer, nil, oauth.Own{Scopes: []string{"x"}, Subject: "me"}, map[string]string{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion"},
		{"salesforce", oauth.JWTBearer, signer, oauth.Values{"login_host": "login.salesforce.com"}, oauth.Own{Subject: "me@example.com"}, nil, "assertion"},
		{"servicenow", oauth.Password, client, oauth.Values{"instance": "dev1"}, oauth.Own{Username: "u", Password: integration.NewSecret("p")}, map[string]string{"username": "u", "password": "p"}, ""},
	} {
		t.Run(c.provider+" "+string(c.grant), func(t *testing.T) {
			t.Parallel()
			m := method(t, c.provider, c.grant)
			r, err := m.OwnRequest(t.Context(), oauth.Asker{Client: c.client, Values: c.values, Now: now}, c.own)
			if err != nil {
				t.Fatal(err)
			}
			f := form(t, r)
			for k, v := range c.want {
				if f.Get(k) != v {
					t.Errorf("%s is %q, not %q", k, f.Get(k), v)
				}
			}
			if c.assert == "" {
				return
			}
			token, err := jwt.ParseSigned(f.Get(c.assert), []jose.SignatureAlgorithm{jose.RS256, jose.PS256})
			if err != nil {
				t.Fatal(err)
			}
			var claims jwt.Claims
			if err := token.Claims(&key.PublicKey, &claims); err != nil {
				t.Fatal(err)
			}
			if claims.Issuer != "app" || claims.ID == "" || len(claims.Audience) != 1 || token.Headers[0].KeyID != "k1" ||
				claims.Expiry.Time().Sub(now) > 5*time.Minute {
				t.Errorf("%+v", claims)
			}
			if c.own.Subject != "" && claims.Subject != c.own.Subject {
				t.Errorf("sub is %q", claims.Subject)
			}
		})
	}
}

// R2.3: a client that signs its own tokens.
func TestSign(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	_, rs := rsaKey(t)
	es := integration.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
	for _, c := range []struct {
		algorithm string
		key       integration.Secret
		ok        bool
	}{
		{"RS256", rs, true},
		{"", rs, true},
		{"", es, true},
		{"ES256", es, true},
		{"HS256", integration.NewSecret(strings.Repeat("k", 32)), true},
		{"RS256", es, false},
		{"RS256", integration.NewSecret("nonsense"), false},
		{"RS256", integration.Secret{}, false},
		{"none", rs, false},
	} {
		m, err := oauth.Compile(catalog.Auth{Kind: "jwt", JWT: &catalog.JWT{Algorithm: c.algorithm, Seconds: 900}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := m.Sign(oauth.Asker{Client: oauth.Client{ID: "app", Key: c.key}, Now: now}, oauth.Own{})
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.algorithm, err)
		}
		if err != nil && !c.key.IsZero() && strings.Contains(err.Error(), c.key.Reveal()) {
			t.Errorf("the error shows the key: %v", err)
		}
		if c.ok && !token.Expires.After(now.Add(10*time.Minute)) {
			t.Errorf("%q: it ends at %v", c.algorithm, token.Expires)
		}
	}
}

// R2.6: how providers want to be told that it is over.
func TestRevoke(t *testing.T) {
	t.Parallel()
	token := oauth.Token{Access: integration.NewSecret("acc"), Refresh: integration.NewSecret("ref")}
	for _, c := range []struct {
		provider, method, url string
		want                  map[string]string
		header                string
	}{
		{"zoom", "POST", "https://zoom.us/oauth/revoke", map[string]string{"token": "ref", "token_type_hint": "refresh_token"}, "Basic "},
		{"github", "DELETE", "https://api.github.com/applications/app:1/token", map[string]string{"access_token": "acc"}, "Basic "},
		{"slack", "POST", "https://slack.com/api/auth.revoke", nil, "Bearer acc"},
		{"square", "POST", "https://connect.squareup.com/oauth2/revoke", map[string]string{"access_token": "acc", "client_id": "app:1"}, "Client "},
		{"google", "POST", "https://oauth2.googleapis.com/revoke", map[string]string{"token": "ref"}, ""},
	} {
		r, err := method(t, c.provider, oauth.AuthorizationCode).RevokeRequest(t.Context(), oauth.Asker{Client: client, Now: now}, token)
		if err != nil {
			t.Errorf("%s: %v", c.provider, err)
			continue
		}
		if r.Method != c.method || r.URL.String() != c.url || !strings.HasPrefix(r.Header.Get("Authorization"), c.header) {
			t.Errorf("%s: %s %s %q", c.provider, r.Method, r.URL, r.Header.Get("Authorization"))
		}
		if f := form(t, r); c.want != nil {
			for k, v := range c.want {
				if f.Get(k) != v {
					t.Errorf("%s: %s is %q", c.provider, k, f.Get(k))
				}
			}
		}
	}
	m := method(t, "slack", oauth.AuthorizationCode)
	for body, ok := range map[string]bool{`{"ok":true,"revoked":true}`: true, `{"ok":false,"error":"invalid_auth_somehow"}`: true, `{"ok":false,"error":"ratelimited"}`: false, ``: true} {
		if err := m.ReadRevocation(oauth.Answer{Status: 200, Body: []byte(body)}); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
	for status, ok := range map[int]bool{200: true, 204: true, 404: true, 500: false, 429: false, 403: false} {
		if err := m.ReadRevocation(oauth.Answer{Status: status}); (err == nil) != ok {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// R2.3: the device grant (RFC 8628).
func TestDevice(t *testing.T) {
	t.Parallel()
	m := method(t, "github", oauth.AuthorizationCode)
	a := oauth.Asker{Client: client, Now: now}
	r, err := m.DeviceRequest(t.Context(), a, []string{"repo"})
	if err != nil {
		t.Fatal(err)
	}
	if f := form(t, r); f.Get("client_secret") == "" || f.Get("scope") != "repo" {
		t.Errorf("%v", f)
	}
	d, err := m.ReadDevice(oauth.Answer{Status: 200, Body: []byte(`{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://github.com/login/device","expires_in":900,"interval":7}`)}, now)
	if err != nil || d.UserCode != "WDJB-MJHT" || d.Interval != 7*time.Second {
		t.Fatalf("%+v %v", d, err)
	}
	if _, err := m.ReadDevice(oauth.Answer{Status: 200, Body: []byte(`{"device_code":"d","verification_uri":"javascript:alert(1)"}`)}, now); err == nil {
		t.Error("a script was taken for an address")
	}
	_, err = m.ReadToken(oauth.Answer{Status: 200, Body: []byte(`{"error":"authorization_pending"}`)}, nil, now)
	if refused := (*oauth.Error)(nil); !errors.As(err, &refused) || refused.Reason != oauth.ReasonPending {
		t.Error(err)
	}
}

func FuzzReadToken(f *testing.F) {
	f.Add(200, `{"access_token":"a","expires_in":1}`, "application/json")
	f.Add(200, `access_token=a`, "text/plain")
	f.Add(400, `{"error":{"type":"x"}}`, "")
	f.Add(200, `{"access_token":"a","expires_in":"NaN","scope":{}}`, "")
	m := method(f, "salesforce", oauth.AuthorizationCode)
	f.Fuzz(func(t *testing.T, status int, body, contentType string) {
		token, err := m.ReadToken(oauth.Answer{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}, nil, now)
		if err == nil && token.Access.IsZero() {
			t.Error("a token without a token")
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("%q", err.Error())
			}
			return
		}
		if learnt, err := m.Learn(token, nil); err == nil && m.CheckAll(learnt) != nil {
			t.Errorf("learnt what the profile does not allow: %v", learnt)
		}
	})
}
