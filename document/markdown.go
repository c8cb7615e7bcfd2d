package document

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// markdown writes the page as GitHub-flavoured Markdown.
func (p *page) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n%s\n", mdLine(t(p.title), false), mdLine(t(p.lead), false))
	for _, block := range p.blocks {
		b.WriteByte('\n')
		switch block := block.(type) {
		case heading:
			fmt.Fprintf(&b, "%s %s\n", strings.Repeat("#", block.level), mdLine(block.title, false))
		case paragraph:
			fmt.Fprintln(&b, mdLine(text(block), false))
		case note:
			fmt.Fprintln(&b, "> "+mdLine(text(block), false))
		case list:
			mdList(&b, block)
		case table:
			mdTable(&b, block)
		case diagram:
			block.mermaid(&b)
		}
	}
	return b.Bytes()
}

func mdList(b *bytes.Buffer, l list) {
	for i, item := range l.items {
		mark := "-"
		switch l.style {
		case numbers:
			mark = fmt.Sprintf("%d.", i+1)
		case boxes:
			mark = "- [ ]"
		}
		fmt.Fprintln(b, mark+" "+mdLine(item, false))
	}
}

func mdTable(b *bytes.Buffer, tb table) {
	head := make([]text, len(tb.head))
	for i, h := range tb.head {
		head[i] = t(h)
	}
	mdRow(b, head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, row := range tb.rows {
		mdRow(b, row)
	}
}

func mdRow(b *bytes.Buffer, cells []text) {
	for _, cell := range cells {
		b.WriteString("| " + mdLine(cell, true))
		if len(cell) > 0 {
			b.WriteByte(' ')
		}
	}
	b.WriteString("|\n")
}

// mdLine writes one line. In a table a pipe ends the cell, even in code.
func mdLine(line text, inTable bool) string {
	var b strings.Builder
	for _, s := range line {
		switch s.kind {
		case code:
			b.WriteString(mdCode(s.s, inTable))
		case strong:
			b.WriteString("**" + mdEscape(s.s) + "**")
		case link:
			// linkSpan let nothing through that could end the address early.
			b.WriteString("<" + s.href + ">")
		default:
			b.WriteString(mdPlain(s.s))
		}
	}
	if inTable {
		return strings.TrimSpace(b.String()) // a cell holds no blocks
	}
	return mdStart(b.String())
}

// mdPlain escapes words and keeps the spaces around them, which stand between
// spans.
func mdPlain(s string) string {
	out := mdEscape(s)
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

// mdEscape makes text of whatever Markdown, HTML or GitHub's mathematics would
// read as mark-up.
func mdEscape(s string) string {
	runes := []rune(clean(s))
	var b strings.Builder
	for i, r := range runes {
		escape := strings.ContainsRune("\\`*[]<>|~$&", r)
		if r == '_' {
			// Inside a word it is only a letter.
			inner := i > 0 && i < len(runes)-1 && isWord(runes[i-1]) && isWord(runes[i+1])
			escape = !inner
		}
		if escape {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// mdStart escapes what is mark-up only where a line begins: "#", "-", "+", "=",
// "1." and "1)".
func mdStart(line string) string {
	line = strings.TrimSpace(line)
	if line == "" {
		return line
	}
	if strings.ContainsRune("#-+=", rune(line[0])) {
		return "\\" + line
	}
	digits := 0
	for digits < len(line) && line[digits] >= '0' && line[digits] <= '9' {
		digits++
	}
	if digits > 0 && digits < len(line) && (line[digits] == '.' || line[digits] == ')') {
		return line[:digits] + "\\" + line[digits:]
	}
	return line
}

// mdCode writes a code span whose fence is longer than any run of backticks in
// it.
func mdCode(s string, inTable bool) string {
	s = clean(s)
	if s == "" {
		return ""
	}
	longest, run := 0, 0
	for _, r := range s {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	if inTable {
		s = strings.ReplaceAll(s, "|", `\|`)
	}
	return fence + s + fence
}
