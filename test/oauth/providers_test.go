package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
)

// R2.2, R2.4, R2.6: every provider with an authorization code, with its quirks:
// authorize, callback, token, call, refresh, revoke.
func TestProviders(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, p := range all {
		for _, a := range p.Auth {
			if a.Kind != "oauth2" || a.OAuth.AuthorizeURL == "" {
				continue
			}
			tried++
			t.Run(p.ID, func(t *testing.T) {
				t.Parallel()
				journey(t, p.ID)
			})
			break
		}
	}
	if tried < 40 {
		t.Errorf("only %d providers were tried", tried)
	}
}

func journey(t *testing.T, provider string) {
	s := sandboxStage(t, provider)
	one := s.services[0]
	method, err := oauth.Compile(one.Auth, one.Variables)
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{}
	for _, name := range method.Missing(nil) {
		variables[name] = example(name, one.Variables[name])
	}
	for name, v := range one.Variables { // what the base URL needs and nobody tells
		if strings.Contains(one.BaseURL, "{"+name+"}") && v.From == "" && v.Ask == nil {
			variables[name] = example(name, v)
		}
	}
	id := s.connect("acme", variables)
	first, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	if !s.server.Live(first.Secret.Reveal()) || first.Connection != id {
		t.Fatalf("%s: %s is not the provider's token", id, first.Fingerprint)
	}
	called(t, s, first)
	if facts := method.Facts(); facts.AccessSeconds > 0 && facts.Rotation != "sometimes" && (facts.Expiry == nil || facts.Expiry.Field != "-") {
		if first.Expires.IsZero() {
			t.Fatal("the end of the token was not read")
		}
		s.clock.Add(time.Duration(facts.AccessSeconds) * time.Second)
		second, err := s.For(t.Context(), "svc", "acme", "")
		if err != nil {
			t.Fatalf("%v; refused: %v", err, s.server.Refused())
		}
		if n := s.server.Counts(); n.Refreshes != 1 || second.Fingerprint == first.Fingerprint || !s.server.Live(second.Secret.Reveal()) {
			t.Errorf("after its end: %+v", n)
		}
	}
	done, err := s.Disconnect(t.Context(), "svc", id, "test")
	if err != nil {
		t.Fatal(err)
	}
	if done.Revoked != method.Revokes() || done.Pending {
		t.Errorf("%+v; refused: %v", done, s.server.Refused())
	}
	c, sealed, err := s.store.Connection(t.Context(), id)
	if err != nil || len(sealed) != 0 || c.State != integration.ConnectionDisconnected || !c.DueAt.IsZero() {
		t.Errorf("%d credentials are left, %s, due %v: %v", len(sealed), c.State, c.DueAt, err)
	}
	if method.Revokes() && s.server.Live(first.Secret.Reveal()) {
		t.Error("the token still works")
	}
	s.secretless()
}

// called makes a request with the credential and looks at where it went.
func called(t *testing.T, s *stage, c interface {
	Apply(r *http.Request) (string, error)
},
) {
	t.Helper()
	one := s.services[0]
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/x", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Apply(r); err != nil {
		t.Fatal(err)
	}
	name, prefix := one.Auth.Name, one.Auth.Prefix
	if name == "" {
		name, prefix = "Authorization", "Bearer "
	}
	if got := r.Header.Get(name); !strings.HasPrefix(got, prefix+"at_") {
		t.Errorf("%s does not carry the token", name)
	}
	for header := range one.Auth.Headers {
		if got := r.Header.Get(header); got == "" || strings.Contains(got, "{") {
			t.Errorf("%s is %q", header, got)
		}
	}
	if _, err := url.Parse(r.URL.String()); err != nil || strings.Contains(r.URL.String(), "at_") {
		t.Errorf("the token is in the address")
	}
}
