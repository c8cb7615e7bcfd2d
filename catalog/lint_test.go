package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/verify"
)

// R0.1: every embedded profile is without fault; its file is named for its id.
func TestLintEmbedded(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("providers/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %d profiles, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := catalog.Parse(file, data)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.ID+".yaml" != filepath.Base(file) {
			t.Errorf("%s holds the profile of %q", file, p.ID)
		}
		for _, f := range catalog.Lint(p) {
			t.Errorf("%s: %v", file, f)
		}
		if p.Webhooks == nil {
			continue
		}
		// R5.2: the signature scheme makes sense as a whole, or is of a family to come.
		if _, err := verify.Compile(p.Webhooks.Verify); err != nil && !errors.Is(err, verify.ErrUnsupported) {
			t.Errorf("%s: webhooks.verify: %v", file, err)
		}
		for _, v := range p.Webhooks.Variants {
			if _, err := verify.Compile(v.Verify); err != nil && !errors.Is(err, verify.ErrUnsupported) {
				t.Errorf("%s: variant %s: %v", file, v.Name, err)
			}
		}
	}
}

var wanted = regexp.MustCompile(`# want ([a-z]+)`)

// Each file of testdata/lint is a profile with mistakes; a comment "# want RULE"
// on a line says that one finding of that rule is about it. The findings must be
// those and no others, in that order.
func TestLintFindsMistakes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/lint/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := catalog.Parse(file, data)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, m := range wanted.FindAllStringSubmatch(string(data), -1) {
			want = append(want, m[1])
		}
		var all []string
		for _, f := range catalog.Lint(p) {
			got = append(got, f.Rule)
			all = append(all, f.String())
			if f.Path == "" || f.Message == "" {
				t.Errorf("%s: a finding without a place or words: %+v", file, f)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v:\n%s", file, got, want, strings.Join(all, "\n"))
		}
	}
}

// An empty profile has findings and no panic.
func TestLintEmpty(t *testing.T) {
	t.Parallel()
	if found := catalog.Lint(&catalog.Profile{}); len(found) < 5 {
		t.Errorf("only %d findings: %v", len(found), found)
	}
	if found := catalog.Lint(&catalog.Profile{Webhooks: &catalog.Webhooks{Variants: make([]catalog.VerifyVariant, 1)}, Auth: make([]catalog.Auth, 1)}); len(found) < 13 {
		t.Errorf("only %d findings: %v", len(found), found)
	}
}
