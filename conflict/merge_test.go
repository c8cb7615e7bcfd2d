package conflict_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/integration"
)

// R4.5: the request meets a newer state.
func TestMerge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base, mine, theirs string
		rules              conflict.Rules
		want               string // "" where it fails
		kept, left, unseen []string
		failed             []string
		nothing            bool
	}{
		"ours wins": {
			mine: `{"name":"A","city":"B"}`, theirs: `{"name":"X","city":"B","more":1}`, rules: conflict.Rules{Keep: conflict.Ours},
			want: `{"name":"A","city":"B"}`, kept: []string{"name"},
		},
		"theirs is left out": {
			mine: `{"name":"A","city":"B"}`, theirs: `{"name":"X","city":"B"}`, rules: conflict.Rules{Keep: conflict.Theirs},
			want: `{"city":"B"}`, left: []string{"name"},
		},
		"theirs where all is replaced": {
			mine: `{"name":"A","city":"B"}`, theirs: `{"name":"X","city":"B","more":1}`, rules: conflict.Rules{Keep: conflict.Theirs, Replaces: true},
			want: `{"name":"X","city":"B"}`, left: []string{"name"},
		},
		"nothing is left": {
			mine: `{"name":"A"}`, theirs: `{"name":"X"}`, rules: conflict.Rules{Keep: conflict.Theirs},
			want: `{}`, left: []string{"name"}, nothing: true,
		},
		"fail names the field": {
			mine: `{"a":{"b":[{"c":1},{"c":2}]},"d":3}`, theirs: `{"a":{"b":[{"c":9},{"c":2}]},"d":3}`, rules: conflict.Rules{Keep: conflict.Fail},
			failed: []string{"a.b[0].c"},
		},
		"no rule is fail": {mine: `{"a":1}`, theirs: `{"a":2}`, failed: []string{"a"}},
		"the longest path decides": {
			mine: `{"address":{"city":"A","zip":"1"},"name":"N"}`, theirs: `{"address":{"city":"B","zip":"2"},"name":"M"}`,
			rules: conflict.Rules{Keep: conflict.Ours, Fields: map[string]conflict.Keep{"address": conflict.Theirs, "address.zip": conflict.Ours}},
			want:  `{"address":{"zip":"1"},"name":"N"}`, kept: []string{"address.zip", "name"}, left: []string{"address.city"},
		},
		"any element": {
			mine: `{"l":[{"p":1,"q":1}]}`, theirs: `{"l":[{"p":2,"q":2}]}`,
			rules: conflict.Rules{Keep: conflict.Ours, Fields: map[string]conflict.Keep{"l[*].p": conflict.Theirs}},
			want:  `{"l":[{"p":2,"q":1}]}`, kept: []string{"l[0].q"}, left: []string{"l[0].p"},
		},
		"lists of another length are one value": {
			mine: `{"tags":["a","b"]}`, theirs: `{"tags":["a"]}`, rules: conflict.Rules{Keep: conflict.Theirs, Fields: map[string]conflict.Keep{"tags": conflict.Ours}},
			want: `{"tags":["a","b"]}`, kept: []string{"tags"},
		},
		"the same value written otherwise": {
			mine: `{"n":1.50,"o":{"x":1,"y":null}}`, theirs: `{"n":15e-1,"o":{"x":1.0}}`, want: `{"n":1.50,"o":{"x":1,"y":null}}`,
		},
		"numbers of any size": {mine: `{"n":1e400,"m":0.0}`, theirs: `{"n":10e399,"m":-0}`, want: `{"n":1e400,"m":0.0}`},
		"a field that is not shown": {
			mine: `{"password":"x"}`, theirs: `{"id":1}`, want: `{"password":"x"}`, unseen: []string{"password"},
		},
		"with a base, they did not change it": {
			base: `{"a":1}`, mine: `{"a":2}`, theirs: `{"a":1}`, want: `{"a":2}`, kept: []string{"a"},
		},
		"with a base, we did not change it": {
			base: `{"a":1,"b":1}`, mine: `{"a":1,"b":2}`, theirs: `{"a":5,"b":1}`, want: `{"b":2}`, kept: []string{"b"}, left: []string{"a"},
		},
		"with a base, both did": {
			base: `{"a":1}`, mine: `{"a":2}`, theirs: `{"a":3}`, failed: []string{"a"},
		},
		"with a base, they took it away": {
			base: `{"a":1}`, mine: `{"a":2}`, theirs: `{}`, failed: []string{"a"},
		},
		"names with dots": {
			mine: `{"a.b":{"c[0]":1}}`, theirs: `{"a.b":{"c[0]":2}}`, rules: conflict.Rules{Keep: conflict.Fail, Fields: map[string]conflict.Keep{`a\.b.c\[0]`: conflict.Ours}},
			want: `{"a.b":{"c[0]":1}}`, kept: []string{`a\.b.c\[0]`},
		},
		"the state stands deeper": {
			mine: `{"name":"A"}`, theirs: `{"customer":{"name":"B"}}`, rules: conflict.Rules{State: "customer"}, failed: []string{"name"},
		},
		"an empty object clears": {
			mine: `{"meta":{}}`, theirs: `{"meta":{"a":1}}`, rules: conflict.Rules{Keep: conflict.Theirs}, want: `{}`, left: []string{"meta"}, nothing: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var base json.RawMessage
			if c.base != "" {
				base = json.RawMessage(c.base)
			}
			merged, report, err := conflict.Merge(base, json.RawMessage(c.mine), conflict.Current{Body: json.RawMessage(c.theirs)}, c.rules)
			if c.failed != nil {
				var f *integration.Failure
				if !errors.As(err, &f) || f.Class != integration.ClassConflict || f.Code != conflict.CodeFields || merged != nil {
					t.Fatalf("got %s, %v; want a conflict and nothing to send", merged, err)
				}
				for _, field := range c.failed {
					if !strings.Contains(f.Hint, field) || f.Message != "Someone else changed this at the same time." {
						t.Errorf("%s: hint %q, message %q", field, f.Hint, f.Message)
					}
				}
				return
			}
			if err != nil || string(merged) != c.want {
				t.Fatalf("got %s, %v; want %s", merged, err, c.want)
			}
			if !slices.Equal(report.Kept, c.kept) || !slices.Equal(report.Left, c.left) || !slices.Equal(report.Unseen, c.unseen) || report.Nothing != c.nothing {
				t.Errorf("report %+v", report)
			}
		})
	}
}

// R4.5: the fresh version goes where the provider looks for it.
func TestVersion(t *testing.T) {
	t.Parallel()
	header := http.Header{"Etag": {`W/"7"`}}
	for name, c := range map[string]struct {
		version        conflict.Version
		mine, want     string
		header, value  string
		failsWithCause string
	}{
		"ETag to If-Match":     {conflict.Version{From: "header.ETag"}, `{"a":1}`, `{"a":1}`, "If-Match", `W/"7"`, ""},
		"field to field":       {conflict.Version{From: "body.object.version", To: "body.version"}, `{"a":1,"version":6}`, `{"a":1,"version":7}`, "", "", ""},
		"field that was not":   {conflict.Version{From: "body.object.version", To: "body.meta.rev"}, `{"a":1}`, `{"a":1,"meta":{"rev":7}}`, "", "", ""},
		"field into an object": {conflict.Version{From: "body.object.version", To: "body.meta.rev"}, `{"a":1,"meta":{"x":1}}`, `{"a":1,"meta":{"x":1,"rev":7}}`, "", "", ""},
		"field to header":      {conflict.Version{From: "body.object.version", To: "header.X-Version"}, `{"a":1}`, `{"a":1}`, "X-Version", "7", ""},
		"no such header":       {conflict.Version{From: "header.X-Rev"}, `{"a":1}`, "", "", "", "no header X-Rev"},
		"no such field":        {conflict.Version{From: "body.rev"}, `{"a":1}`, "", "", "", "no version at rev"},
		"no version":           {conflict.Version{From: "body.object"}, `{"a":1}`, "", "", "", "no version at object"},
		"nonsense":             {conflict.Version{From: "version"}, `{"a":1}`, "", "", "", "header.NAME or body.PATH"},
		"an element":           {conflict.Version{From: "body.v", To: "body.l[0]"}, `{"a":1}`, "", "", "", "not an element"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			merged, report, err := conflict.Merge(nil, json.RawMessage(c.mine), conflict.Current{
				Body: json.RawMessage(`{"object":{"a":2,"version":7,"meta":{"x":1}}}`), Header: header,
			}, conflict.Rules{Keep: conflict.Ours, State: "object", Version: c.version})
			if c.failsWithCause != "" {
				if err == nil || !strings.Contains(err.Error(), c.failsWithCause) || merged != nil {
					t.Fatalf("%s, %v", merged, err)
				}
				return
			}
			if err != nil || string(merged) != c.want || report.Header != c.header || report.Value != c.value {
				t.Errorf("%s, %+v, %v", merged, report, err)
			}
		})
	}
}

func TestMergeForm(t *testing.T) {
	t.Parallel()
	current := conflict.Current{Body: json.RawMessage(`{"name":"X","metadata":{"n":"1","k":"v"},"active":true,"count":2}`)}
	mine := []byte("name=A&metadata[n]=1&active=true&count=2")
	same, _, err := conflict.MergeForm(nil, mine, current, conflict.Rules{Keep: conflict.Ours})
	if err != nil || string(same) != string(mine) {
		t.Errorf("%s, %v", same, err)
	}
	merged, report, err := conflict.MergeForm(nil, mine, current, conflict.Rules{Keep: conflict.Theirs})
	if err != nil || string(merged) != "metadata[n]=1&active=true&count=2" && string(merged) != "metadata%5Bn%5D=1&active=true&count=2" {
		t.Errorf("%s, %+v, %v", merged, report, err)
	}
	if _, _, err := conflict.MergeForm(nil, []byte("a[=1"), current, conflict.Rules{}); err == nil {
		t.Error("a broken form was merged")
	}
}

// What can't be merged fails with words, and nothing is sent.
func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 80) + "1" + strings.Repeat("}", 80)
	for name, c := range map[string]struct{ mine, theirs string }{
		"no JSON":          {`{`, `{}`},
		"a list":           {`[1]`, `{}`},
		"state of a list":  {`{"a":1}`, `[]`},
		"a name twice":     {`{"a":1,"a":2}`, `{}`},
		"too deep":         {deep, `{}`},
		"state is no JSON": {`{"a":1}`, `<html>`},
	} {
		merged, _, err := conflict.Merge(nil, json.RawMessage(c.mine), conflict.Current{Body: json.RawMessage(c.theirs)}, conflict.Rules{Keep: conflict.Ours})
		var f *integration.Failure
		if merged != nil || !errors.As(err, &f) || f.Code != conflict.CodeState || f.Message == "" {
			t.Errorf("%s: %s, %v", name, merged, err)
		}
	}
	for _, rules := range []conflict.Rules{{Keep: "mine"}, {Fields: map[string]conflict.Keep{"a": "x"}}, {Fields: map[string]conflict.Keep{"a..b": conflict.Ours}}, {State: "a[x]"}} {
		if _, _, err := conflict.Merge(nil, json.RawMessage(`{}`), conflict.Current{Body: json.RawMessage(`{}`)}, rules); err == nil {
			t.Errorf("%+v was taken", rules)
		}
	}
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"a", "a.b", "a[0]", "a[0].b", "a[0][1].c", `a\.b.c`, "a[*].b", `\[x`} {
		p, err := conflict.ParsePath(s)
		if err != nil || p.String() != s {
			t.Errorf("%q became %q, %v", s, p, err)
		}
	}
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "a[", "a[x]", "[0]", "a[-1]", "a[0]b", "a[0].", "a[99999999999]", strings.Repeat("a.", 70) + "a"} {
		if p, err := conflict.ParsePath(s); err == nil {
			t.Errorf("%q became %q", s, p)
		}
	}
}

func ExampleMerge() {
	mine := json.RawMessage(`{"email":"new@example.com","phone":"1"}`)
	now := conflict.Current{
		Body:   json.RawMessage(`{"id":"c_1","email":"old@example.com","phone":"2"}`),
		Header: http.Header{"Etag": {`"8"`}},
	}
	merged, report, err := conflict.Merge(nil, mine, now, conflict.Rules{
		Keep:    conflict.Ours,
		Fields:  map[string]conflict.Keep{"phone": conflict.Theirs},
		Version: conflict.Version{From: "header.ETag"},
	})
	fmt.Println(string(merged), err)
	fmt.Println(report.Kept, report.Left, report.Header, report.Value)
	// Output:
	// {"email":"new@example.com"} <nil>
	// [email] [phone] If-Match "8"
}
