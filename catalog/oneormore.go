package catalog

import (
	"fmt"

	"github.com/invopop/jsonschema"
)

// OneOrMore is a list that may be written as a single value when it has one.
type OneOrMore []string

// UnmarshalYAML accepts a string or a list of strings.
func (o *OneOrMore) UnmarshalYAML(unmarshal func(any) error) error {
	var one string
	if err := unmarshal(&one); err == nil {
		*o = OneOrMore{one}
		return nil
	}
	var many []string
	if err := unmarshal(&many); err != nil {
		return fmt.Errorf("want a value or a list of values: %w", err)
	}
	*o = many
	return nil
}

// MarshalYAML writes a single value without brackets.
func (o OneOrMore) MarshalYAML() (any, error) {
	if len(o) == 1 {
		return o[0], nil
	}
	return []string(o), nil
}

// JSONSchema describes both forms.
func (OneOrMore) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string"},
		{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
	}}
}
