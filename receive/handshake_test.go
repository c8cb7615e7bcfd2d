package receive_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/verify"
)

// tryout is a door whose profile has handshakes of all shapes.
type tryout struct {
	*receive.Receiver
	inbox   *inbox
	log     *lines
	secrets []integration.Secret
	visited []string
	keepErr error
}

const tokenHeader = "X-Token"

func newTryout(t *testing.T, change func(*receive.Config, *receive.Service, *catalog.Webhooks), secrets ...string) *tryout {
	t.Helper()
	any := func(path string) map[string]catalog.OneOrMore { return map[string]catalog.OneOrMore{path: {"*"}} }
	facts := &catalog.Webhooks{
		Verify: catalog.Verification{Scheme: "shared_token", Header: catalog.OneOrMore{tokenHeader}},
		ID:     []string{"json:id"}, Type: []string{"json:type"},
		Handshakes: []catalog.Handshake{
			{Name: "echo", Method: catalog.OneOrMore{"GET", "HEAD"}, When: any("query:challenge"), Answer: catalog.HandshakeAnswer{Type: "text/plain", Body: "{query:challenge}"}},
			{Name: "ping", When: map[string]catalog.OneOrMore{"json:type": {"ping"}}, SignedBy: "verify", Answer: catalog.HandshakeAnswer{Status: 204}},
			{Name: "secret", When: any("header:X-Hook-Secret"), Store: "header:X-Hook-Secret", Answer: catalog.HandshakeAnswer{Header: map[string]string{"X-Hook-Secret": "{header:X-Hook-Secret}"}}},
			{Name: "confirm", When: any("json:confirm"), SignedBy: "verify", Visit: "json:confirm", VisitHosts: []string{"confirm.example.com"}},
		},
	}
	b := &tryout{inbox: &inbox{}, log: &lines{}, secrets: wrapped(secrets)}
	s := receive.Service{
		Plan: &plan.Plan{
			Service: "tryout", Provider: &catalog.Profile{ID: "tryout", Webhooks: facts},
			Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{"paid": {}}},
		},
		Secrets: func() []integration.Secret { return b.secrets },
		Keep: func(_ context.Context, s integration.Secret) error {
			if b.keepErr == nil {
				b.secrets = append(b.secrets, s)
			}
			return b.keepErr
		},
		Visit: func(_ context.Context, address string) error { b.visited = append(b.visited, address); return nil },
	}
	c := receive.Config{Inbox: b.inbox, Log: slog.New(slog.NewJSONHandler(b.log, nil)), Now: func() time.Time { return clock }}
	if change != nil {
		change(&c, &s, facts)
	}
	c.Services = []receive.Service{s}
	var err error
	if b.Receiver, err = receive.New(c); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tryout) send(t *testing.T, method, query, body string, headers ...string) *http.Response {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, receive.Prefix+"tryout"+query, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, req)
	return w.Result()
}

func answered(t *testing.T, name string, resp *http.Response, status int, body string) {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || status < 300 && string(got) != body {
		t.Errorf("%s: %d %q, %v; want %d %q", name, resp.StatusCode, got, err, status, body)
	}
}

// R5.3: handshakes are answered, by any method they come with, and none of them
// is kept as an event.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	b := newTryout(t, nil, "a-token")
	resp := b.send(t, http.MethodGet, "?challenge=abc%201", "")
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("headers %v", resp.Header)
	}
	answered(t, "echo", resp, 200, "abc 1")
	answered(t, "head", b.send(t, http.MethodHead, "?challenge=abc", ""), 200, "")
	answered(t, "a script", b.send(t, http.MethodGet, "?challenge=%3Cscript%3E", ""), 401, "")
	resp = b.send(t, http.MethodGet, "", "")
	if allow := resp.Header.Get("Allow"); allow != "POST, GET, HEAD" {
		t.Errorf("allow %q", allow)
	}
	answered(t, "a person", resp, 405, "")
	answered(t, "put", b.send(t, http.MethodPut, "?challenge=a", ""), 405, "")
	answered(t, "ping", b.send(t, http.MethodPost, "", `{"type":"ping"}`, tokenHeader, "a-token"), 204, "")
	answered(t, "ping of a stranger", b.send(t, http.MethodPost, "", `{"type":"ping"}`, tokenHeader, "b"), 401, "")
	answered(t, "unsigned ping", b.send(t, http.MethodPost, "", `{"type":"ping"}`), 401, "")
	if n := len(b.inbox.all()); n != 0 {
		t.Errorf("%d events are kept", n)
	}
	answered(t, "event", b.send(t, http.MethodPost, "", `{"id":"1","type":"paid"}`, tokenHeader, "a-token"), 200, "")
	s := b.Stats("tryout")
	if len(b.inbox.all()) != 1 || s.Handshake != 3 || s.Received != 1 || s.Rejected["mismatch"] != 2 || s.Rejected["unsigned"] != 1 {
		t.Errorf("%+v", s)
	}
}

// R5.3: a delivered secret is kept before the answer, verifies from then on, and
// is never replaced by a stranger nor written to the log.
func TestDeliveredSecret(t *testing.T) {
	t.Parallel()
	b := newTryout(t, nil)
	const first, second = "delivered-secret-1", "delivered-secret-2"
	b.keepErr = errors.New("disk full")
	answered(t, "not kept", b.send(t, http.MethodPost, "", "", "X-Hook-Secret", first), 503, "")
	b.keepErr = nil
	resp := b.send(t, http.MethodPost, "", "", "X-Hook-Secret", first)
	if resp.Header.Get("X-Hook-Secret") != first {
		t.Errorf("headers %v", resp.Header)
	}
	answered(t, "kept", resp, 200, "")
	answered(t, "said again", b.send(t, http.MethodPost, "", "", "X-Hook-Secret", first), 200, "")
	answered(t, "a stranger's", b.send(t, http.MethodPost, "", "", "X-Hook-Secret", second), 401, "")
	answered(t, "event", b.send(t, http.MethodPost, "", `{"id":"1","type":"paid"}`, tokenHeader, first), 200, "")
	answered(t, "event of a stranger", b.send(t, http.MethodPost, "", `{"id":"2","type":"paid"}`, tokenHeader, second), 401, "")
	if len(b.secrets) != 1 || strings.Contains(b.log.String(), first) || strings.Contains(b.log.String(), second) {
		t.Errorf("%d secrets; log: %s", len(b.secrets), b.log)
	}
	none := newTryout(t, func(_ *receive.Config, s *receive.Service, _ *catalog.Webhooks) { s.Keep = nil })
	answered(t, "nothing to keep it", none.send(t, http.MethodPost, "", "", "X-Hook-Secret", first), 503, "")
}

// stuck is an inbox that keeps nothing until it is let go.
type stuck struct {
	waiting chan struct{}
	release chan struct{}
}

func (s *stuck) Accept(context.Context, *integration.Event) (bool, error) {
	s.waiting <- struct{}{}
	<-s.release
	return true, nil
}

// R5.3, R5.5: no handshake waits for the store but one that brings a secret, and
// that one is told to come again before the provider gives up.
func TestHandshakesWhileTheStoreIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inbox := &stuck{waiting: make(chan struct{}, 100), release: make(chan struct{})}
		var kept error
		b := newTryout(t, func(c *receive.Config, s *receive.Service, _ *catalog.Webhooks) {
			c.Inbox = inbox
			s.Keep = func(ctx context.Context, _ integration.Secret) error {
				<-ctx.Done()
				kept = context.Cause(ctx)
				return kept
			}
		}, "a-token")
		var events sync.WaitGroup
		for i := range 100 {
			events.Go(func() {
				b.send(t, http.MethodPost, "", fmt.Sprintf(`{"id":"%d","type":"paid"}`, i), tokenHeader, "a-token").Body.Close()
			})
		}
		for range 100 {
			<-inbox.waiting
		}
		began := time.Now()
		answered(t, "echo", b.send(t, http.MethodGet, "?challenge=abc", ""), 200, "abc")
		answered(t, "ping", b.send(t, http.MethodPost, "", `{"type":"ping"}`, tokenHeader, "a-token"), 204, "")
		if took := time.Since(began); took != 0 { // in virtual time: nothing was waited for
			t.Errorf("the answers took %s", took)
		}
		b.secrets = nil
		answered(t, "secret", b.send(t, http.MethodPost, "", "", "X-Hook-Secret", "delivered-secret-1"), 503, "")
		if took := time.Since(began); took < time.Second || took > 3*time.Second || kept == nil {
			t.Errorf("it took %s: %v", took, kept)
		}
		close(inbox.release)
		events.Wait()
	})
}

// R5.3: an address is visited for a signed request alone, and only at the hosts
// of the profile.
func TestConfirmByVisit(t *testing.T) {
	t.Parallel()
	b := newTryout(t, nil, "a-token")
	const address = "https://confirm.example.com/?token=1"
	answered(t, "unsigned", b.send(t, http.MethodPost, "", `{"confirm":"`+address+`"}`), 401, "")
	answered(t, "elsewhere", b.send(t, http.MethodPost, "", `{"confirm":"https://evil.test/"}`, tokenHeader, "a-token"), 401, "")
	if len(b.visited) > 0 {
		t.Errorf("visited %v", b.visited)
	}
	answered(t, "signed", b.send(t, http.MethodPost, "", `{"confirm":"`+address+`"}`, tokenHeader, "a-token"), 200, "")
	if len(b.visited) != 1 || b.visited[0] != address {
		t.Errorf("visited %v", b.visited)
	}
}

// R5.5: the answer is the one the provider insists on, for events that are kept
// and for repeats; a wrong signature gets the status that it takes for one.
func TestProviderAnswers(t *testing.T) {
	t.Parallel()
	b := newTryout(t, func(_ *receive.Config, _ *receive.Service, w *catalog.Webhooks) {
		w.Answer = catalog.WebhookAnswer{Success: 202, Body: "[accepted]", Refused: 498}
	}, "a-token")
	for _, name := range []string{"first", "repeat"} {
		answered(t, name, b.send(t, http.MethodPost, "", `{"id":"1","type":"paid"}`, tokenHeader, "a-token"), 202, "[accepted]")
	}
	answered(t, "ignored", b.send(t, http.MethodPost, "", `{"id":"2","type":"other"}`, tokenHeader, "a-token"), 202, "[accepted]")
	answered(t, "wrong", b.send(t, http.MethodPost, "", `{"id":"3","type":"paid"}`, tokenHeader, "b"), 498, "")
	b.inbox.err = integration.ErrBusy
	answered(t, "busy", b.send(t, http.MethodPost, "", `{"id":"4","type":"paid"}`, tokenHeader, "a-token"), 503, "")
}

// keyServer is a verify.Keys that may be down.
type keyServer struct {
	keys verify.KeySet
	err  error
}

func (k *keyServer) Keys(_ context.Context, n verify.Need) ([]verify.Key, error) {
	return k.keys.For(n.KeyID), k.err
}

// R5.2, R5.6: a published key verifies; while it can't be had the provider is
// asked to come again, and a forgery is still a forgery.
func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := &keyServer{keys: verify.KeySet{{ID: "k1", Public: public}}}
	b := newTryout(t, func(c *receive.Config, _ *receive.Service, w *catalog.Webhooks) {
		c.Keys = server
		w.Verify = catalog.Verification{
			Scheme: "ed25519", Algorithm: "ed25519", Header: catalog.OneOrMore{"X-Signature"}, Encoding: "hex", SignedContent: "{body}", KeyEncoding: "hex_public_key",
			Keys: &catalog.KeySource{URL: "https://keys.example.com/jwks", Format: "jwks", KeyID: "header:X-Key"},
		}
	})
	const body = `{"id":"1","type":"paid"}`
	sig := hex.EncodeToString(ed25519.Sign(private, []byte(body)))
	server.err = errors.New("503")
	answered(t, "down", b.send(t, http.MethodPost, "", body, "X-Signature", sig, "X-Key", "k1"), 503, "")
	server.err = nil
	answered(t, "unknown key", b.send(t, http.MethodPost, "", body, "X-Signature", sig, "X-Key", "k2"), 401, "")
	answered(t, "forged", b.send(t, http.MethodPost, "", body+" ", "X-Signature", sig, "X-Key", "k1"), 401, "")
	answered(t, "signed", b.send(t, http.MethodPost, "", body, "X-Signature", sig, "X-Key", "k1"), 200, "")
	if n := len(b.inbox.all()); n != 1 {
		t.Errorf("%d events", n)
	}
}

// A profile whose handshake can't work is found when the gateway starts.
func TestHandshakeOfNoVariant(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]catalog.Handshake{
		"signed_by: there is no variant": {Name: "x", Method: catalog.OneOrMore{"GET"}, SignedBy: "install"},
		"handshakes[0] \"\": name":       {},
	} {
		_, err := receive.New(receive.Config{Inbox: &inbox{}, Services: []receive.Service{{Plan: &plan.Plan{
			Service: "x", Webhooks: &plan.Webhooks{}, Provider: &catalog.Profile{Webhooks: &catalog.Webhooks{
				Verify: catalog.Verification{Scheme: "basic_auth", Header: catalog.OneOrMore{"Authorization"}}, Handshakes: []catalog.Handshake{h},
			}},
		}}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
