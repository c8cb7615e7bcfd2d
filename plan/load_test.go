package plan_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// profile is a catalog of one provider, enough for the example.
func profile(id string) (*catalog.Profile, error) {
	if id != "stripe" {
		return nil, fmt.Errorf("no profile %q; there is stripe", id)
	}
	return &catalog.Profile{
		ID: "stripe",
		API: catalog.API{
			BaseURL: "https://api.stripe.com", Version: "2026-10-28.endive",
			VersionPin: &catalog.VersionPin{In: "header", Name: "Stripe-Version"},
			Headers:    map[string]string{"User-Agent": "sallyport"},
		},
		Auth: []catalog.Auth{{Kind: "api_key"}, {Kind: "basic"}},
		Limits: catalog.Limits{List: []catalog.Limit{
			{Name: "live", Limit: 25, Window: 1, Scope: "account"},
			{Name: "cost", Limit: 1000, Window: 60, Scope: "account", Unit: "points"},
			{Name: "search", Limit: 20, Window: 1, Scope: "account", Optional: true},
		}},
		Webhooks: &catalog.Webhooks{Verify: catalog.Verification{Scheme: "hmac", Algorithm: "sha256"}},
	}, nil
}

func load(t testing.TB, file string) *plan.Plan {
	t.Helper()
	p, err := plan.Load(file, profile)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExampleLoads(t *testing.T) {
	t.Parallel()
	p := load(t, "testdata/stripe.yaml")
	if p.File != "testdata/stripe.yaml" || p.Service != "stripe" || len(p.Endpoints) != 4 {
		t.Errorf("got %q %q with %d endpoints", p.File, p.Service, len(p.Endpoints))
	}
	create := p.Endpoints["create_customer"]
	want := plan.Endpoint{
		Call: "POST /v1/customers", Purpose: "Register the payer once, before the first invoice.",
		Effect: plan.EffectCreate, Idempotency: &plan.Idempotency{Header: "Idempotency-Key", Keep: plan.Duration(24 * time.Hour)},
		Send: "customer", Receive: "customer", Timeout: plan.Duration(10 * time.Second), Fallback: "queue",
	}
	if !reflect.DeepEqual(*create, want) {
		t.Errorf("create_customer: got %+v, want %+v", *create, want)
	}
	if got := p.Environments["production"].Secrets["webhook_secret"]; len(got) != 2 {
		t.Errorf("two secrets are valid at once, got %v", got)
	}
	if got := p.Mappings["customer"][4].Missing; got != "null" {
		t.Errorf(`missing: got %q, want "null"`, got)
	}
	if p.Errors["402"].Retry != 0 || p.Errors["402"].Message == "" {
		t.Errorf("402: got %+v", p.Errors["402"])
	}
	if c, ok := p.Confirmed("limits"); !ok || c.By != "payments" {
		t.Errorf("limits are confirmed by payments, got %v %v", c, ok)
	}
	if _, ok := p.Confirmed("webhooks"); ok {
		t.Error("webhooks are confirmed by nobody")
	}
}

// The overlay changes the plan's copy and never the catalog's profile.
func TestOverlayLeavesTheCatalogAlone(t *testing.T) {
	t.Parallel()
	shared, err := profile("stripe")
	if err != nil {
		t.Fatal(err)
	}
	before, err := profile("stripe")
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load("testdata/complete.yaml", func(string) (*catalog.Profile, error) { return shared, nil })
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Provider.API.Version; got != "2026-08-26.dahlia" {
		t.Errorf("the plan pins another version: %s", got)
	}
	p.Provider.API.Headers["User-Agent"] = "changed"
	p.Provider.API.VersionPin.Name = "changed"
	p.Provider.Auth[0].Kind = "changed"
	p.Provider.Limits.List[0].Limit = 1
	p.Provider.Webhooks.Verify.Scheme = "changed"
	if !reflect.DeepEqual(shared, before) {
		t.Errorf("the catalog's profile was changed: %+v", shared)
	}
}

func TestProfileIsChecked(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/stripe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		replace, with, want string
		change              func(*catalog.Profile)
	}{
		"unknown profile":     {"uses: stripe", "uses: strype", `x.yaml:5:7: uses: no profile "strype"; there is stripe`, nil},
		"no such credential":  {"use: api_key", "use: oauth2", `x.yaml:32:8: auth.use: the profile stripe has no credential of kind "oauth2"; it has api_key, basic`, nil},
		"no webhooks at all":  {"", "", "webhooks: the profile stripe knows no webhooks", func(p *catalog.Profile) { p.Webhooks = nil }},
		"nothing known of it": {"", "", "", func(p *catalog.Profile) { p.Auth = nil }},
	} {
		_, err := plan.Parse("x.yaml", []byte(strings.Replace(string(source), c.replace, c.with, 1)), func(id string) (*catalog.Profile, error) {
			p, err := profile(id)
			if c.change != nil {
				c.change(p)
			}
			return p, err
		})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// Every mistake of a file is reported in one run, with its place and the way
// out; what the schema can see it refuses as well.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d broken files, %v; there should be ten and more", len(files), err)
	}
	schema := compileSchema(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := plan.Load(file, nil)
			if p != nil || err == nil {
				t.Fatal("a broken file gives no plan")
			}
			var list *plan.Errors
			if !errors.As(err, &list) {
				t.Fatalf("want *plan.Errors, got %T: %v", err, err)
			}
			if !slices.IsSortedFunc(list.List, func(a, b plan.Problem) int {
				return 1000*(a.Position.Line-b.Position.Line) + a.Position.Column - b.Position.Column
			}) {
				t.Error("problems are not in the order of the file")
			}
			for _, problem := range list.List {
				if problem.Position.Line < 1 || problem.Position.Column < 1 || problem.Rule == "" || problem.Message == "" {
					t.Errorf("incomplete: %+v", problem)
				}
			}
			// R2.10: a secret written by mistake is not repeated.
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "1234567890") {
				t.Errorf("a secret is shown:\n%v", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", []byte(err.Error()+"\n\n"+schemaView(schema, data)))
		})
	}
}

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	data, err := plan.Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("plan.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// schemaView is what the JSON Schema says about a file: the place and keyword
// of each complaint.
func schemaView(s *jsonschema.Schema, data []byte) string {
	js, err := yaml.YAMLToJSON(data)
	if err != nil {
		return "schema: the file is no YAML\n"
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(js)))
	if err != nil {
		return "schema: the file is no YAML\n"
	}
	err = s.Validate(doc)
	if err == nil {
		return "schema: sees nothing wrong\n"
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	var lines []string
	var visit func(e *jsonschema.ValidationError)
	visit = func(e *jsonschema.ValidationError) {
		for _, c := range e.Causes {
			visit(c)
		}
		if len(e.Causes) == 0 {
			lines = append(lines, fmt.Sprintf("schema: /%s: %s", strings.Join(e.InstanceLocation, "/"), strings.Join(e.ErrorKind.KeywordPath(), "/")))
		}
	}
	visit(invalid)
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

func TestSchemaAcceptsWhatLoads(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for _, file := range []string{"testdata/stripe.yaml", "testdata/complete.yaml", "testdata/stripe.written.yaml"} {
		load(t, file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := schemaView(schema, data); got != "schema: sees nothing wrong\n" {
			t.Errorf("%s: %s", file, got)
		}
	}
	first, _ := plan.Schema()
	first[0] = 'x'
	if second, _ := plan.Schema(); second[0] != '{' {
		t.Error("a caller could change the schema of the others")
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	p := load(t, "testdata/stripe.yaml")
	source, err := os.ReadFile("testdata/stripe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(source), "\n")
	for path, want := range map[string]string{
		"service":                               "service: stripe",
		"endpoints.create_customer.effect":      "effect: create",
		"endpoints.create_customer.on_conflict": "create_customer:", // not there: the nearest part that is
		"mappings.customer[1]":                  "{external: email",
		"mappings.customer[1].as":               "as: string, class: pii",
		"webhooks.events.invoice.paid":          "invoice.paid: ",
		"webhooks.events.invoice.paid.map":      "map: invoice, to",
		"errors.429":                            "errors:",
	} {
		at := p.Position(path)
		if at.Line < 1 || !strings.HasPrefix(string([]rune(lines[at.Line-1])[at.Column-1:]), want) {
			t.Errorf("%s is at %v, want %q", path, at, want)
		}
	}
	if got := (&plan.Plan{}).Position("service"); got != (plan.Position{}) {
		t.Errorf("a plan from nowhere has no positions, got %v", got)
	}
}

// Odd but honest files load; hostile ones end quickly with an error.
func TestSourceForms(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/stripe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := load(t, "testdata/stripe.yaml")
	for name, data := range map[string]string{
		"Windows line ends": strings.ReplaceAll(string(source), "\n", "\r\n"),
		"byte order mark":   "\ufeff" + string(source),
		"document markers":  "---\n" + string(source) + "\n...\n",
	} {
		got, err := plan.Parse("x.yaml", []byte(data), profile)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !same(want, got) {
			t.Errorf("%s: another plan", name)
		}
	}
	n := 100_000
	for name, data := range map[string]string{
		"nothing":          "",
		"too large":        "# " + strings.Repeat("x", plan.MaxSize),
		"brackets":         "a: " + strings.Repeat("[", n),
		"braces":           strings.Repeat("{a: ", n),
		"dashes":           strings.Repeat("- ", n),
		"stairs":           stairs(1000),
		"alias bomb":       "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
		"a million lines":  strings.Repeat("a: 1\n", plan.MaxSize/5),
		"one long line":    "a: " + strings.Repeat("x ", plan.MaxSize/3),
		"tabs behind text": "x" + strings.Repeat("\t", plan.MaxSize-10),
		"many quotes":      strings.Repeat(`"`, n),
		"many keys":        manyKeys(n),
		"a list of lists":  "mappings: {a: [" + strings.Repeat("[],", n) + "[]]}",
		"carriage return":  "a: 1\rb: 2\n",
	} {
		start := time.Now()
		p, err := plan.Parse("x.yaml", []byte(data), profile)
		var list *plan.Errors
		if p != nil || !errors.As(err, &list) || len(list.List) == 0 {
			t.Errorf("%s: want *plan.Errors, got %v %v", name, p, err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s took %s", name, took)
		}
	}
}

func stairs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key_%d: %d\n", i, i)
	}
	return b.String()
}

func TestLoadSaysWhatTheSystemSays(t *testing.T) {
	t.Parallel()
	for _, file := range []string{filepath.Join(t.TempDir(), "none.yaml"), t.TempDir()} {
		p, err := plan.Load(file, nil)
		var list *plan.Errors
		if p != nil || err == nil || errors.As(err, &list) {
			t.Errorf("%s: want an error of the system, got %v", file, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds")
	}
	for _, file := range append(files, "testdata/stripe.yaml", "testdata/complete.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := plan.Parse("fuzz.yaml", data, profile)
		if err != nil {
			var list *plan.Errors
			if p != nil || !errors.As(err, &list) || len(list.List) == 0 {
				t.Fatalf("want *plan.Errors and no plan, got %v %v", p, err)
			}
			for _, problem := range list.List {
				if problem.Position.Line < 1 || problem.Position.Column < 1 {
					t.Fatalf("no place: %+v", problem)
				}
			}
			return
		}
		// What loads can be taken apart, written and loaded again.
		p.Rows()
		p.Unenforced()
		out, err := plan.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		back, err := plan.Parse("fuzz.yaml", out, profile)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		again, err := plan.Marshal(back)
		if err != nil || string(again) != string(out) {
			t.Fatalf("written twice, %v:\n%s\n%s", err, out, again)
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := plan.Load("testdata/stripe.yaml", profile); err != nil {
			b.Fatal(err)
		}
	}
}

// R4.12: the numbers of a contract take the place of the published ones, and an
// optional limit that is named is kept; the catalog's own profile stays as it is.
func TestOwnLimits(t *testing.T) {
	t.Parallel()
	text := `sallyport: 1
service: stripe
uses: stripe
need: x
profile: {limits: {live: 500, search: 30}}
environments: {development: {}}
auth: {use: api_key}
endpoints: {a: {call: GET /v1/a, purpose: x, effect: read}}
`
	p, err := plan.Parse("stripe.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]catalog.Limit{}
	for _, l := range p.Provider.Limits.List {
		found[l.Name] = l
	}
	if found["live"].Limit != 500 || found["search"].Limit != 30 || found["search"].Optional {
		t.Errorf("got %+v", found)
	}
	if again, err := catalog.Load("stripe"); err != nil || again.Limits.List[0].Limit == 500 {
		t.Error("the catalog was changed")
	}
	if _, err := plan.Parse("stripe.yaml", []byte(strings.Replace(text, "live: 500", "life: 0", 1)), catalog.Load); err == nil || !strings.Contains(err.Error(), `did you mean "live"`) || !strings.Contains(err.Error(), "0 is too small") {
		t.Errorf("got %v", err)
	}
}
