package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

var errNotUTF8 = errors.New("text is not UTF-8")

// Text that needs no quotes: the first in a block, the second between brackets
// as well. Both are narrower than YAML allows, on purpose.
var (
	plainBlock = regexp.MustCompile(`^[A-Za-z0-9_./$][A-Za-z0-9_./$+;()<>=~^|&@%!?'*\[\]{}, -]*(:[A-Za-z0-9_./$+;()<>=~^|&@%!?'*\[\]{}, -]+)*$`)
	plainFlow  = regexp.MustCompile(`^[A-Za-z0-9_./$][A-Za-z0-9_./$+;()=~@%' -]*$|^(env|file|vault|ssm|json|header|form|query|value):[A-Za-z0-9_./$-][A-Za-z0-9_./$ -]*$`)
	number     = regexp.MustCompile(`^[-+.]?[0-9][0-9_.eExXoObBa-fA-F+:-]*$`)
)

// scalar writes text so that YAML reads the same text back: plain where that
// is beyond doubt, else in double quotes.
func (w *writer) scalar(s string, inside bool) string {
	if !utf8.ValidString(s) {
		w.fail(errNotUTF8)
		return `""`
	}
	plain := plainBlock
	if inside {
		plain = plainFlow
	}
	if plain.MatchString(s) && !strings.HasSuffix(s, " ") && !strings.Contains(s, ": ") && !strings.HasPrefix(s, "..") && !isWord(s) {
		return s
	}
	return quoted(s)
}

// isWord reports text that YAML would take for something else.
func isWord(s string) bool {
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan":
		return true
	}
	if date.MatchString(s) || durationPattern.MatchString(s) {
		return false
	}
	return token.ToNumber(s) != nil || number.MatchString(s) && !strings.ContainsAny(s, "ghijklmnopqrstuvwyzGHIJKLMNOPQRSTUVWYZ%")
}

var date = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// quoted writes text in double quotes with the escapes of YAML.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02X`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
