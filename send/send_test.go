package send_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/send"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func transport(t *testing.T, c send.Config) *send.Transport {
	t.Helper()
	s, err := send.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.CloseIdleConnections)
	return s
}

func get(t *testing.T, rt http.RoundTripper, address string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err == nil {
		t.Cleanup(func() { resp.Body.Close() })
	}
	return resp, err
}

func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var f *integration.Failure
	if !errors.As(err, &f) || f.Code != code {
		t.Fatalf("got %v, want a failure with code %s", err, code)
	}
	if f.Reason != "egress" || f.Hint == "" || f.Err == nil {
		t.Errorf("the refusal says too little: %+v", f)
	}
}

// Design decision 8: only hosts of the plan, and nothing inside the network.
func TestEgress(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	at := host(t, server.URL)
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		config send.Config
		url    string
		code   string
	}{
		{"a host of nobody's", send.Config{Hosts: []string{"api.example.com"}, AllowPrivate: true}, server.URL, "egress_host"},
		{"another port", send.Config{Hosts: []string{"127.0.0.1"}, AllowPrivate: true}, server.URL, "egress_host"},
		{"a look-alike", send.Config{Hosts: []string{"api.example.com"}}, "https://api.example.com.evil.test/", "egress_host"},
		{"without TLS", send.Config{Hosts: []string{at}}, server.URL, "egress_cleartext"},
		{"another scheme", send.Config{Hosts: []string{at}, AllowPrivate: true}, "ftp://" + at, "egress_scheme"},
		{"loopback", send.Config{Hosts: []string{at}}, "https://" + at, "egress_address"},
		{"loopback by name", send.Config{Hosts: []string{"localhost:" + port}}, "https://localhost:" + port, "egress_address"},
		{"IPv4 in IPv6", send.Config{Hosts: []string{"[::ffff:127.0.0.1]:" + port}}, "https://[::ffff:127.0.0.1]:" + port, "egress_address"},
		{"the cloud's metadata, even in development", send.Config{Hosts: []string{"169.254.169.254"}, AllowPrivate: true}, "http://169.254.169.254/latest", "egress_address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := get(t, transport(t, c.config), c.url)
			wantCode(t, err, c.code)
		})
	}
	t.Cleanup(func() {
		if n := asked.Load(); n != 0 {
			t.Errorf("%d requests got through", n)
		}
	})
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.test/", http.StatusFound)
	}))
	defer server.Close()
	resp, err := get(t, transport(t, send.Config{Hosts: []string{strings.ToUpper(host(t, server.URL))}, AllowPrivate: true}), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusFound {
		t.Errorf("status %d: a redirect must be handed back, not followed", resp.StatusCode)
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s := transport(t, send.Config{Hosts: []string{host(t, server.URL)}, AllowPrivate: true, RootCAs: roots})
	resp, err := get(t, s, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "HTTP/2.0" {
		t.Errorf("spoke %s, %v", body, err)
	}
}

// R4.8: what failed before sending says so, and which clock ran out.
func TestNotSent(t *testing.T) {
	t.Parallel()
	closed := listen(t)
	address := closed.Addr().String()
	closed.Close()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		_, err := get(t, transport(t, send.Config{Hosts: []string{address}, AllowPrivate: true}), "http://"+address)
		notSent(t, err, "connect", false)
	})
	t.Run("certificate of nobody", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewTLSServer(http.NotFoundHandler())
		t.Cleanup(server.Close)
		server.Config.ErrorLog = nil
		_, err := get(t, transport(t, send.Config{Hosts: []string{host(t, server.URL)}, AllowPrivate: true}), server.URL)
		notSent(t, err, "TLS handshake", false)
		var certificate x509.UnknownAuthorityError
		if !errors.As(err, &certificate) {
			t.Errorf("the cause is lost: %v", err)
		}
	})
	t.Run("silent handshake", func(t *testing.T) {
		t.Parallel()
		silent := listen(t)
		t.Cleanup(func() { silent.Close() })
		s := transport(t, send.Config{Hosts: []string{silent.Addr().String()}, AllowPrivate: true, TLSTimeout: 20 * time.Millisecond})
		_, err := get(t, s, "https://"+silent.Addr().String())
		notSent(t, err, "TLS handshake", true)
	})
}

func notSent(t *testing.T, err error, step string, timeout bool) {
	t.Helper()
	var e *send.Error
	if !errors.As(err, &e) || e.Step != step || e.Timeout() != timeout || !e.NotSent() {
		t.Fatalf("got %v, want a failed %s, timed out: %v", err, step, timeout)
	}
	if timeout && !strings.Contains(err.Error(), "timed out after 20ms") {
		t.Errorf("%q does not say which clock ran out", err)
	}
}

// A caller that leaves is not a timeout of ours.
func TestCanceledWhileConnecting(t *testing.T) {
	t.Parallel()
	silent := listen(t)
	defer silent.Close()
	s := transport(t, send.Config{Hosts: []string{silent.Addr().String()}, AllowPrivate: true})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := silent.Accept()
		if err == nil {
			_, _ = bufio.NewReader(conn).ReadByte() // the client hello is here
			cancel()
			conn.Close()
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+silent.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.RoundTrip(r)
	var e *send.Error
	if errors.As(err, &e) && e.Timeout() {
		t.Errorf("blames a clock: %v", err)
	}
	if err == nil {
		t.Error("no error")
	}
}

func TestResponseHeaderCap(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 128<<10))
	}))
	defer server.Close()
	if _, err := get(t, transport(t, send.Config{Hosts: []string{host(t, server.URL)}, AllowPrivate: true}), server.URL); err == nil {
		t.Error("a header of 128 KiB was taken")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, hosts := range [][]string{nil, {""}, {"https://api.example.com"}, {"api.example.com/v1"}, {"user@api.example.com"}} {
		if _, err := send.New(send.Config{Hosts: hosts}); err == nil {
			t.Errorf("%q was taken", hosts)
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// R2.10: no credential in what is written down.
func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://u:p@h/v1/x":                                "/v1/x",
		"https://h/v1/a%2Fb?limit=3":                        "/v1/a%2Fb?limit=3",
		"https://h/x?access_token=abc&limit=1":              "/x?access_token=[redacted]&limit=1",
		"https://h/x?api%5Fkey=abc":                         "/x?api%5Fkey=[redacted]",
		"https://h/x?pageToken=abc&next_token=d&sync_token": "/x?pageToken=abc&next_token=d&sync_token",
		"https://h/x?TOKEN=a&key=b&code=c":                  "/x?TOKEN=[redacted]&key=[redacted]&code=c",
		"https://h/x?mine=abc&a%zz=1":                       "/x?mine=[redacted]&a%zz=[redacted]",
	} {
		u := &url.URL{}
		if i := strings.Index(in, "%zz"); i >= 0 {
			u = &url.URL{Path: "/x", RawQuery: "mine=abc&a%zz=1"}
		} else if parsed, err := url.Parse(in); err == nil {
			u = parsed
		}
		if got := send.Redact(u, "mine"); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
