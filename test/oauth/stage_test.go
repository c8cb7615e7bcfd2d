// Package oauth_test holds connections against authorization servers: the
// sandbox with the quirks of each profile, a server that others wrote, and what
// attackers and crashes do in between.
package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store"
	opened "github.com/sallyport/sallyport/store/open"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

const (
	public   = "https://sallyport.example.com"
	appID    = "app-1"
	appKey   = "app-secret-canary"
	returnTo = "https://app.example.com/settings"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// wire serves requests with a handler, without a socket. An aborted answer is an
// error, as it is over a connection.
type wire struct{ handler http.Handler }

func (w wire) RoundTrip(r *http.Request) (response *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			response, err = nil, errors.New("connection reset by peer")
		}
	}()
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// stage is a provider's stand-in, a store and any number of instances before it.
type stage struct {
	t        testing.TB
	clock    *clock
	server   *sandbox.OAuth
	store    store.Store
	database string
	sealer   *vault.Sealer
	services []connect.Service
	log      *bytes.Buffer
	logMu    sync.Mutex
	folder   string
	*connect.Connections
}

func (s *stage) Write(p []byte) (int, error) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return s.log.Write(p)
}

func (s *stage) logged() string {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return s.log.String()
}

// profileAuth is the first way of a kind that a profile has.
func profileAuth(t testing.TB, provider, kind string) (*catalog.Profile, catalog.Auth) {
	t.Helper()
	p, err := catalog.Load(provider)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Auth {
		if a.Kind == kind && (kind != "oauth2" || a.OAuth.AuthorizeURL != "") {
			return p, a
		}
	}
	t.Fatalf("%s has no %s", provider, kind)
	return nil, catalog.Auth{}
}

// emptyDatabase is a file with all tables and nothing in them: making it takes
// longer than most tests here.
var emptyDatabase = sync.OnceValue(func() []byte {
	folder, err := os.MkdirTemp("", "oauth-test")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "empty.db")
	store, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err == nil {
		err = store.Close()
	}
	if err != nil {
		panic(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return content
})

// open makes a store, a sealer and the first instance.
func open(t testing.TB, server *sandbox.OAuth, transport http.RoundTripper, service connect.Service, tick *clock) *stage {
	t.Helper()
	s := &stage{t: t, clock: tick, server: server, log: &bytes.Buffer{}, folder: t.TempDir()}
	s.database = "sqlite:" + filepath.Join(s.folder, "test.db")
	if strings.HasPrefix(t.Name(), onPostgres+"/") {
		s.database = postgresDatabase(t)
	} else if err := os.WriteFile(filepath.Join(s.folder, "test.db"), emptyDatabase(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := vault.CreateKeyset(filepath.Join(s.folder, "keyset.json")); err != nil {
		t.Fatal(err)
	}
	service.Name, service.Environment, service.Transport = "svc", "test", transport
	if service.Client == nil {
		service.Client = func() oauth.Client { return oauth.Client{ID: appID, Secret: integration.NewSecret(appKey)} }
	}
	s.services = []connect.Service{service}
	s.reopen()
	return s
}

// reopen opens what lies in the folder, as a process does that starts.
func (s *stage) reopen() {
	t, folder := s.t, s.folder
	t.Helper()
	kept, err := opened.Database(context.Background(), s.database, opened.Options{Now: s.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	master, err := vault.OpenKeyset(filepath.Join(folder, "keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := vault.NewSealer(vault.SealerConfig{Keys: kept, Master: master, Now: s.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.store, s.sealer = kept, sealer
	s.Connections = s.instance("one", nil)
}

func (s *stage) instance(owner string, step func(string)) *connect.Connections {
	s.t.Helper()
	c, err := connect.New(connect.Config{
		Services: s.services, Store: s.store, Sealer: s.sealer, PublicURL: public, ReturnURLs: []string{returnTo, "https://app.example.com/deep/*"},
		Owner: owner, Now: s.clock.Now, Dice: func() float64 { return 0.5 }, Step: step, Log: slog.New(slog.NewTextHandler(s, nil)),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// sandboxStage plays a profile's authorization server.
func sandboxStage(t testing.TB, provider string) *stage {
	t.Helper()
	p, auth := profileAuth(t, provider, "oauth2")
	tick := &clock{at: time.Now().UTC().Truncate(time.Second)}
	values := map[string]string{}
	for name, v := range p.API.Variables {
		values[name] = example(name, v)
	}
	server, err := sandbox.NewOAuth(sandbox.OAuthConfig{
		Auth: auth, Variables: p.API.Variables, Values: values, ClientID: appID, ClientSecret: appKey,
		RedirectURIs: []string{public + connect.CallbackPath}, Now: tick.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return open(t, server, wire{server}, connect.Service{Auth: auth, Variables: p.API.Variables, BaseURL: p.API.BaseURL, Tell: "app"}, tick)
}

// example is a value that fits a variable of a profile.
func example(name string, v catalog.Variable) string {
	switch {
	case v.Example != "":
		return v.Example
	case len(v.Values) > 0:
		return v.Values[0]
	case strings.Contains(v.Pattern, "salesforce"):
		return "acme.my.salesforce.com"
	case strings.Contains(v.Pattern, "docusign"):
		return "eu.docusign.net"
	case strings.Contains(v.Pattern, "{36}"):
		return "0a1b2c3d-0000-4000-8000-00000000000f"
	case strings.Contains(v.Pattern, `\.`):
		return "acme.example.com"
	}
	return "acme"
}

// visit goes to the provider and comes back with the callback's query.
func (s *stage) visit(address string) url.Values {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := wire{s.server}.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	back, err := url.Parse(response.Header.Get("Location"))
	if err != nil || response.StatusCode != http.StatusFound || !strings.HasPrefix(back.String(), public+connect.CallbackPath) {
		s.t.Fatalf("the provider answered %d: %s %s", response.StatusCode, response.Header.Get("Location"), response.Body)
	}
	return back.Query()
}

// connect goes the whole way and returns the connection's id.
func (s *stage) connect(tenant string, variables map[string]string) string {
	s.t.Helper()
	started, err := s.Start(context.Background(), connect.Request{Service: "svc", Tenant: tenant, ReturnURL: returnTo, Variables: variables, Scopes: []string{"one", "two"}})
	if err != nil {
		s.t.Fatal(err)
	}
	ended := s.Callback(context.Background(), s.visit(started.URL), "")
	if ended.Outcome != connect.EndedConnected || ended.Connection != started.Connection {
		s.t.Fatalf("%+v; refused: %v", ended, s.server.Refused())
	}
	return started.Connection
}

func (s *stage) connection(id string) integration.Connection {
	s.t.Helper()
	c, _, err := s.store.Connection(context.Background(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// secretless fails when a log or a connection shows what it must not.
func (s *stage) secretless() {
	s.t.Helper()
	for _, canary := range []string{appKey, "at_", "rt_"} {
		if strings.Contains(s.logged(), canary) {
			s.t.Errorf("%q is in the log:\n%s", canary, s.logged())
		}
	}
}
