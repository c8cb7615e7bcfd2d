package form

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Decode reads a form body into a JSON object whose values are strings, fields
// in the order they first appear.
//
// a[]=1&a[]=2 and a[0]=1&a[1]=2 are both lists. A container whose names are
// exactly 0, 1, … without a gap, in any order, is a list; with a gap it stays
// an object, so that no name is lost: metadata[6735]=x is {"6735": "x"}.
// "a[]" may only end a name; what would follow has no certain place in the
// list. An empty body is an empty object. The error is always an *Error.
func Decode(body []byte) ([]byte, error) {
	root := newNode()
	pairs := 0
	for rest := string(body); rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		if pairs++; pairs > MaxPairs {
			return nil, fail("", "more than %d fields", MaxPairs)
		}
		name, value, err := unescape(pair)
		if err != nil {
			return nil, err
		}
		path, err := split(name)
		if err != nil {
			return nil, err
		}
		if err := root.set(name, path, value); err != nil {
			return nil, err
		}
	}
	var out bytes.Buffer
	w := json.NewEncoder(&out)
	w.SetEscapeHTML(false)
	root.write(&out, w, true)
	return out.Bytes(), nil
}

func unescape(pair string) (name, value string, err error) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	if name, err = url.QueryUnescape(rawName); err != nil {
		return "", "", fail(rawName, "a percent sign must be followed by two hexadecimal digits")
	}
	if value, err = url.QueryUnescape(rawValue); err != nil {
		return "", "", fail(name, "in the value, a percent sign must be followed by two hexadecimal digits")
	}
	if !utf8.ValidString(name) || !utf8.ValidString(value) {
		return "", "", fail(name, "not valid UTF-8")
	}
	return name, value, nil
}

// split takes a[b][] apart into "a", "b", "".
func split(name string) ([]string, error) {
	head, rest, nested := strings.Cut(name, "[")
	if head == "" || strings.Contains(head, "]") {
		return nil, fail(name, "a name must start before its first bracket: a[b]")
	}
	path := []string{head}
	for nested {
		part, after, closed := strings.Cut(rest, "]")
		if !closed || strings.Contains(part, "[") {
			return nil, fail(name, "a bracket is not closed")
		}
		path = append(path, part)
		if len(path) > MaxDepth {
			return nil, fail(name, "%v: more than %d levels", errTooDeep, MaxDepth)
		}
		if part == "" && after != "" {
			return nil, fail(name, "[] may only end a name; number the elements: a[0][b]")
		}
		if after == "" {
			break
		}
		if after[0] != '[' {
			return nil, fail(name, "only another bracket may follow a closing one")
		}
		rest = after[1:]
	}
	return path, nil
}

// node is a value (members nil) or a container. Names keeps the order in which
// its members appeared. Appended is set when they came as a[].
type node struct {
	value    string
	members  map[string]*node
	names    []string
	appended bool
}

func newNode() *node { return &node{members: map[string]*node{}} }

func (n *node) set(name string, path []string, value string) error {
	for i, part := range path {
		if n.members == nil {
			return fail(name, "the name is both a value and a container")
		}
		appended := part == ""
		if len(n.names) > 0 && n.appended != appended {
			return fail(name, "a[] and a[b] are mixed in one container")
		}
		n.appended = appended
		if appended {
			part = strconv.Itoa(len(n.names))
		}
		child, ok := n.members[part]
		last := i == len(path)-1
		switch {
		case ok && last && child.members != nil:
			return fail(name, "the name is both a value and a container")
		case ok && last:
			return fail(name, "the name stands twice; write a list as a[]=…&a[]=…")
		case !ok && last:
			child = &node{value: value}
		case !ok:
			child = newNode()
		}
		if !ok {
			n.members[part] = child
			n.names = append(n.names, part)
		}
		n = child
	}
	return nil
}

// isList reports whether the names are exactly 0 to n-1.
func (n *node) isList() bool {
	for i := range n.names {
		if _, ok := n.members[strconv.Itoa(i)]; !ok {
			return false
		}
	}
	return true
}

func (n *node) write(out *bytes.Buffer, w *json.Encoder, root bool) {
	switch {
	case n.members == nil:
		writeString(out, w, n.value)
	case !root && n.isList():
		out.WriteByte('[')
		for i := range n.names {
			if i > 0 {
				out.WriteByte(',')
			}
			n.members[strconv.Itoa(i)].write(out, w, false)
		}
		out.WriteByte(']')
	default:
		out.WriteByte('{')
		for i, name := range n.names {
			if i > 0 {
				out.WriteByte(',')
			}
			writeString(out, w, name)
			out.WriteByte(':')
			n.members[name].write(out, w, false)
		}
		out.WriteByte('}')
	}
}

func writeString(out *bytes.Buffer, w *json.Encoder, s string) {
	_ = w.Encode(s) // a valid string into a buffer cannot fail
	out.Truncate(out.Len() - 1)
}
