package diff

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(b)
}

// object is the smallest JSON document with a value at a mapping's path.
func object(path, value string) string {
	if strings.HasSuffix(path, "[*]") {
		value = "[" + value + "]"
	}
	list := steps(path)
	for i := len(list) - 1; i >= 0; i-- {
		value = "{" + quote(list[i]) + ": " + value + "}"
	}
	return value
}

// sampleText is a value of the schema as JSON.
func sampleText(d *openapi.Document, s *openapi.Schema) string {
	s = flat(d, s)
	if s == nil {
		return "null"
	}
	if len(s.Enum) > 0 {
		return quote(s.Enum[0])
	}
	switch kind := shape(d, s); {
	case kind == "integer (unix-time)":
		return "1764000000"
	case strings.HasPrefix(kind, "integer"), strings.HasPrefix(kind, "number"):
		return "1"
	case kind == "boolean":
		return "true"
	case kind == "string (date-time)":
		return `"2026-11-24T12:00:00Z"`
	case kind == "string (uuid)":
		return `"0d6f6a4e-6f0c-4d3a-9a57-0f6d1c6a7b21"`
	case strings.HasPrefix(kind, "array"):
		return "[]"
	case strings.HasPrefix(kind, "object"):
		return "{}"
	}
	return `"text"`
}

// show adds an example and what the plan's mapping says to it. value is JSON;
// empty takes a sample of the schema.
func (c *comparison) show(f *Finding, table string, row plan.MappingRow, s *openapi.Schema, value string) {
	if value == "" {
		value = sampleText(c.now, s)
	}
	f.Example = object(row.External, value)
	f.Fails = c.refuses(table, row, f.Example)
}

// refuses maps the example by the one row and returns what it says; empty when
// it takes it.
func (c *comparison) refuses(table string, row plan.MappingRow, example string) string {
	one := make(map[string][]plan.MappingRow, len(c.plan.Mappings))
	for name, rows := range c.plan.Mappings {
		one[name] = rows
	}
	alone := row
	alone.Direction = "in"
	one[table] = []plan.MappingRow{alone}
	m, err := mapping.Compile(one, table)
	if err != nil {
		return ""
	}
	_, err = m.In([]byte(example))
	var refused *mapping.Error
	if !errors.As(err, &refused) || refused.Rule == "currency" { // the currency stands in another row
		return ""
	}
	return refused.Message
}
