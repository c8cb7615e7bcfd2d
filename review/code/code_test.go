package code_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/review"
	"github.com/sallyport/sallyport/review/code"
)

var today = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// made is a secret of the form providers use, put together here so that this
// file holds none.
func made(prefix string) string { return prefix + "9aB7xK2mQ4vN8pL3wR6tZ1cY" }

func profiles(t *testing.T, ids ...string) (out []*catalog.Profile) {
	t.Helper()
	for _, id := range ids {
		p, err := catalog.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// tree writes files, each "-- NAME --" followed by its text.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs git in a repository of a test.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v %s", args, err, out)
	}
}

func scanned(t *testing.T, o code.Options) *code.Report {
	t.Helper()
	if o.Providers == nil {
		o.Providers = profiles(t, "stripe", "slack", "shopify")
	}
	o.Now = today
	r, err := code.Scan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Outcome == review.Fail && (f.File == "" || f.Line == 0 || f.Fingerprint == "" || f.Fix == "" || f.Why == "") {
			t.Errorf("a finding lacks its place or its texts: %+v", f)
		}
		if strings.Contains(f.Message, "9aB7xK2m") {
			t.Errorf("a secret is printed: %s", f.Message)
		}
	}
	return r
}

// failures are the failed findings as "RULE FILE:LINE".
func failures(dir string, r *code.Report) (out []string) {
	for _, f := range r.Findings {
		if f.Outcome == review.Fail {
			name, err := filepath.Rel(dir, f.File)
			if err != nil {
				name = f.File
			}
			out = append(out, fmt.Sprintf("%s %s:%d", f.Rule, filepath.ToSlash(name), f.Line))
		}
	}
	return out
}

func outcome(r *code.Report, rule string) (review.Outcome, string) {
	o, message := review.Outcome(""), ""
	for _, f := range r.Findings {
		if f.Rule == rule {
			o, message = f.Outcome, message+f.Message+"\n"
		}
	}
	return o, message
}

// extensions of the examples' languages.
var extensions = map[string]string{"go": "main.go", "python": "app.py", "typescript": "app.ts", "sh": ".env"}

// R7: each rule about code has an example that breaks it and one that keeps it.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, rule := range review.CodeRules() {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			for name, text := range map[string]string{"good": rule.Example.Good, "bad": rule.Example.Bad} {
				text = strings.ReplaceAll(text, "sk_live_…", made("sk_live_"))
				file := extensions[rule.Example.Language]
				if rule.ID == "R2.1" && name == "good" {
					file = ".env.example"
				}
				files := map[string]string{file: text}
				if rule.ID == "R0.6" { // an adapter for it to be outside of
					files["adapters/stripe/client.go"] = "package stripe\n\nconst base = \"https://api.stripe.com\"\n"
				}
				dir := tree(t, files)
				if rule.ID == "R2.1" {
					run(t, dir, "init", "-q")
					run(t, dir, "add", ".")
				}
				r := scanned(t, code.Options{Dir: dir, Providers: profiles(t, "stripe")})
				result := &review.Result{Findings: r.Findings}
				result.Suppress(r.Ignores, today)
				failed := slices.ContainsFunc(result.Findings, func(f review.Finding) bool { return f.Rule == rule.ID && f.Outcome == review.Fail })
				if failed != (name == "bad") {
					t.Errorf("the %s example: failed is %v: %v", name, failed, failures(dir, r))
				}
			}
		})
	}
}

const shop = "module example.com/shop\n\ngo 1.24\n"

// R7.2.2, R7.2.4: a handler is found to call a provider through functions, other
// packages, methods and interfaces; what runs beside it is not waited for.
func TestGoCallsAreFollowed(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"go.mod": shop,
		"stripe/client.go": `package stripe

import (
	"net/http"
	"strings"
)

const base = "https://api.stripe.com"

type Client struct{ http http.Client }

// Charge charges.
func (c *Client) Charge(amount string) error {
	resp, err := c.http.Post(base+"/v1/charges", "text/plain", strings.NewReader(amount))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Name calls nobody.
func (c *Client) Name() string { return "stripe" }
`,
		"web/web.go": `package web

import (
	"net/http"

	"example.com/shop/stripe"
)

type charger interface{ Charge(amount string) error }

type server struct {
	direct *stripe.Client
	any    charger
}

func (s *server) checkout(w http.ResponseWriter, r *http.Request) {
	if err := s.pay(r.FormValue("amount")); err != nil {
		http.Error(w, "no", 500)
	}
}

func (s *server) pay(amount string) error { return s.direct.Charge(amount) }

func (s *server) byInterface(w http.ResponseWriter, r *http.Request) {
	if err := s.any.Charge("1"); err != nil {
		http.Error(w, "no", 500)
	}
}

func (s *server) name(w http.ResponseWriter, r *http.Request) { w.Write([]byte(s.direct.Name())) }

func (s *server) later(w http.ResponseWriter, r *http.Request) {
	go func() {
		if err := s.direct.Charge("1"); err != nil {
			panic(err)
		}
	}()
}

func (s *server) thrown() {
	s.direct.Charge("1")
	_ = s.direct.Charge("2")
}

func (s *server) routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /hooks", s.name)
	mux.HandleFunc("POST /webhooks/stripe", s.events)
	mux.Handle("POST /webhooks/checked", verified(http.HandlerFunc(s.checked)))
	mux.HandleFunc("GET /webhooks", s.list)
	mux.HandleFunc("/inline", func(w http.ResponseWriter, r *http.Request) { s.pay("3") })
}

func verified(h http.Handler) http.Handler { return h }

func (s *server) events(w http.ResponseWriter, r *http.Request)  { s.pay("4") }
func (s *server) checked(w http.ResponseWriter, r *http.Request) {}
func (s *server) list(w http.ResponseWriter, r *http.Request)    {}
`,
		"web/web_test.go": "package web\n\nimport \"net/http\"\n\nfunc handler(w http.ResponseWriter, r *http.Request) { (&server{}).pay(\"https://api.stripe.com\") }\n",
	})
	r := scanned(t, code.Options{Dir: dir, Providers: profiles(t, "stripe")})
	if len(r.Notes) != 0 {
		t.Fatalf("it was not read by its types: %v", r.Notes)
	}
	want := []string{"R7.2.2 web/web.go:17", "R7.2.2 web/web.go:25", "R7.2.2 web/web.go:50", "R7.2.3 web/web.go:41", "R7.2.3 web/web.go:42", "R7.2.4 web/web.go:55", "R7.2.5 web/web.go:55"}
	if got := failures(dir, r); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if _, message := outcome(r, "R7.2.2"); !strings.Contains(message, "web.checkout waits for Stripe") || !strings.Contains(message, "by way of web.pay, stripe.Charge") {
		t.Errorf("the way is not told: %s", message)
	}
	if o, message := outcome(r, "R0.6"); o != review.Pass {
		t.Errorf("R0.6: %s %s", o, message)
	}
}

// Code that does not compile is read by its syntax, and the report says so.
func TestGoThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"go.mod": shop,
		"web.go": `package web

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/stripe/stripe-go/v85/charge"
)

func checkout(c *gin.Context) {
	pay()
}

func pay() {
	_, err := charge.New(nil)
	undefined(err)
	charge.Get("ch_1", nil)
	http.Get("https://api.stripe.com/v1/charges")
}
`,
	})
	r := scanned(t, code.Options{Dir: dir, Providers: profiles(t, "stripe")})
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "by its syntax alone") {
		t.Errorf("notes: %v", r.Notes)
	}
	if got := failures(dir, r); !slices.Contains(got, "R7.2.2 web.go:11") {
		t.Errorf("%v", got)
	}
}

// R0.6: hosts and SDKs outside of the adapter, in each language; comments, tests
// and other providers don't count.
func TestAdapter(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"go.mod":               shop,
		"adapters/stripe/a.go": "package stripe\n\nconst base = \"https://api.stripe.com\"\n",
		"web/a.go":             "package web\n\nimport _ \"github.com/stripe/stripe-go/v82\"\n\n// see https://api.stripe.com\nvar x = 1\n",
		"web/a.ts":             "import { Stripe } from \"stripe\";\nimport x from 'stripes';\n",
		"web/a.py":             "import stripe\nimport striped\n",
		"web/a.rb":             "require 'stripe'\n",
		"web/a.php":            "<?php\nuse Stripe\\Stripe;\n",
		"web/A.java":           "import com.stripe.model.Charge;\n",
		"web/A.cs":             "using Stripe;\n",
		"web/b.ts":             "const shop = `https://${name}.myshopify.com`;\nconst other = 'https://api.example.com';\n",
		"web/b.test.ts":        "const u = 'https://api.stripe.com';\n",
		"web/README.md":        "https://api.stripe.com\n",
		"node_modules/s/i.js":  "fetch('https://api.stripe.com')\n",
	}
	dir := tree(t, files)
	r := scanned(t, code.Options{Dir: dir})
	want := []string{"R0.6 web/A.cs:1", "R0.6 web/A.java:1", "R0.6 web/a.go:3", "R0.6 web/a.php:2", "R0.6 web/a.py:1", "R0.6 web/a.rb:1", "R0.6 web/a.ts:1"}
	if got := failures(dir, r); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	named := scanned(t, code.Options{Dir: dir, Adapters: []string{"web", "adapters/"}})
	if got := failures(dir, named); len(got) != 0 {
		t.Errorf("in the named adapters: %v", got)
	}
	named = scanned(t, code.Options{Dir: dir, Adapters: []string{"adapters"}})
	if got := failures(dir, named); !slices.Contains(got, "R0.6 web/b.ts:1") {
		t.Errorf("a host with a variable label: %v", got)
	}
}

// R2.1: tracked files of secrets; ignored ones and samples are in order, and
// without git nobody can say.
func TestEnvironmentFiles(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		".env":            "# comment\nexport STRIPE_API_KEY=" + "a-key-that-works\nDEBUG=1\n",
		"a/.env.local":    "TOKEN='abcdef'\n",
		".env.example":    "STRIPE_API_KEY=whatever\n",
		".env.production": "STRIPE_API_KEY=env:STRIPE\nOTHER_KEY=\nDEBUG=true\nX_TOKEN=changeme\nY_KEY=${Y}\n",
		".gitignore":      ".env.local\n",
	}
	dir := tree(t, files)
	if o, message := outcome(scanned(t, code.Options{Dir: dir}), "R2.1"); o != review.Unknown || !strings.Contains(message, "without git") {
		t.Errorf("without git: %s %s", o, message)
	}
	run(t, dir, "init", "-q")
	if o, message := outcome(scanned(t, code.Options{Dir: dir}), "R2.1"); o != review.Pass {
		t.Errorf("untracked: %s %s", o, message)
	}
	run(t, dir, "add", ".")
	r := scanned(t, code.Options{Dir: dir})
	if got := failures(dir, r); !slices.Equal(got, []string{"R2.1 .env:2"}) {
		t.Errorf("tracked: %v", got)
	}
	if _, message := outcome(r, "R2.1"); strings.Contains(message, "works") || !strings.Contains(message, "STRIPE_API_KEY") {
		t.Errorf("the message: %s", message)
	}
}

// R7.2.1: by the rules of gitleaks; what is shown of a secret are four
// characters and its length.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, text string
		found      bool
	}{
		"stripe":               {"a.py", "key = '" + made("sk_live_") + "'\n", true},
		"github":               {"a.yaml", "token: " + "ghp_" + "9aB7xK2mQ4vN8pL3wR6tZ1cYhD5fG0jE2sUo\n", true},
		"slack":                {"a.js", "const t = \"" + "xoxb-" + "123456789012-1234567890123-9aB7xK2mQ4vN8pL3wR6tZ1cY\"\n", true},
		"private key":          {"a.pem", "-----BEGIN " + "RSA PRIVATE KEY-----\n" + strings.Repeat("9aB7xK2mQ4vN8pL3wR6tZ1cYhD5fG0jE2sUo\n", 5) + "-----END RSA PRIVATE KEY-----\n", true},
		"generic":              {"a.ts", "const apiKey = \"" + "9aB7xK2mQ4vN8pL3wR6tZ1cYhD5f" + "\";\n", true},
		"a long line":          {"a.js", strings.Repeat("x", 300_000) + ";key=\"" + made("sk_live_") + "\";" + strings.Repeat("y", 300_000), true},
		"from environment":     {"a.py", "key = os.environ['STRIPE_API_KEY']\n", false},
		"a reference":          {"plan.yaml", "secrets: {api_key: env:STRIPE_API_KEY, webhook_secret: file:/run/secrets/stripe-webhook-2026}\n", false},
		"a sample":             {"a.md", "key = 'sk_live_…'\n", false},
		"low entropy":          {"a.py", "api_key = 'aaaaaaaaaaaa1111'\n", false},
		"lock file":            {"package-lock.json", "\"integrity_key\": \"" + made("sk_live_") + "\"\n", false},
		"allowed for gitleaks": {"a.py", "key = '" + made("sk_live_") + "' # gitleaks:allow\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, map[string]string{test.file: test.text})
			r := scanned(t, code.Options{Dir: dir})
			if got := failures(dir, r); (len(got) == 1) != test.found || len(got) > 1 {
				t.Errorf("%v", got)
			}
			if _, message := outcome(r, "R7.2.1"); test.found && !strings.Contains(message, "… (") {
				t.Errorf("the message: %s", message)
			}
		})
	}
}

// A secret in a test is a warning; a comment that ignores the rule holds, and
// keeps the finding.
func TestSecretsInTestsAndIgnored(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"a_test.go": "package a\n\nconst k = \"" + made("sk_test_") + "\"\n",
		"b.py":      "# sallyport" + ":ignore R7.2.1 until=2027-01-01 reason=revoked in May\nk = '" + made("sk_live_") + "'\n",
	})
	r := scanned(t, code.Options{Dir: dir})
	result := &review.Result{Findings: r.Findings}
	if !result.Failed() {
		t.Fatal("the secret was not found")
	}
	result.Suppress(r.Ignores, today)
	if result.Failed() || result.Suppressed() != 1 {
		t.Errorf("failed %v, %d ignored", result.Failed(), result.Suppressed())
	}
}

// R0.8: marks in comments and documents; code that speaks of such a thing is
// none.
func TestMarks(t *testing.T) {
	t.Parallel()
	name := strings.Map(func(r rune) rune { return 'a' + (r-'a'+13)%26 }, "pungtcg")
	dir := tree(t, map[string]string{
		"a.go":      "package a\n\n// Generated by " + name + ".\nvar a = \"Generated by " + name + "\"\n",
		"README.md": "# Shop\n\n\U0001F916 Generated with [" + name + "](x)\n\nWe answer with texts generated by customers, and " + name + " is a provider.\n",
		"b.py":      "# Written with care.\n# Co-authored-by: " + name + " <a@example.com>\n",
		"c.go":      "// Code generated by stringer. DO NOT EDIT.\npackage a\n",
	})
	r := scanned(t, code.Options{Dir: dir})
	if got := failures(dir, r); !slices.Equal(got, []string{"R0.8 README.md:3", "R0.8 a.go:3", "R0.8 b.py:2"}) {
		t.Errorf("%v", got)
	}
}

// What can't be read is no reason to fall over: links in a circle, large files,
// binaries, folders without rights.
func TestHostileTrees(t *testing.T) {
	t.Parallel()
	secret := "k = '" + made("sk_live_") + "'\n"
	dir := tree(t, map[string]string{
		"big.py":         secret + strings.Repeat("#\n", 600_000),
		"binary.py":      "\x00" + secret,
		"vendor/x/a.py":  secret,
		"broken/a.go":    "package \x80{{{",
		"broken/b.php":   "<?php '",
		"empty.ts":       "",
		"deep/deep/a.py": secret,
	})
	for link, to := range map[string]string{"loop": ".", "deep/up": "..", "out": "/etc", "link.py": "deep/deep/a.py"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	r := scanned(t, code.Options{Dir: dir})
	if got := failures(dir, r); !slices.Equal(got, []string{"R7.2.1 deep/deep/a.py:1"}) || r.Skipped != 2 {
		t.Errorf("%v, %d skipped", got, r.Skipped)
	}
	if _, err := code.Scan(t.Context(), code.Options{Dir: filepath.Join(dir, "empty.ts")}); !errors.Is(err, code.ErrNoFolder) {
		t.Errorf("a file: %v", err)
	}
	if _, err := code.Scan(t.Context(), code.Options{Dir: filepath.Join(dir, "none")}); err == nil {
		t.Error("no folder, no error")
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := code.Scan(stopped, code.Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// Two runs say the same in the same order, whatever the processors do.
func TestRunsAgree(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("p%d/a.py", i)] = "import stripe\nk = '" + made("sk_live_") + "'\n"
	}
	dir := tree(t, files)
	first, second := scanned(t, code.Options{Dir: dir}), scanned(t, code.Options{Dir: dir})
	if a, b := fmt.Sprintf("%+v", first.Findings), fmt.Sprintf("%+v", second.Findings); a != b {
		t.Error("two runs differ")
	}
}

// Without a provider, what is about providers does not apply.
func TestNothingAsked(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a.txt": "nothing\n"})
	r := scanned(t, code.Options{Dir: dir})
	for rule, want := range map[string]review.Outcome{"R0.6": review.NotApplicable, "R7.2.5": review.NotApplicable, "R7.2.1": review.Pass, "R0.8": review.Pass, "R2.1": review.Pass} {
		if o, message := outcome(r, rule); o != want {
			t.Errorf("%s: %s %s", rule, o, message)
		}
	}
}
