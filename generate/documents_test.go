package generate_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/generate"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// providers are the documents in the tree, and whose they are.
var providers = map[string]string{
	"../catalog/documents/stripe/spec3.json.gz":             "stripe",
	"../test/peer/testdata/api.github.com.json.gz":          "github",
	"../openapi/testdata/adyen-checkout-v71.json.gz":        "adyen",
	"../openapi/testdata/algolia-search.yml.gz":             "algolia",
	"../openapi/testdata/asana.yaml.gz":                     "asana",
	"../openapi/testdata/box.json.gz":                       "box",
	"../openapi/testdata/datadog-v1.yaml.gz":                "datadog",
	"../openapi/testdata/digitalocean.tar.gz":               "digitalocean",
	"../openapi/testdata/discord.json.gz":                   "discord",
	"../openapi/testdata/figma.yaml.gz":                     "figma",
	"../openapi/testdata/intercom-2.14.yaml.gz":             "intercom",
	"../openapi/testdata/netlify.yml.gz":                    "netlify",
	"../openapi/testdata/paypal-checkout-orders-v2.json.gz": "paypal",
	"../openapi/testdata/petstore.yaml":                     "resend", // nobody's: any profile with a plain key
	"../openapi/testdata/resend.yaml":                       "resend",
	"../openapi/testdata/slack_web_openapi_v2.json.gz":      "slack",
	"../openapi/testdata/snowflake/warehouse.yaml":          "snowflake",
	"../openapi/testdata/square.json.gz":                    "square",
	"../openapi/testdata/twilio-api-v2010.json.gz":          "twilio",
	"../openapi/testdata/twilio-messaging-v1.json.gz":       "twilio",
	"../openapi/testdata/twilio-oauth-v2.json.gz":           "twilio",
	"../openapi/testdata/xero-accounting.yaml.gz":           "xero",
	"../openapi/testdata/xero-identity.yaml.gz":             "xero",
}

// everything is a plan that uses every operation and every event of a document,
// so that all its names are met.
func everything(t *testing.T, file, provider string) *plan.Plan {
	t.Helper()
	doc, err := openapi.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := catalog.Load(provider)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, o := range doc.Operations {
		if !slices.Contains([]string{http.MethodHead, http.MethodOptions, http.MethodTrace}, o.Method) {
			calls = append(calls, o.Call())
		}
	}
	p, _, err := draft.Write(draft.Input{
		Service: "everything", Need: "everything", Profile: profile, Document: doc, SpecFile: file, SpecSHA256: doc.SHA256,
		Endpoints: calls, Events: doc.EventTypes, Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	written, err := plan.Marshal(p)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if p, err = plan.Parse("everything.yaml", written, catalog.Load); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(p.Endpoints) < len(calls)*9/10 {
		t.Errorf("%s: %d endpoints of %d operations", file, len(p.Endpoints), len(calls))
	}
	return p
}

// R3.8: plans of all there is in every document at hand compile, vet and pass
// their tests: about 6,000 operations with their names, types and events.
func TestGoCompilesEveryDocument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/adapters\n\ngo 1.26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	total := 0
	for file, provider := range providers {
		p := everything(t, file, provider)
		files, err := generate.Go(p, generate.Options{})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		if _, err := generate.Write(filepath.Join(dir, provider+"-"+name), files, false); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		total += len(p.Endpoints)
	}
	if total < 5000 {
		t.Errorf("only %d endpoints", total)
	}
	run(t, dir, "vet", "./...")
	run(t, dir, "test", "./...")
}

// A document that came since is to be among them.
func TestEveryDocumentIsGeneratedFrom(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../openapi/testdata/*")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		known := false
		for name := range providers {
			known = known || strings.HasPrefix(name, file)
		}
		switch filepath.Base(file) {
		case "SOURCE.md", "fuzz", "adyen-webhooks-v1.json.gz": // the last has events and no operation
		default:
			if !known {
				t.Errorf("no adapter is generated from %s", file)
			}
		}
	}
}
