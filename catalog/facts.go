package catalog

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Fact is one thing that a profile says.
type Fact struct {
	Section    string     // limits; auth[1]
	Name       string     // of the field inside the section: list.live, oauth.token_url
	Value      string     // on one line
	Confidence Confidence // of this fact: Recalled where the section's Unsure names it
}

// Facts lists what a profile says, in the order of the file. Notes are no facts.
func Facts(p *Profile) []Fact {
	var list []Fact
	root := reflect.ValueOf(p).Elem()
	for _, s := range p.Sections() {
		section, ok := field(root, strings.Replace(s.Path, "[", ".", 1))
		for ok && section.Kind() == reflect.Pointer {
			section = section.Elem()
		}
		if !ok || !section.IsValid() {
			continue
		}
		begin := len(list)
		list = flatten(list, section, s.Path, "")
		for i := begin; i < len(list); i++ {
			list[i].Confidence = s.Provenance.Confidence
			if slices.ContainsFunc(s.Provenance.Unsure, func(u string) bool { return within(list[i].Name, u) }) {
				list[i].Confidence = Recalled
			}
		}
	}
	return list
}

// within reports whether name is the field u or a part of it.
func within(name, u string) bool {
	rest, ok := strings.CutPrefix(name, u)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func flatten(list []Fact, v reflect.Value, section, prefix string) []Fact {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		value := v.Field(i)
		if f.Anonymous || name == "" || value.IsZero() {
			continue
		}
		name = prefix + name
		for value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		switch {
		case value.Kind() == reflect.Struct:
			list = flatten(list, value, section, name+".")
		case value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Struct:
			for j := range value.Len() {
				e := value.Index(j)
				element := fmt.Sprintf("%s.%d", name, j)
				if n, ok := member(e, "name"); ok && n.Kind() == reflect.String && n.String() != "" {
					element = name + "." + n.String()
				}
				list = append(list, Fact{Section: section, Name: element, Value: inline(e)})
			}
		case value.Kind() == reflect.Map:
			for _, key := range sortedKeys(value) {
				list = append(list, Fact{Section: section, Name: name + "." + key.String(), Value: inline(value.MapIndex(key))})
			}
		case value.Kind() == reflect.Slice && value.Len() == 0:
		default:
			list = append(list, Fact{Section: section, Name: name, Value: inline(value)})
		}
	}
	return list
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// inline is a value on one line: a, b for a list, key value; key value for
// what has fields.
func inline(v reflect.Value) string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	var parts []string
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			parts = append(parts, inline(v.Index(i)))
		}
		return strings.Join(parts, ", ")
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			parts = append(parts, key.String()+" "+inline(v.MapIndex(key)))
		}
		return strings.Join(parts, "; ")
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if f := v.Field(i); name != "" && name != "name" && !f.IsZero() {
				parts = append(parts, name+" "+inline(f))
			}
		}
		return strings.Join(parts, "; ")
	case reflect.String:
		if text := strings.Join(strings.Fields(v.String()), " "); text != "" {
			return text
		}
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v.Interface())
}
