package mapping

import (
	"fmt"
	"slices"
)

// form is how a value is written.
type form int

const (
	formAny form = iota // any JSON
	formString
	formInteger
	formNumber
	formBoolean
	formDecimal  // a string
	formDatetime // a string
	formUUID     // a string
)

// pair is the two ways of a row: what each makes, and of what form that is.
type pair struct {
	inward, outward func(*conversion, []byte, operand) ([]byte, *fault)
	in, out         form
}

var (
	plain       = notation{}
	whole       = notation{whole: true}
	quoted      = notation{quoted: true}
	quotedWhole = notation{quoted: true, whole: true}
)

// pairs says what as makes of type; see the package comment.
var pairs = map[string]map[string]pair{
	"string": {
		"string":  {stringAsItIs, stringAsItIs, formString, formString},
		"integer": {number(whole, quotedWhole, false), number(quotedWhole, whole, false), formString, formInteger},
		"unix":    {number(whole, quotedWhole, false), number(quotedWhole, whole, false), formString, formInteger},
		"number":  {number(plain, quoted, false), number(quoted, plain, false), formString, formNumber},
		"boolean": {booleanToString, stringToBoolean, formString, formBoolean},
	},
	"integer": {
		"integer": {number(whole, whole, false), number(whole, whole, false), formInteger, formInteger},
		"unix":    {number(whole, whole, false), number(whole, whole, false), formInteger, formInteger},
		"number":  {number(whole, whole, false), number(whole, whole, false), formInteger, formInteger},
		"string":  {number(quotedWhole, whole, false), number(whole, quotedWhole, false), formInteger, formString},
	},
	"decimal": {
		"integer": {number(whole, quotedWhole, false), number(quoted, whole, true), formDecimal, formInteger},
		"number":  {number(plain, quoted, false), number(quoted, plain, true), formDecimal, formNumber},
		"string":  {number(quoted, quoted, false), number(quoted, quoted, true), formDecimal, formString},
	},
	"boolean": {
		"boolean": {booleanAsItIs, booleanAsItIs, formBoolean, formBoolean},
		"string":  {stringToBoolean, booleanToString, formBoolean, formString},
		"integer": {integerToBoolean, booleanToInteger, formBoolean, formInteger},
	},
	"datetime": {
		"unix":    {unixToDatetime, datetimeToUnix, formDatetime, formInteger},
		"integer": {unixToDatetime, datetimeToUnix, formDatetime, formInteger},
		"string":  {datetimeToUTC, datetimeToUTC, formDatetime, formDatetime},
	},
	"enum": {
		"string":  {enum(`"`, `"`, "a string"), enum(`"`, `"`, "a string"), formString, formString},
		"integer": {enum(`0`, `0`, "an integer"), enum(`"0`, `0`, "a string"), formString, formInteger},
		"boolean": {enum(`tf`, `tf`, "a boolean"), enum(`"tf`, `tf`, "a string"), formString, formBoolean},
	},
	"uuid": {
		"string": {uuid, uuid, formUUID, formUUID},
	},
	"json": {
		"":        {asItIs, asItIs, formAny, formAny},
		"string":  {stringAsItIs, stringAsItIs, formString, formString},
		"integer": {number(whole, whole, false), number(whole, whole, false), formInteger, formInteger},
		"unix":    {number(whole, whole, false), number(whole, whole, false), formInteger, formInteger},
		"number":  {numberAsItIs, numberAsItIs, formNumber, formNumber},
		"boolean": {booleanAsItIs, booleanAsItIs, formBoolean, formBoolean},
		"object":  {objectAsItIs, objectAsItIs, formAny, formAny},
		"array":   {listAsItIs, listAsItIs, formAny, formAny},
	},
}

var moneyPairs = map[string]pair{
	"integer": {moneyIn(false), moneyOut(false), formDecimal, formInteger},
	"number":  {moneyIn(false), moneyOut(false), formDecimal, formInteger},
	"string":  {moneyIn(true), moneyOut(true), formDecimal, formString},
}

// defaultType is the type of a row that names none.
var defaultType = map[string]string{
	"string": "string", "integer": "integer", "decimal": "number", "boolean": "boolean",
	"datetime": "unix", "enum": "string", "uuid": "string", "json": "",
}

// program compiles one direction of the rows of a table.
func (c *compiler) program(table string, rows []*row, d direction) *program {
	p := &program{table: table, read: newNode()}
	root := &target{}
	var used []*row
	for _, r := range rows {
		if !r.goes(d) {
			continue
		}
		used = append(used, r)
		p.fields = append(p.fields, c.field(p, r, d))
		if clash := root.add(r.to(d).names, len(p.fields)-1); clash >= 0 {
			other := used[clash]
			c.wrong(r.id, "path", fmt.Sprintf("it writes %q, and %s writes %q: one of them would be lost", r.side(d), other.id, other.side(d)), "write direction: in or out on one of them, or drop it")
		}
	}
	c.currencies(p, used, d)
	c.tooWide(p)
	p.written = root.members()
	return p
}

// side is the path a row writes, as it stands in the plan.
func (r *row) side(d direction) string {
	if d == inward {
		return r.Internal
	}
	return r.External
}

// slotOf makes the program remember what is at path.
func (p *program) slotOf(at path) int {
	n := p.read.add(at.names)
	if n.slot < 0 {
		n.slot = p.slots
		p.slots++
	}
	return n.slot
}

func (c *compiler) field(p *program, r *row, d direction) field {
	from := r.from(d)
	f := field{
		row: r.id, pointer: from.pointer(), slot: p.slotOf(from), elements: from.elements,
		null: r.null, currency: currencySource{slot: -1, field: -1},
		convert: conversion{row: r.MappingRow, apply: r.pair.inward, unknown: r.unknown, ownUnits: r.own},
	}
	if d == outward {
		f.convert.apply = r.pair.outward
	}
	if d == inward || r.Direction == "out" {
		f.missing = r.missing
	}
	if r.nested != nil {
		if f.nested = r.nested.in; d == outward {
			f.nested = r.nested.out
		}
	}
	if r.As == "enum" {
		c.enumValues(r, d, &f.convert)
		if d == outward && r.Direction != "out" && f.convert.unknown.do != doKeep {
			f.convert.unknown = policy{do: doFail} // null and X stand for many values, so they have no way back
		}
	}
	return f
}

// currencies tells money rows where their currency is.
func (c *compiler) currencies(p *program, rows []*row, d direction) {
	for i, r := range rows {
		if len(r.currency.names) == 0 {
			continue
		}
		source := &p.fields[i].currency
		if d == inward {
			source.slot = p.slotOf(r.currency)
			continue
		}
		source.field = slices.IndexFunc(rows, func(other *row) bool {
			return other.external.key() == r.currency.key() && !other.external.elements && other.nested == nil
		})
		if source.field >= 0 {
			source.slot = p.fields[source.field].slot
		} else {
			source.slot = p.slotOf(r.beside)
		}
	}
}

func (c *compiler) tooWide(p *program) {
	var visit func(n *node) bool
	visit = func(n *node) bool {
		wide := len(n.children) > maxChildren
		for _, ch := range n.children {
			wide = wide || visit(ch.node)
		}
		return wide
	}
	if visit(p.read) {
		c.wrong("mapping."+p.table, "path", fmt.Sprintf("more than %d fields of one object are mapped", maxChildren), "map the object as json, or in two tables")
	}
}

// target is the shape of the output while it is put together.
type target struct {
	names    []string // in order of the rows
	children map[string]*target
	field    int // meaningful without children
	leaf     bool
}

// add places a field. It returns the field that is in its way, or -1.
func (t *target) add(names []string, field int) int {
	for _, name := range names {
		if t.leaf {
			return t.field
		}
		child, ok := t.children[name]
		if !ok {
			if t.children == nil {
				t.children = map[string]*target{}
			}
			child = &target{}
			t.children[name] = child
			t.names = append(t.names, name)
		}
		t = child
	}
	if t.leaf {
		return t.field
	}
	if len(t.names) > 0 {
		return t.first()
	}
	t.leaf, t.field = true, field
	return -1
}

// first is some field under t.
func (t *target) first() int {
	for !t.leaf {
		t = t.children[t.names[0]]
	}
	return t.field
}

func (t *target) members() []member {
	list := make([]member, 0, len(t.names))
	for _, name := range t.names {
		child := t.children[name]
		m := member{name: append(quote(name), ':'), field: child.field}
		if !child.leaf {
			m.field, m.members = -1, child.members()
		}
		list = append(list, m)
	}
	return list
}
