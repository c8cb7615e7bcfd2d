package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/openapi"
)

// model is the provider's document and samples, as the sandbox asks them. It
// does not change.
type model struct {
	doc     *openapi.Document
	samples map[string]map[string]any // by component name
}

func newModel(doc *openapi.Document, fixtures []byte) (*model, error) {
	m := &model{doc: doc, samples: map[string]map[string]any{}}
	if len(fixtures) == 0 {
		return m, nil
	}
	var file struct {
		Resources map[string]json.RawMessage `json:"resources"`
	}
	if err := json.Unmarshal(fixtures, &file); err != nil {
		return nil, fmt.Errorf("sandbox: the fixtures are not valid: %w", err)
	}
	for name, raw := range file.Resources {
		if v, ok := parse(raw).(map[string]any); ok {
			m.samples[name] = v
		}
	}
	return m, nil
}

// parse reads JSON with exact numbers; nil when it is none.
func parse(raw []byte) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return nil
	}
	return v
}

// format writes JSON as providers do: without escaping HTML.
func format(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // maps, lists, strings, numbers and booleans can be written
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// clone copies a JSON value.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, x := range v {
			m[k] = clone(x)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, x := range v {
			l[i] = clone(x)
		}
		return l
	}
	return v
}

// schema follows a reference; nil stays nil.
func (m *model) schema(s *openapi.Schema) *openapi.Schema {
	if s == nil || s.Ref == "" {
		return s
	}
	return m.doc.Resolve(s)
}

// maxNesting bounds how deep schemas are followed; they may be cyclic.
const maxNesting = 8

// property finds a property, also in the parts of an allOf and the first
// alternative that has it.
func (m *model) property(s *openapi.Schema, name string) *openapi.Schema {
	return m.propertyOnce(s, name, nil)
}

// propertyOnce passes over schemas it has been to.
func (m *model) propertyOnce(s *openapi.Schema, name string, been []*openapi.Schema) *openapi.Schema {
	if s = m.schema(s); s == nil || len(been) > maxNesting || slices.Contains(been, s) {
		return nil
	}
	if p := s.Property(name); p != nil {
		return p
	}
	if len(s.AllOf) == 0 && len(s.AnyOf) == 0 {
		return nil
	}
	been = append(been, s)
	for _, parts := range [][]*openapi.Schema{s.AllOf, s.AnyOf} {
		for _, part := range parts {
			if p := m.propertyOnce(part, name, been); p != nil {
				return p
			}
		}
	}
	return nil
}

// properties are all properties, those of the parts of an allOf included, or
// those of the first alternative when there are no others.
func (m *model) properties(s *openapi.Schema) []openapi.Property {
	if s = m.schema(s); s == nil {
		return nil
	}
	if len(s.AllOf) == 0 && len(s.AnyOf) == 0 {
		return s.Properties
	}
	var list []openapi.Property
	m.collect(s, &list, map[string]bool{}, map[*openapi.Schema]bool{})
	return list
}

func (m *model) collect(s *openapi.Schema, list *[]openapi.Property, names map[string]bool, been map[*openapi.Schema]bool) {
	if s = m.schema(s); s == nil || been[s] {
		return
	}
	been[s] = true
	for _, p := range s.Properties {
		if !names[p.Name] {
			names[p.Name] = true
			*list = append(*list, p)
		}
	}
	for _, part := range s.AllOf {
		m.collect(part, list, names, been)
	}
	if len(*list) == 0 && len(s.AnyOf) > 0 {
		m.collect(s.AnyOf[0], list, names, been)
	}
}

// component is the name of the component a schema refers to, directly or as
// its first alternative; empty when it refers to none.
func (m *model) component(s *openapi.Schema) string {
	switch {
	case s == nil:
		return ""
	case s.Ref != "":
		return s.Ref
	case len(s.AnyOf) > 0:
		return m.component(s.AnyOf[0])
	}
	return ""
}

// mentions reports whether a schema is, or has as an alternative, a component.
func (m *model) mentions(s *openapi.Schema, component string) bool {
	if s == nil || component == "" {
		return false
	}
	if s.Ref == component {
		return true
	}
	return slices.ContainsFunc(s.AnyOf, func(a *openapi.Schema) bool { return m.mentions(a, component) })
}

// success is the schema of an operation's 2xx answer, and its status.
func success(op *openapi.Operation) (*openapi.Schema, int) {
	for _, status := range []string{"200", "201", "202", "2XX", "204", "203"} {
		body, ok := op.Responses[status]
		if !ok {
			continue
		}
		code := 200
		if status != "2XX" {
			code = int(status[2]-'0') + 200
		}
		if body == nil {
			return nil, code
		}
		return body.Schema, code
	}
	if body := op.Responses["default"]; body != nil {
		return body.Schema, 200
	}
	return nil, 200
}

// sample makes a value of the schema: the provider's own sample of that
// component, or what the schema says.
func (m *model) sample(s *openapi.Schema, now time.Time, depth int) any {
	return (&sampler{model: m, now: now, left: maxSample}).value(s, depth)
}

// maxSample bounds the values of one made-up sample.
const maxSample = 5_000

// sampler makes one sample.
type sampler struct {
	*model
	now  time.Time
	left int
}

func (m *sampler) value(s *openapi.Schema, depth int) any {
	if s == nil {
		return map[string]any{}
	}
	if name := m.component(s); name != "" && m.samples[name] != nil {
		return clone(m.samples[name])
	}
	s = m.schema(s)
	m.left--
	if s == nil || depth > maxNesting || m.left < 0 {
		return nil
	}
	switch {
	case s.Example != nil:
		return normal(s.Example)
	case s.Default != nil:
		return normal(s.Default)
	case len(s.Enum) > 0 && (s.Type == "" || s.Type == "string"):
		return s.Enum[0]
	case len(s.AnyOf) > 0:
		return m.value(m.simplest(s.AnyOf), depth+1)
	}
	return m.byType(s, depth)
}

// simplest prefers a plain string, which is how APIs refer to other objects.
func (m *model) simplest(alternatives []*openapi.Schema) *openapi.Schema {
	for _, a := range alternatives {
		if r := m.schema(a); r != nil && r.Type == "string" {
			return a
		}
	}
	return alternatives[0]
}

func (m *sampler) byType(s *openapi.Schema, depth int) any {
	switch s.Type {
	case "string":
		return sampleText(s, m.now)
	case "integer":
		if s.Format == "unix-time" {
			return json.Number(fmt.Sprint(m.now.Unix()))
		}
		return json.Number("0")
	case "number":
		return json.Number("0")
	case "boolean":
		return false
	case "array":
		return []any{}
	}
	properties := m.properties(s)
	object := make(map[string]any, len(properties))
	for _, p := range properties {
		resolved := m.schema(p.Schema)
		required := slices.Contains(s.Required, p.Name)
		switch {
		case resolved == nil:
			object[p.Name] = nil
		case required || (!resolved.Nullable && depth < 2):
			object[p.Name] = m.value(p.Schema, depth+1)
		case resolved.Nullable:
			object[p.Name] = nil
		}
	}
	return object
}

func sampleText(s *openapi.Schema, now time.Time) string {
	text := ""
	switch s.Format {
	case "date-time":
		return now.UTC().Format(time.RFC3339)
	case "date":
		return now.UTC().Format(time.DateOnly)
	case "uuid":
		return "00000000-0000-4000-8000-000000000000"
	case "email":
		return "someone@example.com"
	case "uri", "url":
		return "https://example.com/"
	case "currency":
		return "usd"
	default:
		text = "string"
	}
	if s.MaxLength > 0 && len(text) > s.MaxLength {
		text = text[:s.MaxLength]
	}
	return text
}

// normal turns a value out of the document into one as parse gives it.
func normal(v any) any {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return parse(raw)
}

// title is a component's name as words: payment_intent → payment intent.
func title(component string) string {
	return strings.NewReplacer("_", " ", ".", " ", "-", " ").Replace(component)
}
