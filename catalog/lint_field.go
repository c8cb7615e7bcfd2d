package catalog

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// field follows a dotted path of YAML names through structs, maps and lists. An
// element of a list is named by its index or, where elements have a name, by
// that: limits.list.history.
func field(v reflect.Value, path string) (reflect.Value, bool) {
	for name := range strings.SplitSeq(path, ".") {
		name = strings.TrimSuffix(name, "]")
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		var ok bool
		switch v.Kind() {
		case reflect.Struct:
			v, ok = member(v, name)
		case reflect.Map:
			v = v.MapIndex(reflect.ValueOf(name))
			ok = v.IsValid()
		case reflect.Slice:
			v, ok = element(v, name)
		}
		if !ok {
			return v, false
		}
	}
	return v, true
}

func member(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if tag == name && tag != "" {
			return v.Field(i), true
		}
	}
	return v, false
}

func element(v reflect.Value, name string) (reflect.Value, bool) {
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < v.Len() {
		return v.Index(i), true
	}
	for i := range v.Len() {
		e := v.Index(i)
		if e.Kind() != reflect.Struct {
			return v, false
		}
		if n, ok := member(e, "name"); ok && n.Kind() == reflect.String && n.String() == name {
			return e, true
		}
	}
	return v, false
}

// keys of a map, sorted, so that findings come in the same order every time.
func keys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
