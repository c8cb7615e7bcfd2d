package oauth_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
)

// ownSecrets are the secrets of a plan's environment, which tests swap.
type ownSecrets struct {
	mu    sync.Mutex
	named map[string]string
}

func (o *ownSecrets) set(name, value string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.named[name] = value
}

func (o *ownSecrets) get(name string) integration.Secret {
	o.mu.Lock()
	defer o.mu.Unlock()
	return integration.NewSecret(o.named[name])
}

func (o *ownSecrets) client() oauth.Client {
	return oauth.Client{ID: o.get("client_id").Reveal(), Secret: o.get("client_secret"), Key: o.get("private_key"), KeyID: o.get("key_id").Reveal()}
}

// everybody is a stage where one credential serves everybody.
func everybody(t *testing.T, p *catalog.Profile, a catalog.Auth, key string) (*stage, *ownSecrets) {
	t.Helper()
	tick := &clock{at: time.Now().UTC().Truncate(time.Second)}
	secrets := &ownSecrets{named: map[string]string{
		"client_id": appID, "client_secret": appKey, "private_key": key, "key_id": "k1", "username": "u", "password": "p-canary",
	}}
	values := map[string]string{}
	for name, v := range p.API.Variables {
		values[name] = example(name, v)
		secrets.named[name] = values[name]
	}
	server := &sandbox.OAuth{}
	if a.OAuth != nil {
		var err error
		server, err = sandbox.NewOAuth(sandbox.OAuthConfig{Auth: a, Variables: p.API.Variables, Values: values, ClientID: appID, ClientSecret: appKey, Now: tick.Now})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, header := range a.Headers {
		if name := strings.Trim(header, "{}"); secrets.named[name] == "" {
			secrets.named[name] = "header-value"
		}
	}
	s := open(t, server, wire{server}, connect.Service{
		Auth: a, Variables: p.API.Variables, BaseURL: p.API.BaseURL, Tell: "app", Client: secrets.client, Own: secrets.get,
		Check: &connect.Check{URL: "/nowhere"}, // not asked: that the provider gave a token says enough
	}, tick)
	return s, secrets
}

// R2.3: one credential for everybody, at each provider that has a grant without a
// person: asked for once, renewed before its end, and none of the plan's secrets
// in the store.
func TestOneForEverybody(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	key, tried := privateKey(t).Reveal(), 0
	for _, p := range all {
		for _, a := range p.Auth {
			if a.Kind != "client_credentials" && a.Kind != "jwt_bearer" && a.Kind != "password" && a.Kind != "jwt" || a.Flow == "connect_jwt" {
				continue
			}
			tried++
			t.Run(p.ID+" "+a.Kind, func(t *testing.T) {
				t.Parallel()
				s, _ := everybody(t, p, a, key)
				first, err := s.For(t.Context(), "svc", "acme", "")
				if err != nil {
					t.Fatalf("%v; %v", err, s.server.Refused())
				}
				other, err := s.For(t.Context(), "svc", "", "")
				if err != nil || other.Secret != first.Secret || first.Tenant != "" {
					t.Errorf("another tenant has another: %v", err)
				}
				for _, field := range s.fields(first.Connection) {
					if field != "access_token" && field != "refresh_token" {
						t.Errorf("%s is kept", field)
					}
				}
				if first.Expires.IsZero() {
					return
				}
				if life := first.Expires.Sub(s.clock.Now()); life < 24*time.Hour {
					s.clock.Add(life - time.Minute)
					s.turn(s.Connections)
				} else { // nobody called for so long: the next call has it renewed
					s.clock.Add(life)
				}
				second, err := s.For(t.Context(), "svc", "acme", "")
				if err != nil || second.Fingerprint == first.Fingerprint || second.Connection != first.Connection {
					t.Errorf("it was not renewed: %v", err)
				}
				s.secretless()
			})
		}
	}
	if tried < 25 {
		t.Errorf("only %d were tried", tried)
	}
}

func paypalEverybody(t *testing.T) (*stage, *ownSecrets) {
	t.Helper()
	p, a := profileAuth(t, "paypal", "client_credentials")
	return everybody(t, p, a, "")
}

// R2.4: four instances that start at once agree on one connection, and fifty
// callers ask for one token.
func TestOneForEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := paypalEverybody(t)
	instances := []*connect.Connections{s.Connections}
	for _, owner := range []string{"two", "three", "four"} {
		instances = append(instances, s.instance(owner, nil))
	}
	var callers sync.WaitGroup
	for _, c := range instances {
		callers.Go(func() { c.Warm(t.Context()) })
		for range 50 {
			callers.Go(func() {
				if got, err := c.For(t.Context(), "svc", "acme", ""); err != nil || !s.server.Live(got.Secret.Reveal()) {
					t.Error(err)
				}
			})
		}
	}
	callers.Wait()
	list, _, err := s.store.Connections(t.Context(), integration.Filter{})
	if err != nil || len(list) != 1 || list[0].Tenant != "" {
		t.Errorf("%d connections %v", len(list), err)
	}
	if n := s.server.Counts().Own; n > len(instances) {
		t.Errorf("%d tokens were asked for", n)
	}
}

// R2.5, R4.2: a provider that refuses the plan's secret is not asked once a call;
// the operator and the app hear of it, and a new secret mends it without anybody
// connecting anything.
func TestOneForEverybodyRefused(t *testing.T) {
	t.Parallel()
	s, secrets := paypalEverybody(t)
	secrets.set("client_secret", "wrong-canary")
	var refused *connect.RefusedError
	for range 20 {
		if _, err := s.For(t.Context(), "svc", "acme", ""); !errors.As(err, &refused) {
			t.Fatalf("%v", err)
		}
	}
	if n := len(s.server.Refused()); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	if !strings.Contains(s.logged(), "alert=true") || strings.Contains(s.logged(), "wrong-canary") {
		t.Errorf("%s", s.logged())
	}
	secrets.set("client_secret", appKey)
	s.clock.Add(31 * time.Second)
	c, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	// Its token is taken back: one 401 brings the next.
	s.server.Withdraw()
	next, err := s.Refused(t.Context(), c)
	if err != nil || !s.server.Live(next.Secret.Reveal()) {
		t.Fatalf("%v", err)
	}
	if err := s.StillRefused(t.Context(), next); err == nil {
		t.Error("no error")
	}
	if again, err := s.For(t.Context(), "svc", "other", ""); err != nil || again.Connection != c.Connection || again.Fingerprint == next.Fingerprint {
		t.Errorf("it stays ended: %v", err)
	}
	var wrong *connect.RequestError
	if _, err := s.Start(t.Context(), connect.Request{Service: "svc", Tenant: "acme"}); !errors.As(err, &wrong) {
		t.Errorf("a tenant could connect: %v", err)
	}
	standings, err := s.Status(t.Context(), "svc", "acme")
	if err != nil || len(standings) != 1 || standings[0].State != integration.ConnectionConnected || standings[0].Reconnect != "" {
		t.Errorf("%+v %v", standings, err)
	}
	s.secretless()
}

// A secret that the plan lacks is named at the start, and so is a kind that needs
// a person.
func TestOneForEverybodyLacks(t *testing.T) {
	t.Parallel()
	_, a := profileAuth(t, "paypal", "client_credentials")
	service := connect.Service{Name: "svc", Environment: "test", Auth: a, Transport: wire{}, Own: func(string) integration.Secret { return integration.Secret{} }}
	s, _ := paypalEverybody(t)
	config := connect.Config{Services: []connect.Service{service}, Store: s.store, Sealer: s.sealer, Owner: "o"}
	if _, err := connect.New(config); err == nil || !strings.Contains(err.Error(), "environments.test.secrets: client_id is missing; client_secret is missing") {
		t.Errorf("%v", err)
	}
	_, config.Services[0].Auth = profileAuth(t, "zoom", "oauth2")
	if _, err := connect.New(config); err == nil || !strings.Contains(err.Error(), "auth.whose") {
		t.Errorf("%v", err)
	}
	config.Services[0].Own = nil
	if _, err := connect.New(config); err == nil || !strings.Contains(err.Error(), "address that browsers") {
		t.Errorf("tenants without a public address: %v", err)
	}
}
