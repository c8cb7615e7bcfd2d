package cache

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// key stands for one question. It is a hash, so that nothing of a request, such
// as a secret in a header, stays in memory for being a key.
type key [sha256.Size]byte

// describing are request headers that tell about the caller, the connection or
// the cache, and choose no answer.
var describing = map[string]bool{
	"Cache-Control": true, "Pragma": true, "User-Agent": true, "Idempotency-Key": true,
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Upgrade": true, "Via": true,
	"Forwarded": true, "X-Forwarded-For": true, "X-Forwarded-Host": true, "X-Forwarded-Proto": true, "X-Real-Ip": true,
	"Traceparent": true, "Tracestate": true, "Baggage": true, "B3": true, "Uber-Trace-Id": true, "Sentry-Trace": true,
	"X-B3-Traceid": true, "X-B3-Spanid": true, "X-B3-Parentspanid": true, "X-B3-Sampled": true,
	"X-Request-Id": true, "Request-Id": true, "X-Correlation-Id": true, "X-Amzn-Trace-Id": true, "X-Cloud-Trace-Context": true,
	"X-Stripe-Client-User-Agent": true, "X-Stripe-Client-Telemetry": true,
}

// ours begins headers that speak to Sallyport itself.
const ours = "Sallyport-"

// keyOf is the question that r asks for a tenant. Every part is written with its
// length, so no two questions can run together.
func keyOf(r *http.Request, tenant string) key {
	d := make(digest, 0, 1024)
	d.text(tenant)
	d.text(cmp.Or(r.Method, http.MethodGet))
	d.text(origin(r.URL))
	d.text(r.URL.EscapedPath())
	d.list(normalQuery(r.URL.RawQuery))
	names := make([]string, 0, 16)
	for name := range r.Header {
		if !describing[name] && !strings.HasPrefix(name, ours) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d.text(name)
		d.list(r.Header[name])
	}
	if r.Host != "" && !strings.EqualFold(r.Host, r.URL.Host) {
		d.text("host")
		d.text(strings.ToLower(r.Host))
	}
	return sha256.Sum256(d)
}

// digest is what a key is the hash of.
type digest []byte

func (d *digest) text(s string) {
	*d = append(binary.BigEndian.AppendUint64(*d, uint64(len(s))), s...)
}

func (d *digest) list(parts []string) {
	*d = binary.BigEndian.AppendUint64(*d, uint64(len(parts)))
	for _, p := range parts {
		d.text(p)
	}
}

// origin is scheme, host and port in one form: lower case, the usual port left
// out.
func origin(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host
}

// normalQuery is the query's parameters in a normal order and escaping. The
// values of one name keep their order, and so do all names that begin with the
// same word before "[": a[][x]=1&a[][y]=2 builds a list in the order it is
// written. "a" and "a=" stay two things. A query that is not of this form is
// taken as it is.
func normalQuery(raw string) []string {
	if raw == "" {
		return nil
	}
	parts := strings.Split(raw, "&")
	out := parts[:0]
	for _, part := range parts {
		if part == "" {
			continue
		}
		name, value, has := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return []string{raw}
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return []string{raw}
		}
		part = url.QueryEscape(n)
		if has {
			part += "=" + url.QueryEscape(v)
		}
		out = append(out, part)
	}
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(root(a), root(b)) })
	return out
}

// root is the part of an escaped parameter before its value and before "[".
func root(part string) string {
	name, _, _ := strings.Cut(part, "=")
	name, _, _ = strings.Cut(name, "%5B")
	return name
}
