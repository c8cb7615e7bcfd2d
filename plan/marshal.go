package plan

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
)

// Marshal writes a plan file: keys in the order of the reference, names sorted,
// small things and mapping rows in one line each. Parse gives the same plan
// back. What is empty is left out, and so is what is not part of the file
// (Provider, File). The only error is text that is not UTF-8, which no file of
// this format can hold.
func Marshal(p *Plan) ([]byte, error) {
	w := &writer{}
	fmt.Fprintf(&w.b, "# How %s is integrated. Every key is explained in docs/plan-reference.md;\n# \"sallyport review\" says what is missing.\n", oneLine(p.Service))
	w.structure(reflect.ValueOf(p).Elem(), 0)
	return w.b.Bytes(), w.err
}

// oneLine keeps a name from ending the comment it stands in.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// writer writes YAML in the layout of a plan.
type writer struct {
	b     bytes.Buffer
	err   error // the first one
	depth int   // of brackets
}

// inOneLine are the structs written as {a: b}.
var inOneLine = []reflect.Type{
	reflect.TypeFor[Spec](), reflect.TypeFor[Confirmation](), reflect.TypeFor[Idempotency](),
	reflect.TypeFor[OnConflict](), reflect.TypeFor[MappingRow](), reflect.TypeFor[ErrorPolicy](),
	reflect.TypeFor[EventHandling](), reflect.TypeFor[Retention](), reflect.TypeFor[Reconcile](),
	reflect.TypeFor[Destination](), reflect.TypeFor[Bulk](), reflect.TypeFor[Criterion](),
	reflect.TypeFor[Step](), reflect.TypeFor[Point](), reflect.TypeFor[Source](), reflect.TypeFor[Route](), reflect.TypeFor[Fetch](),
}

func (w *writer) structure(v reflect.Value, indent int) {
	for _, f := range structureOf(v.Type()).fields {
		value := v.Field(f.index)
		if f.omitEmpty && value.IsZero() || f.omitEmpty && isEmpty(value) {
			continue
		}
		if indent == 0 && isBlock(value) {
			w.b.WriteByte('\n')
		}
		w.entry(w.key(f.name, false), value, indent)
	}
}

// isEmpty reports an empty list or map, which omitempty leaves out as well.
func isEmpty(v reflect.Value) bool {
	return (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}

// isBlock reports whether a value is written on lines of its own.
func isBlock(v reflect.Value) bool {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		return !slices.Contains(inOneLine, v.Type())
	case reflect.Map:
		return v.Len() > 0
	case reflect.Slice:
		return v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct
	}
	return false
}

// key writes a key as a reader of ours takes it: a status needs no quotes.
func (w *writer) key(s string, inside bool) string {
	if plainKey.MatchString(s) && s != "null" {
		return s
	}
	return w.scalar(s, inside)
}

var plainKey = regexp.MustCompile(`^([a-z][a-z0-9_]*|[0-9]{3}|[0-9]xx)$`)

// entry writes "key: value" at an indentation.
func (w *writer) entry(key string, v reflect.Value, indent int) {
	w.b.WriteString(strings.Repeat(" ", indent))
	w.b.WriteString(key)
	w.b.WriteByte(':')
	w.after(v, indent)
}

// after writes a value behind "key:".
func (w *writer) after(v reflect.Value, indent int) {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if !isBlock(v) || v.Kind() == reflect.Struct && w.hasNothing(v) {
		w.b.WriteByte(' ')
		w.flow(v, false)
		w.b.WriteByte('\n')
		return
	}
	w.b.WriteByte('\n')
	switch v.Kind() {
	case reflect.Struct:
		w.structure(v, indent+2)
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			w.entry(w.key(key, false), v.MapIndex(reflect.ValueOf(key)), indent+2)
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.item(v.Index(i), indent+2)
		}
	}
}

func (w *writer) hasNothing(v reflect.Value) bool {
	for _, f := range structureOf(v.Type()).fields {
		if value := v.Field(f.index); !f.omitEmpty || !value.IsZero() && !isEmpty(value) {
			return false
		}
	}
	return true
}

// item writes "- value": a row in one line, other structs over several.
func (w *writer) item(v reflect.Value, indent int) {
	w.b.WriteString(strings.Repeat(" ", indent) + "- ")
	if !isBlock(v) || w.hasNothing(v) {
		w.flow(v, false)
		w.b.WriteByte('\n')
		return
	}
	start := w.b.Len()
	w.structure(v, indent+2)
	// The first key stands behind the dash.
	written := bytes.TrimLeft(bytes.Clone(w.b.Bytes()[start:]), " ")
	w.b.Truncate(start)
	w.b.Write(written)
}

func sortedKeys(m reflect.Value) []string {
	keys := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.SortFunc(keys, errorOrder)
	return keys
}

// flow writes a value in one line; inside tells that it stands between
// brackets, where fewer characters are plain.
func (w *writer) flow(v reflect.Value, inside bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			w.b.WriteString("{}")
			return
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case RetryCount:
		if x == 0 {
			w.b.WriteString("never")
			return
		}
		fmt.Fprint(&w.b, int(x))
		return
	case catalog.OneOrMore:
		if len(x) == 1 {
			w.b.WriteString(w.scalar(x[0], inside))
			return
		}
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		w.fail(err)
		w.b.WriteString(w.scalar(string(text), inside))
		return
	}
	switch v.Kind() {
	case reflect.String:
		w.b.WriteString(w.scalar(v.String(), inside))
	case reflect.Struct:
		var parts []func()
		for _, f := range structureOf(v.Type()).fields {
			value := v.Field(f.index)
			if f.omitEmpty && (value.IsZero() || isEmpty(value)) {
				continue
			}
			parts = append(parts, func() { w.pair(f.name, value) })
		}
		w.list('{', '}', parts)
	case reflect.Map:
		var parts []func()
		for _, key := range sortedKeys(v) {
			parts = append(parts, func() { w.pair(key, v.MapIndex(reflect.ValueOf(key))) })
		}
		w.list('{', '}', parts)
	case reflect.Slice:
		var parts []func()
		for i := range v.Len() {
			parts = append(parts, func() {
				if s := v.Index(i); s.Kind() == reflect.String && w.depth > 1 && strings.Contains(s.String(), ":") {
					w.b.WriteString(quoted(s.String())) // goccy takes a:b for a pair in a list inside a map
					return
				}
				w.flow(v.Index(i), true)
			})
		}
		w.list('[', ']', parts)
	default:
		fmt.Fprint(&w.b, v.Interface())
	}
}

func (w *writer) pair(key string, v reflect.Value) {
	name := w.key(key, true)
	if name == key && strings.Contains(key, ":") {
		name = quoted(key)
	}
	w.b.WriteString(name + ": ")
	w.flow(v, true)
}

func (w *writer) list(open, end byte, parts []func()) {
	w.depth++
	defer func() { w.depth-- }()
	w.b.WriteByte(open)
	for i, write := range parts {
		if i > 0 {
			w.b.WriteString(", ")
		}
		write()
	}
	w.b.WriteByte(end)
}

func (w *writer) fail(err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("write plan: %w", err)
	}
}
