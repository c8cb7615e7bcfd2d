package catalog_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
)

const own = `id: acme
name: Acme
category: payments
docs: https://docs.acme.example
text: payments of Acme
api:
  confidence: documented
  source: [https://docs.acme.example]
  base_url: https://api.acme.example
  request: json
  response: json
`

func write(t *testing.T, name, text string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// R1.1: a profile of one's own adds a provider, or stands in place of the
// embedded one; the others are as they were.
func TestBeside(t *testing.T) {
	t.Parallel()
	find := catalog.Beside(write(t, "acme.yaml", own), catalog.Load)
	if p, err := find("acme"); err != nil || p.API.BaseURL != "https://api.acme.example" {
		t.Errorf("acme: %v", err)
	}
	if p, err := find("stripe"); err != nil || p.Name != "Stripe" {
		t.Errorf("stripe: %v", err)
	}
	find = catalog.Beside(write(t, "stripe.yaml", strings.Replace(own, "id: acme", "id: stripe", 1)), catalog.Load)
	if p, err := find("stripe"); err != nil || p.Name != "Acme" {
		t.Errorf("the embedded profile was not replaced: %v", err)
	}
	find = catalog.Beside(filepath.Join(t.TempDir(), "none"), catalog.Load)
	if p, err := find("github"); err != nil || p.ID != "github" {
		t.Errorf("without a folder: %v", err)
	}
	for _, id := range []string{"../acme", "/etc/passwd", "", "acme.yaml"} {
		if _, err := find(id); !errors.Is(err, catalog.ErrUnknown) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// A mistake in a profile of one's own is told with its place.
func TestCheckNamesThePlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		strings.Replace(own, "https://api.acme", "http://api.acme", 1):        `acme.yaml:9:3: api.base_url: "http://api.acme.example" is no absolute https URL (url)`,
		strings.Replace(own, "confidence: documented", "confidence: sure", 1): "acme.yaml:7:3: api.confidence",
		strings.Replace(own, "id: acme", "id: acne", 1):                       `acme.yaml:1:1: id: the file acme.yaml must hold the profile of that id, not of "acne"`,
		strings.Replace(own, "https://api.acme", "https://{shop}.acme", 1):    "acme.yaml:9:3: api.base_url: {shop} is not described",
		own + "limits:\n  confidence: recalled\n  source: [https://a.example]\n  status: [429]\n  list:\n    - {name: a, limit: 5, window_s: 1, scope: app}\n    - {name: b, limit: 0, window_s: 1, scope: app}\n": "acme.yaml:18:17: limits.list[1].limit",
		own + "nonsense: 1\n": `acme.yaml:12:1: unknown field "nonsense"`,
	} {
		_, err := catalog.Beside(write(t, "acme.yaml", text), catalog.Load)("acme")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestOwn(t *testing.T) {
	t.Parallel()
	folder := write(t, "acme.yaml", own)
	if err := os.WriteFile(filepath.Join(folder, "broken.yaml"), []byte("id: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := catalog.Own(folder)
	if len(list) != 1 || list[0].ID != "acme" || err == nil || !strings.Contains(err.Error(), "broken.yaml") {
		t.Errorf("got %d, %v", len(list), err)
	}
	if list, err := catalog.Own(filepath.Join(folder, "none")); err != nil || len(list) > 0 {
		t.Errorf("no folder: %d, %v", len(list), err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(own))
	f.Add([]byte("id: x\nauth: [{kind: basic}]\napi: {other_urls: {a.b: 'http://c'}}"))
	f.Add([]byte("A: 0\nauth: !00000 00\n008: 0")) // the YAML reader panics
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = catalog.Check("acme.yaml", data)
	})
}
