// Package diff looks at two versions of a provider's API document through a
// plan: it tells only what breaks or changes a statement of the plan, with an
// example that fails, and counts the rest (requirement R0.3). Documents of large
// providers change in thousands of places between two versions; a plan uses a
// few dozen of them.
//
// It is pure: it opens nothing and decides by the plan and the two documents.
package diff

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	Breaks  Level = "breaks"  // calls fail, or answers and events no longer fit
	Changes Level = "changes" // still works as planned, and somebody should look
)

// Finding is one row of the plan that the new document breaks or changes.
type Finding struct {
	Level   Level         `json:"level"`
	Row     string        `json:"row"`               // id of the plan's row
	Where   string        `json:"where"`             // place in the document: "GET /v1/invoices/{id} answer status"
	Message string        `json:"message"`           // what changed
	Was     string        `json:"was,omitempty"`     // before; empty when there was nothing
	Now     string        `json:"now,omitempty"`     // after; empty when there is nothing
	Example string        `json:"example,omitempty"` // JSON that shows it
	Fails   string        `json:"fails,omitempty"`   // what the plan's mapping says to the example
	Fix     string        `json:"fix"`               // what to do
	At      plan.Position `json:"-"`                 // in the plan file
	File    string        `json:"file,omitempty"`    // the plan file
	Line    int           `json:"line,omitempty"`    // in it, from 1
}

// Side names one of the two documents.
type Side struct {
	Version string `json:"version"` // info.version
	SHA256  string `json:"sha256"`  // of the unpacked bytes
}

// Report is the comparison.
type Report struct {
	Service  string    `json:"service"`
	Before   Side      `json:"before"`
	After    Side      `json:"after"`
	Findings []Finding `json:"findings"` // those that break first, each in the order of the plan's rows
	Held     int       `json:"held"`     // rows that were compared and hold
	Unknown  []string  `json:"unknown"`  // rows the documents say nothing about
	Elsewhere
}

// Elsewhere counts what changed outside of what the plan uses.
type Elsewhere struct {
	Operations int `json:"other_operations"`  // added, removed or changed
	Schemas    int `json:"other_schemas"`     // components added, removed or changed
	EventTypes int `json:"other_event_types"` // added or removed
}

// Count is all of it.
func (e Elsewhere) Count() int { return e.Operations + e.Schemas + e.EventTypes }

// Broken reports whether a row breaks.
func (r *Report) Broken() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Breaks })
}

// Compare looks at the change from before to after through the plan. Both
// documents and the plan must be there.
func Compare(p *plan.Plan, before, after *openapi.Document) (*Report, error) {
	if p == nil || before == nil || after == nil {
		return nil, errors.New("diff: a plan and two documents are needed")
	}
	c := &comparison{
		plan: p, was: before, now: after, positions: map[string]plan.Position{}, order: map[string]int{},
		report: &Report{
			Service: p.Service, Before: Side{before.Version, before.SHA256}, After: Side{after.Version, after.SHA256},
			Findings: []Finding{}, Unknown: []string{},
		},
		judged: map[string]bool{}, used: map[string]bool{},
	}
	for i, row := range p.Rows() {
		c.positions[row.ID], c.order[row.ID] = row.Position, i
	}
	for _, name := range names(p.Endpoints) {
		if e := p.Endpoints[name]; e != nil {
			c.endpoint(name, e)
		}
	}
	c.events()
	c.elsewhere()
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(c.order[a.Row], c.order[b.Row]))
	})
	for id, found := range c.judged {
		if !found {
			c.report.Held++
		}
		delete(c.unsaid, id)
	}
	c.report.Unknown = append(c.report.Unknown, names(c.unsaid)...)
	return c.report, nil
}

// comparison is one run.
type comparison struct {
	plan      *plan.Plan
	was, now  *openapi.Document
	positions map[string]plan.Position
	order     map[string]int
	report    *Report
	judged    map[string]bool // rows that were compared; true: something was found
	unsaid    map[string]bool // rows that no document says anything about
	used      map[string]bool // operations and components the plan uses
}

// find records a finding; the same one, seen in two places, once.
func (c *comparison) find(f Finding) {
	c.judged[f.Row] = true
	f.At, f.File = c.positions[f.Row], c.plan.File
	f.Line = f.At.Line
	for _, other := range c.report.Findings {
		if other.Row == f.Row && other.Message == f.Message && other.Now == f.Now {
			return
		}
	}
	c.report.Findings = append(c.report.Findings, f)
}

// holds notes that a row was compared.
func (c *comparison) holds(row string) {
	if !c.judged[row] {
		c.judged[row] = false
	}
}

// silent notes that the document before says nothing about a row.
func (c *comparison) silent(row string) {
	if c.unsaid == nil {
		c.unsaid = map[string]bool{}
	}
	c.unsaid[row] = true
}

// events compares the types the plan uses.
func (c *comparison) events() {
	w := c.plan.Webhooks
	if w == nil {
		return
	}
	for _, kind := range names(w.Events) {
		row := "event." + kind
		was, now := slices.Contains(c.was.EventTypes, kind), slices.Contains(c.now.EventTypes, kind)
		switch {
		case was && !now:
			f := Finding{Level: Breaks, Row: row, Where: "event types", Message: "the event is no longer listed", Was: kind, Fix: "find what is sent in its place, and use that"}
			if near := nearest(kind, c.now.EventTypes); near != "" {
				f.Fix = fmt.Sprintf("look whether %s takes its place", near)
			}
			c.find(f)
		case now:
			c.holds(row)
		default:
			c.silent(row)
		}
		c.eventResource(w.Events[kind], kind)
	}
}

// eventResource compares the mapping of an event with the resource it carries.
func (c *comparison) eventResource(e plan.EventHandling, kind string) {
	if e.Map == "" {
		return
	}
	name, was := resourceOf(c.was, e.Map, kind)
	if was == nil {
		for _, row := range c.plan.Mappings[e.Map] {
			if row.Direction != "out" {
				c.silent(rowID(c.plan, e.Map, row))
			}
		}
		return
	}
	c.used[name] = true
	c.answer(table{name: e.Map, where: "event " + kind + " " + name, was: was, now: c.now.Schema(name)}, 0)
}
