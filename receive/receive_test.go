package receive_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/receive"
)

// R0.5, R5.1, R5.7: verified, kept to the byte, then 200.
func TestKeepsWhatStripeSigned(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	body := invoicePaid("evt_1")
	r := signed(body, secret, clock)
	r.Header.Set("User-Agent", "Stripe/1.0")
	r.Header.Set("Authorization", "Bearer canary-header")
	r.Header.Set("Cookie", "session=canary-header")
	r.Header.Set("X-Hub-Signature", "canary-header")
	r.Header.Set("X-Internal-Api-Key", "canary-header")
	answer := b.answer(r)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("answered %d: %s", answer.StatusCode, text(t, answer))
	}
	events := b.inbox.all()
	if len(events) != 1 {
		t.Fatalf("%d events kept", len(events))
	}
	got := events[0]
	if answer.Header.Get(receive.EventHeader) != got.ID || len(got.ID) != 36 {
		t.Errorf("id %q, header %q", got.ID, answer.Header.Get(receive.EventHeader))
	}
	if string(got.Payload) != body {
		t.Errorf("the payload is not the exact bytes: %s", got.Payload)
	}
	want := integration.Event{
		ID: got.ID, Service: "stripe", ExternalID: "evt_1", Type: "invoice.paid", Subject: "in_1", Tenant: "acme",
		OccurredAt: time.Unix(1795510800, 0).UTC(), ReceivedAt: clock, DueAt: clock, Status: integration.EventReceived,
		Header: http.Header{"User-Agent": {"Stripe/1.0"}, "Content-Type": {"application/json; charset=utf-8"}}, Payload: []byte(body),
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("kept %+v\nwant %+v", *got, want)
	}
	if woken := <-b.woken; woken != got {
		t.Error("the worker was woken for another event")
	}
	if s := b.Stats("stripe"); s.Received != 1 || s.NotKept != 0 || len(s.Rejected) != 0 {
		t.Errorf("counted %+v", s)
	}
	for _, never := range []string{secret, "canary-header", "amount_due"} { // R2.10
		if strings.Contains(b.log.String(), never) {
			t.Errorf("the log holds %q: %s", never, b.log)
		}
	}
	for _, must := range []string{`"msg":"event.received"`, `"verdict":"received"`, got.ID, "evt_1", "invoice.paid", "acme", "took"} {
		if !strings.Contains(b.log.String(), must) {
			t.Errorf("the log lacks %s: %s", must, b.log)
		}
	}
}

// R5.1, R5.2, R5.6: every way a webhook is not taken, what the sender learns
// and what is counted. Nothing of it is ever kept.
func TestRefuses(t *testing.T) {
	t.Parallel()
	body := invoicePaid("evt_1")
	post := func(body string, header ...string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/stripe", strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return r
	}
	otherBody := signed(body, secret, clock).Header.Get("Stripe-Signature")
	multipart := signed(body, secret, clock)
	multipart.Header.Set("Content-Type", "Multipart/Form-Data; boundary=x")
	long := signed(strings.Repeat(" ", limit+1), secret, clock)
	longChunked := signed(strings.Repeat(" ", limit+1), secret, clock)
	longChunked.ContentLength = -1
	cases := map[string]struct {
		request *http.Request
		status  int
		code    string
		reason  string
	}{
		"unsigned":             {post(body), 401, "signature_refused", "unsigned"},
		"unsigned and empty":   {post(""), 401, "signature_refused", "unsigned"},
		"forged":               {signed(body, "whsec_guess", clock), 401, "signature_refused", "mismatch"},
		"changed on the way":   {post(strings.Replace(body, "1990", "1", 1), "Stripe-Signature", otherBody), 401, "signature_refused", "mismatch"},
		"late":                 {signed(body, secret, clock.Add(-301*time.Second)), 401, "signature_refused", "stale"},
		"early":                {signed(body, secret, clock.Add(301*time.Second)), 401, "signature_refused", "stale"},
		"unreadable signature": {post(body, "Stripe-Signature", "t=yesterday,v1=zz"), 401, "signature_refused", ""},
		"multipart":            {multipart, 415, "unsupported_media_type", "unsupported"},
		"too long, announced":  {long, 413, "body_too_large", "too_large"},
		"too long, chunked":    {longChunked, 413, "body_too_large", "too_large"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			answer := b.answer(c.request)
			var got problem.Problem
			if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
				t.Fatalf("no problem document: %v", err)
			}
			if answer.StatusCode != c.status || got.Status != c.status || got.Code != c.code || answer.Header.Get("Content-Type") != problem.ContentType {
				t.Errorf("answered %d %+v", answer.StatusCode, got)
			}
			if got.RequestID == "" || !strings.Contains(b.log.String(), got.RequestID) {
				t.Errorf("request id %q is not in the log: %s", got.RequestID, b.log)
			}
			if answer.Header.Get(receive.EventHeader) != "" {
				t.Error("a refused webhook has an event id")
			}
			if c.status == 401 && (got.Detail != "the signature was not accepted" || got.Hint != "") {
				t.Errorf("the sender learns why: %+v", got)
			}
			s := b.Stats("stripe")
			if c.reason != "" && s.Rejected[c.reason] != 1 {
				t.Errorf("counted %v", s)
			}
			if len(s.Rejected) != 1 || s.Received+s.Duplicate+s.Ignored+s.NotKept != 0 {
				t.Errorf("counted %v", s)
			}
			if n := len(b.inbox.all()); n != 0 {
				t.Errorf("%d events kept", n)
			}
			if len(b.woken) != 0 {
				t.Error("the worker was woken")
			}
			if !strings.Contains(b.log.String(), `"msg":"event.rejected"`) || strings.Contains(b.log.String(), secret) {
				t.Errorf("log: %s", b.log)
			}
		})
	}
}

func TestOnlyPostAtKnownServices(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		b := newBundle(t)
		r := signed(invoicePaid("evt_1"), secret, clock)
		r.Method = method
		answer := b.answer(r)
		if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: answered %d, Allow %q", method, answer.StatusCode, answer.Header.Get("Allow"))
		}
		if len(b.inbox.all()) != 0 {
			t.Errorf("%s: kept", method)
		}
	}
	for _, path := range []string{"/api/webhooks/", "/api/webhooks/github", "/api/webhooks/stripe/", "/api/webhooks/stripe/eu", "/api/webhooks//stripe"} {
		b := newBundle(t)
		r := signed(invoicePaid("evt_1"), secret, clock)
		r.URL.Path = path
		if answer := b.answer(r); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: answered %d", path, answer.StatusCode)
		}
		if len(b.inbox.all()) != 0 {
			t.Errorf("%s: kept", path)
		}
	}
}

// R5.4: a repeat is answered 200, counted, and neither kept nor worked on again.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for n := range 3 {
		answer := b.answer(signed(invoicePaid("evt_1"), secret, clock))
		if answer.StatusCode != http.StatusOK {
			t.Errorf("answered %d", answer.StatusCode)
		}
		if has := answer.Header.Get(receive.EventHeader) != ""; has != (n == 0) {
			t.Errorf("time %d: event header present: %v", n+1, has)
		}
	}
	if s := b.Stats("stripe"); s.Received != 1 || s.Duplicate != 2 {
		t.Errorf("counted %+v", s)
	}
	if len(b.inbox.all()) != 1 || len(b.woken) != 1 {
		t.Errorf("%d kept, woken %d times", len(b.inbox.all()), len(b.woken))
	}
}

// R5.9: a type that the plan does not use is kept as ignored and wakes nobody.
func TestIgnoresUnusedTypes(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	answer := b.answer(signed(`{"id":"evt_2","type":"radar.new","created":1795510800}`, secret, clock))
	events := b.inbox.all()
	if answer.StatusCode != http.StatusOK || len(events) != 1 || events[0].Status != integration.EventIgnored {
		t.Fatalf("answered %d, kept %v", answer.StatusCode, events)
	}
	if s := b.Stats("stripe"); s.Ignored != 1 || s.Received != 0 || len(b.woken) != 0 {
		t.Errorf("counted %+v, woken %d times", s, len(b.woken))
	}
}

// R5.2, R2.9: during a rotation either secret will do, and so will either of
// two signatures on one webhook.
func TestRotation(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secret, old)
	if answer := b.answer(signed(invoicePaid("evt_1"), old, clock)); answer.StatusCode != http.StatusOK {
		t.Errorf("the previous secret: %d", answer.StatusCode)
	}
	if answer := b.answer(signed(invoicePaid("evt_2"), secret, clock)); answer.StatusCode != http.StatusOK {
		t.Errorf("the current secret: %d", answer.StatusCode)
	}
	single := newBundle(t)
	both := signed(invoicePaid("evt_3"), old, clock)
	first := both.Header.Get("Stripe-Signature")
	_, second, _ := strings.Cut(signed(invoicePaid("evt_3"), secret, clock).Header.Get("Stripe-Signature"), ",")
	both.Header.Set("Stripe-Signature", first+","+second)
	if answer := single.answer(both); answer.StatusCode != http.StatusOK {
		t.Errorf("two signatures, the second ours: %d", answer.StatusCode)
	}
	if answer := single.answer(signed(invoicePaid("evt_4"), old, clock)); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a secret that is not valid any more: %d", answer.StatusCode)
	}
}

// R5.6: when we can't keep it, the provider must come again.
func TestNotKept(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"busy": integration.ErrBusy, "store failed": errors.New("disk full: canary-detail")} {
		b := newBundle(t)
		b.inbox.err = err
		answer := b.answer(signed(invoicePaid("evt_1"), secret, clock))
		body := text(t, answer)
		if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "5" {
			t.Errorf("%s: answered %d, Retry-After %q", name, answer.StatusCode, answer.Header.Get("Retry-After"))
		}
		if strings.Contains(body, "canary") || answer.Header.Get(receive.EventHeader) != "" {
			t.Errorf("%s: the sender learns too much: %s", name, body)
		}
		if s := b.Stats("stripe"); s.NotKept != 1 || s.Received != 0 || len(b.woken) != 0 {
			t.Errorf("%s: counted %+v", name, s)
		}
		if !strings.Contains(b.log.String(), `"msg":"event.not_kept"`) {
			t.Errorf("%s: log %s", name, b.log)
		}
		b.inbox.err = nil
		if answer := b.answer(signed(invoicePaid("evt_1"), secret, clock)); answer.StatusCode != http.StatusOK {
			t.Errorf("%s: the repeat was answered %d", name, answer.StatusCode)
		}
	}
}

// Without a secret nothing verifies, and that is our fault: the provider should
// come again when it is mended.
func TestNoSecret(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]string{"none": {}, "an empty one": {""}} {
		b := newBundle(t, secrets...)
		answer := b.answer(signed(invoicePaid("evt_1"), "", clock))
		if answer.StatusCode != http.StatusServiceUnavailable || len(b.inbox.all()) != 0 {
			t.Errorf("%s: answered %d and kept %d", name, answer.StatusCode, len(b.inbox.all()))
		}
	}
}

func TestMisspeltContentTypesDoNotLoseEvents(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for n, contentType := range []string{"", "json", "application/json; charset", "text/plain", "application/vnd.acme+json", ";"} {
		r := signed(invoicePaid("evt_"+string(rune('a'+n))), secret, clock)
		r.Header.Set("Content-Type", contentType)
		if answer := b.answer(r); answer.StatusCode != http.StatusOK {
			t.Errorf("%q: answered %d", contentType, answer.StatusCode)
		}
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	if _, err := receive.New(receive.Config{}); err == nil {
		t.Error("no inbox, no error")
	}
	broken := stripePlan(t)
	broken.Webhooks.Tenant = "yaml:a"
	broken.Webhooks.OrderBy = "json:"
	_, err := receive.New(receive.Config{Inbox: &inbox{}, Services: []receive.Service{{Plan: broken}}})
	if err == nil || !strings.Contains(err.Error(), "webhooks.tenant") || !strings.Contains(err.Error(), "webhooks.order_by") {
		t.Errorf("not every mistake is named: %v", err)
	}
	none := stripePlan(t)
	none.Provider.Webhooks = nil
	if _, err := receive.New(receive.Config{Inbox: &inbox{}, Services: []receive.Service{{Plan: none}}}); err == nil || !strings.Contains(err.Error(), "stripe") {
		t.Errorf("error %v", err)
	}
	later := stripePlan(t)
	later.Provider.Webhooks.Verify.Scheme = "ed25519"
	later.Provider.Webhooks.Variants = nil
	if _, err := receive.New(receive.Config{Inbox: &inbox{}, Services: []receive.Service{{Plan: later}}}); err == nil || !strings.Contains(err.Error(), "webhooks.verify") {
		t.Errorf("error %v", err)
	}
}
