package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// compiler makes Mappings of tables and collects what is wrong with them.
type compiler struct {
	tables map[string][]plan.MappingRow
	done   map[string]*Mapping
	open   map[string]bool // tables being compiled, to see cycles
	errs   []error
}

func (c *compiler) err() error { return errors.Join(c.errs...) }

func (c *compiler) wrong(row, rule, message, hint string) {
	c.errs = append(c.errs, &Error{Row: row, Rule: rule, Message: message, Hint: hint})
}

// table compiles one table; who is the row, or table, that asks for it. It
// returns nil when there is no such table.
func (c *compiler) table(name, who string) *Mapping {
	rows, ok := c.tables[name]
	switch {
	case !ok:
		c.wrong(who, "as", fmt.Sprintf("there is no mapping table %q", name), c.suggest())
		return nil
	case c.open[name]:
		c.wrong(who, "cycle", fmt.Sprintf("table %q contains itself", name), "map the inner one as json")
		return nil
	case c.done[name] != nil:
		return c.done[name]
	}
	c.open[name] = true
	defer delete(c.open, name)

	m := &Mapping{name: name}
	parsed := make([]*row, 0, len(rows))
	ids := rowIDs(name, rows)
	for i := range rows {
		if r := c.row(ids[i], &rows[i]); r != nil {
			parsed = append(parsed, r)
		}
	}
	m.in = c.program(name, parsed, inward)
	m.out = c.program(name, parsed, outward)
	c.done[name] = m
	return m
}

// rowIDs are the ids that plan.Rows gives the rows of a table: by the provider's
// path, and by the direction too where two rows share one.
func rowIDs(table string, rows []plan.MappingRow) []string {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = "mapping." + table + "." + r.External
		if slices.ContainsFunc(rows[:i], sameField(r)) || slices.ContainsFunc(rows[i+1:], sameField(r)) {
			ids[i] += "." + cmp.Or(r.Direction, "both")
		}
	}
	return ids
}

func sameField(r plan.MappingRow) func(plan.MappingRow) bool {
	return func(other plan.MappingRow) bool { return other.External == r.External }
}

func (c *compiler) suggest() string {
	names := slices.Sorted(maps.Keys(c.tables))
	if len(names) == 0 {
		return "the plan has no mappings"
	}
	return "the plan has " + strings.Join(names, ", ")
}

// direction is which way a document goes.
type direction int

const (
	inward direction = iota
	outward
)

// row is a row whose words are understood.
type row struct {
	*plan.MappingRow
	id       string
	external path
	internal path
	nested   *Mapping // as: names a table
	pair     pair     // as: does not
	currency path     // of the provider's side; no names: not money
	beside   path     // the field of the same name on our side
	own      map[[3]byte]int
	missing  policy
	null     policy
	unknown  policy
}

func (r *row) goes(d direction) bool {
	return r.Direction == "" || r.Direction == "both" || (r.Direction == "in") == (d == inward)
}

func (r *row) from(d direction) path {
	if d == inward {
		return r.external
	}
	return r.internal
}

func (r *row) to(d direction) path {
	if d == inward {
		return r.internal
	}
	return r.external
}

// row understands one row, or says what is wrong and returns nil.
func (c *compiler) row(id string, mr *plan.MappingRow) *row {
	r := &row{MappingRow: mr, id: id}
	before := len(c.errs)
	var err error
	if r.external, err = parsePath(mr.External); err != nil {
		c.wrong(r.id, "path", "external: "+err.Error(), "")
	}
	if r.internal, err = parsePath(mr.Internal); err != nil {
		c.wrong(r.id, "path", "internal: "+err.Error(), "")
	}
	if r.external.elements != r.internal.elements {
		c.wrong(r.id, "path", "[*] stands on one side only", "every element becomes an element: write it on both sides")
	}
	if !slices.Contains([]string{"", "both", "in", "out"}, mr.Direction) {
		c.wrong(r.id, "direction", fmt.Sprintf("%q is no direction", mr.Direction), "both, in or out")
	}
	c.meaning(r)
	if len(c.errs) > before {
		return nil
	}
	c.policies(r)
	if len(c.errs) > before {
		return nil
	}
	return r
}

// meaning finds what the row does with a value.
func (c *compiler) meaning(r *row) {
	if _, builtin := pairs[r.As]; !builtin {
		c.nested(r)
		return
	}
	if _, hides := c.tables[r.As]; hides {
		c.wrong(r.id, "as", fmt.Sprintf("a table is called %q like the built-in kind of value", r.As), "rename the table")
	}
	typ := r.Type
	money := r.Transform != ""
	switch {
	case typ == "" && money:
		typ = "integer"
	case typ == "":
		typ = defaultType[r.As]
	}
	p, ok := pairs[r.As][typ]
	if !ok {
		c.wrong(r.id, "type", fmt.Sprintf("%s can't become %s", typ, r.As), r.As+" takes "+strings.Join(slices.Sorted(maps.Keys(pairs[r.As])), ", "))
	}
	if money {
		c.money(r)
		if p, ok = moneyPairs[typ]; r.As != "decimal" || !ok {
			c.wrong(r.id, "transform", "money() makes a decimal of integer, number or string", "write type: integer, as: decimal")
		}
	}
	if (r.As == "enum") != (len(r.Values) > 0) {
		c.wrong(r.id, "values", "as: enum and values belong together", "values: {theirs: OURS}")
	}
	if r.Unknown != "" && r.As != "enum" {
		c.wrong(r.id, "unknown", "unknown is about the values of an enum", "")
	}
	r.pair = p
}

func (c *compiler) nested(r *row) {
	if _, ok := c.tables[r.As]; !ok {
		c.wrong(r.id, "as", fmt.Sprintf("%q is neither a kind of value nor a table", r.As), strings.Join(slices.Sorted(maps.Keys(pairs)), ", ")+"; "+c.suggest())
		return
	}
	if r.Transform != "" || len(r.Values) > 0 || r.Unknown != "" {
		c.wrong(r.id, "as", "rows of another table take no transform, values or unknown", "")
	}
	if r.Type != "" && r.Type != "object" && (r.Type != "array" || !r.external.elements) {
		c.wrong(r.id, "type", fmt.Sprintf("%s can't become the rows of table %q", r.Type, r.As), "a table takes an object, or with [*] the objects of a list")
	}
	r.nested = c.table(r.As, r.id)
}

var moneyPattern = regexp.MustCompile(`^money\(\s*([^\s,()]+)\s*((?:,\s*[A-Z]{3}=[0-4]\s*)*)\)$`)

func (c *compiler) money(r *row) {
	m := moneyPattern.FindStringSubmatch(r.Transform)
	if m == nil {
		c.wrong(r.id, "transform", fmt.Sprintf("%q is no transform", r.Transform), "money(currency), with the name of the currency's field")
		return
	}
	var err error
	if r.currency, err = r.external.sibling(m[1]); err == nil {
		r.beside, err = r.internal.sibling(m[1])
	}
	if err != nil {
		c.wrong(r.id, "transform", err.Error(), "money(currency), with the name of the currency's field")
	}
	r.own = map[[3]byte]int{}
	for own := range strings.SplitSeq(m[2], ",") {
		if code, digit, ok := strings.Cut(strings.TrimSpace(own), "="); ok {
			r.own[[3]byte([]byte(code))] = int(digit[0] - '0')
		}
	}
}

// policies reads missing, null and unknown.
func (c *compiler) policies(r *row) {
	r.null = policy{do: doNull}
	switch r.Null {
	case "", "null":
	case "omit":
		r.null.do = doOmit
	case "fail":
		r.null.do = doFail
	default:
		c.wrong(r.id, "null", fmt.Sprintf("%q is no policy", r.Null), "null, omit or fail")
	}
	written := r.pair.in
	if r.Direction == "out" {
		written = r.pair.out
	}
	switch x, fixed := strings.CutPrefix(r.Missing, "value:"); {
	case fixed && (r.nested != nil || r.external.elements):
		c.wrong(r.id, "missing", "an object or a list has no fixed value", "omit, null or fail")
	case fixed:
		r.missing = c.fixed(r, "missing", x, written)
	case r.Missing == "null":
		r.missing.do = doNull
	case r.Missing == "fail":
		r.missing.do = doFail
	case r.Missing != "" && r.Missing != "omit":
		c.wrong(r.id, "missing", fmt.Sprintf("%q is no policy", r.Missing), "omit, null, fail or value:X")
	}
	r.unknown.do = doFail
	switch x, fixed := strings.CutPrefix(r.Unknown, "value:"); {
	case fixed:
		r.unknown = c.fixed(r, "unknown", x, written)
	case r.Unknown == "keep":
		r.unknown.do = doKeep
	case r.Unknown == "null":
		r.unknown.do = doNull
	case r.Unknown != "" && r.Unknown != "fail":
		c.wrong(r.id, "unknown", fmt.Sprintf("%q is no policy", r.Unknown), "fail, keep, null or value:X")
	}
}

// fixed writes X of value:X the way the row writes values, and checks that it
// is one.
func (c *compiler) fixed(r *row, rule, x string, written form) policy {
	p := policy{do: doValue}
	switch written {
	case formString, formDatetime, formUUID:
		p.value = quote(x)
	default:
		p.value = []byte(x)
	}
	check := map[form]func(*conversion, []byte, operand) ([]byte, *fault){
		formInteger:  number(notation{whole: true}, notation{}, false),
		formNumber:   number(notation{}, notation{}, false),
		formDecimal:  number(notation{}, notation{quoted: true}, false),
		formBoolean:  booleanAsItIs,
		formDatetime: datetimeToUTC,
		formUUID:     uuid,
		formAny:      asItIs,
		formString:   asItIs,
	}[written]
	s := scanner{data: p.value}
	if end := s.skip(0, 0); end != len(p.value) {
		c.wrong(r.id, rule, fmt.Sprintf("%q is not a value this row can write", x), "")
		return p
	}
	o := operand{raw: p.value, kind: kindOf(p.value[0]), escaped: s.escaped}
	value, f := check(&conversion{row: r.MappingRow}, nil, o)
	if f != nil {
		c.wrong(r.id, rule, f.message, f.hint)
	}
	p.value = value
	return p
}

// enumValues turns the row's values into what is looked up and what is written.
func (c *compiler) enumValues(r *row, d direction, v *conversion) {
	v.values, v.taken = map[string][]byte{}, map[string]bool{}
	from := map[string]string{}
	for _, theirs := range slices.Sorted(maps.Keys(r.Values)) {
		ours := r.Values[theirs]
		external := quote(theirs)
		if r.pair.out != formString {
			external = []byte(theirs)
			if wrong := wrongEnumName(theirs, r.pair.out); wrong != "" {
				c.wrong(r.id, "values", wrong, "correct the type or the value")
				continue
			}
		}
		if d == inward {
			v.values[theirs], v.taken[ours] = quote(ours), true
			continue
		}
		if other, twice := from[ours]; twice {
			c.wrong(r.id, "values", fmt.Sprintf("%s and %s both become %s, so there is no way back", other, theirs, ours), "write direction: in, or give each a value of its own")
		}
		from[ours] = theirs
		v.values[ours], v.taken[theirs] = external, true
	}
}

func wrongEnumName(name string, f form) string {
	switch f {
	case formBoolean:
		if name != "true" && name != "false" {
			return fmt.Sprintf("%q is no boolean", name)
		}
	case formInteger:
		if _, err := strconv.ParseInt(name, 10, 64); err != nil || (len(name) > 1 && (name[0] == '0' || name[0] == '+')) {
			return fmt.Sprintf("%q is no integer", name)
		}
	}
	return ""
}

func kindOf(first byte) byte {
	if first == '-' || first-'0' <= 9 {
		return '0'
	}
	return first
}
