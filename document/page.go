package document

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// page is the document before it has a form.
type page struct {
	title  string
	lead   string
	blocks []any // heading, paragraph, note, list, table, diagram
}

// text is a line of spans.
type text []span

// span is a piece of a line.
type span struct {
	kind spanKind
	s    string
	href string // of a link
}

type spanKind int

const (
	plain  spanKind = iota
	code            // as it is typed: names, values, paths
	strong          // what the eye should find
	link            // to href; s is what is read
)

// heading opens a section (level 2), a part of one (level 3) or one thing in it
// (level 4).
type heading struct {
	level int
	title text
	id    string
}

type paragraph text

// note stands apart from the text around it.
type note text

// list is a list of lines: bullets, numbers or boxes to tick.
type list struct {
	style listStyle
	items []text
}

type listStyle int

const (
	bullets listStyle = iota
	numbers
	boxes
)

// table has a row of column heads; the first cell of a row is its head.
type table struct {
	caption string
	head    []string
	rows    [][]text
	folded  bool // closed at first, where the form can do that
}

// diagram is a sequence of messages between actors.
type diagram struct {
	title  string
	actors []string
	steps  []step
}

// step is one message, or a note beside one actor when to equals from.
type step struct {
	from, to int // indexes into actors
	label    string
	answer   bool // drawn dashed
}

// t makes a text: strings are plain, spans and texts stay what they are.
func t(parts ...any) text {
	var out text
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			if part != "" {
				out = append(out, span{kind: plain, s: part})
			}
		case span:
			if part.s != "" {
				out = append(out, part)
			}
		case text:
			out = append(out, part...)
		default:
			out = append(out, span{kind: plain, s: fmt.Sprint(part)})
		}
	}
	return out
}

func codeSpan(s string) span   { return span{kind: code, s: s} }
func strongSpan(s string) span { return span{kind: strong, s: s} }

// linkSpan links an absolute http or https URL; everything else is shown as it
// is typed, so no other scheme can hide behind a word.
func linkSpan(s string) span {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(s, " <>\"'`\\|^{}") || clean(s) != s {
		return codeSpan(s)
	}
	return span{kind: link, s: s, href: s}
}

// joined puts texts behind each other with a separator between.
func joined(parts []text, separator string) text {
	var out text
	for i, part := range parts {
		if i > 0 {
			out = append(out, span{kind: plain, s: separator})
		}
		out = append(out, part...)
	}
	return out
}

// codes is a list of names with commas between.
func codes(names []string) text {
	parts := make([]text, len(names))
	for i, name := range names {
		parts[i] = t(codeSpan(name))
	}
	return joined(parts, ", ")
}

// clean makes one line of a string: white space becomes one space, control
// characters and those that turn the direction of writing are spelled out, so a
// reader sees what is there.
func clean(s string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ") {
		if unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u00ad' {
			fmt.Fprintf(&b, "U+%04X", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// writer makes the page of one plan.
type writer struct {
	page       page
	plan       *plan.Plan
	provider   *catalog.Profile
	doc        *openapi.Document // nil: not given
	rows       []plan.Row
	unenforced []plan.Row
	checked    []check // what the review said; nil before it was asked
	answered   []point // the plan points; nil before they were gone through
}

func (w *writer) section(id, title string) {
	w.page.blocks = append(w.page.blocks, heading{level: 2, title: t(title), id: id})
}

func (w *writer) part(id string, title ...any) {
	w.page.blocks = append(w.page.blocks, heading{level: 3, title: t(title...), id: id})
}

// thing opens what belongs to one name within a part.
func (w *writer) thing(id string, title ...any) {
	w.page.blocks = append(w.page.blocks, heading{level: 4, title: t(title...), id: id})
}

func (w *writer) say(parts ...any)  { w.page.blocks = append(w.page.blocks, paragraph(t(parts...))) }
func (w *writer) note(parts ...any) { w.page.blocks = append(w.page.blocks, note(t(parts...))) }

func (w *writer) list(style listStyle, items ...text) {
	if len(items) > 0 {
		w.page.blocks = append(w.page.blocks, list{style, items})
	}
}

func (w *writer) table(caption string, head []string, rows [][]text) {
	if len(rows) > 0 {
		w.page.blocks = append(w.page.blocks, table{caption: caption, head: head, rows: rows, folded: len(rows) > longTable})
	}
}

// longTable is how many rows a table may have before it is folded.
const longTable = 24

// details is a table that is read when in doubt.
func (w *writer) details(caption string, head []string, rows [][]text) {
	if len(rows) > 0 {
		w.page.blocks = append(w.page.blocks, table{caption: caption, head: head, rows: rows, folded: true})
	}
}

// facts is a table of two columns that leaves out what nobody said: a row whose
// first part is empty.
type facts [][]text

func (f *facts) add(name string, parts ...any) {
	if len(parts) == 0 || len(t(parts[0])) == 0 {
		return
	}
	if value := t(parts...); len(value) > 0 {
		*f = append(*f, []text{t(name), value})
	}
}
