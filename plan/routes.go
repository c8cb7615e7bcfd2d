package plan

import (
	"cmp"
	"slices"
)

// Routes finds the endpoint of a concrete path like EndpointFor does, with the
// paths taken apart once; for those who ask on every request. It holds what the
// plan was when it was made.
type Routes struct {
	literal   map[string]map[string]string // method → path → name; the calls without variables
	variables map[string][]route           // by method, the best fit first
}

type route struct {
	name   string
	parts  []part
	effect Effect
}

// Routes makes the index.
func (p *Plan) Routes() *Routes {
	r := &Routes{literal: map[string]map[string]string{}, variables: map[string][]route{}}
	for name, e := range p.Endpoints {
		if e == nil {
			continue
		}
		if len(e.PathVariables()) > 0 {
			r.variables[e.Method()] = append(r.variables[e.Method()], route{name, pathParts(e.Path()), e.Effect})
			continue
		}
		if r.literal[e.Method()] == nil {
			r.literal[e.Method()] = map[string]string{}
		}
		if best, _, ok := p.EndpointFor(e.Method(), e.Path()); ok {
			r.literal[e.Method()][e.Path()] = best
		}
	}
	for _, routes := range r.variables {
		slices.SortFunc(routes, func(a, b route) int {
			return cmp.Or(cmp.Compare(literal(b.parts), literal(a.parts)), cmp.Compare(caution(b.effect), caution(a.effect)), cmp.Compare(a.name, b.name))
		})
	}
	return r
}

// Endpoint is the name of the endpoint a request is for; path is without query.
func (r *Routes) Endpoint(method, path string) (name string, ok bool) {
	if name, ok := r.literal[method][path]; ok {
		return name, true
	}
	for _, route := range r.variables[method] {
		if matchInto(nil, route.parts, path) {
			return route.name, true
		}
	}
	return "", false
}
