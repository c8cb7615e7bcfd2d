package plan

import (
	"fmt"
	"slices"
	"strings"
)

// builtin are the types on our side that are no mapping.
var builtin = []string{"string", "integer", "decimal", "boolean", "datetime", "enum", "uuid", "json"}

// validPath reports whether s is names joined by dots, none empty; "[*]" may
// end it, and a backslash takes the meaning from the character behind it.
func validPath(s string) bool {
	s, _ = strings.CutSuffix(s, "[*]")
	empty := true
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
			empty = false
		case '.':
			if empty {
				return false
			}
			empty = true
		case '[', ']':
			return false
		default:
			empty = false
		}
	}
	return !empty && strings.TrimSpace(s) == s
}

// mappingTable checks one mapping and the rows in it.
func (c *checker) mappingTable(path, name string, rows []MappingRow) {
	if slices.Contains(builtin, name) {
		c.complain(path, RuleConflict, quote(name)+" is the name of a type", "give the mapping another name")
	}
	if len(rows) == 0 {
		if _, there := c.positions[path]; there && !c.reported(path) {
			c.complain(path, RuleRequired, "has no rows", "write one row a field, or leave the mapping out")
		}
	}
	written := map[string]int{} // target of a direction → row
	for i, row := range rows {
		here := fmt.Sprintf("%s[%d]", path, i)
		c.mappingRow(here, row)
		if row.Direction != "out" && row.Internal != "" {
			c.once(written, "in "+row.Internal, here+".internal", i, row.Internal+" is written by row %d already", "in")
		}
		if row.Direction != "in" && row.External != "" {
			c.once(written, "out "+row.External, here+".external", i, row.External+" is written by row %d already", "out")
		}
	}
}

func (c *checker) reported(path string) bool {
	return slices.ContainsFunc(c.problems, func(p Problem) bool { return p.Path == path })
}

// once sees to it that no two rows write the same field in one direction.
func (c *checker) once(written map[string]int, target, path string, row int, message, direction string) {
	if first, twice := written[target]; twice {
		other := map[string]string{"in": "out", "out": "in"}[direction]
		c.complain(path, RuleConflict, fmt.Sprintf(message, first+1), "remove one of them, or set direction: "+other+" on one")
		return
	}
	written[target] = row
}

func (c *checker) mappingRow(path string, row MappingRow) {
	for key, value := range map[string]string{"external": row.External, "internal": row.Internal} {
		if value != "" && !validPath(value) {
			c.complain(path+"."+key, RuleValue, quote(value)+" is no field path", `write keys joined with dots; "[*]" for every element may stand at the end`)
		}
	}
	each := strings.HasSuffix(row.External, "[*]")
	if row.External != "" && row.Internal != "" && each != strings.HasSuffix(row.Internal, "[*]") {
		c.complain(path, RuleConflict, "one side is every element of a list, the other is not", "end both external and internal with [*], or neither")
	}
	isMapping := c.rowType(path, row, each)
	c.rowEnum(path, row)
	if row.Transform != "" && row.As != "" && row.As != "decimal" {
		c.complain(path+".transform", RuleConflict, "money makes a decimal", "write as: decimal")
	}
	if row.Transform != "" && !slices.Contains([]string{"", "integer", "number", "string"}, row.Type) {
		c.complain(path+".transform", RuleConflict, "money is made of whole minor units, this is "+row.Type, "write type: integer")
	}
	if isMapping && row.Transform != "" {
		c.complain(path, RuleConflict, "a row of another mapping is not converted itself", "put the transform on the rows of "+row.As)
	}
}

// rowType checks "as" against the types and mappings there are, and whether it
// fits the provider's type.
func (c *checker) rowType(path string, row MappingRow, each bool) (isMapping bool) {
	if row.As == "" || slices.Contains(builtin, row.As) {
		if row.As == "datetime" && slices.Contains([]string{"boolean", "object", "array"}, row.Type) {
			c.complain(path+".as", RuleConflict, "a "+row.Type+" is no time", "write type: unix or string")
		}
		return false
	}
	if !c.refer(path+".as", row.As, "type or mapping", append(slices.Clone(builtin), sorted(c.plan.Mappings)...)) {
		return false
	}
	switch {
	case !each && row.Type == "array":
		c.complain(path+".as", RuleConflict, "a mapping takes one object, this is a list", `end external and internal with [*] to map every element`)
	case row.Type != "" && row.Type != "object" && row.Type != "array":
		c.complain(path+".as", RuleConflict, "a mapping takes an object, this is "+row.Type, "write type: object, or one of the types: "+strings.Join(builtin, ", "))
	}
	return true
}

func (c *checker) rowEnum(path string, row MappingRow) {
	if row.As != "enum" {
		if len(row.Values) > 0 {
			c.complain(path+".values", RuleConflict, "values belong to an enum", "write as: enum")
		}
		if row.Unknown != "" && row.As != "" {
			c.complain(path+".unknown", RuleConflict, "only an enum has unknown values", "write as: enum with values")
		}
		return
	}
	if len(row.Values) == 0 {
		c.complain(path, RuleRequired, "an enum needs values", "write values: {theirs: OURS}, one for each value")
		return
	}
	if row.Direction == "in" {
		return
	}
	ours := map[string]string{}
	for _, theirs := range sorted(row.Values) {
		v := row.Values[theirs]
		if first, twice := ours[v]; twice {
			c.complain(path+".values."+theirs, RuleConflict, fmt.Sprintf("%s stands for %s and %s, so it has no way back", quote(v), quote(first), quote(theirs)), "use different values, or set direction: in")
			continue
		}
		ours[v] = theirs
	}
}
