// Package redact takes the values that a plan names out of what a provider sent,
// so that nobody is shown them and nothing keeps them (webhooks.redact).
//
// A path is keys joined with dots, [*] for each element and [0] for one:
// customer.email, lines.data[*].description. "\." is a dot within a key. What is
// found there, whatever it is, becomes the string "[redacted]"; every other byte
// stays as it was, white space, order and repeated keys included.
//
// Paths reach rather too far than not far enough: a key is looked for in every
// element where a list stands in an object's place, [*] is every member where an
// object stands in a list's place, and of a key that is there twice both values
// go. Matching is by the decoded key, so an escaped spelling hides nothing.
//
// In a form the first key is the field; further keys reach into the JSON that
// the field holds. Everything else - XML, multipart, text, broken JSON - can't be
// read, and what can't be read is not kept: see Paths.Apply.
package redact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"strconv"
	"strings"
)

// Mark stands where a value was.
const Mark = "[redacted]"

const (
	markJSON = `"` + Mark + `"`
	markForm = "%5Bredacted%5D"
)

// Paths are the compiled paths of one plan. Nil has none and changes nothing.
// Its methods may be called from many goroutines.
type Paths struct{ root *node }

// node is one step of all paths that share their beginning.
type node struct {
	here    bool // a path ends here
	keys    map[string]*node
	indexes map[int]*node
	each    *node // [*]
}

// New compiles paths; none at all are nil. The error names the path that is none.
func New(paths []string) (*Paths, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	p := &Paths{root: &node{}}
	for _, path := range paths {
		if err := p.add(path); err != nil {
			return nil, fmt.Errorf("redact: path %q: %w; write keys joined with dots, [*] for each element: lines.data[*].description", path, err)
		}
	}
	return p, nil
}

func (p *Paths) add(path string) error {
	at := p.root
	for _, part := range split(path) {
		key, rest, bracket := cutBracket(part)
		if key == "" && !bracket {
			return fmt.Errorf("an empty key")
		}
		if key != "" {
			at = at.key(key)
		}
		for bracket {
			inside, after, ok := strings.Cut(rest, "]")
			if !ok {
				return fmt.Errorf("a [ without ]")
			}
			if inside == "*" || inside == "" {
				if at.each == nil {
					at.each = &node{}
				}
				at = at.each
			} else {
				n, err := strconv.ParseUint(inside, 10, 31)
				if err != nil {
					return fmt.Errorf("[%s] is neither [*] nor a number", inside)
				}
				at = at.index(int(n))
			}
			if after == "" {
				break
			}
			if after[0] != '[' {
				return fmt.Errorf("%q after ]", after)
			}
			rest = after[1:]
		}
	}
	at.here = true
	return nil
}

func (n *node) key(name string) *node {
	if n.keys == nil {
		n.keys = map[string]*node{}
	}
	if n.keys[name] == nil {
		n.keys[name] = &node{}
	}
	return n.keys[name]
}

func (n *node) index(i int) *node {
	if n.indexes == nil {
		n.indexes = map[int]*node{}
	}
	if n.indexes[i] == nil {
		n.indexes[i] = &node{}
	}
	return n.indexes[i]
}

// cutBracket divides "data[*][0]" into "data" and "*][0]".
func cutBracket(part string) (key, rest string, found bool) { return strings.Cut(part, "[") }

// split divides at dots that no backslash precedes, and takes the backslashes out.
func split(path string) []string {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '\\'):
			i++
			part.WriteByte(path[i])
		case path[i] == '.':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(path[i])
		}
	}
	return append(parts, part.String())
}

// Apply returns the body without the values at the paths; contentType is the
// header's value and may be empty. The body itself is not changed, and is what is
// returned where nothing was found.
//
// ok is false when the body can't be read, and then clean is nil: it may hold the
// values anywhere.
func (p *Paths) Apply(contentType string, body []byte) (clean []byte, ok bool) {
	if p == nil || len(bytes.TrimSpace(body)) == 0 {
		return body, true
	}
	if json.Valid(body) {
		return p.root.json(body), true
	}
	if kind, _, err := mime.ParseMediaType(contentType); err == nil && kind == "application/x-www-form-urlencoded" {
		return p.form(body)
	}
	return nil, false
}

// form replaces the values of fields.
func (p *Paths) form(body []byte) (clean []byte, ok bool) {
	fields := strings.Split(string(body), "&")
	for i, field := range fields {
		name, value, has := strings.Cut(field, "=")
		key, err := url.QueryUnescape(name)
		if err != nil {
			return nil, false
		}
		if !has {
			continue
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			return nil, false
		}
		if after, changed := p.field(key, text); changed {
			if after == Mark {
				fields[i] = name + "=" + markForm
			} else {
				fields[i] = name + "=" + url.QueryEscape(after)
			}
		}
	}
	return []byte(strings.Join(fields, "&")), true
}

// field is what becomes of one field's value. A field is named by a path's first
// key, or by the whole path as it is written in forms: user.email, user[email].
func (p *Paths) field(key, text string) (after string, changed bool) {
	n := p.root.keys[key]
	if n == nil {
		n = p.root.named(key)
	}
	switch {
	case n == nil:
		return text, false
	case n.here:
		return Mark, true
	case !n.deeper():
		return text, false
	case !json.Valid([]byte(text)):
		return Mark, true // a path leads into it, and it can't be read
	}
	clean := string(n.json([]byte(text)))
	return clean, clean != text
}

// named finds the node of a field whose name is a path: "user.email",
// "user[email]", "items[0][name]".
func (n *node) named(key string) *node {
	at := n
	for _, part := range strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := at.keys[part]
		if i, err := strconv.Atoi(part); next == nil && err == nil {
			if next = at.indexes[i]; next == nil {
				next = at.each
			}
		}
		if next == nil {
			return nil
		}
		at = next
	}
	if at == n {
		return nil
	}
	return at
}

func (n *node) deeper() bool { return len(n.keys) > 0 || len(n.indexes) > 0 || n.each != nil }
