package plan

import (
	"cmp"
	"slices"
)

// Routes finds the endpoint of a concrete path like EndpointFor does, with the
// paths taken apart once; for those who ask on every request. It holds what the
// plan was when it was made.
type Routes struct {
	methods map[string]*methodRoutes
}

// methodRoutes are those of one method.
type methodRoutes struct {
	literal   map[string]string // path → name; the calls without variables
	variables []route           // the best fit first
}

type route struct {
	name   string
	parts  []part
	effect Effect
}

// Routes makes the index.
func (p *Plan) Routes() *Routes {
	r := &Routes{methods: map[string]*methodRoutes{}}
	for name, e := range p.Endpoints {
		if e == nil {
			continue
		}
		m := r.methods[e.Method()]
		if m == nil {
			m = &methodRoutes{literal: map[string]string{}}
			r.methods[e.Method()] = m
		}
		if len(e.PathVariables()) > 0 {
			m.variables = append(m.variables, route{name, pathParts(e.Path()), e.Effect})
		} else if best, _, ok := p.EndpointFor(e.Method(), e.Path()); ok {
			m.literal[e.Path()] = best
		}
	}
	for _, m := range r.methods {
		slices.SortFunc(m.variables, func(a, b route) int {
			return cmp.Or(cmp.Compare(literal(b.parts), literal(a.parts)), cmp.Compare(caution(b.effect), caution(a.effect)), cmp.Compare(a.name, b.name))
		})
	}
	return r
}

// Endpoint is the name of the endpoint a request is for; path is without query.
func (r *Routes) Endpoint(method, path string) (name string, ok bool) {
	m := r.methods[method]
	if m == nil {
		return "", false
	}
	if name, ok := m.literal[path]; ok {
		return name, true
	}
	for _, route := range m.variables {
		if matchInto(nil, route.parts, path) {
			return route.name, true
		}
	}
	return "", false
}
