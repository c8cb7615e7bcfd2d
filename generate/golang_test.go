package generate_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/generate"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

func parse(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse("service.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func load(t *testing.T, file string) *plan.Plan {
	t.Helper()
	p, err := plan.Load(file, catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// module writes an adapter into a module of its own.
func module(t *testing.T, p *plan.Plan) (dir string, files []generate.File) {
	t.Helper()
	files, err := generate.Go(p, generate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/adapter\n\ngo 1.26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := generate.Write(dir, files, false); err != nil {
		t.Fatal(err)
	}
	return dir, files
}

// run runs the go command in a module.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "SALLYPORT_URL=", "SALLYPORT_KEY=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// drawn is a plan drawn from a provider's document, whatever provider it is.
func drawn(t *testing.T, file string, need string) *plan.Plan {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	other := *profile
	p, _, err := draft.Write(draft.Input{Service: "drawn", Need: need, Profile: &other, Document: doc, SpecFile: file, SpecSHA256: doc.SHA256, Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	written, err := plan.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(written))
}

// R3.8: what is generated compiles, vets and passes its own tests, for plans of
// real documents of all kinds.
func TestGoCompiles(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*plan.Plan{
		"stripe":   load(t, "../examples/embedded/integrations/stripe.yaml"),
		"format":   load(t, "../plan/testdata/stripe.yaml"),
		"complete": load(t, "../plan/testdata/complete.yaml"),
		"petstore": drawn(t, "../openapi/testdata/petstore.yaml", "Add pets and find them by status; update a pet and place orders"),
		"resend":   drawn(t, "../openapi/testdata/resend.yaml", "Send emails, list domains and create contacts"),
		"slack":    drawn(t, "../openapi/testdata/slack_web_openapi_v2.json.gz", "Post messages to channels, list channels and users"),
		"hostile":  parse(t, hostile),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := module(t, p)
			run(t, dir, "vet", "./...")
			run(t, dir, "test", "./...")
			if out := run(t, dir, "list", "-f", "{{.Imports}}", "./..."); strings.Contains(out, ".com") {
				t.Errorf("it needs more than the standard library: %s", out)
			}
		})
	}
}

// hostile has the names that break generators: keywords, what collides once it
// is an identifier, what ends a comment or a string.
const hostile = "sallyport: 1\n" + `
service: type-x
uses: stripe
need: x
environments: {development: {secrets: {webhook_secret: env:X}}}
auth: {use: api_key}
endpoints:
  for: {call: "POST /v1/{type}/{func}/{in}/{ctx}", purpose: "Ends */ here\u2028panic() \" and ` + "`" + ` too", effect: create, send: a, receive: a}
  func: {call: "GET /v1/{id}", purpose: "two\nlines", effect: read, receive: b}
  new: {call: "DELETE /v1/x/{A-b}", purpose: x, effect: irreversible}
mappings:
  a:
    - {external: x, type: string, internal: url, as: string}
    - {external: y, type: string, internal: URL, as: string}
    - {external: z, type: string, internal: "0", as: enum, values: {a: "", b: "1", c: "a b", d: "A-B", e: "\"quoted\""}}
    - {external: "deep.x", type: string, internal: "deep.type.x", as: string}
    - {external: "deep.y", type: string, internal: "deep.type.y", as: datetime, missing: "null"}
    - {external: "parts[*]", internal: "parts[*]", as: b}
    - {external: "odd", internal: "a\\.b", as: json}
  b:
    - {external: back, type: object, internal: back, as: c}
    - {external: n, type: integer, internal: n, as: integer, class: pii}
  c: [{external: v, type: number, internal: v, as: decimal}]
webhooks:
  events:
    a.b: {from: data.object, map: b, to: app}
    a_b: {to: app}
destinations: {app: {url: "http://127.0.0.1:1", secret: env:Y}}
`

// R3.8: five operations of Stripe stay under 1,000 lines, and a field that no
// row maps is nowhere.
func TestGoIsSmall(t *testing.T) {
	t.Parallel()
	_, files := module(t, load(t, "../examples/embedded/integrations/stripe.yaml"))
	lines := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name, "_test.go") {
			lines += bytes.Count(f.Content, []byte("\n"))
		}
		if bytes.Contains(f.Content, []byte("dunning")) || bytes.Contains(f.Content, []byte("TaxExempt")) {
			t.Errorf("%s has fields that the plan does not map", f.Name)
		}
	}
	if lines >= 1000 {
		t.Errorf("%d lines", lines)
	}
}

// The same plan gives the same bytes.
func TestGoIsStable(t *testing.T) {
	t.Parallel()
	_, first := module(t, load(t, "../plan/testdata/complete.yaml"))
	for range 5 {
		_, again := module(t, load(t, "../plan/testdata/complete.yaml"))
		for i := range first {
			if first[i].Name != again[i].Name || !bytes.Equal(first[i].Content, again[i].Content) {
				t.Fatalf("%s differs", first[i].Name)
			}
		}
	}
}

// R3.8: generated files are brought up to date, one that was edited by hand
// stops everything, and yours are never touched.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir, files := module(t, load(t, "../plan/testdata/stripe.yaml"))
	mine := filepath.Join(dir, "mapper.go")
	if err := os.WriteFile(mine, []byte("package stripe\n\n// mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := generate.Write(dir, files, false)
	if err != nil || len(done.New) != 0 || len(done.Yours) != 1 {
		t.Fatalf("got %+v, %v", done, err)
	}
	changed := files[0]
	changed.Content = bytes.Clone(changed.Content)
	client := filepath.Join(dir, files[0].Name)
	old, err := os.ReadFile(client)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(client, bytes.Replace(old, []byte("maxAnswer = 32"), []byte("maxAnswer = 64"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, files[1].Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := generate.Write(dir, files, false); err == nil || !strings.Contains(err.Error(), files[0].Name) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, files[1].Name)); err == nil {
		t.Error("it wrote one file of a refused adapter")
	}
	if done, err := generate.Write(dir, files, true); err != nil || len(done.New) != 2 {
		t.Errorf("got %+v, %v", done, err)
	}
	if b, err := os.ReadFile(mine); err != nil || !bytes.Contains(b, []byte("// mine")) {
		t.Error("your file was touched")
	}
}
