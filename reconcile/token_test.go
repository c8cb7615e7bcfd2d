package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/reconcile"
)

// slackTokens is a stand-in for tooling.tokens.rotate with a refresh token that
// is good for one time, in front of the stand-in of an app.
type slackTokens struct {
	app    *slackApp
	mu     sync.Mutex
	now    time.Time
	number int // of the refresh token that is good
	token  string
	ends   time.Time
	asked  []string
	refuse string // answers a rotation instead
	once   bool   // a token is good for one request
}

// Tokens of the tests; none may turn up in a log or a record.
func slackRefresh(n int) string { return fmt.Sprintf("xoxe-1-canary-refresh-%d", n) }
func slackToken(n int) string   { return fmt.Sprintf("xoxe.xoxp-1-canary-token-%d", n) }

const slackCanary = "canary"

func (s *slackTokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/tooling.tokens.rotate" {
		if got := r.Header.Get("Authorization"); got != "Bearer "+s.token {
			fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
			return
		}
		if !s.now.Before(s.ends) {
			fmt.Fprint(w, `{"ok":false,"error":"token_expired"}`)
			return
		}
		if s.once {
			s.token = "used"
		}
		r.Header.Set("Authorization", "Bearer "+apiKey)
		s.app.ServeHTTP(w, r)
		return
	}
	if r.Header.Get("Authorization") != "" || s.refuse != "" || r.PostFormValue("refresh_token") != slackRefresh(s.number) {
		if s.refuse != "" {
			fmt.Fprint(w, s.refuse)
			return
		}
		fmt.Fprint(w, `{"ok":false,"error":"invalid_refresh_token"}`)
		return
	}
	s.number++
	s.token, s.ends = slackToken(s.number), s.now.Add(12*time.Hour)
	fmt.Fprintf(w, `{"ok":true,"token":%q,"refresh_token":%q,"team_id":"T1","user_id":"U1","iat":%d,"exp":%d}`, s.token, slackRefresh(s.number), s.now.Unix(), s.ends.Unix())
}

func (s *slackTokens) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.asked
	s.asked = nil
	return list
}

// gateway is what a process has: after a crash there is a new one.
type gateway struct {
	*bundle
	tokens  *slackTokens
	secrets map[string]string
	broken  error // of the store
}

// PutSubscription implements reconcile.TokenStore.
func (g *gateway) PutSubscription(ctx context.Context, s *integration.Subscription) error {
	if g.broken != nil {
		return g.broken
	}
	return g.store.PutSubscription(ctx, s)
}

func (g *gateway) SubscriptionsOf(ctx context.Context, service, connection string) ([]integration.Subscription, error) {
	return g.store.SubscriptionsOf(ctx, service, connection)
}

// flip is a seal for tests: what it gives can't be read.
func flip(b []byte) []byte {
	out := slices.Clone(b)
	for i := range out {
		out[i] ^= 0x55
	}
	return out
}

func (g *gateway) begin() (*reconcile.Subscriptions, *reconcile.Token) {
	g.t.Helper()
	base, err := url.Parse(g.plan.BaseURL("development"))
	if err != nil {
		g.t.Fatal(err)
	}
	token := reconcile.NewToken(reconcile.TokenConfig{
		Service: "slack", Facts: g.plan.Provider.Webhooks.Subscription.Credential, Errors: &g.plan.Provider.Errors,
		Secret: func(name string) integration.Secret { return integration.NewSecret(g.secrets[name]) },
		Base:   base, Transport: http.DefaultTransport, Store: g, Now: g.now, Log: slog.New(g.log),
		Seal: func(_ context.Context, s integration.Secret) ([]byte, error) { return flip([]byte(s.Reveal())), nil },
		Open: func(_ context.Context, b []byte) (integration.Secret, error) {
			return integration.NewSecret(string(flip(b))), nil
		},
	})
	own, err := call.New(call.Config{
		Authorizer: token, Plan: g.plan, Environment: "development", Transport: http.DefaultTransport, Journal: g.store, Log: slog.New(g.log), Now: g.now,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.subscriptions(nil, func(c *reconcile.SubscriptionConfig) {
		c.Services[0].Own, c.Services[0].Given = own, token.Given
	}), token
}

func (g *gateway) sets(t time.Time) {
	g.at(t)
	g.tokens.mu.Lock()
	g.tokens.now = t
	g.tokens.mu.Unlock()
}

var slackBegan = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

func slackGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{secrets: map[string]string{}}
	g.tokens = &slackTokens{app: newSlackApp(func() string { return g.door }), number: 1, token: slackToken(1), ends: slackBegan.Add(12 * time.Hour)}
	g.tokens.app.trusting = true
	g.bundle = start(t, "slack", nil, nil, g.tokens)
	g.plan.Webhooks.Path = map[string]string{"app_id": "A123ABC456"}
	g.sets(slackBegan)
	return g
}

// silent fails when a token stands in a log or a record.
func (g *gateway) silent() {
	g.t.Helper()
	if g.log.has(slackCanary) || g.recorded(slackCanary) {
		g.t.Error("a token stands in a log or a record")
	}
}

func (g *gateway) wants(asked ...string) {
	g.t.Helper()
	if got := g.tokens.requests(); !slices.Equal(got, asked) {
		g.t.Errorf("asked %q, want %q", got, asked)
	}
}

const (
	rotate   = "/tooling.tokens.rotate"
	export   = "/apps.manifest.export"
	update   = "/apps.manifest.update"
	secretID = "configuration_refresh_token"
)

// R5.15: a configuration token does for a day; then the state says so, and
// nothing else breaks.
func TestSlackTokenRunsOut(t *testing.T) {
	t.Parallel()
	g := slackGateway(t)
	defer g.silent()
	s, token := g.begin()
	if token.Given() || g.sync(s, "").ByHand == "" {
		t.Error("without a token it is not done by hand")
	}
	if st, err := s.Standing(t.Context(), "slack", ""); err != nil || st.ByHand == "" {
		t.Errorf("%+v, %v", st, err)
	}
	g.wants()
	g.secrets["configuration_token"] = slackToken(1)
	g.sync(s, "register!")
	g.sets(slackBegan.Add(13 * time.Hour))
	if _, err := s.Sync(t.Context(), reconcile.Whose{Service: "slack"}); !errors.Is(err, reconcile.ErrCredential) || strings.Contains(err.Error(), slackCanary) {
		t.Errorf("got %v", err)
	}
	st, err := s.Standing(t.Context(), "slack", "")
	if err != nil || st.ByHand != "" || len(st.Subscriptions) != 1 || !strings.Contains(st.Subscriptions[0].Error, "https://api.slack.com/apps") {
		t.Errorf("%+v, %v", st, err)
	}
	g.wants(export, export, update, export)
}

// R5.15: a refresh token is used once, what comes in its place is kept before the
// new token is used, and a process that dies in between loses nothing.
func TestSlackTokenIsRenewed(t *testing.T) {
	t.Parallel()
	g := slackGateway(t)
	defer g.silent()
	g.secrets[secretID] = slackRefresh(1)
	ctx := t.Context()
	_, token := g.begin()
	// Renewed and not used: the process dies here.
	if a, err := token.For(ctx, "", ""); err != nil || a.Secret.Reveal() != slackToken(2) {
		t.Fatalf("%v", err)
	}
	g.wants(rotate)
	rows, err := g.store.SubscriptionsOf(ctx, reconcile.TokenService("slack"), "")
	if err != nil || len(rows) != 1 || !strings.Contains(string(flip(rows[0].Sealed)), slackRefresh(2)) || strings.Contains(string(rows[0].Sealed), slackCanary) ||
		rows[0].ExternalID != secretID || strings.Contains(fmt.Sprint(rows[0].Extra), slackCanary) {
		t.Fatalf("kept %+v, %v", rows, err)
	}
	s, _ := g.begin()
	g.sync(s, "register!")
	g.wants(export, export, update) // with what the first one had made
	g.sets(slackBegan.Add(11*time.Hour + 55*time.Minute))
	g.sync(s, "keep")
	g.wants(rotate, export) // of the second refresh token; the environment still has the first
	if got := g.tokens.number; got != 3 {
		t.Errorf("the refresh token is number %d", got)
	}
	if known := g.known(); len(known) != 1 || known[0].ExternalID != "A123ABC456" {
		t.Errorf("known %+v", known)
	}

	// A person gives another one: it wins.
	g.tokens.mu.Lock()
	g.tokens.number = 40
	g.tokens.mu.Unlock()
	g.secrets[secretID] = slackRefresh(40)
	g.sync(s, "keep")
	g.wants(rotate, export)
	s, _ = g.begin()
	g.sync(s, "keep")
	g.wants(export)
}

// R5.15: what goes wrong with a renewal says what to do, and the token that could
// not be kept is not used.
func TestSlackRenewalFails(t *testing.T) {
	t.Parallel()
	g := slackGateway(t)
	defer g.silent()
	g.secrets[secretID] = slackRefresh(1)
	ctx, whose := t.Context(), reconcile.Whose{Service: "slack"}
	s, _ := g.begin()
	g.tokens.refuse = `{"ok":false,"error":"internal_error"}`
	if _, err := s.Sync(ctx, whose); err == nil || errors.Is(err, reconcile.ErrCredential) {
		t.Errorf("a passing trouble: %v", err)
	}
	g.tokens.refuse = `{"ok":false,"error":"` + slackRefresh(1) + `"}`
	if _, err := s.Sync(ctx, whose); !errors.Is(err, reconcile.ErrCredential) || strings.Contains(err.Error(), slackCanary) {
		t.Errorf("what repeats the token: %v", err)
	}
	g.tokens.refuse = ""
	g.tokens.requests()
	g.broken = errors.New("the disk is full")
	if _, err := s.Sync(ctx, whose); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
	g.wants(rotate)
	g.broken = nil
	if _, err := s.Sync(ctx, whose); !errors.Is(err, reconcile.ErrCredential) || !strings.Contains(err.Error(), "invalid_refresh_token") || !strings.Contains(err.Error(), secretID) {
		t.Errorf("a token that is used up: %v", err)
	}
	// A token beside it does meanwhile.
	g.tokens.mu.Lock()
	g.secrets["configuration_token"] = g.tokens.token
	g.tokens.mu.Unlock()
	g.sync(s, "register!")
}

// R5.15: a token that the provider takes no more before its time is renewed, once
// a call.
func TestSlackTokenIsRefused(t *testing.T) {
	t.Parallel()
	g := slackGateway(t)
	defer g.silent()
	g.secrets[secretID] = slackRefresh(1)
	g.tokens.once = true
	s, _ := g.begin()
	g.sync(s, "register!")
	g.wants(rotate, export, export, rotate, export, update, rotate, update)
	g.tokens.mu.Lock()
	g.tokens.number = 90 // the kept refresh token is good no more
	g.tokens.mu.Unlock()
	if _, err := s.Sync(t.Context(), reconcile.Whose{Service: "slack"}); !errors.Is(err, reconcile.ErrCredential) {
		t.Errorf("got %v", err)
	}
	g.wants(export, rotate)
}

// R5.15: two that renew at the same time use a refresh token up once.
func TestSlackTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	g := slackGateway(t)
	defer g.silent()
	g.secrets[secretID] = slackRefresh(1)
	_, token := g.begin()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if a, err := token.For(t.Context(), "", ""); err != nil || a.Secret.Reveal() != slackToken(2) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	g.wants(rotate)
}
