package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// build takes the document apart.
func (d *Document) build(root gjson.Result, files *bundle) error {
	prefix := ""
	switch {
	case root.Get("swagger").Exists():
		d.Format, prefix = "swagger "+root.Get("swagger").String(), "#/definitions/"
	case root.Get("openapi").Exists():
		d.Format, prefix = "openapi "+root.Get("openapi").String(), "#/components/schemas/"
	default:
		return errors.New(`openapi: this is no API document: neither "openapi" nor "swagger" stands at its top`)
	}
	if v := strings.Fields(d.Format)[1:]; len(v) != 1 || (v[0] != "2.0" && !strings.HasPrefix(v[0], "3.")) {
		return fmt.Errorf("openapi: version %q is not read; 2.0, 3.0 and 3.1 are", strings.Join(v, " "))
	}
	d.Title, d.Version = root.Get("info.title").String(), root.Get("info.version").String()
	d.components = &components{root: root, prefix: prefix, schemas: map[string]gjson.Result{}, done: map[string]*Schema{}, members: map[string]map[string]gjson.Result{}}
	if schemas, ok := d.components.pointer(strings.TrimSuffix(prefix, "/")); ok {
		schemas.ForEach(func(name, value gjson.Result) bool {
			d.components.order = append(d.components.order, name.String())
			d.components.schemas[name.String()] = value
			return true
		})
	}
	d.components.adopt(files.references)
	if !root.Get("paths").IsObject() && !root.Get("webhooks").IsObject() {
		return errors.New(`openapi: the document has no "paths"`)
	}
	b := &builder{document: d, root: root, files: files, swagger: strings.HasPrefix(d.Format, "swagger"), ids: map[string]string{}}
	d.ResponseHeaders = map[string]int{}
	b.servers()
	b.security()
	b.paths()
	b.references()
	d.EventTypes = b.events()
	return nil
}

// builder holds what is needed only while a document is taken apart.
type builder struct {
	document *Document
	root     gjson.Result
	files    *bundle
	swagger  bool
	ids      map[string]string // operationId → where
}

func (b *builder) defect(where, rule, format string, args ...any) {
	switch n := len(b.document.Defects); {
	case n < enough:
		b.document.Defects = append(b.document.Defects, Defect{Where: where, Rule: rule, Message: fmt.Sprintf(format, args...)})
	case n == enough:
		b.document.Defects = append(b.document.Defects, Defect{Where: "#", Rule: "more-defects", Message: fmt.Sprintf("there are more than these %d", enough)})
	}
}

func (b *builder) paths() {
	b.root.Get("paths").ForEach(func(path, item gjson.Result) bool {
		if !strings.HasPrefix(path.String(), "/") {
			return true // extensions
		}
		item = b.follow(item, path.String())
		shared := item.Get("parameters")
		item.ForEach(func(method, o gjson.Result) bool {
			if !slices.Contains(methods, method.String()) {
				return true
			}
			where := strings.ToUpper(method.String()) + " " + path.String()
			if o = b.follow(o, where); o.IsObject() {
				b.operation(strings.ToUpper(method.String()), path.String(), o, shared)
				b.document.Operations[len(b.document.Operations)-1].Server = b.server(item, o)
			} else {
				b.defect(where, "no-operation", "what stands here is no operation")
			}
			return true
		})
		return true
	})
	slices.SortStableFunc(b.document.Operations, func(a, c Operation) int {
		return cmp.Or(cmp.Compare(a.Path, c.Path), cmp.Compare(a.Method, c.Method))
	})
}

func (b *builder) operation(method, path string, o, shared gjson.Result) {
	where := method + " " + path
	op := Operation{
		ID: o.Get("operationId").String(), Method: method, Path: path, Summary: b.text(o.Get("summary")),
		Description: b.text(o.Get("description")), Deprecated: o.Get("deprecated").Bool(), Responses: map[string]*Body{},
	}
	switch other, twice := b.ids[op.ID]; {
	case op.ID == "":
		op.ID = strings.ToLower(method) + " " + path
		b.defect(where, "missing-operation-id", "the operation has no id; its method and path stand for it")
	case twice:
		b.defect(where, "duplicate-operation-id", "the id %q belongs to %s already", op.ID, other)
	default:
		b.ids[op.ID] = where
	}
	o.Get("tags").ForEach(func(_, t gjson.Result) bool { op.Tags = append(op.Tags, t.String()); return true })
	b.parameters(&op, o, shared, where)
	b.parameters(&op, o, o.Get("parameters"), where)
	if request := b.follow(o.Get("requestBody"), where); request.IsObject() {
		op.Request = b.body(request.Get("content"))
		if op.Request != nil {
			op.Request.Required = request.Get("required").Bool()
		}
	}
	headers := map[string]bool{}
	o.Get("responses").ForEach(func(status, r gjson.Result) bool {
		r = b.follow(r, where)
		b.headers(r, headers)
		op.Responses[status.String()] = b.response(r, o)
		return true
	})
	for name := range headers {
		b.document.ResponseHeaders[name]++
	}
	b.document.Operations = append(b.document.Operations, op)
}

// parameters adds a list of parameters; one of the same name and place replaces
// the one the path gave. In Swagger 2.0 the body is among them.
func (b *builder) parameters(op *Operation, o, list gjson.Result, where string) {
	var fields *Schema
	list.ForEach(func(_, p gjson.Result) bool {
		p = b.follow(p, where)
		name, in := p.Get("name").String(), p.Get("in").String()
		switch in {
		case "body":
			op.Request = &Body{ContentType: b.consumes(o), Required: p.Get("required").Bool(), Schema: b.document.components.schema(p.Get("schema"), 0)}
			return true
		case "formData":
			if fields == nil {
				fields = &Schema{Type: "object"}
			}
			fields.Properties = append(fields.Properties, Property{Name: name, Schema: b.document.components.schema(p, 0)})
			if p.Get("required").Bool() {
				fields.Required = append(fields.Required, name)
			}
			return true
		}
		schema := p.Get("schema")
		if b.swagger {
			schema = p
		} else if !schema.Exists() {
			p.Get("content").ForEach(func(_, c gjson.Result) bool { schema = c.Get("schema"); return false })
		}
		one := Parameter{Name: name, In: in, Required: p.Get("required").Bool() || in == "path", Schema: b.document.components.schema(schema, 0)}
		i := slices.IndexFunc(op.Parameters, func(o Parameter) bool { return o.Name == name && o.In == in })
		if i >= 0 {
			op.Parameters[i] = one
		} else {
			op.Parameters = append(op.Parameters, one)
		}
		return true
	})
	if fields != nil {
		fields.Required = slices.Compact(slices.Sorted(slices.Values(fields.Required)))
		op.Request = &Body{ContentType: "application/x-www-form-urlencoded", Schema: fields, Required: len(fields.Required) > 0}
	}
}

// consumes is how a body of Swagger 2.0 is sent: JSON where offered, else the
// first.
func (b *builder) consumes(o gjson.Result) string {
	for _, list := range []gjson.Result{o.Get("consumes"), b.root.Get("consumes")} {
		if strings.Contains(list.Raw, `"application/json"`) {
			break
		}
		if first := list.Get("0").String(); first != "" {
			return first
		}
	}
	return "application/json"
}

// body picks one media type of a content map: JSON where offered, else the
// first.
func (b *builder) body(content gjson.Result) *Body {
	var picked *Body
	content.ForEach(func(kind, c gjson.Result) bool {
		isJSON := kind.String() == "application/json" || strings.HasSuffix(kind.String(), "+json")
		if picked != nil && !isJSON {
			return true
		}
		picked = &Body{ContentType: kind.String()}
		if schema := c.Get("schema"); schema.IsObject() {
			picked.Schema = b.document.components.schema(schema, 0)
		}
		return !isJSON
	})
	return picked
}

func (b *builder) response(r, operation gjson.Result) *Body {
	if !b.swagger {
		return b.body(r.Get("content"))
	}
	if schema := r.Get("schema"); schema.IsObject() {
		kind := operation.Get("produces.0").String()
		if kind == "" {
			kind = cmp.Or(b.root.Get("produces.0").String(), "application/json")
		}
		return &Body{ContentType: kind, Schema: b.document.components.schema(schema, 0)}
	}
	return nil
}

// follow replaces a reference to a parameter, a body, a response or a path by
// what it points to.
func (b *builder) follow(r gjson.Result, where string) gjson.Result {
	for range 10 {
		ref := r.Get("$ref")
		if !ref.Exists() {
			return r
		}
		target, ok := b.document.components.pointer(ref.String())
		if !ok {
			b.unresolved(where, ref.String())
			return gjson.Result{}
		}
		r = target
	}
	b.defect(where, "circular-ref", "a reference leads back to itself")
	return gjson.Result{}
}

// text is a description, which documents in several files may keep in one of
// its own.
func (b *builder) text(r gjson.Result) string {
	if r.IsObject() {
		r = b.follow(r, "description")
	}
	if r.Type != gjson.String {
		return ""
	}
	return plain(r.String())
}

func (b *builder) unresolved(where, ref string) {
	if strings.HasPrefix(ref, "#") {
		b.defect(where, "unresolved-ref", "%.200s points to nothing", ref)
		return
	}
	why := b.files.missing[ref]
	if why == "" {
		why = "is in another file, which is not read"
	}
	b.defect(where, "external-ref", "%.200s %s", ref, why)
}

// references checks every reference of the document, each once, and names the
// components that only lead back to themselves.
func (b *builder) references() {
	c := b.document.components
	for _, ref := range b.files.references {
		if name, ok := c.ref(ref); ok {
			if _, known := c.schemas[name]; !known {
				b.defect(ref, "unresolved-ref", "%.200s points to nothing", ref)
			}
			continue
		}
		if _, ok := c.pointer(ref); !ok {
			b.unresolved(ref, ref)
		}
	}
	b.circles()
}

// circles names the components that only refer to each other. A chain that is
// known is not followed again.
func (b *builder) circles() {
	c := b.document.components
	circular := map[string]bool{} // by component, once it is known
	for _, name := range c.order {
		been := map[string]bool{}
		at, round := name, false
		for {
			known, done := circular[at]
			if done || been[at] {
				round = known || been[at]
				break
			}
			been[at] = true
			next, ok := c.ref(c.schemas[at].Get("$ref").String())
			if !ok {
				break
			}
			at = next
		}
		for at := range been {
			circular[at] = round
		}
		if circular[name] {
			b.defect(c.prefix+name, "circular-ref", "the schema is a reference that leads back to itself")
		}
	}
}

// Operation finds an operation by "METHOD /path" or by its id.
func (d *Document) Operation(call string) (Operation, bool) {
	for _, op := range d.Operations {
		if op.Call() == call || op.ID == call {
			return op, true
		}
	}
	return Operation{}, false
}
