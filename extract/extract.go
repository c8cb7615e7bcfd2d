// Package extract reads one value out of an inbound request: the provider's
// event id, its type, a tenant, a signature. Profiles and plans name the value
// with a short path:
//
//	header:X-GitHub-Event     a header; the first one when it was sent twice
//	json:data.object.id       a member of the JSON body, by keys joined with "."
//	json:lines.data[0].id     an element of an array ("lines.data.0.id" is the same)
//	json:items[].id           that member of every element
//	form:MessageSid           a field of an application/x-www-form-urlencoded body
//	query:token               a parameter of the URL
//	config:webhook_id         a value that was configured, not sent
//	xml:feed.entry.id         the text of an element of an XML body, by local names
//	xml:a.b@type              an attribute of it
//	member:!update_id         the name of the first member of the JSON body but those
//	text:updated              that very word
//	jwt:data                  a claim of the token that the body is; who reads it has verified it
//	form:payload>json:id      the first value read by the second path, as if it were the body
//	form:p>base64>xml:a.b     the same, decoded first
//
// A dot inside a key is written as "\.". Keys have no wildcards, filters or
// modifiers: a path names a place and computes nothing.
//
// A "[]" path over one element gives that element's value; over several it gives
// the JSON array of them, so that a batch is never mistaken for its first item.
// Where an object holds a key twice, the first one counts.
//
// The package is a leaf and is on the hot path of every webhook: a body is
// checked for valid JSON once per Request, however many paths are read, and
// nothing but the value itself is allocated.
package extract

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Kind is the part of a request that a path points into.
type Kind uint8

// The kinds there are. The zero Kind belongs to the zero Path.
const (
	None   Kind = iota
	Header      // header:Name
	JSON        // json:a.b
	Form        // form:key
	Query       // query:key
	Config      // config:name
	XML         // xml:a.b@c
	Member      // member:!a,b
	Text        // text:word
	JWT         // jwt:claim
	Nested      // form:a>json:b
)

var kinds = map[string]Kind{
	"header": Header, "json": JSON, "form": Form, "query": Query, "config": Config, "xml": XML, "member": Member, "text": Text, "jwt": JWT,
}

// Path is a parsed path. The zero Path yields nothing. A Path is a value and
// may be used by many goroutines at once.
type Path struct {
	expr string // as written
	kind Kind
	name string // header name in canonical form, key, or gjson path
	each string // gjson path of the array before the first "[]"; empty without one
	rest string // gjson path inside each element; empty for the element itself
	view *view  // of Nested, XML and Member; else nil
}

// Parse reads a path. The error says what is wrong with it and what is allowed.
func Parse(expr string) (Path, error) {
	if outer, inner, ok := cutNested(expr); ok {
		return parseNested(expr, outer, inner)
	}
	word, name, ok := strings.Cut(expr, ":")
	kind := kinds[word]
	if !ok || kind == None {
		return Path{}, fmt.Errorf("path %q: want header:Name, json:a.b.c, form:key, query:key, config:name, xml:a.b, member:!a, jwt:a or text:word", expr)
	}
	if name == "" {
		return Path{}, fmt.Errorf("path %q: nothing after %q", expr, word+":")
	}
	p := Path{expr: expr, kind: kind, name: name}
	switch kind {
	case Header:
		if !validHeaderName(name) {
			return Path{}, fmt.Errorf("path %q: %q is no header name", expr, name)
		}
		p.name = http.CanonicalHeaderKey(name)
	case JSON:
		if err := p.compile(name); err != nil {
			return Path{}, fmt.Errorf("path %q: %w", expr, err)
		}
	case XML, Member, JWT:
		view, err := parseView(kind, name)
		if err != nil {
			return Path{}, fmt.Errorf("path %q: %w", expr, err)
		}
		p.view = view
	}
	return p, nil
}

// MustParse is Parse for paths written in Go; it panics when expr is wrong.
func MustParse(expr string) Path {
	p, err := Parse(expr)
	if err != nil {
		panic(err)
	}
	return p
}

// compile turns keys, [n] and [] into the syntax of gjson, every other
// character of a key escaped.
func (p *Path) compile(path string) error {
	var parts []string
	many := -1
	for _, key := range splitKeys(path) {
		var suffixes []string
		for strings.HasSuffix(key, "]") {
			open := strings.LastIndexByte(key, '[')
			if open < 0 {
				return fmt.Errorf("%q has a ] without [", key)
			}
			inside := key[open+1 : len(key)-1]
			if inside == "" {
				inside = "#"
			} else if n, err := strconv.ParseUint(inside, 10, 31); err != nil {
				return fmt.Errorf("%q: want [] for every element or [0], [1], … for one", key)
			} else {
				inside = strconv.FormatUint(n, 10)
			}
			suffixes = append([]string{inside}, suffixes...)
			key = key[:open]
		}
		switch {
		case key != "":
			parts = append(parts, gjson.Escape(key))
		case len(suffixes) == 0 || len(parts) > 0:
			return fmt.Errorf("an empty key; write a.b.c")
		}
		for _, s := range suffixes {
			if s == "#" && many < 0 {
				many = len(parts)
			}
			parts = append(parts, s)
		}
	}
	p.name = strings.Join(parts, ".")
	if many >= 0 {
		// A "#" at the end would be gjson's word for the length.
		for len(parts) > many+1 && parts[len(parts)-1] == "#" {
			parts = parts[:len(parts)-1]
		}
		p.each = strings.Join(parts[:many], ".")
		p.rest = strings.Join(parts[many+1:], ".")
		if p.each == "" {
			p.each = "@this"
		}
	}
	return nil
}

// splitKeys splits at dots that no backslash precedes.
func splitKeys(path string) []string {
	var keys []string
	var key strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '\\'):
			i++
			key.WriteByte(path[i])
		case path[i] == '.':
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteByte(path[i])
		}
	}
	return append(keys, key.String())
}

// String returns the path as it was written.
func (p Path) String() string { return p.expr }

// IsZero reports whether p is the zero Path.
func (p Path) IsZero() bool { return p.kind == None }

// Kind returns the part of the request the path points into.
func (p Path) Kind() Kind { return p.kind }

// Name returns what stands after the colon: a header name in canonical form, a
// key, or, for a JSON path, the same place in the syntax of gjson and sjson.
func (p Path) Name() string { return p.name }

// Each splits a JSON path at its first "[]": the array, and the place inside
// each element, both in gjson's syntax. ok is false for every other path.
func (p Path) Each() (array, inside string, ok bool) { return p.each, p.rest, p.each != "" }

// Value returns what the path points to. Strings are unquoted, numbers and
// booleans are as they were written, objects and arrays are their JSON. ok is
// false when there is nothing, when it is null, and when the body is not of the
// kind the path reads (no JSON, no form). An empty string is a value.
func (p Path) Value(r *Request) (value string, ok bool) {
	switch p.kind {
	case Header:
		if v := r.Header[p.name]; len(v) > 0 {
			return v[0], true
		}
	case JSON:
		return p.json(r)
	case Form:
		if v := r.Form()[p.name]; len(v) > 0 {
			return v[0], true
		}
	case Query:
		if v := r.Query()[p.name]; len(v) > 0 {
			return v[0], true
		}
	case Config:
		value, ok = r.Config[p.name]
		return value, ok
	case XML:
		return p.view.xml(r)
	case Member:
		return p.view.member(r)
	case JWT:
		return p.view.claim(r)
	case Text:
		return p.name, true
	case Nested:
		return p.view.nested(r)
	}
	return "", false
}

func (p Path) json(r *Request) (string, bool) {
	if !r.ValidJSON() {
		return "", false
	}
	if p.each == "" {
		return text(gjson.GetBytes(r.Body, p.name))
	}
	var found []gjson.Result
	for _, element := range gjson.GetBytes(r.Body, p.each).Array() {
		if p.rest != "" {
			element = element.Get(p.rest)
		}
		if element.Exists() && element.Type != gjson.Null {
			found = append(found, element)
		}
	}
	switch len(found) {
	case 0:
		return "", false
	case 1:
		return text(found[0])
	}
	list := []byte{'['}
	for i, element := range found {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, element.Raw...)
	}
	return string(append(list, ']')), true
}

func text(v gjson.Result) (string, bool) {
	switch {
	case !v.Exists() || v.Type == gjson.Null:
		return "", false
	case v.Type == gjson.String:
		return v.Str, true
	}
	return v.Raw, true
}

// First returns the value of the first path that yields one that is not empty.
func First(r *Request, paths []Path) (value string, ok bool) {
	for _, p := range paths {
		if value, ok = p.Value(r); ok && value != "" {
			return value, true
		}
	}
	return "", false
}

// validHeaderName says whether name is a token in the sense of RFC 9110.
func validHeaderName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			continue
		}
		if !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}
