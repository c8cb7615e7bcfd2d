package plan

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/sallyport/sallyport/catalog"
)

// reader fills a plan from a YAML tree. It walks types and tree side by side
// and goes on after a mistake, so that one run finds them all; goccy's own
// decoder stops at the first.
type reader struct {
	problems  []Problem
	positions map[string]Position // of keys and list elements
	values    map[string]Position // of values
}

func (r *reader) report(at Position, path string, rule Rule, message, hint string) {
	r.problems = append(r.problems, Problem{Position: at, Path: path, Rule: rule, Message: message, Hint: hint})
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// structFrom fills v, a struct, from a mapping node.
func (r *reader) structFrom(n ast.Node, v reflect.Value, path string) {
	list, ok := r.mapping(n, path)
	if !ok {
		return
	}
	s := structureOf(v.Type())
	seen := map[string]Position{}
	meant := map[string]bool{} // keys that stand there with a slip, reported once and not as missing too
	for _, e := range list {
		key, at, ok := r.key(e, path, seen)
		if !ok {
			continue
		}
		here := join(path, key)
		f, known := s.field(key)
		if !known {
			r.report(at, here, RuleUnknownKey, "unknown key", didYouMean(key, s.names))
			meant[nearest(key, s.names)] = true
			continue
		}
		r.keep(here, at, e.Value)
		r.value(e.Value, v.Field(f.index), here, f)
	}
	for _, f := range s.fields {
		if _, ok := seen[f.name]; f.required && !ok && !meant[f.name] {
			r.report(r.positionOf(path), join(path, f.name), RuleRequired, "missing", required(f))
		}
	}
}

func required(f field) string {
	switch {
	case f.want != "":
		return "write " + f.name + ": and " + f.want
	case len(f.enum) > 0:
		return "write " + f.name + ": " + strings.Join(f.enum, " or ")
	}
	return ""
}

// mapping returns the entries of n, or reports that it is none.
func (r *reader) mapping(n ast.Node, path string) ([]*ast.MappingValueNode, bool) {
	list, _, ok := entries(n)
	if !ok {
		r.report(place(n), path, RuleType, "want keys and values, this is "+kind(n), empty(n, "write its keys, {} for none, or leave the key out"))
	}
	return list, ok
}

// key reads the key of an entry and sees to it that it stands there once.
func (r *reader) key(e *ast.MappingValueNode, path string, seen map[string]Position) (key string, at Position, ok bool) {
	at = place(e.Key)
	switch e.Key.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		key = e.Key.GetToken().Value
	default:
		r.report(at, path, RuleSyntax, "a key of this kind is not part of the plan format", "write a plain key")
		return "", at, false
	}
	if first, twice := seen[key]; twice {
		r.report(at, join(path, key), RuleDuplicateKey, fmt.Sprintf("stands twice; the first is in line %d", first.Line), "remove one")
		return key, at, false
	}
	seen[key] = at
	return key, at, true
}

func (r *reader) keep(path string, at Position, value ast.Node) {
	if _, ok := r.positions[path]; !ok {
		r.positions[path] = at
		r.values[path] = place(value)
	}
}

func (r *reader) positionOf(path string) Position {
	if at, ok := r.positions[path]; ok {
		return at
	}
	return Position{1, 1}
}

// value fills v from n and checks what the tags of its key ask for.
func (r *reader) value(n ast.Node, v reflect.Value, path string, f field) {
	if _, null := n.(*ast.NullNode); null {
		r.report(place(n), path, RuleType, "has no value", noValue(v, f))
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch x := v.Addr().Interface().(type) {
	case *catalog.OneOrMore:
		r.oneOrMore(n, x, path)
		return
	case *RetryCount:
		r.retryCount(n, x, path)
		return
	case encoding.TextUnmarshaler:
		r.text(n, x, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.structFrom(n, v, path)
	case reflect.Map:
		r.mapFrom(n, v, path, f)
	case reflect.Slice:
		r.sliceFrom(n, v, path, f)
	case reflect.String:
		r.stringFrom(n, v, path, f)
	case reflect.Int:
		r.intFrom(n, v, path, f)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.report(place(n), path, RuleType, "want true or false, this is "+kind(n), "")
			return
		}
		v.SetBool(b.Value)
	}
}

// noValue is the way out of "key:" with nothing or null behind it.
func noValue(v reflect.Value, f field) string {
	if v.Kind() == reflect.String && (slices.Contains(f.enum, "null") || f.pattern != nil && f.pattern.MatchString("null")) {
		return `for the word null write "null" in quotes`
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "write its keys, {} for none, or leave the key out"
	}
	return "write one or leave the key out"
}

func (r *reader) mapFrom(n ast.Node, v reflect.Value, path string, f field) {
	list, ok := r.mapping(n, path)
	if !ok {
		return
	}
	if len(list) == 0 && f.notEmpty {
		r.report(place(n), path, RuleRequired, "is empty", "name at least one")
	}
	t := v.Type()
	v.Set(reflect.MakeMapWithSize(t, len(list)))
	seen := make(map[string]Position, len(list))
	for _, e := range list {
		key, at, ok := r.key(e, path, seen)
		if !ok {
			continue
		}
		here := join(path, key)
		r.keep(here, at, e.Value)
		if f.keys != nil && !f.keys.MatchString(key) {
			r.badKey(at, here, key, f)
		}
		elem := reflect.New(t.Elem()).Elem()
		r.value(e.Value, elem, here, field{})
		if elem.Kind() != reflect.Pointer || !elem.IsNil() {
			v.SetMapIndex(reflect.ValueOf(key), elem)
		}
	}
}

// keyWords are the names a closed set of keys allows, for the suggestion.
var keyWords = map[string][]string{
	"errors":    {"400 to 599", "5xx", "timeout", "network"},
	"confirmed": sections,
}

// sections of a profile that a person can confirm.
var sections = []string{"api", "auth", "limits", "errors", "idempotency", "pagination", "webhooks", "sandbox", "sdk", "service", "document"}

func (r *reader) badKey(at Position, path, key string, f field) {
	if words, closed := keyWords[f.name]; closed {
		r.report(at, path, RuleUnknownKey, "unknown key", didYouMean(key, words))
		return
	}
	r.report(at, path, RuleValue, quote(key)+" can't be a name here", "begin with a letter and use letters, digits, - and _: it must match "+f.keys.String())
}

func (r *reader) sliceFrom(n ast.Node, v reflect.Value, path string, f field) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.report(place(n), path, RuleType, "want a list, this is "+kind(n), `write [a, b], or one "- " line for each`)
		return
	}
	if len(seq.Values) == 0 && f.notEmpty {
		r.report(place(n), path, RuleRequired, "is empty", "name at least one")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, e := range seq.Values {
		here := fmt.Sprintf("%s[%d]", path, i)
		r.keep(here, place(e), e)
		r.value(e, v.Index(i), here, field{})
	}
}

func (r *reader) stringFrom(n ast.Node, v reflect.Value, path string, f field) {
	s, ok := r.string(n, path)
	if !ok {
		return
	}
	v.SetString(s)
	r.check(s, place(n), path, f)
}

// string reads text. 2.10 or true without quotes is refused and not turned into
// text, because what stands in the file is then not what is used.
func (r *reader) string(n ast.Node, path string) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		r.report(place(n), path, RuleType, "want text, this is "+kind(n), "put it in quotes")
	default:
		r.report(place(n), path, RuleType, "want text, this is "+kind(n), "")
	}
	return "", false
}

// check applies enum, pattern and minLength. The values of secrets have
// no such field, so quoting the value is safe.
func (r *reader) check(s string, at Position, path string, f field) {
	switch {
	case f.notEmpty && strings.TrimSpace(s) == "":
		r.report(at, path, RuleRequired, "is empty", "write a sentence or a name")
	case len(f.enum) > 0 && !slices.Contains(f.enum, s):
		hint := "write " + strings.Join(f.enum, ", ")
		if near := nearest(s, f.enum); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		r.report(at, path, RuleValue, quote(s)+" is not one of the allowed values", hint)
	case f.name == "secret" || f.name == "url" || f.name == "base_url":
		// The rules for references and addresses report these, without the
		// value: a password may stand where a reference belongs.
	case f.pattern != nil && !f.pattern.MatchString(s):
		r.report(at, path, RuleValue, quote(s)+" can't stand here", "want "+f.want)
	}
}

func (r *reader) intFrom(n ast.Node, v reflect.Value, path string, f field) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		r.report(place(n), path, RuleType, "want a whole number, this is "+kind(n), "")
		return
	}
	text := i.GetToken().Value
	number, err := strconv.Atoi(text)
	if err != nil || len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		hint := ""
		if f.name == "sallyport" {
			hint = fmt.Sprintf("this version reads plan format %d", Version)
		}
		r.report(place(n), path, RuleValue, quote(text)+" is not one of the allowed values", hint)
		return
	}
	v.SetInt(int64(number))
}

// text reads a scalar through UnmarshalText: a Duration or a Percent.
func (r *reader) text(n ast.Node, into encoding.TextUnmarshaler, path string) {
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
	default:
		r.report(place(n), path, RuleType, "want text, this is "+kind(n), "")
		return
	}
	word := n.GetToken().Value
	if len(word) > longestWord {
		word = word[:longestWord]
	}
	if err := into.UnmarshalText([]byte(word)); err != nil {
		message, hint, _ := strings.Cut(err.Error(), "; ")
		r.report(place(n), path, RuleValue, message, hint)
		return
	}
	if d, ok := into.(*Duration); ok && *d == 0 {
		r.report(place(n), path, RuleValue, "no time at all can't be asked for", "write more than zero, or leave the key out for the default")
	}
}

func (r *reader) retryCount(n ast.Node, into *RetryCount, path string) {
	switch s := n.(type) {
	case *ast.IntegerNode:
		number, err := strconv.Atoi(s.GetToken().Value)
		if err == nil && number >= 0 && number <= maxRetries {
			*into = RetryCount(number)
			return
		}
	case *ast.StringNode:
		if s.Value == "never" {
			*into = 0
			return
		}
	}
	r.report(place(n), path, RuleValue, "is no number of retries", fmt.Sprintf("write never, or 1 to %d", maxRetries))
}

// oneOrMore reads a value or a list of values: secret references.
func (r *reader) oneOrMore(n ast.Node, into *catalog.OneOrMore, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		if s, ok := r.string(n, path); ok {
			*into = catalog.OneOrMore{s}
		}
		return
	}
	for i, e := range seq.Values {
		here := fmt.Sprintf("%s[%d]", path, i)
		r.keep(here, place(e), e)
		s, _ := r.string(e, here)
		*into = append(*into, s)
	}
}

// kind names what a node is, in words.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode:
		return "empty"
	}
	return "something else"
}

func empty(n ast.Node, hint string) string {
	if _, null := n.(*ast.NullNode); null {
		return hint
	}
	return ""
}
