package extract_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/extract"
)

// R5.13: a request of several events becomes one request an event.
func TestSplit(t *testing.T) {
	t.Parallel()
	meta := []string{"json:entry[].changes[].value.messages[]", "json:entry[].changes[].value.statuses[]", "json:entry[].changes[]", "json:entry[].messaging[]"}
	for name, c := range map[string]struct {
		batch []string
		body  string
		ok    bool
		want  []string
	}{
		"an array":               {[]string{"json:[]"}, ` [ {"a": 1} , {"a":2} ]`, true, []string{`{"a": 1}`, `{"a":2}`}},
		"one object":             {[]string{"json:[]"}, `{"a":1}`, false, nil},
		"lines":                  {[]string{"json:[]"}, "{\"a\":1}\n\n{\"a\":2}\n", true, []string{`{"a":1}`, `{"a":2}`}},
		"neither":                {[]string{"json:[]"}, "{\"a\":1}\nx", false, nil},
		"empty":                  {[]string{"json:events[]"}, `{"events":[]}`, true, nil},
		"absent":                 {[]string{"json:events[]"}, `{"ping":1}`, false, nil},
		"shared":                 {[]string{"json:value[]"}, `{"x":[9],"value":[{"i":1},{"i":2}],"y":0}`, true, []string{`{"x":[9],"value":[{"i":1}],"y":0}`, `{"x":[9],"value":[{"i":2}],"y":0}`}},
		"a key with a dot":       {[]string{`json:a\.b.list[]`}, `{"a.b":{"list":[1,2]}}`, true, []string{`{"a.b":{"list":[1]}}`, `{"a.b":{"list":[2]}}`}},
		"odd items":              {[]string{"json:[]"}, `[null,3,"x",[]]`, true, []string{"null", "3", `"x"`, "[]"}},
		"two levels":             {meta, `{"object":"page","entry":[{"id":"1","messaging":[{"m":1},{"m":2}]},{"id":"2","changes":[{"field":"feed","value":{"v":1}}]}]}`, true, []string{`{"object":"page","entry":[{"id":"1","messaging":[{"m":1}]}]}`, `{"object":"page","entry":[{"id":"1","messaging":[{"m":2}]}]}`, `{"object":"page","entry":[{"id":"2","changes":[{"field":"feed","value":{"v":1}}]}]}`}},
		"three levels, siblings": {meta, `{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"a"},{"id":"b"}],"statuses":[{"id":"c"}]}}]}]}`, true, []string{`{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"a"}],"statuses":[]}}]}]}`, `{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"b"}],"statuses":[]}}]}]}`, `{"entry":[{"changes":[{"field":"messages","value":{"messages":[],"statuses":[{"id":"c"}]}}]}]}`}},
		"an entry with nothing":  {meta, `{"entry":[{"id":"1"},{"id":"2","changes":[]}]}`, true, []string{`{"entry":[{"id":"1"}]}`, `{"entry":[{"id":"2","changes":[]}]}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := extract.ParseSplit(c.batch)
			if err != nil {
				t.Fatal(err)
			}
			items, ok, err := s.Items(&extract.Request{Body: []byte(c.body)})
			if err != nil || ok != c.ok {
				t.Fatalf("ok %v, %v", ok, err)
			}
			var got []string
			for _, i := range items {
				got = append(got, string(i.Body))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// R5.13: events may stand in a field of a form.
func TestSplitsForms(t *testing.T) {
	t.Parallel()
	s, err := extract.ParseSplit([]string{"form:events"})
	if err != nil {
		t.Fatal(err)
	}
	r := &extract.Request{
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte(url.Values{"events": {`[{"a":1},{"a":2}]`}}.Encode()),
	}
	items, ok, err := s.Items(r)
	if err != nil || !ok || len(items) != 2 || string(items[1].Body) != `{"a":2}` || items[1].Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %v %v", items, ok, err)
	}
	if r.Header.Get("Content-Type") == "application/json" {
		t.Error("the request itself was changed")
	}
}

// R5.13: what grows without end is refused and not divided.
func TestSplitIsBounded(t *testing.T) {
	t.Parallel()
	s, err := extract.ParseSplit([]string{"json:events[]"})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"many":  `{"events":[` + strings.Repeat("1,", 30_000) + `1]}`,
		"large": `{"pad":"` + strings.Repeat("x", 1<<20) + `","events":[` + strings.Repeat("1,", 100) + `1]}`,
	} {
		if _, _, err := s.Items(&extract.Request{Body: []byte(body)}); !errors.Is(err, extract.ErrTooMany) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseSplitRefuses(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"json:events", "header:X", "nothing", "query:a[]", "json:a[][]"} {
		if _, err := extract.ParseSplit([]string{wrong}); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}

// R5.13: whatever the bytes are, items of JSON are JSON and no element is lost.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{`[1,2]`, `{"entry":[{"changes":[{"value":{"messages":[1]}}],"changes":[2]}]}`, "1\n2", `{"entry":{"changes":[1]}}`, `[[]]`} {
		f.Add(seed)
	}
	array, err := extract.ParseSplit([]string{"json:[]"})
	if err != nil {
		f.Fatal(err)
	}
	nested, err := extract.ParseSplit([]string{"json:entry[].changes[].value.messages[]", "json:entry[].changes[]"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, s := range []extract.Split{array, nested} {
			r := &extract.Request{Body: []byte(body)}
			items, ok, err := s.Items(r)
			if err != nil {
				return
			}
			if !ok && len(items) > 0 {
				t.Error("items of nothing")
			}
			for _, i := range items {
				if !gjson.ValidBytes(i.Body) {
					t.Errorf("an item is no JSON: %s", i.Body)
				}
			}
		}
		if root := gjson.Parse(body); gjson.Valid(body) && root.IsArray() {
			items, _, err := array.Items(&extract.Request{Body: []byte(body)})
			if err == nil && len(items) != len(root.Array()) {
				t.Errorf("%d items of %d", len(items), len(root.Array()))
			}
		}
	})
}
