package conflict_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/conflict"
)

// anyValue draws a JSON value of few names and values, so that two of them
// meet.
func anyValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Map(rapid.IntRange(0, 2), func(n int) any { return float64(n) }),
		rapid.Map(rapid.SampledFrom([]string{"", "a", "ü\""}), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
	}
	if depth > 0 {
		kinds = append(
			kinds,
			rapid.Map(rapid.SliceOfN(anyValue(depth-1), 0, 3), func(l []any) any { return l }),
			rapid.Map(anyObject(depth-1), func(m map[string]any) any { return m }),
		)
	}
	return rapid.OneOf(kinds...)
}

func anyObject(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c.d", "e[0]"}), anyValue(depth), 0, 4)
}

func write(t *rapid.T, v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func drawRules(t *rapid.T) conflict.Rules {
	keeps := rapid.SampledFrom([]conflict.Keep{conflict.Ours, conflict.Theirs, conflict.Fail})
	return conflict.Rules{
		Keep:     keeps.Draw(t, "keep"),
		Fields:   rapid.MapOfN(rapid.SampledFrom([]string{"a", "a.b", "b[0]", "b[*].a", `c\.d`}), keeps, 0, 3).Draw(t, "fields"),
		Replaces: rapid.Bool().Draw(t, "replaces"),
	}
}

// R4.5: on an equal state every rule sends the request as it is.
func TestEqualStatesAreNoConflict(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mine := write(t, anyObject(3).Draw(t, "mine"))
		merged, report, err := conflict.Merge(nil, mine, conflict.Current{Body: mine}, drawRules(t))
		if err != nil || string(merged) != string(mine) || len(report.Kept)+len(report.Left) != 0 {
			t.Fatalf("%s became %s, %+v, %v", mine, merged, report, err)
		}
	})
}

// R4.5: with ours for all, the request is sent as it is whatever they did.
func TestOursIsIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mine, theirs := write(t, anyObject(3).Draw(t, "mine")), write(t, anyObject(3).Draw(t, "theirs"))
		merged, _, err := conflict.Merge(nil, mine, conflict.Current{Body: theirs}, conflict.Rules{Keep: conflict.Ours})
		if err != nil || string(merged) != string(mine) {
			t.Fatalf("%s on %s became %s, %v", mine, theirs, merged, err)
		}
	})
}

// R4.5: nothing outside the caller's own fields is written; what is written is
// the caller's value or the provider's.
func TestOnlyOwnFieldsAreWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mine, theirs := anyObject(3).Draw(t, "mine"), anyObject(3).Draw(t, "theirs")
		var base json.RawMessage
		if rapid.Bool().Draw(t, "based") {
			base = write(t, anyObject(3).Draw(t, "base"))
		}
		merged, report, err := conflict.Merge(base, write(t, mine), conflict.Current{Body: write(t, theirs)}, drawRules(t))
		if err != nil {
			if merged != nil || len(report.Kept) != 0 {
				t.Fatalf("a failure came with %s", merged)
			}
			return
		}
		var got map[string]any
		if err := json.Unmarshal(merged, &got); err != nil {
			t.Fatal(err)
		}
		inside(t, "", got, mine, theirs)
	})
}

func inside(t *rapid.T, path string, got, mine, theirs any) {
	if reflect.DeepEqual(got, mine) || path != "" && reflect.DeepEqual(got, theirs) {
		return
	}
	switch g := got.(type) {
	case map[string]any:
		m, ok := mine.(map[string]any)
		th, _ := theirs.(map[string]any)
		if !ok {
			break
		}
		for name, v := range g {
			if _, own := m[name]; !own {
				t.Fatalf("%s.%s is not the caller's", path, name)
			}
			inside(t, path+"."+name, v, m[name], th[name])
		}
		return
	case []any:
		m, _ := mine.([]any)
		th, _ := theirs.([]any)
		if len(m) != len(g) || len(th) != len(g) {
			break
		}
		for i := range g {
			inside(t, path+"[]", g[i], m[i], th[i])
		}
		return
	}
	t.Fatalf("%s: %v is neither %v nor %v", path, got, mine, theirs)
}

// R4.5: fail never writes over a value that differs.
func TestFailNeverWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mine, theirs := anyObject(3).Draw(t, "mine"), anyObject(3).Draw(t, "theirs")
		merged, report, err := conflict.Merge(nil, write(t, mine), conflict.Current{Body: write(t, theirs)}, conflict.Rules{Keep: conflict.Fail})
		if err == nil && (len(report.Kept) != 0 || len(report.Left) != 0) {
			t.Fatalf("%s, %+v", merged, report)
		}
		if err != nil && merged != nil {
			t.Fatalf("a failure with something to send: %s", merged)
		}
		for name, v := range mine {
			other, there := theirs[name]
			if scalar(v) && scalar(other) && there && v != nil && other != nil && v != other && err == nil {
				t.Fatalf("%s was written over", name)
			}
		}
	})
}

func scalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

func FuzzMerge(f *testing.F) {
	f.Add(`{"a":1}`, `{"a":{"b":[1]}}`, `{"a":2}`, "a.b[0]", "body.a")
	f.Add(`{"a":[{"b":1}]}`, `{"a":[{"b":2}]}`, ``, "a[*].b", "header.ETag")
	f.Add(`{"":{"\ud800":1e999}}`, `{"":{"x":[]}}`, `[]`, `\.`, "body.x.y")
	f.Fuzz(func(t *testing.T, mine, theirs, base, path, version string) {
		var before json.RawMessage
		if base != "" {
			before = json.RawMessage(base)
		}
		merged, _, err := conflict.Merge(before, json.RawMessage(mine), conflict.Current{Body: json.RawMessage(theirs)}, conflict.Rules{
			Keep: conflict.Theirs, Fields: map[string]conflict.Keep{path: conflict.Ours}, Version: conflict.Version{From: version},
		})
		if (err == nil) != json.Valid(merged) {
			t.Fatalf("%s, %v", merged, err)
		}
	})
}
