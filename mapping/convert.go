package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/plan"
)

// operand is one value on its way through a conversion.
type operand struct {
	raw      []byte // as it stands in the JSON
	kind     byte   // as in value
	escaped  bool
	exponent int // of the currency, for money
}

// text is what a string says.
func (o operand) text() []byte {
	if o.escaped {
		return unescape(o.raw)
	}
	return o.raw[1 : len(o.raw)-1]
}

// fault is an Error before it knows its row and place.
type fault struct{ rule, message, hint string }

// conversion is one row's way of turning a value over, in one direction.
type conversion struct {
	apply    func(c *conversion, dst []byte, o operand) ([]byte, *fault)
	row      *plan.MappingRow
	values   map[string][]byte // enum: text of the value → what is written
	taken    map[string]bool   // enum: what is written for listed values, as text
	unknown  policy            // enum
	ownUnits map[[3]byte]int   // money: exponents the provider has of its own
}

// show describes a value in an error: itself, unless it is about a person or a
// secret.
func (c *conversion) show(o operand) string {
	const most = 60
	switch {
	case c.row.Class != "":
		return fmt.Sprintf("%s of %d bytes", kindName(o.kind), len(o.raw))
	case len(o.raw) > most:
		return string(bytes.ToValidUTF8(o.raw[:most], nil)) + "…"
	}
	return string(o.raw)
}

func kindName(kind byte) string {
	switch kind {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case '{':
		return "an object"
	case '[':
		return "a list"
	}
	return "nothing"
}

func wrongKind(want string, o operand) *fault {
	return &fault{"type", fmt.Sprintf("want %s, found %s", want, kindName(o.kind)), "correct the row's type, or the sender"}
}

// asItIs passes any value through.
func asItIs(_ *conversion, dst []byte, o operand) ([]byte, *fault) {
	return append(dst, o.raw...), nil
}

// onlyKind passes values of one kind through.
func onlyKind(want, kinds string) func(*conversion, []byte, operand) ([]byte, *fault) {
	return func(_ *conversion, dst []byte, o operand) ([]byte, *fault) {
		if strings.IndexByte(kinds, o.kind) < 0 {
			return nil, wrongKind(want, o)
		}
		return append(dst, o.raw...), nil
	}
}

var (
	stringAsItIs  = onlyKind("a string", `"`)
	numberAsItIs  = onlyKind("a number", `0`)
	booleanAsItIs = onlyKind("a boolean", `tf`)
	objectAsItIs  = onlyKind("an object", `{`)
	listAsItIs    = onlyKind("a list", `[`)
)

// notation is how a number is written.
type notation struct {
	quoted bool // as a string
	whole  bool // without a fraction, or not at all
}

// number reads a number in one notation and writes it in another. Lenient also
// reads a number where a string should hold it, and the other way round.
func number(from, to notation, lenient bool) func(*conversion, []byte, operand) ([]byte, *fault) {
	return func(c *conversion, dst []byte, o operand) ([]byte, *fault) {
		var d decimal
		if f := c.parse(&d, o, from.quoted, lenient); f != nil {
			return nil, f
		}
		if (from.whole || to.whole) && !d.rescale(0) {
			return nil, &fault{"integer", "want a whole number, found " + c.show(o), "use type: number with as: decimal where fractions occur"}
		}
		return write(&d, dst, to.quoted), nil
	}
}

func (c *conversion) parse(d *decimal, o operand, quoted, lenient bool) *fault {
	var text []byte
	switch {
	case o.kind == '"' && (quoted || lenient):
		text = o.text()
	case o.kind == '0' && (!quoted || lenient):
		text = o.raw
	case quoted:
		return wrongKind("a string that holds a number", o)
	default:
		return wrongKind("a number", o)
	}
	if wrong := d.parse(text); wrong != "" {
		return &fault{"number", c.show(o) + " is " + wrong, `numbers are written like 19.90, without spaces, grouping or a plus sign`}
	}
	return nil
}

func write(d *decimal, dst []byte, quoted bool) []byte {
	if !quoted {
		return d.appendTo(dst)
	}
	return append(d.appendTo(append(dst, '"')), '"')
}

// moneyIn turns minor units into a decimal string.
func moneyIn(quoted bool) func(*conversion, []byte, operand) ([]byte, *fault) {
	return func(c *conversion, dst []byte, o operand) ([]byte, *fault) {
		var d decimal
		if f := c.parse(&d, o, quoted, false); f != nil {
			return nil, f
		}
		if !d.rescale(0) {
			return nil, &fault{"money", "minor units must be a whole number, found " + c.show(o), "map the field without money() if it is a decimal"}
		}
		if o.exponent < 0 {
			if f := c.noCurrency(o, &d); f != nil {
				return nil, f
			}
			return append(dst, `"0"`...), nil
		}
		d.scale = o.exponent
		return write(&d, dst, true), nil
	}
}

// moneyOut turns a decimal into minor units.
func moneyOut(quoted bool) func(*conversion, []byte, operand) ([]byte, *fault) {
	return func(c *conversion, dst []byte, o operand) ([]byte, *fault) {
		var d decimal
		if f := c.parse(&d, o, true, true); f != nil {
			return nil, f
		}
		exponent := o.exponent
		if exponent < 0 {
			if f := c.noCurrency(o, &d); f != nil {
				return nil, f
			}
			exponent = 0
		}
		if !d.rescale(exponent) {
			return nil, &fault{"money", fmt.Sprintf("%s does not fit a currency with %d decimal places", c.show(o), exponent), "round it before it gets here; a mapping never rounds"}
		}
		d.scale = 0
		return write(&d, dst, quoted), nil
	}
}

// noCurrency is nil where an amount can do without.
func (c *conversion) noCurrency(o operand, d *decimal) *fault {
	switch {
	case o.exponent == currencyUnknown:
		return &fault{"currency", "ISO 4217 knows no such currency", "if it is right, give its exponent in the row: money(field,XYZ=2)"}
	case d.isZero():
		return nil
	}
	return &fault{"currency", "the amount's currency is missing", "map the currency's field too, or send it"}
}

func booleanToString(_ *conversion, dst []byte, o operand) ([]byte, *fault) {
	if o.kind != 't' && o.kind != 'f' {
		return nil, wrongKind("a boolean", o)
	}
	return append(append(append(dst, '"'), o.raw...), '"'), nil
}

func stringToBoolean(c *conversion, dst []byte, o operand) ([]byte, *fault) {
	if o.kind != '"' {
		return nil, wrongKind(`"true" or "false"`, o)
	}
	if text := string(o.text()); text == "true" || text == "false" {
		return append(dst, text...), nil
	}
	return nil, &fault{"boolean", `want "true" or "false", found ` + c.show(o), ""}
}

func integerToBoolean(c *conversion, dst []byte, o operand) ([]byte, *fault) {
	if o.kind == '0' {
		switch string(o.raw) {
		case "0":
			return append(dst, "false"...), nil
		case "1":
			return append(dst, "true"...), nil
		}
	}
	return nil, &fault{"boolean", "want 0 or 1, found " + c.show(o), ""}
}

func booleanToInteger(_ *conversion, dst []byte, o operand) ([]byte, *fault) {
	switch o.kind {
	case 't':
		return append(dst, '1'), nil
	case 'f':
		return append(dst, '0'), nil
	}
	return nil, wrongKind("a boolean", o)
}

// The seconds of years 0 to 9999, which is what RFC 3339 can say.
const (
	firstSecond = -62167219200
	lastSecond  = 253402300799
)

func unixToDatetime(c *conversion, dst []byte, o operand) ([]byte, *fault) {
	if o.kind != '0' {
		return nil, wrongKind("a number of seconds", o)
	}
	var d decimal
	wrong := d.parse(o.raw)
	if wrong != "" || !d.rescale(0) {
		return nil, &fault{"datetime", "want whole seconds since 1970, found " + c.show(o), "map a time with fractions as decimal"}
	}
	seconds, ok := d.int64()
	if !ok || seconds < firstSecond || seconds > lastSecond {
		return nil, &fault{"datetime", c.show(o) + " seconds lie outside of years 0 to 9999", "are they milliseconds?"}
	}
	dst = time.Unix(seconds, 0).UTC().AppendFormat(append(dst, '"'), time.RFC3339)
	return append(dst, '"'), nil
}

func datetimeToUnix(c *conversion, dst []byte, o operand) ([]byte, *fault) {
	t, f := c.datetime(o)
	if f != nil {
		return nil, f
	}
	if t.Nanosecond() != 0 {
		return nil, &fault{"datetime", c.show(o) + " has a fraction of a second, and the provider takes whole seconds", "cut it off before it gets here; a mapping never rounds"}
	}
	var buf [24]byte
	return append(dst, fmt.Append(buf[:0], t.Unix())...), nil
}

func datetimeToUTC(c *conversion, dst []byte, o operand) ([]byte, *fault) {
	t, f := c.datetime(o)
	if f != nil {
		return nil, f
	}
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), nil
}

// datetime reads RFC 3339 strictly: what time.Parse also takes (commas, one
// digit for the hour) is refused.
func (c *conversion) datetime(o operand) (time.Time, *fault) {
	if o.kind != '"' {
		return time.Time{}, wrongKind("a time as a string", o)
	}
	text := o.text()
	t, err := time.Parse(time.RFC3339Nano, string(text))
	t = t.UTC()
	if err != nil || text[13] != ':' || bytes.IndexByte(text, ',') >= 0 || t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, &fault{"datetime", c.show(o) + " is no RFC 3339 time", "write 2006-01-02T15:04:05Z"}
	}
	return t, nil
}

// uuid checks the form of RFC 9562 and writes it in lower case.
func uuid(c *conversion, dst []byte, o operand) ([]byte, *fault) {
	if o.kind != '"' {
		return nil, wrongKind("a UUID as a string", o)
	}
	text := o.text()
	ok := len(text) == 36
	for i := 0; ok && i < len(text); i++ {
		switch i {
		case 8, 13, 18, 23:
			ok = text[i] == '-'
		default:
			ok = isHex(text[i])
		}
	}
	if !ok {
		return nil, &fault{"uuid", c.show(o) + " is no UUID", "write it like 123e4567-e89b-12d3-a456-426614174000"}
	}
	return append(append(append(dst, '"'), bytes.ToLower(text)...), '"'), nil
}

// enum looks a value of certain kinds up in the row's list. Of those it does
// not find, some kinds may be kept as they are.
func enum(kinds, keep, want string) func(*conversion, []byte, operand) ([]byte, *fault) {
	return func(c *conversion, dst []byte, o operand) ([]byte, *fault) {
		if strings.IndexByte(kinds, o.kind) < 0 {
			return nil, wrongKind(want, o)
		}
		text := o.raw
		if o.kind == '"' {
			text = o.text()
		}
		if written, ok := c.values[string(text)]; ok {
			return append(dst, written...), nil
		}
		switch {
		case c.unknown.do == doKeep && strings.IndexByte(keep, o.kind) >= 0:
			if c.taken[string(text)] {
				return nil, &fault{"enum", c.show(o) + " is not listed, and kept as it is it would be taken for another value on the way back", "list it under values"}
			}
			return append(dst, o.raw...), nil
		case c.unknown.do == doNull:
			return append(dst, "null"...), nil
		case c.unknown.do == doValue:
			return append(dst, c.unknown.value...), nil
		}
		return nil, &fault{"enum", c.show(o) + " is not among the row's values", "list it under values, or say what to do with unknown: keep, null or value:X"}
	}
}

// quote writes s as a JSON string.
func quote(s string) []byte {
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	_ = w.Encode(s) // a string into a buffer cannot fail
	return bytes.TrimSpace(b.Bytes())
}
