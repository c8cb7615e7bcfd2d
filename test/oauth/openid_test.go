package oauth_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/integration"
)

// strict ends everything a person granted when a refresh token is used twice
// (RFC 9700, section 4.14.2).
type strict struct {
	*storage.Storage
	refreshes, reuses atomic.Int64
}

func (s *strict) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	s.refreshes.Add(1)
	r, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if err != nil {
		s.reuses.Add(1)
		_ = s.TerminateSession(ctx, "id1", appID)
	}
	return r, err
}

// provider starts an OpenID provider that others wrote, and the profile of it.
func provider(t *testing.T) (*strict, *httptest.Server, catalog.Auth) {
	t.Helper()
	var handler atomic.Pointer[http.Handler]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	kept := &strict{Storage: storage.NewStorageWithClients(storage.NewUserStore(server.URL), map[string]*storage.Client{
		appID: storage.WebClient(appID, appKey, public+connect.CallbackPath),
	})}
	silent := slog.New(slog.DiscardHandler)
	router := exampleop.SetupServer(server.URL, kept, nil, false, op.WithAllowInsecure(), op.WithLogger(silent))
	h := http.Handler(router)
	handler.Store(&h)
	return kept, server, catalog.Auth{Kind: "oauth2", OAuth: &catalog.OAuth{
		AuthorizeURL: server.URL + "/auth", TokenURL: server.URL + "/oauth/token", RevokeURL: server.URL + "/revoke",
		Issuer: server.URL, KeysURL: server.URL + "/keys", TokenAuth: "basic", Offline: "offline_access", Scopes: []string{"openid", "email"},
		Rotation: "always",
	}}
}

// logIn is the person at the provider's own pages.
func logIn(t *testing.T, address string) url.Values {
	t.Helper()
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), public) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	get := func(r *http.Request, err error) *http.Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response
	}
	form := get(http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody))
	at := form.Request.URL
	if !strings.Contains(at.Path, "/login/") {
		t.Fatalf("the provider did not ask to log in: %d %s", form.StatusCode, at)
	}
	filled := url.Values{"username": {"test-user@127.0.0.1"}, "password": {"verysecure"}, "id": {at.Query().Get("authRequestID")}}
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at.Scheme+"://"+at.Host+at.Path, strings.NewReader(filled.Encode()))
	if err == nil {
		post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	back, err := url.Parse(get(post, err).Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), public+connect.CallbackPath) {
		t.Fatalf("the provider did not send the person back: %s %v", back, err)
	}
	return back.Query()
}

// R2.2, R2.4, R2.6 against an authorization server that no one here wrote: PKCE,
// ID token, rotation with reuse detection under a stampede, revocation.
func TestOpenIDProvider(t *testing.T) {
	t.Parallel()
	kept, _, auth := provider(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := open(t, nil, transport, connect.Service{Auth: auth, BaseURL: "https://api.example.com"}, &clock{at: time.Now().UTC()})
	started := s.start(connect.Request{ReturnURL: returnTo})
	query := logIn(t, started.URL)
	if e := s.Callback(t.Context(), query, ""); e.Outcome != connect.EndedConnected {
		t.Fatalf("%+v\n%s", e, s.logged())
	}
	if c := s.connection(started.Connection); c.Account != "test-user@zitadel.ch" && c.Account != "id1" {
		t.Errorf("the account is %q", c.Account)
	}
	instances := make([]*connect.Connections, 4)
	for i := range instances {
		instances[i] = s.instance(fmt.Sprintf("i%d", i), nil)
	}
	for round := range 3 {
		before := kept.refreshes.Load()
		s.clock.Add(5 * time.Minute)
		var wg sync.WaitGroup
		for _, c := range instances {
			for range 50 {
				wg.Go(func() {
					if _, err := c.For(t.Context(), "svc", "acme", ""); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				})
			}
		}
		wg.Wait()
		if n := kept.refreshes.Load() - before; n != 1 || kept.reuses.Load() != 0 {
			t.Fatalf("round %d: %d refreshes, %d reuses", round, n, kept.reuses.Load())
		}
	}
	done, err := s.Disconnect(t.Context(), "svc", started.Connection, "test")
	if err != nil || !done.Revoked {
		t.Errorf("%+v %v", done, err)
	}
	if c := s.connection(started.Connection); c.State != integration.ConnectionDisconnected {
		t.Errorf("%s", c.State)
	}
	s.secretless()
}

// An ID token of another issuer, or for another nonce, makes no connection.
func TestIDTokenOfAnother(t *testing.T) {
	t.Parallel()
	_, server, auth := provider(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	facts := *auth.OAuth
	facts.Issuer = "https://accounts.example.com"
	auth.OAuth = &facts
	s := open(t, nil, transport, connect.Service{Auth: auth, BaseURL: server.URL}, &clock{at: time.Now().UTC()})
	started := s.start(connect.Request{})
	if e := s.Callback(t.Context(), logIn(t, started.URL), ""); e.Outcome != connect.EndedRefused {
		t.Errorf("%+v", e)
	}
	s.nothing(started.Connection)
}
