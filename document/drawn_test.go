package document_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// R8.1: from a sentence and a provider's own document to a page that can be
// reviewed: valid, short, with every section and every picked endpoint.
func TestDrawnPlans(t *testing.T) {
	t.Parallel()
	find := catalog.Beside("testdata/plans/catalog", catalog.Load)
	for _, one := range []struct{ profile, file, need string }{
		{"petstore", "../openapi/testdata/petstore.yaml", "Add pets and list them"},
		{"resend", "../openapi/testdata/resend.yaml", "Send e-mails to customers, cancel them, and manage domains"},
		{"slack", "../openapi/testdata/slack_web_openapi_v2.json.gz", "Post messages to channels, list channels and users"},
	} {
		t.Run(one.profile, func(t *testing.T) {
			t.Parallel()
			data, err := plan.ReadSpec(one.file)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := openapi.Read(data)
			if err != nil {
				t.Fatal(err)
			}
			profile, err := find(one.profile)
			if err != nil {
				t.Fatal(err)
			}
			drawn, _, err := draft.Write(draft.Input{Service: one.profile, Need: one.need, Profile: profile, Document: doc, SpecFile: "spec.yaml", SpecSHA256: doc.SHA256})
			if err != nil {
				t.Fatal(err)
			}
			text, err := plan.Marshal(drawn)
			if err != nil {
				t.Fatal(err)
			}
			p, err := plan.Parse("drawn.yaml", text, find)
			if err != nil {
				t.Fatal(err)
			}
			root := parsed(t, p, doc)
			judge(t, root)
			if first, open, all := measured(root); first > 260 || open > 3200 || all > 7000 {
				t.Errorf("%d words on the first screen, %d open, %d in all", first, open, all)
			}
			md, err := document.Markdown(p, doc)
			if err != nil {
				t.Fatal(err)
			}
			last := 0
			for _, section := range []string{
				"## Summary", "## Open questions", "## Decision", "## Step 1: ", "## Step 2: ", "## Step 3: ", "### Mappings", "## Step 4: ", "### Errors", "### Limits",
				"## Step 5: ", "## Step 6: ", "### Tests", "### Monitoring", "## Checklist", "## Plan points", "## Rollout", "## Exit",
			} {
				at := strings.Index(string(md), "\n"+section)
				if at <= last {
					t.Errorf("%q is missing, or stands too early", section)
				}
				last = at
			}
			for name, e := range p.Endpoints {
				if !strings.Contains(string(md), "| `"+name+"` | `"+e.Call+"` |") {
					t.Errorf("endpoint %s does not show", name)
				}
			}
			if diagrams := strings.Count(string(md), "sequenceDiagram"); diagrams < 2 {
				t.Errorf("%d diagrams", diagrams)
			}
		})
	}
}
