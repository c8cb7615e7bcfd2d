package document

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// mermaid writes the diagram as a fenced Mermaid block.
func (d diagram) mermaid(b *bytes.Buffer) {
	b.WriteString("```mermaid\nsequenceDiagram\n")
	fmt.Fprintf(b, "    accTitle: %s\n", mermaidEscape(d.title))
	for i, name := range d.actors {
		fmt.Fprintf(b, "    participant a%d as %s\n", i, mermaidEscape(name))
	}
	for _, s := range d.steps {
		label := mermaidEscape(s.label)
		switch {
		case s.from == s.to:
			fmt.Fprintf(b, "    Note over a%d: %s\n", s.from, mermaidLines(s.label))
		case s.answer:
			fmt.Fprintf(b, "    a%d-->>a%d: %s\n", s.from, s.to, label)
		default:
			fmt.Fprintf(b, "    a%d->>a%d: %s\n", s.from, s.to, label)
		}
	}
	b.WriteString("```\n")
}

// mermaidEscape spells out what Mermaid or the HTML it writes would read as
// mark-up. Mermaid's own escapes are #NUMBER;.
func mermaidEscape(s string) string {
	var b strings.Builder
	for _, r := range clean(s) {
		if strings.ContainsRune("#;<>&\"`%\\$|", r) {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mermaidLines breaks a note where the drawing in HTML breaks it.
func mermaidLines(s string) string {
	lines := wrap(s, svgNote-16)
	for i, line := range lines {
		lines[i] = mermaidEscape(line)
	}
	return strings.Join(lines, "<br/>")
}

// Measures of the drawing, in its own units. A letter is estimated wide, so
// text stays inside of its place in every font.
const (
	svgColumn  = 300 // from one life line to the next
	svgMargin  = 110 // from the edge to the first life line
	svgActor   = 190 // width of an actor's box
	svgNote    = 250 // width of a note
	svgLetter  = 7.2 // width of a letter
	svgLine    = 17  // height of a line of text
	svgTop     = 44  // height of the actors' boxes
	svgBetween = 16  // between two steps
)

// svg draws the diagram. Its colours are classes of the page's style.
func (d diagram) svg(b *bytes.Buffer, id string) {
	var body bytes.Buffer
	y := svgTop + svgBetween
	for _, s := range d.steps {
		y = d.svgStep(&body, s, y, id)
	}
	y += svgBetween
	width := 2*svgMargin + svgColumn*(len(d.actors)-1)
	fmt.Fprintf(b, "<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\" aria-labelledby=\"%s-title %s-steps\">\n", width, y, width, id, id)
	fmt.Fprintf(b, "<title id=\"%s-title\">%s</title>\n<desc id=\"%s-steps\">%s</desc>\n", id, htmlEscape(d.title), id, htmlEscape(d.words()))
	fmt.Fprintf(b, "<defs><marker id=\"%s-tip\" class=\"tip\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto-start-reverse\"><path d=\"M0 0 10 5 0 10z\"/></marker></defs>\n", id)
	for i, name := range d.actors {
		x := svgMargin + svgColumn*i
		fmt.Fprintf(b, "<line class=\"life\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", x, svgTop, x, y)
		fmt.Fprintf(b, "<rect class=\"actor\" x=\"%d\" y=\"1\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", x-svgActor/2, svgActor, svgTop-8)
		svgText(b, "actor", x, 24, wrap(name, svgActor)[:1])
	}
	b.Write(body.Bytes())
	b.WriteString("</svg>\n")
}

// svgStep draws one step below y and returns where it ends.
func (d diagram) svgStep(b *bytes.Buffer, s step, y int, id string) int {
	from, to := svgMargin+svgColumn*s.from, svgMargin+svgColumn*s.to
	if s.from == s.to {
		lines := wrap(s.label, svgNote-16)
		height := svgLine*len(lines) + 10
		x := min(max(from, svgNote/2+1), 2*svgMargin+svgColumn*(len(d.actors)-1)-svgNote/2-1)
		fmt.Fprintf(b, "<rect class=\"note\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"/>\n", x-svgNote/2, y, svgNote, height)
		svgText(b, "note", x, y+svgLine, lines)
		return y + height + svgBetween
	}
	lines := wrap(s.label, max(to-from, from-to)-24)
	svgText(b, "message", (from+to)/2, y+svgLine-4, lines)
	y += svgLine*len(lines) + 6
	class := "call"
	if s.answer {
		class = "call answer"
	}
	fmt.Fprintf(b, "<line class=\"%s\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" marker-end=\"url(#%s-tip)\"/>\n", class, from, y, to, y, id)
	return y + svgBetween
}

func svgText(b *bytes.Buffer, class string, x, y int, lines []string) {
	fmt.Fprintf(b, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y)
	for i, line := range lines {
		fmt.Fprintf(b, "<tspan x=\"%d\" y=\"%d\">%s</tspan>", x, y+i*svgLine, html.EscapeString(line))
	}
	b.WriteString("</text>\n")
}

// wrap breaks words into lines that are at most width wide; a word that is
// longer is broken too. There is always one line.
func wrap(s string, width int) []string {
	letters := int(float64(width) / svgLetter)
	var lines []string
	line := ""
	for _, word := range strings.Fields(clean(s)) {
		for {
			runes := []rune(word)
			if len(runes) <= letters {
				break
			}
			if line != "" {
				lines = append(lines, line)
				line = ""
			}
			lines = append(lines, string(runes[:letters]))
			word = string(runes[letters:])
		}
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= letters:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// words tells the diagram to those who can't see it.
func (d diagram) words() string {
	parts := make([]string, len(d.steps))
	for i, s := range d.steps {
		if s.from == s.to {
			parts[i] = fmt.Sprintf("%d. %s: %s.", i+1, d.actors[s.from], s.label)
			continue
		}
		parts[i] = fmt.Sprintf("%d. %s to %s: %s.", i+1, d.actors[s.from], d.actors[s.to], s.label)
	}
	return strings.Join(parts, " ")
}
