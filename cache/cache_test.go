package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cache"
)

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a cache, its clock, and a provider that answers what it is told to.
type world struct {
	*cache.Cache
	t      *testing.T
	now    time.Time
	calls  int
	asked  http.Header // of the last call, nil for none
	answer func(conditional http.Header) (*http.Response, error)
}

func newWorld(t *testing.T, c cache.Config) *world {
	w := &world{t: t, now: start}
	c.Now = func() time.Time { return w.now }
	w.Cache = cache.New(c)
	w.answer = always(http.StatusOK, "body")
	return w
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

func always(status int, body string, header ...string) func(http.Header) (*http.Response, error) {
	return func(http.Header) (*http.Response, error) { return answer(status, body, header...), nil }
}

func get(url string, header ...string) *http.Request { return request(http.MethodGet, url, header...) }

func request(method, url string, header ...string) *http.Request {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// got is what a caller saw.
type got struct {
	status int
	body   string
	how    string
	header http.Header
}

func (w *world) do(r *http.Request, o cache.Options) got {
	w.t.Helper()
	resp, err := w.Do(w.t.Context(), r, o, func(_ context.Context, conditional http.Header) (*http.Response, error) {
		w.calls++
		w.asked = conditional
		return w.answer(conditional)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.read(resp)
}

func (w *world) read(resp *http.Response) got {
	w.t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.ContentLength >= 0 && resp.Request != nil && resp.Request.Method != http.MethodHead && resp.ContentLength != int64(len(body)) {
		w.t.Errorf("Content-Length %d of %d bytes", resp.ContentLength, len(body))
	}
	return got{resp.StatusCode, string(body), resp.Header.Get(cache.Header), resp.Header}
}

// expect compares how an answer came and how often the provider was asked by then.
func (w *world) expect(g got, body, how string, calls int) {
	w.t.Helper()
	if g.body != body || g.how != how || w.calls != calls {
		w.t.Errorf("got %q, %s after %d calls; want %q, %s, %d", g.body, g.how, w.calls, body, how, calls)
	}
}

var minute = cache.Options{Tenant: "t1", TTL: time.Minute}

const things = "https://api.example.com/v1/things"

// R4.15: an answer is served for the endpoint's TTL.
func TestTTL(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	odd := "\x00\xff {\"a\": 1.50}\n"
	w.answer = always(http.StatusOK, odd, "Content-Type", "application/json", "Sallyport-Call", "c1", "Connection", "X-Hop", "Keep-Alive", "timeout=5")
	g := w.do(get(things), minute)
	w.expect(g, odd, cache.Miss, 1)
	if g.header.Get("Sallyport-Call") != "c1" {
		t.Error("the call's own answer lost its id")
	}
	w.now = w.now.Add(59 * time.Second)
	g = w.do(get(things), minute)
	w.expect(g, odd, cache.Hit, 1)
	if g.status != http.StatusOK || g.header.Get("Age") != "59" || g.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", g.status, g.header)
	}
	for _, name := range []string{"Sallyport-Call", "Connection", "Keep-Alive", "Warning"} {
		if v := g.header.Get(name); v != "" {
			t.Errorf("%s: %s on a hit", name, v)
		}
	}
	w.now = w.now.Add(time.Second)
	w.expect(w.do(get(things), minute), odd, cache.Miss, 2)
	w.expect(w.do(get(things), cache.Options{Tenant: "t1"}), odd, cache.Miss, 3) // no TTL
}

// A caller that writes on what it got changes nobody else's.
func TestCallersDoNotShareHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	w.do(get(things), minute).header.Set("X-Mine", "1")
	w.do(get(things), minute).header.Set("X-Mine", "2")
	if g := w.do(get(things), minute); g.header.Get("X-Mine") != "" {
		t.Error("one caller's header reached another")
	}
}

// What the provider says counts where it is stricter (RFC 9111, sections 3, 4.2).
func TestProviderIsStricter(t *testing.T) {
	t.Parallel()
	date := start.Format(http.TimeFormat)
	for name, c := range map[string]struct {
		status int
		header []string
		after  time.Duration
		hit    bool
	}{
		"says nothing":              {200, nil, 59 * time.Second, true},
		"private":                   {200, []string{"Cache-Control", "private"}, 59 * time.Second, true},
		"private with a comma":      {200, []string{"Cache-Control", `private="a, no-store", max-age=30`}, 29 * time.Second, true},
		"no-store":                  {200, []string{"Cache-Control", "no-store"}, 0, false},
		"no-store among others":     {200, []string{"Cache-Control", "private", "Cache-Control", "max-age=60,No-Store"}, 0, false},
		"no-cache":                  {200, []string{"Cache-Control", "no-cache"}, 0, false},
		"max-age, within":           {200, []string{"Cache-Control", "max-age=30"}, 29 * time.Second, true},
		"max-age, beyond":           {200, []string{"Cache-Control", "max-age=30"}, 30 * time.Second, false},
		"max-age, longer than TTL":  {200, []string{"Cache-Control", "max-age=3600"}, 60 * time.Second, false},
		"max-age, old already":      {200, []string{"Cache-Control", "max-age=30", "Age", "20"}, 10 * time.Second, false},
		"max-age, made long ago":    {200, []string{"Cache-Control", "max-age=30", "Date", start.Add(-20 * time.Second).Format(http.TimeFormat)}, 10 * time.Second, false},
		"max-age twice":             {200, []string{"Cache-Control", "max-age=90", "Cache-Control", "max-age=30"}, 30 * time.Second, false},
		"max-age that is no number": {200, []string{"Cache-Control", "max-age=soon"}, 0, false},
		"s-maxage is not for us":    {200, []string{"Cache-Control", "s-maxage=1"}, 59 * time.Second, true},
		"max-age before Expires":    {200, []string{"Cache-Control", "max-age=30", "Expires", "0"}, 29 * time.Second, true},
		"Expires, within":           {200, []string{"Date", date, "Expires", start.Add(30 * time.Second).Format(http.TimeFormat)}, 29 * time.Second, true},
		"Expires, beyond":           {200, []string{"Date", date, "Expires", start.Add(30 * time.Second).Format(http.TimeFormat)}, 30 * time.Second, false},
		"Expires 0":                 {200, []string{"Expires", "0"}, 0, false},
		"Vary *":                    {200, []string{"Vary", "*"}, 0, false},
		"a cookie":                  {200, []string{"Set-Cookie", "a=b"}, 0, false},
		"a part":                    {206, []string{"Content-Range", "bytes 0-3/9"}, 0, false},
		"created":                   {201, nil, 0, false},
		"not found":                 {404, nil, 0, false},
		"limited":                   {429, nil, 0, false},
		"failed":                    {503, nil, 0, false},
		"moved":                     {301, []string{"Location", "/x"}, 0, false},
		"a 304 nobody asked for":    {304, nil, 0, false},
		"no content":                {204, nil, 59 * time.Second, true},
		"not the origin itself":     {203, nil, 59 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cache.Config{})
			body := "body"
			if c.status == 204 || c.status == 304 {
				body = ""
			}
			w.answer = always(c.status, body, c.header...)
			if g := w.do(get(things), minute); g.status != c.status || g.body != body {
				t.Fatalf("the answer itself: %+v", g)
			}
			w.now = w.now.Add(c.after)
			if g := w.do(get(things), minute); (g.how == cache.Hit) != c.hit || (w.calls == 1) != c.hit || g.status != c.status {
				t.Errorf("%s after %d calls, want hit %t", g.how, w.calls, c.hit)
			}
		})
	}
}

// R4.15: ETag and Last-Modified revalidation (RFC 9111, section 4.3).
func TestRevalidation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ header, value, asks string }{
		"strong ETag":   {"Etag", `"v1"`, "If-None-Match"},
		"weak ETag":     {"Etag", `W/"v1"`, "If-None-Match"},
		"Last-Modified": {"Last-Modified", "Tue, 24 Nov 2026 11:00:00 GMT", "If-Modified-Since"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cache.Config{})
			w.answer = always(http.StatusOK, "body", c.header, c.value, "Content-Type", "text/plain", "X-Left", "9")
			w.do(get(things), minute)
			if w.asked != nil {
				t.Errorf("the first call was conditional: %v", w.asked)
			}
			w.now = w.now.Add(time.Hour)
			w.answer = always(http.StatusNotModified, "", "X-Left", "8", "Content-Type", "wrong/type", "Content-Length", "0", "Sallyport-Call", "c2", "Date", w.now.Format(http.TimeFormat))
			g := w.do(get(things), minute)
			w.expect(g, "body", cache.Revalidated, 2)
			if len(w.asked) != 1 || w.asked.Get(c.asks) != c.value {
				t.Errorf("asked with %v", w.asked)
			}
			if g.status != http.StatusOK || g.header.Get("Age") != "0" || g.header.Get("X-Left") != "8" || g.header.Get("Content-Type") != "text/plain" || g.header.Get("Sallyport-Call") != "c2" {
				t.Errorf("%d %v", g.status, g.header)
			}
			w.now = w.now.Add(30 * time.Second) // fresh anew
			g = w.do(get(things), minute)
			w.expect(g, "body", cache.Hit, 2)
			if g.header.Get("Age") != "30" {
				t.Errorf("Age %s", g.header.Get("Age"))
			}
			w.now = w.now.Add(time.Hour)
			w.answer = always(http.StatusOK, "new body", "Etag", `"v2"`)
			w.expect(w.do(get(things), minute), "new body", cache.Miss, 3)
			w.expect(w.do(get(things), minute), "new body", cache.Hit, 3)
		})
	}
}

func TestRevalidationThatSpeaksOfSomethingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	w.answer = always(http.StatusOK, "old", "Etag", `"v1"`)
	w.do(get(things), minute)
	w.now = w.now.Add(time.Hour)
	w.answer = func(conditional http.Header) (*http.Response, error) {
		if conditional != nil {
			return answer(http.StatusNotModified, "", "Etag", `"v7"`), nil
		}
		return answer(http.StatusOK, "new", "Etag", `"v7"`), nil
	}
	w.expect(w.do(get(things), minute), "new", cache.Miss, 3)
}

// An answer that turned no-store with its 304 is handed out and forgotten.
func TestRevalidationThatForbidsKeeping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	w.answer = always(http.StatusOK, "body", "Etag", `"v1"`)
	w.do(get(things), minute)
	w.now = w.now.Add(time.Hour)
	w.answer = always(http.StatusNotModified, "", "Cache-Control", "no-store")
	w.expect(w.do(get(things), minute), "body", cache.Revalidated, 2)
	if _, ok := w.Stale(get(things), "t1"); ok || w.Stats().Bytes != 0 {
		t.Error("it is still kept")
	}
}

// R4.11: the last good answer, past its TTL.
func TestStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{MaxStale: 2 * time.Hour})
	if _, ok := w.Stale(get(things), "t1"); ok {
		t.Error("an answer from nowhere")
	}
	w.answer = always(http.StatusOK, "good", "Cache-Control", "max-age=0, must-revalidate", "Sallyport-Call", "c1")
	w.do(get(things), minute)
	w.now = w.now.Add(time.Hour)
	w.answer = always(http.StatusServiceUnavailable, "sorry", "Cache-Control", "no-store", "Set-Cookie", "a=b")
	if g := w.do(get(things), minute); g.status != http.StatusServiceUnavailable || g.how != cache.Miss {
		t.Errorf("%+v", g)
	}
	w.answer = always(http.StatusTooManyRequests, "slow down")
	w.do(get(things), minute)
	resp, ok := w.Stale(get(things), "t1")
	if !ok {
		t.Fatal("a bad answer took the place of a good one")
	}
	g := w.read(resp)
	if g.body != "good" || g.how != cache.Stale || g.header.Get("Age") != "3600" || g.header.Get("Warning") != `110 - "Response is Stale"` || g.header.Get("Sallyport-Call") != "" {
		t.Errorf("%+v", g)
	}
	if _, ok := w.Stale(get(things), "t2"); ok {
		t.Error("another tenant's answer")
	}
	if _, ok := w.Stale(request(http.MethodPost, things), "t1"); ok {
		t.Error("an answer to a write")
	}
	w.now = w.now.Add(time.Hour + time.Second)
	if _, ok := w.Stale(get(things), "t1"); ok {
		t.Error("an answer older than MaxStale")
	}
}

// What is gone is not served from memory.
func TestGone(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusGone} {
		w := newWorld(t, cache.Config{})
		w.do(get(things), minute)
		w.now = w.now.Add(time.Hour)
		w.answer = always(status, "no")
		w.do(get(things), minute)
		if _, ok := w.Stale(get(things), "t1"); ok || w.Stats().Bytes != 0 {
			t.Errorf("%d: the thing is still served", status)
		}
	}
}

// A provider that puts errors into answers 200: they are not kept.
func TestGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	o := minute
	o.Good = func(_ int, _ http.Header, body []byte) bool { return !bytes.Contains(body, []byte(`"ok":false`)) }
	w.answer = always(http.StatusOK, `{"ok":true}`)
	w.do(get(things), o)
	w.now = w.now.Add(time.Hour)
	w.answer = always(http.StatusOK, `{"ok":false}`)
	w.expect(w.do(get(things), o), `{"ok":false}`, cache.Miss, 2)
	w.expect(w.do(get(things), o), `{"ok":false}`, cache.Miss, 3)
	if resp, ok := w.Stale(get(things), "t1"); !ok || w.read(resp).body != `{"ok":true}` {
		t.Error("the good answer is lost")
	}
}

// R4.15: what may be taken for the same question, and what may not.
func TestQuestions(t *testing.T) {
	t.Parallel()
	base := get(things+"?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1")
	for name, c := range map[string]struct {
		r      *http.Request
		tenant string
		same   bool
	}{
		"itself":                 {base, "t1", true},
		"order of parameters":    {get(things+"?b=2&e[]=x&a=1&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", true},
		"escaping":               {get(things+"?a=%31&b=2&e%5b%5D=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", true},
		"host in capitals, port": {get("https://API.example.com:443/v1/things?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", true},
		"who asks, tracing": {get(things+"?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1",
			"User-Agent", "x", "Traceparent", "y", "X-Stripe-Client-Telemetry", "z", "Sallyport-Tenant", "t1"), "t1", true},
		"another tenant":        {base, "t2", false},
		"no tenant":             {base, "", false},
		"order within a list":   {get(things+"?a=1&b=2&e[]=y&e[]=x", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", false},
		"another value":         {get(things+"?a=1&b=3&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", false},
		"another path":          {get(things+"/?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", false},
		"another host":          {get("https://api2.example.com/v1/things?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", false},
		"another scheme":        {get("http://api.example.com/v1/things?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", false},
		"another account":       {get(things+"?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_2"), "t1", false},
		"another Accept":        {get(things+"?a=1&b=2&e[]=x&e[]=y", "Accept", "application/vnd.v2+json", "Stripe-Account", "acct_1"), "t1", false},
		"a version":             {get(things+"?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1", "Stripe-Version", "2026-01-01"), "t1", false},
		"only the head":         {request(http.MethodHead, things+"?a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", false},
		"a name without a sign": {get(things+"?a&a=1&b=2&e[]=x&e[]=y", "Accept", "application/json", "Stripe-Account", "acct_1"), "t1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cache.Config{})
			w.do(base, minute)
			w.do(c.r, cache.Options{Tenant: c.tenant, TTL: time.Minute})
			if same := w.calls == 1; same != c.same {
				t.Errorf("taken for the same: %t", same)
			}
		})
	}
}

// Vary (RFC 9111, section 4.1), also for headers that are otherwise passed over.
func TestVary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	w.answer = always(http.StatusOK, "for one", "Vary", "accept-language, User-Agent", "Vary", "Authorization")
	w.do(get(things, "User-Agent", "one"), minute)
	w.expect(w.do(get(things, "User-Agent", "one"), minute), "for one", cache.Hit, 1)
	w.answer = always(http.StatusOK, "for two", "Vary", "User-Agent")
	w.expect(w.do(get(things, "User-Agent", "two"), minute), "for two", cache.Miss, 2)
	w.expect(w.do(get(things, "User-Agent", "one"), minute), "for one", cache.Hit, 2)
	w.expect(w.do(get(things, "User-Agent", "two"), minute), "for two", cache.Hit, 2)
	for n := range 100 { // many variants of one question stay few
		w.do(get(things, "User-Agent", fmt.Sprint(n)), minute)
	}
	if s := w.Stats(); s.Resources != 1 || s.Bytes > 10_000 {
		t.Errorf("%+v", s)
	}
	w.Wrote("t1", request(http.MethodPost, things), nil)
	if s := w.Stats(); s.Resources != 0 || s.Bytes != 0 {
		t.Errorf("after a write: %+v", s)
	}
}

// Requests that are none for a cache are not touched.
func TestBypass(t *testing.T) {
	t.Parallel()
	withBody := get(things)
	withBody.Body = io.NopCloser(strings.NewReader("x"))
	for name, r := range map[string]*http.Request{
		"a write":          request(http.MethodPost, things),
		"a body":           withBody,
		"a part":           get(things, "Range", "bytes=0-1"),
		"own condition":    get(things, "If-None-Match", `"v1"`),
		"own date":         get(things, "If-Modified-Since", start.Format(http.TimeFormat)),
		"asked not to":     get(things, "Cache-Control", "no-store"),
		"another protocol": get(things, "Upgrade", "websocket"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cache.Config{})
			w.answer = always(http.StatusOK, "body", "Etag", `"v1"`)
			w.do(get(things), minute)
			w.expect(w.do(r, minute), "body", cache.Bypass, 2)
			if w.asked != nil {
				t.Errorf("it was made conditional: %v", w.asked)
			}
		})
	}
}

// What the caller asks of the cache (RFC 9111, section 5.2.1).
func TestCallersControl(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{})
	w.answer = always(http.StatusOK, "body", "Etag", `"v1"`)
	w.do(get(things), minute)
	w.now = w.now.Add(10 * time.Second)
	w.expect(w.do(get(things, "Cache-Control", "max-age=10"), minute), "body", cache.Hit, 1)
	w.expect(w.do(get(things, "Cache-Control", "max-age=9"), minute), "body", cache.Miss, 2)
	w.answer = always(http.StatusNotModified, "")
	w.expect(w.do(get(things, "Cache-Control", "no-cache"), minute), "body", cache.Revalidated, 3)
	w.expect(w.do(get(things, "Cache-Control", "max-age=0"), minute), "body", cache.Revalidated, 4)
}

func TestHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cache.Config{MaxEntry: 10})
	w.answer = func(http.Header) (*http.Response, error) {
		resp := answer(http.StatusOK, "")
		resp.ContentLength = 12345
		return resp, nil
	}
	head := request(http.MethodHead, things)
	for range 2 {
		resp, err := w.Do(t.Context(), head, minute, func(_ context.Context, c http.Header) (*http.Response, error) {
			w.calls++
			return w.answer(c)
		})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ContentLength != 12345 {
			t.Errorf("length %d", resp.ContentLength)
		}
	}
	if w.calls != 1 {
		t.Errorf("%d calls", w.calls)
	}
}
