package drift_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/drift"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/mapping"
)

const good = `{"id":"t_1","status":"open","amount":1,"email":"a@example.com","plan":"free"}`

// R0.4: what an answer can do to leave its document and its mapping.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   []string // "pointer kind: expected → example (row)"
	}{
		"as promised":           {body: good},
		"optional fields":       {body: strings.Replace(good, `{`, `{"note":null,"ratio":1,"owner":"o_1","lines":[{"price":1,"state":"a"}],"metadata":{"any":"x"},"free":{"any":1},`, 1)},
		"a field is gone":       {body: `{"id":"t_1","status":"open","email":"a@example.com","plan":"free"}`, want: []string{"/amount missing_field: required → not there"}},
		"a base's field":        {body: strings.Replace(good, `"id":"t_1",`, "", 1), want: []string{"/id missing_field: required → not there"}},
		"a mapped field":        {body: strings.Replace(good, `"email":"a@example.com",`, "", 1), want: []string{"/email missing_field: required by the mapping → not there (mapping.thing.email)"}},
		"another type":          {body: strings.Replace(good, `"amount":1`, `"amount":"1"`, 1), want: []string{"/amount changed_type: integer → string of 1 character"}},
		"a fraction":            {body: strings.Replace(good, `"amount":1`, `"amount":1.5`, 1), want: []string{"/amount changed_type: integer → number"}},
		"a whole number":        {body: strings.Replace(good, `"amount":1`, `"amount":1.0`, 1)},
		"null":                  {body: strings.Replace(good, `"amount":1`, `"amount":null`, 1), want: []string{"/amount null_where_not_nullable: integer → null"}},
		"a new value":           {body: strings.Replace(good, `"open"`, `"disputed"`, 1), want: []string{"/status new_enum_value: one of 2 values → disputed (mapping.thing.status)"}},
		"new to the document":   {body: strings.Replace(good, `"open"`, `"void"`, 1), want: []string{"/status new_enum_value: one of 2 values → void"}},
		"a personal value":      {body: strings.Replace(good, `"free"`, `"diamond"`, 1), want: []string{"/plan new_enum_value: one of 2 values → string of 7 characters (mapping.thing.plan)"}},
		"new to the mapping":    {body: strings.Replace(good, `"free"`, `"gold"`, 1), want: []string{"/plan new_enum_value: one of 1 value → string of 4 characters (mapping.thing.plan)"}},
		"no word":               {body: strings.Replace(good, `"open"`, `"Jane Doe, 12 Main Street"`, 1), want: []string{"/status new_enum_value: one of 2 values → string of 24 characters (mapping.thing.status)"}},
		"a new field":           {body: strings.Replace(good, `{`, `{"brand_new":[1,2],`, 1), want: []string{"/brand_new new_field: not in the document → list of 2 elements"}},
		"a name that is an id":  {body: strings.Replace(good, `{`, `{"cus_84736251":1,"jane@example.com":2,`, 1), want: []string{"/* new_field: not in the document → integer"}},
		"in lists":              {body: strings.Replace(good, `{`, `{"lines":[{"price":1},{"price":"x"},{"price":"yy"},{"price":null}],`, 1), want: []string{"/lines/*/price changed_type: integer → string of 1 character (mapping.line.price)", "/lines/*/price null_where_not_nullable: integer → null (mapping.line.price)"}},
		"no list":               {body: strings.Replace(good, `{`, `{"lines":{},`, 1), want: []string{"/lines changed_type: array → object with 0 fields (mapping.thing.lines[*])"}},
		"in a map":              {body: strings.Replace(good, `{`, `{"metadata":{"jane":1},`, 1), want: []string{"/metadata/* changed_type: string → integer"}},
		"one alternative":       {body: strings.Replace(good, `{`, `{"owner":{"id":"o","kind":"robot"},`, 1), want: []string{"/owner/kind new_enum_value: one of 2 values → robot"}},
		"no alternative":        {body: strings.Replace(good, `{`, `{"owner":7,`, 1), want: []string{"/owner changed_type: one of 2 forms → integer"}},
		"recursion":             {body: strings.Replace(good, `{`, `{"self":{"id":"x","status":"open","amount":true},`, 1), want: []string{"/self/amount changed_type: integer → boolean"}},
		"a list for an object":  {body: `[1]`, want: []string{" changed_type: object → list of 1 element", "/email missing_field: required by the mapping → not there (mapping.thing.email)"}},
		"an error":              {status: 404, body: `{"error":"gone"}`},
		"a new error":           {status: 403, body: `{"error":"too_rich"}`, want: []string{"/error new_enum_value: one of 2 values → too_rich"}},
		"a status without form": {status: 500, body: `{"x":1}`},
		"no body promised":      {status: 204, body: good},
		"no JSON":               {body: `<html>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := c.status
			if status == 0 {
				status = 200
			}
			var got []string
			for _, f := range checker(t, nil).Check("get_thing", status, []byte(c.body)) {
				s := fmt.Sprintf("%s %s: %s → %s", f.Pointer, f.Kind, f.Expected, f.Example)
				if f.Row != "" {
					s += " (" + f.Row + ")"
				}
				if !slices.Contains(got, s) && !slices.ContainsFunc(got, func(g string) bool {
					return strings.HasPrefix(g, f.Pointer+" "+string(f.Kind)+":")
				}) {
					got = append(got, s)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
	if f := checker(t, nil).Check("nowhere", 200, []byte(`{}`)); f != nil {
		t.Errorf("%v", f)
	}
	if f := checker(t, nil, func(c *drift.Config) { c.Document = nil }).Check("get_thing", 200, []byte(`{"email":1}`)); len(f) != 1 || f[0].Row != "mapping.thing.email" {
		t.Errorf("without a document: %v", f)
	}
}

// Every value of a hostile answer may be drift; none of them may be shown, and
// the look at it ends.
func TestBounds(t *testing.T) {
	t.Parallel()
	k := checker(t, nil, func(c *drift.Config) { c.MaxBytes = 10 << 20 })
	deep := strings.Repeat(`{"self":`, 5000) + `1` + strings.Repeat(`}`, 5000)
	wide := `{"lines":[` + strings.Repeat(`{"price":"x"},`, 100_000) + `{}]}`
	var names strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&names, `"secret-%c%c":1,`, 'a'+i%26, 'a'+i/26%26)
	}
	for _, body := range []string{deep, wide, `{` + names.String() + `"id":1}`} {
		if f := k.Check("get_thing", 200, []byte(body)); len(f) > 25_000 {
			t.Errorf("%d findings", len(f))
		}
	}
}

// R0.4: each place and kind is recorded once, and repeats are counted.
func TestRecordedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		k := checker(t, r)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		bad := []byte(`{"id":"t_1","status":"disputed","amount":1,"email":"a@example.com","plan":"free"}`)
		k.Answer("get_thing", 200, bad)
		synctest.Wait()
		if list := r.list(); len(list) != 1 || list[0].Count != 1 || list[0].Kind != integration.DriftNewValue || list[0].Pointer != "/status" || list[0].Example != "disputed" || list[0].Service != "things" || list[0].Endpoint != "get_thing" {
			t.Fatalf("%+v", list)
		}
		first := r.list()[0].FirstSeen
		time.Sleep(10 * time.Second)
		for range 7 {
			k.Answer("get_thing", 200, bad)
			synctest.Wait()
		}
		if list := r.list(); len(list) != 1 {
			t.Fatalf("a repeat was written at once: %+v", list)
		}
		r.mu.Lock()
		r.broken = true
		r.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		r.mu.Lock()
		r.broken = false
		r.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		list := r.list()
		if len(list) != 2 || list[1].Count != 7 || !list[1].FirstSeen.Equal(first) || !list[1].LastSeen.After(first) {
			t.Fatalf("%+v", list)
		}
		k.Answer("get_thing", 200, bad)
		synctest.Wait()
		stop()
		<-done
		if list := r.list(); len(list) != 3 || list[2].Count != 1 {
			t.Errorf("the last one is lost: %+v", list)
		}
	})
}

// R0.4: off the path of the call: sampled, bounded, never waiting.
func TestAnswerNeverWaits(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	dice := []float64{0.04, 0.05, 0.99}
	k := checker(t, r, func(c *drift.Config) {
		c.OneIn, c.Queue, c.MaxBytes = 20, 1, 100
		c.Dice = func() float64 { d := dice[0]; dice = append(dice[1:], d); return d }
	})
	for range 6 { // nobody runs: two of six are chosen, one fits
		k.Answer("get_thing", 200, []byte(good))
	}
	if k.Passed() != 1 {
		t.Errorf("%d passed over, want 1", k.Passed())
	}
	dice = []float64{0}
	k.Answer("get_thing", 200, make([]byte, 101))
	k.Answer("nowhere", 200, []byte(good))
	k.Answer("get_thing", 204, nil)
	if k.Passed() != 1 {
		t.Error("what is not looked at was chosen")
	}
}

func TestAnswerPassedOverCostsNothing(t *testing.T) {
	k := checker(t, &recorder{}, func(c *drift.Config) { c.OneIn, c.Dice = 20, func() float64 { return 0.5 } })
	body, header := []byte(good), http.Header{"Content-Type": {"application/json"}}
	if n := testing.AllocsPerRun(100, func() { k.Answer("get_thing", 200, body); k.Headers("get_thing", header) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// R0.4: an answer that could not be mapped is drift.
func TestMappingFailed(t *testing.T) {
	t.Parallel()
	p := testPlan()
	m, err := mapping.Compile(p.Mappings, "thing")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	k := checker(t, r)
	for _, body := range []string{
		`{"plan":"free"}`,
		`{"email":5}`,
		`{"email":"a@example.com","lines":[{"price":1},{"price":null}]}`,
		`{"email":"a@example.com","lines":[{"price":1},{"price":1},{"price":null}]}`,
		`{`,
	} {
		_, err := m.In([]byte(body))
		if err == nil {
			t.Fatalf("%s was mapped", body)
		}
		k.MappingFailed("get_thing", err)
	}
	k.MappingFailed("get_thing", errors.New("another"))
	var got []string
	for _, d := range flush(t, k, r) {
		got = append(got, fmt.Sprint(d.Pointer, " ", d.Kind, " ", d.Row, " ", d.Count))
		if strings.Contains(d.Example, "example.com") {
			t.Errorf("a person's data: %+v", d)
		}
	}
	slices.Sort(got)
	want := []string{"/email changed_type mapping.thing.email 1", "/email missing_field mapping.thing.email 1", "/lines/*/price null_where_not_nullable mapping.line.price 2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// flush runs the checker once to its end.
func flush(t *testing.T, k *drift.Checker, r *recorder) []integration.Drift {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	<-done
	return r.list()
}

// R0.4: error codes without a meaning.
func TestErrorCode(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	k := checker(t, r)
	for _, code := range []string{"gone", "slow_down", "", "brand_new", "brand_new", "jane.doe@example.com is not allowed"} {
		k.ErrorCode("get_thing", code)
	}
	list := flush(t, k, r)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	for _, d := range list {
		if d.Kind != integration.DriftUnknownCode || strings.Contains(fmt.Sprint(d), "jane") {
			t.Errorf("%+v", d)
		}
	}
	silent := checker(t, r, func(c *drift.Config) { c.Plan.Provider.Errors.Meanings, c.Plan.Provider.Limits.Signal = nil, nil })
	silent.ErrorCode("get_thing", "brand_new")
	if again := flush(t, silent, r); len(again) != 2 {
		t.Error("a profile without codes expects none")
	}
}

// R0.3: a provider announces the end of an operation.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deprecation, sunset string
		example             string
		ends                string // "" where nothing is recorded
	}{
		"both":           {"@1790812800", "Mon, 01 Feb 2027 00:00:00 GMT", "deprecated from 2026-10-01, ends 2027-02-01", "2027-02-01"},
		"RFC 9745 alone": {"@1790812800", "", "deprecated from 2026-10-01", "2026-10-01"},
		"RFC 8594 alone": {"", "Mon, 01 Feb 2027 00:00:00 GMT", "deprecated, ends 2027-02-01", "2027-02-01"},
		"older drafts":   {"true", "", "deprecated", "0001-01-01"},
		"older date":     {"Thu, 01 Oct 2026 00:00:00 GMT", "", "deprecated from 2026-10-01", "2026-10-01"},
		"nonsense":       {"@soon", "tomorrow", "", ""},
		"too large":      {"@99999999999999999999", "", "", ""},
		"nothing":        {"", "", "", ""},
		"false":          {"?0", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			if c.deprecation != "" {
				h.Set("Deprecation", c.deprecation)
			}
			if c.sunset != "" {
				h.Set("Sunset", c.sunset)
			}
			r := &recorder{}
			k := checker(t, r)
			k.Headers("get_thing", h)
			k.Headers("get_thing", h)
			list := flush(t, k, r)
			if c.ends == "" {
				if len(list) != 0 {
					t.Fatalf("%+v", list)
				}
				return
			}
			if len(list) != 1 || list[0].Kind != integration.DriftDeprecation || list[0].Count != 2 || list[0].Example != c.example || list[0].Ends.Format(time.DateOnly) != c.ends {
				t.Errorf("%+v", list)
			}
		})
	}
}

func TestDaysLeft(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]int{0: 0, time.Hour: 0, 24 * time.Hour: 1, 47 * time.Hour: 1, -time.Hour: -1, -24 * time.Hour: -1, -25 * time.Hour: -2} {
		if got := drift.DaysLeft(now.Add(after), now); got != want {
			t.Errorf("%s: %d days, want %d", after, got, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(200, good)
	f.Add(404, `{"error":"x"}`)
	f.Add(200, `{"lines":[{"price":1e999}],"owner":[[]],"self":{"self":null},"metadata":[]}`)
	k := checker(f, nil)
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, found := range k.Check("get_thing", status, []byte(body)) {
			if found.Kind == "" || found.Expected == "" || len(found.Example) > 60 {
				t.Errorf("%+v", found)
			}
		}
	})
}

func ExampleChecker_Check() {
	k := drift.New(drift.Config{Plan: testPlan()})
	for _, f := range k.Check("get_thing", 200, []byte(`{"email":"jane@example.com","status":"disputed"}`)) {
		fmt.Println(f.Pointer, f.Kind, f.Example)
	}
	// Output: /status new_enum_value disputed
}
