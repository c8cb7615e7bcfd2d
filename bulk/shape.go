package bulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/integration"
)

// Codes of the failures that are decided here.
const (
	CodeNoAnswer  = "bulk_no_answer"      // the bulk answer holds nothing for this item
	CodeRejected  = "bulk_item_rejected"  // the provider took the request and refused this item
	CodeShape     = "bulk_answer_shape"   // the bulk answer is not of the declared shape
	CodeItem      = "bulk_invalid_item"   // the item is no JSON, or lacks the field to tell it apart by
	CodeFull      = "bulk_full"           // too many callers wait already
	CodeUncertain = "bulk_left_in_flight" // the caller left after the item was sent
	CodeClosed    = "bulk_closed"         // we are shutting down
)

// Shape says how single bodies become one and how single answers are found in the
// one that comes back. Paths are dotted; "\." is a dot inside a name. The zero
// Shape is a list in, a list out, in the same order.
type Shape struct {
	// Items is where in the request body the list goes; empty: the body is the list.
	Items string
	// Answers is where in the answer the list stands; empty: the answer is the list.
	Answers string
	// Match is a field that an item and its answer have in common; empty: they
	// stand in the same order.
	Match string
	// Error is a field of a single answer that is there, and not null, false, "" or
	// an empty list, only when its item failed; empty: a single answer is a success.
	Error string
}

// Answer is what came back for one item.
type Answer struct {
	// Body is the item's own part of the answer, as it came; nil where there was
	// none.
	Body json.RawMessage
	// Err is nil for a success, and else an *integration.Failure.
	Err error
}

// Check reports a path that can't be one.
func (s Shape) Check() error {
	var errs []error
	for _, p := range []struct{ name, path string }{{"items", s.Items}, {"answers", s.Answers}, {"match", s.Match}, {"error", s.Error}} {
		if p.path == "" {
			continue
		}
		for _, name := range names(p.path) {
			if name == "" {
				errs = append(errs, fmt.Errorf("%s: %q has an empty name; write a.b.c", p.name, p.path))
				break
			}
		}
	}
	return errors.Join(errs...)
}

// Join puts items, each valid JSON, into one request body.
func (s Shape) Join(items []json.RawMessage) (json.RawMessage, error) {
	var list bytes.Buffer
	list.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			list.WriteByte(',')
		}
		list.Write(item)
	}
	list.WriteByte(']')
	if s.Items == "" {
		return list.Bytes(), nil
	}
	body, err := sjson.SetRawBytes([]byte("{}"), place(s.Items), list.Bytes())
	if err != nil {
		return nil, fmt.Errorf("bulk: items %q: %w", s.Items, err)
	}
	return body, nil
}

// Split finds the answer to each item; the answers stand in the order of the
// items. The error says that the whole answer is not of the shape.
func (s Shape) Split(items []json.RawMessage, answer json.RawMessage) ([]Answer, error) {
	if !json.Valid(answer) {
		return nil, shapeFailure("it is no JSON")
	}
	list := gjson.ParseBytes(answer)
	if s.Answers != "" {
		list = list.Get(place(s.Answers))
	}
	if !list.IsArray() {
		if s.Answers == "" {
			return nil, shapeFailure("it is no list")
		}
		return nil, shapeFailure("there is no list at " + s.Answers)
	}
	singles := list.Array()
	if s.Match == "" && len(singles) > len(items) {
		return nil, shapeFailure(fmt.Sprintf("it holds %d answers to %d items, so none can be told whose it is", len(singles), len(items)))
	}
	out := make([]Answer, len(items))
	found := s.byKey(singles)
	for i, item := range items {
		var single gjson.Result
		if s.Match == "" {
			if i < len(singles) {
				single = singles[i]
			}
		} else if k, ok := s.Key(item); ok {
			single = found[k]
		}
		out[i] = s.understand(single)
	}
	return out, nil
}

// byKey finds answers by what Match says; of several with one key none is taken,
// since nobody can say which belongs to whom.
func (s Shape) byKey(singles []gjson.Result) map[string]gjson.Result {
	if s.Match == "" {
		return nil
	}
	found := make(map[string]gjson.Result, len(singles))
	for _, single := range singles {
		k, ok := s.Key(json.RawMessage(single.Raw))
		if !ok {
			continue
		}
		if _, twice := found[k]; twice {
			single = gjson.Result{}
		}
		found[k] = single
	}
	return found
}

// Key is what tells an item apart; ok is false when it has no such field, or when
// the shape goes by order. A number and a string of the same digits are one key:
// providers answer with ids as text that were sent as numbers.
func (s Shape) Key(item json.RawMessage) (key string, ok bool) {
	if s.Match == "" {
		return "", false
	}
	v := gjson.GetBytes(item, place(s.Match))
	switch v.Type {
	case gjson.String:
		return v.Str, v.Str != ""
	case gjson.Number:
		return v.Raw, true
	}
	return "", false
}

// understand tells a success from a failure.
func (s Shape) understand(single gjson.Result) Answer {
	if !single.Exists() {
		return Answer{Err: &integration.Failure{
			Class: integration.ClassBroken, Code: CodeNoAnswer,
			Message: "The provider's answer to a collected request says nothing about this item.",
			Hint:    "It may have been carried out: look at the provider before sending it again. If this happens often, check bulk.answers and bulk.match in the plan.",
		}}
	}
	a := Answer{Body: json.RawMessage(single.Raw)}
	if s.Error == "" {
		return a
	}
	if e := single.Get(place(s.Error)); says(e) {
		f := &integration.Failure{
			Class: integration.ClassRejected, Code: CodeRejected,
			Message: "The provider refused this item of a collected request.",
			Hint:    "The other items are not affected. Mend the item and send it again.",
		}
		f.ProviderCode, f.ProviderMessage = words(e)
		a.Err = f
	}
	return a
}

// says reports whether an error field holds an error.
func says(e gjson.Result) bool {
	switch e.Type {
	case gjson.Null, gjson.False:
		return false
	case gjson.String:
		return e.Str != ""
	case gjson.JSON:
		return len(strings.Trim(e.Raw, " \t\r\n[]{}")) > 0
	}
	return e.Exists()
}

// words are the code and the message of an error field, in the forms that are
// common: a text, a number, an object with code or type and message, or a list of
// such, of which the first one is told.
func words(e gjson.Result) (code, message string) {
	if e.IsArray() {
		e = e.Get("0")
	}
	if !e.IsObject() {
		if e.Type == gjson.Number {
			return e.Raw, ""
		}
		return "", e.String()
	}
	for _, name := range []string{"code", "type", "name", "status"} {
		if v := e.Get(name); code == "" && (v.Type == gjson.String || v.Type == gjson.Number) {
			code = v.String()
		}
	}
	for _, name := range []string{"message", "detail", "description", "title"} {
		if v := e.Get(name); message == "" && v.Type == gjson.String {
			message = v.Str
		}
	}
	return code, message
}

func shapeFailure(what string) error {
	return &integration.Failure{
		Class: integration.ClassBroken, Code: CodeShape,
		Message: "The provider's answer to a collected request can't be read.",
		Hint:    "It may have been carried out: look at the provider before sending it again. Compare bulk.answers in the plan with what the provider answers.",
		Err:     fmt.Errorf("bulk: the answer is not of the declared shape: %s", what),
	}
}

// names splits a dotted path.
func names(path string) []string {
	var out []string
	var name strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '\\'):
			i++
			name.WriteByte(path[i])
		case path[i] == '.':
			out = append(out, name.String())
			name.Reset()
		default:
			name.WriteByte(path[i])
		}
	}
	return append(out, name.String())
}

// place is a path in the syntax of gjson and sjson, in which no character of a
// name has a meaning. sjson would read a name of digits as an index; a colon
// before it makes it a name there.
func place(path string) string {
	parts := names(path)
	for i, name := range parts {
		parts[i] = gjson.Escape(name)
	}
	return strings.Join(parts, ".")
}
