package send_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

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
