package drift

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
)

// Bounds on the look at one answer.
const (
	maxValues   = 20_000 // values that are compared
	maxNames    = 1000   // names of one object
	maxElements = 20     // elements of one list that are looked into
	maxDepth    = 32
	maxNew      = 20 // new names in one object; with more it is a map
)

// walk compares an answer with a schema.
type walk struct {
	document *openapi.Document
	private  map[string]bool // pointers whose values are never shown
	budget   int
	found    []Finding
}

func (w *walk) add(pointer string, kind integration.DriftKind, expected, example string) {
	w.found = append(w.found, Finding{Pointer: pointer, Kind: kind, Expected: expected, Example: example})
}

// value compares one value.
func (w *walk) value(pointer string, v gjson.Result, s *openapi.Schema, depth int) {
	s = w.document.Resolve(s)
	if w.budget--; s == nil || w.budget < 0 || depth > maxDepth {
		return
	}
	parts := w.parts(s, 0)
	if v.Type == gjson.Null {
		if !slices.ContainsFunc(parts, nullable) && saysType(parts) {
			w.add(pointer, integration.DriftNull, expected(parts), "null")
		}
		return
	}
	for _, p := range parts {
		if p.Type != "" && !fits(v, p.Type) {
			w.add(pointer, integration.DriftChangedType, p.Type, shape(v))
			return
		}
	}
	for _, p := range parts {
		if len(p.AnyOf) > 0 {
			w.anyOf(pointer, v, p.AnyOf, depth)
		}
		w.enum(pointer, v, p)
	}
	switch {
	case v.IsObject():
		w.object(pointer, v, parts, depth)
	case v.IsArray():
		w.list(pointer, v, parts, depth)
	}
}

// parts are the schema and all it is composed of by allOf.
func (w *walk) parts(s *openapi.Schema, depth int) []*openapi.Schema {
	all := []*openapi.Schema{s}
	if depth > maxDepth {
		return all
	}
	for _, one := range s.AllOf {
		if one = w.document.Resolve(one); one != nil {
			all = append(all, w.parts(one, depth+1)...)
		}
	}
	return all
}

// nullable also takes a schema with alternatives for one that may be null when
// one of these says so.
func nullable(s *openapi.Schema) bool {
	return s.Nullable || slices.ContainsFunc(s.AnyOf, func(o *openapi.Schema) bool { return o.Nullable })
}

// saysType reports whether the schema is strict enough to exclude null.
func saysType(parts []*openapi.Schema) bool {
	return slices.ContainsFunc(parts, func(s *openapi.Schema) bool { return s.Type != "" || len(s.Properties) > 0 })
}

func expected(parts []*openapi.Schema) string {
	for _, p := range parts {
		if p.Type != "" {
			return p.Type
		}
	}
	return "object"
}

func fits(v gjson.Result, kind string) bool {
	switch kind {
	case "string":
		return v.Type == gjson.String
	case "integer":
		return integral(v)
	case "number":
		return v.Type == gjson.Number
	case "boolean":
		return v.Type == gjson.True || v.Type == gjson.False
	case "object":
		return v.IsObject()
	case "array":
		return v.IsArray()
	}
	return true
}

func (w *walk) enum(pointer string, v gjson.Result, s *openapi.Schema) {
	if len(s.Enum) == 0 || v.IsObject() || v.IsArray() || slices.Contains(s.Enum, v.String()) {
		return
	}
	w.add(pointer, integration.DriftNewValue, "one of "+plural(len(s.Enum), "%d value"), w.show(pointer, v))
}

// show is the value of an enum where it may be shown.
func (w *walk) show(pointer string, v gjson.Result) string {
	if v.Type != gjson.String || !isWord(v.Str) {
		return shape(v)
	}
	for at := pointer; at != ""; at = at[:strings.LastIndexByte(at, '/')] {
		if w.private[at] {
			return shape(v)
		}
	}
	return v.Str
}

// anyOf looks for the alternative that the value is. Where several could be
// meant and none fits, nobody can tell what is wrong.
func (w *walk) anyOf(pointer string, v gjson.Result, alternatives []*openapi.Schema, depth int) {
	var best []Finding
	candidates := 0
	for _, one := range alternatives {
		try := walk{document: w.document, private: w.private, budget: w.budget}
		try.value(pointer, v, one, depth+1)
		w.budget = try.budget
		if !slices.ContainsFunc(try.found, func(f Finding) bool { return f.Kind != integration.DriftNewField }) {
			return // it is this one; what is new in it another may know
		}
		if slices.ContainsFunc(try.found, func(f Finding) bool { return f.Pointer == pointer && f.Kind == integration.DriftChangedType }) {
			continue
		}
		candidates++
		best = try.found
	}
	switch {
	case w.budget < 0:
	case candidates == 1:
		w.found = append(w.found, best...)
	case candidates == 0:
		w.add(pointer, integration.DriftChangedType, "one of "+plural(len(alternatives), "%d form"), shape(v))
	}
}

// object compares the members, and looks for those that are missing.
func (w *walk) object(pointer string, v gjson.Result, parts []*openapi.Schema, depth int) {
	there := map[string]bool{}
	var fresh []string
	shapes := map[string]string{}
	closed := !slices.ContainsFunc(parts, func(s *openapi.Schema) bool { return s.AdditionalProperties != nil || len(s.AnyOf) > 0 })
	known := slices.ContainsFunc(parts, func(s *openapi.Schema) bool { return len(s.Properties) > 0 })
	names := 0
	v.ForEach(func(key, member gjson.Result) bool {
		if names++; names > maxNames || w.budget < 0 {
			return false
		}
		name := key.String()
		there[name] = true
		declared := false
		for _, p := range parts {
			if property := p.Property(name); property != nil {
				declared = true
				w.value(pointer+"/"+step(name), member, property, depth+1)
			} else if p.AdditionalProperties != nil {
				w.value(pointer+"/*", member, p.AdditionalProperties, depth+1)
			}
		}
		if !declared && closed && known {
			at := pointer + "/" + step(name)
			if _, twice := shapes[at]; !twice {
				fresh = append(fresh, at)
			}
			shapes[at] = shape(member)
		}
		return true
	})
	if len(fresh) <= maxNew {
		for _, at := range fresh {
			w.add(at, integration.DriftNewField, "not in the document", shapes[at])
		}
	}
	if names > maxNames || w.budget < 0 {
		return
	}
	for _, p := range parts {
		for _, name := range p.Required {
			if !there[name] {
				w.add(pointer+"/"+step(name), integration.DriftMissingField, "required", "not there")
			}
		}
	}
}

// list compares the first elements.
func (w *walk) list(pointer string, v gjson.Result, parts []*openapi.Schema, depth int) {
	n := 0
	v.ForEach(func(_, element gjson.Result) bool {
		for _, p := range parts {
			if p.Items != nil {
				w.value(pointer+"/*", element, p.Items, depth+1)
			}
		}
		n++
		return n < maxElements && w.budget >= 0
	})
}

// response is the schema of an operation's answer: its status, else the range
// of it, else the default. Nil when the document says nothing.
func response(op *openapi.Operation, status int) *openapi.Schema {
	exact := strconv.Itoa(status)
	for _, key := range []string{exact, fmt.Sprintf("%cXX", exact[0]), fmt.Sprintf("%cxx", exact[0]), "default"} {
		if body, there := op.Responses[key]; there {
			if body == nil {
				return nil
			}
			return body.Schema
		}
	}
	return nil
}
