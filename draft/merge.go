package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// Changes says what Merge did.
type Changes struct {
	// Added are the places that were added, as paths: endpoints.get_customer.
	Added []string
	// Kept are values that stand although the planner would now choose
	// differently.
	Kept []Kept
	// Left is what the planner would have added and did not, with why.
	Left []Left
}

// Kept is a value of the file that differs from the fresh plan's.
type Kept struct{ Path, Yours, Planned string }

// Left is something that was not added.
type Left struct{ Path, Why string }

// Merge adds to a plan file what a fresh plan has beyond it, and changes or
// removes nothing that stands there: comments, order and layout of the file
// stay, byte for byte (R8.3). With nothing new the bytes come back as they are.
//
// Endpoints are recognised by their call, whatever they are called, so renamed
// ones are not added again. What a person took out of a plan does not come back
// as long as need and document are the same; for another need, what stands
// under "considered" stays out. Rows are not added to a mapping that is there:
// the table is the team's.
//
// An error means that the file is no valid plan; it says where.
func Merge(existing []byte, fresh *plan.Plan) ([]byte, *Changes, error) {
	return Replan(existing, fresh, Input{})
}

// Replan is Merge for a plan written from in: what a person named there comes
// in although need and document are the same, and an answer is written where
// the file says nothing. Where the file says something else, the file stands,
// and Changes.Left says so.
func Replan(existing []byte, fresh *plan.Plan, in Input) ([]byte, *Changes, error) {
	old, err := plan.Parse("the existing plan", existing, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("nothing was added, correct it first: %w", err)
	}
	m := &merger{in: in, old: old, fresh: renamed(old, fresh), add: &plan.Plan{}, changes: &Changes{}}
	m.same = old.Need == fresh.Need && sameSpec(old, fresh)
	m.endpoints()
	m.sections()
	m.webhooks()
	m.needed()
	m.answers()
	m.notes()
	if m.changes.Kept, err = kept(old, m.fresh); err != nil {
		return nil, nil, err
	}
	out, err := m.insert(existing)
	if err != nil {
		return nil, nil, err
	}
	if _, err := plan.Parse("the merged plan", out, nil); err != nil {
		return nil, nil, fmt.Errorf("the fresh plan does not fit into the existing one: %w", err)
	}
	return out, m.changes, nil
}

func sameSpec(old, fresh *plan.Plan) bool {
	a, b := old.Profile.Spec, fresh.Profile.Spec
	if a == nil || b == nil {
		return a == b
	}
	return a.SHA256 != "" && a.Matches(b.SHA256)
}

type merger struct {
	in         Input
	old, fresh *plan.Plan
	add        *plan.Plan // only what is to be added
	same       bool       // need and document are those of the file
	changes    *Changes
	whole      []string // top-level sections that are added as a whole
	secret     []string // environments that get a webhook secret
	lines      []line   // single keys that are added to a section
}

func (m *merger) left(path, why string) { m.changes.Left = append(m.changes.Left, Left{path, why}) }

const (
	tookOut  = "it is no longer in the plan, and need and document are the same"
	setAside = "the plan has it under considered"
)

// renamed is the fresh plan with the names of the existing one: endpoints by
// their call, and the one destination.
func renamed(old, fresh *plan.Plan) *plan.Plan {
	p := *fresh
	names := map[string]string{}
	p.Endpoints = map[string]*plan.Endpoint{}
	for _, name := range slices.Sorted(maps.Keys(fresh.Endpoints)) {
		e := fresh.Endpoints[name]
		to := name
		if own := byCall(old, e.Call); own != "" {
			to = own
		} else {
			for i := 2; old.Endpoints[to] != nil || p.Endpoints[to] != nil; i++ {
				to = fmt.Sprintf("%s_%d", name, i)
			}
		}
		names[name] = to
		p.Endpoints[to] = e
	}
	for name, e := range p.Endpoints {
		p.Endpoints[name] = referring(e, names)
	}
	if fresh.Webhooks == nil {
		return &p
	}
	hooks := *fresh.Webhooks
	p.Webhooks = &hooks
	if hooks.Reconcile != nil {
		r := *hooks.Reconcile
		r.List = names[r.List]
		hooks.Reconcile = &r
	}
	if len(old.Destinations) == 0 {
		return &p
	}
	own := slices.Sorted(maps.Keys(old.Destinations))[0]
	hooks.Events = maps.Clone(hooks.Events)
	for kind, e := range hooks.Events {
		if len(e.To) == 1 && !has(old.Destinations, e.To[0]) {
			e.To = catalog.OneOrMore{own}
			hooks.Events[kind] = e
		}
	}
	p.Errors = maps.Clone(p.Errors)
	for key, e := range p.Errors {
		if _, there := old.Destinations[e.Tell]; !there && e.Tell != "" {
			e.Tell = own
			p.Errors[key] = e
		}
	}
	return &p
}

// referring is an endpoint that names others by their names in the file.
func referring(e *plan.Endpoint, names map[string]string) *plan.Endpoint {
	own := *e
	if e.OnConflict != nil {
		c := *e.OnConflict
		c.Read = names[c.Read]
		own.OnConflict = &c
	}
	if e.OnUnknown != nil {
		u := *e.OnUnknown
		u.Find = names[u.Find]
		own.OnUnknown = &u
	}
	return &own
}

func byCall(p *plan.Plan, call string) string {
	for _, name := range slices.Sorted(maps.Keys(p.Endpoints)) {
		if p.Endpoints[name].Call == call {
			return name
		}
	}
	return ""
}

func (m *merger) setAside(call string) bool {
	return slices.ContainsFunc(m.old.Considered, func(c plan.Considered) bool { return c.Call == call })
}

func (m *merger) endpoints() {
	m.add.Endpoints = map[string]*plan.Endpoint{}
	for _, name := range slices.Sorted(maps.Keys(m.fresh.Endpoints)) {
		e := m.fresh.Endpoints[name]
		explicit := strings.HasPrefix(e.Why, explicitWhy)
		switch {
		case m.old.Endpoints[name] != nil:
		case m.setAside(e.Call) && !explicit:
			m.left("endpoints."+name, setAside)
		case m.same && !explicit:
			m.left("endpoints."+name, tookOut)
		default:
			m.add.Endpoints[name] = e
			m.added("endpoints." + name)
		}
	}
}

func (m *merger) added(path string) { m.changes.Added = append(m.changes.Added, path) }

// sections adds what the file has nothing of.
func (m *merger) sections() {
	section := func(name string, missing, offered bool, take func()) {
		switch {
		case !missing || !offered:
		case m.same:
			m.left(name, tookOut)
		default:
			take()
			m.whole = append(m.whole, name)
			m.added(name)
		}
	}
	o, f, a := m.old, m.fresh, m.add
	section("decision", o.Decision == nil, f.Decision != nil, func() { a.Decision = f.Decision })
	noProfile := o.Profile.Version == "" && o.Profile.Spec == nil && o.Profile.BaseURL == "" && len(o.Profile.Confirmed) == 0
	section("profile", noProfile, f.Profile.Spec != nil || f.Profile.Version != "" || f.Profile.BaseURL != "", func() { a.Profile = f.Profile })
	section("errors", len(o.Errors) == 0, len(f.Errors) > 0, func() { a.Errors = f.Errors })
	section("rollout", o.Rollout == nil, f.Rollout != nil, func() { a.Rollout = f.Rollout })
	section("exit", o.Exit == nil, f.Exit != nil, func() { a.Exit = f.Exit })
	section("points", len(o.Points) == 0, len(f.Points) > 0, func() { a.Points = f.Points })
	for _, id := range slices.Sorted(maps.Keys(f.Points)) {
		if len(o.Points) > 0 && !has(o.Points, id) && !m.same {
			m.point(id)
		}
	}
	section("limits", o.Limits == plan.Limits{}, f.Limits != plan.Limits{}, func() { a.Limits = f.Limits })
	noMonitoring := o.Monitoring.ExpectCallsEvery == 0 && len(o.Monitoring.Notify) == 0 && o.Monitoring.Owner == "" && o.Monitoring.Runbook == ""
	section("monitoring", noMonitoring, len(f.Monitoring.Notify) > 0, func() { a.Monitoring = f.Monitoring })
}

func (m *merger) point(id string) {
	if m.add.Points == nil {
		m.add.Points = map[string]plan.Point{}
	}
	m.add.Points[id] = m.fresh.Points[id]
	m.added("points." + id)
}

func (m *merger) webhooks() {
	f := m.fresh.Webhooks
	if f == nil {
		return
	}
	if m.old.Webhooks == nil {
		if m.same && len(m.in.Events) == 0 {
			m.left("webhooks", tookOut)
			return
		}
		m.add.Webhooks = f
		m.whole = append(m.whole, "webhooks")
		m.added("webhooks")
		for _, name := range slices.Sorted(maps.Keys(m.old.Environments)) {
			if len(m.old.Environments[name].Secrets["webhook_secret"]) == 0 && len(m.fresh.Environments[name].Secrets["webhook_secret"]) > 0 {
				m.secret = append(m.secret, name)
			}
		}
		return
	}
	hooks := &plan.Webhooks{Events: map[string]plan.EventHandling{}}
	for _, kind := range slices.Sorted(maps.Keys(f.Events)) {
		if _, there := m.old.Webhooks.Events[kind]; there {
			continue
		}
		if m.same && !slices.Contains(m.in.Events, kind) {
			m.left("webhooks.events."+kind, tookOut)
			continue
		}
		hooks.Events[kind] = f.Events[kind]
		m.added("webhooks.events." + kind)
	}
	if m.old.Webhooks.Reconcile == nil && f.Reconcile != nil && !m.same {
		hooks.Reconcile = f.Reconcile
		m.added("webhooks.reconcile")
	}
	m.add.Webhooks = hooks
}

// needed adds the mappings and destinations that the additions refer to and
// that are not there.
func (m *merger) needed() {
	m.add.Mappings = map[string][]plan.MappingRow{}
	var need func(name string)
	need = func(name string) {
		rows := m.fresh.Mappings[name]
		if name == "" || len(rows) == 0 || len(m.old.Mappings[name]) > 0 || len(m.add.Mappings[name]) > 0 {
			return
		}
		m.add.Mappings[name] = rows
		m.added("mappings." + name)
		for _, r := range rows {
			need(r.As)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.add.Endpoints)) {
		if c := m.add.Endpoints[name].OnConflict; c != nil {
			m.endpoint(c.Read)
		}
		if u := m.add.Endpoints[name].OnUnknown; u != nil {
			m.endpoint(u.Find)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.add.Endpoints)) {
		need(m.add.Endpoints[name].Send)
		need(m.add.Endpoints[name].Receive)
	}
	for _, key := range slices.Sorted(maps.Keys(m.add.Errors)) {
		m.destination(m.add.Errors[key].Tell)
	}
	if m.add.Webhooks == nil {
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(m.add.Webhooks.Events)) {
		e := m.add.Webhooks.Events[kind]
		need(e.Map)
		for _, name := range e.Destinations() {
			m.destination(name)
		}
	}
	if r := m.add.Webhooks.Reconcile; r != nil {
		m.endpoint(r.List)
	}
}

// endpoint adds one that something refers to.
func (m *merger) endpoint(name string) {
	e := m.fresh.Endpoints[name]
	if e == nil || m.old.Endpoints[name] != nil || m.add.Endpoints[name] != nil {
		return
	}
	m.add.Endpoints[name] = e
	m.added("endpoints." + name)
}

// destination adds one that something refers to.
func (m *merger) destination(name string) {
	d, offered := m.fresh.Destinations[name]
	if !offered || has(m.old.Destinations, name) || has(m.add.Destinations, name) {
		return
	}
	if m.add.Destinations == nil {
		m.add.Destinations = map[string]plan.Destination{}
	}
	m.add.Destinations[name] = d
	m.added("destinations." + name)
}

// notes adds open questions and near misses.
func (m *merger) notes() {
	if m.same && len(m.add.Endpoints) == 0 {
		return
	}
	for _, q := range m.fresh.OpenQuestions {
		_, confirmed := m.old.Profile.Confirmed[q.About]
		asked := slices.ContainsFunc(m.old.OpenQuestions, func(o plan.Question) bool { return o.About == q.About && o.Ask == q.Ask })
		endpoint := strings.HasPrefix(q.About, "endpoint.")
		about := strings.Split(q.About+"..", ".")[1]
		if confirmed || asked || endpoint && m.add.Endpoints[about] == nil || m.same && !endpoint {
			continue
		}
		m.add.OpenQuestions = append(m.add.OpenQuestions, q)
		m.added("open_questions (" + q.About + ")")
	}
	if m.same {
		return
	}
	for _, c := range m.fresh.Considered {
		if !m.setAside(c.Call) && byCall(m.old, c.Call) == "" {
			m.add.Considered = append(m.add.Considered, c)
			m.added("considered (" + c.Call + ")")
		}
	}
}
