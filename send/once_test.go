package send_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sallyport/sallyport/send"
)

// R4.7: a request is sent once, also when a connection used before breaks and
// the request carries an idempotency key, which net/http takes for a leave to
// send it again. The key arrives, and the caller's header is left alone.
func TestSentOnce(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			for _, body := range []string{"", "a=1"} {
				t.Run(fmt.Sprintf("%s %s %q", header, method, body), func(t *testing.T) {
					t.Parallel()
					var mu sync.Mutex
					var keys []string
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						if r.Method == http.MethodGet {
							fmt.Fprint(w, "warm")
							return
						}
						mu.Lock()
						keys = append(keys, r.Header.Get(header))
						mu.Unlock()
						panic(http.ErrAbortHandler)
					}))
					defer server.Close()
					rt := transport(t, send.Config{Hosts: []string{host(t, server.URL)}, AllowPrivate: true})
					warm, err := get(t, rt, server.URL)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, warm.Body); err != nil {
						t.Fatal(err)
					}
					warm.Body.Close()
					var content io.Reader
					if body != "" {
						content = strings.NewReader(body) // with GetBody
					}
					r, err := http.NewRequestWithContext(t.Context(), method, server.URL, content)
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set(header, "key_1")
					resp, err := rt.RoundTrip(r)
					if err == nil {
						resp.Body.Close()
						t.Fatal("the server hung up, and there is an answer")
					}
					mu.Lock()
					defer mu.Unlock()
					if len(keys) != 1 || keys[0] != "key_1" {
						t.Errorf("the provider saw the keys %q, want it once", keys)
					}
					if r.Header.Get(header) != "key_1" || len(r.Header) != 1 {
						t.Errorf("the caller's header was changed: %v", r.Header)
					}
				})
			}
		}
	}
}

// A provider that refuses each stream over HTTP/2 the hard way is not asked
// without end.
func TestRefusedStreams(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := h2(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "never") }))
	raw := rawHTTP2(t, server, func(framer *http2.Framer, stream uint32) error {
		asked.Add(1)
		return framer.WriteRSTStream(stream, http2.ErrCodeProtocol)
	})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	_, err := get(t, transport(t, send.Config{Hosts: []string{raw}, AllowPrivate: true, RootCAs: roots}), "https://"+raw)
	var told *send.Error
	if err == nil || errors.As(err, &told) {
		t.Errorf("%v: it did leave", err)
	}
	if n := asked.Load(); n < 1 || n > 4 {
		t.Errorf("asked %d times", n)
	}
}

// rawHTTP2 is a server with another one's certificate that answers the header of
// each request with what each writes.
func rawHTTP2(t *testing.T, like *httptest.Server, each func(framer *http2.Framer, stream uint32) error) string {
	t.Helper()
	l := tls.NewListener(listen(t), &tls.Config{Certificates: like.TLS.Certificates, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			handlers.Go(func() {
				defer conn.Close()
				if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
					return
				}
				framer := http2.NewFramer(conn, conn)
				if framer.WriteSettings() != nil {
					return
				}
				for {
					frame, err := framer.ReadFrame()
					if err != nil {
						return
					}
					if _, ok := frame.(*http2.HeadersFrame); ok && each(framer, frame.Header().StreamID) != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); handlers.Wait() })
	return l.Addr().String()
}
