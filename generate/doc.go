// Package generate turns a plan into an adapter: the small, typed client of the
// one service the plan is about (requirement R3.8). It calls the gateway's named
// endpoints, so credentials, limits, retries and mapping stay where they are,
// and it knows only the fields that the plan maps.
//
// Generated files end in .gen.go or .gen.ts and carry a checksum; one that was
// edited by hand is not overwritten. Files that are yours are written once, as a
// start, and never touched again.
//
// The generated code stands on its language's standard library alone.
package generate

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// File is one file of an adapter.
type File struct {
	Name    string // below the output folder
	Content []byte
	Yours   bool // written only where there is none
}

// Options say how.
type Options struct {
	// Package is the name of the Go package; empty takes the service's slug.
	Package string
}

// adapter is a plan made ready for writing code.
type adapter struct {
	plan      *plan.Plan
	name      string // of the package
	title     string // of the provider
	endpoints []endpoint
	events    []event
	tables    []table
	enums     []enum
}

// endpoint is one method of the client.
type endpoint struct {
	key       string // the plan's name for it
	plan      *plan.Endpoint
	variables []string // of the path
	body      bool     // a body may be sent
}

// event is one event type the plan uses.
type event struct {
	kind  string // the provider's name
	table string // what it is mapped by; empty: as it came
}

// table is a mapping seen from our side, in one direction.
type table struct {
	name   string // the plan's
	in     bool   // what is received; else what is sent
	fields []*field
}

// field is a value, an object of its own, or a list.
type field struct {
	name     string // JSON key on our side
	external string // the provider's path, for the comment
	as       string // of the row; empty for an object made of dotted paths
	enum     string // key into the adapter's enums; empty when it is none
	table    string // of rows of another mapping
	list     bool
	null     bool // null is told apart from empty
	personal string
	fields   []*field // of an object
}

// enum is the values of one row on our side.
type enum struct {
	table, field string
	values       []string
	open         bool // values of the provider may come through unmapped
}

func (e enum) key() string { return e.table + "." + e.field }

// prepare collects what every language needs.
func prepare(p *plan.Plan, o Options) (*adapter, error) {
	if p == nil || p.Service == "" {
		return nil, errors.New("generate: a plan is needed")
	}
	a := &adapter{plan: p, name: cmp.Or(o.Package, strings.ToLower(words(p.Service, "")))}
	a.title = p.Service
	if p.Provider != nil && p.Provider.Name != "" {
		a.title = p.Provider.Name
	}
	received, sent := map[string]bool{}, map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(p.Endpoints)) {
		e := p.Endpoints[key]
		if e == nil {
			continue
		}
		method := e.Method()
		a.endpoints = append(a.endpoints, endpoint{
			key: key, plan: e, variables: e.PathVariables(), body: method != "GET" && method != "HEAD",
		})
		received[e.Receive], sent[e.Send] = true, true
	}
	if w := p.Webhooks; w != nil {
		for _, kind := range slices.Sorted(maps.Keys(w.Events)) {
			a.events = append(a.events, event{kind: kind, table: w.Events[kind].Map})
			received[w.Events[kind].Map] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Mappings)) {
		if a.uses(name, received, true) {
			a.table(name, true)
		}
		if a.uses(name, sent, false) {
			a.table(name, false)
		}
	}
	if len(a.endpoints) == 0 && len(a.events) == 0 {
		return nil, fmt.Errorf("generate: the plan of %s has neither endpoints nor events", p.Service)
	}
	return a, nil
}

// uses reports whether a table is used in a direction, by itself or as a part
// of another.
func (a *adapter) uses(name string, direct map[string]bool, in bool) bool {
	if direct[name] {
		return true
	}
	for _, outer := range slices.Sorted(maps.Keys(direct)) {
		if outer != "" && a.reaches(outer, name, in, map[string]bool{}) {
			return true
		}
	}
	return false
}

func (a *adapter) reaches(from, to string, in bool, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, row := range a.plan.Mappings[from] {
		if _, isTable := a.plan.Mappings[row.As]; !isTable || !along(row, in) {
			continue
		}
		if row.As == to || a.reaches(row.As, to, in, seen) {
			return true
		}
	}
	return false
}

// along reports whether a row is used in a direction.
func along(row plan.MappingRow, in bool) bool {
	return in && row.Direction != "out" || !in && row.Direction != "in"
}

// table reads the rows of one direction into fields.
func (a *adapter) table(name string, in bool) {
	t := table{name: name, in: in}
	for _, row := range a.plan.Mappings[name] {
		if !along(row, in) {
			continue
		}
		f := &field{external: row.External, as: row.As, list: strings.HasSuffix(row.Internal, "[*]"), null: row.Missing == "null", personal: row.Class}
		if _, isTable := a.plan.Mappings[row.As]; isTable {
			f.table = row.As
		}
		path := segments(strings.TrimSuffix(row.Internal, "[*]"))
		if row.As == "enum" {
			f.enum = a.enum(name, strings.Join(path, "."), row)
		}
		place(&t.fields, path, f)
	}
	a.tables = append(a.tables, t)
}

// enum notes the values of a row once.
func (a *adapter) enum(table, field string, row plan.MappingRow) string {
	e := enum{table: table, field: field, open: row.Unknown == "keep"}
	if i := slices.IndexFunc(a.enums, func(other enum) bool { return other.key() == e.key() }); i >= 0 {
		return e.key()
	}
	e.values = slices.Compact(slices.Sorted(maps.Values(row.Values)))
	if fixed, ok := strings.CutPrefix(row.Unknown, "value:"); ok && !slices.Contains(e.values, fixed) {
		e.values = append(e.values, fixed)
	}
	a.enums = append(a.enums, e)
	return e.key()
}

// place puts a field where its path says, making the objects on the way. Of two
// rows for one path the first stands.
func place(fields *[]*field, path []string, f *field) {
	f.name = path[0]
	i := slices.IndexFunc(*fields, func(other *field) bool { return other.name == path[0] })
	if len(path) == 1 {
		if i < 0 {
			*fields = append(*fields, f)
		}
		return
	}
	if i < 0 {
		*fields = append(*fields, &field{name: path[0]})
		i = len(*fields) - 1
	}
	if (*fields)[i].as == "" {
		place(&(*fields)[i].fields, path[1:], f)
	}
}

// segments takes a path on our side apart; "\." is a dot inside a name.
func segments(path string) []string {
	list := strings.Split(strings.ReplaceAll(path, `\.`, "\x00"), ".")
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], "\x00", ".")
	}
	return list
}
