package diff

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// flat is an object schema with its references followed and its allOf parts
// taken together. Of alternatives it is the one with the most properties: what
// a plan maps is the resource, not the notice that it was deleted.
func flat(d *openapi.Document, s *openapi.Schema) *openapi.Schema { return flatten(d, s, 0) }

func flatten(d *openapi.Document, s *openapi.Schema, depth int) *openapi.Schema {
	s = d.Resolve(s)
	if s == nil || depth > maxDepth || len(s.AllOf) == 0 && len(s.AnyOf) == 0 {
		return s
	}
	whole := *s
	whole.Properties, whole.Required = slices.Clone(s.Properties), slices.Clone(s.Required)
	whole.AllOf, whole.AnyOf = nil, nil
	add := func(part *openapi.Schema) {
		whole.Properties = append(whole.Properties, part.Properties...)
		whole.Required = append(whole.Required, part.Required...)
		whole.Type = cmp.Or(whole.Type, part.Type)
		whole.Nullable = whole.Nullable || part.Nullable
		if len(whole.Enum) == 0 {
			whole.Enum = part.Enum
		}
		if whole.Items == nil {
			whole.Items = part.Items
		}
	}
	for _, part := range s.AllOf {
		add(flatten(d, part, depth+1))
	}
	if len(s.AnyOf) > 0 && len(whole.Properties) == 0 {
		var best *openapi.Schema
		for _, part := range s.AnyOf {
			if part = flatten(d, part, depth+1); best == nil || len(part.Properties) > len(best.Properties) {
				best = part
			}
		}
		add(best)
	}
	return &whole
}

// steps takes a mapping's path apart; "\." is a dot inside a name.
func steps(path string) []string {
	path = strings.TrimSuffix(path, "[*]")
	var list []string
	for _, part := range strings.Split(strings.ReplaceAll(path, `\.`, "\x00"), ".") {
		list = append(list, strings.ReplaceAll(part, "\x00", "."))
	}
	return list
}

func escape(name string) string { return strings.ReplaceAll(name, ".", `\.`) }

// at is the schema of the field at path below s, and whether it is always
// there; nil when the schema does not know it. Of "a[*]" it is that of the
// elements. A map's values are known by any name, and never always there.
func at(d *openapi.Document, s *openapi.Schema, path string) (field *openapi.Schema, always bool) {
	always = true
	for _, name := range steps(path) {
		if s = flat(d, s); s == nil {
			return nil, false
		}
		next := s.Property(name)
		switch {
		case next != nil:
			always = always && slices.Contains(s.Required, name)
		case s.AdditionalProperties != nil:
			next, always = s.AdditionalProperties, false
		default:
			return nil, false
		}
		s = next
	}
	whole := *flat(d, s)
	whole.Nullable = whole.Nullable || s.Nullable
	if strings.HasSuffix(path, "[*]") {
		if whole.Items == nil {
			return nil, false
		}
		return flat(d, whole.Items), always
	}
	return &whole, always
}

// inside is what a table of its own is applied to: the object, or the elements
// of a list.
func inside(d *openapi.Document, s *openapi.Schema) *openapi.Schema {
	if s = flat(d, s); s != nil && s.Items != nil {
		return flat(d, s.Items)
	}
	return s
}

// shape is the type of a field in words that a change of meaning changes.
func shape(d *openapi.Document, s *openapi.Schema) string {
	s = flat(d, s)
	if s == nil {
		return ""
	}
	kind := s.Type
	switch {
	case kind != "":
	case len(s.Properties) > 0:
		kind = "object"
	case s.Items != nil:
		kind = "array"
	case len(s.Enum) > 0:
		kind = "string"
	}
	switch s.Format {
	case "unix-time", "date-time", "date", "uuid", "decimal", "binary", "byte":
		return kind + " (" + s.Format + ")"
	}
	return kind
}

// enum is the list of values a field may have.
func enum(d *openapi.Document, s *openapi.Schema) []string {
	s = flat(d, s)
	if s == nil {
		return nil
	}
	return s.Enum
}
