package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// R1.1: a plan finds the profile that stands in the folder catalog beside it, and
// a mistake in that profile is told with its place.
func TestLoadFindsProfilesBesideThePlan(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/stripe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.ReadFile("../catalog/providers/stripe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "stripe.yaml")
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(file, string(text))
	own := filepath.Join(folder, catalog.OwnFolder, "stripe.yaml")
	put(own, strings.Replace(string(profile), "base_url: https://api.stripe.com", "base_url: https://stripe.example", 1))
	p, err := plan.Load(file, catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	if p.Provider.API.BaseURL != "https://stripe.example" {
		t.Errorf("the plan stands on %s", p.Provider.API.BaseURL)
	}
	put(own, strings.Replace(string(profile), "base_url: https://api.stripe.com", "base_url: stripe.example", 1))
	if _, err := plan.Load(file, catalog.Load); err == nil || !strings.Contains(err.Error(), filepath.Join("catalog", "stripe.yaml")+":") {
		t.Errorf("a faulty profile: %v", err)
	}
}
