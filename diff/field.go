package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// maxDepth bounds tables within tables.
const maxDepth = 8

// table is a mapping table beside what the documents say of its object.
type table struct {
	name     string
	where    string
	was, now *openapi.Schema
}

// rowID is the id of a mapping row in Plan.Rows.
func rowID(p *plan.Plan, name string, row plan.MappingRow) string {
	id := "mapping." + name + "." + row.External
	twice := 0
	for _, other := range p.Mappings[name] {
		if other.External == row.External {
			twice++
		}
	}
	if twice > 1 {
		direction := row.Direction
		if direction == "" {
			direction = "both"
		}
		id += "." + direction
	}
	return id
}

// answer compares the rows that read.
func (c *comparison) answer(t table, depth int) {
	for _, row := range c.plan.Mappings[t.name] {
		if row.Direction != "out" && depth < maxDepth {
			c.field(t, row, depth, true)
		}
	}
}

// sent compares the rows that write.
func (c *comparison) sent(t table, depth int) {
	for _, row := range c.plan.Mappings[t.name] {
		if row.Direction != "in" && depth < maxDepth {
			c.field(t, row, depth, false)
		}
	}
}

// field compares one row.
func (c *comparison) field(t table, row plan.MappingRow, depth int, reads bool) {
	id := rowID(c.plan, t.name, row)
	was, alwaysWas := at(c.was, t.was, row.External)
	now, always := at(c.now, t.now, row.External)
	f := Finding{Row: id, Where: t.where + " " + row.External}
	switch {
	case was == nil && now == nil:
		if !reads {
			return // a field that is only read
		}
		c.silent(id)
		return
	case was == nil:
		c.holds(id)
		return
	case now == nil:
		c.holds(id)
		c.gone(f, t, row, was, reads)
		return
	}
	c.holds(id)
	if a, b := shape(c.was, was), shape(c.now, now); a != b {
		f.Level, f.Message, f.Was, f.Now = Breaks, "the field has another type", a, b
		f.Fix = "set type and transform of the row to what comes now"
		c.show(&f, t.name, row, now, "")
		if reads && f.Fails == "" {
			f.Level = Changes // the row takes the new one as well
		}
		c.find(f)
		return
	}
	if reads {
		c.presence(f, row, alwaysWas, always, was.Nullable, now.Nullable)
	}
	c.values(f, t, row, was, now, reads)
	if row.Transform != "" {
		c.currency(f, t, row)
	}
	if _, isTable := c.plan.Mappings[row.As]; isTable {
		inner := table{name: row.As, where: t.where + " " + row.External, was: inside(c.was, was), now: inside(c.now, now)}
		if reads {
			c.answer(inner, depth+1)
		} else {
			c.sent(inner, depth+1)
		}
	}
}

// gone tells of a field that is there no more.
func (c *comparison) gone(f Finding, t table, row plan.MappingRow, was *openapi.Schema, reads bool) {
	f.Message, f.Was = "the field is gone", shape(c.was, was)
	f.Level, f.Fix = Breaks, "find what takes its place, or drop the row"
	if reads && row.Missing != "" && row.Missing != "omit" && row.Missing != "fail" {
		f.Level, f.Fix = Changes, fmt.Sprintf("the row gives %s from now on; find what takes its place", row.Missing)
	}
	if t.now != nil {
		var known []string
		for _, p := range t.now.Properties {
			if t.was.Property(p.Name) == nil && shape(c.now, p.Schema) == f.Was {
				known = append(known, p.Name)
			}
		}
		if near := nearest(row.External, known); near != "" {
			f.Now, f.Fix = near, "look whether "+near+" takes its place"
		}
	}
	if reads && row.Missing == "fail" {
		f.Example = "{}"
		f.Fails = c.refuses(t.name, row, "{}")
	}
	c.find(f)
}

// presence tells of a field that may be missing or null now.
func (c *comparison) presence(f Finding, row plan.MappingRow, alwaysWas, always, nullWas, null bool) {
	if alwaysWas && !always {
		f := f
		f.Level, f.Message, f.Fix = Changes, "the field may be missing now", "decide with missing: what stands in its place"
		if row.Missing == "fail" {
			f.Level, f.Example = Breaks, "{}"
			f.Fix = "decide with missing: what stands in its place; today the row fails"
		}
		c.find(f)
	}
	if null && !nullWas {
		f.Level, f.Message, f.Fix = Changes, "the field may be null now", "decide with null: what stands in its place"
		f.Example = object(row.External, "null")
		if row.Null == "fail" {
			f.Level = Breaks
		}
		c.find(f)
	}
}

// values compares the values of an enum.
func (c *comparison) values(f Finding, t table, row plan.MappingRow, was, now *openapi.Schema, reads bool) {
	before, after := enum(c.was, was), enum(c.now, now)
	if row.As != "enum" || len(after) == 0 {
		return
	}
	if !reads {
		for _, external := range names(row.Values) {
			if slices.Contains(before, external) && !slices.Contains(after, external) {
				f.Level, f.Message, f.Was = Breaks, "the provider takes a value no longer", external
				f.Example, f.Fix = object(row.External, quote(external)), "map "+row.Values[external]+" to one of "+strings.Join(after, ", ")
				c.find(f)
			}
		}
		return
	}
	for _, value := range after {
		_, mapped := row.Values[value]
		if slices.Contains(before, value) || mapped {
			continue
		}
		f.Level, f.Message, f.Now, f.Fix = Changes, "there is a new value", value, "add "+value+" to values; until then the row gives "+row.Unknown
		if row.Unknown == "" || row.Unknown == "fail" {
			f.Level, f.Fix = Breaks, "add "+value+" to values, or decide with unknown: what stands in its place"
		}
		c.show(&f, t.name, row, now, quote(value))
		c.find(f)
	}
}

// currency sees to it that the field beside an amount is still there.
func (c *comparison) currency(f Finding, t table, row plan.MappingRow) {
	_, name, ok := strings.Cut(row.Transform, "(")
	if !ok {
		return
	}
	name = strings.TrimSpace(name[:strings.IndexAny(name+")", ",)")])
	parent := ""
	if cut := strings.LastIndexByte(row.External, '.'); cut >= 0 {
		parent = row.External[:cut+1]
	}
	was, _ := at(c.was, t.was, parent+name)
	now, _ := at(c.now, t.now, parent+name)
	if was != nil && now == nil {
		f.Level, f.Message, f.Was = Breaks, "the currency beside the amount is gone", parent+name
		f.Fix = "name the field that holds the currency now in transform"
		c.find(f)
	}
}
