package deliver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// targets say which destinations an event goes to: some always, others where
// conditions hold.
type targets struct {
	always []*destination
	routes []conditional
}

// conditional are destinations for events that all conditions hold of.
type conditional struct {
	to   []*destination
	when []condition
}

// condition is one place in an event and what may stand there.
type condition struct {
	word   string       // tenant or source; empty for a path
	path   extract.Path // where word is empty
	values []string     // "*" is anything, "-" nothing
}

// compileTargets reads the destinations of one event type.
func (s Service) compileTargets(handling plan.EventHandling) (targets, error) {
	var t targets
	var problems []error
	find := func(key string, names []string) (found []*destination) {
		for _, name := range names {
			to, ok := s.destination(name)
			if !ok {
				problems = append(problems, fmt.Errorf("%s: there is no destination %q", key, name))
				continue
			}
			found = append(found, to)
		}
		return found
	}
	t.always = find("to", handling.To)
	for i, route := range handling.Routes {
		c := conditional{to: find(fmt.Sprintf("routes[%d].to", i), route.To)}
		for _, place := range slices.Sorted(maps.Keys(route.When)) {
			one, err := compileCondition(place, route.When[place])
			if err != nil {
				problems = append(problems, fmt.Errorf("routes[%d].when.%s: %w", i, place, err))
			}
			c.when = append(c.when, one)
		}
		t.routes = append(t.routes, c)
	}
	return t, errors.Join(problems...)
}

func compileCondition(place string, values []string) (condition, error) {
	c := condition{values: values}
	if place == "tenant" || place == "source" {
		c.word = place
		return c, nil
	}
	if strings.HasPrefix(place, "query:") {
		return c, errors.New("the address an event came by is not kept with it; use source, or a place in the body or the header")
	}
	var err error
	c.path, err = extract.Parse(place)
	return c, err
}

// of are the destinations of an event, each once, those that have it always
// first.
func (t targets) of(e *integration.Event) []*destination {
	list := slices.Clone(t.always)
	if len(t.routes) > 0 {
		in := &extract.Request{Header: e.ProvidersHeader(), Body: e.Payload}
		for i := range t.routes {
			if t.routes[i].holds(e, in) {
				list = append(list, t.routes[i].to...)
			}
		}
	}
	var once []*destination
	for _, to := range list {
		if !slices.ContainsFunc(once, func(d *destination) bool { return d.name == to.name }) {
			once = append(once, to)
		}
	}
	return once
}

// all are the destinations that events may go to.
func (t targets) all() []*destination {
	list := slices.Clone(t.always)
	for i := range t.routes {
		list = append(list, t.routes[i].to...)
	}
	return list
}

func (c conditional) holds(e *integration.Event, in *extract.Request) bool {
	for _, one := range c.when {
		if !one.holds(e, in) {
			return false
		}
	}
	return true
}

func (c condition) holds(e *integration.Event, in *extract.Request) bool {
	value := ""
	switch c.word {
	case "tenant":
		value = e.Tenant
	case "source":
		value = e.Source
	default:
		value, _ = c.path.Value(in)
	}
	return slices.ContainsFunc(c.values, func(want string) bool {
		switch want {
		case "*":
			return value != ""
		case "-":
			return value == ""
		}
		return value == want
	})
}
