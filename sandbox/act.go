package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// act does what the operation does. The sandbox's lock is held.
func (s *Sandbox) act(c *call, fields map[string]any) (*answer, *problem) {
	r := c.route
	if p := s.checkParent(c); p != nil {
		return nil, p
	}
	switch r.does {
	case reads:
		return s.readOne(c)
	case lists:
		return s.list(c, fields)
	case creates:
		return s.create(c, fields)
	case updates, acts, removes:
		x, p := s.find(c, r.peek)
		if p != nil {
			return nil, p
		}
		switch r.does {
		case updates:
			return s.update(c, x, fields)
		case acts:
			return s.perform(c, x, fields)
		}
		return s.remove(c, x)
	}
	return s.show(c, fields)
}

func ok(r *route, body any) *answer {
	if r.answer == nil {
		return &answer{status: r.status}
	}
	if written, is := body.(json.RawMessage); is {
		return &answer{status: r.status, body: written}
	}
	return &answer{status: r.status, body: format(body)}
}

// checkParent wants the object above to be there, where calls can create it.
func (s *Sandbox) checkParent(c *call) *problem {
	parent := c.route.parent
	if parent == nil || c.route.does == acts || len(c.vars) > 1 || !s.routes.creatable(parent.resource) {
		return nil
	}
	_, p := s.find(c, parent)
	return p
}

// creatable reports whether some operation creates objects of the kind.
func (t *router) creatable(resource string) bool {
	return slices.ContainsFunc(t.all, func(r *route) bool { return r.does == creates && r.resource == resource })
}

// find is the object that a path names for a route that reads it.
func (s *Sandbox) find(c *call, reader *route) (*object, *problem) {
	key := c.vars[reader.variable]
	if x := s.objects.get(key); x != nil && x.removed == nil {
		return x, nil
	}
	return nil, noSuch(reader, key)
}

func noSuch(reader *route, key string) *problem {
	const most = 100
	if len(key) > most {
		key = strings.ToValidUTF8(key[:most], "") + "…"
	}
	return &problem{status: http.StatusNotFound, kind: kindAbsent, param: reader.variable, message: fmt.Sprintf("No such %s: '%s'", title(reader.resource), key)}
}

func (s *Sandbox) readOne(c *call) (*answer, *problem) {
	key := c.vars[c.route.variable]
	x := s.objects.get(key)
	switch {
	case x == nil && s.cannotBeCreated(c.route):
		body, _ := s.model.sample(c.route.answer, s.now(), 0).(map[string]any)
		if id := s.model.schema(s.model.property(c.route.answer, "id")); id != nil && id.Type == "string" {
			body["id"] = key
		}
		return ok(c.route, body), nil
	case x == nil:
		return nil, noSuch(c.route, key)
	case x.removed == nil:
		return &answer{status: c.route.status, body: x.json()}, nil
	}
	// Some providers still answer for what was removed, with what is left of it.
	if eraser := s.routes.neighbour(http.MethodDelete, c.route.segments); eraser != nil && s.model.mentions(c.route.answer, s.model.component(eraser.answer)) {
		return ok(c.route, x.removed), nil
	}
	return nil, noSuch(c.route, key)
}

// cannotBeCreated reports whether objects of the route's kind come about in
// ways the document does not show, so that any name may be one. Events come
// about by other calls.
func (s *Sandbox) cannotBeCreated(r *route) bool {
	return !s.routes.creatable(r.resource) && r.resource != eventComponent && len(s.objects.byResource[r.resource]) == 0
}

// show answers with a sample that has the request's fields.
func (s *Sandbox) show(c *call, fields map[string]any) (*answer, *problem) {
	if c.route.answer == nil {
		return ok(c.route, nil), nil
	}
	v := s.model.sample(c.route.answer, s.now(), 0)
	if body, is := v.(map[string]any); is && c.request.Method != http.MethodGet {
		s.freshen(body, c.route.answer)
		s.merge(body, fields, c.route.answer)
	}
	return ok(c.route, v), nil
}

// identity is the property that paths name an object by: the id where it is
// text; otherwise what the variable's name ends in, as {issue_number} does in
// number.
func (m *model) identity(reader *route, answer *openapi.Schema) string {
	id := m.schema(m.property(answer, "id"))
	if reader == nil || (id != nil && id.Type == "string") {
		return "id"
	}
	last := reader.variable[strings.LastIndexByte(reader.variable, '_')+1:]
	for _, name := range []string{last, reader.variable} {
		if m.property(answer, name) != nil {
			return name
		}
	}
	return "id"
}

// freshen gives a sample an id and times of its own.
func (s *Sandbox) freshen(body map[string]any, schema *openapi.Schema) {
	now := s.now()
	for _, p := range s.model.properties(schema) {
		resolved := s.model.schema(p.Schema)
		if resolved == nil {
			continue
		}
		switch old := body[p.Name]; {
		case p.Name == "id" || p.Name == "number" && resolved.Type == "integer":
			if resolved.Type == "integer" {
				body[p.Name] = json.Number(fmt.Sprint(s.dice.next()))
			} else {
				body[p.Name] = s.dice.like(idSample(text(old), s.model.component(schema)))
			}
		case p.Name == "created" && resolved.Format == "unix-time":
			body[p.Name] = json.Number(fmt.Sprint(now.Unix()))
		case (p.Name == "created_at" || p.Name == "updated_at") && resolved.Type == "string":
			body[p.Name] = sampleText(&openapi.Schema{Format: "date-time"}, now)
		}
	}
}

// idSample is what an id should look like when there is no sample of one.
func idSample(sample, component string) string {
	if sample != "" && sample != "string" && sample != "obj_123" {
		return sample
	}
	name := component[strings.LastIndexByte(component, '.')+1:]
	return name[:min(len(name), 4)] + "_" + strings.Repeat("x", 14)
}

func (s *Sandbox) create(c *call, fields map[string]any) (*answer, *problem) {
	r := c.route
	body, is := s.model.sample(r.answer, s.now(), 0).(map[string]any)
	if !is {
		return s.show(c, fields)
	}
	s.freshen(body, r.answer)
	if _, has := body["metadata"]; has {
		body["metadata"] = map[string]any{}
	}
	s.merge(body, fields, r.answer)
	if r.parent != nil {
		s.merge(body, map[string]any{r.parent.variable: c.vars[r.parent.variable], r.parent.resource: c.vars[r.parent.variable]}, r.answer)
	}
	x := &object{key: text(body[s.model.identity(r.peek, r.answer)]), resource: r.resource, body: body}
	s.objects.add(x)
	s.changed(c, x, nil, []string{"created"})
	return ok(r, s.withSecret(r, x)), nil
}

func (s *Sandbox) update(c *call, x *object, fields map[string]any) (*answer, *problem) {
	before, _ := clone(x.body).(map[string]any)
	s.merge(x.body, fields, c.route.peek.answer)
	s.changed(c, x, before, []string{"updated"})
	return ok(c.route, x.json()), nil
}

func (s *Sandbox) perform(c *call, x *object, fields map[string]any) (*answer, *problem) {
	before, _ := clone(x.body).(map[string]any)
	property, status := s.model.statusAfter(c.route.answer, c.route.verb)
	if property != "" && text(x.body[property]) == status {
		return nil, &problem{
			status: http.StatusBadRequest, kind: kindInvalid,
			message: fmt.Sprintf("This %s can't be changed that way: it is already %s.", title(x.resource), strings.ReplaceAll(status, "_", " ")),
		}
	}
	s.merge(x.body, fields, c.route.answer)
	if property != "" {
		x.body[property] = status
	}
	words := past(c.route.verb)
	if status != "" {
		words = append(words, status)
	}
	s.changed(c, x, before, append(words, "updated"))
	return ok(c.route, x.json()), nil
}

func (s *Sandbox) remove(c *call, x *object) (*answer, *problem) {
	r := c.route
	before, _ := clone(x.body).(map[string]any)
	if r.resource == r.peek.resource && r.resource != "" { // the object stays, and says that it is over
		if property, status := s.model.statusAfter(r.answer, "cancel"); property != "" {
			x.body[property] = status
			s.changed(c, x, before, []string{"deleted", status, "updated"})
			return ok(r, x.body), nil
		}
	}
	x.removed = map[string]any{}
	if left, is := s.model.sample(r.answer, s.now(), 0).(map[string]any); is && r.answer != nil {
		x.removed = left
		if _, has := left["deleted"]; has {
			left["deleted"] = true
		}
		if _, has := left["id"]; has {
			left["id"] = x.body["id"]
		}
	}
	s.changed(c, x, before, []string{"deleted"})
	return ok(r, x.removed), nil
}

// merge takes the fields over that the object has, and that fit.
func (s *Sandbox) merge(body, fields map[string]any, schema *openapi.Schema) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "id" || name == "object" {
			continue
		}
		if p := s.model.property(schema, name); p != nil {
			if v, fits := s.model.fit(body[name], fields[name], p, 0); fits {
				body[name] = v
			}
		}
	}
}

// fit makes the new value of a field out of its old one and what was sent. It
// is false when that is not the kind of thing the field holds.
func (m *model) fit(old, sent any, s *openapi.Schema, depth int) (any, bool) {
	resolved := m.schema(s)
	if resolved == nil || depth > maxNesting {
		return sent, true
	}
	if len(resolved.AnyOf) > 0 {
		for _, a := range resolved.AnyOf {
			if v, fits := m.fit(old, sent, a, depth+3); fits && v != nil {
				return v, true
			}
		}
		return nil, sent == "" && resolved.Nullable
	}
	if sent == nil || sent == "" { // unset
		switch {
		case resolved.Type == "object" && resolved.AdditionalProperties != nil:
			return map[string]any{}, true
		case resolved.Type == "array":
			return []any{}, true
		case resolved.Nullable || sent == nil:
			return nil, true
		}
		return sent, resolved.Type == "string"
	}
	switch v := sent.(type) {
	case string:
		return v, resolved.Type == "string" || resolved.Type == ""
	case json.Number:
		return v, resolved.Type == "integer" || resolved.Type == "number" || resolved.Type == ""
	case bool:
		return v, resolved.Type == "boolean" || resolved.Type == ""
	case []any:
		return v, resolved.Type == "array" && m.fitElements(v, resolved.Items)
	case map[string]any:
		if resolved.Type != "object" && len(resolved.Properties) == 0 {
			return nil, false
		}
		return m.fitObject(old, v, resolved, depth), true
	}
	return nil, false
}

// fitElements compares the kind of the first element.
func (m *model) fitElements(list []any, items *openapi.Schema) bool {
	if len(list) == 0 {
		return true
	}
	_, fits := m.fit(nil, list[0], items, 0)
	return fits
}

func (m *model) fitObject(old any, sent map[string]any, s *openapi.Schema, depth int) any {
	object, is := clone(old).(map[string]any)
	if !is {
		object = map[string]any{}
		for _, p := range m.properties(s) {
			if r := m.schema(p.Schema); r != nil && r.Nullable {
				object[p.Name] = nil
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		p := m.property(s, name)
		switch {
		case p != nil:
			if v, fits := m.fit(object[name], sent[name], p, depth+1); fits {
				object[name] = v
			}
		case s.AdditionalProperties == nil:
		case sent[name] == "" || sent[name] == nil: // how a single name is unset
			delete(object, name)
		default:
			object[name] = sent[name]
		}
	}
	return object
}

// difference gives what the changed top-level fields held before.
func difference(before, after map[string]any) map[string]any {
	changed := map[string]any{}
	for name, old := range before {
		if !reflect.DeepEqual(old, after[name]) {
			changed[name] = old
		}
	}
	return changed
}
