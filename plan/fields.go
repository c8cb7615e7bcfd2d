package plan

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// field is what the tags of a struct field say about its key.
type field struct {
	index     int
	name      string
	required  bool
	enum      []string
	pattern   *regexp.Regexp
	keys      *regexp.Regexp // of the names in a map
	want      string         // what pattern means, in words
	notEmpty  bool           // minLength or minProperties
	omitEmpty bool
}

// structure is the fields of a struct in order, with their names.
type structure struct {
	fields []field
	names  []string
}

func (s *structure) field(name string) (field, bool) {
	for _, f := range s.fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

var structures sync.Map // reflect.Type → *structure

// structureOf reads the tags of t, once a type.
func structureOf(t reflect.Type) *structure {
	if s, ok := structures.Load(t); ok {
		return s.(*structure)
	}
	s := &structure{}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		f := field{index: i, name: name, want: sf.Tag.Get("want"), omitEmpty: strings.Contains(options, "omitempty")}
		if keys := sf.Tag.Get("keys"); keys != "" {
			f.keys = regexp.MustCompile(keys)
		}
		for _, rule := range strings.Split(sf.Tag.Get("jsonschema"), ",") {
			f.rule(rule)
		}
		s.fields = append(s.fields, f)
		s.names = append(s.names, name)
	}
	actual, _ := structures.LoadOrStore(t, s)
	return actual.(*structure)
}

func (f *field) rule(rule string) {
	key, value, _ := strings.Cut(rule, "=")
	switch key {
	case "required":
		f.required = true
	case "enum":
		f.enum = append(f.enum, value)
	case "pattern":
		f.pattern = regexp.MustCompile(value)
	case "minLength", "minProperties":
		n, err := strconv.Atoi(value)
		f.notEmpty = err == nil && n > 0
	}
}
