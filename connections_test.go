package sallyport_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store/sqlite"
)

const oauthPlan = `
sallyport: 1
service: hubspot
uses: hubspot
need: Keep contacts in step.
environments:
  development: {base_url: "BASE", secrets: {client_id: env:CLIENT_ID, client_secret: env:CLIENT_SECRET}}
auth: {use: oauth2, tell: app}
endpoints:
  list_contacts: {call: GET /crm/v3/objects/contacts, purpose: Look., effect: read}
errors:
  5xx: {retry: never}
destinations: {app: {url: "MINE", secret: env:SIGN}}
`

// R2.2, R3.5, R4.2, R2.6: a tenant connects over OAuth through the gateway, its
// calls carry its token, a withdrawn grant is told to the app and to the caller,
// and disconnecting revokes.
func TestConnectCallDisconnect(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("hubspot")
	if err != nil {
		t.Fatal(err)
	}
	var auth catalog.Auth
	for _, a := range profile.Auth {
		if a.Kind == "oauth2" {
			auth = a
		}
	}
	var provider atomic.Pointer[sandbox.OAuth]
	third := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/crm/v3/objects/contacts" {
			provider.Load().ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); !provider.Load().Live(token) {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, `{"results":[]}`)
	}))
	defer third.Close()
	told := make(chan string, 10)
	mine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string
			Data struct{ State string }
		}
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		told <- e.Data.State
		w.WriteHeader(http.StatusNoContent)
	}))
	defer mine.Close()
	gateway := httptest.NewUnstartedServer(nil)
	public := "http://" + gateway.Listener.Addr().String()
	playing, err := sandbox.NewOAuth(sandbox.OAuthConfig{
		Auth: auth, Variables: profile.API.Variables, ClientID: "our-app", ClientSecret: "our-secret", RedirectURIs: []string{public + "/oauth/callback"},
	})
	if err != nil {
		t.Fatal(err)
	}
	provider.Store(playing)
	dir := t.TempDir()
	text := strings.NewReplacer("BASE", third.URL, "MINE", mine.URL).Replace(oauthPlan)
	if err := os.WriteFile(filepath.Join(dir, "hubspot.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(dir, "s.db")
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: dir, Database: "sqlite:" + database, PublicURL: public, ReturnURLs: []string{mine.URL + "/*"}, Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) {
			return map[string]string{"CLIENT_ID": "our-app", "CLIENT_SECRET": "our-secret", "SIGN": "whsec_c2VjcmV0LW9mLXRoZS10ZXN0LWFwcA=="}[name], true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	key := keyIn(t, database)
	gateway.Config.Handler = app.Handler()
	gateway.Start()
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- app.Run(ctx) }()
	t.Cleanup(func() {
		gateway.Close()
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := app.Client("hubspot", "acme")
	if err != nil {
		t.Fatal(err)
	}
	contacts := func() (int, error) {
		resp, err := client.Get("https://api.hubapi.com/crm/v3/objects/contacts")
		if err != nil {
			return 0, err
		}
		resp.Body.Close()
		return resp.StatusCode, nil
	}
	if _, err := contacts(); err == nil || !strings.Contains(err.Error(), "connect") {
		t.Fatalf("a call without a connection: %v", err)
	}

	// The person is sent to the provider, consents, and comes back.
	var begun struct{ Connection, URL string }
	postJSON(t, public+"/api/v1/integrations/hubspot/connect", key, map[string]any{"tenant": "acme", "return_url": mine.URL + "/done"}, &begun)
	at, err := url.Parse(begun.URL)
	if err != nil || at.Host != strings.TrimPrefix(third.URL, "http://") || at.Query().Get("code_challenge_method") != "S256" {
		t.Fatalf("sent to %s: %v", begun.URL, err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var ended *url.URL
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), mine.URL) {
			ended = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.Get(begun.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if ended == nil {
		t.Fatal("the person did not come back")
	}
	if status, err := contacts(); err != nil || status != http.StatusOK {
		t.Fatalf("a call of a connected tenant: %d %v", status, err)
	}

	// The provider takes the grant back: the caller hears, and so does the app.
	playing.Withdraw()
	if status, err := contacts(); err == nil && status == http.StatusOK {
		t.Error("a withdrawn grant still works")
	}
	for state := ""; state != "needs_reauth" && state != "disconnected"; {
		select {
		case state = <-told:
		case <-time.After(20 * time.Second):
			t.Fatal("nobody was told")
		}
	}
	var status struct {
		Connections []struct{ ID, State, Reconnect string }
	}
	getJSON(t, public+"/api/v1/integrations/hubspot/status?tenant=acme", key, &status)
	if len(status.Connections) != 1 || status.Connections[0].State == "connected" || status.Connections[0].Reconnect == "" {
		t.Errorf("status %+v", status)
	}
	var over map[string]any
	postJSON(t, public+"/api/v1/integrations/hubspot/disconnect", key, map[string]any{"connection": begunOr(begun.Connection, status.Connections[0].ID)}, &over)
	if _, err := contacts(); err == nil {
		t.Error("a call after disconnecting was made")
	}
	raw, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "our-secret") {
		t.Error("the client secret is in the database")
	}
}

func begunOr(id, other string) string {
	if id != "" {
		return id
	}
	return other
}

// keyIn makes an API key in a database.
func keyIn(t *testing.T, database string) string {
	t.Helper()
	store, err := sqlite.Open(t.Context(), database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	secret, key := api.NewKey("test", integration.ScopeAdmin, time.Now())
	if err := store.CreateKey(t.Context(), key, integration.AuditEntry{ID: "a1", At: time.Now(), Action: "key.create", Target: key.ID}); err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

func postJSON(t *testing.T, address, key string, in, out any) {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answerJSON(t, r, key, out)
}

func getJSON(t *testing.T, address, key string, out any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answerJSON(t, r, key, out)
}

func answerJSON(t *testing.T, r *http.Request, key string, out any) {
	t.Helper()
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s %v", r.Method, r.URL.Path, resp.StatusCode, b, err)
	}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
}
