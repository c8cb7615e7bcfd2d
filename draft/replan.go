package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// line is text that is added to the section at a path.
type line struct{ in, text []string }

// answers writes what people said now into a plan that is there: where it says
// nothing. Where it says something else it stands, and the person is told.
func (m *merger) answers() {
	a := m.in.Answers
	for _, name := range slices.Sorted(maps.Keys(a.Effects)) {
		e := m.old.Endpoints[name]
		if e == nil {
			e = m.old.Endpoints[byCall(m.old, name)]
		}
		if e != nil {
			m.stands("endpoints."+name+".effect", string(e.Effect), string(a.Effects[name]))
		}
	}
	m.key([]string{"monitoring"}, "owner", m.old.Monitoring.Owner, a.Owner)
	if m.old.Webhooks != nil {
		m.key([]string{"webhooks"}, "tenant", m.old.Webhooks.Tenant, a.Tenant)
	}
	if d := m.old.Decision; d != nil {
		m.stands("decision.choice", d.Choice, a.Decision)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Destinations)) {
		if d, there := m.old.Destinations[name]; there {
			m.stands("destinations."+name+".url", d.URL, a.Destinations[name])
		} else if len(m.old.Destinations) > 0 {
			m.destination(name)
		}
	}
	for _, e := range a.Environments {
		m.environment(e)
	}
}

func (m *merger) environment(e Environment) {
	if old, there := m.old.Environments[e.Name]; there {
		m.stands("environments."+e.Name+".base_url", old.BaseURL, e.BaseURL)
		return
	}
	if m.add.Environments == nil {
		m.add.Environments = map[string]plan.Environment{}
	}
	m.add.Environments[e.Name] = m.fresh.Environments[e.Name]
	m.added("environments." + e.Name)
}

// key adds one key to a section that is there and does not have it.
func (m *merger) key(in []string, name, yours, said string) {
	path := strings.Join(append(slices.Clone(in), name), ".")
	switch {
	case said == "" || slices.Contains(m.whole, in[0]):
	case yours != "":
		m.stands(path, yours, said)
	default:
		m.lines = append(m.lines, line{in, []string{name + ": " + scalar(said)}})
		m.added(path)
	}
}

// stands tells that the file says something else than was said now.
func (m *merger) stands(path, yours, said string) {
	if said != "" && yours != said {
		m.left(path, fmt.Sprintf("the file says %q and stands; change it there", yours))
	}
}

// scalar writes a text as the value of a key.
func scalar(s string) string {
	text, err := plan.Marshal(&plan.Plan{Monitoring: plan.Monitoring{Owner: s}})
	if err != nil {
		return fmt.Sprintf("%q", s)
	}
	for l := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(l, "  owner: "); ok {
			return strings.TrimRight(value, "\n")
		}
	}
	return fmt.Sprintf("%q", s)
}
