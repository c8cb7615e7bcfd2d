package document_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

func load(t testing.TB) *plan.Plan {
	t.Helper()
	return loadPlan(t, "stripe")
}

func loadPlan(t testing.TB, name string) *plan.Plan {
	t.Helper()
	p, err := plan.Load(filepath.Join("testdata", "plans", name+".yaml"), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// plans are all of testdata/plans, by name.
func plans(t testing.TB) map[string]*plan.Plan {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "plans", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]*plan.Plan{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		list[name] = loadPlan(t, name)
	}
	if len(list) < 14 {
		t.Fatalf("only %d plans found", len(list))
	}
	return list
}

// apiDocument knows one of the plan's operations under another variable name,
// has deprecated another and lacks the rest.
func apiDocument() *openapi.Document {
	return &openapi.Document{
		Title: "Stripe API", Version: "2026-08-26.dahlia", Format: "openapi 3.0.0", SHA256: "0f3c" + string(bytes.Repeat([]byte("0"), 60)),
		Operations: []openapi.Operation{
			{Method: "GET", Path: "/v1/customers/{customer}", Summary: "Retrieve a customer"},
			{Method: "POST", Path: "/v1/customers", Summary: "Create a customer", Deprecated: true},
		},
		Defects: []openapi.Defect{{Where: "#/paths", Rule: "duplicate-operation-id", Message: "two operations have one id"}},
	}
}

// R8.1: the documents of plans for many providers, and both forms of one.
func TestGolden(t *testing.T) {
	t.Parallel()
	type golden struct {
		file  string
		write func(*plan.Plan, *openapi.Document) ([]byte, error)
		plan  string
		doc   *openapi.Document
	}
	list := []golden{{"stripe.html", document.HTML, "stripe", nil}, {"stripe-with-document.md", document.Markdown, "stripe", apiDocument()}}
	for name := range plans(t) {
		list = append(list, golden{name + ".md", document.Markdown, name, nil})
	}
	for _, one := range list {
		t.Run(one.file, func(t *testing.T) {
			t.Parallel()
			p := loadPlan(t, one.plan)
			got, err := one.write(p, one.doc)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 { // maps are walked in another order each time
				again, err := one.write(p, one.doc)
				if err != nil || !bytes.Equal(got, again) {
					t.Fatalf("the same plan gives another document (error %v)", err)
				}
			}
			file := filepath.Join("testdata", "golden", one.file)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; look at the change and run go test ./document -update:\n%s", file, firstDifference(got, want))
			}
		})
	}
}

func firstDifference(got, want []byte) string {
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range g {
		if i >= len(w) || !bytes.Equal(g[i], w[i]) {
			have := []byte("(end)")
			if i < len(w) {
				have = w[i]
			}
			return "now:    " + string(g[i]) + "\nbefore: " + string(have)
		}
	}
	return "it became shorter"
}

func TestNeedsAProfile(t *testing.T) {
	t.Parallel()
	for _, p := range []*plan.Plan{nil, {Service: "stripe"}} {
		if b, err := document.Markdown(p, nil); err == nil || b != nil {
			t.Errorf("Markdown of %v: %q, %v", p, b, err)
		}
		if b, err := document.HTML(p, nil); err == nil || b != nil {
			t.Errorf("HTML of %v: %q, %v", p, b, err)
		}
	}
}
