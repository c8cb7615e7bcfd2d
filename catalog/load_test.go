package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
)

// R0.1: every fact has a source and says how sure we are of it.
func TestAll(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range all {
		ids = append(ids, p.ID)
		for _, s := range p.Sections() {
			if !s.Empty() && (s.Provenance.Confidence == "" || len(s.Provenance.Source) == 0) {
				t.Errorf("%s: %s has no confidence or no source", p.ID, s.Path)
			}
		}
	}
	// 134 providers of APIs and 137 of webhooks, 82 of them in both lists.
	if len(ids) != 189 || !slices.IsSorted(ids) || !slices.Equal(catalog.IDs(), ids) {
		t.Errorf("%d profiles: %v", len(ids), ids)
	}
}

// The copy Load makes through JSON must lose nothing of the YAML.
func TestLoadIsWhatTheFileSays(t *testing.T) {
	t.Parallel()
	for _, id := range catalog.IDs() {
		file := filepath.Join("providers", id+".yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := catalog.Parse(file, data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := catalog.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the loaded copy differs from the file", id)
		}
	}
}

func TestLoadStripe(t *testing.T) {
	t.Parallel()
	p, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	// Facts of docs.stripe.com/rate-limits (R4.12) and of the signature scheme (R5.1).
	if l := p.Limits.List[0]; l.Name != "live" || l.Limit != 100 || l.Window != 1 || !slices.Equal(l.Environments, []string{"production"}) {
		t.Errorf("live limit: %+v", l)
	}
	if p.Webhooks == nil || p.Webhooks.Verify.SignedContent != "{timestamp}.{body}" || p.Webhooks.Verify.Tolerance().Seconds() != 300 || p.Webhooks.Data != "data.object" {
		t.Errorf("webhooks: %+v", p.Webhooks)
	}
	if p.Idempotency.Header != "Idempotency-Key" || p.Idempotency.KeepHours != 24 {
		t.Errorf("idempotency: %+v", p.Idempotency)
	}
	if p.API.Confidence != catalog.FromRepo || p.Limits.Confidence != catalog.Documented {
		t.Errorf("confidence: %s, %s", p.API.Confidence, p.Limits.Confidence)
	}
	// R2.11: a live key is known by how it starts.
	if a := p.Auth[0]; a.Kind != "api_key" || !slices.Contains(a.LivePrefix, "sk_live_") || !slices.Contains(a.TestPrefix, "rk_test_") {
		t.Errorf("auth: %+v", a)
	}
}

func TestLoadReturnsIndependentCopies(t *testing.T) {
	t.Parallel()
	a, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	a.Limits.List[0].Limit = 1
	a.Webhooks.Verify.Header[0] = "X-Other"
	a.API.Source[0] = "elsewhere"
	b, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	if b.Limits.List[0].Limit != 100 || b.Webhooks.Verify.Header[0] != "Stripe-Signature" || b.API.Source[0] == "elsewhere" {
		t.Error("a change of one copy is seen in the next")
	}
}

func TestLoadUnknown(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"strpe":                   `"strpe"; did you mean stripe?`,
		"Stripe":                  "did you mean stripe?",
		"git":                     "did you mean github or gitlab?",
		"nothing-like-it":         `"nothing-like-it"; there are 189; look for one with: sallyport catalog search TEXT`,
		"":                        `""; there are`,
		"../profile":              "there are 189",
		strings.Repeat("a", 5000): `aaa"; there are 189`,
	} {
		_, err := catalog.Load(id)
		if !errors.Is(err, catalog.ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", id, err, want)
		}
		if len(fmt.Sprint(err)) > 250 {
			t.Errorf("%.20q: too much to read: %v", id, err)
		}
	}
}

// Each broken file of testdata/parse says on its first line what is expected:
// "# want LINE:COLUMN text".
func TestParseIsStrict(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/parse/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(data), "\n")
		place, want, ok := strings.Cut(strings.TrimPrefix(first, "# want "), " ")
		if !ok {
			t.Fatalf("%s: no # want on the first line", file)
		}
		_, err = catalog.Parse(file, data)
		var at *catalog.ParseError
		if !errors.As(err, &at) {
			t.Errorf("%s: got %v", file, err)
			continue
		}
		if at.Line > 0 && !strings.HasPrefix(at.Error(), fmt.Sprintf("%s:%s: ", file, place)) {
			t.Errorf("%s: the error does not begin with its place: %v", file, at)
		}
		if got := fmt.Sprintf("%d:%d", at.Line, at.Column); got != place || !strings.Contains(at.Message, want) {
			t.Errorf("%s: got %s %q", file, got, at.Message)
		}
		if strings.ContainsRune(at.Message, '\n') {
			t.Errorf("%s: the message has several lines: %q", file, at.Message)
		}
	}
	if _, err := catalog.Parse("empty.yaml", nil); err == nil {
		t.Error("an empty file is a profile")
	}
}

func TestOpenDocument(t *testing.T) {
	t.Parallel()
	p, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{p.Document.Embedded, p.Document.Fixtures, "stripe/spec3.json"} {
		r, err := catalog.OpenDocument(name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || r.Close() != nil {
			t.Fatal(name, err)
		}
		var doc struct {
			Info struct {
				Version string `json:"version"`
			} `json:"info"`
		}
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(name, err)
		}
		if name == p.Document.Embedded && doc.Info.Version != p.Document.Version {
			t.Errorf("the embedded document is of version %s, the profile says %s", doc.Info.Version, p.Document.Version)
		}
	}
	for _, name := range []string{"", "stripe/none.json", "../profile.go", "stripe", "/etc/passwd"} {
		if _, err := catalog.OpenDocument(name); err == nil || !strings.Contains(err.Error(), "stripe/spec3.json.gz") {
			t.Errorf("%q: got %v", name, err)
		}
	}
	// The licence travels with the document.
	if _, err := fs.Stat(catalog.Documents(), "stripe/LICENSE"); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, id := range catalog.IDs() {
		data, err := os.ReadFile(filepath.Join("providers", id+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("webhooks: {verify: {header: [[]]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := catalog.Parse("f.yaml", data); err == nil {
			catalog.Lint(p)
		}
	})
}

func ExampleLoad() {
	p, err := catalog.Load("stripe")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Name, p.API.BaseURL, p.Webhooks.Verify.Header[0])
	_, err = catalog.Load("strip")
	fmt.Println(err)
	// Output:
	// Stripe https://api.stripe.com Stripe-Signature
	// no such provider in the catalog: "strip"; did you mean stripe?
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalog.Load("stripe"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("providers/stripe.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalog.Parse("stripe.yaml", data); err != nil {
			b.Fatal(err)
		}
	}
}
