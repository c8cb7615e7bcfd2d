package document_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	gtext "github.com/yuin/goldmark/text"

	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// hostile are texts that mean something to Markdown, HTML, Mermaid or a
// terminal.
var hostile = []string{
	"<script>alert(1)</script>", "a|b|c", "`", "``` \n```\n# out", "\n\n# Heading\n\n- list", "**bold** _it_ ~~x~~", "\\", "|\\||",
	"[x](javascript:alert(1))", "![x](https://evil.example/p.png)", "https://ok.example/\"onmouseover=x", "javascript:alert(1)",
	"<!-- ", "-->", "&lt;&#60;", "'\"><img src=x onerror=alert(1)>", "end; a0->>a1: forged", "%%{init: {}}%%", "#35;", "1. one", "- x", "> q",
	"\x00\x1b[31m", "\u202egnp.exe", "$x$", "</svg></style></title>", "</summary></details>", "a`b``c", "\xff\xfe", "", " ", "---", "===", "| --- |", "<https://x>", "www.example.com",
	strings.Repeat("w", 400),
}

// R8.1: whatever a plan holds is text and changes nothing of the document's
// build.
func TestHostileText(t *testing.T) {
	t.Parallel()
	for i, s := range hostile {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			attack(t, s)
		})
	}
}

func FuzzHostileText(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 500 {
			s = s[:500]
		}
		attack(t, s)
	})
}

// The build of the document of a harmless text.
var (
	calmOnce               sync.Once
	calmMarkdown, calmHTML []string
)

// attack puts s behind every text of a plan, its profile and the document, and
// compares the build with that of a harmless text.
func attack(t *testing.T, s string) {
	t.Helper()
	calmOnce.Do(func() {
		calm := written(t, "x")
		calmMarkdown, calmHTML = markdownBuild(t, calm.markdown), htmlBuild(t, calm.html)
	})
	wild := written(t, "x"+s)
	if got, want := markdownBuild(t, wild.markdown), calmMarkdown; !slices.Equal(got, want) {
		t.Errorf("%q changes the build of the Markdown:\n%s", s, firstDifference([]byte(strings.Join(got, "\n")), []byte(strings.Join(want, "\n"))))
	}
	if got, want := htmlBuild(t, wild.html), calmHTML; !slices.Equal(got, want) {
		t.Errorf("%q changes the build of the HTML:\n%s", s, firstDifference([]byte(strings.Join(got, "\n")), []byte(strings.Join(want, "\n"))))
	}
	for _, bad := range []string{"\x00", "\x1b", "\u202e"} {
		if bytes.Contains(wild.markdown, []byte(bad)) || bytes.Contains(wild.html, []byte(bad)) {
			t.Errorf("%q came through", bad)
		}
	}
}

type forms struct{ markdown, html []byte }

// written is the document of a plan that uses every key, at Stripe.
func written(t *testing.T, s string) forms {
	t.Helper()
	return writtenOf(t, loadPlan(t, "complete"), s)
}

func writtenOf(t *testing.T, p *plan.Plan, s string) forms {
	t.Helper()
	provider := *p.Provider
	p.Provider = &provider
	poisoned := poison(reflect.ValueOf(p), s).Interface().(*plan.Plan)
	doc := poison(reflect.ValueOf(apiDocument()), s).Interface().(*openapi.Document)
	md, err := document.Markdown(poisoned, doc)
	if err != nil {
		t.Fatal(err)
	}
	h, err := document.HTML(poisoned, doc)
	if err != nil {
		t.Fatal(err)
	}
	return forms{md, h}
}

// R8.1: the same for what the profiles of other providers hold: OAuth, variants
// of signatures, errors inside a success, handshakes.
func TestHostileProfiles(t *testing.T) {
	t.Parallel()
	for name := range plans(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calm := writtenOf(t, loadPlan(t, name), "x")
			markdown, page := markdownBuild(t, calm.markdown), htmlBuild(t, calm.html)
			for _, s := range []string{"<script>alert(1)</script>", "a|b`c", "\n\n# Heading\n\n- list", "'\"><img src=x onerror=alert(1)>", "\u202egnp.exe\x1b[31m", "</summary></details>"} {
				wild := writtenOf(t, loadPlan(t, name), "x"+s)
				if got := markdownBuild(t, wild.markdown); !slices.Equal(got, markdown) {
					t.Errorf("%q changes the build of the Markdown:\n%s", s, firstDifference([]byte(strings.Join(got, "\n")), []byte(strings.Join(markdown, "\n"))))
				}
				if got := htmlBuild(t, wild.html); !slices.Equal(got, page) {
					t.Errorf("%q changes the build of the HTML:\n%s", s, firstDifference([]byte(strings.Join(got, "\n")), []byte(strings.Join(page, "\n"))))
				}
			}
		})
	}
}

// choices decide which blocks there are; they keep their value.
var choices = []string{"Use", "Kind", "Confidence", "Direction", "Effect", "Unit"}

// poison copies a value with s behind each of its strings, keys included.
func poison(v reflect.Value, s string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		out.SetString(v.String() + s)
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(poison(v.Elem(), s))
	case reflect.Struct:
		out.Set(v)
		for i := range v.NumField() {
			f := v.Type().Field(i)
			empty := v.Field(i).Kind() == reflect.String && v.Field(i).Len() == 0
			if f.IsExported() && !empty && !slices.Contains(choices, f.Name) {
				out.Field(i).Set(poison(v.Field(i), s))
			}
		}
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(poison(v.Index(i), s))
		}
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out.Set(reflect.MakeMap(v.Type()))
		for key, value := range v.Seq2() {
			out.SetMapIndex(poison(key, s), poison(value, s))
		}
	default:
		out.Set(v)
	}
	return out
}

// markdownBuild reads Markdown back: its blocks and cells in order, without
// the text. What could run or load anything fails the test.
func markdownBuild(t *testing.T, b []byte) []string {
	t.Helper()
	root := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(gtext.NewReader(b))
	var build []string
	err := ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.RawHTML, *ast.HTMLBlock, *ast.Image, *ast.Link, *east.Strikethrough:
			t.Errorf("%s in %q", n.Kind(), n.Parent().Text(b)) //nolint:staticcheck // the plain text is what helps here
		case *ast.AutoLink:
			if u := string(n.URL(b)); !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") && !strings.Contains(u, "@") {
				t.Errorf("a link to %q", u)
			}
		}
		if n.Type() == ast.TypeBlock {
			build = append(build, n.Kind().String())
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return build
}

// htmlBuild reads HTML back as a strict tree: its elements in order without
// text, links and places to break a line.
func htmlBuild(t *testing.T, b []byte) []string {
	t.Helper()
	allowed := map[string]string{
		"html": "lang", "head": "", "meta": "charset name content http-equiv", "title": "id", "style": "", "body": "", "a": "class href rel",
		"header": "", "h1": "", "h2": "id", "h3": "id", "h4": "id", "details": "", "summary": "", "p": "class", "nav": "aria-label", "ul": "class", "ol": "", "li": "", "main": "",
		"section": "aria-labelledby", "div": "class tabindex role aria-label", "table": "", "caption": "", "thead": "", "tbody": "", "tr": "",
		"th": "scope", "td": "", "code": "", "strong": "", "wbr": "", "label": "", "input": "type", "span": "", "figure": "tabindex", "figcaption": "",
		"svg": "viewBox width role aria-labelledby", "desc": "id", "defs": "", "marker": "id class viewBox refX refY markerWidth markerHeight orient",
		"path": "d", "line": "class x1 y1 x2 y2 marker-end", "rect": "class x y width height rx", "text": "class x y", "tspan": "x y",
	}
	quiet := []string{"a", "wbr", "code", "strong", "tspan"}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.AutoClose = []string{"meta", "input", "wbr"}
	d.Strict = false // an element may stay open: <meta>
	d.Entity = xml.HTMLEntity
	var build []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return build
		}
		if err != nil {
			t.Fatalf("the HTML is not a tree: %v", err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		attributes, ok := allowed[e.Name.Local]
		if !ok {
			t.Errorf("element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			if !slices.Contains(strings.Fields(attributes), a.Name.Local) {
				t.Errorf("%s has the attribute %s", e.Name.Local, a.Name.Local)
			}
			if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") && !strings.HasPrefix(a.Value, "https://") && !strings.HasPrefix(a.Value, "http://") {
				t.Errorf("a link to %q", a.Value)
			}
		}
		if !slices.Contains(quiet, e.Name.Local) {
			build = append(build, e.Name.Local)
		}
	}
}
