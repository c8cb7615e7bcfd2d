package openapi

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// components gives the named parts of a document. Schemas are converted when
// they are first asked for: a plan needs a few of a thousand.
type components struct {
	root    gjson.Result
	schemas map[string]gjson.Result
	order   []string
	prefix  string // "#/components/schemas/" or "#/definitions/"

	mu      sync.Mutex
	adopted map[string]string // pointers into other files → the name of the schema there
	done    map[string]*Schema
	members map[string]map[string]gjson.Result // by the pointer of an object or list: what stands in it
}

// Schema returns the component called name, or nil. A name that is a pointer
// into the document ("#/paths/…"), as it stands in a Ref that leads elsewhere
// than to a component, works as well. The schema is shared: don't change it.
func (d *Document) Schema(name string) *Schema {
	c := d.components
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.done[name]; ok {
		return s
	}
	raw, ok := c.schemas[name]
	if !ok && strings.HasPrefix(name, "#/") {
		raw, ok = c.pointer(name)
	}
	if !ok {
		return nil
	}
	s := c.schema(raw, 0)
	c.done[name] = s
	return s
}

// SchemaNames returns the names of the components, in document order.
func (d *Document) SchemaNames() []string {
	if d.components == nil {
		return nil
	}
	return slices.Clone(d.components.order)
}

// Resolve follows references until a schema that says something itself. A
// reference to nothing, or one that only leads back to itself, gives an empty
// schema; nil gives nil.
func (d *Document) Resolve(s *Schema) *Schema {
	for range maxDepth {
		if s == nil || s.Ref == "" {
			return s
		}
		next := d.Schema(s.Ref)
		if next == nil {
			return &Schema{}
		}
		s = next
	}
	return &Schema{}
}

// ref turns a reference into the name of a component schema; ok is false for
// one that points elsewhere.
func (c *components) ref(pointer string) (name string, ok bool) {
	if name, ok = c.adopted[pointer]; ok {
		return name, true
	}
	name, ok = strings.CutPrefix(pointer, c.prefix)
	if !ok || strings.Contains(name, "/") {
		return "", false
	}
	return unescape(name), true
}

// adopt gives the schemas that stand in other files names of their own, in the
// order in which the document refers to them, where the name is still free.
func (c *components) adopt(references []string) {
	c.adopted = map[string]string{}
	for _, ref := range references {
		name := shortName(ref)
		if _, taken := c.schemas[name]; name == "" || taken {
			continue
		}
		at, ok := c.pointer(ref)
		if !ok || !looksLikeSchema(at) {
			continue
		}
		c.schemas[name], c.adopted[ref] = at, name
		c.order = append(c.order, name)
	}
}

// looksLikeSchema tells a schema from a parameter, a response, a path.
func looksLikeSchema(r gjson.Result) bool {
	is := false
	members(r, func(key, _ gjson.Result) bool {
		switch key.String() {
		case "in", "content", "responses", "schema":
			is = false
			return false
		case "type", "properties", "allOf", "anyOf", "oneOf", "items", "enum", "$ref", "additionalProperties":
			is = true
		}
		return true
	})
	return is
}

var unescaper = strings.NewReplacer("~1", "/", "~0", "~")

// unescape undoes the escapes of a JSON pointer inside a URI fragment (RFC
// 6901, sections 3 and 6).
func unescape(s string) string {
	if strings.IndexByte(s, '%') >= 0 {
		if plain, err := url.PathUnescape(s); err == nil {
			s = plain
		}
	}
	if strings.IndexByte(s, '~') >= 0 {
		s = unescaper.Replace(s)
	}
	return s
}

// schema converts one schema. Beyond maxDepth it is empty.
func (c *components) schema(raw gjson.Result, depth int) *Schema {
	s := &Schema{}
	if depth > maxDepth || !raw.IsObject() {
		return s
	}
	members(raw, func(key, value gjson.Result) bool {
		c.keyword(s, key.String(), value, depth)
		return true
	})
	if name, ok := c.ref(s.Ref); ok {
		s.Ref = name
	}
	return s
}

// keyword takes one keyword of a schema.
func (c *components) keyword(s *Schema, key string, value gjson.Result, depth int) {
	switch key {
	case "$ref":
		s.Ref = value.String()
	case "type":
		c.kind(s, value)
	case "format":
		s.Format = value.String()
	case "nullable":
		s.Nullable = s.Nullable || value.Bool()
	case "readOnly":
		s.ReadOnly = value.Bool()
	case "description":
		if value.Type == gjson.String {
			s.Description = plain(value.String())
		}
	case "enum":
		elements(value, func(_, v gjson.Result) bool {
			switch v.Type {
			case gjson.Null:
				s.Nullable = true
			case gjson.Number:
				s.Enum = append(s.Enum, number(v))
			case gjson.String, gjson.True, gjson.False:
				s.Enum = append(s.Enum, v.String())
			case gjson.JSON:
			}
			return true
		})
	case "const":
		s.Enum = []string{value.String()}
		if value.Type == gjson.Number {
			s.Enum[0] = number(value)
		}
	case "properties":
		members(value, func(name, v gjson.Result) bool {
			s.Properties = append(s.Properties, Property{Name: name.String(), Schema: c.schema(v, depth+1)})
			return true
		})
	case "required":
		if value.IsArray() {
			elements(value, func(_, v gjson.Result) bool { s.Required = append(s.Required, v.String()); return true })
		}
	case "items":
		s.Items = c.schema(value, depth+1)
	case "anyOf", "oneOf":
		s.AnyOf = append(s.AnyOf, c.list(s, value, depth)...)
	case "allOf":
		s.AllOf = append(s.AllOf, c.list(s, value, depth)...)
	case "additionalProperties":
		if value.IsObject() {
			s.AdditionalProperties = c.schema(value, depth+1)
		}
	case "maxLength":
		if n := value.Num; value.Type == gjson.Number && n > 0 && n < 1<<31 {
			s.MaxLength = int(n)
		}
	case "default":
		s.Default = plainValue(value)
	case "example":
		s.Example = plainValue(value)
	case "pattern":
		s.Pattern = value.String()
	}
}

// number is one as text. Beyond float64 it stays as it is written.
func number(v gjson.Result) string {
	if math.IsInf(v.Num, 0) {
		return v.Raw
	}
	return v.String()
}

// plainValue is a value as encoding/json would give it. A number beyond float64
// is text: it could not be written again.
func plainValue(r gjson.Result) any {
	switch {
	case r.Type == gjson.Number && math.IsInf(r.Num, 0):
		return r.Raw
	case r.IsObject():
		in := map[string]any{}
		r.ForEach(func(name, v gjson.Result) bool { in[name.String()] = plainValue(v); return true })
		return in
	case r.IsArray():
		in := []any{}
		r.ForEach(func(_, v gjson.Result) bool { in = append(in, plainValue(v)); return true })
		return in
	}
	return r.Value()
}

// kind takes a type, or a list of them as of OpenAPI 3.1.
func (c *components) kind(s *Schema, value gjson.Result) {
	if !value.IsArray() {
		s.Type = value.String()
		return
	}
	elements(value, func(_, v gjson.Result) bool {
		switch v.String() {
		case "null":
			s.Nullable = true
		default:
			if s.Type == "" {
				s.Type = v.String()
			}
		}
		return true
	})
}

// list converts the members of a composition. A member {"type": "null"} only
// says that the whole may be null.
func (c *components) list(s *Schema, value gjson.Result, depth int) []*Schema {
	var out []*Schema
	elements(value, func(_, v gjson.Result) bool {
		if v.Get("type").String() == "null" {
			s.Nullable = true
			return true
		}
		out = append(out, c.schema(v, depth+1))
		return true
	})
	return out
}

// pointer follows a local reference: "#/a/b~1c". It indexes every object on the
// way once, so that a thousand references don't read the document a thousand
// times. The caller holds the lock, or is the only one yet.
func (c *components) pointer(ref string) (gjson.Result, bool) {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok || strings.Count(path, "/") > 2*maxNesting {
		return gjson.Result{}, false
	}
	at, here := c.root, "#"
	for step := range strings.SplitSeq(path, "/") {
		if !at.IsObject() && !at.IsArray() {
			return gjson.Result{}, false
		}
		in, ok := c.members[here]
		if !ok {
			in = children(at)
			c.members[here] = in
		}
		step = unescape(step)
		if at, ok = in[step]; !ok {
			return gjson.Result{}, false
		}
		here += "/" + escape(step)
	}
	return at, true
}

// members goes over what an object holds; of anything else there is nothing.
func members(of gjson.Result, each func(name, value gjson.Result) bool) {
	if of.IsObject() {
		of.ForEach(each)
	}
}

// elements goes over a list; of anything else there is nothing.
func elements(of gjson.Result, each func(_, value gjson.Result) bool) {
	if of.IsArray() {
		of.ForEach(each)
	}
}

// children are the members of an object by name, or the elements of a list by
// number. gjson's own paths would give dots and stars in a name a meaning.
func children(of gjson.Result) map[string]gjson.Result {
	in := map[string]gjson.Result{}
	index := 0
	isList := of.IsArray()
	of.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if isList {
			name = strconv.Itoa(index)
		}
		in[name] = value
		index++
		return true
	})
	return in
}
