package signers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nodePackages are the libraries, in the versions this test was written for.
var nodePackages = []string{
	"stripe@23.1.0", "@octokit/webhooks@14.2.0", "svix@1.99.1", "standardwebhooks@1.1.1", "twilio@6.2.0", "@slack/bolt@5.1.0",
	"@shopify/shopify-api@13.1.0", "discord-interactions@4.4.0",
}

// node prepares a folder with the libraries, outside the tree and kept for the
// next run. It is false, with a word, where there is no Node; where tests run for
// everybody, so where CI is set, that fails.
func node(t *testing.T) (dir string, ok bool) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("the libraries for Node must be tried under CI: %v", err)
			}
			t.Logf("the libraries for Node were not tried: %v", err)
			return "", false
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(cache, "sallyport-signers")
	done, want := filepath.Join(dir, "installed"), strings.Join(nodePackages, " ")
	if have, err := os.ReadFile(done); err != nil || string(have) != want {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "npm", append([]string{"install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save", "--prefix", dir}, nodePackages...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
		if err := os.WriteFile(done, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile(filepath.Join("testdata", "signers.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "signers.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, true
}

// asked is a webhook that the script is asked about.
type asked struct {
	Name    string            `json:"name"`
	Service string            `json:"service"`
	URL     string            `json:"url"`
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
}

func ask(name string, r request) asked {
	a := asked{Name: name, Service: r.service, URL: r.url(), Body: r.body, Headers: map[string]string{}}
	for key := range r.header {
		a.Headers[strings.ToLower(key)] = r.header.Get(key)
	}
	return a
}

// R5.2: what the npm packages of Stripe, GitHub, Svix, Standard Webhooks and Twilio
// sign is taken and nothing else; they, Slack's, Shopify's and Discord's take what
// we sign in the provider's name, and refuse what was changed.
func TestNode(t *testing.T) {
	t.Parallel()
	dir, ok := node(t)
	if !ok {
		return
	}
	base := serve(t)
	var list []asked
	for i, w := range webhooks {
		r := signedByUs(t, w)
		if got := r.post(t, base); got != http.StatusOK {
			t.Errorf("%s: we answer %d to what we signed", w.service, got)
		}
		name := fmt.Sprintf("%s %d", w.service, i)
		list = append(list, ask("good "+name, r))
		for how, bad := range spoilt(r) {
			list = append(list, ask("bad "+name+", "+how, bad))
		}
	}
	env, err := json.Marshal(map[string]any{"base": base, "publicURL": public, "secrets": secrets, "signed": list})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "signers.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SIGNERS="+string(env))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, complaints.String())
	}
	var out struct {
		Sent  map[string]int
		Taken map[string]bool
	}
	if err := json.Unmarshal(printed, &out); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	if len(out.Sent) < 18 || len(out.Taken) != len(list) {
		t.Errorf("only %d were sent and %d asked about", len(out.Sent), len(out.Taken))
	}
	for name, status := range out.Sent {
		want := http.StatusUnauthorized
		if strings.Contains(name, "good") {
			want = http.StatusOK
		}
		if status != want {
			t.Errorf("%s: we answer %d, want %d", name, status, want)
		}
	}
	for name, taken := range out.Taken {
		if taken != strings.HasPrefix(name, "good") {
			t.Errorf("%s: the provider's library takes it: %v", name, taken)
		}
	}
}
