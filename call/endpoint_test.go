package call_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/mapping"
)

// R3.1, R3.2: your fields go out as the provider's, and come back as yours,
// exactly.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development",
		answer(200, `{"id":"cus_1","object":"customer","email":"a@b.c","balance":-1990,"currency":"usd","metadata":{"tenant_id":"acme"}}`))
	out, err := b.Endpoint(t.Context(), "create_customer", call.Request{
		Tenant: "acme", IdempotencyKey: "mine", Query: url.Values{"expand[]": {"sources"}},
		Body: json.RawMessage(`{"email":"a@b.c","balance":"-19.90","currency":"usd","tenantId":"acme"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"stripeCustomerId":"cus_1","email":"a@b.c","balance":"-19.90","currency":"usd","tenantId":"acme"}`; !same(t, out.Body, want) || out.Status != 200 || out.Attempts != 1 {
		t.Errorf("%+v %s", out, out.Body)
	}
	r := b.provider.asked[0]
	if r.Method != http.MethodPost || r.URL.String() != "http://127.0.0.1:4010/v1/customers?expand%5B%5D=sources" || r.Header.Get("Idempotency-Key") != "mine" {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Authorization") != "Bearer "+canary {
		t.Errorf("%v", r.Header)
	}
	sent, err := url.ParseQuery(string(b.provider.sent[0]))
	if err != nil || sent.Get("balance") != "-1990" || sent.Get("metadata[tenant_id]") != "acme" || sent.Has("stripeCustomerId") {
		t.Errorf("sent %v, %v", sent, err)
	}
	if c := b.journal.only(t); c.ID != out.CallID || c.Entry != integration.EntryEndpoint || c.Endpoint != "create_customer" || c.IdempotencyKey != "mine" {
		t.Errorf("%+v", c)
	}
}

func same(t *testing.T, a json.RawMessage, b string) bool {
	t.Helper()
	var x, y map[string]any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal([]byte(b), &y) != nil || len(x) != len(y) {
		return false
	}
	for k := range x {
		if x[k] != y[k] {
			return false
		}
	}
	return true
}

// A request that does not fit the plan is refused with the place; nothing is
// sent and nothing is recorded.
func TestEndpointRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		endpoint string
		in       call.Request
		code     string
		pointer  string
	}{
		"unknown endpoint":       {"creat_customer", call.Request{}, call.CodeUnknownEndpoint, ""},
		"path variable missing":  {"get_customer", call.Request{}, call.CodePathVariable, "/path/id"},
		"path variable empty":    {"get_customer", call.Request{Path: map[string]string{"id": ""}}, call.CodePathVariable, "/path/id"},
		"path variable too many": {"get_customer", call.Request{Path: map[string]string{"id": "x", "a/b": "y"}}, call.CodePathVariable, "/path/a~1b"},
		"path variable climbs":   {"get_customer", call.Request{Path: map[string]string{"id": ".."}}, call.CodePathVariable, "/path/id"},
		"body on a GET":          {"get_customer", call.Request{Path: map[string]string{"id": "x"}, Body: json.RawMessage(`{}`)}, call.CodeBody, "/body"},
		"no JSON":                {"create_note", call.Request{Body: json.RawMessage(`{`)}, call.CodeBody, "/body"},
		"no object for a form":   {"create_note", call.Request{Body: json.RawMessage(`[1]`)}, call.CodeBody, "/body"},
		"half a cent":            {"create_customer", call.Request{Body: json.RawMessage(`{"balance":"19.905","currency":"usd"}`)}, call.CodeBody, "/body/balance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{}`))
			out, err := b.Endpoint(t.Context(), c.endpoint, c.in)
			var f *integration.Failure
			if !errors.As(err, &f) || f.Code != c.code || f.Pointer != c.pointer || f.Message == "" || f.Hint == "" || f.Reason != "request" {
				t.Errorf("%+v", err)
			}
			if out != nil || len(b.provider.asked) != 0 || len(b.journal.calls) != 0 {
				t.Errorf("%+v, sent %d, recorded %d", out, len(b.provider.asked), len(b.journal.calls))
			}
		})
	}
}

// A value can't get out of its place in the path.
func TestPathValuesAreEscaped(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{"id":"x"}`))
	for _, value := range []string{"a/b", "../x", "a?b=c", "a#b", "a b", "ü", "{id}", "%2F"} {
		if _, err := b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": value}}); err != nil {
			t.Fatal(err)
		}
		r := b.provider.asked[len(b.provider.asked)-1]
		if got, want := r.URL.RequestURI(), "/v1/customers/"+url.PathEscape(value); got != want {
			t.Errorf("%q asks for %s, want %s", value, got, want)
		}
	}
}

// An error of the provider comes as a failure, with its answer beside it.
func TestEndpointRejected(t *testing.T) {
	t.Parallel()
	const declined = `{"error":{"code":"card_declined","message":"Your card was declined."}}`
	b := newBundle(t, parse(t, stripePlan), "development", answer(402, declined))
	out, err := b.Endpoint(t.Context(), "create_customer", call.Request{Body: json.RawMessage(`{"email":"a@b.c"}`)})
	var f *integration.Failure
	if !errors.As(err, &f) || f.ProviderCode != "card_declined" || f.Message != "The card was declined." || f.CallID != out.CallID || f.ProviderRequestID != "req_1" {
		t.Fatalf("%+v", err)
	}
	if out.Status != 402 || string(out.Body) != declined || out.Reason != "" {
		t.Errorf("%+v", out)
	}
}

// What the gateway decides itself says so.
func TestEndpointReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", silent)
		out, err := b.Endpoint(t.Context(), "create_note", call.Request{Body: json.RawMessage(`{"a":1}`)})
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != call.CodeUnknownOutcome || out.Reason != "timeout" || out.Status != 0 || out.Attempts != 1 {
			t.Errorf("%+v, %v", out, err)
		}
	})
}

// An answer that no longer fits the mapping: the call was made, and saying
// "failed" would invite a second one.
func TestAnswerDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a row": `{"id":7}`, "no JSON": `<html>`} {
		b := newBundle(t, parse(t, stripePlan), "development", answer(200, body))
		out, err := b.Endpoint(t.Context(), "create_customer", call.Request{Body: json.RawMessage(`{"email":"a@b.c"}`)})
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != call.CodeAnswer || f.Class != integration.ClassBroken || !strings.Contains(f.Hint, "Do not repeat") || f.CallID == "" {
			t.Errorf("%s: %+v", name, err)
		}
		var m *mapping.Error
		if name == "a row" && (!errors.As(err, &m) || !strings.Contains(f.Hint, "mapping.customer.id")) {
			t.Errorf("the row is not named: %v", err)
		}
		if out.Status != 200 || out.Body != nil || b.journal.only(t).State != integration.CallSucceeded {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// Nothing comes back from a 204, and that is well.
func TestEmptyAnswer(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(204, ""))
	out, err := b.Endpoint(t.Context(), "update_customer", call.Request{Path: map[string]string{"id": "cus_1"}})
	if err != nil || out.Status != 204 || out.Body != nil {
		t.Errorf("%+v, %v", out, err)
	}
	if r := b.provider.asked[0]; len(b.provider.sent[0]) != 0 || r.Header.Get("Content-Type") != "" {
		t.Errorf("sent %q with %v", b.provider.sent[0], r.Header)
	}
}

// An answer that breaks off in the middle is a network error, and a read is
// asked again.
func TestAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", func(r *http.Request) (*http.Response, error) {
			resp, err := answer(200, "")(r)
			resp.Body = &halfBody{}
			return resp, err
		}, answer(200, `{"id":"cus_1"}`))
		out, err := b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": "cus_1"}})
		if err != nil || out.Attempts != 2 {
			t.Errorf("%+v, %v", out, err)
		}
		if c := b.journal.only(t); c.Attempts[0].Class != integration.ClassNetwork || !c.Attempts[0].Sent {
			t.Errorf("%+v", c.Attempts[0])
		}
	})
}

type halfBody struct{}

func (*halfBody) Read([]byte) (int, error) { return 0, errors.New("connection reset by peer") }
func (*halfBody) Close() error             { return nil }
