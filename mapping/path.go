package mapping

import (
	"errors"
	"slices"
	"strings"
)

// path is a parsed field path: the names from the top, and whether it means
// every element of the list that is there.
type path struct {
	names    []string
	elements bool
}

const everyElement = "[*]"

// parsePath reads "lines.data[*]".
func parsePath(s string) (path, error) {
	var p path
	s, p.elements = strings.CutSuffix(s, everyElement)
	if strings.Contains(s, everyElement) {
		return path{}, errors.New("[*] may only end a path; map the elements with a table of their own")
	}
	var name strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			name.WriteByte(s[i])
		case s[i] == '.':
			p.names = append(p.names, name.String())
			name.Reset()
		default:
			name.WriteByte(s[i])
		}
	}
	p.names = append(p.names, name.String())
	for _, n := range p.names {
		if n == "" {
			return path{}, errors.New("a path is names joined by dots, and none may be empty")
		}
	}
	if len(p.names) > MaxDepth {
		return path{}, errors.New("the path is longer than any document that is read is deep")
	}
	return p, nil
}

// sibling is the path of a field beside p, or, with a dot in it, from the top.
func (p path) sibling(field string) (path, error) {
	other, err := parsePath(field)
	if err != nil || other.elements {
		return path{}, errors.New("the currency must be a field")
	}
	if len(other.names) == 1 {
		other.names = slices.Concat(p.names[:len(p.names)-1], other.names)
	}
	return other, nil
}

// key identifies a path; no two paths share one.
func (p path) key() string { return strings.Join(p.names, "\x00") }

// pointer is p as a JSON pointer (RFC 6901).
func (p path) pointer() string {
	var b strings.Builder
	for _, n := range p.names {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(n))
	}
	return b.String()
}
