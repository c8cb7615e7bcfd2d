package extract_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/extract"
)

const body = `{"id":"evt_1","big":12345678901234567890,"price":1.50,"live":false,"none":null,"empty":"","esc":"a\u00e9\"b",
"data":{"object":{"id":"in_1","metadata":{"tenant.id":"t1","@this":"at","a|b":"pipe","#":"hash","*":"star"}}},
"one":[{"id":"x"}],"two":[{"id":"x"},{"id":"y","n":[1,2]},{"id":null}],"dup":"first","dup":"second","deep":[[1,2],[3]]}`

// R5.4, R5.8: the event's id, type and keys are read from where the provider puts them.
func TestValue(t *testing.T) {
	t.Parallel()
	r := &extract.Request{
		Method: http.MethodPost, URL: "https://example.com/hook?token=a%20b&token=c&x",
		Header: http.Header{"X-Github-Event": {"push", "ping"}, "X-Empty": {""}}, Body: []byte(body),
		Config: map[string]string{"webhook_id": "w1"},
	}
	for _, c := range []struct {
		path, want string
		ok         bool
	}{
		{"header:X-GitHub-Event", "push", true},
		{"header:x-github-event", "push", true},
		{"header:X-Empty", "", true},
		{"header:Absent", "", false},
		{"json:id", "evt_1", true},
		{"json:big", "12345678901234567890", true}, // no rounding through a float
		{"json:price", "1.50", true},
		{"json:live", "false", true},
		{"json:none", "", false},
		{"json:absent.deeper", "", false},
		{"json:id.deeper", "", false},
		{"json:empty", "", true},
		{"json:esc", `aé"b`, true},
		{"json:data.object.id", "in_1", true},
		{`json:data.object.metadata.tenant\.id`, "t1", true},
		{"json:data.object.metadata.@this", "at", true}, // no gjson modifier
		{"json:data.object.metadata.a|b", "pipe", true},
		{"json:data.object.metadata.#", "hash", true},
		{"json:data.object.metadata.*", "star", true},
		{"json:data.object.meta*", "", false}, // no wildcard
		{"json:@this", "", false},
		{"json:one", `[{"id":"x"}]`, true},
		{"json:one[0].id", "x", true},
		{"json:one.0.id", "x", true},
		{"json:one[1].id", "", false},
		{"json:one[].id", "x", true},
		{"json:two[].id", `["x","y"]`, true},
		{"json:two[].n[]", `[1,2]`, true},
		{"json:two[]", `[{"id":"x"},{"id":"y","n":[1,2]},{"id":null}]`, true},
		{"json:deep[1][0]", "3", true},
		{"json:id[]", "evt_1", true},
		{"json:absent[]", "", false},
		{"json:dup", "first", true},
		{"query:token", "a b", true},
		{"query:x", "", true},
		{"query:absent", "", false},
		{"form:token", "", false}, // the body is no form
		{"config:webhook_id", "w1", true},
		{"config:absent", "", false},
	} {
		got, ok := parse(t, c.path).Value(r)
		if got != c.want || ok != c.ok {
			t.Errorf("%s: got %q %v, want %q %v", c.path, got, ok, c.want, c.ok)
		}
	}
}

func TestValueOfTopLevelArray(t *testing.T) {
	t.Parallel()
	r := &extract.Request{Body: []byte(`[{"id":"a"},{"id":"b"}]`)}
	for path, want := range map[string]string{"json:[].id": `["a","b"]`, "json:[1].id": "b", "json:0.id": "a"} {
		if got, ok := parse(t, path).Value(r); !ok || got != want {
			t.Errorf("%s: got %q %v, want %q", path, got, ok, want)
		}
	}
}

func TestValueOfForm(t *testing.T) {
	t.Parallel()
	r := &extract.Request{
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=UTF-8"}},
		Body:   []byte("a=1%202&b=%26&a=3"),
	}
	for path, want := range map[string]string{"form:a": "1 2", "form:b": "&"} {
		if got, ok := parse(t, path).Value(r); !ok || got != want {
			t.Errorf("%s: got %q %v, want %q", path, got, ok, want)
		}
	}
	if got, ok := parse(t, "json:a").Value(r); ok {
		t.Errorf("a form answered a JSON path with %q", got)
	}
	r.SetBody([]byte("a=9"))
	if got, _ := parse(t, "form:a").Value(r); got != "9" {
		t.Errorf("after SetBody: got %q", got)
	}
	r.SetBody([]byte("a=9&b=%zz"))
	if got, ok := parse(t, "form:a").Value(r); ok {
		t.Errorf("a broken form yielded %q", got)
	}
	r.SetURL("https://example.com/?q=1")
	if got, _ := parse(t, "query:q").Value(r); got != "1" {
		t.Errorf("after SetURL: got %q", got)
	}
}

// R5.1: gjson would answer from a truncated body; we must not.
func TestNothingFromBrokenJSON(t *testing.T) {
	t.Parallel()
	for _, b := range []string{body[:40], body + "x", "", "id", `{"id":"a"}{"id":"b"}`, `{"id":}`} {
		r := &extract.Request{Body: []byte(b)}
		for _, path := range []string{"json:id", "json:one[].id"} {
			if got, ok := parse(t, path).Value(r); ok {
				t.Errorf("%s of %q: got %q", path, b, got)
			}
		}
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	r := &extract.Request{Body: []byte(body)}
	paths := []extract.Path{parse(t, "header:X"), parse(t, "json:empty"), parse(t, "json:id"), parse(t, "json:dup")}
	if got, ok := extract.First(r, paths); !ok || got != "evt_1" {
		t.Errorf("got %q %v", got, ok)
	}
	if got, ok := extract.First(r, paths[:2]); ok {
		t.Errorf("got %q from nothing", got)
	}
	if got, ok := (extract.Path{}).Value(r); ok {
		t.Errorf("the zero path yields %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"":              "want header:Name",
		"id":            "want header:Name",
		"yaml:a":        "want header:Name",
		"json:":         "nothing after",
		"header:":       "nothing after",
		"header:a b":    "no header name",
		"header:a\r\nb": "no header name",
		"json:a..b":     "empty key",
		"json:.a":       "empty key",
		"json:a.":       "empty key",
		"json:a.[0]":    "empty key",
		"json:a[x]":     "want []",
		"json:a[-1]":    "want []",
		"json:a]":       "without [",
	} {
		if _, err := extract.Parse(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", expr, err, want)
		}
	}
}

func TestPathTellsItsParts(t *testing.T) {
	t.Parallel()
	p := parse(t, "json:a.b[].c.d")
	array, inside, ok := p.Each()
	if !ok || array != "a.b" || inside != "c.d" || p.Name() != "a.b.#.c.d" || p.Kind() != extract.JSON || p.String() != "json:a.b[].c.d" {
		t.Errorf("got %q %q %v %q", array, inside, ok, p.Name())
	}
	if p := parse(t, "header:x-a"); p.Name() != "X-A" || p.IsZero() {
		t.Errorf("got %q", p.Name())
	}
	if _, _, ok := parse(t, "json:a").Each(); ok {
		t.Error("json:a is over no array")
	}
}

// R5.2: nothing a stranger sends may panic, and a path never invents a value.
func FuzzValue(f *testing.F) {
	f.Add("json:data.object.id", []byte(body), "https://example.com/?a=b", "application/json")
	f.Add("json:two[].id", []byte(body), "", "")
	f.Add("form:a", []byte("a=1&b=2"), "::", "application/x-www-form-urlencoded")
	f.Add("query:a", []byte("{"), "https://example.com/?a=%zz;b", ";;")
	f.Add("json:[][0]", []byte("[[1],[2]]"), "?", "text/plain; x")
	f.Fuzz(func(t *testing.T, expr string, b []byte, u, contentType string) {
		p, err := extract.Parse(expr)
		if err != nil {
			return
		}
		r := &extract.Request{URL: u, Header: http.Header{"Content-Type": {contentType}}, Body: b}
		value, ok := p.Value(r)
		again, okAgain := p.Value(r)
		if value != again || ok != okAgain {
			t.Fatalf("%s: %q %v, then %q %v", expr, value, ok, again, okAgain)
		}
		if !ok && value != "" {
			t.Fatalf("%s: a value without ok", expr)
		}
		if ok && p.Kind() == extract.JSON && !r.ValidJSON() {
			t.Fatalf("%s: a value out of broken JSON", expr)
		}
	})
}

func ExampleParse() {
	path, err := extract.Parse("json:data.object.metadata.tenant_id")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := &extract.Request{Body: []byte(`{"data":{"object":{"metadata":{"tenant_id":"acme"}}}}`)}
	fmt.Println(path.Value(r))
	// Output: acme true
}

func BenchmarkValue(b *testing.B) {
	big := []byte(`{"pad":"` + strings.Repeat("x", 2500) + `","id":"evt_1","data":{"object":{"id":"in_1"}}}`)
	id, object := extract.MustParse("json:id"), extract.MustParse("json:data.object.id")
	b.ReportAllocs()
	for b.Loop() {
		r := extract.Request{Body: big}
		if v, _ := id.Value(&r); v != "evt_1" {
			b.Fatal(v)
		}
		if v, _ := object.Value(&r); v != "in_1" {
			b.Fatal(v)
		}
	}
}

func parse(t *testing.T, expr string) extract.Path {
	t.Helper()
	p, err := extract.Parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
