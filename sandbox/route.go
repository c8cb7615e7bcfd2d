package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

// purpose is what an operation does to the objects.
type purpose int

const (
	shows   purpose = iota // answers with a sample
	reads                  // one object
	lists                  // objects of a kind
	creates                // one object
	updates                // one object
	removes                // one object
	acts                   // on one object
)

// route is one operation, ready to be answered.
type route struct {
	op       *openapi.Operation
	segments []string
	does     purpose
	resource string          // component of the object it is about; empty when it has none
	answer   *openapi.Schema // of the 2xx answer; nil: none
	status   int             // of the 2xx answer
	list     string          // lists: the property that holds the objects; empty: the answer is the list
	verb     string          // acts: the last word of the path
	variable string          // the variable that names the object
	parent   *route          // what is read at the path above, for creates and lists
	peek     *route          // what reads the object that this one makes or changes
}

// router finds the operation of a request.
type router struct {
	root     node
	all      []*route
	prefixes []string // paths of the document's servers
}

type node struct {
	literal  map[string]*node
	variable *node
	routes   map[string]*route // by method
}

func isVariable(segment string) bool {
	return strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}")
}

func newRouter(m *model, doc *openapi.Document) *router {
	t := &router{}
	for i := range doc.Operations {
		op := &doc.Operations[i]
		r := &route{op: op, segments: strings.Split(strings.Trim(op.Path, "/"), "/")}
		r.answer, r.status = success(op)
		t.all = append(t.all, r)
		n := t.at(r.segments, true)
		if n.routes == nil {
			n.routes = map[string]*route{}
		}
		if _, twice := n.routes[op.Method]; !twice {
			n.routes[op.Method] = r
		}
	}
	for _, want := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} { // reading is understood first; the others refer to it
		for _, r := range t.all {
			if r.op.Method == want {
				t.understand(m, r)
			}
		}
	}
	for _, server := range doc.Servers {
		if u, err := url.Parse(server); err == nil {
			if path := strings.TrimRight(u.Path, "/"); path != "" && !strings.ContainsAny(path, "{}") {
				t.prefixes = append(t.prefixes, path)
			}
		}
	}
	return t
}

// trim takes the path of the provider's server off, when it is there.
func (t *router) trim(path string) string {
	for _, p := range t.prefixes {
		if rest, ok := strings.CutPrefix(path, p); ok && strings.HasPrefix(rest, "/") {
			return rest
		}
	}
	return path
}

// at is the node of a path template, whatever its variables are called.
func (t *router) at(segments []string, add bool) *node {
	n := &t.root
	for _, s := range segments {
		next := n.variable
		if !isVariable(s) {
			next = n.literal[s]
		}
		if next == nil {
			if !add {
				return nil
			}
			next = &node{}
			switch {
			case isVariable(s):
				n.variable = next
			case n.literal == nil:
				n.literal = map[string]*node{s: next}
			default:
				n.literal[s] = next
			}
		}
		n = next
	}
	return n
}

// exact is the route of a path template; nil when there is none.
func (t *router) exact(method, path string) *route {
	if n := t.at(strings.Split(strings.Trim(path, "/"), "/"), false); n != nil {
		return n.routes[method]
	}
	return nil
}

// find is the route of a request and the values of its variables. Words win
// over variables.
func (t *router) find(method, path string) (*route, map[string]string) {
	segments := strings.Split(strings.Trim(path, "/"), "/")
	r := search(&t.root, method, segments)
	if r == nil {
		return nil, nil
	}
	vars := map[string]string{}
	for i, s := range r.segments {
		if isVariable(s) {
			vars[strings.Trim(s, "{}")] = segments[i]
		}
	}
	return r, vars
}

func search(n *node, method string, segments []string) *route {
	if len(segments) == 0 {
		return n.routes[method]
	}
	if next := n.literal[segments[0]]; next != nil {
		if r := search(next, method, segments[1:]); r != nil {
			return r
		}
	}
	if n.variable != nil && segments[0] != "" {
		return search(n.variable, method, segments[1:])
	}
	return nil
}

// neighbour is the route of a method at a part of r's path.
func (t *router) neighbour(method string, segments []string) *route {
	if n := t.at(segments, false); n != nil {
		return n.routes[method]
	}
	return nil
}

// below is the route that reads one object of the collection at segments.
func (t *router) below(segments []string) *route {
	r := t.neighbour(http.MethodGet, append(slices.Clone(segments), "{}"))
	if r != nil && r.does == reads {
		return r
	}
	return nil
}

// understand finds out what a route does, by the rules of the package comment.
func (t *router) understand(m *model, r *route) {
	last := r.segments[len(r.segments)-1]
	above := r.segments[:len(r.segments)-1]
	r.resource = m.component(r.answer)
	if isVariable(last) {
		t.understandItem(m, r, strings.Trim(last, "{}"))
		return
	}
	if len(above) > 0 && isVariable(above[len(above)-1]) {
		r.parent = t.neighbour(http.MethodGet, above)
		if r.parent != nil && r.parent.does != reads {
			r.parent = nil
		}
	}
	switch {
	case r.op.Method == http.MethodGet:
		if items, property := m.listOf(r.answer, last); items != nil {
			r.does, r.list, r.resource = lists, property, m.component(items)
		}
	case r.op.Method == http.MethodPost && r.parent != nil && r.parent.resource == r.resource && r.resource != "":
		r.does, r.verb, r.peek, r.variable = acts, last, r.parent, r.parent.variable
	case r.op.Method == http.MethodPost && r.resource != "":
		listed := t.neighbour(http.MethodGet, r.segments)
		r.peek = t.below(r.segments)
		if r.peek != nil || (listed != nil && listed.does == lists) {
			r.does = creates
		}
	}
}

func (t *router) understandItem(m *model, r *route, variable string) {
	r.variable = variable
	if r.op.Method == http.MethodGet {
		if m.property(r.answer, "id") != nil || m.property(r.answer, variable) != nil {
			r.does = reads
		}
		return
	}
	if r.peek = t.neighbour(http.MethodGet, r.segments); r.peek == nil || r.peek.does != reads {
		r.peek = nil
		return
	}
	switch r.op.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		r.does = updates
		r.resource = r.peek.resource
	case http.MethodDelete:
		r.does = removes
	}
}

// listNames are what APIs call the list in an answer.
var listNames = []string{"data", "items", "results", "values", "records", "entries"}

// listOf is the schema of the elements when an answer is a list, and the
// property that holds them.
func (m *model) listOf(s *openapi.Schema, last string) (items *openapi.Schema, property string) {
	resolved := m.schema(s)
	if resolved == nil {
		return nil, ""
	}
	if resolved.Type == "array" {
		return resolved.Items, ""
	}
	for _, name := range append(listNames, last) {
		if p := m.schema(m.property(resolved, name)); p != nil && p.Type == "array" && p.Items != nil {
			return p.Items, name
		}
	}
	return nil, ""
}
