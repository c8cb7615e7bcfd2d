package main

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

const intro = `<!-- Generated from the comments in package plan by "go generate ./plan". Change them there. -->
# Plan reference

A plan is one YAML file that says how your product works with one third party. This page lists every key. The same
rules as a JSON Schema, for editors: ` + "`sallyport schema`" + `.

Plans are read strictly. An unknown key is an error with its line, column and the nearest known key; every mistake of a
file is reported in one run. A key stands once. Anchors, aliases, merge keys and tags of YAML are not used, so that each
line says what it says. A file has at most 4 MB.

| Value | How it is written |
| --- | --- |
| text | as it is; in quotes where YAML would take it for something else (` + "`\"null\"`, `\"1.10\"`" + `) |
| duration | a whole number and a unit: ` + "`500ms`, `10s`, `30m`, `24h`, `90d`, `2w`" + ` |
| percentage | ` + "`1%` to `100%`" + ` |
| retries | ` + "`never`" + `, or a number from 1 to 20 |
| reference | where a secret is, never the secret: ` + "`env:NAME` or `file:PATH`; `vault:PATH#FIELD` and `ssm:NAME`" + ` are part of the format and refused by this version |

`

// writeReference writes every key of the format with its type, whether it must
// be there, what is allowed, what it means and a line that uses it.
func writeReference(c comments) ([]byte, error) {
	examples, err := readExamples()
	if err != nil {
		return nil, err
	}
	w := &reference{comments: c, examples: examples}
	w.b.WriteString(intro)
	w.section("", reflect.TypeFor[plan.Plan]())
	w.defaults()
	if err := w.notYet(); err != nil {
		return nil, err
	}
	if len(w.missing) > 0 {
		return nil, fmt.Errorf("no comment or no example in %s for: %s", exampleFile, strings.Join(w.missing, ", "))
	}
	return w.b.Bytes(), nil
}

type reference struct {
	b        bytes.Buffer
	comments comments
	examples map[string]string // path with NAME and [] → line
	missing  []string
}

func (w *reference) section(path string, t reflect.Type) {
	if path == "" {
		w.b.WriteString("## The file\n\n")
	} else {
		fmt.Fprintf(&w.b, "## %s\n\n", path)
	}
	w.b.WriteString("| Key | Value | Meaning | Example |\n| --- | --- | --- | --- |\n")
	type sub struct {
		path string
		t    reflect.Type
	}
	var below []sub
	for _, f := range fieldsOf(t) {
		here := strings.TrimPrefix(path+"."+keyOf(f), ".")
		w.row(here, t, f)
		if inner, at := innerStruct(f.Type, here); inner != nil {
			below = append(below, sub{at, inner})
		}
	}
	w.b.WriteString("\n")
	for _, s := range below {
		w.section(s.path, s.t)
	}
}

// innerStruct is the struct that a field holds, and its path.
func innerStruct(t reflect.Type, path string) (reflect.Type, string) {
	switch t.Kind() {
	case reflect.Pointer:
		return innerStruct(t.Elem(), path)
	case reflect.Map:
		return innerStruct(t.Elem(), path+".NAME")
	case reflect.Slice:
		return innerStruct(t.Elem(), path+"[]")
	case reflect.Struct:
		return t, path
	}
	return nil, ""
}

func (w *reference) row(path string, t reflect.Type, f reflect.StructField) {
	text, example := w.comments[t.PkgPath()+"."+t.Name()+"."+f.Name], w.examples[path]
	if text == "" || example == "" {
		w.missing = append(w.missing, path)
	}
	value := valueWords(f.Type)
	if inner, at := innerStruct(f.Type, path); inner != nil {
		value = strings.Replace(value, "keys", fmt.Sprintf("[keys](#%s)", anchor(at)), 1)
	}
	if enum := rule(f, "enum"); len(enum) > 0 {
		value = "`" + strings.Join(enum, "`, `") + "`"
	}
	key := "`" + keyOf(f) + "`"
	if slices.Contains(strings.Split(f.Tag.Get("jsonschema"), ","), "required") {
		key += " (required)"
	}
	if d := rule(f, "default"); len(d) > 0 {
		text += " Default: `" + d[0] + "`."
	}
	if want := f.Tag.Get("want"); want != "" && !strings.Contains(text, strings.TrimPrefix(want, "a date: ")) {
		text += " Form: " + want + "."
	}
	fmt.Fprintf(&w.b, "| %s | %s | %s | `%s` |\n", key, value, cell(text), cell(example))
}

// anchor is the fragment that the heading of a section gets when it is rendered.
func anchor(path string) string {
	return strings.ToLower(strings.NewReplacer(".", "", "[]", "").Replace(path))
}

// cell escapes what would end a table cell or become markup.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func valueWords(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[plan.Duration]():
		return "duration"
	case reflect.TypeFor[plan.Percent]():
		return "percentage"
	case reflect.TypeFor[plan.RetryCount]():
		return "retries"
	case reflect.TypeFor[catalog.OneOrMore]():
		return "reference, or a list of them"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return valueWords(t.Elem())
	case reflect.Struct:
		return "keys"
	case reflect.Map:
		return "by name: " + valueWords(t.Elem())
	case reflect.Slice:
		return "list: " + valueWords(t.Elem())
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Int:
		return "number"
	}
	return "text"
}

func (w *reference) defaults() {
	w.b.WriteString("## Default policy\n\nWhat follows an answer that `errors` does not name. An endpoint's effect can forbid a retry that stands here, never add one.\n\n| Answer | What follows |\n| --- | --- |\n")
	for _, row := range (&plan.Plan{}).Rows() {
		if row.Kind != "error" {
			continue
		}
		key := strings.TrimPrefix(row.ID, "error.")
		fmt.Fprintf(&w.b, "| `%s` | %s |\n", key, plan.DefaultErrors()[key].Words())
	}
	w.b.WriteString("\nOther answers of the 400s are not retried.\n\n")
}

// notYet lists what a plan may say and this version does not act upon.
func (w *reference) notYet() error {
	p, err := plan.Load(exampleFile, func(string) (*catalog.Profile, error) {
		return &catalog.Profile{
			Limits:   catalog.Limits{List: []catalog.Limit{{Name: "live", Limit: 100, Window: 60}, {Name: "search", Limit: 20, Window: 1}}},
			Webhooks: &catalog.Webhooks{},
		}, nil
	})
	if err != nil {
		return err
	}
	w.b.WriteString("## Not acted upon by this version\n\nThese rows are part of the format; `sallyport serve` warns of each that a plan uses.\n\n| Row | Why |\n| --- | --- |\n")
	told := map[string]bool{}
	for _, row := range p.Unenforced() {
		id := row.ID
		switch parts := strings.Split(id, "."); parts[0] {
		case "endpoint":
			id = "endpoint.NAME." + parts[2]
		case "error":
			id = "error.ANSWER"
		}
		line := fmt.Sprintf("| `%s` | %s |\n", id, row.Reason)
		if !told[line] {
			w.b.WriteString(line)
		}
		told[line] = true
	}
	return nil
}

// readExamples takes one line for each key out of the complete example plan,
// which the loader's tests load.
func readExamples() (map[string]string, error) {
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, err
	}
	examples := map[string]string{}
	collect(file.Docs[0].Body, "", reflect.TypeFor[plan.Plan](), examples)
	return examples, nil
}

func collect(n ast.Node, path string, t reflect.Type, into map[string]string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch x := n.(type) {
	case *ast.MappingNode:
		for _, e := range x.Values {
			key := e.Key.GetToken().Value
			if t.Kind() == reflect.Map {
				collect(e.Value, path+".NAME", t.Elem(), into)
				continue
			}
			here := strings.TrimPrefix(path+"."+key, ".")
			if _, ok := into[here]; !ok {
				into[here] = exampleLine(e)
			}
			for _, f := range fieldsOf(t) {
				if keyOf(f) == key && f.Type.Kind() != reflect.String {
					collect(e.Value, here, f.Type, into)
				}
			}
		}
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			return
		}
		for _, e := range x.Values {
			collect(e, path+"[]", t.Elem(), into)
		}
	}
}

// exampleLine is the entry in one line; what stands on lines below is shown as
// an ellipsis.
func exampleLine(e *ast.MappingValueNode) string {
	key := e.Key.String()
	switch v := e.Value.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle {
			return key + ": …"
		}
	case *ast.SequenceNode:
		if !v.IsFlowStyle {
			return key + ": …"
		}
	}
	return key + ": " + strings.TrimSpace(e.Value.String())
}
