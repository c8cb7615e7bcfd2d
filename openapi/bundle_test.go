package openapi

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// several is a document of several files, with what may go wrong in it.
var several = fstest.MapFS{
	"api/root.yaml": {Data: []byte(`openapi: 3.0.0
info: {title: T, description: {$ref: text/intro.md}}
servers: [{url: "https://x.test"}]
components:
  securitySchemes: {key: {$ref: "shared/common.yaml#/components/securitySchemes/key"}}
  schemas: {taken: {type: string}}
paths:
  /things: {$ref: paths/things.yaml}
  /outside: {get: {operationId: outside, responses: {"200": {$ref: "../secret.yaml#/answer"}}}}
  /other-host: {get: {operationId: other, responses: {"200": {$ref: "https://evil.test/x.yaml#/a"}}}}
  /absolute: {get: {operationId: absolute, responses: {"200": {$ref: "/etc/passwd"}}}}
  /gone: {get: {operationId: gone, responses: {"200": {$ref: "no%20such.yaml"}}}}
  /folder: {get: {operationId: folder, responses: {"200": {$ref: "paths"}}}}
  /back: {get: {operationId: back, responses: {"200": {$ref: "paths/things.yaml#/get/responses/200"}}}}
  /broken: {get: {operationId: broken, responses: {"200": {$ref: "broken.json#/a"}}}}
`)},
	"api/paths/things.yaml": {Data: []byte(`parameters: [{$ref: "../shared/common.yaml#/components/parameters/page"}]
get:
  operationId: list
  description: {$ref: ../text/intro.md}
  x-codeSamples: [{lang: sh, source: curl}]
  responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "../models/thing.yaml"}}}}}}
post:
  operationId: make
  requestBody: {content: {application/json: {schema: {$ref: "../models/thing.yaml"}}}}
  responses: {"201": {$ref: "#/get/responses/200"}}
`)},
	"api/models/thing.yaml": {Data: []byte(`type: object
properties:
  id: {type: string}
  parent: {$ref: thing.yaml}
  owner: {$ref: "../shared/common.yaml#/components/schemas/owner"}
  clash: {$ref: "../shared/common.yaml#/components/schemas/taken"}
  name: {$ref: "#/properties/id"}
  example: {example: {$ref: never-opened.yaml}}
`)},
	"api/shared/common.yaml": {Data: []byte(`components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
  parameters: {page: {name: page, in: query, schema: {type: integer}}}
  schemas:
    owner: {type: object, properties: {things: {type: array, items: {$ref: "../models/thing.yaml"}}}}
    taken: {type: integer}
`)},
	"api/text/intro.md": {Data: []byte("Lists **things**.\n\nAll of them.")},
	"api/broken.json":   {Data: []byte("{\n\"a\": nothing}")},
	"secret.yaml":       {Data: []byte("answer: {description: top secret}")},
}

// R1.4: files beside the root are read, each once, in circles too; nothing else
// is, and the rest of the document stands.
func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	d, err := ReadFS(several, "api/root.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"api/broken.json", "api/models/thing.yaml", "api/paths/things.yaml", "api/shared/common.yaml", "api/text/intro.md"}; !slices.Equal(d.Files, want) {
		t.Errorf("read %v", d.Files)
	}
	list, ok := d.Operation("GET /things")
	if !ok || list.Description != "Lists **things**. All of them." || len(list.Parameters) != 1 || list.Parameters[0].Schema.Type != "integer" {
		t.Fatalf("list %+v", list)
	}
	thing := d.Resolve(list.Responses["200"].Schema.Items)
	if thing.Property("id").Type != "string" || d.Resolve(thing.Property("parent")) != thing || d.Resolve(thing.Property("name")).Type != "string" {
		t.Errorf("thing %+v", thing)
	}
	if owner := d.Resolve(thing.Property("owner")); d.Resolve(owner.Property("things").Items) != thing {
		t.Errorf("owner %+v", owner)
	}
	if d.Resolve(thing.Property("clash")).Type != "integer" || d.Schema("taken").Type != "string" {
		t.Error("two schemas of one name were taken for each other")
	}
	if names := d.SchemaNames(); !slices.Equal(names, []string{"taken", "thing", "owner"}) {
		t.Errorf("schemas %v", names)
	}
	created, _ := d.Operation("make")
	if created.Request.Schema.Ref != "thing" || created.Responses["201"].Schema.Type != "array" {
		t.Errorf("make %+v, %+v", created.Request.Schema, created.Responses["201"])
	}
	if !slices.Equal(d.Auth, []string{"key (apiKey header X-Key)"}) {
		t.Errorf("auth %v", d.Auth)
	}
	told := fmt.Sprint(d.Defects)
	for _, want := range []string{
		"../secret.yaml#/answer is outside of the document's folder", "https://evil.test/x.yaml#/a is on another host", "/etc/passwd is outside", "no%20such.yaml is in a file that is not there",
		"paths is in something that can't be read as a file", "{api/broken.json unreadable-file line 2",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is missing in %s", want, told)
		}
	}
	if strings.Contains(told, "never-opened") || strings.Contains(told, "top secret") {
		t.Errorf("something was opened that must not be, or told: %s", told)
	}
	if len(d.Operations) != 9 {
		t.Errorf("%d operations", len(d.Operations))
	}
}

// A change in any file shows in the digest, and only then.
func TestDigestOfSeveralFiles(t *testing.T) {
	t.Parallel()
	digest := func(change string) string {
		files := fstest.MapFS{}
		for name, f := range several {
			files[name] = f
		}
		if change != "" {
			files[change] = &fstest.MapFile{Data: append([]byte("# changed\n"), several[change].Data...)}
		}
		d, err := ReadFS(files, "api/root.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return d.SHA256
	}
	same := digest("")
	if digest("") != same || digest("secret.yaml") != same {
		t.Error("the digest changes by itself")
	}
	for _, file := range []string{"api/root.yaml", "api/models/thing.yaml", "api/text/intro.md"} {
		if digest(file) == same {
			t.Errorf("a change of %s does not show", file)
		}
	}
}

// A single file without a neighbour is the same by either way, and a folder's
// symbolic links do not lead out of it.
func TestReadFile(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile("testdata/petstore.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a, errA := Read(whole)
	b, errB := ReadFile("testdata/petstore.yaml")
	if errA != nil || errB != nil || a.SHA256 != b.SHA256 || len(a.Operations) != len(b.Operations) || len(b.Files) > 0 {
		t.Errorf("%v %v", errA, errB)
	}
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	if err := os.Mkdir(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"secret.yaml":      "type: string\ndescription: top secret\n",
		"inside/root.yaml": "openapi: 3.0.0\npaths: {}\ncomponents: {schemas: {a: {$ref: link.yaml}, b: {$ref: near.yaml}}}\n",
		"inside/real.yaml": "type: integer\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"inside/link.yaml": "../secret.yaml", "inside/near.yaml": "real.yaml", "shortcut.yaml": "inside/root.yaml"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := ReadFile(filepath.Join(dir, "shortcut.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Resolve(d.Schema("b")).Type != "integer" || strings.Contains(fmt.Sprint(d.Resolve(d.Schema("a")), d.Defects), "top secret") {
		t.Errorf("schemas %+v %+v, %v", d.Resolve(d.Schema("a")), d.Resolve(d.Schema("b")), d.Defects)
	}
	for _, path := range []string{filepath.Join(dir, "none.yaml"), dir, ""} {
		if _, err := ReadFile(path); err == nil || !strings.HasPrefix(err.Error(), "openapi: ") {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// packed makes an archive.
func packed(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The document of an archive is the one that stands highest.
func TestArchive(t *testing.T) {
	t.Parallel()
	d, err := Read(packed(t, map[string]string{
		"repo/README.md":            "openapi: no",
		"repo/old/openapi.yaml":     "openapi: 3.0.0\ninfo: {title: old}\npaths: {}\n",
		"repo/openapi.yaml":         "openapi: 3.0.0\ninfo: {title: new}\npaths: {/a: {$ref: a.yml}, /b: {$ref: ../../up.yml}}\n",
		"repo/a.yml":                "get: {operationId: a, responses: {}}\n",
		"../outside.yml":            "get: {operationId: outside}\n",
		"/absolute.yml":             "get: {operationId: absolute}\n",
		"repo/swagger-notes.yml":    "notes: {swagger: yes}\n",
		"repo/deep/down/swagger.js": "swagger: 2.0",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if d.Title != "new" || len(d.Operations) != 1 || d.Operations[0].ID != "a" || !slices.Equal(d.Files, []string{"repo/a.yml"}) {
		t.Errorf("%q, %+v, %v", d.Title, d.Operations, d.Files)
	}
	for name, data := range map[string][]byte{
		"none of the 1 files": packed(t, map[string]string{"a.txt": "openapi: 3.0.0"}),
		"can't be unpacked":   append(make([]byte, 257), append([]byte("ustar"), make([]byte, 2000)...)...),
	} {
		if _, err := Read(data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Defects count up to a bound, and what is beyond it is told.
func TestManyDefects(t *testing.T) {
	t.Parallel()
	var paths strings.Builder
	for i := range 2 * enough {
		fmt.Fprintf(&paths, `"/a%d":{"get":{}},`, i)
	}
	d, err := Read([]byte(`{"openapi":"3.0.0","paths":{` + strings.TrimSuffix(paths.String(), ",") + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Defects); n != enough+1 || d.Defects[n-1].Rule != "more-defects" {
		t.Errorf("%d defects, the last is %+v", n, d.Defects[n-1])
	}
}

func TestSecurityAndServers(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte(`openapi: 3.0.0
servers: [{url: "https://x.test/"}, {url: "https://x.test"}, {url: /relative}]
security: [{nobody: []}, {o: []}]
components:
  securitySchemes:
    o: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://x.test/token", scopes: {b: "", a: ""}}, authorizationCode: {authorizationUrl: "https://x.test/go", tokenUrl: "/token", refreshUrl: "/again"}}}
paths:
  /a: {servers: [{url: "https://files.test/"}], get: {operationId: a, responses: {"200": {headers: {X-Rate-Limit: {}, Link: {}}}, "400": {headers: {Link: {}}}}}, post: {operationId: b, servers: [{url: "https://x.test"}]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Servers, []string{"https://x.test"}) || d.Operations[0].Server != "https://files.test" || d.Operations[1].Server != "" {
		t.Errorf("servers %v, %+v", d.Servers, d.Operations)
	}
	s := d.Security[0]
	if s.String() != "o (oauth2 clientCredentials authorizationCode)" || !slices.Equal(s.Flows[0].Scopes, []string{"a", "b"}) || s.Flows[1].RefreshURL != "/again" {
		t.Errorf("scheme %+v", s)
	}
	if d.ResponseHeaders["Link"] != 1 || d.ResponseHeaders["X-Rate-Limit"] != 1 {
		t.Errorf("headers %v", d.ResponseHeaders)
	}
	if i := slices.IndexFunc(d.Defects, func(f Defect) bool { return f.Rule == "unknown-security" }); i < 0 || !strings.Contains(d.Defects[i].Message, `"nobody"`) {
		t.Errorf("defects %v", d.Defects)
	}
}
