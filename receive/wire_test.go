package receive_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// raw sends bytes as they are and returns what came back until the connection
// ends, or until the answer to the request is read.
func raw(t *testing.T, address string, then func(io.Writer, *bufio.Reader)) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	then(conn, bufio.NewReader(conn))
}

func status(t *testing.T, from *bufio.Reader) int {
	t.Helper()
	answer, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func serve(t *testing.T) (*bundle, string) {
	t.Helper()
	b := newBundle(t)
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	return b, server.Listener.Addr().String()
}

// A body that ends before its announced length is half an event: even where
// the half is rightly signed it is never kept.
func TestTruncatedBodyIsNeverKept(t *testing.T) {
	t.Parallel()
	b, address := serve(t)
	body := invoicePaid("evt_1")
	signature := signed(body, secret, clock).Header.Get("Stripe-Signature")
	heads := []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body)+10, body),
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", 90_000, body), // more than is set aside at once
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body),
	}
	for _, head := range heads {
		raw(t, address, func(w io.Writer, r *bufio.Reader) {
			fmt.Fprintf(w, "POST /api/webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: %s\r\n%s", signature, head)
			if half, ok := w.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			if got := status(t, r); got != http.StatusBadRequest {
				t.Errorf("answered %d", got)
			}
		})
	}
	if n := len(b.inbox.all()); n != 0 {
		t.Errorf("%d events kept", n)
	}
	if s := b.Stats("stripe"); s.Rejected["truncated"] != 3 {
		t.Errorf("counted %+v", s)
	}
}

func TestChunkedBody(t *testing.T) {
	t.Parallel()
	b, address := serve(t)
	body := invoicePaid("evt_1")
	signature := signed(body, secret, clock).Header.Get("Stripe-Signature")
	raw(t, address, func(w io.Writer, r *bufio.Reader) {
		fmt.Fprintf(w, "POST /api/webhooks/stripe HTTP/1.1\r\nHost: x\r\nStripe-Signature: %s\r\nTransfer-Encoding: chunked\r\n\r\n", signature)
		for part := range strings.SplitAfterSeq(body, ",") {
			fmt.Fprintf(w, "%x\r\n%s\r\n", len(part), part)
		}
		fmt.Fprint(w, "0\r\n\r\n")
		if got := status(t, r); got != http.StatusOK {
			t.Errorf("answered %d", got)
		}
	})
	if events := b.inbox.all(); len(events) != 1 || string(events[0].Payload) != body {
		t.Errorf("kept %v", events)
	}
}

// Expect: 100-continue asks before it sends: a body that is too large is
// refused before a byte of it is here.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	b, address := serve(t)
	body := invoicePaid("evt_1")
	signature := signed(body, secret, clock).Header.Get("Stripe-Signature")
	raw(t, address, func(w io.Writer, r *bufio.Reader) {
		fmt.Fprintf(w, "POST /api/webhooks/stripe HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n", signature, len(body))
		if got := status(t, r); got != http.StatusContinue {
			t.Fatalf("answered %d", got)
		}
		fmt.Fprint(w, body)
		if got := status(t, r); got != http.StatusOK {
			t.Errorf("answered %d", got)
		}
	})
	raw(t, address, func(w io.Writer, r *bufio.Reader) {
		fmt.Fprintf(w, "POST /api/webhooks/stripe HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", limit+1)
		if got := status(t, r); got != http.StatusRequestEntityTooLarge {
			t.Errorf("answered %d", got)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Error("the connection stays open for a body nobody reads")
		}
	})
	if len(b.inbox.all()) != 1 {
		t.Errorf("kept %d", len(b.inbox.all()))
	}
}

// A sender that hangs up while the commit is under way changes nothing: the
// event is kept, counted and worked on.
func TestSenderHangsUp(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.ServeHTTP(httptest.NewRecorder(), signed(invoicePaid("evt_1"), secret, clock).WithContext(ctx))
	if s := b.Stats("stripe"); s.Received != 1 || len(b.woken) != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() { // each event is sent twice
			if answer := b.answer(signed(invoicePaid(fmt.Sprint("evt_", n/2)), secret, clock)); answer.StatusCode != http.StatusOK {
				t.Errorf("answered %d", answer.StatusCode)
			}
		})
	}
	all.Wait()
	if s := b.Stats("stripe"); s.Received != 100 || s.Duplicate != 100 || len(b.inbox.all()) != 100 {
		t.Errorf("counted %+v, kept %d", s, len(b.inbox.all()))
	}
}

// GitHub names id and type in headers, and signs a body without a time.
func TestGitHub(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("github")
	if err != nil {
		t.Fatal(err)
	}
	kept := &inbox{}
	p := &plan.Plan{Service: "code", Provider: profile, Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{"issues": {}}}}
	receiver, err := receive.New(receive.Config{Inbox: kept, Services: []receive.Service{{Plan: p, Secrets: func() []integration.Secret { return wrapped([]string{secret}) }}}})
	if err != nil {
		t.Fatal(err)
	}
	body := `{"action":"opened"}`
	scheme, err := verify.Compile(profile.Webhooks.Verify)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/webhooks/code", strings.NewReader(body))
	r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	r.Header.Set("X-GitHub-Event", "issues")
	if err := scheme.Sign(&verify.Request{Header: r.Header, Body: []byte(body)}, integration.NewSecret(secret), clock); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	receiver.ServeHTTP(w, r)
	events := kept.all()
	if w.Code != http.StatusOK || len(events) != 1 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if e := events[0]; e.ExternalID != "72d3162e-cc78-11e3-81ab-4c9367dc0958" || !strings.HasPrefix(e.Type, "issues") || !e.OccurredAt.IsZero() {
		t.Errorf("kept %+v", e)
	}
	for header := range events[0].Header {
		if strings.Contains(header, "Signature") {
			t.Errorf("%s was kept", header)
		}
	}
}

// R5.2: a scheme that signs the address takes the public one, or the request's
// own where none is configured.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	for public, signedURL := range map[string]string{
		"https://hooks.example.com": "https://hooks.example.com/api/webhooks/stripe?x=1",
		"":                          "http://example.com/api/webhooks/stripe?x=1",
	} {
		p := stripePlan(t)
		p.Provider.Webhooks.Verify = catalog.Verification{
			Scheme: "hmac", Header: catalog.OneOrMore{"X-Sign"}, Algorithm: "hmac-sha256", Encoding: "hex",
			SignedContent: "{url}{body}", KeyEncoding: "utf8",
		}
		p.Provider.Webhooks.Variants = nil
		kept := &inbox{}
		receiver, err := receive.New(receive.Config{
			Inbox: kept, PublicURL: public,
			Services: []receive.Service{{Plan: p, Secrets: func() []integration.Secret { return wrapped([]string{secret}) }}},
		})
		if err != nil {
			t.Fatal(err)
		}
		scheme, err := verify.Compile(p.Provider.Webhooks.Verify)
		if err != nil {
			t.Fatal(err)
		}
		body := invoicePaid("evt_1")
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/stripe?x=1", strings.NewReader(body))
		sign := &verify.Request{Method: r.Method, URL: signedURL, Header: r.Header, Body: []byte(body)}
		if err := scheme.Sign(sign, integration.NewSecret(secret), clock); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		receiver.ServeHTTP(w, r)
		if w.Code != http.StatusOK || len(kept.all()) != 1 {
			t.Errorf("public URL %q: answered %d", public, w.Code)
		}
	}
}

// Whatever a stranger sends, nothing panics and nothing is kept.
func FuzzServeHTTP(f *testing.F) {
	body := invoicePaid("evt_1")
	f.Add("POST", "/api/webhooks/stripe", "application/json", "t=1795510800,v1=00", []byte(body))
	f.Add("POST", "/api/webhooks/stripe", "application/x-www-form-urlencoded", "t=,v1=", []byte("a=%zz&b"))
	f.Add("GET", "/api/webhooks/../stripe", "multipart/form-data", "", []byte(nil))
	f.Add("POST", "/api/webhooks/stripe", ";;;", "v1=,,,=t=9999999999999999999", []byte("\x00\xff{"))
	b := newBundle(f)
	f.Fuzz(func(t *testing.T, method, path, contentType, signature string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/api/webhooks/stripe", strings.NewReader(string(body)))
		r.Method, r.URL.Path = method, path
		r.Header["Content-Type"] = []string{contentType}
		r.Header["Stripe-Signature"] = []string{signature}
		answer := b.answer(r)
		if answer.StatusCode < 400 {
			t.Fatalf("answered %d", answer.StatusCode)
		}
		if !json.Valid([]byte(text(t, answer))) {
			t.Fatal("the answer is no JSON")
		}
		if len(b.inbox.all()) != 0 {
			t.Fatal("something unsigned was kept")
		}
	})
}

// FuzzSigned sends any body rightly signed: it is kept to the byte or refused,
// and never panics.
func FuzzSigned(f *testing.F) {
	f.Add([]byte(invoicePaid("evt_1")))
	f.Add([]byte(`{"id":"a","id":"b","type":"invoice.paid","created":1e400}`))
	f.Add([]byte(`{"id":{"deep":[1]},"type":["x"],"created":-1,"data":{"object":[]}}`))
	f.Add([]byte("{\"id\":\"\xff\",\"type\":\"\\ud800\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		b := newBundle(t)
		answer := b.answer(signed(string(body), secret, clock))
		kept := b.inbox.all()
		switch {
		case answer.StatusCode == http.StatusOK && len(kept) == 1:
			if string(kept[0].Payload) != string(body) || kept[0].ExternalID == "" || kept[0].Type == "" {
				t.Fatalf("kept %+v", kept[0])
			}
		case answer.StatusCode >= 400 && answer.StatusCode < 500 && len(kept) == 0:
		default:
			t.Fatalf("answered %d with %d kept", answer.StatusCode, len(kept))
		}
	})
}

// nothing keeps nothing, as fast as can be.
type nothing struct{}

func (nothing) Accept(context.Context, *integration.Event) (bool, error) { return true, nil }

// BenchmarkDoor is everything the door adds to a request before the store.
func BenchmarkDoor(b *testing.B) {
	receiver, err := receive.New(receive.Config{
		Inbox: nothing{}, Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler),
		Services: []receive.Service{{Plan: stripePlan(b), Secrets: func() []integration.Secret { return wrapped([]string{secret}) }}},
	})
	if err != nil {
		b.Fatal(err)
	}
	body := invoicePaid("evt_1")
	body = body[:len(body)-1] + `,"pad":"` + strings.Repeat("x", 2600-len(body)) + `"}`
	r := signed(body, secret, clock)
	source := strings.NewReader(body)
	r.Body = io.NopCloser(source)
	r.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	r.Header.Set("Accept", "*/*; q=0.5, application/xml")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(body)
		w := httptest.NewRecorder()
		receiver.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
