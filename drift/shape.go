package drift

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// shape says what a value is without saying what it holds.
func shape(v gjson.Result) string {
	switch {
	case v.IsObject():
		n := 0
		v.ForEach(func(_, _ gjson.Result) bool { n++; return n < maxNames })
		return plural(n, "object with %d field")
	case v.IsArray():
		n := 0
		v.ForEach(func(_, _ gjson.Result) bool { n++; return n < maxNames })
		return plural(n, "list of %d element")
	case v.Type == gjson.String:
		return plural(utf8.RuneCountInString(v.Str), "string of %d character")
	case v.Type == gjson.Number:
		if integral(v) {
			return "integer"
		}
		return "number"
	case v.Type == gjson.Null:
		return "null"
	}
	return "boolean"
}

func plural(n int, format string) string {
	s := fmt.Sprintf(format, n)
	if n != 1 {
		s += "s"
	}
	return s
}

func integral(v gjson.Result) bool {
	return v.Type == gjson.Number && (!strings.ContainsAny(v.Raw, ".eE") || v.Num == float64(int64(v.Num)))
}

// word is a value of an enum, and codes: short, of letters, with few digits.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/-]{0,47}$`)

// isWord reports whether a text can be shown: it looks like a word out of a
// fixed set and not like a name, an address, an id or a number.
func isWord(s string) bool {
	return word.MatchString(s) && digits(s) <= 3
}

func digits(s string) int {
	n := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n++
		}
	}
	return n
}

// step is a name as part of a pointer. A name that may be data, such as an id
// that serves as a key, is "*".
func step(name string) string {
	if !isWord(strings.TrimLeft(name, "_$@")) {
		return "*"
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
