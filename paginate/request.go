package paginate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// request is the one for the page at the cursor.
func (w *walk) request(ctx context.Context) (*http.Request, error) {
	r := w.first.Clone(ctx)
	r.Body, r.GetBody, r.ContentLength = nil, nil, 0
	body := w.body
	switch {
	case w.at == "":
	case w.style.byURL():
		u, err := w.place(w.first.URL, w.at)
		if err != nil {
			return nil, err
		}
		r.URL = u
	case w.inBody():
		var err error
		if body, err = w.bodyAt(); err != nil {
			return nil, err
		}
	default:
		if w.style.counted() {
			if _, err := w.number(); err != nil {
				return nil, err
			}
		}
		r.URL.RawQuery = withParam(r.URL.RawQuery, w.style.Param, w.at)
	}
	if body != nil {
		r.ContentLength = int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody() // never fails
		r.Header.Del("Content-Length")
	}
	return r, nil
}

// inBody reports whether the parameter goes into the request's body.
func (w *walk) inBody() bool {
	return w.first.Method != "" && w.first.Method != http.MethodGet && w.first.Method != http.MethodHead
}

// bodyAt is the request's body with the cursor in it: a form where the request
// says so, else JSON.
func (w *walk) bodyAt() ([]byte, error) {
	if w.form() {
		return []byte(withParam(string(w.body), w.style.Param, w.at)), nil
	}
	body := w.body
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if !json.Valid(body) || !gjson.ParseBytes(body).IsObject() {
		return nil, fmt.Errorf("the cursor can't be put into the request's body: it is no JSON object")
	}
	if w.style.counted() {
		n, err := w.number()
		if err != nil {
			return nil, err
		}
		return sjson.SetBytes(body, w.style.Param, n)
	}
	return sjson.SetBytes(body, w.style.Param, w.at)
}

func (w *walk) form() bool {
	kind, _, _ := mime.ParseMediaType(w.first.Header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

// withParam sets one parameter of a query or a form and leaves the others as they
// are written.
func withParam(raw, name, value string) string {
	return strings.TrimPrefix(without(raw, name)+"&"+url.QueryEscape(name)+"="+url.QueryEscape(value), "&")
}

// without takes parameters out of a query.
func without(raw string, names ...string) string {
	var left []string
	for part := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		drop := part == ""
		for _, n := range names {
			drop = drop || n == name
		}
		if !drop {
			left = append(left, part)
		}
	}
	return strings.Join(left, "&")
}

// number is which page, or how many items to skip, the request at the cursor asks
// for.
func (w *walk) number() (int64, error) {
	at := w.at
	if at == "" {
		at = w.asked()
	}
	if at == "" {
		if w.style.Kind == Offset {
			return 0, nil
		}
		return int64(w.style.First), nil
	}
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || n < 0 || n > 1<<53 {
		return 0, fmt.Errorf("%w: %s must be a number", ErrCursor, w.style.Param)
	}
	return n, nil
}

// asked is the parameter in the first request.
func (w *walk) asked() string {
	if !w.inBody() {
		return w.first.URL.Query().Get(w.style.Param)
	}
	if w.form() {
		form, _ := url.ParseQuery(string(w.body)) // what can be read of it
		return form.Get(w.style.Param)
	}
	if !json.Valid(w.body) {
		return ""
	}
	return gjson.GetBytes(w.body, w.style.Param).String()
}

// follow is the cursor that a next URL stands for; empty when there is none.
func (w *walk) follow(asked *url.URL, next string) (string, error) {
	if next == "" {
		return "", nil
	}
	u, err := w.place(asked, next)
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}

// place is where a URL from outside leads, relative to the page it stands on. Only
// its path and query are taken; it must name the host of the first request, or
// none, and a path below the base, or ErrElsewhere is in the error. A provider
// behind a proxy writes http for its own https; that changes nothing, since the
// scheme is not taken either.
func (w *walk) place(asked *url.URL, ref string) (*url.URL, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL can't be read", ErrElsewhere) // its text may hold a token
	}
	home := w.first.URL
	if u.Opaque != "" || u.User != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%w: it is not a plain URL", ErrElsewhere)
	}
	if u.Host != "" && hostOf(u, home.Scheme) != hostOf(home, home.Scheme) {
		return nil, fmt.Errorf("%w: another host, %s", ErrElsewhere, u.Host)
	}
	if !plain(u.Path) {
		return nil, fmt.Errorf("%w: its path has dots or backslashes", ErrElsewhere)
	}
	u = asked.ResolveReference(u)
	out := *home
	out.Path, out.RawPath, out.Fragment, out.RawFragment = u.Path, u.RawPath, "", ""
	out.RawQuery = without(u.RawQuery, w.style.Strip...)
	if base := strings.TrimSuffix(w.style.Base, "/"); base != "" && out.Path != base && !strings.HasPrefix(out.Path, base+"/") {
		return nil, fmt.Errorf("%w: not below %s", ErrElsewhere, base)
	}
	return &out, nil
}

// plain reports whether a decoded path means the same to everybody: no dot
// segments, which may be written %2e and end below the base or not, no
// backslashes, no control characters.
func plain(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f })
}

// hostOf is host and port in one form.
func hostOf(u *url.URL, scheme string) string {
	if u.Scheme != "" {
		scheme = u.Scheme
	}
	host := strings.ToLower(u.Host)
	if scheme == "http" {
		return strings.TrimSuffix(host, ":80")
	}
	return strings.TrimSuffix(host, ":443")
}

// joined is the bytes of items one after the other, each on its line.
func joined(items []json.RawMessage) []byte {
	var out []byte
	for _, item := range items {
		out = append(append(out, item...), '\n')
	}
	return out
}
