package openapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const stripeFile = "../catalog/documents/stripe/spec3.json.gz"

func mustRead(t testing.TB, file string) *Document {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Read(data)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return d
}

var stripe = sync.OnceValues(func() (*Document, error) {
	data, err := os.ReadFile(stripeFile)
	if err != nil {
		return nil, err
	}
	return Read(data)
})

// R1.4: documents of every version, as found in the wild.
func TestReadDocuments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, format, title, server string
		operations, events          int
	}{
		{stripeFile, "openapi 3.0.0", "Stripe API", "https://api.stripe.com", 594, 265},
		{"testdata/petstore.yaml", "openapi 3.0.4", "Swagger Petstore - OpenAPI 3.0", "https://petstore3.swagger.io/api/v3", 19, 0},
		{"testdata/resend.yaml", "openapi 3.1.2", "Resend", "https://api.resend.com", 104, 17},
		{"testdata/slack_web_openapi_v2.json.gz", "swagger 2.0", "Slack Web API", "https://slack.com/api", 174, 0},
	} {
		d := mustRead(t, c.file)
		if d.Format != c.format || d.Title != c.title || len(d.Operations) != c.operations || len(d.EventTypes) != c.events {
			t.Errorf("%s: got %s %q, %d operations, %d event types", c.file, d.Format, d.Title, len(d.Operations), len(d.EventTypes))
		}
		if !slices.Equal(d.Servers, []string{c.server}) {
			t.Errorf("%s: servers %v", c.file, d.Servers)
		}
		if len(d.Defects) != 0 {
			t.Errorf("%s: defects %v", c.file, d.Defects)
		}
		if !slices.IsSortedFunc(d.Operations, func(a, b Operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) }) {
			t.Errorf("%s: operations are not sorted", c.file)
		}
		if !slices.IsSorted(d.EventTypes) {
			t.Errorf("%s: event types are not sorted", c.file)
		}
		for _, op := range d.Operations {
			if strings.ContainsAny(op.Summary+op.Description, "\n") || strings.Contains(op.Description, "</") {
				t.Errorf("%s: %s: mark-up is left in %q", c.file, op.Call(), op.Description)
			}
		}
	}
}

func TestStripeOperationAndSchemas(t *testing.T) {
	t.Parallel()
	d, err := stripe()
	if err != nil {
		t.Fatal(err)
	}
	op, ok := d.Operation("POST /v1/customers")
	if byID, same := d.Operation("PostCustomers"); !ok || !same || byID.Call() != op.Call() {
		t.Fatal("an operation is not found by call or by id")
	}
	if op.Description != "Creates a new customer object." || op.Request.ContentType != "application/x-www-form-urlencoded" {
		t.Errorf("got %q, %q", op.Description, op.Request.ContentType)
	}
	if s := d.Resolve(op.Request.Schema).Property("metadata"); s == nil {
		t.Error("the request has no metadata")
	}
	if op.Responses["200"].Schema.Ref != "customer" {
		t.Errorf("answer is %+v", op.Responses["200"].Schema)
	}
	invoice := d.Schema("invoice")
	status := invoice.Property("status")
	if status.Type != "string" || !status.Nullable || !slices.Equal(status.Enum, []string{"draft", "open", "paid", "uncollectible", "void"}) {
		t.Errorf("status is %+v", status)
	}
	if invoice.Property("created").Format != "unix-time" || invoice.Property("currency").Format != "currency" {
		t.Error("formats are lost")
	}
	if customer := invoice.Property("customer"); len(customer.AnyOf) != 3 || d.Resolve(customer.AnyOf[1]).Property("balance") == nil {
		t.Errorf("customer is %+v", customer)
	}
	if items := d.Resolve(invoice.Property("lines").Property("data").Items); items.Property("amount") == nil {
		t.Error("lines have no amount")
	}
	if invoice.Property("metadata").AdditionalProperties.Type != "string" || invoice.Property("no such thing") != nil {
		t.Error("metadata is no map, or there are properties that are not")
	}
	if !slices.Contains(d.EventTypes, "invoice.paid") || slices.Contains(d.EventTypes, "*") {
		t.Error("event types: invoice.paid is missing, or * is one")
	}
	if !slices.Equal(d.Auth, []string{"basicAuth (http basic)", "bearerAuth (http bearer)"}) {
		t.Errorf("auth is %v", d.Auth)
	}
}

func TestSwaggerBodyOfForms(t *testing.T) {
	t.Parallel()
	d := mustRead(t, "testdata/slack_web_openapi_v2.json.gz")
	op, ok := d.Operation("chat_postMessage")
	if !ok || op.Request == nil || op.Request.ContentType != "application/x-www-form-urlencoded" || !op.Request.Required {
		t.Fatalf("got %+v", op.Request)
	}
	if !slices.Equal(op.Request.Schema.Required, []string{"channel"}) || op.Request.Schema.Property("link_names").Type != "boolean" {
		t.Errorf("body is %+v", op.Request.Schema)
	}
	if slices.ContainsFunc(op.Parameters, func(p Parameter) bool { return p.In == "formData" || p.In == "body" }) {
		t.Error("a field of the body stands among the parameters")
	}
	if op.Responses["200"] == nil || op.Responses["200"].Schema == nil {
		t.Error("the answer has no schema")
	}
}

func TestOpenAPI31(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte(`openapi: 3.1.0
info: {title: T, version: "1"}
servers: [{url: "https://x.test/"}]
components:
  securitySchemes: {k: {type: http, scheme: bearer}}
  schemas:
    base: &base {type: object, required: [id], properties: {id: {type: string}}}
    merged:
      <<: *base
      description: own
    thing:
      type: [object, "null"]
      properties:
        state: {type: [string, "null"], enum: [on, off, null]}
        kind: {const: x}
        other: {oneOf: [{type: "null"}, {$ref: "#/components/schemas/thing"}]}
        part: {$ref: "#/components/schemas/thing/properties/state"}
webhooks:
  thing.made: {post: {responses: {"200": {description: ok}}}}
paths:
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      responses: {"200": {content: {text/plain: {}, application/vnd.x+json: {schema: {$ref: "#/components/schemas/thing"}}}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	thing := d.Schema("thing")
	state := thing.Property("state")
	if thing.Type != "object" || !thing.Nullable || !state.Nullable || !slices.Equal(state.Enum, []string{"on", "off"}) {
		t.Errorf("thing %+v, state %+v", thing, state)
	}
	if part := d.Resolve(thing.Property("part")); !slices.Equal(part.Enum, state.Enum) {
		t.Errorf("a pointer into a schema gives %+v", part)
	}
	if other := thing.Property("other"); !other.Nullable || len(other.AnyOf) != 1 || d.Resolve(other.AnyOf[0]) != thing {
		t.Errorf("other %+v", other)
	}
	if m := d.Schema("merged"); m.Description != "own" || m.Property("id") == nil {
		t.Errorf("merged %+v", m)
	}
	op, _ := d.Operation("GET /things/{id}")
	if op.Responses["200"].ContentType != "application/vnd.x+json" || len(op.Parameters) != 1 || op.ID != "get /things/{id}" {
		t.Errorf("operation %+v", op)
	}
	if !slices.Equal(d.EventTypes, []string{"thing.made"}) || !slices.Equal(d.Servers, []string{"https://x.test"}) {
		t.Errorf("events %v, servers %v", d.EventTypes, d.Servers)
	}
	if len(d.Defects) != 1 || d.Defects[0].Rule != "missing-operation-id" {
		t.Errorf("defects %v", d.Defects)
	}
}

func TestEventNames(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string][]string{
		`"x-webhooks":{"branch-rule-edited":{"post":{"operationId":"branch-rule/edited"}},"branch-rule-made":{"post":{"operationId":"branch-rule/made"}},"push":{"post":{"operationId":"push"}}}`: {"branch_rule", "push"},
		`"webhooks":{"email.sent":{"post":{"operationId":"sent/it"}}}`: {"email.sent"},
	} {
		d, err := Read([]byte(`{"openapi":"3.1.0","paths":{},` + doc + `}`))
		if err != nil || !slices.Equal(d.EventTypes, want) {
			t.Errorf("got %v, %v, want %v", d.EventTypes, err, want)
		}
	}
}

// R1.4: what is wrong is listed, and does not stop the import.
func TestDefects(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte(`{"openapi":"3.0.0","paths":{
		"/a":{"get":{"operationId":"x","responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/none"}}}}}}},
		"/b":{"get":{"operationId":"x","responses":{"200":{"$ref":"other.yaml#/x"}}},"post":{"requestBody":{"$ref":"#/components/requestBodies/loop"}}}},
		"components":{"requestBodies":{"loop":{"$ref":"#/components/requestBodies/loop"}},"schemas":{"p":{"$ref":"#/components/schemas/q"},"q":{"$ref":"#/components/schemas/p"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, f := range d.Defects {
		rules = append(rules, f.Rule)
		if f.Where == "" || f.Message == "" {
			t.Errorf("a defect names no place or no reason: %+v", f)
		}
	}
	for _, want := range []string{"missing-server", "missing-security", "duplicate-operation-id", "missing-operation-id", "unresolved-ref", "external-ref", "circular-ref"} {
		if !slices.Contains(rules, want) {
			t.Errorf("%s is missing in %v", want, rules)
		}
	}
	if len(d.Operations) != 3 {
		t.Errorf("%d operations", len(d.Operations))
	}
	for _, name := range []string{"p", "none"} {
		if s := d.Resolve(&Schema{Ref: name}); s == nil || s.Ref != "" {
			t.Errorf("Resolve(%s) gives %+v", name, s)
		}
	}
	if d.Schema("none") != nil || d.Resolve(nil) != nil {
		t.Error("something is made of nothing")
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("openapi: 3.0.0\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	var merges strings.Builder
	merges.WriteString("openapi: 3.0.0\nm0: &m0 {k: v}\n")
	for i := range 40 {
		fmt.Fprintf(&merges, "m%d: &m%d {<<: [*m%d, *m%d]}\n", i+1, i+1, i, i)
	}
	var zeros bytes.Buffer
	z := gzip.NewWriter(&zeros)
	for range maxBytes>>20 + 1 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	for name, c := range map[string]struct{ data, want string }{
		"empty":          {" \n", "empty"},
		"no document":    {`{"a":1}`, "no API document"},
		"list":           {"- a\n- b\n", "no API document"},
		"version":        {`{"openapi":"4.0.0","paths":{}}`, `version "4.0.0"`},
		"swagger 1":      {`{"swagger":"1.2","paths":{}}`, "1.2"},
		"no paths":       {`{"openapi":"3.0.0"}`, `no "paths"`},
		"broken JSON":    {"{\n\"openapi\":\"3.0.0\",\n\"paths\":}", "line 3"},
		"broken YAML":    {"openapi: 3.0.0\npaths: [", "line "},
		"half gzip":      {"\x1f\x8b\x08", "can't be unpacked"},
		"gzip bomb":      {zeros.String(), "unpacks to more than 64 MB"},
		"deep JSON":      {`{"openapi":"3.0.0","paths":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5001), "nested deeper"},
		"deeper JSON":    {`{"a":` + strings.Repeat("[", 1<<20), "JSON"},
		"deep YAML":      {"openapi: 3.0.0\npaths: " + strings.Repeat("[", 2000) + strings.Repeat("]", 2000), "too deeply"},
		"UTF-16":         {"\xff\xfeo\x00", "UTF-16"},
		"NUL":            {"{\"openapi\":\"3.0.0\",\n\"paths\":{\"\x00\":1}}", "line 2"},
		"NUL in YAML":    {"openapi: 3.0.0\npaths: {a: \"\x00\"}\n", "control characters"},
		"many lines":     {"openapi: 3.0.0\n" + strings.Repeat("\n", maxSeparators), "convert it to JSON"},
		"not closed":     {`{"openapi":"3.0.0","paths":{}`, "line 1"},
		"alias bomb":     {bomb.String(), "nodes"},
		"merge bomb":     {merges.String(), "merges too much"},
		"alias in alias": {"openapi: &a [*a]\n", "contains itself"},
		"key":            {"openapi: 3.0.0\n? [a]\n: b\n", "key"},
	} {
		start := time.Now()
		d, err := Read([]byte(c.data))
		if err == nil || d != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// A reference that multiplies when it is expanded must cost nothing.
func TestReferencesAreNotExpanded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"openapi":"3.0.0","paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"content":{"application/json":{"schema":{"properties":{`)
	for i := range 1000 {
		fmt.Fprintf(&b, `"p%d":{"$ref":"#/paths/~1a/get/responses/200/content/application~1json/schema"},`, i)
	}
	b.WriteString(`"last":{"type":"string"}}}}}}}}}}}`)
	d, err := Read([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	s := d.Operations[0].Responses["200"].Schema
	for range 5 {
		s = d.Resolve(s.Property("p7"))
		if s.Property("last") == nil {
			t.Fatalf("got %+v", s)
		}
	}
}

func TestDocumentIsReadConcurrently(t *testing.T) {
	t.Parallel()
	d, err := stripe()
	if err != nil {
		t.Fatal(err)
	}
	names := d.SchemaNames()
	if len(names) != 1454 {
		t.Fatalf("%d schemas", len(names))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, name := range names[:200] {
				if d.Schema(name) == nil {
					t.Errorf("no schema %s", name)
				}
			}
		})
	}
	all.Wait()
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<p>Creates a <b>new</b> customer.</p>\n<p>And &amp; more</p>": "Creates a new customer. And & more",
		"a < b and c > d":                          "a < b and c > d",
		"see [the `docs`](https://x.test/a) & [b]": "see the docs & [b]",
		"<":                  "<",
		"open <a href":       "open <a href",
		"[](":                "[](",
		"two  spaces\r\nend": "two spaces end",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func BenchmarkReadStripe(b *testing.B) {
	data, err := os.ReadFile(stripeFile)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(data); err != nil {
			b.Fatal(err)
		}
	}
}
