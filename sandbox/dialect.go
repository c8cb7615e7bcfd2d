package sandbox

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
)

// kind is what is wrong with a request.
type kind int

const (
	kindInvalid     kind = iota // a parameter has a wrong value
	kindMissing                 // a required parameter is not there
	kindAbsent                  // the object does not exist
	kindUnknown                 // the path does not exist
	kindCredential              // the credential is refused
	kindIdempotency             // the key was used for something else
	kindLimited                 // too many requests
	kindServer                  // the provider's own fault
)

// words are looked for in the provider's lists of codes and types, best first.
// The first one is used where the document lists none.
var words = map[kind][]string{
	kindInvalid:     {"parameter_invalid", "invalid_request", "invalid_parameter", "invalid", "validation", "bad_request"},
	kindMissing:     {"parameter_missing", "missing_parameter", "missing", "invalid_request", "invalid", "validation"},
	kindAbsent:      {"resource_missing", "not_found", "missing", "invalid_request"},
	kindUnknown:     {"url_invalid", "unknown_method", "not_found", "invalid_request"},
	kindCredential:  {"api_key_invalid", "invalid_auth", "authentication", "unauthorized", "invalid_request"},
	kindIdempotency: {"idempotency", "conflict", "invalid_request"},
	kindLimited:     {"rate_limit", "ratelimited", "rate_limited", "too_many", "invalid_request", "api_error"},
	kindServer:      {"api_error", "internal", "server"},
}

// problem is a refusal, before it is put in the provider's words. Status 0 is
// for the caller to say.
type problem struct {
	status  int
	kind    kind
	param   string
	message string
}

// dialect puts problems in the shape the document gives errors, at the places
// the profile says code and message stand.
type dialect struct {
	facts catalog.Errors
	model *model
	shape *openapi.Schema // of an error's body; nil: the document has none
}

func newDialect(facts catalog.Errors, m *model) *dialect {
	d := &dialect{facts: facts, model: m}
	for i := range m.doc.Operations { // the first error answer that has a body
		responses := m.doc.Operations[i].Responses
		for _, status := range slices.Sorted(maps.Keys(responses)) {
			if body := responses[status]; (status[0] == '4' || status == "default") && body != nil && body.Schema != nil {
				d.shape = body.Schema
				return d
			}
		}
	}
	return d
}

// refuse makes the answer for a problem. Providers that tell errors in a
// success answer with 200.
func (d *dialect) refuse(status int, p problem) *answer {
	if status == 0 {
		status = http.StatusBadRequest
	}
	body := map[string]any{}
	messagePath, codePath := d.facts.MessagePath, d.facts.CodePath
	if messagePath == "" && codePath == "" {
		messagePath = "message"
	}
	parentPath, _ := splitLast(messagePath)
	if messagePath == "" {
		parentPath, _ = splitLast(codePath)
	}
	parent := d.object(body, parentPath)
	d.fill(parent, d.at(parentPath), p)
	if codePath != "" {
		setPath(body, codePath, d.pick(d.at(codePath), p.kind))
	}
	if messagePath != "" {
		setPath(body, messagePath, p.message)
	}
	if p.kind == kindUnknown || p.kind == kindCredential { // nothing about a parameter
		delete(parent, "param")
	}
	if in := d.facts.InSuccess; in != nil && status < 500 && status != http.StatusTooManyRequests {
		status = http.StatusOK
		if len(in.Values) > 0 {
			setPath(body, in.Path, literal(in.Values[0]))
		}
	}
	return &answer{status: status, body: format(body)}
}

// literal reads "false" and "1" as JSON, and anything else as text.
func literal(s string) any {
	if v := parse([]byte(s)); v != nil {
		return v
	}
	return s
}

// at is the schema at a path of the error's body.
func (d *dialect) at(path string) *openapi.Schema {
	s := d.shape
	for name := range strings.SplitSeq(path, ".") {
		if name != "" {
			s = d.model.property(s, name)
		}
	}
	return d.model.schema(s)
}

// object makes the object at a path be there.
func (d *dialect) object(body map[string]any, path string) map[string]any {
	for name := range strings.SplitSeq(path, ".") {
		if name == "" {
			continue
		}
		next, is := body[name].(map[string]any)
		if !is {
			next = map[string]any{}
			body[name] = next
		}
		body = next
	}
	return body
}

// fill sets what else the document says an error holds.
func (d *dialect) fill(parent map[string]any, s *openapi.Schema, p problem) {
	if s == nil {
		return
	}
	for _, property := range d.model.properties(s) {
		resolved := d.model.schema(property.Schema)
		switch {
		case resolved == nil:
		case (property.Name == "param" || property.Name == "field") && p.param != "" && resolved.Type == "string":
			parent[property.Name] = p.param
		case slices.Contains(s.Required, property.Name) && len(resolved.Enum) > 0:
			parent[property.Name] = d.pick(resolved, p.kind)
		}
	}
}

// pick chooses the document's word for a kind of problem.
func (d *dialect) pick(s *openapi.Schema, k kind) string {
	if s == nil || len(s.Enum) == 0 {
		return words[k][0]
	}
	for _, word := range words[k] {
		if slices.Contains(s.Enum, word) {
			return word
		}
	}
	for _, word := range words[k] {
		if i := slices.IndexFunc(s.Enum, func(e string) bool { return strings.Contains(e, word) }); i >= 0 {
			return s.Enum[i]
		}
	}
	return s.Enum[0]
}

// status makes an answer for a bare status, as faults do.
func (d *dialect) status(code int) *answer {
	p := problem{kind: kindInvalid, message: http.StatusText(code)}
	switch {
	case code >= 500:
		p.kind = kindServer
	case code == http.StatusTooManyRequests:
		p.kind, p.message = kindLimited, "Too many requests."
	case code == http.StatusUnauthorized:
		p.kind = kindCredential
	case code == http.StatusNotFound:
		p.kind = kindAbsent
	case code == http.StatusConflict:
		p.kind = kindIdempotency
	}
	if p.message == "" {
		p.message = "Status " + strconv.Itoa(code)
	}
	a := d.refuse(code, p)
	a.status = code
	return a
}

// splitLast takes the last name off a dotted path.
func splitLast(path string) (parent, last string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// setPath sets the value at a dotted path, making objects on the way.
func setPath(object map[string]any, path string, v any) {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		next, is := object[name].(map[string]any)
		if !is {
			next = map[string]any{}
			object[name] = next
		}
		object = next
	}
	object[names[len(names)-1]] = v
}
