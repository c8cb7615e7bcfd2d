package catalog_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
)

func TestFacts(t *testing.T) {
	t.Parallel()
	p, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]catalog.Fact{}
	for _, f := range catalog.Facts(p) {
		if f.Value == "" || strings.Contains(f.Value, "\n") {
			t.Errorf("%s.%s is %q", f.Section, f.Name, f.Value)
		}
		got[f.Section+" "+f.Name] = f
	}
	for name, want := range map[string]string{
		"api base_url":                "https://api.stripe.com from_repo",
		"limits list.live":            "limit 100; window_s 1; scope account; applies live mode; environments production documented",
		"idempotency max_length":      "255 recalled",
		"idempotency header":          "Idempotency-Key from_repo",
		"webhooks verify.tolerance_s": "300 documented",
		"webhooks retries":            "",
		"auth[2] oauth.pkce":          "no recalled",
	} {
		f := got[name]
		if fmt.Sprint(f.Value, " ", f.Confidence) != want && want != "" || f.Value == "" {
			t.Errorf("%s is %q, %s", name, f.Value, f.Confidence)
		}
	}
	if f := got["webhooks retries"]; f.Confidence != catalog.Recalled {
		t.Errorf("retries are %s", f.Confidence)
	}
}

// R0.1: nothing is silently unverified: each section that says something tells
// how sure it is and where from, and what is only remembered is counted. The
// numbers may fall, not rise.
func TestConfidence(t *testing.T) {
	t.Parallel()
	sections := map[string]map[catalog.Confidence]int{}
	facts := map[catalog.Confidence]int{}
	total := 0
	for _, p := range profiles(t) {
		for _, s := range p.Sections() {
			if s.Empty() {
				continue
			}
			if s.Provenance.Confidence == "" || len(s.Provenance.Source) == 0 {
				t.Errorf("%s: %s says something without confidence or source", p.ID, s.Path)
			}
			if sections[s.Name] == nil {
				sections[s.Name] = map[catalog.Confidence]int{}
			}
			sections[s.Name][s.Provenance.Confidence]++
		}
		for _, f := range catalog.Facts(p) {
			facts[f.Confidence]++
			total++
			if f.Confidence == "" {
				t.Errorf("%s: %s.%s has no confidence", p.ID, f.Section, f.Name)
			}
		}
	}
	levels := []catalog.Confidence{catalog.Documented, catalog.FromSDK, catalog.FromRepo, catalog.Recalled}
	t.Logf("%-12s %v", "section", levels)
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		t.Logf("%-12s %10d %8d %9d %8d", name, sections[name][levels[0]], sections[name][levels[1]], sections[name][levels[2]], sections[name][levels[3]])
	}
	t.Logf("%-12s %10d %8d %9d %8d of %d", "facts", facts[levels[0]], facts[levels[1]], facts[levels[2]], facts[levels[3]], total)
	if most := 2820; facts[catalog.Recalled] > most {
		t.Errorf("%d facts are only recalled, %d were before", facts[catalog.Recalled], most)
	}
}
