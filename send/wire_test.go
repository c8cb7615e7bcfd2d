package send_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/send"
)

// h2 is a server that speaks HTTP/2.
func h2(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// trusting is a transport that may call the server.
func trusting(t *testing.T, server *httptest.Server) *send.Transport {
	t.Helper()
	c := send.Config{Hosts: []string{host(t, server.URL)}, AllowPrivate: true}
	if server.TLS != nil {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AddCert(server.Certificate())
	}
	return transport(t, c)
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// both runs a test over HTTP/1.1 and HTTP/2.
func both(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, server *httptest.Server, rt *send.Transport)) {
	t.Helper()
	t.Run("HTTP/1.1", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		test(t, server, trusting(t, server))
	})
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		server := h2(t, handler)
		test(t, server, trusting(t, server))
	})
}

func TestHead(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1234")
	}, func(t *testing.T, server *httptest.Server, rt *send.Transport) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) != 0 || resp.ContentLength != 1234 {
			t.Errorf("%q, %v, length %d", body, err, resp.ContentLength)
		}
	})
}

// Statuses before the answer, such as 103, are no answers.
func TestInformational(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		for _, status := range []int{http.StatusProcessing, http.StatusEarlyHints, http.StatusEarlyHints} {
			w.WriteHeader(status)
		}
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, "done")
	}, func(t *testing.T, server *httptest.Server, rt *send.Transport) {
		resp, err := get(t, rt, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "done" || resp.StatusCode != http.StatusTeapot {
			t.Errorf("%d %q, %v", resp.StatusCode, body, err)
		}
	})
}

func TestTrailers(t *testing.T) {
	t.Parallel()
	both(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		fmt.Fprint(w, "body")
		w.Header().Set("X-Checksum", "abc")
	}, func(t *testing.T, server *httptest.Server, rt *send.Transport) {
		resp, err := get(t, rt, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, announced := resp.Trailer["X-Checksum"]; !announced {
			t.Error("the trailer is not announced")
		}
		if _, err := io.ReadAll(resp.Body); err != nil || resp.Trailer.Get("X-Checksum") != "abc" {
			t.Errorf("%v, trailer %v", err, resp.Trailer)
		}
	})
}

// Expect: 100-continue keeps the body here until it is asked for: a provider
// that refuses by the header alone is spared it.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]bool{"taken": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if refuse {
					w.Header().Set("Connection", "close")
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return
				}
				n, err := io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, n, err)
			}))
			t.Cleanup(server.Close)
			var taken atomic.Int64
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, &counting{Reader: strings.NewReader(strings.Repeat("x", 5000)), n: &taken})
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = 5000
			r.Header.Set("Expect", "100-continue")
			resp, err := trusting(t, server).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			switch {
			case refuse && (resp.StatusCode != http.StatusRequestEntityTooLarge || taken.Load() != 0):
				t.Errorf("%d, %d bytes went out", resp.StatusCode, taken.Load())
			case !refuse && (err != nil || string(body) != "5000 <nil>"):
				t.Errorf("%d %q %v", resp.StatusCode, body, err)
			}
		})
	}
}

type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// relay carries bytes to a server until it is told to carry none, without
// closing anything: a network that died.
type relay struct {
	net.Listener
	dead atomic.Bool
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	r := &relay{Listener: listen(t)}
	done := make(chan struct{})
	conns := make(chan net.Conn, 16)
	t.Cleanup(func() {
		r.Close()
		<-done
		close(conns)
		for c := range conns {
			c.Close()
		}
	})
	pass := func(from, to net.Conn) {
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				to.Close()
				return
			}
			if r.dead.Load() {
				continue
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		defer close(done)
		for {
			in, err := r.Accept()
			if err != nil {
				return
			}
			out, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
			if err != nil {
				in.Close()
				return
			}
			conns <- in
			conns <- out
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return r
}

// An HTTP/2 connection that died without a word is found by a ping, and what
// was under way ends; the next request finds another.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	server := h2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			close(begun)
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, r.Proto)
	}))
	way := newRelay(t, host(t, server.URL))
	at := way.Addr().String()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	rt := transport(t, send.Config{Hosts: []string{at}, AllowPrivate: true, RootCAs: roots, PingAfter: 50 * time.Millisecond})
	go func() {
		<-begun
		way.dead.Store(true)
	}()
	start := time.Now()
	if _, err := get(t, rt, "https://"+at+"/hang"); err == nil {
		t.Fatal("there is an answer")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("found after %s", took)
	}
	way.dead.Store(false)
	resp, err := get(t, rt, "https://"+at+"/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "HTTP/2.0" {
		t.Errorf("%q %v", body, err)
	}
}
