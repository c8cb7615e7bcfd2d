package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cache"
)

// A write makes unknown what stands at its path, above and below (RFC 9111,
// section 4.4, and the collections of the item).
func TestWrites(t *testing.T) {
	t.Parallel()
	kept := []string{"/v1", "/v1/things?limit=2", "/v1/things/1", "/v1/things/1/parts", "/v1/things/2", "/v1/thingsome", "/v1/others/1"}
	for name, c := range map[string]struct {
		tenant string
		write  *http.Request
		resp   *http.Response
		gone   string
	}{
		"item":            {"t1", request(http.MethodPut, things+"/1?x=1"), answer(200, ""), "/v1 /v1/things?limit=2 /v1/things/1 /v1/things/1/parts"},
		"collection":      {"t1", request(http.MethodPost, things), answer(201, ""), "/v1 /v1/things?limit=2 /v1/things/1 /v1/things/1/parts /v1/things/2"},
		"part":            {"t1", request(http.MethodDelete, things+"/1/parts/9/"), answer(204, ""), "/v1 /v1/things?limit=2 /v1/things/1 /v1/things/1/parts"},
		"unknown outcome": {"t1", request(http.MethodPatch, things+"/2"), nil, "/v1 /v1/things?limit=2 /v1/things/2"},
		"failed there":    {"t1", request(http.MethodPatch, things+"/2"), answer(502, ""), "/v1 /v1/things?limit=2 /v1/things/2"},
		"location": {
			"t1", request(http.MethodPost, "https://api.example.com/v2/run"), answer(201, "", "Location", "/v1/others/1", "Content-Location", things+"/2"),
			"/v1 /v1/things?limit=2 /v1/things/2 /v1/others/1",
		},
		"location elsewhere": {"t1", request(http.MethodPost, "https://other.example.com/v2/run"), answer(201, "", "Location", things), ""},
		"strange location":   {"t1", request(http.MethodPost, "https://api.example.com/v2/run"), answer(201, "", "Location", ":%"), ""},
		"refused":            {"t1", request(http.MethodPut, things+"/1"), answer(422, ""), ""},
		"a read":             {"t1", get(things + "/1"), answer(200, ""), ""},
		"another tenant":     {"t2", request(http.MethodPut, things+"/1"), answer(200, ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cache.Config{})
			for _, path := range kept {
				w.do(get("https://api.example.com"+path), minute)
			}
			w.Wrote(c.tenant, c.write, c.resp)
			var gone []string
			for _, path := range kept {
				if _, ok := w.Stale(get("https://api.example.com"+path), "t1"); !ok {
					gone = append(gone, path)
				}
			}
			if got := strings.Join(gone, " "); got != c.gone {
				t.Errorf("gone %q, want %q", got, c.gone)
			}
		})
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	for _, tenant := range []string{"t1", "t2", "t1\x00x"} {
		w.do(get(things), cache.Options{Tenant: tenant, TTL: time.Minute})
		w.do(get("https://files.example.com/x"), cache.Options{Tenant: tenant, TTL: time.Minute})
	}
	w.Forget("t1")
	for tenant, want := range map[string]bool{"t1": false, "t2": true, "t1\x00x": true} {
		if _, ok := w.Stale(get(things), tenant); ok != want {
			t.Errorf("%q: kept %t", tenant, ok)
		}
	}
	w.Forget("t2")
	w.Forget("t1\x00x")
	if s := w.Stats(); s.Bytes != 0 || s.Resources != 0 {
		t.Errorf("%+v", s)
	}
}

// The bytes are bounded, and what was not asked for longest goes first.
func TestBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{MaxBytes: 20_000})
	w.answer = always(http.StatusOK, strings.Repeat("x", 1000))
	url := func(n int) string { return fmt.Sprintf("%s/%d", things, n) }
	for n := range 100 {
		w.do(get(url(n)), minute)
		w.do(get(url(0)), minute)
		if s := w.Stats(); s.Bytes > 20_000 || s.Bytes < 1000 {
			t.Fatalf("%+v", s)
		}
	}
	if w.calls != 100 {
		t.Errorf("%d calls: what is in use was dropped", w.calls)
	}
	if _, ok := w.Stale(get(url(1)), "t1"); ok {
		t.Error("the oldest is still there")
	}
	if s := w.Stats(); s.Evicted == 0 || s.Resources < 10 {
		t.Errorf("%+v", s)
	}
}

// What is too large is streamed, whole, and not kept.
func TestLargeAnswersAreStreamed(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 50)
	for name, length := range map[string]int64{"length told": int64(len(large)), "length not told": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cache.Config{MaxEntry: 100})
			w.answer = func(http.Header) (*http.Response, error) {
				resp := answer(http.StatusOK, large)
				resp.ContentLength = length
				return resp, nil
			}
			w.expect(w.do(get(things), minute), large, cache.Miss, 1)
			w.expect(w.do(get(things), minute), large, cache.Miss, 2)
			w.now = w.now.Add(time.Hour)
			w.expect(w.do(get(things), minute), large, cache.Miss, 3)
			if s := w.Stats(); s.Bytes != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestBrokenBodyIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	cut := errors.New("connection reset")
	_, err := w.Do(t.Context(), get(things), minute, func(context.Context, http.Header) (*http.Response, error) {
		resp := answer(http.StatusOK, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("bo"), &failing{cut}))
		return resp, nil
	})
	var broken *cache.BrokenError
	if !errors.As(err, &broken) || !errors.Is(err, cut) {
		t.Errorf("got %v", err)
	}
	if s := w.Stats(); s.Bytes != 0 {
		t.Errorf("half an answer is kept: %+v", s)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
