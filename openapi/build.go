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
		members(schemas, func(name, value gjson.Result) bool {
			d.components.order = append(d.components.order, name.String())
			d.components.schemas[name.String()] = value
			return true
		})
	}
	d.components.adopt(files.references)
	if !root.Get("paths").IsObject() && !root.Get("webhooks").IsObject() {
		return errors.New(`openapi: the document has no "paths"`)
	}
	b := &builder{document: d, root: root, files: files, swagger: strings.HasPrefix(d.Format, "swagger"), ids: map[string]string{}, bodies: map[string]*Body{}, shared: map[string]Parameter{}}
	b.consumed, b.produced = oneOf(root.Get("consumes")), root.Get("produces.0").String()
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
	consumed string // Swagger 2.0: of the whole document
	produced string
	led      int                  // bytes that references led to
	tired    bool                 // they were too many
	bodies   map[string]*Body     // by reference, once they are taken apart
	shared   map[string]Parameter // likewise
	ids      map[string]string    // operationId → where
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
	members(b.root.Get("paths"), func(name, item gjson.Result) bool {
		// A fragment is never sent. Box tells several operations on one path
		// apart by it, which are one request to anybody else.
		path, fragment, _ := strings.Cut(name.String(), "#")
		if !strings.HasPrefix(path, "/") {
			return true // extensions
		}
		if fragment != "" {
			b.defect(name.String(), "path-with-fragment", "requests go to %s; what follows # is not sent", path)
		}
		b.path(path, b.follow(item, path))
		return true
	})
	slices.SortStableFunc(b.document.Operations, func(a, c Operation) int {
		return cmp.Or(cmp.Compare(a.Path, c.Path), cmp.Compare(a.Method, c.Method))
	})
}

// path takes the operations on one path.
func (b *builder) path(path string, item gjson.Result) {
	shared := item.Get("parameters")
	members(item, func(name, o gjson.Result) bool {
		if !slices.Contains(methods, name.String()) {
			return true
		}
		method := strings.ToUpper(name.String())
		if o = b.follow(o, method+" "+path); o.IsObject() {
			b.operation(method, path, o, shared)
			b.document.Operations[len(b.document.Operations)-1].Server = b.server(item, o)
		} else {
			b.defect(method+" "+path, "no-operation", "what stands here is no operation")
		}
		return true
	})
}

// follow replaces a reference to a parameter, a body, a response or a path by
// what it points to.
func (b *builder) follow(r gjson.Result, where string) gjson.Result {
	r, _ = b.followed(r, where)
	return r
}

// followed also returns the last reference, by which what was made of the target
// is found again; it is empty where there was none.
func (b *builder) followed(r gjson.Result, where string) (gjson.Result, string) {
	last := ""
	for range 10 {
		ref := r.Get("$ref")
		if !r.IsObject() || ref.Type != gjson.String {
			return r, last
		}
		last = ref.String()
		target, ok := b.document.components.pointer(last)
		if !ok {
			b.unresolved(where, last)
			return gjson.Result{}, last
		}
		r = target
		b.led += len(r.Raw)
		if b.led > 16<<20+8*len(b.root.Raw) {
			if !b.tired {
				b.tired = true
				b.defect(where, "too-much-reuse", "references lead to the same large parts over and over; from here on they are not followed")
			}
			return gjson.Result{}, last
		}
	}
	b.defect(where, "circular-ref", "a reference leads back to itself")
	return gjson.Result{}, last
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
