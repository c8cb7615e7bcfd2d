package openapi

import (
	"bytes"
	"fmt"

	"github.com/tidwall/gjson"
)

// reference is one "$ref" of a document: where its text stands in the bytes,
// quotation marks included, and what it says.
type reference struct {
	start, end int
	text       string
}

// scanner goes over valid JSON once. It bounds the nesting, which multiplies the
// time that everything later takes; finds members that stand twice in one
// object, of which readers of JSON keep now the first, now the last; and
// gathers the references.
type scanner struct {
	data       []byte
	references []reference
	cuts       [][2]int // members that stand there a second time, comma included, in order
	twice      []string // their names
}

// deepError says where a document nests too deeply.
type deepError struct{ offset int }

func (e deepError) Error() string {
	return fmt.Sprintf("the document is nested deeper than %d levels", maxNesting)
}

// scan reads all of it. The error is a deepError.
func scan(data []byte) (*scanner, error) {
	s := &scanner{data: data}
	_, err := s.value(0, 0, "")
	return s, err
}

// value reads the value at i, which stands under the name parent, and returns
// where it ends.
func (s *scanner) value(i, depth int, parent string) (int, error) {
	i = s.space(i)
	if depth > maxNesting {
		return i, deepError{offset: i}
	}
	if i >= len(s.data) {
		return i, nil
	}
	switch s.data[i] {
	case '{':
		return s.object(i+1, depth, parent)
	case '[':
		return s.list(i+1, depth, parent)
	case '"':
		return s.text(i), nil
	}
	for i < len(s.data) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(s.data[i])) {
		i++
	}
	return i, nil
}

func (s *scanner) list(i, depth int, parent string) (int, error) {
	for {
		if i = s.space(i); i >= len(s.data) {
			return i, nil
		}
		switch s.data[i] {
		case ']':
			return i + 1, nil
		case ',':
			i++
			continue
		}
		end, err := s.value(i, depth+1, parent)
		if err != nil {
			return i, err
		}
		i = end
	}
}

func (s *scanner) object(i, depth int, parent string) (int, error) {
	names := map[string]bool{}
	comma := i
	for {
		if i = s.space(i); i >= len(s.data) {
			return i, nil
		}
		switch s.data[i] {
		case '}':
			return i + 1, nil
		case ',':
			comma = i
			i++
			continue
		}
		end, err := s.member(i, depth, parent, names, comma)
		if err != nil {
			return i, err
		}
		i = end
	}
}

// member reads one name and its value.
func (s *scanner) member(i, depth int, parent string, names map[string]bool, comma int) (int, error) {
	end := s.text(i)
	name := plainName(s.data[i:end])
	i = s.space(end)
	if i < len(s.data) && s.data[i] == ':' {
		i = s.space(i + 1)
	}
	references, cuts := len(s.references), len(s.cuts)
	end, err := s.value(i, depth+1, name)
	if err != nil {
		return i, err
	}
	switch {
	case names[name]:
		s.references, s.cuts, s.twice = s.references[:references], s.cuts[:cuts], s.twice[:cuts]
		s.cuts, s.twice = append(s.cuts, [2]int{comma, end}), append(s.twice, name)
	case isSample(name, parent):
		s.references = s.references[:references]
	case name == "$ref" && i < end && s.data[i] == '"':
		s.references = append(s.references, reference{start: i, end: end, text: plainName(s.data[i:end])})
	}
	names[name] = true
	return end, nil
}

// isSample reports whether a member holds a value of the API's and no part of
// the document: what looks like a reference in there is none. In a map of names
// every name is allowed.
func isSample(name, parent string) bool {
	switch parent {
	case "properties", "patternProperties", "schemas", "definitions", "responses", "parameters", "headers", "examples", "callbacks", "paths", "webhooks":
		return false
	}
	return name == "example" || name == "default" || name == "enum" || name == "const"
}

func (s *scanner) space(i int) int {
	for i < len(s.data) && (s.data[i] == ' ' || s.data[i] == '\n' || s.data[i] == '\t' || s.data[i] == '\r') {
		i++
	}
	return i
}

// text returns where the string at i ends, its quotation mark included.
func (s *scanner) text(i int) int {
	for i++; i < len(s.data); i++ {
		switch s.data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s.data)
}

// plainName takes the quotation marks and escapes off a JSON string.
func plainName(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 && len(quoted) >= 2 {
		return string(quoted[1 : len(quoted)-1])
	}
	return gjson.ParseBytes(quoted).String()
}

// withoutRepeats is the document with only the first of each member that stands
// there more than once.
func (s *scanner) withoutRepeats() []byte {
	if len(s.cuts) == 0 {
		return s.data
	}
	out := make([]byte, 0, len(s.data))
	at := 0
	for _, cut := range s.cuts {
		out = append(out, s.data[at:cut[0]]...)
		at = cut[1]
	}
	return append(out, s.data[at:]...)
}

// line is the number of the line that byte i stands in.
func line(data []byte, i int) int {
	return bytes.Count(data[:min(i, len(data))], []byte{'\n'}) + 1
}
