package oauth_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/connect"
)

const nodeProvider = "oidc-provider@9.13.3"

// nodeServer starts oidc-provider; ok is false, with a word, where there is no
// Node.
func nodeServer(t *testing.T) (issuer string, ok bool) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("oidc-provider was not tried: %v", err)
			return "", false
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "sallyport-oauth", nodeProvider)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, nodeProvider)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
	}
	script, err := os.ReadFile(filepath.Join("testdata", "provider.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "provider.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	cmd := exec.CommandContext(t.Context(), "node", "provider.mjs", strconv.Itoa(port), appID, appKey, public+connect.CallbackPath)
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return fmt.Sprintf("http://127.0.0.1:%d", port), true
		}
	}
	t.Fatal("oidc-provider did not start")
	return "", false
}

var action = regexp.MustCompile(`<form[^>]*action="([^"]+)"[^>]*method="post"`)

// clickThrough is the person who logs in and consents.
func clickThrough(t *testing.T, address string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back *url.URL
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), public) {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	for step := range 4 {
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if back != nil {
			return back.Query()
		}
		found := action.FindSubmatch(page)
		if found == nil {
			t.Fatalf("step %d: no form: %d %.500s", step, response.StatusCode, page)
		}
		to, err := response.Request.URL.Parse(html.UnescapeString(string(found[1])))
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"prompt": {"consent"}}
		if strings.Contains(string(page), `name="login"`) {
			form = url.Values{"prompt": {"login"}, "login": {"acme"}, "password": {"x"}}
		}
		if r, err = http.NewRequestWithContext(t.Context(), http.MethodPost, to.String(), strings.NewReader(form.Encode())); err == nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	t.Fatal("the provider asks and asks")
	return nil
}

// R2.2, R2.4: the same against another server that others wrote, one that ends
// the family of a refresh token that is used twice.
func TestNodeProvider(t *testing.T) {
	t.Parallel()
	issuer, ok := nodeServer(t)
	if !ok {
		return
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s := open(t, nil, transport, connect.Service{BaseURL: issuer, Auth: catalog.Auth{Kind: "oauth2", OAuth: &catalog.OAuth{
		AuthorizeURL: issuer + "/auth", TokenURL: issuer + "/token", RevokeURL: issuer + "/token/revocation", Issuer: issuer, KeysURL: issuer + "/jwks",
		TokenAuth: "post", Scopes: []string{"openid"}, Offline: "offline_access", Rotation: "always",
		Params: map[string]string{"prompt": "consent"},
	}}}, &clock{at: time.Now().UTC()})
	started := s.start(connect.Request{})
	if e := s.Callback(t.Context(), clickThrough(t, started.URL), ""); e.Outcome != connect.EndedConnected {
		t.Fatalf("%+v", e)
	}
	if c := s.connection(started.Connection); c.Account != "acme" {
		t.Errorf("the account is %q", c.Account)
	}
	instances := []*connect.Connections{s.instance("a", nil), s.instance("b", nil), s.instance("c", nil), s.instance("d", nil)}
	const rounds = 3
	for round := range rounds {
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
	}
	if n := counts(t, issuer); n.Refreshes != rounds || n.Revoked != 0 {
		t.Errorf("%+v", n)
	}
	done, err := s.Disconnect(t.Context(), "svc", started.Connection, "test")
	if err != nil || !done.Revoked || counts(t, issuer).Revoked == 0 {
		t.Errorf("%+v %v", done, err)
	}
	s.secretless()
}

type nodeCounts struct{ Refreshes, Revoked int }

func counts(t *testing.T, issuer string) (n nodeCounts) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/_counts", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
