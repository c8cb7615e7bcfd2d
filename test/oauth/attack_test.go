package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/connect"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
)

func (s *stage) start(r connect.Request) connect.Started {
	s.t.Helper()
	r.Service = "svc"
	if r.Tenant == "" {
		r.Tenant = "acme"
	}
	started, err := s.Start(context.Background(), r)
	if err != nil {
		s.t.Fatal(err)
	}
	return started
}

func (s *stage) nothing(id string) {
	s.t.Helper()
	if _, _, err := s.store.Connection(context.Background(), id); !errors.Is(err, integration.ErrNotFound) {
		s.t.Errorf("there is a connection: %v", err)
	}
}

// A state works once, in time, and only as it was given out.
func TestStateReplay(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	started := s.start(connect.Request{ReturnURL: returnTo})
	query := s.visit(started.URL)
	for _, wrong := range []url.Values{
		{},
		{"state": {""}},
		{"state": {"guess"}, "code": query["code"]},
		{"state": {query.Get("state"), "x"}, "code": query["code"]},
		{"state": {strings.Repeat("x", 10_000)}},
	} {
		if e := s.Callback(t.Context(), wrong, ""); e.Outcome != connect.EndedExpired || e.Redirect != "" {
			t.Errorf("%v: %+v", wrong, e)
		}
	}
	if e := s.Callback(t.Context(), query, ""); e.Outcome != connect.EndedConnected {
		t.Fatalf("%+v", e)
	}
	if e := s.Callback(t.Context(), query, ""); e.Outcome != connect.EndedExpired || e.Redirect != "" {
		t.Errorf("a replay: %+v", e)
	}
	if n := s.server.Counts(); n.Codes != 1 {
		t.Errorf("the code was sent %d times", n.Codes)
	}
	late := s.visit(s.start(connect.Request{Tenant: "late"}).URL)
	s.clock.Add(time.Hour)
	if e := s.Callback(t.Context(), late, ""); e.Outcome != connect.EndedExpired {
		t.Errorf("an expired state: %+v", e)
	}
}

// A flow that began on our page is bound to its browser: an answer that is
// brought to another one, or by another one, comes to nothing.
func TestOtherSession(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	started := s.start(connect.Request{ReturnURL: returnTo, Page: true})
	token := strings.TrimPrefix(started.URL, public+connect.PagePath)
	for _, browser := range []string{"", "another"} {
		ended, err := s.Submit(t.Context(), token, nil, nil, "mine")
		if err != nil {
			t.Fatal(err)
		}
		query := s.visit(ended.Redirect)
		if e := s.Callback(t.Context(), query, browser); e.Outcome != connect.EndedBrowser || e.Redirect != "" {
			t.Errorf("%q: %+v", browser, e)
		}
		if e := s.Callback(t.Context(), query, "mine"); e.Outcome != connect.EndedExpired {
			t.Errorf("the state survived: %+v", e)
		}
	}
	s.nothing(started.Connection)
	ended, err := s.Submit(t.Context(), token, nil, nil, "mine")
	if err != nil {
		t.Fatal(err)
	}
	if e := s.Callback(t.Context(), s.visit(ended.Redirect), "mine"); e.Outcome != connect.EndedConnected {
		t.Errorf("%+v", e)
	}
}

// Nobody is sent to an address that is not on the list.
func TestOpenRedirect(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	for _, address := range []string{
		"https://evil.example/settings", "http://app.example.com/settings", "https://app.example.com.evil.example/settings", "https://app.example.com:444/settings",
		"https://app.example.com@evil.example/settings", "//evil.example/settings", "/settings", `https://app.example.com\@evil.example/settings`,
		"https://app.example.com/settings/more", "https://app.example.com/deep", "https://app.example.com/deep/../settings2", "https://app.example.com/deep/%2e%2e/admin",
		"https://app.example.com/deep//evil.example", "javascript:alert(1)", "https://app.example.com/deep/\r\nX: y", "https://app.example.com/settings#x", " https://app.example.com/settings",
	} {
		_, err := s.Start(t.Context(), connect.Request{Service: "svc", Tenant: "acme", ReturnURL: address})
		var wrong *connect.RequestError
		if !errors.As(err, &wrong) {
			t.Errorf("%q was taken: %v", address, err)
		}
	}
	for _, address := range []string{returnTo, returnTo + "?tab=2", "https://app.example.com/deep/er/page", "https://APP.example.com/settings"} {
		started, err := s.Start(t.Context(), connect.Request{Service: "svc", Tenant: "acme", ReturnURL: address})
		if err != nil {
			t.Errorf("%q: %v", address, err)
			continue
		}
		e := s.Callback(t.Context(), s.visit(started.URL), "")
		back, err := url.Parse(e.Redirect)
		if err != nil || !strings.EqualFold(back.Host, "app.example.com") || back.Query().Get("status") != "connected" || back.Query().Get("connection") != started.Connection {
			t.Errorf("%q: %+v", address, e)
		}
		if strings.Contains(address, "tab=2") && back.Query().Get("tab") != "2" {
			t.Errorf("the address lost its own query: %s", e.Redirect)
		}
	}
}

// The person said no, or another server answers: no connection, and the reason on
// the return address.
func TestDeniedAndMixedUp(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "google")
	for _, c := range []struct {
		mood          sandbox.OAuthMood
		outcome, want string
	}{
		{sandbox.OAuthMood{Deny: true}, connect.EndedDenied, "access_denied"},
		{sandbox.OAuthMood{Issuer: "https://evil.example"}, connect.EndedRefused, "provider_refused"},
		{sandbox.OAuthMood{Issuer: "https://accounts.google.com.evil.example"}, connect.EndedRefused, "provider_refused"},
	} {
		s.server.SetMood(c.mood)
		started := s.start(connect.Request{ReturnURL: returnTo})
		e := s.Callback(t.Context(), s.visit(started.URL), "")
		if e.Outcome != c.outcome || !strings.Contains(e.Redirect, "status=failed") || !strings.Contains(e.Redirect, "reason="+c.want) {
			t.Errorf("%+v", e)
		}
		s.nothing(started.Connection)
	}
	if n := s.server.Counts(); n.Codes != 0 {
		t.Errorf("a code was sent %d times", n.Codes)
	}
	s.server.SetMood(sandbox.OAuthMood{Issuer: "https://accounts.google.com"})
	if e := s.Callback(t.Context(), s.visit(s.start(connect.Request{}).URL), ""); e.Outcome != connect.EndedConnected {
		t.Errorf("the right issuer: %+v", e)
	}
}

// A code of another authorisation is of no use: PKCE ties it to its beginning.
// A link without PKCE does not make one either.
func TestCodeInjection(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	mine, theirs := s.start(connect.Request{Tenant: "victim", ReturnURL: returnTo}), s.start(connect.Request{Tenant: "attacker"})
	stolen := s.visit(theirs.URL).Get("code")
	query := s.visit(mine.URL)
	query.Set("code", stolen)
	if e := s.Callback(t.Context(), query, ""); e.Outcome != connect.EndedRefused {
		t.Errorf("%+v", e)
	}
	s.nothing(mine.Connection)

	for _, drop := range []string{"code_challenge", "code_challenge_method"} { // a downgrade
		started := s.start(connect.Request{Tenant: "victim"})
		u, err := url.Parse(started.URL)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if q.Get("code_challenge_method") != "S256" {
			t.Fatal("PKCE is not S256")
		}
		q.Set(drop, "plain")
		u.RawQuery = q.Encode()
		if e := s.Callback(t.Context(), s.visit(u.String()), ""); drop == "code_challenge" && e.Outcome != connect.EndedRefused {
			t.Errorf("%s: %+v", drop, e)
		}
	}
}

// Nothing that a browser sees or a log keeps holds a token, a code or a secret.
func TestNothingInAddresses(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	started := s.start(connect.Request{ReturnURL: returnTo})
	query := s.visit(started.URL)
	e := s.Callback(t.Context(), query, "")
	for _, secret := range []string{query.Get("code"), query.Get("state"), appKey, "at_", "rt_"} {
		if strings.Contains(e.Redirect+e.Reason, secret) {
			t.Errorf("%q is in %+v", secret, e)
		}
		if strings.Contains(s.logged(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
	if strings.Contains(started.URL, appKey) {
		t.Error("the app's secret is in the address")
	}
}

// A tenant neither sees nor changes what is another's.
func TestOtherTenant(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	id := s.connect("acme", nil)
	var state *connect.StateError
	if _, err := s.For(t.Context(), "svc", "other", id); !errors.As(err, &state) || state.Connection != "" {
		t.Errorf("another tenant's credential: %v", err)
	}
	if _, err := s.Start(t.Context(), connect.Request{Service: "svc", Tenant: "other", Connection: id}); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("another tenant's connection was begun anew: %v", err)
	}
	if _, err := s.Disconnect(t.Context(), "svc", "nope", "x"); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if list, err := s.Status(t.Context(), "svc", "other"); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	if got, err := s.For(t.Context(), "svc", "acme", id); err != nil || got.Connection != id {
		t.Errorf("%v", err)
	}
}

// R2.2: fewer scopes than asked for are told, and the connection works.
func TestFewerScopes(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "zoom")
	s.server.SetMood(sandbox.OAuthMood{Grant: []string{"one"}})
	c := s.connection(s.connect("acme", nil))
	if c.State != integration.ConnectionConnected || !strings.Contains(c.Reason, "two") || len(c.Scopes) != 1 {
		t.Errorf("%+v", c)
	}
	s.clock.Add(time.Hour)
	if _, err := s.For(t.Context(), "svc", "acme", ""); err != nil {
		t.Fatal(err)
	}
	if again := s.connection(c.ID); again.Reason != c.Reason {
		t.Errorf("after a renewal it is not told any more: %q", again.Reason)
	}
}

// R2.2: a part of an address that nobody gave is asked for on our page, and one
// that does not fit is asked for again.
func TestVariableOnPage(t *testing.T) {
	t.Parallel()
	s := sandboxStage(t, "shopify")
	started := s.start(connect.Request{})
	token, ours := strings.CutPrefix(started.URL, public+connect.PagePath)
	page, err := s.Page(t.Context(), token)
	if err != nil || !ours || len(page.Fields) != 1 || page.Fields[0].Name != "shop" || page.Fields[0].Secret || !page.Leave {
		t.Fatalf("%s %+v %v", started.URL, page, err)
	}
	var wrong *connect.RequestError
	if _, err := s.Submit(t.Context(), token, nil, map[string]string{"shop": "evil.example/"}, "b"); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
	ended, err := s.Submit(t.Context(), token, nil, map[string]string{"shop": "acme"}, "b")
	if err != nil || !strings.HasPrefix(ended.Redirect, "https://acme.myshopify.com/admin/oauth/authorize?") {
		t.Fatalf("%+v %v", ended, err)
	}
	if e := s.Callback(t.Context(), s.visit(ended.Redirect), "b"); e.Outcome != connect.EndedConnected {
		t.Errorf("%+v", e)
	}
	got, err := s.For(t.Context(), "svc", "acme", "")
	if err != nil || !strings.HasPrefix(got.BaseURL, "https://acme.myshopify.com/") {
		t.Errorf("%+v %v", got, err)
	}
}
