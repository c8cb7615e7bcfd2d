package draft

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// Input is what a plan is written from.
type Input struct {
	Service string           // slug of the integration
	Need    string           // the requirement, in a sentence
	Profile *catalog.Profile // the provider's facts
	// Document is the provider's API document. Nil: there is none, and Endpoints
	// are written as "METHOD /path"; fields are not mapped then.
	Document *openapi.Document
	// SpecFile and SpecSHA256 pin the document in the plan; nothing is pinned
	// when SpecFile is empty.
	SpecFile, SpecSHA256 string
	// Endpoints are operations to use whatever the need says: operationIds or
	// "METHOD /path". Events are event types.
	Endpoints, Events []string
	// Answers are what people said; the zero value says nothing.
	Answers Answers
	// Now dates the plan. The zero time leaves dates out.
	Now time.Time
}

const maxNeed = 4000 // bytes; more is a document, not a need

var serviceSlug = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// Write makes a plan for a need. An error means that there is nothing to plan
// with, or that an operation was named that the document does not have; what
// the need asks for and the document does not offer is in Report.Uncovered.
func Write(in Input) (*plan.Plan, *Report, error) {
	byHand := false
	if in.Document == nil && len(in.Endpoints)+len(in.Events)+len(in.Answers.Endpoints) > 0 {
		d, err := handWritten(append(slices.Clone(in.Endpoints), in.Answers.Endpoints...), in.Events)
		if err != nil {
			return nil, nil, err
		}
		in.Document, in.SpecFile, in.SpecSHA256 = d, "", ""
		in.Endpoints = append(slices.Clone(in.Endpoints), in.Answers.Endpoints...)
		byHand = true
	}
	explicit, err := check(in)
	if err != nil {
		return nil, nil, err
	}
	c := choose(in.Document, in.Need, explicit)
	w := &writer{
		Input: in, byHand: byHand, service: in.Service, profile: in.Profile, doc: in.Document, chooser: c,
		resources: map[string]bool{}, tables: map[*operation]string{}, envelopes: map[string]string{},
		plan: &plan.Plan{Sallyport: plan.Version, Service: in.Service, Uses: in.Profile.ID, Need: in.Need, Mappings: map[string][]plan.MappingRow{}, Endpoints: map[string]*plan.Endpoint{}},
	}
	w.ticked()
	events := w.tickedEvents(w.eventsToUse())
	list := w.listOfEvents(events)
	w.finders()
	w.ticked()
	if list != nil && c.byOp[list] == nil {
		list = nil
	}
	if len(c.picks) == 0 && len(events) == 0 {
		return nil, nil, fmt.Errorf("nothing in the document of %s fits %q: say it in the provider's words, or name operations with --endpoint", in.Profile.Name, in.Need)
	}
	w.names = names(c.picks)
	w.mappings(events)
	for _, p := range c.picks {
		w.plan.Endpoints[w.names[p.op]] = w.endpoint(p)
	}
	if err := w.checkEffects(); err != nil {
		return nil, nil, err
	}
	w.webhooks(events, list)
	w.conflicts()
	w.unknown()
	w.fallbackOfReads()
	w.frame()
	return w.plan, w.report(events), nil
}

// report says how it came about, and writes what stays open into the plan.
func (w *writer) report(events []eventPick) *Report {
	r := &Report{Candidates: w.chooser.candidates(w.names), Defects: w.Document.Defects}
	if w.byHand {
		w.ask("document", "No API document was at hand: which fields do requests and answers have? Give one with --spec FILE, or write mappings by hand.", w.profile.Docs)
	} else {
		r.Uncovered = w.chooser.missed
	}
	for _, e := range events {
		r.Events = append(r.Events, Candidate{Call: e.kind, Picked: true, Score: e.value, Reason: e.why})
	}
	r.Questions = w.interview(r)
	w.questions(r.Questions, r.Uncovered)
	w.considered(r.Candidates)
	return r
}

func check(in Input) (explicit []openapi.Operation, err error) {
	switch {
	case in.Profile == nil:
		return nil, errors.New("draft: no catalog profile to plan with")
	case in.Document == nil:
		return nil, fmt.Errorf("draft: no API document of %s to plan with: give one, or name operations as METHOD /path", in.Profile.Name)
	case len(in.Document.Operations) == 0 && len(in.Document.Servers)+len(in.Document.Title) > 0:
		return nil, errors.New("draft: the provider's document has no operations to plan with")
	case !serviceSlug.MatchString(in.Service):
		return nil, fmt.Errorf("service %q is no slug: write lower-case letters, digits, - and _, beginning with a letter", in.Service)
	case strings.TrimSpace(in.Need) == "":
		return nil, errors.New("the need is empty: say in a sentence what the integration should do")
	case len(in.Need) > maxNeed:
		return nil, fmt.Errorf("the need has %d bytes, at most %d are read: say it shorter, and plan one thing at a time", len(in.Need), maxNeed)
	}
	for _, call := range in.Answers.Endpoints {
		if _, ok := in.Document.Operation(call); !ok {
			return nil, fmt.Errorf("the document has no operation %q: write METHOD /path; near are: %s", call, strings.Join(near(in.Document, call), ", "))
		}
	}
	if err := in.Answers.check(); err != nil {
		return nil, err
	}
	for _, call := range in.Endpoints {
		op, ok := in.Document.Operation(call)
		if !ok {
			return nil, fmt.Errorf("the document has no operation %q: write its operationId or METHOD /path; near are: %s", call, strings.Join(near(in.Document, call), ", "))
		}
		explicit = append(explicit, op)
	}
	for _, kind := range in.Events {
		switch {
		case in.Profile.Webhooks == nil:
			return nil, fmt.Errorf("event %q: the profile %s knows no webhooks of this provider", kind, in.Profile.ID)
		case len(in.Document.EventTypes) > 0 && !slices.Contains(in.Document.EventTypes, kind):
			return nil, fmt.Errorf("the document names no event type %q; near are: %s", kind, strings.Join(nearest(in.Document.EventTypes, kind), ", "))
		}
	}
	return explicit, nil
}

// near lists operations whose call or id shares words with what was asked for.
func near(d *openapi.Document, call string) []string {
	var calls []string
	for _, op := range d.Operations {
		calls = append(calls, op.Call())
	}
	return nearest(calls, call)
}

// nearest are the three texts that share most words with another.
func nearest(texts []string, to string) []string {
	want := map[string]bool{}
	for _, w := range allStems(to) {
		want[w] = true
	}
	value := func(s string) int {
		n := 0
		for _, w := range allStems(s) {
			if want[w] {
				n += 4
			} else {
				n--
			}
		}
		return n
	}
	sorted := slices.SortedStableFunc(slices.Values(texts), func(a, b string) int { return cmp.Compare(value(b), value(a)) })
	return sorted[:min(3, len(sorted))]
}

// writer fills in one plan.
type writer struct {
	Input
	byHand    bool // there is no document but what people named
	service   string
	profile   *catalog.Profile
	doc       *openapi.Document
	chooser   *chooser
	names     map[*operation]string
	tables    map[*operation]string // mapping of an operation's answer
	envelopes map[string]string     // of a table: the field that holds the resource; empty for none
	resources map[string]bool       // components that the plan maps
	plan      *plan.Plan
	asked     []plan.Question // what nobody at the terminal is asked
	doubts    []Question      // effects that were guessed
	found     map[*operation]*finder
}

func (w *writer) ask(about, question, look string) {
	w.asked = append(w.asked, plan.Question{About: about, Ask: question, Look: look})
}

// saysField reports whether the need says a word that is no verb.
func (w *writer) saysField(word string) bool {
	for i := range w.chooser.clauses {
		if t, ok := w.chooser.clauses[i].has(word); ok && !t.verb && t.weight == 1 {
			return true
		}
	}
	return false
}

// tenant reports whether a schema is a map of texts, where our tenant id can
// be kept.
func (w *writer) tenant(s *openapi.Schema) bool {
	s = w.doc.Resolve(s)
	if len(s.AnyOf) > 0 {
		s = w.doc.Resolve(s.AnyOf[0])
	}
	return s.AdditionalProperties != nil && w.doc.Resolve(s.AdditionalProperties).Type == "string"
}

// mappings makes a table for each resource that the picked operations and the
// events are about.
func (w *writer) mappings(events []eventPick) {
	schemas := map[string]*openapi.Schema{}
	requests := map[string][]*openapi.Schema{}
	note := func(o *operation, component string, s *openapi.Schema) {
		if s == nil || len(w.chooser.properties(s)) == 0 {
			return
		}
		field, inside, s := w.opened(o, s)
		if field != "" {
			component = inside
		}
		table := tableName(component)
		if component == "" {
			table = tableName(w.names[o])
		}
		if table == "" {
			return
		}
		w.tables[o] = table
		if component != "" {
			w.resources[component] = true
		}
		schemas[table], w.envelopes[table] = s, field
	}
	for _, p := range w.chooser.picks {
		if p.op.kind == kindList {
			continue // a list is handed on as it is
		}
		component, s := answer(w.doc, p.op)
		note(p.op, component, s)
		if table := w.tables[p.op]; table != "" && p.op.Request != nil && (p.op.kind == kindCreate || p.op.kind == kindUpdate) {
			if field, _, inner := w.opened(p.op, p.op.Request.Schema); field == w.envelopes[table] {
				requests[table] = append(requests[table], inner)
			}
		}
	}
	for _, e := range events {
		if e.op != nil && w.names[e.op] == "" {
			if component, s := w.chooser.resource(e.op); component != "" {
				note(e.op, component, s)
			}
		}
	}
	for _, table := range slices.Sorted(maps.Keys(schemas)) {
		if _, there := w.plan.Mappings[table]; there {
			continue
		}
		rows := w.rows(table, schemas[table], requests[table])
		if len(rows) == 0 {
			continue
		}
		w.plan.Mappings[table] = inEnvelope(w.envelopes[table], rows)
	}
}

var builtin = set("string integer decimal boolean datetime enum uuid json")

func tableName(s string) string {
	n := slug(snake(strings.TrimPrefix(s, "#")))
	for _, wrapping := range []string{"_response", "_dto", "_resource"} {
		if short, ok := strings.CutSuffix(n, wrapping); ok && short != "" {
			n = short
		}
	}
	if builtin[n] {
		n += "_object"
	}
	return n
}

// mapped names the mappings of an endpoint: of the answer where there is one,
// of the request where the mapping can make all of it.
func (w *writer) mapped(e *plan.Endpoint, o *operation) *plan.Endpoint {
	table := w.tables[o]
	rows := w.plan.Mappings[table]
	if len(rows) == 0 {
		return e
	}
	if o.kind != kindList {
		e.Receive = table
	}
	if o.Request == nil || o.Request.Schema == nil || o.kind != kindCreate && o.kind != kindUpdate {
		return e
	}
	field, _, request := w.opened(o, o.Request.Schema)
	if field != w.envelopes[table] {
		return e // an envelope around one of both: no table fits them
	}
	out := map[string]bool{}
	for _, r := range rows {
		if r.Direction != "in" {
			name := r.External
			if field != "" {
				name = strings.TrimPrefix(name, escape(field)+".")
			}
			name, _, _ = strings.Cut(name, ".")
			out[name] = true
		}
	}
	properties := w.chooser.properties(request)
	_, resource := answer(w.doc, o)
	_, _, resource = w.opened(o, resource)
	shared, covered := 0, len(out) > 0
	for _, p := range properties {
		if slices.ContainsFunc(w.chooser.properties(resource), func(f openapi.Property) bool { return f.Name == p.Name }) {
			shared++
		}
		if !out[p.Name] && slices.Contains(w.doc.Resolve(request).Required, p.Name) {
			covered = false
		}
	}
	// A request that has little to do with the answer would lose most of what a
	// caller says.
	if covered && 2*shared >= len(properties) {
		e.Send = table
	}
	return e
}
