package drift

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// row is a mapping row ready to be compared with an answer.
type row struct {
	id      string // mapping.customer.email
	names   []string
	every   bool // each element of the list
	kind    string
	values  map[string]string
	hidden  bool // pii or secret
	must    bool // missing: fail
	notNull bool // null: fail
	table   []row
}

// maxTables bounds tables within tables; a plan may name itself.
const maxTables = 16

// compileRows takes the rows of a mapping that are about answers.
func compileRows(tables map[string][]plan.MappingRow, name string, depth int) []row {
	if depth > maxTables {
		return nil
	}
	var rows []row
	for _, r := range tables[name] {
		if r.Direction == "out" {
			continue
		}
		names, every := splitPath(r.External)
		one := row{
			id: "mapping." + name + "." + r.External, names: names, every: every, kind: r.Type,
			hidden: r.Class != "", must: r.Missing == "fail", notNull: r.Null == "fail",
		}
		if r.As == "enum" {
			one.values = r.Values
		}
		if _, table := tables[r.As]; table {
			one.table = compileRows(tables, r.As, depth+1)
		}
		rows = append(rows, one)
	}
	return rows
}

// splitPath reads "lines.data[*]"; a backslash takes the meaning from a dot.
func splitPath(path string) (names []string, every bool) {
	path, every = strings.CutSuffix(path, "[*]")
	var name strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path):
			i++
			name.WriteByte(path[i])
		case path[i] == '.':
			names = append(names, name.String())
			name.Reset()
		default:
			name.WriteByte(path[i])
		}
	}
	return append(names, name.String()), every
}

// private are the pointers whose values are never shown.
func private(rows []row, prefix string, into map[string]bool) map[string]bool {
	for _, r := range rows {
		pointer := r.pointer(prefix)
		if r.hidden {
			into[pointer] = true
		}
		private(r.table, pointer, into)
	}
	return into
}

func (r *row) pointer(prefix string) string {
	for _, name := range r.names {
		prefix += "/" + step(name)
	}
	if r.every {
		prefix += "/*"
	}
	return prefix
}

// member is the value of a name; gjson's own paths would give signs in it a
// meaning.
func member(v gjson.Result, name string) gjson.Result {
	var found gjson.Result
	if v.IsObject() {
		v.ForEach(func(key, value gjson.Result) bool {
			if key.String() == name {
				found = value
				return false
			}
			return true
		})
	}
	return found
}

// rows compares an answer with the rows of its mapping. A field that is not
// there is drift only where the row fails without it; others are optional.
func (w *walk) rows(prefix string, v gjson.Result, rows []row) {
	for i := range rows {
		r := &rows[i]
		if w.budget--; w.budget < 0 {
			return
		}
		at := v
		for _, name := range r.names {
			at = member(at, name)
		}
		pointer := r.pointer(prefix)
		switch {
		case !at.Exists():
			if r.must {
				w.row(r, pointer, integration.DriftMissingField, "required by the mapping", "not there")
			}
		case !r.every:
			w.rowValue(r, pointer, at)
		case at.IsArray():
			n := 0
			at.ForEach(func(_, element gjson.Result) bool {
				w.rowValue(r, pointer, element)
				n++
				return n < maxElements
			})
		case at.Type != gjson.Null:
			w.row(r, strings.TrimSuffix(pointer, "/*"), integration.DriftChangedType, "array", shape(at))
		}
	}
}

func (w *walk) rowValue(r *row, pointer string, v gjson.Result) {
	kind := r.kind
	if kind == "unix" {
		kind = "integer"
	}
	switch {
	case v.Type == gjson.Null:
		if r.notNull {
			w.row(r, pointer, integration.DriftNull, "a value", "null")
		}
	case !fits(v, kind):
		w.row(r, pointer, integration.DriftChangedType, kind, shape(v))
	case r.table != nil:
		w.rows(pointer, v, r.table)
	case r.values != nil:
		if _, known := r.values[v.String()]; !known {
			w.row(r, pointer, integration.DriftNewValue, "one of "+plural(len(r.values), "%d value"), w.show(pointer, v))
		}
	}
}

// row adds what a row found. The document may have found it as well; then the
// row is added to that.
func (w *walk) row(r *row, pointer string, kind integration.DriftKind, expected, example string) {
	i := slices.IndexFunc(w.found, func(f Finding) bool { return f.Pointer == pointer && f.Kind == kind })
	if i < 0 {
		w.add(pointer, kind, expected, example)
		i = len(w.found) - 1
	}
	w.found[i].Row = r.id
}
