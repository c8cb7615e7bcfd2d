package conflict

import (
	"fmt"
	"strconv"
	"strings"
)

// Step is one part of a Path: a name in an object, or an element of a list.
type Step struct {
	Name    string
	element bool
	index   int // every when any element is meant
}

const every = -1

// Path leads to a field: lines.data[0].price. A backslash takes the meaning
// from a dot, a bracket or a backslash inside a name; [*] is any element.
type Path []Step

// ParsePath reads a path. An error says what to write instead.
func ParsePath(s string) (Path, error) {
	var p Path
	var name strings.Builder
	named := false // something of a name was read
	end := func() error {
		if !named {
			return fmt.Errorf("%q: a path is names joined by dots, and none may be empty", s)
		}
		p = append(p, Step{Name: name.String()})
		name.Reset()
		named = false
		return nil
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			name.WriteByte(s[i])
			named = true
		case c == '.':
			if i > 0 && s[i-1] == ']' && !named {
				continue
			}
			if err := end(); err != nil {
				return nil, err
			}
		case c == '[':
			if named {
				if err := end(); err != nil {
					return nil, err
				}
			}
			inside, _, closed := strings.Cut(s[i+1:], "]")
			step, ok := element(inside)
			if !closed || !ok || len(p) == 0 {
				return nil, fmt.Errorf("%q: brackets follow a name and hold the number of an element or *", s)
			}
			p = append(p, step)
			if i += len(inside) + 1; i+1 < len(s) && s[i+1] != '.' && s[i+1] != '[' {
				return nil, fmt.Errorf("%q: a dot or a bracket follows a closing bracket", s)
			}
		default:
			name.WriteByte(c)
			named = true
		}
	}
	if named || len(p) == 0 || !strings.HasSuffix(s, "]") {
		if err := end(); err != nil {
			return nil, err
		}
	}
	if len(p) > MaxDepth {
		return nil, fmt.Errorf("a path of %d steps leads deeper than any document that is read", len(p))
	}
	return p, nil
}

func element(s string) (Step, bool) {
	if s == "*" {
		return Step{element: true, index: every}, true
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return Step{element: true, index: int(n)}, err == nil
}

var escape = strings.NewReplacer(`\`, `\\`, `.`, `\.`, `[`, `\[`)

// String writes the path as ParsePath reads it.
func (p Path) String() string {
	var b strings.Builder
	for i, step := range p {
		switch {
		case step.element && step.index == every:
			b.WriteString("[*]")
		case step.element:
			fmt.Fprintf(&b, "[%d]", step.index)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(escape.Replace(step.Name))
		}
	}
	return b.String()
}

// pointer is the path as a JSON pointer (RFC 6901).
func (p Path) pointer() string {
	var b strings.Builder
	for _, step := range p {
		b.WriteByte('/')
		if step.element {
			b.WriteString(strconv.Itoa(step.index))
		} else {
			b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(step.Name))
		}
	}
	return b.String()
}

// begins reports whether p leads to field or to something that holds it, and
// how exact it is: a numbered element counts more than any.
func (p Path) begins(field Path) (exact int, ok bool) {
	if len(p) > len(field) {
		return 0, false
	}
	for i, step := range p {
		switch {
		case step == field[i]:
			exact += 2
		case step.element && field[i].element && step.index == every:
			exact++
		default:
			return 0, false
		}
	}
	return exact, true
}
