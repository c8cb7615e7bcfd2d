package review_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/review"
)

var update = flag.Bool("update", false, "write testdata/providers/*.md and ../docs/rules.md anew")

// golden compares a text with a file, or writes it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	now, before := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range now {
		if i >= len(before) || now[i] != before[i] {
			was := ""
			if i < len(before) {
				was = before[i]
			}
			t.Fatalf("%s differs; look at the change and run go test ./review -update:\nnow:    %s\nbefore: %s", file, now[i], was)
		}
	}
	t.Fatalf("%s is longer than what is made now; run go test ./review -update", file)
}

// R7: what a review says of plans for thirteen providers. Each breaks other
// rules.
func TestProviders(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/providers/*.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d plans: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			p, err := plan.Load(file, catalog.Load)
			if err != nil {
				t.Fatal(err)
			}
			r := review.Plan(p, review.Options{Now: today})
			for _, rule := range review.Rules() {
				if got, _ := outcomes(r, rule.ID); len(got) == 0 {
					t.Errorf("%s says nothing", rule.ID)
				}
			}
			if err := validSARIF(t, written(t, r, "sarif")); err != nil {
				t.Error(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".md", []byte(written(t, r, "md")))
		})
	}
}

// The page of the rules is what the rules say (docs/rules.md).
func TestRulesPage(t *testing.T) {
	t.Parallel()
	golden(t, "../docs/rules.md", review.RulesPage())
	page := string(review.RulesPage())
	for _, r := range review.AllRules() {
		if n := strings.Count(page, "\n## "+r.ID+"\n"); n != 1 {
			t.Errorf("%s stands %d times", r.ID, n)
		}
		if anchor := "(#" + strings.ToLower(strings.ReplaceAll(r.ID, ".", "")) + ")"; !strings.Contains(page, anchor) {
			t.Errorf("no table leads to %s", r.ID)
		}
	}
}

// Rules have ids of their own, and every text a reader needs.
func TestRulesAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range review.AllRules() {
		if seen[r.ID] || r.Title == "" || r.Why == "" || r.Fix == "" || r.Source == "" || r.Severity == "" {
			t.Errorf("%s is there twice or lacks a text", r.ID)
		}
		seen[r.ID] = true
	}
	if f := review.NewFinding("R99", review.Fail, "x"); f.Outcome != review.Unknown || !strings.Contains(f.Title, "no rule R99") {
		t.Errorf("a rule that is none: %+v", f)
	}
}

// Review of 100 plans: at most 2 s (docs/benchmarks.md). The plans are read
// from their files each time.
func BenchmarkReview100Plans(b *testing.B) {
	dir := b.TempDir()
	var files []string
	for i := range 100 {
		file := filepath.Join(dir, fmt.Sprintf("p%d.yaml", i))
		text := strings.Replace(good, "service: stripe", fmt.Sprintf("service: stripe_%d", i), 1)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		files = append(files, file)
	}
	for b.Loop() {
		all := &review.Result{}
		for _, file := range files {
			p, err := plan.Load(file, catalog.Load)
			if err != nil {
				b.Fatal(err)
			}
			all.Add(review.Plan(p, review.Options{Now: today}))
		}
		if err := all.Write(new(bytes.Buffer), "sarif", false); err != nil || all.Failed() {
			b.Fatal(err, all.Failed())
		}
	}
}
