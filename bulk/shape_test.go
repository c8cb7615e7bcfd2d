package bulk_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/bulk"
	"github.com/sallyport/sallyport/integration"
)

func raws(ss ...string) []json.RawMessage {
	out := make([]json.RawMessage, len(ss))
	for i, s := range ss {
		out[i] = json.RawMessage(s)
	}
	return out
}

func TestJoin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ items, want string }{
		{"", `[{"a":1},{"b":2.50}]`},
		{"requests", `{"requests":[{"a":1},{"b":2.50}]}`},
		{"data.list", `{"data":{"list":[{"a":1},{"b":2.50}]}}`},
		{`odd\.name`, `{"odd.name":[{"a":1},{"b":2.50}]}`},
		{"#", `{"#":[{"a":1},{"b":2.50}]}`},
	} {
		got, err := bulk.Shape{Items: c.items}.Join(raws(`{"a":1}`, `{"b":2.50}`))
		if err != nil || string(got) != c.want {
			t.Errorf("%q: %s, %v; want %s", c.items, got, err, c.want)
		}
	}
}

// R4.15: partial failure is handed back one by one.
func TestSplit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		shape  bulk.Shape
		items  []json.RawMessage
		answer string
		want   []string // body, or code of the failure after "!"
	}{
		{"by order", bulk.Shape{}, raws(`{}`, `{}`), `[{"id":"a"},{"id":"b"}]`, []string{`{"id":"a"}`, `{"id":"b"}`}},
		{"by order, short", bulk.Shape{}, raws(`{}`, `{}`), `[{"id":"a"}]`, []string{`{"id":"a"}`, "!bulk_no_answer"}},
		{"by order, all null", bulk.Shape{}, raws(`{}`), `[null]`, []string{`null`}},
		{"below a path", bulk.Shape{Answers: "r.data"}, raws(`{}`), `{"r":{"data":[ 1.50 ]}}`, []string{`1.50`}},
		{
			"by key, other order",
			bulk.Shape{Match: "ref.id"},
			raws(`{"ref":{"id":1}}`, `{"ref":{"id":"2"}}`, `{"ref":{"id":3}}`),
			`[{"ref":{"id":"2"},"ok":true},{"other":1},{"ref":{"id":"1"}}]`,
			[]string{`{"ref":{"id":"1"}}`, `{"ref":{"id":"2"},"ok":true}`, "!bulk_no_answer"},
		},
		{"by key, twice in the answer", bulk.Shape{Match: "id"}, raws(`{"id":1}`), `[{"id":1,"a":1},{"id":1,"a":2}]`, []string{"!bulk_no_answer"}},
		{
			"errors",
			bulk.Shape{Error: "error"},
			raws(`1`, `2`, `3`, `4`, `5`, `6`, `7`),
			`[{"error":null},{"error":"no"},{"error":[]},{"error":{"code":"x","message":"bad"}},{"error":false},{"error":""},{"error":{}}]`,
			[]string{`{"error":null}`, "!bulk_item_rejected", `{"error":[]}`, "!bulk_item_rejected", `{"error":false}`, `{"error":""}`, `{"error":{}}`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.shape.Split(c.items, json.RawMessage(c.answer))
			if err != nil || len(got) != len(c.items) {
				t.Fatalf("%v, %v", got, err)
			}
			for i, a := range got {
				say := string(a.Body)
				var f *integration.Failure
				if errors.As(a.Err, &f) {
					say = "!" + f.Code
				}
				if say != c.want[i] {
					t.Errorf("item %d: %s, want %s", i, say, c.want[i])
				}
			}
		})
	}
}

func TestSplitTellsTheProvidersWords(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string][2]string{
		`[{"e":"gone"}]`: {"", "gone"},
		`[{"e":{"code":"missing","message":"gone"}}]`:    {"missing", "gone"},
		`[{"e":[{"type":"t","detail":"d"},{"type":1}]}]`: {"t", "d"},
		`[{"e":404}]`:  {"404", ""},
		`[{"e":true}]`: {"", "true"},
	} {
		got, err := bulk.Shape{Error: "e"}.Split(raws(`{}`), json.RawMessage(answer))
		var f *integration.Failure
		if err != nil || !errors.As(got[0].Err, &f) {
			t.Fatalf("%s: %v %v", answer, got, err)
		}
		if f.ProviderCode != want[0] || f.ProviderMessage != want[1] || len(got[0].Body) == 0 {
			t.Errorf("%s: code %q message %q body %s", answer, f.ProviderCode, f.ProviderMessage, got[0].Body)
		}
	}
}

func TestSplitRefusesAnotherShape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shape  bulk.Shape
		answer string
	}{
		{bulk.Shape{}, ``},
		{bulk.Shape{}, `{`},
		{bulk.Shape{}, `{}`},
		{bulk.Shape{}, `null`},
		{bulk.Shape{}, `[1,2]`}, // two answers to one item
		{bulk.Shape{Answers: "data"}, `{"data":{}}`},
		{bulk.Shape{Answers: "data"}, `[]`},
		{bulk.Shape{}, strings.Repeat("[", 100_000)},
	} {
		_, err := c.shape.Split(raws(`{"secret":"s3cr3t"}`), json.RawMessage(c.answer))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != bulk.CodeShape || f.Hint == "" {
			t.Errorf("%.20s: %v", c.answer, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("an item stands in the error: %v", err)
		}
	}
}

// Whatever the order of the answers, each item finds its own.
func TestSplitFindsEachItsOwn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,6}`), 1, 20, rapid.ID).Draw(t, "ids")
		var items []json.RawMessage
		for _, id := range ids {
			items = append(items, json.RawMessage(`{"ref":"`+id+`"}`))
		}
		var answers []string
		missing := map[string]bool{}
		for _, id := range rapid.Permutation(ids).Draw(t, "order") {
			if rapid.Bool().Draw(t, "missing") {
				missing[id] = true
				continue
			}
			answers = append(answers, `{"got":1,"ref":"`+id+`"}`)
		}
		got, err := bulk.Shape{Match: "ref"}.Split(items, json.RawMessage("["+strings.Join(answers, ",")+"]"))
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range ids {
			if missing[id] != (got[i].Err != nil) || !missing[id] && string(got[i].Body) != `{"got":1,"ref":"`+id+`"}` {
				t.Fatalf("%s: %s, %v", id, got[i].Body, got[i].Err)
			}
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("", "", "", `[{"id":1}]`)
	f.Add("data", "id", "error", `{"data":[{"id":"1","error":{"code":"x"}}]}`)
	f.Add(`a\.b`, "#", "@this", `{"a.b":[[],{"#":1}]}`)
	f.Add("*", "?", "..", `{"*":[null]}`)
	f.Fuzz(func(t *testing.T, answers, match, failed, body string) {
		items := raws(`{"id":1}`, `{"id":"2","#":1}`)
		got, err := bulk.Shape{Answers: answers, Match: match, Error: failed}.Split(items, json.RawMessage(body))
		if err == nil && len(got) != len(items) {
			t.Fatalf("%d answers", len(got))
		}
		for _, a := range got {
			if a.Err == nil && !json.Valid(a.Body) {
				t.Fatalf("a success without JSON: %q", a.Body)
			}
		}
	})
}
