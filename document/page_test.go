package document_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func firstElement(n *html.Node) *html.Node {
	for c := range n.ChildNodes() {
		if c.Type == html.ElementNode {
			return c
		}
	}
	return nil
}

// parsed is the page as a browser reads it.
func parsed(t *testing.T, p *plan.Plan, doc *openapi.Document) *html.Node {
	t.Helper()
	b, err := document.HTML(p, doc)
	if err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := html.Render(&again, root); err != nil {
		t.Fatal(err)
	}
	// A parser that had to mend something has other elements than were written.
	for _, tag := range []string{"<table", "<tr", "<td", "<th ", "<p", "<li", "<details", "<section", "<h2", "<h3", "<h4", "<div", "<svg", "</p>", "</li>", "</section>"} {
		if wrote, read := bytes.Count(b, []byte(tag)), bytes.Count(again.Bytes(), []byte(tag)); wrote != read {
			t.Errorf("%d of %s were written, %d are read", wrote, tag, read)
		}
	}
	return root
}

// judge checks one page: what it loads, the order of its headings, landmarks,
// heads of tables, names of what can be reached.
func judge(t *testing.T, root *html.Node) {
	t.Helper()
	level, counted := 0, map[atom.Atom]int{}
	ids := map[string]bool{}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Namespace == "" {
			counted[n.DataAtom]++
		}
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("the id %q stands twice", id)
			}
			ids[id] = true
		}
		for _, a := range n.Attr {
			loads := slices.Contains([]string{"src", "srcset", "poster", "data", "background", "action", "formaction", "ping", "style"}, a.Key) || strings.HasPrefix(a.Key, "on")
			if loads || a.Key == "href" && n.DataAtom != atom.A {
				t.Errorf("<%s %s=%q> loads or runs something", n.Data, a.Key, a.Val)
			}
		}
		switch n.DataAtom {
		case atom.Script, atom.Link, atom.Img, atom.Iframe, atom.Object, atom.Embed, atom.Video, atom.Audio, atom.Base, atom.Form:
			t.Errorf("there is a <%s>", n.Data)
		case atom.Style:
			if css := n.FirstChild.Data; strings.Contains(css, "url(") || strings.Contains(css, "@import") {
				t.Error("the style loads something")
			}
		case atom.H1, atom.H2, atom.H3, atom.H4:
			next := int(n.Data[1] - '0')
			if next > level+1 {
				t.Errorf("heading %q of level %d follows one of level %d", words(n), next, level)
			}
			level = next
		case atom.Th:
			if s := attribute(n, "scope"); s != "row" && s != "col" {
				t.Errorf("the head %q has the scope %q", words(n), s)
			}
		case atom.Table:
			if first := firstElement(n); first == nil || first.DataAtom != atom.Caption {
				t.Error("a table has no caption")
			}
		case atom.Details:
			if first := firstElement(n); first == nil || first.DataAtom != atom.Summary {
				t.Error("nothing says what is folded")
			}
		}
	}
	for _, one := range []atom.Atom{atom.Main, atom.Header, atom.Nav, atom.H1, atom.Title} {
		if counted[one] != 1 {
			t.Errorf("%d of <%s>, want one", counted[one], one)
		}
	}
}

// words is the text in a node, a space between elements.
func words(n *html.Node) string {
	var parts []string
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			parts = append(parts, strings.Fields(d.Data)...)
		}
	}
	return strings.Join(parts, " ")
}

// measured counts the words of a page: on the first screen, open at first, and
// all.
func measured(root *html.Node) (first, open, all int) {
	for n := range root.Descendants() {
		if n.Type != html.TextNode {
			continue
		}
		folded, summary, skip := false, false, false
		for up := n.Parent; up != nil; up = up.Parent {
			switch up.DataAtom {
			case atom.Style, atom.Title, atom.Nav:
				skip = true
			case atom.Details:
				folded = true
			case atom.Section:
				summary = attribute(up, "aria-labelledby") == "summary"
			}
			if up.Data == "desc" || up.Data == "title" {
				skip = true
			}
		}
		if skip {
			continue
		}
		count := len(strings.Fields(n.Data))
		all += count
		if !folded {
			open += count
		}
		if summary {
			first += count
		}
	}
	return first, open, all
}

// R8.1, R8.4: each page is valid, loads nothing, and is short: a screen of
// summary, a quarter of an hour before anything is unfolded, half an hour in all.
func TestPages(t *testing.T) {
	t.Parallel()
	for name, p := range plans(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := parsed(t, p, nil)
			judge(t, root)
			first, open, all := measured(root)
			t.Logf("%s: %d words on the first screen, %d open, %d in all", name, first, open, all)
			if first > 220 {
				t.Errorf("%d words on the first screen, at most 220", first)
			}
			if open > 3200 {
				t.Errorf("%d words before anything is unfolded, at most 3200", open)
			}
			if all > 6500 {
				t.Errorf("%d words in all, at most 6500", all)
			}
		})
	}
}

// R8.1: a page can be made for each profile of the catalog and each way to
// authenticate, and none has a hole in a sentence.
func TestEveryProfile(t *testing.T) {
	t.Parallel()
	entries := catalog.IDs()
	if len(entries) < 100 {
		t.Fatalf("only %d profiles", len(entries))
	}
	for _, id := range entries {
		pr, err := catalog.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		kind := "api_key"
		if len(pr.Auth) > 0 {
			kind = pr.Auth[0].Kind
		}
		p := &plan.Plan{
			Service: "try", Uses: id, Need: "Try it.", Auth: plan.Auth{Use: kind}, Provider: pr,
			Endpoints: map[string]*plan.Endpoint{"get": {Call: "GET /things", Purpose: "Look.", Effect: plan.EffectRead}, "make": {Call: "POST /things", Purpose: "Make.", Effect: plan.EffectCreate}},
		}
		if pr.Webhooks != nil {
			p.Webhooks = &plan.Webhooks{Events: map[string]plan.EventHandling{"thing.made": {}}}
		}
		judge(t, parsed(t, p, nil))
		md, err := document.Markdown(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"%!", ": .", " ,", "` , ", "()", "<nil>", "[]", "; ;", ":;", ", ,", " ;"} {
			for line := range strings.Lines(string(md)) {
				if strings.Contains(line, bad) && !strings.Contains(line, "`") && !strings.Contains(line, "http") {
					t.Errorf("%s: %q in %s", id, bad, line)
				}
			}
		}
	}
}
