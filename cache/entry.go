package cache

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// entry is one answer as it is kept. It is never changed: a revalidated answer is
// a new entry over the same body.
type entry struct {
	status int
	header http.Header
	body   []byte // exact bytes; nil for HEAD
	length int64  // what Content-Length said where there is no body to count
	vary   []varied

	received time.Time
	age      time.Duration // how old it was then
	control  control
	lifetime time.Duration // the provider's own limit; meant only where limited
	limited  bool
}

// varied is a request header named by Vary, and what it was.
type varied struct {
	name string
	hash key
}

// ofConnection are headers that end where the message does and are never kept
// (RFC 9111, section 3.1); ofBody describe the body, which a 304 has not, or what
// it depends on.
var (
	ofConnection = map[string]bool{
		"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authentication-Info": true,
		"Transfer-Encoding": true, "Te": true, "Trailer": true, "Upgrade": true,
	}
	ofBody = map[string]bool{
		"Content-Length": true, "Content-Encoding": true, "Content-Type": true, "Content-Range": true, "Content-Language": true,
		"Set-Cookie": true, "Vary": true,
	}
)

// perEntry is what an entry costs besides its bytes, roughly.
const perEntry = 512

// newEntry is an answer and its body, received now for r.
func newEntry(r *http.Request, resp *http.Response, body []byte, now time.Time) *entry {
	e := &entry{status: resp.StatusCode, header: resp.Header.Clone(), body: body, length: resp.ContentLength, vary: varyOf(r.Header, resp.Header)}
	for name := range ofConnection {
		e.header.Del(name)
	}
	e.date(now)
	return e
}

// date reads from the header how old the entry is and how long it may be used.
func (e *entry) date(now time.Time) {
	e.received, e.age = now, initialAge(e.header, now)
	e.control = parseControl(e.header.Values("Cache-Control"))
	e.lifetime, e.limited = lifetime(e.header, e.control, now)
}

// refreshed is e after the provider confirmed it by a 304 (RFC 9111, section
// 3.2): the new header fields replace the old, but for those that describe the
// body.
func (e *entry) refreshed(answer http.Header, now time.Time) *entry {
	out := *e
	out.header = e.header.Clone()
	out.header.Del("Age") // these two were about the old answer
	out.header.Del("Date")
	for name, values := range answer {
		if !ofBody[name] && !ofConnection[name] {
			out.header[name] = append([]string(nil), values...)
		}
	}
	out.date(now)
	return &out
}

// storable reports whether an answer to a GET or HEAD may be kept.
func storable(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent:
	default:
		return false
	}
	h := resp.Header
	if _, cookie := h["Set-Cookie"]; cookie || h.Get("Content-Range") != "" {
		return false
	}
	for _, line := range h["Vary"] {
		if strings.Contains(line, "*") {
			return false
		}
	}
	return !parseControl(h["Cache-Control"]).noStore
}

// maxVary bounds how many request headers an answer may depend on.
const maxVary = 32

// varyOf notes what the answer depends on and what the request had there.
func varyOf(asked, answer http.Header) []varied {
	var out []varied
	for _, line := range answer["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if name != "" && len(out) < maxVary {
				out = append(out, varied{name, hashOf(asked[name])})
			}
		}
	}
	return out
}

// answers reports whether the entry is also the answer to a request with these
// headers.
func (e *entry) answers(asked http.Header) bool {
	for _, v := range e.vary {
		if hashOf(asked[v.name]) != v.hash {
			return false
		}
	}
	return true
}

// hashOf is a header's values in the form that entries remember: headers can hold
// secrets.
func hashOf(values []string) key {
	var d digest
	d.list(values)
	return sha256.Sum256(d)
}

// old is how old the answer is now.
func (e *entry) old(now time.Time) time.Duration {
	return e.age + max(now.Sub(e.received), 0)
}

// fresh reports whether the answer may be served for an endpoint's TTL without
// asking. The TTL counts from when the answer was received, the provider's limit
// from when it was made.
func (e *entry) fresh(ttl time.Duration, asked control, now time.Time) bool {
	old := e.old(now)
	switch {
	case e.control.noCache || asked.noCache,
		e.limited && old >= e.lifetime,
		asked.hasMaxAge && old > asked.maxAge, asked.hasMaxAge && asked.maxAge == 0:
		return false
	}
	return now.Sub(e.received) < ttl
}

// validators are the headers that ask whether the entry still holds; nil when the
// provider gave nothing to ask with (RFC 9110, section 13.1).
func (e *entry) validators() http.Header {
	h := http.Header{}
	if etag := e.header.Get("Etag"); etag != "" {
		h.Set("If-None-Match", etag)
	}
	if modified := e.header.Get("Last-Modified"); modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	if len(h) == 0 {
		return nil
	}
	return h
}

// confirms reports whether a 304 speaks of this entry: one that names another
// ETag is about something else (RFC 9111, section 4.3.4).
func (e *entry) confirms(answer http.Header) bool {
	theirs, mine := answer.Get("Etag"), e.header.Get("Etag")
	return theirs == "" || strings.TrimPrefix(theirs, "W/") == strings.TrimPrefix(mine, "W/")
}

// size is what the entry takes of the cache's bytes.
func (e *entry) size() int64 {
	n := int64(perEntry + len(e.body))
	for name, values := range e.header {
		n += int64(len(name) + 48)
		for _, v := range values {
			n += int64(len(v) + 16)
		}
	}
	return n
}

// response hands the entry out. Each caller gets its own header and its own
// reader over the same bytes.
func (e *entry) response(r *http.Request, how string, now time.Time) *http.Response {
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", e.status, http.StatusText(e.status)), StatusCode: e.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: e.header.Clone(), Body: http.NoBody, ContentLength: int64(len(e.body)), Request: r,
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	if len(e.body) > 0 {
		resp.Body = io.NopCloser(bytes.NewReader(e.body))
	}
	if r.Method == http.MethodHead {
		resp.ContentLength = e.length
	}
	resp.Header.Set(Header, how)
	if how == Hit || how == Stale {
		for name := range resp.Header { // they tell of the call that fetched it
			if name != Header && strings.HasPrefix(name, ours) {
				delete(resp.Header, name)
			}
		}
	}
	if how != Miss {
		resp.Header.Set("Age", strconv.FormatInt(int64(e.old(now)/time.Second), 10))
	}
	if how == Stale {
		resp.Header.Set("Warning", `110 - "Response is Stale"`)
	}
	return resp
}
