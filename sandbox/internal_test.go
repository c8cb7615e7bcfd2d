package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

var (
	testTime  = time.Unix(1_760_000_000, 0)
	emptyPlan = &plan.Plan{}
)

func TestPast(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]string{
		"finalize": "finalized", "pay": "paid", "send": "sent", "void": "voided", "cancel": "canceled cancelled",
		"mark_uncollectible": "marked_uncollectible", "verify": "verified verifyed", "capture": "captured", "submit": "submitted",
	} {
		if got := strings.Join(past(verb), " "); got != want {
			t.Errorf("%s: %s, want %s", verb, got, want)
		}
	}
}

func TestStatusAfter(t *testing.T) {
	t.Parallel()
	m := &model{doc: &openapi.Document{}}
	for _, c := range []struct {
		property, verb string
		enum           []string
		want           string
	}{
		{"status", "pay", []string{"draft", "open", "paid", "uncollectible", "void"}, "paid"},
		{"status", "finalize", []string{"draft", "open", "paid"}, "open"},
		{"status", "void", []string{"open", "void"}, "void"},
		{"status", "mark_uncollectible", []string{"open", "uncollectible"}, "uncollectible"},
		{"status", "cancel", []string{"active", "canceled"}, "canceled"},
		{"status", "cancel", []string{"ACTIVE", "cancelled"}, "cancelled"},
		{"status", "capture", []string{"requires_capture", "succeeded"}, "succeeded"},
		{"state", "close", []string{"open", "closed"}, "closed"},
		{"status", "send", []string{"draft", "open"}, ""},
		{"phase", "close", []string{"open", "closed"}, ""},
	} {
		s := &openapi.Schema{Type: "object", Properties: []openapi.Property{{Name: c.property, Schema: &openapi.Schema{Type: "string", Enum: c.enum}}}}
		if _, got := m.statusAfter(s, c.verb); got != c.want {
			t.Errorf("%s of %v: %q, want %q", c.verb, c.enum, got, c.want)
		}
	}
}

func TestIDsLookLikeTheSample(t *testing.T) {
	t.Parallel()
	d := newDice(1)
	if id := d.like("cus_QXg1o8vcGmoR32"); !strings.HasPrefix(id, "cus_") || len(id) != 18 {
		t.Error(id)
	}
	if id := d.like("sub_sched_1PgafmB7WZ01"); !strings.HasPrefix(id, "sub_sched_") {
		t.Error(id)
	}
	if id := d.like("123e4567-e89b-12d3-a456-426614174000"); len(id) != 36 || id[14] != '4' || strings.Contains(id, "x") {
		t.Error(id)
	}
	if a, b := d.like("42"), d.like("42"); a == b || strings.Trim(a, "0123456789") != "" {
		t.Error(a, b)
	}
	if id := idSample("", "billing.meter"); id != "mete_xxxxxxxxxxxxxx" {
		t.Error(id)
	}
}

// What is remembered is bounded; the oldest goes, and only that.
func TestObjectsAreBounded(t *testing.T) {
	t.Parallel()
	o := newObjects()
	for i := range maxObjects + 5 {
		o.add(&object{key: fmt.Sprint(i), resource: []string{"a", "b"}[i%2]})
	}
	if o.get("4") != nil || o.get("5") == nil || len(o.byKey) != maxObjects || len(o.byResource["a"])+len(o.byResource["b"]) != maxObjects {
		t.Errorf("%d objects, %v, %v", len(o.byKey), o.get("4"), o.get("5"))
	}
	if x := o.newest("b"); x.key != fmt.Sprint(maxObjects+3) {
		t.Error(x.key)
	}
	k := newKeys()
	for i := range maxKeys + 1 {
		k.byKey[fmt.Sprint(i)] = &kept{}
		k.order = append(k.order, fmt.Sprint(i))
		if len(k.order) > maxKeys {
			delete(k.byKey, k.order[0])
			k.order = dropFirst(k.order)
		}
	}
	if len(k.byKey) != maxKeys {
		t.Error(len(k.byKey))
	}
}

var (
	aString  = &openapi.Schema{Type: "string"}
	anInt    = &openapi.Schema{Type: "integer"}
	aBool    = &openapi.Schema{Type: "boolean"}
	aList    = &openapi.Schema{Type: "array", Items: anInt}
	aMap     = &openapi.Schema{Type: "object", AdditionalProperties: aString}
	anObject = &openapi.Schema{Type: "object", Required: []string{"n"}, Properties: []openapi.Property{{Name: "n", Schema: anInt}, {Name: "s", Schema: &openapi.Schema{Type: "string", Nullable: true}}}}
	anEnum   = &openapi.Schema{Type: "string", Enum: []string{"now", "never"}}
)

func anyOf(s ...*openapi.Schema) *openapi.Schema { return &openapi.Schema{AnyOf: s} }

func TestCoerce(t *testing.T) {
	t.Parallel()
	m := &model{doc: &openapi.Document{}}
	for name, c := range map[string]struct {
		in     string
		schema *openapi.Schema
		text   bool
		want   string // or
		param  string // of the problem
	}{
		"integer":               {`"7"`, anInt, true, `7`, ""},
		"integer, beyond":       {`"99999999999999999999"`, anInt, true, ``, "p"},
		"integer, not text":     {`"7"`, anInt, false, ``, "p"},
		"fraction":              {`7.5`, anInt, false, ``, "p"},
		"boolean":               {`"true"`, aBool, true, `true`, ""},
		"boolean, one":          {`"1"`, aBool, true, ``, "p"},
		"list":                  {`["1","2"]`, aList, true, `[1,2]`, ""},
		"list with gaps":        {`{"10":"3","2":"2","0":"1"}`, aList, true, `[1,2,3]`, ""},
		"list, an object":       {`{"a":"1"}`, aList, true, ``, "p"},
		"list, a bad element":   {`["1","x"]`, aList, true, ``, "p[1]"},
		"numbered names":        {`["x","y"]`, aMap, true, `{"0":"x","1":"y"}`, ""},
		"numbered names, JSON":  {`["x"]`, aMap, false, ``, "p"},
		"object":                {`{"n":"1"}`, anObject, true, `{"n":1}`, ""},
		"object, missing":       {`{"s":"1"}`, anObject, true, ``, "p[n]"},
		"object, bad inside":    {`{"n":"x"}`, anObject, true, ``, "p[n]"},
		"second alternative":    {`"7"`, anyOf(anEnum, anInt), true, `7`, ""},
		"first alternative":     {`"now"`, anyOf(anEnum, anInt), true, `"now"`, ""},
		"no alternative":        {`"x"`, anyOf(anEnum, anInt), true, ``, "p"},
		"the alternative meant": {`{"n":"x"}`, anyOf(anEnum, anObject), true, ``, "p[n]"},
		"unset":                 {`""`, anInt, true, `""`, ""},
		"null":                  {`null`, anInt, false, `null`, ""},
		"enum":                  {`"soon"`, anEnum, true, ``, "p"},
	} {
		got, p := m.coerce("p", parse([]byte(c.in)), c.schema, c.text)
		switch {
		case c.param != "" && (p == nil || p.param != c.param):
			t.Errorf("%s: %s, %+v; want a problem with %s", name, format(got), p, c.param)
		case c.param == "" && (p != nil || string(format(got)) != c.want):
			t.Errorf("%s: %s, %+v; want %s", name, format(got), p, c.want)
		}
	}
}

// A schema of many alternatives within alternatives costs bounded time.
func TestCoerceIsBounded(t *testing.T) {
	t.Parallel()
	m := &model{doc: &openapi.Document{}}
	branch := &openapi.Schema{Type: "object"}
	branch.Properties = []openapi.Property{{Name: "a", Schema: anyOf(branch, branch, branch)}}
	v := any(json.Number("1"))
	for range 60 {
		v = map[string]any{"a": v}
	}
	if _, p := m.coerce("p", v, branch, false); p == nil {
		t.Error("a number passes for an object")
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	m := &model{doc: &openapi.Document{}}
	nullable := &openapi.Schema{Type: "string", Nullable: true}
	for name, c := range map[string]struct {
		old, sent string
		schema    *openapi.Schema
		want      string // empty: it does not fit
	}{
		"text":                  {`"a"`, `"b"`, aString, `"b"`},
		"a number for a text":   {`"a"`, `1`, aString, ``},
		"unset":                 {`"a"`, `""`, nullable, `null`},
		"unset a map":           {`{"a":"b"}`, `""`, aMap, `{}`},
		"unset one of a map":    {`{"a":"b","c":"d"}`, `{"a":"","e":"f"}`, aMap, `{"c":"d","e":"f"}`},
		"an object is merged":   {`{"n":1,"s":"x"}`, `{"n":2}`, anObject, `{"n":2,"s":"x"}`},
		"an object out of null": {`null`, `{"n":2,"z":1}`, anObject, `{"n":2,"s":null}`},
		"a list":                {`[1]`, `[2,3]`, aList, `[2,3]`},
		"a list of others":      {`[1]`, `["a"]`, aList, ``},
		"a list for an object":  {`{}`, `[{}]`, anObject, ``},
		"an id for an object":   {`"a"`, `"b"`, anyOf(aString, anObject), `"b"`},
		"a boolean":             {`true`, `false`, aBool, `false`},
	} {
		got, fits := m.fit(parse([]byte(c.old)), parse([]byte(c.sent)), c.schema, 0)
		if fits != (c.want != "") || fits && string(format(got)) != c.want {
			t.Errorf("%s: %s, %v; want %s", name, format(got), fits, c.want)
		}
	}
}

// Schemas may be cyclic, or refer to nothing.
func TestSampleOfOddSchemas(t *testing.T) {
	t.Parallel()
	m := &model{doc: &openapi.Document{}}
	cycle := &openapi.Schema{Type: "object", Required: []string{"self"}}
	cycle.Properties = []openapi.Property{{Name: "self", Schema: cycle}}
	cycle.AllOf = []*openapi.Schema{cycle}
	for _, s := range []*openapi.Schema{
		cycle, anyOf(cycle), nil,
		{},
		anyOf(anObject, aString),
		{Type: "string", Format: "uuid"},
		{Type: "string", Format: "date-time"},
		{Type: "string", MaxLength: 2},
		{Type: "integer", Format: "unix-time"},
		{Type: "string", Example: "x"},
		{Type: "integer", Default: 5},
		{Type: "mystery"},
	} {
		if v := m.sample(s, testTime, 0); !json.Valid(format(v)) {
			t.Errorf("%+v: %v", s, v)
		}
		_ = m.property(s, "nothing")
		_, _ = m.coerce("p", map[string]any{"self": map[string]any{}}, s, true)
	}
	if v := m.sample(&openapi.Schema{Type: "string", MaxLength: 2}, testTime, 0); v != "st" {
		t.Error(v)
	}
}

func TestEventTypeOfAResource(t *testing.T) {
	t.Parallel()
	known := []string{"customer.created", "customer.subscription.created", "invoice.paid", "invoice.updated"}
	s := &Sandbox{cfg: Config{Document: &openapi.Document{EventTypes: known}, Plan: emptyPlan}}
	for _, c := range []struct {
		resource string
		words    []string
		want     string
	}{
		{"customer", []string{"created"}, "customer.created"},
		{"subscription", []string{"created"}, "customer.subscription.created"},
		{"invoice", []string{"settled", "paid", "updated"}, "invoice.paid"},
		{"invoice", []string{"sent", "updated"}, "invoice.updated"},
		{"voice", []string{"paid"}, ""},
	} {
		if got := s.eventType(c.resource, c.words); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.resource, c.words, got, c.want)
		}
	}
	if !slices.Contains(known, "invoice.paid") {
		t.Error("the document was changed")
	}
}
