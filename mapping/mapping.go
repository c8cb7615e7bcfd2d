package mapping

import (
	"fmt"
	"unicode/utf8"

	"github.com/sallyport/sallyport/plan"
)

// Limits of one document, in and out.
const (
	MaxBytes = 16 << 20 // of input
	MaxDepth = 64       // levels of nesting
)

// Mapping is one compiled table. Make it with Compile.
type Mapping struct {
	name    string
	in, out *program
}

// Error says which row could not be applied, where, and what to do. It is the
// error of Compile (possibly several, joined), In and Out. Values of rows with
// a class (pii, secret) are never part of it.
type Error struct {
	Row     string // "mapping.customer.email": table and the provider's path; "mapping.customer" for the whole table
	Pointer string // JSON pointer to the value in the input; empty for the whole input and in errors of Compile
	Rule    string // stable slug of what was violated: json, type, money, currency, enum, uuid, datetime, missing, null, …
	Message string // what is wrong
	Hint    string // what to write instead; may be empty
}

// Error gives row, place, message and hint.
func (e *Error) Error() string {
	s := e.Row
	if e.Pointer != "" {
		s += " at " + e.Pointer
	}
	s += ": " + e.Message
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Compile checks the table called name, with all tables it refers to, and
// makes functions of it. It reports every mistake in one go: the error joins
// one *Error for each.
func Compile(tables map[string][]plan.MappingRow, name string) (*Mapping, error) {
	c := compiler{tables: tables, done: map[string]*Mapping{}, open: map[string]bool{}}
	m := c.table(name, "mapping."+name)
	if err := c.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// Name is the table's name in the plan.
func (m *Mapping) Name() string { return m.name }

// In turns the provider's document into ours. The error is an *Error.
func (m *Mapping) In(external []byte) ([]byte, error) { return m.in.apply(external) }

// Out turns our document into the provider's. The error is an *Error.
func (m *Mapping) Out(internal []byte) ([]byte, error) { return m.out.apply(internal) }

// program is one direction of one table: what to read, and what to write of it.
type program struct {
	table   string
	slots   int      // values to remember while reading
	read    *node    // the key tree that is followed through the input
	fields  []field  // one for each row of this direction
	written []member // the shape of the output
}

// apply checks what only the whole input can have wrong, and runs the program.
func (p *program) apply(input []byte) ([]byte, error) {
	switch {
	case len(input) > MaxBytes:
		return nil, p.wrong("size", fmt.Sprintf("the document has %d bytes; at most %d are read", len(input), MaxBytes), "")
	case !utf8.Valid(input):
		return nil, p.wrong("utf-8", "the document is not valid UTF-8", "")
	}
	out, err := p.run(make([]byte, 0, 64+48*len(p.fields)), input)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// run reads one object and appends the mapped one.
func (p *program) run(dst, input []byte) ([]byte, *Error) {
	var few [48]value
	slots := few[:]
	if p.slots > len(few) {
		slots = make([]value, p.slots)
	}
	s := scanner{data: input}
	end := s.document(p.read, slots)
	if end < 0 {
		return nil, p.malformed(&s, ^end)
	}
	r := run{program: p, input: input, slots: slots}
	dst, _, err := r.object(dst, p.written, true)
	return dst, err
}

func (p *program) malformed(s *scanner, at int) *Error {
	switch s.problem {
	case problemDepth:
		return p.wrong("depth", fmt.Sprintf("the document is nested more than %d levels deep", MaxDepth), "")
	case problemRepeated:
		return p.wrong("repeated", fmt.Sprintf("the name at byte %d stands twice in its object, and readers differ in which one counts", at), "")
	case problemRoot:
		return p.wrong("object", "the document is not a JSON object", "")
	}
	if at >= len(s.data) {
		return p.wrong("json", "the JSON is cut off", "")
	}
	return p.wrong("json", fmt.Sprintf("the JSON is invalid at byte %d", at), "")
}

func (p *program) wrong(rule, message, hint string) *Error {
	return &Error{Row: "mapping." + p.table, Rule: rule, Message: message, Hint: hint}
}
