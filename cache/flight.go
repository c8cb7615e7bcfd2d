package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"

	"github.com/sallyport/sallyport/integration"
)

// BrokenError says that an answer began well and its body broke off.
type BrokenError struct{ Err error }

// Error names the cause.
func (e *BrokenError) Error() string { return "cache: the answer's body broke off: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.Err }

// flight is one call to the provider and the callers who wait for it. The cache's
// lock guards what changes.
type flight struct {
	key    key
	place  place
	asked  *http.Request // the first caller's, copied: it may have gone
	good   func(int, http.Header, []byte) bool
	had    *entry // what was kept when it started; nil for nothing
	cancel context.CancelFunc

	waiting []*waiter // in the order they came; nil entries have left
	present int
	over    bool // the result is handed out
	spoiled bool // a write came between: the answer may be the state before it
}

// waiter is one caller. Its channel holds one result.
type waiter struct {
	at     int
	result chan result
}

// result is what one caller gets. Exactly one field is set.
type result struct {
	err    error
	shared *entry
	how    string         // with shared
	stream *http.Response // to the one who reads it
	own    bool           // make the call yourself
}

// start begins a call for a question; the lock is held.
func (c *Cache) start(ctx context.Context, k key, r *http.Request, o Options, had *entry, fetch Fetch) *flight {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{key: k, place: placeOf(o.Tenant, r.URL), asked: r.Clone(ctx), good: o.Good, had: had, cancel: cancel}
	c.flights[k] = f
	go c.run(ctx, f, fetch)
	return f
}

// join adds a caller; the lock is held.
func (f *flight) join() *waiter {
	w := &waiter{at: len(f.waiting), result: make(chan result, 1)}
	f.waiting = append(f.waiting, w)
	f.present++
	return w
}

// wait is a caller's side of a flight.
func (c *Cache) wait(ctx context.Context, f *flight, w *waiter, r *http.Request, fetch Fetch) (*http.Response, error) {
	var got result
	select {
	case got = <-w.result:
	case <-ctx.Done():
		c.leave(f, w)
		return nil, context.Cause(ctx)
	}
	switch {
	case got.err != nil:
		return nil, ownError(got.err)
	case got.stream != nil:
		c.stats.miss.Add(1)
		return marked(got.stream, Miss), nil
	case got.own, !got.shared.answers(r.Header):
		c.stats.miss.Add(1)
		return direct(ctx, fetch, Miss)
	}
	if got.how == Revalidated {
		c.stats.revalidated.Add(1)
	} else {
		c.stats.miss.Add(1)
	}
	return got.shared.response(r, got.how, c.now()), nil
}

// ownError is an error that several callers get, each its own where it is of the
// kind that is written on later.
func ownError(err error) error {
	if f, ok := err.(*integration.Failure); ok { //nolint:errorlint // only the outermost is written on
		clone := *f
		return &clone
	}
	return err
}

// leave takes a caller out. The last one ends the call.
func (c *Cache) leave(f *flight, w *waiter) {
	c.mu.Lock()
	if f.over {
		c.mu.Unlock()
		if got := <-w.result; got.stream != nil {
			got.stream.Body.Close()
		}
		return
	}
	f.waiting[w.at] = nil
	f.present--
	if f.present == 0 {
		c.unlist(f)
		f.cancel()
	}
	c.mu.Unlock()
}

// unlist lets nobody join the flight any more; the lock is held.
func (c *Cache) unlist(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

// run makes the call and hands its result out.
func (c *Cache) run(ctx context.Context, f *flight, fetch Fetch) {
	var conditional http.Header
	if f.had != nil {
		conditional = f.had.validators()
	}
	resp, err := guarded(ctx, fetch, conditional)
	if err == nil && resp.StatusCode == http.StatusNotModified && conditional != nil {
		resp.Body.Close()
		if f.had.confirms(resp.Header) {
			e := f.had.refreshed(resp.Header, c.now())
			c.finish(f, result{shared: e, how: Revalidated}, !e.control.noStore)
			return
		}
		resp, err = guarded(ctx, fetch, nil) //nolint:bodyclose // read closes it, or who streams it
	}
	if err != nil {
		c.finish(f, result{err: err}, false)
		return
	}
	c.finish(f, c.read(f, resp), storable(resp))
}

// guarded calls fetch. A panic would end the process here, where no server stands
// around it; it becomes an error.
func guarded(ctx context.Context, fetch Fetch, conditional http.Header) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, fmt.Errorf("cache: the call panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return fetch(ctx, conditional)
}

// read takes the answer in, or finds that it has to be streamed.
func (c *Cache) read(f *flight, resp *http.Response) result {
	_, cookie := resp.Header["Set-Cookie"]
	if cookie || resp.ContentLength > c.maxEntry && f.asked.Method != http.MethodHead || endless(resp.Header.Get("Content-Type")) {
		return result{stream: resp}
	}
	var buf bytes.Buffer
	if resp.ContentLength > 0 && resp.ContentLength <= c.maxEntry {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	n, err := io.Copy(&buf, io.LimitReader(resp.Body, c.maxEntry+1))
	if err != nil {
		resp.Body.Close()
		return result{err: &BrokenError{err}}
	}
	if n > c.maxEntry {
		resp.Body = &prefixed{Reader: io.MultiReader(&buf, resp.Body), Closer: resp.Body}
		return result{stream: resp}
	}
	resp.Body.Close()
	return result{shared: newEntry(f.asked, resp, buf.Bytes(), c.now()), how: Miss}
}

type prefixed struct {
	io.Reader
	io.Closer
}

// endless reports whether bodies of a media type may come piece by piece with no
// end in sight; their reader wants the pieces.
func endless(contentType string) bool {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "text/event-stream", "application/x-ndjson", "application/jsonl", "application/stream+json", "multipart/x-mixed-replace":
		return true
	}
	return false
}

// finish keeps the answer where keep allows it and gives each caller its result.
func (c *Cache) finish(f *flight, res result, keep bool) {
	e := res.shared
	if keep && e != nil && res.how == Miss && f.good != nil && !f.good(e.status, e.header, e.body) {
		keep = false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unlist(f)
	f.over = true
	switch {
	case f.spoiled:
	case e != nil && keep:
		c.put(f.key, f.place, f.asked.Header, e)
	case e != nil && gone(e):
		c.drop(f.key, f.asked.Header)
	case res.stream != nil && res.stream.StatusCode < 300:
		c.drop(f.key, f.asked.Header)
		c.alone.Add(f.key, c.now().Add(aloneFor))
	}
	if res.stream != nil {
		c.handStream(f, res.stream)
		return
	}
	f.cancel()
	for _, w := range f.waiting {
		if w != nil {
			w.result <- res
		}
	}
}

// gone reports whether an answer makes the one kept before it false: the thing is
// no longer there, or its answers may not be kept any more. Other errors say
// nothing about what was good before.
func gone(e *entry) bool {
	return e.status == http.StatusNotFound || e.status == http.StatusGone || e.status < 300 && e.control.noStore
}

// handStream gives an answer that can't be shared to the first caller who is still
// there; the others make the call themselves. The lock is held.
func (c *Cache) handStream(f *flight, resp *http.Response) {
	resp.Body = &released{ReadCloser: resp.Body, release: f.cancel}
	given := false
	for _, w := range f.waiting {
		switch {
		case w == nil:
		case given:
			w.result <- result{own: true}
		default:
			given = true
			w.result <- result{stream: resp}
		}
	}
	if !given {
		resp.Body.Close()
	}
}

// released ends the call's context with its body.
type released struct {
	io.ReadCloser
	release context.CancelFunc
}

// Close closes the body.
func (b *released) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}
