package deliver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// R5.8: while secrets are swapped the official library accepts a delivery by the
// old one and by the new one, and by no other.
func TestEitherSecretVerifies(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body []byte
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		header = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
		return answer(http.StatusOK)
	})
	encoded := "whsec_" + base64.StdEncoding.EncodeToString([]byte("the new secret, in base64"))
	secrets := []integration.Secret{integration.NewSecret("the old secret"), integration.NewSecret(encoded)}
	d, err := deliver.New(deliver.Config{
		Services:  []deliver.Service{{Plan: testPlan("https://billing.example/"), Secrets: func(string) []integration.Secret { return secrets }}},
		Transport: transport, Log: slog.New(slog.DiscardHandler), Dice: func() float64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if out := d.Deliver(t.Context(), testEvent("invoice.paid", paid)); out.Status != integration.EventProcessed {
		t.Fatalf("outcome %+v", out)
	}
	older, err := standardwebhooks.NewWebhookRaw([]byte("the old secret"))
	if err != nil {
		t.Fatal(err)
	}
	newer, err := standardwebhooks.NewWebhook(encoded)
	if err != nil {
		t.Fatal(err)
	}
	other, err := standardwebhooks.NewWebhookRaw([]byte("another secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, hook := range map[string]*standardwebhooks.Webhook{"the old one": older, "the new one": newer} {
		if err := hook.Verify(body, header); err != nil {
			t.Errorf("%s does not verify: %v", name, err)
		}
		if hook.Verify(append([]byte(" "), body...), header) == nil {
			t.Errorf("%s verifies another body", name)
		}
	}
	if other.Verify(body, header) == nil {
		t.Error("a third one verifies")
	}
	if n := len(strings.Fields(header.Get("Webhook-Signature"))); n != 2 || len(header.Values("Webhook-Signature")) != 1 {
		t.Errorf("%d signatures in %v", n, header)
	}
}

// R5.8: who answers 410 gets no second attempt of that event, and is shown as
// gone until it takes one again.
func TestGoneIsShown(t *testing.T) {
	t.Parallel()
	h := newHosts()
	h.status("a", http.StatusGone)
	d := newBundle(t, h, canary, capped(nil))
	if s := destinationOf(t, d, "a"); !s.Gone.IsZero() {
		t.Errorf("gone before it was asked: %+v", s)
	}
	out := d.Deliver(t.Context(), to("a"))
	if out.Status != integration.EventFailed || !out.DueAt.IsZero() || !strings.Contains(out.Error, "410") {
		t.Errorf("outcome %+v", out)
	}
	if s := destinationOf(t, d, "a"); s.Gone.IsZero() || !s.BackingOffUntil.IsZero() {
		t.Errorf("after 410: %+v", s)
	}
	if s := destinationOf(t, d, "b"); !s.Gone.IsZero() {
		t.Errorf("the other one: %+v", s)
	}
	h.status("a", http.StatusInternalServerError)
	d.Deliver(t.Context(), to("a"))
	if s := destinationOf(t, d, "a"); s.Gone.IsZero() {
		t.Error("an error brought it back")
	}
	h.status("a", http.StatusOK)
	d.Deliver(t.Context(), to("a"))
	if s := destinationOf(t, d, "a"); !s.Gone.IsZero() {
		t.Errorf("it takes events again: %+v", s)
	}
}

// R5.8: of an answer no more is read than is of use: neither its length nor its
// slowness holds a worker, and its status counts.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		status integration.EventStatus
	}{
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := bytes.Repeat([]byte("x"), 64<<10)
			for range 1 << 14 { // a gigabyte, unless nobody reads
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
			t.Error("somebody read a gigabyte")
		}, integration.EventProcessed},
		"dripping": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, integration.EventProcessed},
		"giant header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Giant", strings.Repeat("x", 1<<20))
		}, integration.EventReceived},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.answer)
			t.Cleanup(server.Close)
			d := newBundle(t, nil, canary, func(p *plan.Plan) {
				p.Destinations["billing"] = plan.Destination{URL: server.URL, Secret: catalog.OneOrMore{"env:X"}, Timeout: plan.Duration(time.Second)}
			})
			if out := d.Deliver(t.Context(), testEvent("invoice.paid", paid)); out.Status != c.status {
				t.Errorf("outcome %+v", out)
			}
			d.Close()
		})
	}
}

// R5.8: a redirect is no way to another address.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		d := newBundle(t, nil, canary, func(p *plan.Plan) {
			p.Destinations["billing"] = plan.Destination{URL: server.URL, Secret: catalog.OneOrMore{"env:X"}}
		})
		out := d.Deliver(t.Context(), testEvent("invoice.paid", paid))
		if out.Status != integration.EventReceived || !strings.Contains(out.Error, "redirects are not followed") {
			t.Errorf("%d: %+v", status, out)
		}
		d.Close()
		server.Close()
	}
	if reached.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

// metadata is a DNS server for which every name is the address.
func metadata(t *testing.T, address [4]byte) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		packet := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: address}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	at := conn.LocalAddr().String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", at)
	}}
}

// R5.8: deliveries reach the owner's own network, and no link-local or metadata
// address, whatever name leads there.
func TestEgressOfDeliveries(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	deliverTo := func(url string, resolver *net.Resolver) integration.Outcome {
		d := newBundle(t, deliver.TransportResolving(resolver), canary, func(p *plan.Plan) {
			p.Destinations["billing"] = plan.Destination{URL: url, Secret: catalog.OneOrMore{"env:X"}}
		})
		defer d.Close()
		return d.Deliver(t.Context(), testEvent("invoice.paid", paid))
	}
	inside := metadata(t, [4]byte{127, 0, 0, 1})
	if out := deliverTo(fmt.Sprintf("http://inside.test:%s/", port), inside); out.Status != integration.EventProcessed || reached.Load() != 1 {
		t.Errorf("a private address: %+v", out)
	}
	cloud := metadata(t, [4]byte{169, 254, 169, 254})
	for _, url := range []string{
		"http://169.254.169.254/", "http://[fe80::1%25lo]/", "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/", "http://metadata.test/", "https://metadata.test/",
	} {
		out := deliverTo(url, cloud)
		if out.Status != integration.EventReceived || !strings.Contains(out.Error, "egress refused") {
			t.Errorf("%s: %+v", url, out)
		}
	}
}
