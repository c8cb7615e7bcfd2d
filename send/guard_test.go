package send_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/send"
)

// names is a DNS server that answers each question for an A record with the
// next of its addresses; the last one stays. Other records there are none.
func names(t *testing.T, addresses ...[4]byte) (*net.Resolver, *atomic.Int32) {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	asked := &atomic.Int32{}
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
				at := addresses[min(int(asked.Add(1))-1, len(addresses)-1)]
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: at}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	at := conn.LocalAddr().String()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", at)
	}}, asked
}

// Design decision 8: a name that changes its mind. What was looked up first was
// public; what is dialled is looked at again, whatever a look-up said before.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	_, port, err := net.SplitHostPort(host(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	for name, inside := range map[string][4]byte{"this machine": {127, 0, 0, 1}, "this network": {10, 0, 0, 1}, "the cloud's metadata": {169, 254, 169, 254}, "no host": {}} {
		t.Run(name, func(t *testing.T) {
			resolver, asked := names(t, [4]byte{1, 1, 1, 1}, inside)
			if first, err := resolver.LookupIPAddr(t.Context(), "rebind.test"); err != nil || first[0].String() != "1.1.1.1" {
				t.Fatal(first, err)
			}
			at := "rebind.test:" + port
			_, err = get(t, transport(t, send.Config{Hosts: []string{at}, Resolver: resolver}), "https://"+at)
			wantCode(t, err, "egress_address")
			if asked.Load() != 2 {
				t.Errorf("looked up %d times: what was looked at must be what is dialled", asked.Load()-1)
			}
		})
	}
	if reached.Load() != 0 {
		t.Error("the request got through")
	}
}

// A name is looked up once a connection: the address that was looked at is the
// one that is dialled.
func TestResolvedOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	defer server.Close()
	_, port, err := net.SplitHostPort(host(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	resolver, asked := names(t, [4]byte{127, 0, 0, 1}, [4]byte{169, 254, 169, 254})
	at := "sandbox.test:" + port
	rt := transport(t, send.Config{Hosts: []string{at}, Resolver: resolver, AllowPrivate: true})
	resp, err := get(t, rt, "http://"+at)
	if err != nil || resp.StatusCode != http.StatusOK || asked.Load() != 1 {
		t.Fatal(err, asked.Load())
	}
}

// A proxy named in the environment would resolve names by itself, and see
// everything.
func TestEnvironmentProxy(t *testing.T) {
	var seen atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer proxy.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "direct") }))
	defer server.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	_, port, err := net.SplitHostPort(host(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	resolver, _ := names(t, [4]byte{127, 0, 0, 1})
	at := "sandbox.test:" + port
	resp, err := get(t, transport(t, send.Config{Hosts: []string{at}, Resolver: resolver, AllowPrivate: true}), "http://"+at)
	if err != nil || resp.StatusCode != http.StatusOK || seen.Load() != 0 {
		t.Errorf("%v; the proxy was asked %d times", err, seen.Load())
	}
}

// R4.8: what net/http would not write did not leave, and the value of a header,
// which may be a credential, is not told.
func TestMalformed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	plain, second := httptest.NewServer(handler), h2(t, handler)
	defer plain.Close()
	for proto, to := range map[string]*httptest.Server{"HTTP/1.1": plain, "HTTP/2": second} {
		for name, change := range map[string]func(*http.Request){
			"a line break in a header":       func(r *http.Request) { r.Header["X-A"] = []string{"secret\r\nHost: evil.test"} },
			"a line feed in a header":        func(r *http.Request) { r.Header["X-A"] = []string{"secret\n"} },
			"a zero byte in a header":        func(r *http.Request) { r.Header["X-A"] = []string{"secret\x00"} },
			"a line break in a header name":  func(r *http.Request) { r.Header["X-A\r\nX-B"] = []string{"secret"} },
			"a space in a header name":       func(r *http.Request) { r.Header["X A"] = []string{"secret"} },
			"no header name":                 func(r *http.Request) { r.Header[""] = []string{"secret"} },
			"a line break in the method":     func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: secret\r\n\r\nGET" },
			"a line break in the query":      func(r *http.Request) { r.URL.RawQuery = "a=1 HTTP/1.1\r\nX: secret" },
			"a line break in a trailer":      func(r *http.Request) { r.Trailer = http.Header{"X-A": {"secret\r\n"}} },
			"a header of the connection's":   func(r *http.Request) { r.Header["X-A"] = []string{"\r\nTransfer-Encoding: chunked\r\n\r\nsecret"} },
			"a line break in the RawPath":    func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a", "/a\r\nsecret" },
			"a line break in the plain path": nil,
		} {
			t.Run(proto+" "+name, func(t *testing.T) {
				t.Parallel()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.URL+"/v1", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				if change == nil || name == "a line break in the RawPath" {
					if r.URL.Path = "/a\r\nX: y"; r.URL.RequestURI() != "/a%0D%0AX:%20y" {
						t.Errorf("a path that is written as %q", r.URL.RequestURI())
					}
					return
				}
				change(r)
				_, err = trusting(t, to).RoundTrip(r)
				var f *integration.Failure
				if !errors.As(err, &f) || f.Code != "egress_malformed" || f.Class != integration.ClassInvalid {
					t.Fatalf("%v", err)
				}
				if text := f.Err.Error() + f.Message + f.Hint; name != "a line break in the method" && contains(text, "secret") {
					t.Errorf("it tells the value: %s", text)
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := reached.Load(); n != 0 {
			t.Errorf("%d requests arrived", n)
		}
	})
}
