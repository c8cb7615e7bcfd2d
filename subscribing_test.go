package sallyport_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

const manifestPlan = `
sallyport: 1
service: slack
uses: slack
need: Hear when the app is mentioned.
environments:
  development: {base_url: "BASE", secrets: {SECRETS, webhook_secret: "env:W", configuration_refresh_token: "env:R"}}
auth: AUTH
endpoints: {}
webhooks:
  path: {app_id: A1}
  events: {app_mention: {to: app}}
destinations:
  app: {url: "http://127.0.0.1:1/hooks", secret: env:D}
`

// manifests is a stand-in for Slack: one app, whose manifest a configuration
// token changes, and refresh tokens that are good for one time.
type manifests struct {
	mu       sync.Mutex
	signing  string
	manifest map[string]any
	renewed  int
	asked    []string
}

func (m *manifests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/tooling.tokens.rotate" {
		if r.PostFormValue("refresh_token") != fmt.Sprintf("xoxe-1-canary-%d", m.renewed) {
			_, _ = io.WriteString(w, `{"ok":false,"error":"invalid_refresh_token"}`)
			return
		}
		m.renewed++
		fmt.Fprintf(w, `{"ok":true,"token":"xoxe.xoxp-1-canary-%d","refresh_token":"xoxe-1-canary-%d","iat":1,"exp":%d}`, m.renewed, m.renewed, time.Now().Add(12*time.Hour).Unix())
		return
	}
	var in struct{ Manifest string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	switch {
	case r.Header.Get("Authorization") != fmt.Sprintf("Bearer xoxe.xoxp-1-canary-%d", m.renewed):
		_, _ = io.WriteString(w, `{"ok":false,"error":"invalid_auth"}`)
	case r.URL.Path == "/apps.manifest.export":
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "manifest": m.manifest})
	default:
		var next map[string]any
		_ = json.Unmarshal([]byte(in.Manifest), &next)
		if url := requestURL(next); url != requestURL(m.manifest) && url != "" && !m.verified(r.Context(), url) {
			_, _ = io.WriteString(w, `{"ok":false,"error":"invalid_manifest"}`)
			return
		}
		m.manifest = next
		_, _ = io.WriteString(w, `{"ok":true,"app_id":"A1"}`)
	}
}

func requestURL(manifest map[string]any) string {
	settings, _ := manifest["settings"].(map[string]any)
	events, _ := settings["event_subscriptions"].(map[string]any)
	url, _ := events["request_url"].(string)
	return url
}

// verified tries an address as Slack does.
func (m *manifests) verified(ctx context.Context, url string) bool {
	body, at := `{"type":"url_verification","challenge":"c-1"}`, strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(m.signing))
	fmt.Fprintf(mac, "v0:%s:%s", at, body)
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Slack-Request-Timestamp", at)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return resp.StatusCode == http.StatusOK && string(answer) == "c-1"
}

// R5.15: a gateway subscribes at Slack through the app's manifest, which is tried
// at its own door meanwhile; after a restart it goes on with the refresh token
// that it kept. The app is one for all tenants. No token is kept in the clear.
func TestGatewaySubscribesByManifest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ auth, secrets string }{
		"one credential": {"{use: api_key}", `api_key: "env:A"`},
		"of tenants":     {"{use: oauth2}", `client_id: "env:A", client_secret: "env:A"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stand := &manifests{signing: "signing-secret", manifest: map[string]any{"display_information": map[string]any{"name": "zork"}}}
			provider := httptest.NewServer(stand)
			t.Cleanup(provider.Close)
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "plans"), 0o700); err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer("BASE", provider.URL, "SECRETS", c.secrets, "AUTH", c.auth).Replace(manifestPlan)
			if err := os.WriteFile(filepath.Join(dir, "plans", "slack.yaml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			database := filepath.Join(dir, "sallyport.db")
			admin := manifestAdmin(t, database)
			var logged lockedBuffer
			do, at, stop := manifestGateway(t, dir, database, "127.0.0.1:0", &logged)
			var view api.ComparisonView
			const hooks = "/api/v1/admin/integrations/slack/webhooks"
			if status := do(admin, "POST", hooks+"/sync", &view); status != 200 || len(view.Changes) != 1 || !view.Changes[0].Done || view.ByHand != "" {
				t.Fatalf("%d %+v\n%s", status, view, logged.text())
			}
			if got := requestURL(stand.manifest); got != view.URL || stand.manifest["display_information"] == nil {
				t.Errorf("the manifest is %+v", stand.manifest)
			}
			stop()

			do, _, stop = manifestGateway(t, dir, database, at, &logged)
			if do(admin, "GET", hooks, &view); view.Differs || len(view.Changes) != 1 || view.Changes[0].Subscription.ID != "A1" {
				t.Errorf("after a restart %+v", view)
			}
			var st api.Status
			if do(admin, "GET", "/api/v1/integrations/slack/status", &st); st.Inbound == nil || st.Inbound.ByHand != "" || len(st.Inbound.Subscriptions) != 1 || st.Inbound.Subscriptions[0].State != "on" {
				t.Errorf("status %+v", st.Inbound)
			}
			if do(admin, "DELETE", hooks, &view); len(view.Changes) != 1 || !view.Changes[0].Done {
				t.Errorf("removing %+v", view)
			}
			stop()
			if got := requestURL(stand.manifest); got != "" || stand.manifest["display_information"] == nil {
				t.Errorf("it is left with %+v", stand.manifest)
			}
			if stand.renewed != 1 {
				t.Errorf("renewed %d times", stand.renewed)
			}
			for _, file := range []string{database, database + "-wal"} {
				if raw, err := os.ReadFile(file); err == nil && bytes.Contains(raw, []byte("canary")) {
					t.Errorf("a token stands in %s in the clear", file)
				}
			}
			if strings.Contains(logged.text(), "canary") {
				t.Error("a token stands in the log")
			}
		})
	}
}

// lockedBuffer keeps what is logged.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) text() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func manifestAdmin(t *testing.T, database string) string {
	t.Helper()
	store, err := sqlite.Open(t.Context(), database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, kept := api.NewKey("test", integration.ScopeAdmin, time.Now())
	if err := store.CreateKey(t.Context(), kept, integration.AuditEntry{ID: "1", At: time.Now(), Actor: "test", Action: "key.created"}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

// manifestGateway is a running gateway; do asks its API.
func manifestGateway(t *testing.T, dir, database, at string, log io.Writer) (do func(key, method, path string, out any) int, address string, stop func()) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	public := "http://" + listener.Addr().String()
	env := map[string]string{"A": "xoxb-test-1", "W": "signing-secret", "R": "xoxe-1-canary-0", "D": "destination-secret-0123456789"}
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: filepath.Join(dir, "plans"), Database: "sqlite:" + database, PublicURL: public, Grace: time.Second,
		Log:       slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Serve(ctx, listener) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return func(key, method, path string, out any) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, public+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		if bytes.Contains(answer, []byte("canary")) {
			t.Errorf("%s %s tells a token", method, path)
		}
		if err := json.Unmarshal(answer, out); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
		}
		return resp.StatusCode
	}, listener.Addr().String(), stop
}
