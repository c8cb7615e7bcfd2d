package code_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/review"
	"github.com/sallyport/sallyport/review/code"
)

// R7: this repository keeps the rules about code itself.
func TestThisRepository(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	r := scanned(t, code.Options{Dir: "../..", Providers: all, NoTypes: true})
	if r.Files < 500 {
		t.Fatalf("%d files; looking in the wrong folder", r.Files)
	}
	t.Logf("%d files in %s", r.Files, time.Since(start).Round(time.Millisecond))
	result := &review.Result{Findings: r.Findings}
	result.Suppress(r.Ignores, today)
	for _, f := range result.Findings {
		if f.Outcome == review.Fail && f.Suppressed == nil && (f.Severity == review.Error || f.Rule == "I1" || f.Rule == "I2" || f.Rule == "R0.8") {
			t.Errorf("%s %s:%d: %s", f.Rule, f.File, f.Line, f.Message)
		}
	}
}

// Every expression of the rule file is one that Go can read, and the file holds
// the rules that it should.
func TestGitleaksRules(t *testing.T) {
	t.Parallel()
	var file struct {
		Rules []struct {
			ID    string `toml:"id"`
			Regex string `toml:"regex"`
		} `toml:"rules"`
	}
	if _, err := toml.DecodeFile("gitleaks.toml", &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Rules) < 200 {
		t.Errorf("%d rules", len(file.Rules))
	}
	if err := code.CompileAll(); err != nil {
		t.Error(err)
	}
}

// FuzzScan: nothing in a file makes a scan fall over, in any language.
func FuzzScan(f *testing.F) {
	for _, text := range []string{
		"app.post('/webhooks/stripe', () => {", "'''", "def a(request):\n\t", "/*", "`${", "\x80\xff", "@app.route('/x'\n", "import stripe\nstripe.Charge.create(", "key = \"" + made("sk_live_") + "\"",
		"package a\nfunc f(w http.ResponseWriter) { stripe.", "<?php use Stripe\\A; #[x", "# sallyport" + ":ignore",
	} {
		f.Add(text)
	}
	names := []string{"a.go", "a.ts", "a.py", "a.rb", "a.php", "a.java", "a.cs", ".env", "a.md"}
	stripe, err := catalog.Load("stripe")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := code.Scan(t.Context(), code.Options{Dir: dir, Providers: []*catalog.Profile{stripe}, NoTypes: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			if f.Outcome == review.Fail && (f.Line < 1 || f.Line > strings.Count(text, "\n")+1) {
				t.Errorf("a place outside of the file: %+v", f)
			}
		}
	})
}

// BenchmarkScan is the speed over a tree of 10,000 files, 40 MB; times ten is
// what a large repository takes.
func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	line := "export const handler = (request, key) => { return lookup(request.body.token, 'api', { access: 'auth' }); };\n"
	for i := range 10_000 {
		folder := filepath.Join(dir, fmt.Sprintf("p%d", i%100))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("f%d.ts", i)), []byte(strings.Repeat(line, 37)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	stripe, err := catalog.Load("stripe")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := code.Scan(b.Context(), code.Options{Dir: dir, Providers: []*catalog.Profile{stripe}}); err != nil {
			b.Fatal(err)
		}
	}
}
