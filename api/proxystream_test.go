package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
)

// request is one to the proxy, with the key.
func (b *bundle) request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+proxy+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.app)
	return r
}

// send makes a request and leaves its answer open.
func (b *bundle) send(r *http.Request) *http.Response {
	b.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	b.t.Cleanup(client.CloseIdleConnections)
	resp, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// Each event of a stream arrives when it is sent: the provider sends the next
// one when the last has arrived.
func TestProxyServerSentEvents(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 20 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-arrived:
			case <-time.After(5 * time.Second):
				t.Error("an event was held back")
				return
			}
		}
	})
	resp := b.send(b.request(http.MethodGet, "/v1/events", http.NoBody))
	lines, n := bufio.NewScanner(resp.Body), 0
	for lines.Scan() {
		if lines.Text() == fmt.Sprintf("data: %d", n) {
			n++
			arrived <- struct{}{}
		}
	}
	if n != 20 || lines.Err() != nil || resp.Header.Get("Sallyport-Attempts") != "1" {
		t.Errorf("%d events, %v", n, lines.Err())
	}
}

// A caller that leaves a stream ends it at the provider as well.
func TestProxyCallerLeavesStream(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	b.send(b.request(http.MethodGet, "/v1/events", http.NoBody)).Body.Close()
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Error("the provider is still asked")
	}
}

func TestProxyTrailers(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		fmt.Fprint(w, "body")
		w.Header().Set("X-Checksum", "abc")
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	})
	resp := b.send(b.request(http.MethodGet, "/v1/export", http.NoBody))
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "body" || resp.Trailer.Get("X-Checksum") != "abc" || resp.Trailer.Get("X-Late") != "late" {
		t.Errorf("%q %v %v", body, resp.Trailer, err)
	}
}

func TestProxyHead(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1234") })
	if resp := b.send(b.request(http.MethodHead, "/v1/export", http.NoBody)); resp.ContentLength != 1234 || resp.StatusCode != http.StatusOK {
		t.Errorf("%d, length %d", resp.StatusCode, resp.ContentLength)
	}
}

// Expect: 100-continue works across both hops.
func TestProxyExpectContinue(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	r := b.request(http.MethodPut, "/v1/files/1", strings.NewReader(strings.Repeat("x", 50_000)))
	r.Header.Set("Expect", "100-continue")
	resp := b.send(r)
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "50000 <nil>" {
		t.Errorf("%q %v", body, err)
	}
}

const gigabyte = 1 << 30

// zeros are so many bytes, made as they are read.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) { return len(p), nil }

// watch returns the most the heap grew beyond its size at the start. It may not
// run beside other tests.
func watch(t *testing.T) (grown func() uint64) {
	t.Helper()
	runtime.GC()
	var at runtime.MemStats
	runtime.ReadMemStats(&at)
	var most atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				if now.HeapAlloc > at.HeapAlloc {
					most.Store(max(most.Load(), now.HeapAlloc-at.HeapAlloc))
				}
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return most.Load()
	}
}

// Issue: uploads and downloads of 1 GB in constant memory, in both directions at
// once or one. An upload that can't be held is sent once. Not parallel: it looks
// at the heap of the process.
func TestProxyGigabyte(t *testing.T) {
	var uploads atomic.Int32
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			uploads.Add(1)
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil || n != gigabyte {
				t.Errorf("the provider got %d bytes, %v", n, err)
			}
			w.WriteHeader(http.StatusServiceUnavailable) // which is tried again where it can be
			return
		}
		_, _ = io.Copy(w, zeros(gigabyte))
	}, func(c *api.Config) { c.ProxyBodyLimit = 0 })
	for name, c := range map[string]struct {
		method string
		body   io.Reader
		length int64
		want   int64
	}{
		"download":               {http.MethodGet, http.NoBody, 0, gigabyte},
		"upload":                 {http.MethodPost, zeros(gigabyte), gigabyte, 0},
		"upload, length unknown": {http.MethodPost, zeros(gigabyte), -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			grown := watch(t)
			r := b.request(c.method, "/v1/files", c.body)
			r.ContentLength = c.length
			start := time.Now()
			resp := b.send(r)
			n, err := io.Copy(io.Discard, resp.Body)
			took := time.Since(start)
			if most := grown(); n != c.want || err != nil || most > 64<<20 {
				t.Errorf("%d bytes, %v; the heap grew by %d MiB", n, err, most>>20)
			} else {
				t.Logf("%s; the heap grew by %d KiB at most", took.Round(time.Millisecond), most>>10)
			}
		})
	}
	if uploads.Load() != 2 {
		t.Errorf("%d uploads arrived, want each once", uploads.Load())
	}
}

// paced is a body whose pieces come one at a tick.
type paced struct {
	tick <-chan time.Time
	left int
}

func (p *paced) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	<-p.tick
	p.left--
	return copy(b, "piece"), nil
}

// The server's clock for a whole request does not cut an upload that moves, nor
// an answer that comes long after it.
func TestProxyUploadOutlivesReadTimeout(t *testing.T) {
	t.Parallel()
	const clock = 200 * time.Millisecond
	tick := time.NewTicker(clock / 4)
	defer tick.Stop()
	var config api.Config
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		for range 8 {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				t.Error("the call was given up")
			}
		}
		fmt.Fprint(w, n, err)
	}, func(c *api.Config) { config = *c })
	server := httptest.NewUnstartedServer(api.New(config))
	server.Config.ReadTimeout = clock
	server.Start()
	t.Cleanup(server.Close)
	b.url = server.URL
	resp := b.send(b.request(http.MethodPost, "/v1/files", &paced{tick.C, 12}))
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "60 <nil>" {
		t.Errorf("%d %q %v", resp.StatusCode, body, err)
	}
}
