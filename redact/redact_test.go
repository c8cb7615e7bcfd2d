package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/redact"
)

func compile(t testing.TB, paths ...string) *redact.Paths {
	t.Helper()
	p, err := redact.New(paths)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const form = "application/x-www-form-urlencoded; charset=utf-8"

// R5.7: the named values go, and nothing else changes by a byte.
func TestApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, kind, body, want string
		paths                  []string
	}{
		{"member", "", ` {"a" : 1, "customer":{"email": "x@y.z" ,"id":7}} `, ` {"a" : 1, "customer":{"email": "[redacted]" ,"id":7}} `, []string{"customer.email"}},
		{"every element", "", `{"l":[{"d":"a","n":1.50},{"d":null},{"n":2}]}`, `{"l":[{"d":"[redacted]","n":1.50},{"d":"[redacted]"},{"n":2}]}`, []string{"l[*].d"}},
		{"one element", "", `{"l":["a","b"]}`, `{"l":["a","[redacted]"]}`, []string{"l[1]"}},
		{"element by key", "", `{"l":["a","b"]}`, `{"l":["[redacted]","b"]}`, []string{"l.0"}},
		{"whole object", "", `{"a":{"b":{"c":[1,"}"]}},"d":2}`, `{"a":"[redacted]","d":2}`, []string{"a"}},
		{"a path within another", "", `{"a":{"b":1}}`, `{"a":"[redacted]"}`, []string{"a.b", "a"}},
		{"key twice", "", `{"a":"first","a":"second"}`, `{"a":"[redacted]","a":"[redacted]"}`, []string{"a"}},
		{"escaped key", "", `{"\u0061":"x","a\"b":"y"}`, `{"\u0061":"[redacted]","a\"b":"y"}`, []string{"a"}},
		{"dot in a key", "", `{"a.b":"x","a":{"b":"y"}}`, `{"a.b":"[redacted]","a":{"b":"y"}}`, []string{`a\.b`}},
		{"list in an object's place", "", `[{"a":"x"},[{"a":"y"}]]`, `[{"a":"[redacted]"},[{"a":"[redacted]"}]]`, []string{"a"}},
		{"object in a list's place", "", `{"l":{"x":{"d":1},"y":{"d":2}}}`, `{"l":{"x":{"d":"[redacted]"},"y":{"d":"[redacted]"}}}`, []string{"l[*].d"}},
		{"nested lists", "", `{"l":[[1,2],[3]]}`, `{"l":[["[redacted]","[redacted]"],["[redacted]"]]}`, []string{"l[*][*]"}},
		{"absent", "", `{"a":{"b":1}}`, `{"a":{"b":1}}`, []string{"a.b.c", "x.y"}},
		{"quotes and braces in strings", "", `{"s":"\"}{\\","a":"x"}`, `{"s":"\"}{\\","a":"[redacted]"}`, []string{"a"}},
		{"no paths", "", `{"a":1}`, `{"a":1}`, nil},
		{"empty", "", ``, ``, []string{"a"}},
		{"field", form, "From=%2B49151&Body=hi+there", "From=%5Bredacted%5D&Body=hi+there", []string{"From"}},
		{"field by path", form, "user[email]=x%40y&user%5Bid%5D=1", "user[email]=%5Bredacted%5D&user%5Bid%5D=1", []string{"user.email"}},
		{"JSON in a field", form, "payload=%7B%22u%22%3A%22x%22%2C%22n%22%3A1%7D&t=1", "payload=%7B%22u%22%3A%22%5Bredacted%5D%22%2C%22n%22%3A1%7D&t=1", []string{"payload.u"}},
		{"no JSON in a field that a path leads into", form, "payload=u%3Dx&t=1", "payload=%5Bredacted%5D&t=1", []string{"payload.u"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := []byte(c.body)
			got, ok := compile(t, c.paths...).Apply(c.kind, body)
			if !ok || string(got) != c.want {
				t.Errorf("got %s, %v\nwant %s", got, ok, c.want)
			}
			if string(body) != c.body {
				t.Error("the body that was handed in changed")
			}
		})
	}
}

// R5.7: what can't be read is not kept.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	p := compile(t, "a")
	for _, body := range []string{`{"a":"x"`, "<a>x</a>", "a=x", `{"a":1}{"a":2}`, "\xef\xbb\xbf{\"a\":1}", strings.Repeat("[", 100_000)} {
		if clean, ok := p.Apply("application/xml", []byte(body)); ok || clean != nil {
			t.Errorf("%.20q: kept %q", body, clean)
		}
	}
	if clean, ok := p.Apply(form, []byte("a=%zz")); ok || clean != nil {
		t.Errorf("broken form: kept %q", clean)
	}
	var none *redact.Paths
	if clean, ok := none.Apply("", []byte("<a>")); !ok || string(clean) != "<a>" {
		t.Errorf("without paths: %q, %v", clean, ok)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "a..b", ".a", "a[", "a[x]", "a[0]b", "a[*]b"} {
		if _, err := redact.New([]string{path}); err == nil || !strings.Contains(err.Error(), "joined with dots") {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// document draws a JSON document that holds secret at the places of paths, and
// the same with the mark in their place.
func document(rt *rapid.T, depth int) (with, without string) {
	space := rapid.SampledFrom([]string{"", " ", "\n\t"})
	key := rapid.SampledFrom([]string{"a", "b", "secret", `\u0073ecret`, "data"})
	switch kind := rapid.IntRange(0, 5).Draw(rt, "kind"); {
	case depth > 4 || kind == 0:
		v := rapid.SampledFrom([]string{`"plain"`, "1.50", "null", "true", `"\"}]\\"`, "-1e9", `""`}).Draw(rt, "scalar")
		return v, v
	case kind < 4:
		var a, b []string
		for range rapid.IntRange(0, 4).Draw(rt, "members") {
			k, s := key.Draw(rt, "key"), space.Draw(rt, "space")
			x, y := document(rt, depth+1)
			if strings.HasSuffix(k, "ecret") {
				x, y = strings.Replace(x, "plain", "SECRET", 1), `"[redacted]"`
			}
			a = append(a, fmt.Sprintf(`%s"%s"%s:%s%s%s`, s, k, s, s, x, s))
			b = append(b, fmt.Sprintf(`%s"%s"%s:%s%s%s`, s, k, s, s, y, s))
		}
		return "{" + strings.Join(a, ",") + "}", "{" + strings.Join(b, ",") + "}"
	}
	var a, b []string
	for range rapid.IntRange(0, 4).Draw(rt, "elements") {
		s := space.Draw(rt, "space")
		x, y := document(rt, depth+1)
		a, b = append(a, s+x+s), append(b, s+y+s)
	}
	return "[" + strings.Join(a, ",") + "]", "[" + strings.Join(b, ",") + "]"
}

// R5.7: for any document, exactly the values at the paths change.
func TestOnlyThoseValuesChange(t *testing.T) {
	t.Parallel()
	paths := []string{"secret"}
	for _, a := range []string{"", "a.", "b.", "data."} {
		for _, b := range []string{"", "a.", "b.", "data."} {
			for _, c := range []string{"", "a.", "b.", "data."} {
				for _, d := range []string{"", "a.", "b.", "data."} {
					for _, e := range []string{"", "a.", "b.", "data."} {
						paths = append(paths, a+b+c+d+e+"secret")
					}
				}
			}
		}
	}
	p := compile(t, paths...)
	rapid.Check(t, func(rt *rapid.T) {
		with, without := document(rt, 0)
		got, ok := p.Apply("", []byte(with))
		if !ok || string(got) != without {
			rt.Fatalf("%s\nbecame %s\nwant   %s", with, got, without)
		}
	})
}

func FuzzApply(f *testing.F) {
	for _, seed := range []string{`{"a":{"b":[1,2]}}`, `[]`, `"x"`, `{"a":"\u0000"}`, `a=1&b=%7B%7D`, "", `{"a":{}}`} {
		f.Add(seed, "a.b[*]", "")
		f.Add(seed, "a", form)
	}
	f.Fuzz(func(t *testing.T, body, path, kind string) {
		p, err := redact.New([]string{path})
		if err != nil {
			return
		}
		clean, ok := p.Apply(kind, []byte(body))
		if ok && json.Valid([]byte(body)) && !json.Valid(clean) && len(bytes.TrimSpace([]byte(body))) > 0 {
			t.Fatalf("%q became %q", body, clean)
		}
		if again, ok2 := p.Apply(kind, clean); ok && (!ok2 || !bytes.Equal(again, clean)) {
			t.Fatalf("%q became %q the second time", clean, again)
		}
	})
}
