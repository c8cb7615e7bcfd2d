package document

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"strings"
)

// style is the whole look of the HTML document.
//
//go:embed style.css
var style []byte

// htmlEscape makes text of a string, safe in an element and in a quoted
// attribute.
func htmlEscape(s string) string { return html.EscapeString(clean(s)) }

// html writes the page as one file. The policy in its head lets a browser load
// nothing, whatever a mistake here would let through.
func (p *page) html() []byte {
	var b bytes.Buffer
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n" +
		"<meta name=\"color-scheme\" content=\"light dark\">\n")
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n%s</style>\n</head>\n<body>\n", htmlEscape(p.title), style)
	b.WriteString("<a class=\"skip\" href=\"#summary\">Skip to the summary</a>\n")
	fmt.Fprintf(&b, "<header>\n<h1>%s</h1>\n<p class=\"lead\">%s</p>\n", htmlEscape(p.title), htmlEscape(p.lead))
	p.contents(&b)
	b.WriteString("</header>\n<main>\n")
	diagrams := 0
	open := false
	for i, block := range p.blocks {
		switch block := block.(type) {
		case heading:
			if p.foldedBehind(i) {
				continue // it stands in the line that unfolds the table
			}
			if block.level == 2 {
				if open {
					b.WriteString("</section>\n")
				}
				open = true
				fmt.Fprintf(&b, "<section aria-labelledby=\"%s\">\n", htmlEscape(block.id))
			}
			htmlHeading(&b, block)
			b.WriteByte('\n')
		case paragraph:
			fmt.Fprintf(&b, "<p>%s</p>\n", htmlLine(text(block)))
		case note:
			fmt.Fprintf(&b, "<p class=\"note\">%s</p>\n", htmlLine(text(block)))
		case list:
			htmlList(&b, block)
		case table:
			var title *heading
			if i > 0 && p.foldedBehind(i-1) {
				h, _ := p.blocks[i-1].(heading)
				title = &h
			}
			htmlTable(&b, block, title)
		case diagram:
			diagrams++
			fmt.Fprintf(&b, "<figure tabindex=\"0\">\n")
			block.svg(&b, fmt.Sprintf("diagram-%d", diagrams))
			fmt.Fprintf(&b, "<figcaption>%s</figcaption>\n</figure>\n", htmlEscape(block.title))
		}
	}
	if open {
		b.WriteString("</section>\n")
	}
	b.WriteString("</main>\n</body>\n</html>\n")
	return b.Bytes()
}

// contents links the sections.
func (p *page) contents(b *bytes.Buffer) {
	b.WriteString("<nav aria-label=\"Sections\"><ul>\n")
	for _, block := range p.blocks {
		if h, ok := block.(heading); ok && h.level == 2 {
			fmt.Fprintf(b, "<li><a href=\"#%s\">%s</a></li>\n", htmlEscape(h.id), shortTitle(h.title))
		}
	}
	b.WriteString("</ul></nav>\n")
}

// shortTitle leaves out the word step: "1 Study the API".
func shortTitle(title text) string {
	rest, step := strings.CutPrefix(htmlLine(title), "Step ")
	if step {
		return strings.Replace(rest, ":", "", 1)
	}
	return rest
}

func htmlList(b *bytes.Buffer, l list) {
	open, end, item := "<ul>", "</ul>", "<li>%s</li>\n"
	switch l.style {
	case numbers:
		open, end = "<ol>", "</ol>"
	case boxes:
		open, item = "<ul class=\"boxes\">", "<li><label><input type=\"checkbox\"><span>%s</span></label></li>\n"
	}
	b.WriteString(open + "\n")
	for _, line := range l.items {
		fmt.Fprintf(b, item, htmlLine(line))
	}
	b.WriteString(end + "\n")
}

// shortTable is how many rows a table may have to stay whole on paper.
const shortTable = 8

func htmlHeading(b *bytes.Buffer, h heading) {
	fmt.Fprintf(b, "<h%d id=\"%s\">%s</h%d>", h.level, htmlEscape(h.id), htmlLine(h.title), h.level)
}

// foldedBehind reports whether block i is the heading of a part that begins with
// a folded table.
func (p *page) foldedBehind(i int) bool {
	h, ok := p.blocks[i].(heading)
	if !ok || h.level == 2 || i+1 >= len(p.blocks) {
		return false
	}
	tb, ok := p.blocks[i+1].(table)
	return ok && tb.folded
}

// htmlTable writes a table in a frame that scrolls when the window is narrow; one
// that is folded is opened by a click, and always on paper. Its title, if it has
// one, stands in the line to click.
func htmlTable(b *bytes.Buffer, tb table, title *heading) {
	if !tb.folded {
		htmlFrame(b, tb)
		return
	}
	b.WriteString("<details>\n<summary>")
	if title != nil {
		htmlHeading(b, *title)
		b.WriteByte(' ')
	}
	fmt.Fprintf(b, "<span>%s (%s)</span></summary>\n", htmlEscape(tb.caption), count(len(tb.rows), "row"))
	htmlFrame(b, tb)
	b.WriteString("</details>\n")
}

func htmlFrame(b *bytes.Buffer, tb table) {
	class := "frame"
	if len(tb.head) == 2 {
		class = "frame facts"
	}
	if len(tb.rows) <= shortTable {
		class += " short"
	}
	fmt.Fprintf(b, "<div class=\"%s\" tabindex=\"0\" role=\"region\" aria-label=\"%s\">\n<table>\n", class, htmlEscape(tb.caption))
	fmt.Fprintf(b, "<caption>%s</caption>\n<thead><tr>", htmlEscape(tb.caption))
	for _, h := range tb.head {
		fmt.Fprintf(b, "<th scope=\"col\">%s</th>", htmlEscape(h))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for _, row := range tb.rows {
		b.WriteString("<tr>")
		for i, cell := range row {
			if i == 0 {
				fmt.Fprintf(b, "<th scope=\"row\">%s</th>", htmlLine(cell))
				continue
			}
			fmt.Fprintf(b, "<td>%s</td>", htmlLine(cell))
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody>\n</table>\n</div>\n")
}

// breakable lets a long name break behind its dots and slashes.
var breakable = strings.NewReplacer(".", ".<wbr>", "/", "/<wbr>")

func htmlLine(line text) string {
	var b bytes.Buffer
	for _, s := range line {
		switch s.kind {
		case code:
			fmt.Fprintf(&b, "<code>%s</code>", breakable.Replace(htmlEscape(s.s)))
		case strong:
			fmt.Fprintf(&b, "<strong>%s</strong>", htmlEscape(s.s))
		case link:
			fmt.Fprintf(&b, "<a href=\"%s\" rel=\"noreferrer\">%s</a>", htmlEscape(s.href), breakable.Replace(htmlEscape(s.s)))
		default:
			b.WriteString(htmlPlain(s.s))
		}
	}
	return b.String()
}

// htmlPlain keeps the spaces around words, which stand between spans.
func htmlPlain(s string) string {
	out := htmlEscape(s)
	if out == "" {
		return " "[:min(1, len(s))]
	}
	if s[0] == ' ' || s[0] == '\n' {
		out = " " + out
	}
	if last := s[len(s)-1]; last == ' ' || last == '\n' {
		out += " "
	}
	return out
}
