package call_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// meeting is a plan whose update reads the customer on a conflict.
func meeting(t *testing.T, o *plan.OnConflict) *plan.Plan {
	t.Helper()
	p := parse(t, stripePlan)
	o.Read = "get_customer"
	p.Endpoints["update_customer"].OnConflict = o
	p.Endpoints["update_customer"].Idempotency = &plan.Idempotency{Header: "Idempotency-Key"}
	return p
}

// state answers reads with the customer as it is now and writes with the steps.
func state(body string, steps ...step) step {
	n := 0
	return func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			return answer(200, body, "ETag: \"7\"")(r)
		}
		n++
		return steps[min(n, len(steps))-1](r)
	}
}

// R4.5: on a 409 the state is read, merged, and sent once more with the fresh
// version; once, and under a key of its own.
func TestConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := meeting(t, &plan.OnConflict{Keep: "ours", Fields: map[string]string{"phone": "theirs"}, Version: &plan.FreshVersion{From: "header.ETag"}})
		b := newBundle(t, p, "development", state(`{"id":"cus_1","email":"old@x","phone":"2"}`, answer(409, `{"error":{"message":"moved"}}`), answer(200, `{"id":"cus_1"}`)))
		status, body, _, err := b.ask(t, request(t, http.MethodPost, customers+"/cus_1", "email=new%40x&phone=1"))
		if err != nil || status != 200 || body != `{"id":"cus_1"}` {
			t.Fatalf("got %d %s %v", status, body, err)
		}
		var writes []*http.Request
		var sent []url.Values
		for i, r := range b.provider.asked {
			if r.Method == http.MethodPost {
				writes = append(writes, r)
				v, err := url.ParseQuery(string(b.provider.sent[i]))
				if err != nil {
					t.Fatal(err)
				}
				sent = append(sent, v)
			}
		}
		if len(writes) != 2 || len(b.provider.asked) != 3 {
			t.Fatalf("%d writes of %d requests", len(writes), len(b.provider.asked))
		}
		if sent[1].Get("email") != "new@x" || sent[1].Has("phone") || writes[1].Header.Get("If-Match") != `"7"` || writes[0].Header.Get("If-Match") != "" {
			t.Errorf("sent %v with If-Match %q", sent[1], writes[1].Header.Get("If-Match"))
		}
		first, second := writes[0].Header.Get("Idempotency-Key"), writes[1].Header.Get("Idempotency-Key")
		if first == "" || second == "" || first == second {
			t.Errorf("keys %q and %q", first, second)
		}
	})
}

// R4.5: it is tried once; a second conflict is the caller's.
func TestConflictOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, meeting(t, &plan.OnConflict{Keep: "ours"}), "development", state(`{"id":"cus_1"}`, answer(409, `{}`)))
		status, _, _, err := b.ask(t, request(t, http.MethodPost, customers+"/cus_1", "email=a"))
		if err != nil || status != 409 || len(b.provider.asked) != 3 {
			t.Errorf("got %d %v after %d requests", status, err, len(b.provider.asked))
		}
	})
}

// R4.5: a field that a person must decide about is named, and nothing is sent.
func TestConflictFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, meeting(t, &plan.OnConflict{Keep: "fail"}), "development", state(`{"email":"theirs@x"}`, answer(409, `{}`)))
		_, err := b.Endpoint(t.Context(), "update_customer", call.Request{Path: map[string]string{"id": "cus_1"}, Body: []byte(`{"email":"ours@x"}`)})
		var f *integration.Failure
		if !errors.As(err, &f) || f.Class != integration.ClassConflict || f.Code != conflict.CodeFields || !strings.Contains(f.Message+f.Hint, "email") {
			t.Errorf("got %#v", err)
		}
		if n := len(b.provider.asked); n != 2 {
			t.Errorf("%d requests", n)
		}
	})
}

// R4.5: what gives way entirely ends in the state as it is, and is not sent.
func TestConflictNothingLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, meeting(t, &plan.OnConflict{Keep: "theirs"}), "development", state(`{"id":"cus_1","email":"theirs@x"}`, answer(409, `{}`)))
		status, body, _, err := b.ask(t, request(t, http.MethodPost, customers+"/cus_1", "email=ours%40x"))
		if err != nil || status != 200 || !strings.Contains(body, "theirs@x") || len(b.provider.asked) != 2 {
			t.Errorf("got %d %s %v after %d requests", status, body, err, len(b.provider.asked))
		}
	})
}

// R4.5: without the state there is nothing to merge with: the conflict stands.
func TestConflictStateNotReadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, meeting(t, &plan.OnConflict{Keep: "ours"}), "development", func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return answer(404, `{}`)(r)
			}
			return answer(409, `{}`)(r)
		})
		status, _, _, err := b.ask(t, request(t, http.MethodPost, customers+"/cus_1", "email=a"))
		if err != nil || status != 409 || len(b.provider.asked) != 2 {
			t.Errorf("got %d %v after %d requests", status, err, len(b.provider.asked))
		}
	})
}
