// Package form turns JSON into bracketed x-www-form-urlencoded bodies and back:
// metadata[tenant_id]=1, items[0][price]=p. It is the style OpenAPI calls
// deepObject and the one Stripe's API takes.
//
// The format knows no types, so the two directions are not symmetric: Encode
// writes numbers with the exact text they have in the JSON, booleans as true
// and false, and null as an empty value; Decode gives every value back as a
// string. Who knows the schema turns them into numbers again.
//
// What two readers could understand differently is refused in both directions
// rather than guessed: a name given twice, a name that is a value in one place
// and a container in another, brackets that do not match.
package form

import (
	"errors"
	"fmt"
)

// Limits on what is read and written. They bound the work that a body from
// outside can cause; nothing real comes near them.
const (
	MaxDepth = 32     // levels of nesting; a[b][c] has three
	MaxPairs = 10_000 // name=value pairs of one body
)

// Error says what is wrong with a document or a body, and where. It repeats
// names but never values.
type Error struct {
	Field   string // the bracketed name; empty when the input as a whole is meant
	Message string // what is wrong and what to write instead
}

// Error gives place and message.
func (e *Error) Error() string {
	if e.Field == "" {
		return "form: " + e.Message
	}
	return fmt.Sprintf("form: %s: %s", shorten(e.Field), e.Message)
}

// shorten keeps names from outside from filling a log.
func shorten(name string) string {
	const most = 120
	if len(name) <= most {
		return fmt.Sprintf("%q", name)
	}
	return fmt.Sprintf("%q…", name[:most])
}

func fail(field, format string, args ...any) error {
	return &Error{Field: field, Message: fmt.Sprintf(format, args...)}
}

var errTooDeep = errors.New("nested too deeply")
