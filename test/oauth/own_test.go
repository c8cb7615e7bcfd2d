package oauth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
)

func privateKey(t *testing.T) integration.Secret {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return integration.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
}

// R2.3: grants without a person, of each provider that has one: the tenant's own
// app is tried before it is kept, and the token asked for anew when it ends.
func TestOwnGrants(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	key := privateKey(t)
	tried := 0
	for _, p := range all {
		for _, a := range p.Auth {
			if a.Kind != "client_credentials" && a.Kind != "jwt_bearer" && a.Kind != "password" && a.Kind != "jwt" || a.Flow == "connect_jwt" {
				continue
			}
			tried++
			t.Run(p.ID+" "+a.Kind, func(t *testing.T) {
				t.Parallel()
				ownGrant(t, p, a, key)
			})
		}
	}
	if tried < 25 {
		t.Errorf("only %d were tried", tried)
	}
}

func ownGrant(t *testing.T, p *catalog.Profile, a catalog.Auth, key integration.Secret) {
	tick := &clock{at: time.Now().UTC().Truncate(time.Second)}
	service := connect.Service{Auth: a, Variables: p.API.Variables, BaseURL: p.API.BaseURL, Client: func() oauth.Client { return oauth.Client{} }}
	values := map[string]string{}
	for name, v := range p.API.Variables {
		values[name] = example(name, v)
	}
	server := &sandbox.OAuth{}
	if a.OAuth != nil {
		var err error
		server, err = sandbox.NewOAuth(sandbox.OAuthConfig{Auth: a, Variables: p.API.Variables, Values: values, ClientID: appID, ClientSecret: appKey, Now: tick.Now})
		if err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, server, wire{server}, service, tick)
	asked := s.start(connect.Request{Tenant: "acme"})
	page, err := s.Page(t.Context(), strings.TrimPrefix(asked.URL, public+connect.PagePath))
	if err != nil {
		t.Fatal(err)
	}
	secrets, variables := map[string]integration.Secret{}, map[string]string{}
	for _, f := range page.Fields {
		value := map[string]string{"client_id": appID, "client_secret": appKey, "private_key": key.Reveal(), "key_id": "k1", "username": "u", "password": "p"}[f.Name]
		if value == "" {
			value = example(f.Name, p.API.Variables[f.Name])
		}
		if f.Secret {
			secrets[f.Name] = integration.NewSecret(value)
		} else {
			variables[f.Name] = value
		}
	}
	if _, ok := secrets["client_secret"]; ok {
		wrong := map[string]integration.Secret{}
		for name, v := range secrets {
			wrong[name] = v
		}
		wrong["client_secret"] = integration.NewSecret("nonsense")
		var refused *connect.RefusedError
		if _, err := s.Start(t.Context(), connect.Request{Service: "svc", Tenant: "other", Secrets: wrong, Variables: variables}); !errors.As(err, &refused) {
			t.Errorf("a wrong secret was kept: %v", err)
		}
	}
	started, err := s.Start(t.Context(), connect.Request{Service: "svc", Tenant: "acme", Secrets: secrets, Variables: variables})
	if err != nil || started.State != integration.ConnectionConnected {
		t.Fatalf("%+v: %v; %v", started, err, server.Refused())
	}
	first, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil || first.Secret.IsZero() {
		t.Fatal(err)
	}
	if first.Expires.IsZero() {
		return
	}
	s.clock.Add(first.Expires.Sub(s.clock.Now()))
	second, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil || second.Fingerprint == first.Fingerprint || !second.Expires.After(s.clock.Now()) {
		t.Errorf("it was not renewed: %v", err)
	}
	s.secretless()
}
