package generate

import (
	"fmt"
	"go/format"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// Go writes the adapter in Go. The files compile and vet on their own, in a
// package of their own.
func Go(p *plan.Plan, o Options) ([]File, error) {
	a, err := prepare(p, o)
	if err != nil {
		return nil, err
	}
	g := &golang{adapter: a, types: map[string]string{}, enumTypes: map[string]string{}, taken: unique{}}
	for _, name := range []string{"Client", "Config", "New", "Error", "Option", "WithQuery", "WithIdempotencyKey", "Event", "Handlers", "Decimal", "Ptr", "NewWebhooks"} {
		g.taken[name] = true
	}
	g.name()
	var files []File
	add := func(name string, write func(*code)) error {
		c := &code{}
		c.line("package %s", a.name)
		write(c)
		formatted, err := format.Source([]byte(c.String()))
		if err != nil {
			return fmt.Errorf("generate: %s: %w", name, err)
		}
		files = append(files, File{Name: name, Content: sealed(filepath.Base(p.File), string(formatted))})
		return nil
	}
	steps := []struct {
		name  string
		write func(*code)
		skip  bool
	}{
		{"client.gen.go", g.client, len(a.endpoints) == 0},
		{"service.gen.go", g.service, len(a.endpoints) == 0},
		{"types.gen.go", g.typesFile, len(a.tables) == 0},
		{"webhooks.gen.go", g.webhooks, len(a.events) == 0},
		{"adapter.gen_test.go", g.tests, false},
	}
	for _, s := range steps {
		if s.skip {
			continue
		}
		if err := add(s.name, s.write); err != nil {
			return nil, err
		}
	}
	return append(files, g.yours()), nil
}

// code is a source file being written.
type code struct{ strings.Builder }

func (c *code) line(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

// comment writes text as a comment, however many lines it has.
func (c *code) comment(indent, text string) {
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		c.line("%s// %s", indent, strings.TrimRight(strings.Map(printable, line), " \t"))
	}
}

// printable keeps a comment from ending early or turning a terminal.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 {
		return ' '
	}
	return r
}

// golang writes Go.
type golang struct {
	*adapter
	types     map[string]string // table and direction → type
	enumTypes map[string]string // enum key → type
	taken     unique
}

func typeKey(table string, in bool) string { return fmt.Sprintf("%s %v", table, in) }

// name gives types their names before anything refers to them.
func (g *golang) name() {
	for _, t := range g.tables {
		name := pascal(t.name)
		if !t.in {
			name += "Input"
		}
		g.types[typeKey(t.name, t.in)] = g.taken.name(name)
	}
	for _, e := range g.enums {
		g.enumTypes[e.key()] = g.taken.name(pascal(e.table) + pascal(e.field))
	}
}

// goType is the Go type of a field.
func (g *golang) goType(f *field, in bool) string {
	t := ""
	switch {
	case f.table != "":
		t = g.types[typeKey(f.table, in)]
	case f.enum != "":
		t = g.enumTypes[f.enum]
	default:
		t = map[string]string{
			"integer": "int64", "decimal": "Decimal", "boolean": "bool", "datetime": "time.Time", "json": "json.RawMessage",
		}[f.as]
		if t == "" {
			t = "string"
		}
	}
	switch {
	case f.list:
		return "[]" + t
	case t == "json.RawMessage":
		return t
	case !in || f.null || f.table != "":
		return "*" + t
	}
	return t
}

func (g *golang) typesFile(c *code) {
	var body code
	for _, t := range g.tables {
		name := g.types[typeKey(t.name, t.in)]
		if t.in {
			body.comment("", fmt.Sprintf("%s is %s as the plan maps it. What the provider leaves out is the zero value.", name, t.name))
		} else {
			body.comment("", fmt.Sprintf("%s is %s as it is sent. What is nil is not sent; Ptr makes a pointer.", name, t.name))
		}
		body.line("type %s struct {", name)
		g.fields(&body, t.fields, t.in)
		body.line("}\n")
	}
	for _, e := range g.enums {
		g.enumType(&body, e)
	}
	text := body.String()
	if strings.Contains(text, "Decimal") {
		text += "// Decimal is an exact decimal number as text, such as \"19.90\".\ntype Decimal string\n\n"
	}
	if strings.Contains(text, "Ptr makes") {
		text += "// Ptr returns a pointer to v, for fields that may be left out.\nfunc Ptr[T any](v T) *T { return &v }\n"
	}
	c.imports(text, map[string]string{"json.RawMessage": "encoding/json", "time.Time": "time"})
	c.WriteString(text)
}

// imports writes those packages of which text uses something.
func (c *code) imports(text string, uses map[string]string) {
	var list []string
	for word, path := range uses {
		if regexp.MustCompile(`\b` + regexp.QuoteMeta(word)).MatchString(text) {
			list = append(list, `"`+path+`"`)
		}
	}
	if len(list) > 0 {
		c.line("import (\n%s\n)", strings.Join(list, "\n"))
	}
}

func (g *golang) fields(c *code, fields []*field, in bool) {
	taken := unique{}
	for _, f := range fields {
		name := taken.name(pascal(f.name))
		if f.as == "" {
			c.line("%s struct {", name)
			g.fields(c, f.fields, in)
			c.line("} `json:%q`", f.name+omit(in, "omitzero"))
			continue
		}
		note := f.external
		if f.personal != "" {
			note += " (" + f.personal + ")"
		}
		c.line("%s %s `json:%q` // %s", name, g.goType(f, in), f.name+omit(in, "omitempty"), strings.Map(printable, note))
	}
}

func omit(in bool, option string) string {
	if in {
		return ""
	}
	return "," + option
}

func (g *golang) enumType(c *code, e enum) {
	name := g.enumTypes[e.key()]
	what := fmt.Sprintf("%s is the field %s of %s.", name, e.field, e.table)
	if e.open {
		what += " Values that the plan does not name come through as the provider writes them."
	}
	c.comment("", what)
	c.line("type %s string\n", name)
	c.comment("", "The values the plan names.")
	c.line("const (")
	for _, v := range e.values {
		c.line("%s %s = %q", g.taken.name(name+pascal(v)), name, v)
	}
	c.line(")\n")
}

// yours is the start of the file that is the user's.
func (g *golang) yours() File {
	c := &code{}
	c.comment("", fmt.Sprintf("Package %s is how this product talks to %s. The files ending in .gen.go are made from the plan; this one is yours: "+
		"convert between the generated types and your own here, so that nothing else knows the provider's fields.", g.adapter.name, g.title))
	c.line("package %s", g.adapter.name)
	return File{Name: "mapper.go", Content: []byte(c.String()), Yours: true}
}
