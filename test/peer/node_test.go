package peer

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nodePackages are the SDKs, in the versions this test was written for.
const nodePackages = `{"name": "sallyport-peer", "private": true, "dependencies": {"stripe": "23.1.0", "@octokit/rest": "22.0.1"}}
`

// node prepares a folder with the SDKs, outside the tree and kept for the next
// run. It is false, with a word, where there is no Node.
func node(t *testing.T) (dir string, ok bool) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("the SDKs for Node were not tried: %v", err)
			return "", false
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(cache, "sallyport-peer")
	manifest := filepath.Join(dir, "package.json")
	if have, err := os.ReadFile(manifest); err != nil || string(have) != nodePackages {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "stripe@23.1.0", "@octokit/rest@22.0.1")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
		if err := os.WriteFile(manifest, []byte(nodePackages), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile(filepath.Join("testdata", "peer.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "peer.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, true
}

// marks are our headers as an SDK saw them.
type marks struct {
	Call     string
	Attempts string
}

// seen is what the script prints.
type seen struct {
	Stripe struct {
		Created struct {
			ID string
			marks
		}
		Read   string
		Listed int
		Error  struct {
			Type   string
			Status int
			marks
		}
	}
	Github struct {
		Created struct {
			Title string
			marks
		}
		Read  string
		Pages []struct {
			Titles []string
			marks
		}
		Error struct {
			Status int
			marks
		}
	}
}

// R9.3: the providers' SDKs for Node, unchanged: Stripe's at a host of the proxy
// and on behalf of a tenant named behind the key, Octokit at a path, following
// the links from page to page.
func TestNodeSDKs(t *testing.T) {
	t.Parallel()
	dir, ok := node(t)
	if !ok {
		return
	}
	mock, err := url.Parse(stripeMock(t))
	if err != nil {
		t.Fatal(err)
	}
	stripeUp := watched(t, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(mock) }})
	githubUp := stand(t, githubPlan, "api.github.com.json.gz")
	forStripe := start(t, "stripe", fmt.Sprintf(peerPlan, stripeUp.url))
	forGitHub := start(t, "github", fmt.Sprintf(githubPlan, githubUp.url))
	_, port, err := net.SplitHostPort(forStripe.address)
	if err != nil {
		t.Fatal(err)
	}
	env, err := json.Marshal(map[string]string{
		"stripePort": port, "stripeKey": forStripe.key + "@acme", "githubURL": forGitHub.url + "/api/v1/integrations/github/proxy", "githubKey": forGitHub.key,
	})
	if err != nil {
		t.Fatal(err)
	}
	run := func(command string) (out seen) {
		cmd := exec.CommandContext(t.Context(), "node", "peer.mjs", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PEER="+string(env))
		var complaints strings.Builder
		cmd.Stderr = &complaints
		printed, err := cmd.Output()
		if err != nil {
			t.Fatalf("node: %v\n%s", err, complaints.String())
		}
		if err := json.Unmarshal(printed, &out); err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		return out
	}
	checkFair(t, run("fair"))

	// No layer multiplies another's retries: a create with a key is sent again by
	// us, an answered read of Octokit's as often as it failed.
	asked := stripeUp.during(99, func() {
		if out := run("stripe-create"); out.Stripe.Error.Status != 503 || out.Stripe.Error.Attempts != "4" {
			t.Errorf("a create in bad weather: %+v", out.Stripe.Error)
		}
	})
	if len(asked) != 4 {
		t.Errorf("Stripe was asked %d times", len(asked))
	}
	asked = githubUp.during(2, func() {
		if out := run("github-read"); out.Github.Read != "3" {
			t.Errorf("a read in bad weather took %q attempts", out.Github.Read)
		}
	})
	if len(asked) != 3 {
		t.Errorf("GitHub was asked %d times", len(asked))
	}
}

func checkFair(t *testing.T, out seen) {
	t.Helper()
	s, g := out.Stripe, out.Github
	if !strings.HasPrefix(s.Created.ID, "cus_") || s.Created.Call == "" || s.Created.Attempts != "1" || s.Read != "customer" || s.Listed == 0 {
		t.Errorf("Stripe: %+v", s)
	}
	if s.Error.Status != 400 || s.Error.Call == "" {
		t.Errorf("Stripe's error: %+v", s.Error)
	}
	if g.Created.Title != "v1" || g.Created.Call == "" || g.Created.Attempts != "1" || g.Read != "v1" || g.Error.Status != 404 || g.Error.Call == "" {
		t.Errorf("GitHub: %+v", g)
	}
	var titles []string
	for _, page := range g.Pages {
		titles = append(titles, page.Titles...)
		if page.Call == "" {
			t.Error("a page came past the gateway")
		}
	}
	if all := strings.Join(titles, " "); !strings.Contains(all, "v1") || !strings.Contains(all, "v2") {
		t.Errorf("the pages hold %q", all)
	}
}
