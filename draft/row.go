package draft

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

const (
	maxRows   = 14 // of one resource: what a person still reads
	worth     = 35 // of a property that gets a row
	maxValues = 16 // of an enum that is written out
)

// table is a mapping being made.
type table struct {
	w        *writer
	resource string             // in snake case: invoice
	schema   *openapi.Schema    // of the answer
	requests []*openapi.Schema  // of the operations that write it
	fields   []openapi.Property // of schema
	used     map[string]bool    // names on our side
}

// rows makes the rows of a mapping from the provider's schemas: ids, statuses,
// money, times, and what the need and the requests name.
func (w *writer) rows(resource string, schema *openapi.Schema, requests []*openapi.Schema) []plan.MappingRow {
	t := &table{w: w, resource: resource, schema: schema, requests: requests, fields: w.chooser.properties(schema), used: map[string]bool{}}
	type scored struct {
		property openapi.Property
		value    float64
	}
	var list []scored
	for _, p := range t.fields {
		if v := t.value(p); v >= worth {
			list = append(list, scored{p, v})
		}
	}
	slices.SortStableFunc(list, func(a, b scored) int { return cmp.Compare(b.value, a.value) })
	list = list[:min(len(list), maxRows)]
	var out []plan.MappingRow
	for _, p := range t.fields { // in the document's order, the id first
		if !slices.ContainsFunc(list, func(s scored) bool { return s.property.Name == p.Name }) {
			continue
		}
		if row, ok := t.row(p); ok {
			if p.Name == t.id() {
				out = append([]plan.MappingRow{row}, out...)
				continue
			}
			out = append(out, row)
		}
	}
	return append(out, t.required()...)
}

// required are the fields that a request can't do without and that the answer
// does not have.
func (t *table) required() (out []plan.MappingRow) {
	for _, r := range t.requests {
		for _, p := range t.w.chooser.properties(r) {
			if !slices.Contains(t.w.doc.Resolve(r).Required, p.Name) || t.has(p.Name) {
				continue
			}
			if slices.ContainsFunc(out, func(o plan.MappingRow) bool { return o.External == escape(p.Name) }) {
				continue
			}
			row, ok := t.row(p)
			if ok && !slices.ContainsFunc(out, func(o plan.MappingRow) bool { return o.External == row.External }) { // a list has another name
				row.Direction = "out"
				out = append(out, row)
			}
		}
	}
	return out
}

// id is the field that tells one resource from another; empty when none is known
// to.
func (t *table) id() string {
	for _, name := range []string{"id", "gid", "sid", "uuid", "guid", t.resource + "_id", camel(t.resource + "_id"), "key"} {
		if t.has(name) {
			return name
		}
	}
	return ""
}

func (t *table) has(name string) bool {
	return slices.ContainsFunc(t.fields, func(p openapi.Property) bool { return p.Name == name })
}

// inRequest reports whether some operation of the plan writes a field.
func (t *table) inRequest(name string) bool {
	return slices.ContainsFunc(t.requests, func(r *openapi.Schema) bool {
		return slices.ContainsFunc(t.w.chooser.properties(r), func(p openapi.Property) bool { return p.Name == name })
	})
}

var (
	moneyWords = stemSet("amount total subtotal balance price fee cost paid due remaining tax")
	noMoney    = stemSet("count percent percentage rate number attempts days")
	// chiefAmounts are what people ask for first; the other amounts explain them.
	chiefAmounts = set("amount total price unit_amount balance amount_due amount_paid amount_remaining total_amount amount_refunded amount_captured amount_received fee")
	personWords  = set("email phone name first_name last_name address birthday ip_address")
	usefulWords  = set("name title description number reference currency email phone url html_url subject body text to from type quantity ts channel message")
	secretWords  = regexp.MustCompile(`(secret|password|token|private_key|api_key)`)
	plainName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-]*$`)
)

func isMoney(name string) bool {
	words := allStems(name)
	return slices.ContainsFunc(words, func(w string) bool { return moneyWords[w] }) &&
		!slices.ContainsFunc(words, func(w string) bool { return noMoney[w] })
}

// currency is the field that holds the currency of the amounts beside it.
func (t *table) currency() string {
	for _, p := range t.fields {
		if s := t.w.doc.Resolve(p.Schema); s.Type == "string" && (s.Format == "currency" || p.Name == "currency") {
			return p.Name
		}
	}
	return ""
}

// value is how much a field is worth to the reader of a plan.
func (t *table) value(p openapi.Property) float64 {
	s := t.w.doc.Resolve(p.Schema)
	name := snake(p.Name)
	if !plainName.MatchString(p.Name) || secretWords.MatchString(name) || len(s.Enum) == 1 {
		return 0
	}
	v := 10.0
	switch {
	case p.Name == t.id():
		return 100
	case isStatus(p.Name) && len(s.Enum) > 0:
		v = 90
	case name == "metadata" && t.w.tenant(s):
		return 88
	case t.currency() == p.Name:
		v = 80
	case t.currency() != "" && s.Type == "integer" && isMoney(p.Name):
		v = 38
		if chiefAmounts[name] {
			v = 68
		}
	case t.link(s) != "":
		v = 30
		if to := t.link(s); t.w.resources[to] && tableName(to) != t.resource {
			v = 78
		}
	case s.Format == "unix-time" || s.Format == "date-time" || s.Format == "date":
		v = 30
		if strings.HasPrefix(name, "create") || strings.HasPrefix(name, "due") {
			v = 72
		}
	case personWords[name]:
		v = 75
	case usefulWords[name] || isStatus(p.Name):
		v = 50
	case strings.HasSuffix(name, "_email"):
		v = 45
	case s.Type == "object" || s.Type == "array" || s.Type == "" && len(s.AnyOf) > 0:
		if lines, _ := t.lines(p); lines != "" {
			return 60
		}
		return 0
	}
	if slices.Contains(t.schema.Required, p.Name) {
		v += 3
	}
	if slices.ContainsFunc(stems(name), t.w.saysField) {
		v += 20
	}
	for _, r := range t.requests {
		if slices.Contains(t.w.doc.Resolve(r).Required, p.Name) {
			v += 40
		}
	}
	return v
}

// link is the component that an expandable id leads to: a field that holds an
// id, or the whole object when the request asked for that. Empty: it is none.
func (t *table) link(s *openapi.Schema) string {
	if len(s.AnyOf) < 2 || t.w.doc.Resolve(s.AnyOf[0]).Type != "string" || len(s.AnyOf[0].Enum) > 0 {
		return ""
	}
	to := ""
	for _, a := range s.AnyOf[1:] {
		if a.Ref == "" || t.w.doc.Resolve(a).Property("id") == nil {
			return ""
		}
		to = cmp.Or(to, a.Ref)
	}
	return to
}

// lines finds a list of parts: the path of the list and the schema of a part.
func (t *table) lines(p openapi.Property) (path string, part *openapi.Schema) {
	if !slices.ContainsFunc(stems(p.Name), func(w string) bool { return partWords[w] }) {
		return "", nil
	}
	s := t.w.doc.Resolve(p.Schema)
	path = escape(p.Name)
	if s.Items == nil && s.Property("data") != nil {
		path += ".data"
		s = t.w.doc.Resolve(s.Property("data"))
	}
	if s.Items == nil {
		return "", nil
	}
	_, part = element(t.w.doc, s.Items, false)
	if len(t.w.chooser.properties(part)) < 2 {
		return "", nil
	}
	return path + "[*]", part
}

func escape(name string) string { return strings.ReplaceAll(name, ".", `\.`) }

// row makes the row of one field; ok is false for what has no simple form.
func (t *table) row(p openapi.Property) (row plan.MappingRow, ok bool) {
	s := t.w.doc.Resolve(p.Schema)
	row = plan.MappingRow{External: escape(p.Name), Internal: camel(p.Name), Direction: "in"}
	if t.inRequest(p.Name) && !s.ReadOnly && !p.Schema.ReadOnly {
		row.Direction = "" // both
	}
	if personWords[snake(p.Name)] && (p.Name != "name" || t.has("email")) || strings.HasSuffix(snake(p.Name), "_email") {
		row.Class = "pii"
	}
	switch to := t.link(s); {
	case p.Name == t.id():
		row.Type, row.As, row.Internal, row.Direction = plainType(s), plainType(s), camel(t.w.service+" "+t.resource+" id"), "in"
	case p.Name == "metadata" && t.w.tenant(s):
		row.External, row.Type, row.Internal, row.As, row.Missing = "metadata.tenant_id", "string", "tenantId", "uuid", "null"
	case to != "":
		row.Type, row.As, row.Internal = "string", "string", camel(p.Name+" id")
		if t.w.resources[to] {
			row.Internal = camel(t.w.service + " " + p.Name + " id")
		}
	default:
		if path, part := t.lines(p); path != "" {
			return t.lineRow(p, path, part)
		}
		if !t.scalar(&row, p, s) {
			return row, false
		}
	}
	if row.As == "" || row.Internal == "" {
		return row, false
	}
	for base, i := row.Internal, 2; t.used[row.Internal]; i++ {
		row.Internal = fmt.Sprintf("%s%d", base, i)
	}
	t.used[row.Internal] = true
	return row, true
}

func plainType(s *openapi.Schema) string {
	switch s.Type {
	case "integer", "boolean":
		return s.Type
	}
	return "string"
}

// scalar fills in a row for a field that holds one plain value.
func (t *table) scalar(row *plan.MappingRow, p openapi.Property, s *openapi.Schema) bool {
	switch s.Type {
	case "integer":
		row.Type, row.As = "integer", "integer"
		switch {
		case s.Format == "unix-time":
			row.Type, row.As = "unix", "datetime"
			if name := snake(p.Name); name == "created" || name == "updated" {
				row.Internal += "At"
			}
		case t.currency() != "" && isMoney(p.Name):
			row.As, row.Transform = "decimal", "money("+escape(t.currency())+")"
			if !t.inRequest(t.currency()) { // there is no currency to convert it by
				row.Direction = "in"
			}
		}
	case "number":
		row.Type, row.As = "number", "decimal"
	case "boolean":
		row.Type, row.As = "boolean", "boolean"
	case "string":
		row.Type, row.As = "string", "string"
		switch {
		case s.Format == "date-time":
			row.As = "datetime"
		case s.Format == "uuid":
			row.As = "uuid"
		case len(s.Enum) > 0:
			t.enum(row, p, s)
		}
	default:
		return false
	}
	return true
}

// enum writes out the values of an enum, where they can be told apart in our
// notation. A status that nobody knows must not pass as if it were understood;
// other words may.
func (t *table) enum(row *plan.MappingRow, p openapi.Property, s *openapi.Schema) {
	if len(s.Enum) > maxValues {
		return
	}
	values, ours := map[string]string{}, map[string]bool{}
	for _, v := range s.Enum {
		up := strings.ToUpper(snake(v))
		if up == "" || ours[up] {
			return
		}
		ours[up] = true
		values[v] = up
	}
	row.As, row.Values = "enum", values
	if !isStatus(p.Name) {
		row.Unknown = "keep"
	} else {
		row.Unknown = "fail"
	}
}

// lineRow maps the elements of a list by a mapping of their own.
func (t *table) lineRow(p openapi.Property, path string, part *openapi.Schema) (plan.MappingRow, bool) {
	name := snake(singular(p.Name))
	if name == snake(p.Name) || t.resource == name {
		name = t.resource + "_" + name
	}
	if _, there := t.w.plan.Mappings[name]; !there {
		t.w.plan.Mappings[name] = nil // keeps a part of itself from going round
		rows := t.w.rows(name, part, nil)
		rows = slices.DeleteFunc(rows, func(r plan.MappingRow) bool { return strings.HasSuffix(r.External, "[*]") })
		if len(rows) == 0 {
			delete(t.w.plan.Mappings, name)
			return plan.MappingRow{}, false
		}
		t.w.plan.Mappings[name] = rows
	}
	if len(t.w.plan.Mappings[name]) == 0 {
		return plan.MappingRow{}, false
	}
	return plan.MappingRow{External: path, Internal: camel(p.Name) + "[*]", As: name, Direction: "in"}, true
}
