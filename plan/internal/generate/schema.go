package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/sallyport/sallyport/plan"
)

// writeSchema reflects the types into JSON Schema 2020-12 and adds what
// reflection can't see: the names a map may have, and how a secret reference
// looks.
func writeSchema(c comments) ([]byte, error) {
	r := jsonschema.Reflector{
		RequiredFromJSONSchemaTags: true,
		ExpandedStruct:             true,
		CommentMap:                 c,
	}
	s := r.Reflect(&plan.Plan{})
	s.ID = "https://github.com/sallyport/sallyport/plan/schema.json"
	s.Title = "Sallyport plan"
	if err := addMapRules(s, reflect.TypeFor[plan.Plan]()); err != nil {
		return nil, err
	}
	for name, def := range s.Definitions {
		t, ok := structTypes()[name]
		if !ok {
			continue
		}
		if err := addMapRules(def, t); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := addSecretRule(s); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// structTypes are the structs of the format by name.
func structTypes() map[string]reflect.Type {
	types := map[string]reflect.Type{}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Map || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || types[t.Name()] != nil {
			return
		}
		types[t.Name()] = t
		for _, f := range fieldsOf(t) {
			visit(f.Type)
		}
	}
	visit(reflect.TypeFor[plan.Plan]())
	return types
}

// fieldsOf are the fields of t that stand in the file.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var list []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if keyOf(f) != "" && keyOf(f) != "-" {
			list = append(list, f)
		}
	}
	return list
}

func keyOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// rule is one rule of a jsonschema tag.
func rule(f reflect.StructField, name string) (values []string) {
	for _, r := range strings.Split(f.Tag.Get("jsonschema"), ",") {
		if key, value, _ := strings.Cut(r, "="); key == name {
			values = append(values, value)
		}
	}
	return values
}

func addMapRules(s *jsonschema.Schema, t reflect.Type) error {
	for _, f := range fieldsOf(t) {
		property, ok := s.Properties.Get(keyOf(f))
		if !ok {
			return fmt.Errorf("no property %s", keyOf(f))
		}
		if keys := f.Tag.Get("keys"); keys != "" {
			property.PropertyNames = &jsonschema.Schema{Pattern: keys}
		}
		if d := rule(f, "default"); len(d) == 1 {
			property.Default = d[0]
		}
		for _, v := range rule(f, "minProperties") {
			n, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return err
			}
			property.MinProperties = &n
		}
	}
	return nil
}

// addSecretRule puts the form of a reference, which destinations have in their
// tag, on the secrets of an environment.
func addSecretRule(s *jsonschema.Schema) error {
	f, _ := reflect.TypeFor[plan.Destination]().FieldByName("Secret")
	pattern := rule(f, "pattern")
	secrets, ok := s.Definitions["Environment"].Properties.Get("secrets")
	if !ok || len(pattern) != 1 {
		return fmt.Errorf("the secrets of an environment are not where they were")
	}
	one := &jsonschema.Schema{Type: "string", Pattern: pattern[0]}
	least := uint64(1)
	some := []*jsonschema.Schema{one, {Type: "array", Items: one, MinItems: &least}}
	secrets.AdditionalProperties = &jsonschema.Schema{OneOf: some}
	signing, ok := s.Definitions["Destination"].Properties.Get("secret")
	if !ok {
		return fmt.Errorf("the secret of a destination is not where it was")
	}
	*signing = jsonschema.Schema{Description: signing.Description, OneOf: some}
	return nil
}
