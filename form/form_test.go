package form_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/form"
)

func ExampleEncode() {
	body, err := form.Encode([]byte(`{"email":"jo@example.com","balance":9007199254740993,"metadata":{"tenant_id":"7 a"},"items":[{"price":"p_1"}],"phone":null}`))
	fmt.Println(string(body), err)
	// Output: email=jo%40example.com&balance=9007199254740993&metadata[tenant_id]=7+a&items[0][price]=p_1&phone= <nil>
}

func ExampleDecode() {
	document, err := form.Decode([]byte(`metadata[tenant_id]=1&expand[]=customer&expand[]=lines&items[0][price]=p_1`))
	fmt.Println(string(document), err)
	// Output: {"metadata":{"tenant_id":"1"},"expand":["customer","lines"],"items":[{"price":"p_1"}]} <nil>
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing":               {`{}`, ``},
		"booleans":              {`{"a":true,"b":false}`, `a=true&b=false`},
		"number text is kept":   {`{"a":1.10,"b":1e3,"c":-0}`, `a=1.10&b=1e3&c=-0`},
		"null unsets":           {`{"a":null,"b":[null]}`, `a=&b[0]=`},
		"empty containers":      {`{"a":{},"b":[],"c":1}`, `c=1`},
		"lists of lists":        {`{"a":[["x"],["y","z"]]}`, `a[0][0]=x&a[1][0]=y&a[1][1]=z`},
		"characters escaped":    {`{"a&b":"=&+%\u00e9"}`, `a%26b=%3D%26%2B%25%C3%A9`},
		"order of the document": {`{"z":1,"a":2}`, `z=1&a=2`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := form.Encode([]byte(c.in))
			if err != nil || string(got) != c.want {
				t.Fatalf("Encode(%s) = %q, %v; want %q", c.in, got, err, c.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, form.MaxDepth+1) + "1" + strings.Repeat("}", form.MaxDepth+1)
	for name, in := range map[string]string{
		"empty input":       ``,
		"a list":            `[1]`,
		"a value":           `1`,
		"cut off":           `{"a":1`,
		"two documents":     `{} {}`,
		"repeated name":     `{"a":1,"a":2}`,
		"bracket in a name": `{"a[b]":1}`,
		"empty name":        `{"":1}`,
		"too deep":          deep,
		"bad UTF-8":         "{\"a\":\"\xff\"}",
		"too many":          `{"a":[` + strings.Repeat("1,", form.MaxPairs) + `1]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := form.Encode([]byte(in))
			var e *form.Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("Encode = %.60q, %v; want an *Error", got, err)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"nothing":                  {``, `{}`},
		"empty pairs":              {`&&a=1&`, `{"a":"1"}`},
		"no value":                 {`a&b=`, `{"a":"","b":""}`},
		"escaped brackets":         {`metadata%5Btenant%5D=1`, `{"metadata":{"tenant":"1"}}`},
		"plus and percent":         {`a=x+y%20z`, `{"a":"x y z"}`},
		"list out of order":        {`a[1]=y&a[0]=x`, `{"a":["x","y"]}`},
		"a gap keeps the names":    {`a[0]=x&a[2]=y`, `{"a":{"0":"x","2":"y"}}`},
		"leading zero is no index": {`a[00]=x`, `{"a":{"00":"x"}}`},
		"equals in the value":      {`a=b=c`, `{"a":"b=c"}`},
		"top level numbers":        {`0=x`, `{"0":"x"}`},
		"html stays":               {`a=%3Cb%3E`, `{"a":"<b>"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := form.Decode([]byte(c.in))
			if err != nil || string(got) != c.want {
				t.Fatalf("Decode(%s) = %s, %v; want %s", c.in, got, err, c.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"open bracket":         `a[b=1`,
		"close only":           `a]=1`,
		"nested open":          `a[b[c]]=1`,
		"text after bracket":   `a[b]c=1`,
		"no name":              `=1`,
		"starts with bracket":  `[a]=1`,
		"name twice":           `a=1&a=2`,
		"value then container": `a=1&a[b]=2`,
		"container then value": `a[b]=2&a=1`,
		"mixed lists":          `a[]=1&a[0]=2`,
		"append in the middle": `a[][b]=1`,
		"bad percent":          `a=%zz`,
		"bad percent in name":  `%=1`,
		"bad UTF-8":            `a=%ff`,
		"too deep":             `a` + strings.Repeat("[b]", form.MaxDepth) + `=1`,
		"too many":             strings.Repeat("a[]=1&", form.MaxPairs+1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := form.Decode([]byte(in))
			var e *form.Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("Decode = %.60q, %v; want an *Error", got, err)
			}
		})
	}
}

// A value never reaches an error: it may be a card number.
func TestErrorsHideValues(t *testing.T) {
	t.Parallel()
	const secret = "4242424242424242"
	for _, in := range []string{"a=" + secret + "%zz", "a=" + secret + "&a=" + secret, "a=" + secret + "&a[b]=1"} {
		if _, err := form.Decode([]byte(in)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Decode(%s): %v", in, err)
		}
	}
}

// stringsOnly draws a JSON value that survives the trip: strings in non-empty
// containers, no name that looks like an index.
func stringsOnly(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := 0
		if depth > 0 {
			kind = rapid.IntRange(0, 2).Draw(t, "kind")
		}
		switch kind {
		case 1:
			return rapid.SliceOfN(stringsOnly(depth-1), 1, 4).Draw(t, "list")
		case 2:
			return object(depth-1).Draw(t, "object")
		}
		return rapid.String().Draw(t, "value")
	})
}

func object(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.StringMatching(`[a-z&=%+é ][a-z0-9_&=%+ ]{0,8}`), stringsOnly(depth), 1, 4)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want, _ := json.Marshal(object(4).Draw(t, "document"))
		body, err := form.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		document, err := form.Decode(body)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		var v any
		if err := json.Unmarshal(document, &v); err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(v); string(got) != string(want) {
			t.Fatalf("%s became %s by way of %s", want, got, body)
		}
	})
}

// What Decode accepts is JSON, and stays the same on a second trip.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"a=1", "a[]=1&a[]=2", "a[0][b]=1&a[1][b]=2", "a[b", "a[2]=x", "%5B%5D=1", "metadata[%00]=\x00", "a=%ff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		document, err := form.Decode(body)
		if err != nil {
			return
		}
		if !json.Valid(document) {
			t.Fatalf("%q became invalid JSON %s", body, document)
		}
		again, err := form.Encode(document)
		if err != nil {
			return // an empty name inside brackets cannot be written
		}
		second, err := form.Decode(again)
		if err != nil || string(second) != string(document) {
			t.Fatalf("%s became %s by way of %s: %v", document, second, again, err)
		}
	})
}

func FuzzEncode(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":{"b":[1,true,null,"x"]}}`, `{"a[":1}`, `{"a":1e999}`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		body, err := form.Encode(document)
		if err != nil {
			return
		}
		if !json.Valid(document) {
			t.Fatalf("%q is no JSON and became %s", document, body)
		}
		if _, err := form.Decode(body); err != nil {
			t.Fatalf("%s became %s, which does not decode: %v", document, body, err)
		}
	})
}
