package classify_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/integration"
)

// provider is one file of testdata/answers.
type provider struct {
	Errors  catalog.Errors `yaml:"errors"`
	Limits  catalog.Limits `yaml:"limits"`
	Answers []struct {
		Row       string            `yaml:"row"` // of the requirements, and what is special
		Status    int               `yaml:"status"`
		Header    map[string]string `yaml:"header"`
		Body      string            `yaml:"body"`
		Class     integration.Class `yaml:"class"`
		Code      string            `yaml:"code"`
		Says      string            `yaml:"says"` // the provider's message; empty: not asked for
		Wait      time.Duration     `yaml:"wait"`
		RequestID string            `yaml:"request_id"`
		Hidden    bool              `yaml:"hidden"` // a 404 does not prove that a thing is gone
	} `yaml:"answers"`
}

func readProvider(t testing.TB, file string) (p provider, d *classify.Dialect) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&p); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	profile := &catalog.Profile{Name: "Provider", Errors: p.Errors, Limits: p.Limits}
	for _, f := range catalog.Lint(profile) {
		if strings.HasPrefix(f.Path, "errors") && f.Rule != "source" && f.Path != "errors.confidence" {
			t.Errorf("%s: %v", file, f)
		}
	}
	if d, err = classify.Compile(profile); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return p, d
}

// R4.1 to R4.9: what the answers of many providers mean, in their own dialects.
func TestAnswersOfProviders(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/answers/*.yaml")
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d providers, %v", len(files), err)
	}
	rows := map[string]bool{}
	for _, file := range files {
		p, d := readProvider(t, file)
		if len(p.Answers) == 0 {
			t.Errorf("%s has no answer", file)
		}
		for _, a := range p.Answers {
			rows[a.Row[:4]] = true
			t.Run(filepath.Base(file)+" "+a.Row, func(t *testing.T) {
				t.Parallel()
				h := http.Header{}
				for name, value := range a.Header {
					h.Set(name, value)
				}
				class, f := d.Answer(a.Status, h, []byte(a.Body), now)
				if class != a.Class || (f == nil) != (class == integration.ClassOK) {
					t.Fatalf("%s with %+v, want %s", class, f, a.Class)
				}
				if f == nil {
					return
				}
				if f.ProviderCode != a.Code || f.RetryAfter != a.Wait || f.ProviderRequestID != a.RequestID {
					t.Errorf("code %q, wait %s, request id %q; want %q, %s, %q", f.ProviderCode, f.RetryAfter, f.ProviderRequestID, a.Code, a.Wait, a.RequestID)
				}
				if a.Says != "" && f.ProviderMessage != a.Says {
					t.Errorf("the provider says %q, want %q", f.ProviderMessage, a.Says)
				}
				for _, text := range []string{f.Message, f.Hint} {
					if text == "" || a.Says != "" && strings.Contains(text, a.Says) || a.Code != "" && strings.Contains(text, a.Code) {
						t.Errorf("text for people: %q", text)
					}
				}
				if gone := d.Gone(a.Status); gone != (a.Status == 404 && !a.Hidden) {
					t.Errorf("%d proves that it is gone: %v", a.Status, gone)
				}
			})
		}
	}
	for _, row := range []string{"R4.1", "R4.2", "R4.3", "R4.4", "R4.5", "R4.6", "R4.7", "R4.9"} { // R4.8 has no answer: TestError
		if !rows[row] {
			t.Errorf("no provider's answer is about %s", row)
		}
	}
}

// A success of a provider without a rule for bodies costs nothing.
func TestSuccessCostsNothing(t *testing.T) {
	d := dialect(t, "stripe")
	h := header("Content-Type: application/json", "X-Ratelimit-Remaining: 7")
	body := []byte(`{"id":"cus_1"}`)
	if n := testing.AllocsPerRun(100, func() { _, _ = d.Answer(200, h, body, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// R0.1: the dialect of every profile of the catalog can be used, and none takes
// a plain success for an error.
func TestEveryProfileCompiles(t *testing.T) {
	t.Parallel()
	for _, id := range catalog.IDs() {
		p, err := catalog.Load(id)
		if err != nil {
			continue // the catalog's own tests say so
		}
		d, err := classify.Compile(p)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		for _, body := range []string{"", "{}", "[]", `{"ok":true,"data":{},"errors":[]}`} {
			if class, f := d.Answer(200, nil, []byte(body), now); class != integration.ClassOK {
				t.Errorf("%s: %q is %s, %v", id, body, class, f)
			}
		}
		if class, _ := d.Answer(429, nil, nil, now); class != integration.ClassLimited {
			t.Errorf("%s: 429 is %s", id, class)
		}
		if class, _ := d.Answer(503, nil, nil, now); class != integration.ClassUnavailable {
			t.Errorf("%s: 503 without a word is %s", id, class)
		}
	}
}
