package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/form"
	"github.com/sallyport/sallyport/openapi"
)

// read turns a request's query and body into fields with the kinds the document
// gives them, or says what is wrong with them.
func (s *Sandbox) read(c *call) (map[string]any, *problem) {
	op := c.route.op
	query, p := fromForm([]byte(c.request.URL.RawQuery))
	if p != nil {
		return nil, p
	}
	for _, param := range op.Parameters {
		if param.In != "query" {
			continue
		}
		v, sent := query[param.Name]
		switch {
		case !sent && param.Required:
			return nil, missing(param.Name)
		case sent:
			if query[param.Name], p = s.model.coerce(param.Name, v, param.Schema, true); p != nil {
				return nil, p
			}
		}
	}
	if op.Request == nil {
		return query, nil
	}
	fields, fromText, p := c.fields()
	if p != nil {
		return nil, p
	}
	typed, p := s.model.coerce("", fields, op.Request.Schema, fromText)
	if p != nil {
		return nil, p
	}
	if object, ok := typed.(map[string]any); ok {
		fields = object
	}
	for name, v := range query {
		if _, both := fields[name]; !both {
			fields[name] = v
		}
	}
	return fields, nil
}

// fields reads the body; fromText says that all values are still text.
func (c *call) fields() (fields map[string]any, fromText bool, p *problem) {
	kind, _, _ := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	switch {
	case len(c.body) == 0:
		return map[string]any{}, true, nil
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		object, ok := parse(c.body).(map[string]any)
		if !ok {
			return nil, false, &problem{kind: kindInvalid, message: "The request body is not a JSON object."}
		}
		return object, false, nil
	case kind == "application/x-www-form-urlencoded" || kind == "":
		fields, p = fromForm(c.body)
		return fields, true, p
	}
	return nil, false, &problem{kind: kindInvalid, message: fmt.Sprintf("The content type %q is not supported here.", kind)}
}

func fromForm(raw []byte) (map[string]any, *problem) {
	document, err := form.Decode(raw)
	if err != nil {
		return nil, &problem{kind: kindInvalid, message: "The request's parameters can't be read: " + err.Error()}
	}
	object, _ := parse(document).(map[string]any)
	return object, nil
}

func missing(name string) *problem {
	return &problem{kind: kindMissing, param: name, message: fmt.Sprintf("Missing required param: %s.", name)}
}

func invalid(name, want string, v any) *problem {
	return &problem{kind: kindInvalid, param: name, message: fmt.Sprintf("Invalid %s: %s", want, describe(v))}
}

func describe(v any) string {
	const most = 80
	s := string(format(v))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// coerce gives a value the kind its schema says, or says why it can't. With
// fromText, texts become numbers and booleans, and numbered names a list. An
// empty text unsets a field and fits everything.
func (m *model) coerce(name string, v any, s *openapi.Schema, fromText bool) (any, *problem) {
	return (&coercer{model: m, fromText: fromText, left: maxChecks}).coerce(name, v, s, 0)
}

// maxChecks bounds the work on one request: every alternative of every part is
// tried, which multiplies. MaxAlternatives bounds alternatives of alternatives.
const (
	maxChecks       = 50_000
	maxAlternatives = 4
)

type coercer struct {
	*model
	fromText bool
	left     int
}

// coerce is model.coerce; depth counts alternatives within alternatives.
func (m *coercer) coerce(name string, v any, s *openapi.Schema, depth int) (any, *problem) {
	if m.left--; m.left < 0 {
		return nil, &problem{kind: kindInvalid, param: name, message: "The request is too complex to be checked."}
	}
	s = m.schema(s)
	if s == nil || depth > maxAlternatives || v == nil || (m.fromText && v == "") {
		return v, nil
	}
	if len(s.AnyOf) > 0 {
		return m.coerceAny(name, v, s.AnyOf, depth)
	}
	str, isText := v.(string)
	if len(s.Enum) > 0 && isText && s.Type != "array" && !slices.Contains(s.Enum, str) {
		return nil, &problem{kind: kindInvalid, param: name, message: fmt.Sprintf("Invalid %s: must be one of %s", name, shortList(s.Enum))}
	}
	switch s.Type {
	case "integer", "number":
		return m.coerceNumber(name, v, s.Type)
	case "boolean":
		if b, err := strconv.ParseBool(str); m.fromText && err == nil && (str == "true" || str == "false") {
			return b, nil
		}
		if _, ok := v.(bool); !ok {
			return nil, invalid(name, "boolean", v)
		}
	case "string":
		if !isText {
			return nil, invalid(name, "string", v)
		}
		if s.MaxLength > 0 && len([]rune(str)) > s.MaxLength {
			return nil, &problem{kind: kindInvalid, param: name, message: fmt.Sprintf("Invalid %s: must be at most %d characters", name, s.MaxLength)}
		}
	case "array":
		return m.coerceList(name, v, s)
	case "object":
		return m.coerceObject(name, v, s)
	default:
		if len(m.properties(s)) > 0 {
			return m.coerceObject(name, v, s)
		}
	}
	return v, nil
}

func shortList(values []string) string {
	if len(values) > 12 {
		return strings.Join(values[:12], ", ") + ", …"
	}
	return strings.Join(values, ", ")
}

// coerceAny takes the first alternative that fits, and else tells what the last
// one of the value's own kind says, which is the one that was meant.
func (m *coercer) coerceAny(name string, v any, alternatives []*openapi.Schema, depth int) (any, *problem) {
	var first, meant *problem
	for _, a := range alternatives {
		typed, p := m.coerce(name, v, a, depth+1)
		if p == nil {
			return typed, nil
		}
		if first == nil {
			first = p
		}
		if p.param != name {
			meant = p
		}
	}
	if meant != nil {
		return nil, meant
	}
	return nil, first
}

func (m *coercer) coerceNumber(name string, v any, kind string) (any, *problem) {
	n, ok := v.(json.Number)
	if str, isText := v.(string); isText && m.fromText {
		n, ok = json.Number(str), json.Valid([]byte(str)) && strings.Trim(str, "+-0123456789.eE") == ""
	}
	if ok && kind == "integer" {
		_, err := strconv.ParseInt(n.String(), 10, 64)
		ok = err == nil
	}
	if !ok {
		return nil, invalid(name, kind, v)
	}
	return n, nil
}

func (m *coercer) coerceList(name string, v any, s *openapi.Schema) (any, *problem) {
	list, ok := v.([]any)
	if object, numbered := v.(map[string]any); numbered && m.fromText {
		list, ok = elements(object)
	}
	if !ok {
		return nil, invalid(name, "array", v)
	}
	typed := make([]any, len(list))
	for i, x := range list {
		var p *problem
		if typed[i], p = m.coerce(fmt.Sprintf("%s[%d]", name, i), x, s.Items, 0); p != nil {
			return nil, p
		}
	}
	return typed, nil
}

// elements reads an object with numbers for names as a list with gaps.
func elements(object map[string]any) ([]any, bool) {
	names := slices.Collect(maps.Keys(object))
	for _, n := range names {
		if _, err := strconv.ParseUint(n, 10, 32); err != nil {
			return nil, false
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := strconv.ParseUint(a, 10, 32)
		y, _ := strconv.ParseUint(b, 10, 32)
		return int(int64(x) - int64(y))
	})
	list := make([]any, len(names))
	for i, n := range names {
		list[i] = object[n]
	}
	return list, true
}

func (m *coercer) coerceObject(name string, v any, s *openapi.Schema) (any, *problem) {
	object, ok := v.(map[string]any)
	if list, isList := v.([]any); isList && m.fromText { // {"0": …} comes as a list
		object, ok = make(map[string]any, len(list)), true
		for i, x := range list {
			object[strconv.Itoa(i)] = x
		}
	}
	if !ok {
		return nil, invalid(name, "object", v)
	}
	for _, required := range s.Required {
		if _, there := object[required]; !there {
			return nil, missing(inside(name, required))
		}
	}
	typed := make(map[string]any, len(object))
	for _, key := range slices.Sorted(maps.Keys(object)) {
		schema := m.property(s, key)
		if schema == nil {
			schema = s.AdditionalProperties
		}
		var p *problem
		if typed[key], p = m.coerce(inside(name, key), object[key], schema, 0); p != nil {
			return nil, p
		}
	}
	return typed, nil
}

func inside(name, key string) string {
	if name == "" {
		return key
	}
	return name + "[" + key + "]"
}
