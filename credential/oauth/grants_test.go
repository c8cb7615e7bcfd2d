package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

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
	for _, address := range []string{"javascript:alert(1)", "javascript://localhost/%0aalert(1)", "http://github.com/login", ""} {
		if _, err := m.ReadDevice(oauth.Answer{Status: 200, Body: []byte(`{"device_code":"d","user_code":"A","verification_uri":"` + address + `"}`)}, now); err == nil {
			t.Errorf("%q was taken for an address", address)
		}
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
