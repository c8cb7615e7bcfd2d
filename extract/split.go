package extract

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// Split divides a request that carries several events into one request an event.
// It is declared by the arrays whose elements are events: json:events[],
// json:entry[].changes[], json:[] for a body that is an array, and
// form:events for a form field that holds one. The zero Split divides nothing.
//
// What stands around an array stays with every item, with arrays of one in its
// place, so that a path means the same in an item as in the whole request:
// json:entry[].changes[].field is that of the item, json:entry[].id is that of
// its entry, json:object is shared. An item of an array that has nothing around
// it stands alone. The bytes of what is kept are those that came.
type Split struct {
	root   *branch
	fields []string // of forms
}

// branch is one level of arrays inside each other.
type branch struct {
	path     string // gjson path from the enclosing element; empty for that element itself
	branches []*branch
}

// ErrTooMany is a request of more items than can be taken at once.
var ErrTooMany = errors.New("the request carries more events than can be taken at once")

// Bounds of one request.
const (
	mostItems  = 20_000
	mostGrowth = 8 // times the bytes that came, and a megabyte
)

// ParseSplit reads the arrays. Those that share their beginning are looked for
// at every level; an element without any of them is an item itself.
func ParseSplit(exprs []string) (Split, error) {
	var s Split
	for _, expr := range exprs {
		p, err := Parse(expr)
		if err != nil {
			return Split{}, err
		}
		switch {
		case p.kind == Form:
			s.fields = append(s.fields, p.name)
			continue
		case p.kind != JSON || !strings.HasSuffix(expr, "[]"):
			return Split{}, fmt.Errorf("path %q: a batch is json: with [] behind the array, or form: with the field", expr)
		}
		if s.root == nil {
			s.root = &branch{}
		}
		at := s.root
		for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(expr, "json:"), "[]"), "[].") {
			at, err = at.grow(expr, part)
			if err != nil {
				return Split{}, err
			}
		}
	}
	return s, nil
}

func (b *branch) grow(expr, part string) (*branch, error) {
	path := ""
	if part != "" {
		p, err := Parse("json:" + part)
		if err != nil || p.each != "" {
			return nil, fmt.Errorf("path %q: want keys joined with dots between the []", expr)
		}
		path = p.name
	}
	for _, known := range b.branches {
		if known.path == path {
			return known, nil
		}
	}
	b.branches = append(b.branches, &branch{path: path})
	return b.branches[len(b.branches)-1], nil
}

// IsZero reports whether nothing is divided.
func (s Split) IsZero() bool { return s.root == nil && len(s.fields) == 0 }

// Items divides a request. ok is false when it carries none of the arrays: it is
// then one event, or none. A request whose arrays are all empty has no items and
// is ok. The error is ErrTooMany.
func (s Split) Items(r *Request) (items []*Request, ok bool, err error) {
	for _, field := range s.fields {
		if values := r.Form()[field]; len(values) > 0 {
			return s.inField(r, []byte(values[0]))
		}
	}
	if s.root == nil {
		return nil, false, nil
	}
	body := r.Body
	if !r.ValidJSON() {
		if body, ok = lines(r.Body); !ok {
			return nil, false, nil
		}
	}
	return divided(r, s.root, body, r.Header)
}

// inField divides what stands in a form field; what is no array is one item.
func (s Split) inField(r *Request, body []byte) (items []*Request, ok bool, err error) {
	if !gjson.ValidBytes(body) {
		return nil, false, nil
	}
	header := r.Header.Clone()
	header.Set("Content-Type", "application/json")
	return divided(r, &branch{branches: []*branch{{}}}, body, header)
}

func divided(r *Request, root *branch, body []byte, header http.Header) (items []*Request, ok bool, err error) {
	d := division{left: mostItems, bytes: mostGrowth*len(body) + 1<<20}
	bodies, found := d.divide(root, string(body))
	switch {
	case d.over:
		return nil, false, ErrTooMany
	case !found:
		return nil, false, nil
	}
	for _, b := range bodies {
		items = append(items, &Request{Method: r.Method, URL: r.URL, Header: header, Body: []byte(b), Config: r.Config})
	}
	return items, true, nil
}

// division counts what one request may become.
type division struct {
	left, bytes int
	over        bool
}

// hole is an array of a branch in the text around it.
type hole struct {
	branch     *branch
	start, end int
	elements   []gjson.Result
}

// divide returns the items of one element; found is false when it has none of
// the arrays.
func (d *division) divide(b *branch, raw string) (items []string, found bool) {
	holes := b.holes(raw)
	for i, h := range holes {
		for _, element := range h.elements {
			inner, deeper := d.divide(h.branch, element.Raw)
			if !deeper || len(inner) == 0 {
				inner = []string{element.Raw}
			}
			for _, item := range inner {
				whole := around(raw, holes, i, item)
				if d.left--; d.left < 0 {
					d.over = true
				}
				if d.bytes -= len(whole); d.bytes < 0 {
					d.over = true
				}
				if d.over {
					return nil, true
				}
				items = append(items, whole)
			}
		}
	}
	return items, len(holes) > 0
}

// holes are the arrays that the element has, in the order of the text.
func (b *branch) holes(raw string) (list []hole) {
	for _, inner := range b.branches {
		if inner.path == "" {
			if v := gjson.Parse(raw); v.IsArray() {
				return []hole{{branch: inner, end: len(raw), elements: v.Array()}}
			}
			continue
		}
		v := gjson.Get(raw, inner.path)
		if !v.IsArray() || v.Index <= 0 || v.Index+len(v.Raw) > len(raw) {
			continue
		}
		list = append(list, hole{branch: inner, start: v.Index, end: v.Index + len(v.Raw), elements: v.Array()})
	}
	slices.SortFunc(list, func(a, b hole) int { return a.start - b.start })
	return list
}

// around is the text with item alone in the array that is meant and nothing in
// the others.
func around(raw string, holes []hole, meant int, item string) string {
	if holes[meant].branch.path == "" {
		return item
	}
	var out strings.Builder
	at := 0
	for i, h := range holes {
		if h.start < at { // inside the one before
			continue
		}
		out.WriteString(raw[at:h.start])
		out.WriteByte('[')
		if i == meant {
			out.WriteString(item)
		}
		out.WriteByte(']')
		at = h.end
	}
	out.WriteString(raw[at:])
	return out.String()
}

// lines are JSON values on a line each, as one array.
func lines(body []byte) ([]byte, bool) {
	list := make([]byte, 0, len(body)+2)
	n := 0
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !gjson.ValidBytes(line) {
			return nil, false
		}
		if n++; n > 1 {
			list = append(list, ',')
		}
		list = append(list, line...)
	}
	return slices.Concat([]byte("["), list, []byte("]")), n > 0
}
