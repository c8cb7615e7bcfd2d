package conflict

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Bounds on a document that is merged or searched.
const (
	MaxBytes = 4 << 20
	MaxDepth = 64
)

// value is one JSON value that remembers how it was written and in which order.
type value struct {
	raw     string
	kind    kind
	members []member       // of an object
	index   map[string]int // name → members
	items   []value        // of a list
}

type member struct {
	name string
	raw  string // the name as it was written, in quotes
	value
}

type kind byte

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

// parse reads a document. Names given twice are refused, because readers differ
// in which one counts.
func parse(what string, raw json.RawMessage) (value, error) {
	switch {
	case len(raw) > MaxBytes:
		return value{}, fmt.Errorf("%s has %d bytes; at most %d are merged", what, len(raw), MaxBytes)
	case !utf8.Valid(raw) || !json.Valid(raw):
		return value{}, fmt.Errorf("%s is not valid JSON", what)
	}
	v, err := build(gjson.ParseBytes(raw), 0)
	if err != nil {
		return value{}, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

func build(r gjson.Result, depth int) (value, error) {
	v := value{raw: r.Raw}
	switch {
	case depth > MaxDepth:
		return value{}, fmt.Errorf("it is nested more than %d levels deep", MaxDepth)
	case r.IsObject():
		v.kind, v.index = object, map[string]int{}
	case r.IsArray():
		v.kind = list
	case r.Type == gjson.String:
		v.kind = text
	case r.Type == gjson.Number:
		v.kind = number
	case r.Type == gjson.True || r.Type == gjson.False:
		v.kind = boolean
	}
	if v.kind < list {
		return v, nil
	}
	var failed error
	r.ForEach(func(key, one gjson.Result) bool {
		child, err := build(one, depth+1)
		if err != nil {
			failed = err
			return false
		}
		if v.kind == list {
			v.items = append(v.items, child)
			return true
		}
		name := key.String()
		if _, twice := v.index[name]; twice {
			failed = errors.New("a name stands twice in one object, and readers differ in which one counts")
			return false
		}
		v.index[name] = len(v.members)
		v.members = append(v.members, member{name: name, raw: key.Raw, value: child})
		return true
	})
	return v, failed
}

// get is the member of that name, nil when there is none.
func (v *value) get(name string) *value {
	if v == nil || v.kind != object {
		return nil
	}
	i, ok := v.index[name]
	if !ok {
		return nil
	}
	return &v.members[i].value
}

// at is the element of that index, nil when there is none.
func (v *value) at(i int) *value {
	if v == nil || v.kind != list || i < 0 || i >= len(v.items) {
		return nil
	}
	return &v.items[i]
}

// follow is the value a path leads to, nil when there is none.
func (v *value) follow(p Path) *value {
	for _, step := range p {
		if step.element {
			v = v.at(step.index)
		} else {
			v = v.get(step.Name)
		}
		if v == nil {
			return nil
		}
	}
	return v
}

// with is the object as JSON, with the member at a path of names set to raw.
func (v *value) with(path Path, raw string) string {
	if len(path) == 0 {
		return raw
	}
	var b strings.Builder
	b.WriteByte('{')
	there := false
	if v != nil && v.kind == object {
		for i := range v.members {
			m := &v.members[i]
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(m.raw + ":")
			if m.name == path[0].Name {
				there = true
				b.WriteString(m.with(path[1:], raw))
			} else {
				b.WriteString(m.value.raw)
			}
		}
	}
	if !there {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(path[0].Name)
		if err != nil {
			name = []byte(`""`) // a string always can be written
		}
		b.Write(name)
		b.WriteByte(':')
		b.WriteString((*value)(nil).with(path[1:], raw))
	}
	b.WriteByte('}')
	return b.String()
}

// string is the text a form would carry for a value.
func (v *value) string() string {
	switch v.kind {
	case text:
		return gjson.Parse(v.raw).Str
	case null:
		return ""
	}
	return v.raw
}

// same compares what two values mean: 1 and 1.0 are one number, the order of
// names in an object does not count, and null is what is not there. With loose,
// values are compared as a form writes them, without types.
func same(a, b *value, loose bool) bool {
	switch {
	case a == nil || a.kind == null:
		return b == nil || b.kind == null || loose && b.kind == text && b.string() == ""
	case b == nil || b.kind == null:
		return same(b, a, loose)
	case a.kind < list && b.kind < list && loose && a.kind != b.kind:
		return a.string() == b.string()
	case a.kind != b.kind:
		return false
	}
	switch a.kind {
	case number:
		return sameNumber(a.raw, b.raw)
	case text:
		return a.string() == b.string()
	case list:
		if len(a.items) != len(b.items) {
			return false
		}
		for i := range a.items {
			if !same(&a.items[i], &b.items[i], loose) {
				return false
			}
		}
		return true
	case object:
		return within(a, b, loose) && within(b, a, loose)
	}
	return a.raw == b.raw
}

// within reports whether every member of a is the same in b.
func within(a, b *value, loose bool) bool {
	for i := range a.members {
		if !same(&a.members[i].value, b.get(a.members[i].name), loose) {
			return false
		}
	}
	return true
}

// sameNumber compares two numbers exactly, whatever their size.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	digitsA, exponentA, okA := decimal(a)
	digitsB, exponentB, okB := decimal(b)
	return okA && okB && digitsA == digitsB && exponentA == exponentB
}

// decimal takes a number apart into digits without zeros at either end, with
// their sign, and the power of ten they are to be multiplied with.
func decimal(s string) (digits string, exponent int64, ok bool) {
	mantissa, power, scientific := strings.Cut(strings.ToLower(s), "e")
	if scientific {
		n, err := strconv.ParseInt(power, 10, 32)
		if err != nil {
			return "", 0, false
		}
		exponent = n
	}
	sign := ""
	if rest, negative := strings.CutPrefix(mantissa, "-"); negative {
		sign, mantissa = "-", rest
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent -= int64(len(fraction))
	digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return "0", 0, true
	}
	return sign + short, exponent + int64(len(digits)-len(short)), true
}
