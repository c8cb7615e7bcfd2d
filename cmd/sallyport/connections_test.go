package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

const connectedPlan = `
sallyport: 1
service: github
uses: github
need: Watch issues.
profile: {spec: {file: github.json}}
environments:
  development: {base_url: "BASE", secrets: {client_id: env:CLIENT_ID, client_secret: env:CLIENT_SECRET}}
auth: {use: oauth2}
endpoints:
  list_issues: {call: GET /issues, purpose: Look., effect: read}
errors:
  5xx: {retry: never}
`

const issuesDocument = `{"openapi":"3.0.3","info":{"title":"GitHub","version":"1"},"paths":{"/issues":{"get":{"operationId":"issues/list",
"responses":{"200":{"description":"ok","content":{"application/json":{"schema":{"type":"array","items":{"type":"object","properties":{"id":{"type":"integer"}}}}}}}}}}}}`

// screen is what a command has printed so far.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// shows waits until a command has printed something, and returns its groups.
func (s *screen) shows(t *testing.T, pattern string) []string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if found := expression.FindStringSubmatch(s.String()); found != nil {
			return found
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s does not appear in:\n%s", pattern, s.String())
		}
	}
}

// typed is a terminal whose input is given.
func typed(input string, environ ...string) (ui *terminal, out, errOut *screen) {
	out, errOut = &screen{}, &screen{}
	in := strings.NewReader(input)
	ui = &terminal{in: bufio.NewReader(in), rawIn: in, environ: append(environ, "NO_COLOR=1"), rawOut: out, rawErr: errOut}
	ui.setColor()
	return ui, out, errOut
}

// connectedGateway is a gateway in front of `sallyport sandbox`, which is the provider
// and its authorization server.
type connectedGateway struct {
	admin
	public, sandbox string
}

func newConnectedGateway(t *testing.T) *connectedGateway {
	t.Helper()
	a := &connectedGateway{}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "github.json"), []byte(issuesDocument), 0o600); err != nil {
		t.Fatal(err)
	}
	a.gateway = httptest.NewUnstartedServer(nil)
	a.public = "http://" + a.gateway.Listener.Addr().String()
	file := filepath.Join(dir, "github.yaml")
	write := func(base string) {
		if err := os.WriteFile(file, []byte(strings.Replace(connectedPlan, "BASE", base, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("http://127.0.0.1:1")
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ui, out, errOut := typed("")
	running.Go(func() {
		root := newRoot(ui)
		root.SetArgs([]string{"sandbox", file, "--listen", "127.0.0.1:0", "--redirect-uri", a.public + "/oauth/callback"})
		if err := root.ExecuteContext(ctx); err != nil {
			t.Error(err)
		}
	})
	a.sandbox = out.shows(t, `stands in for .* on (http://\S+)`)[1]
	if said := errOut.String(); !strings.Contains(said, "client_id is sandbox-app") || !strings.Contains(said, "client_secret is sandbox-secret") {
		t.Errorf("the app is not told: %s", said)
	}
	write(a.sandbox)
	database := filepath.Join(dir, "s.db")
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: dir, Environment: "development", Database: "sqlite:" + database, PublicURL: a.public, Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) {
			value, ok := map[string]string{"CLIENT_ID": "sandbox-app", "CLIENT_SECRET": "sandbox-secret"}[name]
			return value, ok
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, key := api.NewKey("test", integration.ScopeAdmin, time.Now())
	if err := store.CreateKey(t.Context(), key, auditOf("key.create", key.ID, "")); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	a.key = secret.Reveal()
	running.Go(func() {
		if err := app.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	a.gateway.Config.Handler = app.Handler()
	a.gateway.Start()
	t.Cleanup(func() {
		a.gateway.Close()
		stop()
		running.Wait()
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// issues makes a call of a tenant through the gateway.
func (a *connectedGateway) issues(t *testing.T, tenant string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.public+"/api/v1/integrations/github/endpoints/list_issues", strings.NewReader(`{"tenant":"`+tenant+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+a.key)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (a *connectedGateway) list(t *testing.T, args ...string) []api.ConnectionStatus {
	t.Helper()
	out, _, err := a.sally(t, append([]string{"connections", "list", "github", "--output", "json"}, args...)...)
	var list []api.ConnectionStatus
	if err != nil || json.Unmarshal([]byte(out), &list) != nil {
		t.Fatalf("%v %s", err, out)
	}
	return list
}

// R2.2, R2.5, R2.6, R9.4: a tenant connects from the command line against the
// sandbox, calls need the token that it gave, and it ends again.
func TestConnectionsCommand(t *testing.T) {
	t.Parallel()
	a := newConnectedGateway(t)
	for _, token := range []string{"", "Bearer at_made_up", "Bearer ghp_made_up"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.sandbox+"/issues", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q is answered %d", token, resp.StatusCode)
		}
	}
	if status, text := a.issues(t, "acme"); status == http.StatusOK {
		t.Errorf("a call without a connection: %s", text)
	}
	out, _, err := a.sally(t, "connections", "connect", "github", "--tenant", "acme")
	if err != nil || !strings.HasPrefix(out, a.public+"/connect/") {
		t.Fatalf("%v %s", err, out)
	}
	// A browser without TLS keeps the cookie too: this one is the person's.
	jar := &oneCookie{}
	resp, err := (&http.Client{Jar: jar}).Get(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "Connected") {
		t.Fatalf("%d %s", resp.StatusCode, page)
	}
	if status, text := a.issues(t, "acme"); status != http.StatusOK {
		t.Errorf("a call of a connected tenant: %d %s", status, text)
	}
	if status, _ := a.issues(t, "globex"); status == http.StatusOK {
		t.Error("another tenant's call was made")
	}
	list := a.list(t)
	if len(list) != 1 || list[0].Tenant != "acme" || list[0].State != "connected" || len(a.list(t, "--tenant", "globex")) != 0 || len(a.list(t, "--state", "expiring")) != 0 {
		t.Fatalf("%+v", list)
	}
	out, _, err = a.sally(t, "connections", "show", "github", list[0].ID)
	if err != nil || !strings.Contains(out, "connected") || !strings.Contains(out, "acme") || strings.Contains(out, "at_") {
		t.Errorf("%v %s", err, out)
	}
	if out, _, err = a.sally(t, "connections", "disconnect", "github", list[0].ID); err != nil || !strings.Contains(out, "ended on request") {
		t.Errorf("%v %s", err, out)
	}
	if status, _ := a.issues(t, "acme"); status == http.StatusOK {
		t.Error("a call after the end was made")
	}
	if out, _, err = a.sally(t, "connections", "list", "github"); err != nil || !strings.Contains(out, "disconnected") {
		t.Errorf("%v %s", err, out)
	}
	for _, args := range [][]string{{"list", "nothing"}, {"show", "github", "nothing"}, {"disconnect", "github", "nothing"}, {"connect", "github"}, {"connect", "nothing", "--tenant", "a"}} {
		if _, _, err := a.sally(t, append([]string{"connections"}, args...)...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// oneCookie is a browser that keeps what one host sets.
type oneCookie struct{ kept []*http.Cookie }

func (o *oneCookie) SetCookies(at *url.URL, cookies []*http.Cookie) {
	o.kept = append(o.kept, cookies...)
}
func (o *oneCookie) Cookies(*url.URL) []*http.Cookie { return o.kept }

// R2.2: a code is confirmed elsewhere while the command waits.
func TestConnectionsDevice(t *testing.T) {
	t.Parallel()
	a := newConnectedGateway(t)
	ui, out, errOut := typed("", "SALLYPORT_GATEWAY="+a.gateway.URL, "SALLYPORT_KEY="+a.key)
	ran := make(chan error, 1)
	go func() {
		root := newRoot(ui)
		root.SetArgs([]string{"connections", "connect", "github", "--tenant", "acme", "--device", "--wait"})
		ran <- root.ExecuteContext(t.Context())
	}()
	address := errOut.shows(t, `or open (\S+)`)[1]
	if waiting := a.list(t); len(waiting) != 1 || waiting[0].Device == nil || !strings.Contains(address, waiting[0].Device.UserCode) {
		t.Errorf("%+v", waiting)
	}
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-ran; err != nil || !strings.Contains(out.String(), "is connected") {
		t.Fatalf("%v %s %s", err, out, errOut)
	}
	if status, text := a.issues(t, "acme"); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
}

// R2.1: no secret stands on the command line, and none is shown.
func TestNamedSecrets(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("of-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ui, _, _ := typed("typed-in\n", "KEY=of-the-environment")
	got, err := ui.namedSecrets([]string{"a", "b=env:KEY", "c=file:" + file})
	if err != nil || got["a"] != "typed-in" || got["b"] != "of-the-environment" || got["c"] != "of-a-file" {
		t.Errorf("%v %v", got, err)
	}
	for _, wrong := range [][]string{{"a=sk_live_canary"}, {"a", "b"}, {"=env:KEY"}, {"a=env:MISSING"}, {"a=file:/nowhere"}} {
		ui, _, _ := typed("typed-in\n")
		if _, err := ui.namedSecrets(wrong); err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "typed-in") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	ui, _, _ = typed("")
	if _, err := ui.namedSecrets([]string{"a"}); err == nil {
		t.Error("an empty secret was taken")
	}
}
