package catalog

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// Marshal writes a profile as YAML, in the order of the type, without the
// sections of which nothing is known. Parse reads it back.
func Marshal(p *Profile) ([]byte, error) {
	empty := map[string]bool{}
	for _, s := range p.Sections() {
		if s.Empty() && s.Provenance.Confidence == "" {
			empty[s.Path] = true
		}
	}
	var parts yaml.MapSlice
	v := reflect.ValueOf(p).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		field := v.Field(i)
		if empty[name] || field.Kind() != reflect.Struct && field.IsZero() || field.Kind() == reflect.Slice && field.Len() == 0 {
			continue
		}
		parts = append(parts, yaml.MapItem{Key: name, Value: field.Interface()})
	}
	text, err := yaml.MarshalWithOptions(parts, yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("write profile %s: %w", p.ID, err)
	}
	return text, nil
}
