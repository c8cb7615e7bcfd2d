package mapping

import (
	"bytes"
	"strconv"
)

// field is one row in one direction, ready to run.
type field struct {
	row      string // its id
	pointer  string // of what it reads
	slot     int    // where what it reads is
	elements bool   // every element of the list
	nested   *program
	convert  conversion
	currency currencySource
	missing  policy
	null     policy
}

// currencySource is where a money row finds its currency: the value in a slot,
// or what another row makes of its own.
type currencySource struct {
	slot  int // -1: none
	field int // index of the row that writes it; -1: the slot holds it
}

// action is what a policy does.
type action byte

const (
	doOmit action = iota
	doNull
	doFail
	doKeep
	doValue
)

// policy is one policy of a row; value is what doValue writes.
type policy struct {
	do    action
	value []byte
}

// member is one name of an object that is written: of a field, or of a further
// object.
type member struct {
	name    []byte // with its quotes and colon
	field   int    // index; -1: an object
	members []member
}

// run is a program at work on one document.
type run struct {
	*program
	input []byte
	slots []value
}

// object writes the members. An object of which nothing was written is not
// written either, unless it must be.
func (r *run) object(dst []byte, members []member, must bool) (out []byte, wrote bool, err *Error) {
	start := len(dst)
	dst = append(dst, '{')
	for i := range members {
		m := &members[i]
		before := len(dst)
		if wrote {
			dst = append(dst, ',')
		}
		dst = append(dst, m.name...)
		var some bool
		if m.field < 0 {
			dst, some, err = r.object(dst, m.members, false)
		} else {
			dst, some, err = r.field(dst, &r.fields[m.field])
		}
		switch {
		case err != nil:
			return nil, false, err
		case some:
			wrote = true
		default:
			dst = dst[:before]
		}
	}
	if !wrote && !must {
		return dst[:start], false, nil
	}
	return append(dst, '}'), true, nil
}

// field writes one row's value; wrote is false when it leaves it out.
func (r *run) field(dst []byte, f *field) (out []byte, wrote bool, err *Error) {
	v := r.slots[f.slot]
	switch v.kind {
	case 0:
		return f.policy(dst, f.missing, "missing", "the field is missing")
	case 'n':
		return f.policy(dst, f.null, "null", "the field is null")
	}
	if f.elements {
		dst, err = r.list(dst, f, v)
	} else {
		dst, err = r.one(dst, f, v)
	}
	return dst, err == nil, err
}

func (f *field) policy(dst []byte, p policy, rule, message string) ([]byte, bool, *Error) {
	switch p.do {
	case doNull:
		return append(dst, "null"...), true, nil
	case doValue:
		return append(dst, p.value...), true, nil
	case doFail:
		return nil, false, f.wrong(&fault{rule, message, "the row says " + rule + ": fail"})
	}
	return dst, false, nil
}

func (f *field) wrong(w *fault) *Error {
	return &Error{Row: f.row, Pointer: f.pointer, Rule: w.rule, Message: w.message, Hint: w.hint}
}

// one writes one value that is there.
func (r *run) one(dst []byte, f *field, v value) ([]byte, *Error) {
	raw := v.raw(r.input)
	if f.nested != nil {
		if v.kind != '{' {
			return nil, f.wrong(wrongKind("an object", operand{kind: v.kind}))
		}
		dst, err := f.nested.run(dst, raw)
		if err != nil {
			err.Pointer = f.pointer + err.Pointer
		}
		return dst, err
	}
	o := operand{raw: raw, kind: v.kind, escaped: v.escaped}
	if f.currency.slot >= 0 {
		o.exponent = r.exponent(dst, f)
	}
	dst, w := f.convert.apply(&f.convert, dst, o)
	if w != nil {
		return nil, f.wrong(w)
	}
	return dst, nil
}

// exponent finds the currency of a money row. Scratch is only appended to.
func (r *run) exponent(scratch []byte, f *field) int {
	v := r.slots[f.currency.slot]
	if v.kind == 0 || v.kind == 'n' {
		return currencyAbsent
	}
	o := operand{raw: v.raw(r.input), kind: v.kind, escaped: v.escaped}
	if f.currency.field >= 0 {
		c := &r.fields[f.currency.field].convert
		written, w := c.apply(c, scratch, o)
		if w != nil {
			return currencyUnknown
		}
		code := written[len(scratch):]
		o = operand{raw: code, kind: code[0], escaped: bytes.IndexByte(code, '\\') >= 0}
	}
	if o.kind != '"' {
		return currencyUnknown
	}
	return exponentOf(o.text(), f.convert.ownUnits)
}

// list writes every element of the list v.
func (r *run) list(dst []byte, f *field, v value) ([]byte, *Error) {
	if v.kind != '[' {
		return nil, f.wrong(wrongKind("a list", operand{kind: v.kind}))
	}
	s := scanner{data: r.input[:v.end]}
	dst = append(dst, '[')
	start := len(dst)
	i := s.space(int(v.start) + 1)
	for n := 0; s.data[i] != ']'; n++ {
		element := value{start: int32(i), kind: s.data[i]}
		i = s.skip(i, 0) // read before, so it is valid
		element.end, element.escaped = int32(i), s.escaped
		if element.kind == '-' || element.kind-'0' <= 9 {
			element.kind = '0'
		}
		before := len(dst)
		if before > start {
			dst = append(dst, ',')
		}
		var err *Error
		switch {
		case element.kind != 'n':
			dst, err = r.one(dst, f, element)
		case f.null.do == doOmit:
			dst = dst[:before]
		case f.null.do == doFail:
			err = f.wrong(&fault{"null", "an element is null", "the row says null: fail"})
		default:
			dst = append(dst, "null"...)
		}
		if err != nil {
			err.Pointer = f.pointer + "/" + strconv.Itoa(n) + err.Pointer[min(len(f.pointer), len(err.Pointer)):]
			return nil, err
		}
		if i = s.space(i); s.data[i] == ',' {
			i = s.space(i + 1)
		}
	}
	return append(dst, ']'), nil
}
