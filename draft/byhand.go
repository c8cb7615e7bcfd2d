package draft

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/openapi"
)

var writtenCall = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[^ ?#]*)$`)

// handWritten is the document of a provider that has none: the operations and event
// types that a person named, without a word about their fields.
func handWritten(calls, events []string) (*openapi.Document, error) {
	d := &openapi.Document{EventTypes: events}
	for _, call := range calls {
		m := writtenCall.FindStringSubmatch(call)
		if m == nil {
			return nil, fmt.Errorf("without an API document an operation is written METHOD /path, such as POST /v1/messages; got %q", call)
		}
		op := openapi.Operation{ID: strings.ToLower(m[1]) + " " + m[2], Method: m[1], Path: m[2], Summary: spoken(m[1], m[2])}
		if !slices.ContainsFunc(d.Operations, func(o openapi.Operation) bool { return o.Call() == op.Call() }) {
			d.Operations = append(d.Operations, op)
		}
	}
	return d, nil
}

// spoken says in words what a method does at a path.
func spoken(method, path string) string {
	var words []string
	for _, s := range strings.Split(path, "/") {
		if s != "" && !isVariable(s) {
			words = append(words, strings.Join(split(s), " "))
		}
	}
	return method + " " + strings.Join(words, " ")
}
