package draft_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

var update = flag.Bool("update", false, "write the golden plans anew")

// goldens are plans of real documents: provider, document, need.
var goldens = [][3]string{
	{"adyen", "adyen-checkout-v71.json.gz", "Take payments and give money back"},
	{"algolia", "algolia-search.yml.gz", "Put our products into an index and search them"},
	{"asana", "asana.yaml.gz", "Create tasks in a project and keep their state in step"},
	{"box", "box.json.gz", "Upload files to a folder and share them"},
	{"datadog", "datadog-v1.yaml.gz", "Send events and create monitors"},
	{"digitalocean", "digitalocean.tar.gz", "Create droplets and delete them when they are not needed"},
	{"discord", "discord.json.gz", "Post messages to a channel"},
	{"figma", "figma.yaml.gz", "Read files and comments"},
	{"intercom", "intercom-2.14.yaml.gz", "Create contacts and reply to conversations"},
	{"netlify", "netlify.yml.gz", "Deploy sites and list their deploys"},
	{"paypal", "paypal-checkout-orders-v2.json.gz", "Create orders and capture their payment"},
	{"resend", "resend.yaml", "Send emails and list domains"},
	{"slack", "slack_web_openapi_v2.json.gz", "Tell the team in a channel and list users"},
	{"square", "square.json.gz", "Create customers, take payments and refund them"},
	{"twilio", "twilio-api-v2010.json.gz", "Text customers when their order ships"},
	{"xero", "xero-accounting.yaml.gz", "Create invoices and read payments"},
}

// R8.1, R8.2: what is planned from real documents stands in golden files, so that
// a change of the planner shows what it changes for everybody. Each loads.
func TestGoldenPlans(t *testing.T) {
	t.Parallel()
	for _, g := range goldens {
		t.Run(g[0], func(t *testing.T) {
			t.Parallel()
			doc, err := openapi.ReadFile(filepath.Join("../openapi/testdata", g[1]))
			if err != nil {
				t.Fatal(err)
			}
			profile, err := catalog.Load(g[0])
			if err != nil {
				t.Fatal(err)
			}
			p, _, err := draft.Write(draft.Input{
				Service: g[0], Need: g[2], Profile: profile, Document: doc, SpecFile: g[1], SpecSHA256: doc.SHA256,
				Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := plan.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := plan.Parse(g[0]+".yaml", got, catalog.Load); err != nil {
				t.Errorf("it does not load: %v", err)
			}
			file := filepath.Join("testdata", "golden", g[0]+".yaml")
			if *update {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s is not what comes out now; look at the difference, then go test ./draft -run GoldenPlans -update\n%s", file, firstDifference(string(want), string(got)))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return "before: " + w[i] + "\nnow:    " + g[i]
		}
	}
	return "one is longer"
}
