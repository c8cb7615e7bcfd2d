package openapi

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	kindJSON      = "application/json"
	kindForm      = "application/x-www-form-urlencoded"
	kindMultipart = "multipart/form-data"
)

// operation takes one operation apart. shared are the parameters of its path.
func (b *builder) operation(method, path string, o, shared gjson.Result) {
	where := method + " " + path
	op := Operation{
		Method: method, Path: path, Summary: b.text(o.Get("summary")),
		Description: b.text(o.Get("description")), Deprecated: o.Get("deprecated").Bool(), Responses: map[string]*Body{},
	}
	if id := o.Get("operationId"); id.Type == gjson.String {
		op.ID = id.String()
	}
	switch other, twice := b.ids[op.ID]; {
	case op.ID == "":
		op.ID = strings.ToLower(method) + " " + path
		b.defect(where, "missing-operation-id", "the operation has no id; its method and path stand for it")
	case twice:
		b.defect(where, "duplicate-operation-id", "the id %.100q belongs to %s already", op.ID, other)
	default:
		b.ids[op.ID] = where
	}
	elements(o.Get("tags"), func(_, t gjson.Result) bool { op.Tags = append(op.Tags, t.String()); return true })
	b.parameters(&op, o, where, shared, o.Get("parameters"))
	if request, ref := b.followed(o.Get("requestBody"), where); request.IsObject() {
		if body := b.body(request.Get("content"), ref); body != nil {
			own := *body
			own.Required = request.Get("required").Bool()
			op.Request = &own
		}
	}
	headers := map[string]bool{}
	members(o.Get("responses"), func(status, r gjson.Result) bool {
		r, ref := b.followed(r, where)
		b.headers(r, headers)
		op.Responses[status.String()] = b.response(r, o, ref)
		return true
	})
	for name := range headers {
		b.document.ResponseHeaders[name]++
	}
	b.document.Operations = append(b.document.Operations, op)
}

// parameters takes the lists of a path and of its operation; a later one of the
// same name and place replaces an earlier one. In Swagger 2.0 the body is among
// them.
func (b *builder) parameters(op *Operation, o gjson.Result, where string, lists ...gjson.Result) {
	var fields *Schema
	at := map[string]int{}
	add := func(_, p gjson.Result) bool {
		p, ref := b.followed(p, where)
		name, in := p.Get("name").String(), p.Get("in").String()
		switch {
		case in == "body":
			op.Request = &Body{ContentType: b.consumes(o), Required: p.Get("required").Bool(), Schema: b.document.components.schema(p.Get("schema"), 0)}
			return true
		case name == "" || in == "":
			if p.Exists() { // else it is told already
				b.defect(where, "nameless-parameter", "a parameter has no name or no place")
			}
			return true
		case in == "formData":
			if fields == nil {
				fields = &Schema{Type: "object"}
			}
			fields.Properties = append(fields.Properties, Property{Name: name, Schema: b.parameter(p, ref).Schema})
			if p.Get("required").Bool() {
				fields.Required = append(fields.Required, name)
			}
			return true
		}
		one := b.parameter(p, ref)
		if i, twice := at[in+" "+name]; twice {
			op.Parameters[i] = one
			return true
		}
		at[in+" "+name] = len(op.Parameters)
		op.Parameters = append(op.Parameters, one)
		return true
	}
	for _, list := range lists {
		elements(list, add)
	}
	if fields != nil {
		fields.Required = slices.Compact(slices.Sorted(slices.Values(fields.Required)))
		op.Request = &Body{ContentType: kindForm, Schema: fields, Required: len(fields.Required) > 0}
		if b.consumes(o) == kindMultipart {
			op.Request.ContentType = kindMultipart
		}
	}
}

// parameter takes one apart, those with a reference once.
func (b *builder) parameter(p gjson.Result, ref string) Parameter {
	if one, done := b.shared[ref]; done && ref != "" {
		return one
	}
	schema := p.Get("schema")
	if b.swagger {
		schema = p
	} else if !schema.Exists() {
		members(p.Get("content"), func(_, c gjson.Result) bool { schema = c.Get("schema"); return false })
	}
	one := Parameter{Name: p.Get("name").String(), In: p.Get("in").String(), Schema: b.document.components.schema(schema, 0)}
	one.Required = p.Get("required").Bool() || one.In == "path"
	if ref != "" {
		b.shared[ref] = one
	}
	return one
}

// consumes is how a body of Swagger 2.0 is sent.
func (b *builder) consumes(o gjson.Result) string {
	return cmp.Or(oneOf(o.Get("consumes")), b.consumed, kindJSON)
}

// oneOf picks a media type of a list: JSON where offered, else the first.
func oneOf(list gjson.Result) string {
	if strings.Contains(list.Raw, `"`+kindJSON+`"`) {
		return kindJSON
	}
	return list.Get("0").String()
}

// body picks one media type of a content map: JSON where offered, else the
// first. One with a reference is taken apart once.
func (b *builder) body(content gjson.Result, ref string) *Body {
	if done, ok := b.bodies[ref]; ok && ref != "" {
		return done
	}
	var picked gjson.Result
	kind := ""
	members(content, func(name, c gjson.Result) bool {
		isJSON := name.String() == kindJSON || strings.HasSuffix(name.String(), "+json")
		if kind == "" || isJSON {
			kind, picked = name.String(), c
		}
		return !isJSON
	})
	if kind == "" {
		return nil
	}
	body := &Body{ContentType: kind}
	if schema := picked.Get("schema"); schema.IsObject() {
		body.Schema = b.document.components.schema(schema, 0)
	}
	if ref != "" {
		b.bodies[ref] = body
	}
	return body
}

func (b *builder) response(r, operation gjson.Result, ref string) *Body {
	if !b.swagger {
		return b.body(r.Get("content"), ref)
	}
	schema := r.Get("schema")
	if !schema.IsObject() {
		return nil
	}
	kind := cmp.Or(operation.Get("produces.0").String(), b.produced, kindJSON)
	if done, ok := b.bodies[ref]; ok && ref != "" {
		return &Body{ContentType: kind, Schema: done.Schema}
	}
	body := &Body{ContentType: kind, Schema: b.document.components.schema(schema, 0)}
	if ref != "" {
		b.bodies[ref] = body
	}
	return body
}
