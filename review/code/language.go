package code

import (
	"bytes"
	"path"
	"strings"
)

// language is how a language writes comments and text.
type language struct {
	name   string
	line   []string // what begins a comment to the end of the line
	block  [2]string
	quotes string // what text stands in; a backslash escapes, but in raw
	raw    string // quotes in which nothing escapes and lines may end
	triple bool   // """ and ''' are quotes as well
}

var (
	golang     = &language{name: "Go", line: []string{"//"}, block: [2]string{"/*", "*/"}, quotes: `"'`, raw: "`"}
	typescript = &language{name: "TypeScript", line: []string{"//"}, block: [2]string{"/*", "*/"}, quotes: "\"'`"}
	python     = &language{name: "Python", line: []string{"#"}, quotes: `"'`, triple: true}
	ruby       = &language{name: "Ruby", line: []string{"#"}, quotes: `"'`}
	php        = &language{name: "PHP", line: []string{"//", "#"}, block: [2]string{"/*", "*/"}, quotes: `"'`}
	java       = &language{name: "Java", line: []string{"//"}, block: [2]string{"/*", "*/"}, quotes: `"'`, triple: true}
	csharp     = &language{name: "C#", line: []string{"//"}, block: [2]string{"/*", "*/"}, quotes: `"'`}
)

var languages = map[string]*language{
	".go": golang,
	".ts": typescript, ".tsx": typescript, ".mts": typescript, ".cts": typescript, ".js": typescript, ".jsx": typescript, ".mjs": typescript, ".cjs": typescript, ".vue": typescript, ".svelte": typescript,
	".py": python, ".rb": ruby, ".rake": ruby, ".php": php, ".java": java, ".kt": java, ".kts": java, ".scala": java, ".groovy": java, ".cs": csharp,
}

// languageOf is the language of a file, by its name; nil for what is none here.
func languageOf(name string) *language { return languages[strings.ToLower(path.Ext(name))] }

// blank returns a copy in which comments are spaces, so that every byte stays
// at its place. It reads as a scanner does, not as a compiler: what is text and
// what is a comment, nothing else.
func (l *language) blank(text []byte) []byte {
	out := make([]byte, len(text))
	copy(out, text)
	for i := 0; i < len(text); {
		switch end := l.comment(text, i); {
		case end > i:
			for k := i; k < end; k++ {
				if out[k] != '\n' {
					out[k] = ' '
				}
			}
			i = end
		default:
			i = l.quoted(text, i)
		}
	}
	return out
}

// comment is where the comment that begins at i ends; i when none does.
func (l *language) comment(text []byte, i int) int {
	for _, mark := range l.line {
		if l == php && at(text, i, "#[") { // an attribute
			continue
		}
		if at(text, i, mark) {
			return i + length(text[i:], "\n", false)
		}
	}
	if l.block[0] != "" && at(text, i, l.block[0]) {
		n := len(l.block[0])
		return i + n + length(text[i+n:], l.block[1], true)
	}
	return i
}

// quoted is where the text that begins at i ends, or the byte after i.
func (l *language) quoted(text []byte, i int) int {
	c := text[i]
	switch {
	case l.triple && (at(text, i, `"""`) || at(text, i, "'''")):
		return i + 3 + length(text[i+3:], string(text[i:i+3]), true)
	case strings.IndexByte(l.raw, c) >= 0:
		return i + 1 + length(text[i+1:], string(c), true)
	case strings.IndexByte(l.quotes, c) < 0:
		return i + 1
	}
	for k := i + 1; k < len(text); k++ {
		switch {
		case text[k] == '\\':
			k++
		case text[k] == c:
			return k + 1
		case text[k] == '\n' && c != '`':
			return k // an apostrophe in prose, or a mistake: the line ends it
		}
	}
	return len(text)
}

func at(text []byte, i int, mark string) bool {
	return len(text)-i >= len(mark) && string(text[i:i+len(mark)]) == mark
}

// length is how far it is to the next end, with it or not; to the end of the
// text when there is none.
func length(text []byte, end string, with bool) int {
	n := bytes.Index(text, []byte(end))
	switch {
	case n < 0:
		return len(text)
	case with:
		return n + len(end)
	}
	return n
}
