package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Method is the HTTP method of the call, upper case; empty when the endpoint
// has none.
func (e *Endpoint) Method() string {
	method, _, _ := strings.Cut(e.Call, " ")
	return method
}

// Path is the path of the call as the plan writes it, variables in braces.
func (e *Endpoint) Path() string {
	_, path, _ := strings.Cut(e.Call, " ")
	return path
}

// PathVariables are the names in braces, in the order of the path.
func (e *Endpoint) PathVariables() []string {
	var names []string
	for _, part := range pathParts(e.Path()) {
		if part.variable {
			names = append(names, part.text)
		}
	}
	return names
}

// Match reports whether a concrete path is of this endpoint, and what its path
// variables stand for, still percent-encoded.
func (e *Endpoint) Match(path string) (vars map[string]string, ok bool) {
	return matchPath(pathParts(e.Path()), path)
}

// part of a path: literal text, or a variable that stands for one segment or a
// piece of one.
type part struct {
	text     string
	variable bool
}

// pathParts takes a path apart at its braces. An unclosed brace is literal.
func pathParts(path string) []part {
	var parts []part
	for path != "" {
		open := strings.IndexByte(path, '{')
		end := strings.IndexByte(path, '}')
		if open < 0 || end < open {
			return append(parts, part{text: path})
		}
		if open > 0 {
			parts = append(parts, part{text: path[:open]})
		}
		parts = append(parts, part{text: path[open+1 : end], variable: true})
		path = path[end+1:]
	}
	return parts
}

// checkCall reports what is wrong with the variables of a call.
func checkCall(call string) error {
	_, path, _ := strings.Cut(call, " ")
	seen := map[string]bool{}
	parts := pathParts(path)
	for i, p := range parts {
		switch {
		case !p.variable && strings.ContainsAny(p.text, "{}"):
			return errors.New("a brace of the path has no partner")
		case !p.variable:
		case p.text == "" || strings.ContainsAny(p.text, "{/"):
			return fmt.Errorf("{%s} is no path variable", p.text)
		case seen[p.text]:
			return fmt.Errorf("the path variable {%s} stands twice", p.text)
		case i > 0 && parts[i-1].variable:
			return fmt.Errorf("{%s} follows another variable with nothing between", p.text)
		}
		if p.variable {
			seen[p.text] = true
		}
	}
	return nil
}

// EndpointFor finds the endpoint of the plan that a request to a concrete path
// is for, and what the path variables stand for, still percent-encoded. A query
// is ignored. Where several endpoints fit, the one with the most literal
// characters is taken; where the same call stands twice, the one whose effect
// allows the fewest retries, then the first by name.
func (p *Plan) EndpointFor(method, path string) (name string, vars map[string]string, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	type candidate struct {
		name    string
		vars    map[string]string
		literal int
		effect  Effect
	}
	var found []candidate
	for name, e := range p.Endpoints {
		if e == nil || e.Method() != method {
			continue
		}
		parts := pathParts(e.Path())
		if vars, ok := matchPath(parts, path); ok {
			found = append(found, candidate{name, vars, literal(parts), e.Effect})
		}
	}
	if len(found) == 0 {
		return "", nil, false
	}
	best := slices.MinFunc(found, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(b.literal, a.literal),
			cmp.Compare(caution(b.effect), caution(a.effect)),
			cmp.Compare(a.name, b.name),
		)
	})
	return best.name, best.vars, true
}

func literal(parts []part) (n int) {
	for _, p := range parts {
		if !p.variable {
			n += len(p.text)
		}
	}
	return n
}

// caution orders the effects by how little a machine may repeat them.
func caution(e Effect) int {
	return slices.Index([]Effect{EffectRead, EffectUpdate, EffectCreate, EffectIrreversible}, e)
}

// matchPath matches a concrete path. A variable takes at least one character
// and never a slash; it ends at the first place where the text after it fits.
func matchPath(parts []part, path string) (map[string]string, bool) {
	vars := map[string]string{}
	return vars, matchInto(vars, parts, path)
}

// matchInto is matchPath with the map to fill; nil fills none.
func matchInto(vars map[string]string, parts []part, path string) bool {
	for i, p := range parts {
		if !p.variable {
			rest, ok := strings.CutPrefix(path, p.text)
			if !ok {
				return false
			}
			path = rest
			continue
		}
		end := strings.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		if i+1 < len(parts) && !strings.HasPrefix(parts[i+1].text, "/") {
			until, _, _ := strings.Cut(parts[i+1].text, "/")
			at := strings.Index(path[:end], until)
			if i+2 == len(parts) {
				at = strings.LastIndex(path[:end], until)
			}
			if at < 0 {
				return false
			}
			end = at
		}
		if end == 0 {
			return false
		}
		if vars != nil {
			vars[p.text] = path[:end]
		}
		path = path[end:]
	}
	return path == ""
}
