package call_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

// later puts a call into the queue and returns it as the store would lend it.
func (b *bundle) later(t *testing.T, method, url, body string) integration.Call {
	t.Helper()
	resp, err := b.TransportLater("acme", integration.EntryClient, call.Later{}).RoundTrip(request(t, method, url, body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Preference-Applied") != call.PreferAsync {
		t.Fatalf("answered %d %v", resp.StatusCode, resp.Header)
	}
	c := b.journal.calls[len(b.journal.calls)-1]
	if c.State != integration.CallQueued || !c.Async || c.ID != resp.Header.Get(call.HeaderCall) || resp.Header.Get("Location") != call.Location(c.ID) {
		t.Fatalf("%+v", c)
	}
	return c
}

// resume gives a call its turn and says how often a mark was made.
func (b *bundle) resume(t *testing.T, c integration.Call) (o integration.CallOutcome, marks int) {
	t.Helper()
	asked := len(b.provider.asked)
	o = b.Resume(t.Context(), &c, func(context.Context) error {
		if marks++; len(b.provider.asked) != asked {
			t.Error("marked after it was sent")
		}
		return nil
	})
	return o, marks
}

// R4.6, R4.7: a queued call goes through its turns under its own id and key; its
// retries wait in the queue, their number is the policy's, and the answer is
// kept for who comes back.
func TestResume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", answer(503, `{}`), answer(503, `{}`), answer(200, `{"id":"cus_1"}`, "Etag: x", "Set-Cookie: a=b"))
		c := b.later(t, http.MethodPost, customers, "email=a%40b.c")
		if len(b.provider.asked) != 0 || string(c.Body) != "email=a%40b.c" || !c.ExpiresAt.Equal(c.CreatedAt.Add(24*time.Hour)) {
			t.Fatalf("%d requests, %+v", len(b.provider.asked), c)
		}
		for n := 1; n <= 2; n++ {
			time.Sleep(time.Minute) // virtual
			begun := time.Now()
			o, marks := b.resume(t, c)
			if o.Call.State != integration.CallQueued || len(o.Call.Attempts) != n || o.Refused || !o.Call.DueAt.After(begun) || marks != 0 || !time.Now().Equal(begun) {
				t.Fatalf("turn %d: %+v, %d marks, took %s", n, o, marks, time.Since(begun))
			}
			if string(o.Call.Body) != string(c.Body) || o.Call.ID != c.ID || o.Call.Answer != nil {
				t.Fatalf("turn %d: %+v", n, o.Call)
			}
			c = o.Call
		}
		o, _ := b.resume(t, c)
		got := o.Call
		if got.State != integration.CallSucceeded || len(got.Attempts) != 3 || got.Attempts[2].Number != 3 || got.Status != 200 || got.FinishedAt.IsZero() {
			t.Fatalf("%+v", got)
		}
		if a := got.Answer; a == nil || a.Status != 200 || string(a.Body) != `{"id":"cus_1"}` || a.Header.Get("Etag") != "x" || a.Header.Get("Set-Cookie") != "" || !a.Until.Equal(time.Now().UTC().Add(24*time.Hour)) {
			t.Errorf("answer %+v", a)
		}
		for _, r := range b.provider.asked {
			if r.Header.Get("Idempotency-Key") != c.ID {
				t.Errorf("key %q, want %q", r.Header.Get("Idempotency-Key"), c.ID)
			}
		}
		if len(b.journal.calls) != 1 {
			t.Errorf("written down %d times beside the queue", len(b.journal.calls))
		}
	})
}

// The attempts of all turns together are the policy's; a person who asks again
// begins anew.
func TestResumeUsesUpItsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", answer(503, `{}`))
		c := b.later(t, http.MethodPost, customers, "email=a")
		for c.State == integration.CallQueued {
			o, _ := b.resume(t, c)
			c = o.Call
		}
		if c.State != integration.CallFailed || len(c.Attempts) != 4 || string(c.Body) != "email=a" {
			t.Fatalf("%+v", c)
		}
		c.State, c.KeptAs, c.RetriedAfter = integration.CallQueued, integration.CallFailed, 4
		if o, _ := b.resume(t, c); o.Call.State != integration.CallQueued || len(o.Call.Attempts) != 5 {
			t.Errorf("%+v", o.Call)
		}
	})
}

// R4.11: where the endpoint falls back to the queue, the call goes on until it
// expires, at growing distances.
func TestResumeUntilItExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, strings.Replace(stripePlan, "    send: customer\n", "    send: customer\n    fallback: queue\n", 1)), "development", answer(503, `{}`))
		c := b.later(t, http.MethodPost, customers, "email=a")
		turns, wait := 0, time.Duration(0)
		for c.State == integration.CallQueued {
			turns++
			if turns > 4 && c.DueAt.Before(c.ExpiresAt) {
				if next := time.Until(c.DueAt); next < wait {
					t.Fatalf("turn %d: waited %s, then %s", turns, wait, next)
				} else if wait = next; wait > 15*time.Minute {
					t.Fatalf("turn %d: waits for %s", turns, wait)
				}
			}
			time.Sleep(time.Until(c.DueAt)) // virtual
			o, _ := b.resume(t, c)
			c = o.Call
		}
		if c.State != integration.CallFailed || c.Failure.Code != call.CodeExpired || len(c.Attempts) != turns-1 || time.Since(c.CreatedAt) != 24*time.Hour {
			t.Errorf("after %d turns and %s: %+v, %v", turns, time.Since(c.CreatedAt), c, c.Failure)
		}
	})
}

// R4.6, R4.13: a turn that our own limit refuses costs no attempt, and nothing
// is sent.
func TestResumeRefusedTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, strings.Replace(stripePlan, "limits: {wait: 5s}", "limits: {wait: 1s}", 1))
		b := newBundle(t, p, "development", answer(429, `{}`, "Retry-After: 60"), answer(200, `{"id":"cus_1"}`))
		first := b.later(t, http.MethodPost, customers, "email=a")
		second := b.later(t, http.MethodPost, customers, "email=b")
		o, _ := b.resume(t, first) // the provider says "too many": everybody waits
		if o.Call.State != integration.CallQueued || time.Until(o.Call.DueAt) < time.Minute || len(o.Call.Attempts) != 1 {
			t.Fatalf("%+v", o)
		}
		o, _ = b.resume(t, second)
		if o.Call.State != integration.CallQueued || !o.Refused || len(o.Call.Attempts) != 0 || time.Until(o.Call.DueAt) < 50*time.Second || len(b.provider.asked) != 1 {
			t.Fatalf("%+v, %d requests", o, len(b.provider.asked))
		}
		time.Sleep(time.Until(o.Call.DueAt)) // virtual
		if o, _ = b.resume(t, o.Call); o.Call.State != integration.CallSucceeded || len(o.Call.Attempts) != 1 {
			t.Errorf("%+v", o)
		}
	})
}

// R4.7: what may have been sent and must not be sent twice is announced before
// it is sent, and is not sent when that fails; in doubt it is for a person.
func TestResumeInDoubt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url   string
		marks int
	}{
		"irreversible":         {"https://api.stripe.com/v1/payouts", 1},
		"create without a key": {"https://api.stripe.com/v1/notes", 1},
		"create with a key":    {customers, 0},
		"update":               {customers + "/cus_1", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{}`))
				queued := b.later(t, http.MethodPost, c.url, "a=b")
				if o, marks := b.resume(t, queued); o.Call.State != integration.CallSucceeded || marks != c.marks {
					t.Errorf("%d marks, %+v", marks, o.Call)
				}
				if c.marks > 0 {
					o := b.Resume(t.Context(), &queued, func(context.Context) error { return errors.New("the disk is full") })
					if o.Call.State != integration.CallQueued || o.Call.Failure.Code != call.CodeBegin || len(o.Call.Attempts) != 0 {
						t.Errorf("unannounced: %+v", o.Call)
					}
				}
				queued.InDoubt = true
				o, marks := b.resume(t, queued)
				if o.Call.State != integration.CallUnknown || o.Call.Failure.Code != call.CodeUnknownOutcome || marks != 0 || len(b.provider.asked) != 1 {
					t.Errorf("in doubt: %+v, %d requests", o.Call, len(b.provider.asked))
				}
			})
		})
	}
}

// R4.7: a key that the provider has forgotten protects from nothing.
func TestResumeForgottenKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", broken(errors.New("connection reset")))
		c := b.later(t, http.MethodPost, customers, "email=a")
		o, _ := b.resume(t, c)
		if o.Call.State != integration.CallQueued || !o.Call.Attempts[0].Sent {
			t.Fatalf("%+v", o.Call)
		}
		o.Call.ExpiresAt = time.Time{}
		time.Sleep(25 * time.Hour) // virtual
		if o, _ = b.resume(t, o.Call); o.Call.State != integration.CallUnknown || len(b.provider.asked) != 1 {
			t.Errorf("%+v", o.Call)
		}
	})
}

// A worker that stops gives back what it has not begun; what it had sent goes on
// or is unknown, by what a repeat would do.
func TestResumeStopped(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]integration.CallState{
		customers: integration.CallQueued, customers + "/cus_1": integration.CallQueued,
		"https://api.stripe.com/v1/notes": integration.CallUnknown, "https://api.stripe.com/v1/payouts": integration.CallUnknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBundle(t, parse(t, stripePlan), "development", silent)
			c := b.later(t, http.MethodPost, url, "a=b")
			ctx, stop := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, stop)
			o := b.Resume(ctx, &c, func(context.Context) error { return nil })
			if o.Released || o.Call.State != want || len(o.Call.Attempts) != 1 {
				t.Errorf("%s: %+v", url, o)
			}
			if o = b.Resume(ctx, &c, func(context.Context) error { return nil }); !o.Released && len(o.Call.Attempts) == 0 {
				t.Errorf("%s: not begun and not given back: %+v", url, o)
			}
		})
	}
}

// A call by an endpoint's name is answered in our own fields, also later.
func TestEndpointLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{"id":"cus_1","email":"a@b.c","balance":1990,"currency":"eur"}`))
		c, err := b.EndpointLater(t.Context(), "create_customer", call.Request{Tenant: "acme", Body: json.RawMessage(`{"email":"a@b.c"}`)}, call.Later{})
		if err != nil {
			t.Fatal(err)
		}
		o, _ := b.resume(t, *c)
		if o.Call.State != integration.CallSucceeded || o.Call.Answer == nil || !strings.Contains(string(o.Call.Answer.Body), `"stripeCustomerId":"cus_1"`) {
			t.Errorf("%+v", o.Call)
		}
		large := request(t, http.MethodPost, customers, strings.Repeat("x", call.MaxReplay+1))
		_, err = b.TransportLater("acme", integration.EntryClient, call.Later{}).RoundTrip(large)
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != call.CodeTooLarge {
			t.Errorf("%v", err)
		}
		b.journal.err = errors.New("the disk is full")
		_, err = b.TransportLater("acme", integration.EntryClient, call.Later{}).RoundTrip(request(t, http.MethodPost, customers, "a=b"))
		if !errors.As(err, &f) || f.Reason != call.ReasonNotKept {
			t.Errorf("accepted though not kept: %v", err)
		}
	})
}

// R4.7, R5.11: a person's word is enough to make a call again whose key the
// provider has forgotten; the log says so.
func TestResumeByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := parse(t, strings.Replace(stripePlan, "http://127.0.0.1:4010", "http://127.0.0.1:4010/base", 1))
		b := newBundle(t, p, "development", answer(503, ""), answer(200, `{"id":"cus_1"}`))
		c := b.later(t, http.MethodPost, customers+"?expand%5B%5D=x", "email=a")
		o, _ := b.resume(t, c)
		time.Sleep(25 * time.Hour) // virtual
		kept := o.Call
		kept.KeptAs, kept.RetriedAfter, kept.ExpiresAt = integration.CallFailed, 1, time.Now().Add(time.Hour)
		if o, _ = b.resume(t, kept); o.Call.State != integration.CallSucceeded || len(o.Call.Attempts) != 2 {
			t.Fatalf("%+v", o.Call)
		}
		if !strings.Contains(b.log.String(), "call.key_forgotten") {
			t.Error("nobody is told that the provider has forgotten the key after 24h")
		}
		first, last := b.provider.asked[0], b.provider.asked[1]
		if first.URL.String() != last.URL.String() || first.URL.Path != "/base/v1/customers" || string(b.provider.sent[0]) != string(b.provider.sent[1]) || last.Header.Get("Authorization") != "Bearer "+canary {
			t.Errorf("%s %q, then %s %q", first.URL, b.provider.sent[0], last.URL, b.provider.sent[1])
		}
	})
}

// What was not kept whole can't be made again, and goes back to the person.
func TestResumeNotWhole(t *testing.T) {
	t.Parallel()
	b := newBundle(t, parse(t, stripePlan), "development", answer(200, `{}`))
	c := b.later(t, http.MethodPost, customers, "email=a")
	c.Path, c.KeptAs = "/v1/customers?access_token=[redacted]", integration.CallUnknown
	var f *integration.Failure
	if err := b.Whole(&c); !errors.As(err, &f) || f.Code != call.CodeNotKept {
		t.Errorf("%v", err)
	}
	if o, _ := b.resume(t, c); o.Call.State != integration.CallUnknown || o.Call.Failure.Code != call.CodeNotKept || len(b.provider.asked) != 0 {
		t.Errorf("%+v", o.Call)
	}
}
