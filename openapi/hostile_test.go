package openapi

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// R1.4: documents made to cost much cost little: time and memory are bounded by
// the size of the document.
func TestHostileDocuments(t *testing.T) { //nolint:paralleltest // it measures time and memory
	const many = 100_000
	join := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.ReplaceAll(format, "%", fmt.Sprint(i)))
		}
		return b.String()
	}
	chain := join(many, `"s%":{"$ref":"#/components/schemas/n%"},"n%":{"$ref":"#/components/schemas/s%x"}`)
	chain = strings.NewReplacer("x\"}", `"}`).Replace(chain)
	var ring strings.Builder
	for i := range many {
		fmt.Fprintf(&ring, `"s%d":{"$ref":"#/components/schemas/s%d"},`, i, (i+1)%many)
	}
	var tail strings.Builder // a chain that is read from its far end
	for i := range many {
		fmt.Fprintf(&tail, `"t%d":{"$ref":"#/components/schemas/t%d"},`, i, i+1)
	}
	head := `{"openapi":"3.0.0","paths":{},`
	deep := strings.Repeat(`{"allOf":[`, 70) + `{"enum":[` + join(200_000, `"v%"`) + `]}` + strings.Repeat(`]}`, 70)
	for name, text := range map[string]string{
		"references to nothing":  head + `"components":{"schemas":{"a":{"properties":{` + join(many, `"p%":{"$ref":"#/components/schemas/none%"}`) + `}}}}}`,
		"references into nooks":  head + `"components":{"schemas":{"a":{"properties":{` + join(many, `"p%":{"$ref":"#/components/schemas/a/properties/p%"}`) + `}}}}}`,
		"spellings of one place": head + `"components":{"schemas":{"a":{"properties":{` + join(20_000, `"p%":{"$ref":"#/components/schemas/a/properties/%70%"}`) + `}}}}}`,
		"references elsewhere":   head + `"components":{"schemas":{"a":{"properties":{` + join(many, `"p%":{"$ref":"f%.yaml#/x"}`) + `}}}}}`,
		"a ring":                 head + `"components":{"schemas":{` + ring.String() + `"end":{}}}}`,
		"a chain":                head + `"components":{"schemas":{` + tail.String() + `"end":{}}}}`,
		"rings of two":           head + `"components":{"schemas":{` + chain + `}}}`,
		"a huge enum":            head + `"components":{"schemas":{"a":{"enum":[` + join(1_000_000, `"value%"`) + `]}}}}`,
		"many operations":        `{"openapi":"3.0.0","paths":{` + join(50_000, `"/a%":{"get":{"operationId":"same"}}`) + `}}`,
		"many parameters":        `{"openapi":"3.0.0","paths":{"/a":{"get":{"parameters":[` + join(200_000, `{"name":"p%","in":"query"}`) + `]}}}}`,
		"one large path":         `{"openapi":"3.0.0","paths":{` + join(20_000, `"/a%":{"$ref":"#/x"}`) + `},"x":{"get":{"responses":{"200":{"content":{"a/json":{"schema":{"enum":[` + join(100_000, `"v%"`) + `]}}}}}}}}`,
		"one large answer":       `{"openapi":"3.0.0","paths":{` + join(20_000, `"/a%":{"get":{"responses":{"200":{"$ref":"#/x"}}}}`) + `},"x":{"content":{"a/json":{"schema":{"enum":[` + join(100_000, `"v%"`) + `]}}}}}`,
		"one large parameter":    `{"openapi":"3.0.0","paths":{` + join(20_000, `"/a%":{"get":{"parameters":[{"$ref":"#/x"}]}}`) + `},"x":{"name":"n","in":"query","schema":{"enum":[` + join(100_000, `"v%"`) + `]}}}`,
		"consumes at the end":    `{"swagger":"2.0","host":"h","paths":{` + join(20_000, `"/a%":{"post":{"parameters":[{"in":"body"}]}}`) + `},"consumes":["a/b"]}`,
		"a member a thousand":    `{"openapi":"3.0.0","paths":{` + join(many, `"/a":{"get":{}}`) + `}}`,
		"deep schemas":           `{"openapi":"3.0.0","paths":{"/a":{"get":{"responses":{"200":{"content":{"a/json":{"schema":` + deep + `}}}}}}}}`,
		"a long name":            head + `"components":{"schemas":{"` + strings.Repeat("n", 8<<20) + `":{"$ref":"#/` + strings.Repeat("a/", 1<<20) + `"}}}}`,
		"angle brackets":         `{"openapi":"3.0.0","paths":{"/a":{"get":{"description":"` + strings.Repeat("<a", 500_000) + `"}}}}`,
		"square brackets":        `{"openapi":"3.0.0","paths":{"/a":{"get":{"description":"` + strings.Repeat("](", 500_000) + `"}}}}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		d, err := Read([]byte(text))
		if err == nil {
			whole(t, d)
		}
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		mb := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%-24s %6d ms %5d MB of %2d MB, %v", name, took.Milliseconds(), mb, len(text)>>20, err)
		if took > 20*time.Second || mb > 1000 {
			t.Errorf("%s: %s, %d MB", name, took, mb)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Wrong types everywhere, numbers beyond any, members twice, bytes that are no
// text: what is read can be written again.
func TestOddValues(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte("{\"openapi\":\"3.0.0\",\"info\":7,\"servers\":{\"url\":1},\"paths\":{\"/a\":{\"get\":{\"operationId\":[1],\"tags\":3,\"parameters\":{\"a\":1},\n" +
		"\"responses\":[null,7],\"description\":{\"a\":1},\"requestBody\":\"x\"},\"put\":7,\"post\":null},\"/a\":{\"get\":{\"operationId\":\"second\"}},\"/b\":[1]},\n" +
		"\"components\":{\"schemas\":{\"x\":{\"type\":9,\"default\":1e999999,\"example\":{\"deep\":[1e999999]},\"maxLength\":1e999999,\"enum\":[1e999999,\"\xff\"],\"properties\":[1,2],\"required\":\"no\",\"items\":3},\"y\":null,\"x\":{}}}}"))
	if err != nil {
		t.Fatal(err)
	}
	x := d.Schema("x")
	if _, err := json.Marshal(x); err != nil || x.Default != "1e999999" || !slices.Equal(x.Enum, []string{"1e999999", "\uFFFD"}) {
		t.Errorf("%v: %+v", err, x)
	}
	if op, ok := d.Operation("GET /a"); !ok || op.ID != "get /a" || op.Request != nil || op.Description != "" || len(op.Tags) != 0 || len(op.Parameters) != 0 || len(op.Responses) != 0 {
		t.Errorf("%+v", op)
	}
	if len(d.Operations) != 1 || d.Schema("y") == nil {
		t.Errorf("%d operations", len(d.Operations))
	}
	var rules []string
	for _, f := range d.Defects {
		rules = append(rules, f.Rule+" "+f.Where)
	}
	for _, want := range []string{"invalid-utf-8 line 3", "duplicate-key line 2", "duplicate-key line 3", "no-operation PUT /a", "no-operation POST /a"} {
		if !slices.Contains(rules, want) {
			t.Errorf("%s is missing in %v", want, rules)
		}
	}
}

// YAML has its own ways of writing a member twice, and of what is no value.
func TestOddYAML(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte("openapi: 3.0.0\npaths:\n  /a: {get: {operationId: one, deprecated: !!bool maybe, tags: [~, .nan, .inf, 0x10, 2026-01-01, yes]}}\n  /a: {get: {operationId: two}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	op, ok := d.Operation("one")
	if !ok || len(d.Operations) != 1 || op.Deprecated || fmt.Sprint(op.Tags) != "[ .nan .inf 0x10 2026-01-01 yes]" {
		t.Errorf("%+v", d.Operations)
	}
	if !slices.ContainsFunc(d.Defects, func(f Defect) bool { return f.Rule == "duplicate-key" && f.Where == "line 4" }) {
		t.Errorf("defects %v", d.Defects)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"openapi":"3.0.0","paths":{"/a":{"get":{"responses":{"200":{"$ref":"#/paths/~1a"}}}}}}`))
	f.Add([]byte("openapi: 3.1.0\npaths:\n  /a: {post: {requestBody: {content: {a/b: {schema: {type: [string, 'null'], enum: [a, null]}}}}}}\nwebhooks: {x: {}}\n"))
	f.Add([]byte(`{"swagger":"2.0","host":"h","schemes":["http"],"paths":{"/a":{"post":{"parameters":[{"in":"formData","name":"x"},{"in":"body","schema":{"allOf":[{}]}}]}}},"definitions":{"a":{"$ref":"#/definitions/a"}}}`))
	f.Add([]byte("a: &a {<<: *a}\n"))
	f.Add([]byte("{\"a\":\"\\u0000<p>[x](y)&lt;\"}"))
	f.Add([]byte(`{"openapi":"3.0.0","paths":{},"a":1,"a":{"$ref":"x"},"components":{"schemas":{"a":{"x-webhook":{"event":"a.b"}}},"securitySchemes":{"k":{"type":"oauth2","flows":{"password":{"scopes":{"a":""}}}}}}}`))
	for _, file := range []string{"testdata/petstore.yaml", "testdata/snowflake/common.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:4000])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Read(data)
		if err != nil {
			if d != nil || !strings.HasPrefix(err.Error(), "openapi: ") {
				t.Fatalf("document %v with error %v", d, err)
			}
			return
		}
		whole(t, d)
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
	})
}
