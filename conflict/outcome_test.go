package conflict_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/integration"
)

var sent = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func unknownCall() conflict.Call {
	return conflict.Call{
		ID: "call_1", Key: "key_1", Path: map[string]string{"shop": "s1"}, Query: url.Values{"expand": {"x"}},
		Body:  json.RawMessage(`{"email":"a@example.com","amount":100,"metadata":{"order":"7"}}`),
		First: sent, Last: sent.Add(30 * time.Second),
	}
}

// R4.7: a create that may have reached the provider is looked for.
func TestSettle(t *testing.T) {
	t.Parallel()
	byEmail := conflict.Lookup{Items: "data", Match: map[string]string{"email": "body.email"}, Created: "created", More: "has_more"}
	byCall := conflict.Lookup{Items: "data", Match: map[string]string{"metadata.call_id": "call.id", "amount": "body.amount"}}
	for name, c := range map[string]struct {
		lookup conflict.Lookup
		answer conflict.Answer
		body   string
		want   conflict.Outcome
		why    string
		id     string
		found  []string
	}{
		"found":                      {lookup: byCall, body: `{"data":[{"id":"a"},{"id":"b","metadata":{"call_id":"call_1"},"amount":"100"}]}`, want: conflict.Happened, id: "b", found: []string{"/data/1"}},
		"found twice":                {lookup: byEmail, body: `{"data":[{"id":1,"email":"a@example.com"},{"id":2,"email":"a@example.com"}]}`, want: conflict.Happened, id: "1", found: []string{"/data/0", "/data/1"}, why: "more than once"},
		"one field fits, not both":   {lookup: byCall, body: `{"data":[{"metadata":{"call_id":"call_1"},"amount":99}]}`, want: conflict.Unknown, why: "may go on"},
		"the list is whole":          {lookup: byEmail, body: `{"data":[{"email":"b@example.com"}],"has_more":false}`, want: conflict.NotHappened},
		"the list goes on":           {lookup: byEmail, body: `{"data":[{"email":"b@example.com"}],"has_more":true}`, want: conflict.Unknown, why: "may go on"},
		"all pages were read":        {lookup: byEmail, body: `{"data":[{"email":"b@example.com"}],"has_more":true}`, answer: conflict.Answer{Complete: true}, want: conflict.NotHappened},
		"an empty list":              {lookup: byCall, body: `{"data":[]}`, want: conflict.NotHappened},
		"too early to tell":          {lookup: byCall, body: `{"data":[]}`, answer: conflict.Answer{Read: sent.Add(time.Minute)}, want: conflict.Unknown, why: "less than 1m0s"},
		"found, however early":       {lookup: byCall, body: `{"data":[{"metadata":{"call_id":"call_1"},"amount":100}]}`, answer: conflict.Answer{Read: sent.Add(time.Minute)}, want: conflict.Happened, found: []string{"/data/0"}},
		"an older one":               {lookup: byEmail, body: fmt.Sprintf(`{"data":[{"email":"a@example.com","created":%d}],"has_more":false}`, sent.Add(-time.Hour).Unix()), want: conflict.NotHappened},
		"a new one":                  {lookup: byEmail, body: fmt.Sprintf(`{"data":[{"email":"a@example.com","created":%q}]}`, sent.Format(time.RFC3339)), want: conflict.Happened, found: []string{"/data/0"}},
		"the object itself":          {lookup: conflict.Lookup{Match: map[string]string{"email": "body.email"}}, body: `{"id":"c","email":"a@example.com"}`, want: conflict.Happened, id: "c", found: []string{""}},
		"another object":             {lookup: conflict.Lookup{Match: map[string]string{"email": "body.email"}}, body: `{"id":"c","email":"b@example.com"}`, want: conflict.Unknown, why: "may go on"},
		"the provider knows of none": {lookup: byCall, answer: conflict.Answer{Class: integration.ClassMissing, Gone: true}, want: conflict.NotHappened},
		"a 404 that proves nothing":  {lookup: byCall, answer: conflict.Answer{Class: integration.ClassMissing}, want: conflict.Unknown, why: "could not be asked"},
		"the reader fails":           {lookup: byCall, answer: conflict.Answer{Class: integration.ClassUnavailable}, want: conflict.Unknown, why: "unavailable"},
		"no list":                    {lookup: byCall, body: `{"data":{}}`, want: conflict.Unknown, why: "no list"},
		"no JSON":                    {lookup: byCall, body: `<html>`, want: conflict.Unknown, why: "not valid JSON"},
		"nothing to match":           {lookup: conflict.Lookup{Items: "data"}, body: `{"data":[{}]}`, want: conflict.Unknown, why: "by which field"},
		"no such value in the call":  {lookup: conflict.Lookup{Match: map[string]string{"a": "body.b"}}, body: `[{"a":null},{}]`, want: conflict.Unknown, why: "the call has no body.b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.answer
			a.Body = json.RawMessage(c.body)
			if a.Class == "" {
				a.Class = integration.ClassOK
			}
			if a.Read.IsZero() {
				a.Read = sent.Add(5 * time.Minute)
			}
			e := c.lookup.Settle(unknownCall(), a)
			if e.Outcome != c.want || e.ID != c.id || !slices.Equal(e.Found, c.found) || !strings.Contains(e.Why, c.why) || e.Why == "" {
				t.Errorf("%+v, want %s", e, c.want)
			}
			if strings.Contains(fmt.Sprint(e), "example.com") {
				t.Errorf("the evidence shows a person's data: %+v", e)
			}
		})
	}
}

func TestLookupRequest(t *testing.T) {
	t.Parallel()
	l := conflict.Lookup{
		Path:  map[string]string{"shop": "path.shop"},
		Query: map[string]string{"email": "body.email", "key": "call.key", "order": "body.metadata.order", "amount": "body.amount", "x": "query.expand"},
	}
	path, query, err := l.Request(unknownCall())
	if err != nil || path["shop"] != "s1" || query.Encode() != "amount=100&email=a%40example.com&key=key_1&order=7&x=x" {
		t.Errorf("%v, %s, %v", path, query.Encode(), err)
	}
	for _, from := range []string{"body.nope", "body.metadata", "path.nope", "header.X", "", "call.nope", "body."} {
		if _, _, err := (conflict.Lookup{Query: map[string]string{"q": from}}).Request(unknownCall()); err == nil {
			t.Errorf("%q gave a value", from)
		}
	}
}

func FuzzSettle(f *testing.F) {
	f.Add(`{"data":[{"email":"a@example.com","created":1e99}]}`, "data", "email", "body.email")
	f.Add(`[{"a":[{"b":"call_1"}]}]`, "", "a[0].b", "call.id")
	f.Add(`{"a":null}`, "a", "[", "body.[")
	f.Fuzz(func(t *testing.T, body, items, field, from string) {
		l := conflict.Lookup{Items: items, Match: map[string]string{field: from}, Created: "created", More: "more"}
		e := l.Settle(unknownCall(), conflict.Answer{Class: integration.ClassOK, Body: json.RawMessage(body), Read: sent.Add(time.Hour)})
		if e.Why == "" || (len(e.Found) > 0) != (e.Outcome == conflict.Happened) {
			t.Fatalf("%+v", e)
		}
	})
}

func ExampleLookup_Settle() {
	lookup := conflict.Lookup{
		Query: map[string]string{"email": "body.email"},
		Items: "data", Match: map[string]string{"email": "body.email"}, More: "has_more",
	}
	call := conflict.Call{Body: json.RawMessage(`{"email":"a@example.com"}`), Last: sent}
	_, query, err := lookup.Request(call)
	fmt.Println(query.Encode(), err)
	e := lookup.Settle(call, conflict.Answer{
		Class: integration.ClassOK, Read: sent.Add(2 * time.Minute),
		Body: json.RawMessage(`{"data":[{"id":"cus_1","email":"a@example.com"}],"has_more":false}`),
	})
	fmt.Println(e.Outcome, e.ID, e.Found)
	// Output:
	// email=a%40example.com <nil>
	// happened cus_1 [/data/0]
}
