package mapping_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/plan"
)

// lawful are one row, and further ones it needs, with values for both sides.
type lawful struct {
	rows     []plan.MappingRow
	external func(*rapid.T) map[string]any
	internal func(*rapid.T) map[string]any
}

var (
	anyInteger = rapid.Custom(func(t *rapid.T) json.Number {
		n := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})`).Draw(t, "integer")
		if rapid.IntRange(0, 4).Draw(t, "notation") == 0 && n != "0" && n != "-0" {
			n += rapid.SampledFrom([]string{"e2", "E+3", ".0", "0e-1", ".50e1"}).Draw(t, "exponent")
		}
		return json.Number(n)
	})
	anyDecimal = rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?`)
	anySecond  = rapid.Custom(func(t *rapid.T) json.Number {
		return json.Number(fmt.Sprint(rapid.Int64Range(-62167219200, 253402300799).Draw(t, "second")))
	})
	anyUUID = rapid.StringMatching(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)
)

func single[T any](name string, g *rapid.Generator[T]) func(*rapid.T) map[string]any {
	return func(t *rapid.T) map[string]any {
		switch rapid.IntRange(0, 9).Draw(t, "presence") {
		case 0:
			return map[string]any{}
		case 1:
			return map[string]any{name: nil}
		}
		return map[string]any{name: g.Draw(t, name)}
	}
}

func whole(name string) func(*rapid.T) map[string]any {
	return single(name, rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})`))
}

var places = map[string]int{"usd": 2, "EUR": 2, "jpy": 0, "KWD": 3, "clf": 4}

func drawCurrency(t *rapid.T) string {
	return rapid.SampledFrom([]string{"usd", "EUR", "jpy", "KWD", "clf"}).Draw(t, "currency")
}

var laws = map[string]lawful{
	"string":         {one("string", "string"), single("x", rapid.String()), single("y", rapid.String())},
	"integer":        {one("integer", "integer"), single("x", anyInteger), single("y", anyInteger)},
	"integer string": {one("string", "integer"), whole("x"), single("y", anyInteger)},
	"string integer": {one("integer", "string"), single("x", anyInteger), whole("y")},
	"boolean":        {one("boolean", "boolean"), single("x", rapid.Bool()), single("y", rapid.Bool())},
	"decimal number": {
		one("number", "decimal"),
		single("x", rapid.Map(anyDecimal, func(s string) json.Number { return json.Number(s) })),
		single("y", anyDecimal),
	},
	"decimal string": {one("string", "decimal"), single("x", anyDecimal), single("y", anyDecimal)},
	"unix":           {one("unix", "datetime"), single("x", anySecond), single("y", anyTime(0))},
	"RFC 3339":       {one("string", "datetime"), single("x", anyTime(999_999_999)), single("y", anyTime(999_999_999))},
	"uuid":           {one("string", "uuid"), single("x", anyUUID), single("y", anyUUID)},
	"enum": {
		[]plan.MappingRow{{External: "x", Internal: "y", As: "enum", Values: map[string]string{"a": "b", "b": "a", "c": "C"}}},
		single("x", rapid.SampledFrom([]string{"a", "b", "c"})), single("y", rapid.SampledFrom([]string{"a", "b", "C"})),
	},
	"enum kept": {
		[]plan.MappingRow{{External: "x", Internal: "y", As: "enum", Unknown: "keep", Values: map[string]string{"a": "b", "c": "C"}}},
		single("x", rapid.SampledFrom([]string{"a", "c", "d", "é\""})), single("y", rapid.SampledFrom([]string{"b", "C", "d", "é\""})),
	},
	"json": {
		one("", "json"), single("x", rapid.SampledFrom([]any{json.Number("1"), "s", []any{nil, true}, map[string]any{"a": "b"}})),
		single("y", rapid.SampledFrom([]any{json.Number("1.5e300"), "s", []any{}, map[string]any{}})),
	},
	"list": {
		[]plan.MappingRow{row("x[*]", "integer", "y[*]", "string")},
		single("x", rapid.SliceOf(anyInteger)), single("y", rapid.SliceOf(rapid.StringMatching(`0|[1-9][0-9]{0,30}`))),
	},
	"money": {
		[]plan.MappingRow{amountRow, currencyRow},
		func(t *rapid.T) map[string]any {
			return map[string]any{"amount": anyInteger.Draw(t, "amount"), "currency": drawCurrency(t)}
		},
		func(t *rapid.T) map[string]any {
			currency := drawCurrency(t)
			amount := rapid.StringMatching(`-?(0|[1-9][0-9]{0,30})`).Draw(t, "whole")
			if n := places[currency]; n > 0 {
				amount += "." + rapid.StringMatching(fmt.Sprintf("[0-9]{1,%d}", n)).Draw(t, "fraction")
			}
			return map[string]any{"amount": amount, "currency": currency}
		},
	},
}

func anyTime(nanoseconds int64) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		at := time.Unix(rapid.Int64Range(-62135500000, 253402200000).Draw(t, "second"), rapid.Int64Range(0, nanoseconds).Draw(t, "nanosecond"))
		zone := time.FixedZone("", 60*rapid.IntRange(-12*60, 14*60).Draw(t, "offset"))
		return at.In(zone).Format(time.RFC3339Nano)
	})
}

// R3.4: out(in(x)) = x and in(out(y)) = y for every invertible kind of row. The
// kinds take turns, for rapid's generators can't be shared between goroutines.
func TestLaws(t *testing.T) {
	t.Parallel()
	t.Run("nested", lawsNested)
	for name, law := range laws {
		m := compile(t, law.rows...)
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				x, _ := json.Marshal(law.external(t))
				holds(t, x, m.In, m.Out)
				y, _ := json.Marshal(law.internal(t))
				holds(t, y, m.Out, m.In)
			})
		})
	}
}

// lawsNested holds the laws through tables in tables.
func lawsNested(t *testing.T) {
	m, err := mapping.Compile(map[string][]plan.MappingRow{
		"t":    {row("a.list[*]", "", "b[*]", "line"), row("one", "object", "c.d", "line")},
		"line": {row("x", "unix", "y", "datetime")},
	}, "t")
	if err != nil {
		t.Fatal(err)
	}
	line := rapid.Custom(func(t *rapid.T) map[string]any { return laws["unix"].external(t) })
	rapid.Check(t, func(t *rapid.T) {
		x, _ := json.Marshal(map[string]any{"a": map[string]any{"list": rapid.SliceOf(line).Draw(t, "list")}, "one": line.Draw(t, "one")})
		holds(t, x, m.In, m.Out)
	})
}

func holds(t *rapid.T, document []byte, there, back func([]byte) ([]byte, error)) {
	middle, err := there(document)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	again, err := back(middle)
	if err != nil {
		t.Fatalf("%s by way of %s: %v", document, middle, err)
	}
	if want, got := canonical(t, document), canonical(t, again); want != got {
		t.Fatalf("%s by way of %s became %s", document, middle, again)
	}
}

// canonical writes numbers by value, instants in UTC and UUIDs in lower case,
// so that equal values have equal text.
func canonical(t *rapid.T, document []byte) string {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	b, _ := json.Marshal(normal(v))
	return string(b)
}

func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = normal(x)
		}
	case []any:
		for i, x := range v {
			v[i] = normal(x)
		}
	case json.Number:
		r, ok := new(big.Rat).SetString(v.String())
		if !ok {
			return v
		}
		return "number " + r.RatString()
	case string:
		if r, ok := new(big.Rat).SetString(v); ok && !strings.ContainsAny(v, "/_xXpPoOiI+ ") {
			return "text " + r.RatString()
		}
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.UTC().Format(time.RFC3339Nano)
		}
		if len(v) == 36 && strings.Count(v, "-") == 4 {
			return strings.ToLower(v)
		}
	}
	return v
}

// Whatever comes, the answer is JSON or an *Error, and never a panic.
func fuzz(f *testing.F, way func(*mapping.Mapping) func([]byte) ([]byte, error)) {
	rows := []plan.MappingRow{
		amountRow, currencyRow, statusRow,
		row("created", "unix", "createdAt", "datetime"), row("when", "string", "when", "datetime"),
		row("metadata.tenant_id", "string", "tenantId", "uuid"), row("metadata.n", "string", "n", "decimal"),
		row("flag", "integer", "flag", "boolean"), row("raw", "", "raw", "json"), row("lines.data[*]", "", "lines[*]", "line"),
	}
	m, err := mapping.Compile(map[string][]plan.MappingRow{"t": rows, "line": {row("a", "number", "b", "integer"), row("tags[*]", "string", "tags[*]", "string")}}, "t")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`{}`, `{"amount":1990,"currency":"usd","status":"draft","created":1760000000}`, `{"amount":"19.90","currency":"usd","status":"DRAFT","createdAt":"2025-10-09T08:53:20Z"}`,
		`{"when":"2025-10-09T08:53:20.5+02:00","metadata":{"tenant_id":"123e4567-e89b-12d3-a456-426614174000","n":"1e5"},"flag":1}`,
		`{"raw":[{"a":"\ud800\u0000"}],"lines":{"data":[{"a":1.0,"tags":["x"]},null]}}`, `{"lines":[{"b":1,"tags":[]}],"n":"-0.00","flag":true}`,
		`{"amount":1e128,"currency":"KWD"}`, "{\"raw\":\"\xff\"}", `[`, `{"a`, `{"amount":-0.0e-0,"currency":null}`, chargeEvent,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		got, err := way(m)(document)
		if err != nil {
			if got != nil {
				t.Fatalf("%q: both %s and %v", document, got, err)
			}
			return
		}
		if !json.Valid(document) || !json.Valid(got) {
			t.Fatalf("%q became %q", document, got)
		}
	})
}

func FuzzIn(f *testing.F) {
	fuzz(f, func(m *mapping.Mapping) func([]byte) ([]byte, error) { return m.In })
}

func FuzzOut(f *testing.F) {
	fuzz(f, func(m *mapping.Mapping) func([]byte) ([]byte, error) { return m.Out })
}
