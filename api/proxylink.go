package api

import (
	"net/http"
	"net/url"
	"strings"
)

// linking are the headers whose URLs an SDK follows: to the next page (RFC
// 8288), to what was created, to what a redirect names. Followed as they came
// they would lead past the gateway, with our key in hand.
var linking = []string{"Link", "Location", "Content-Location"}

// links turns URLs of the provider into ones of the proxy.
type links struct {
	from []string // base URLs of the provider, without a slash at the end
	to   string   // what stands in their place
}

// linksUnder are those of a request by path.
func linksUnder(r *http.Request, one *Integration) *links {
	l := &links{to: origin(r) + "/api/v1/integrations/" + url.PathEscape(one.Plan.Service) + "/proxy"}
	for _, u := range baseURLs(one) {
		l.from = append(l.from, u.Scheme+"://"+u.Host+strings.TrimSuffix(u.EscapedPath(), "/"))
	}
	return l
}

// linksAt are those of a request by host: the path stays the provider's.
func linksAt(r *http.Request, one *Integration) *links {
	l := &links{to: origin(r)}
	for _, u := range baseURLs(one) {
		l.from = append(l.from, u.Scheme+"://"+u.Host)
	}
	return l
}

// origin is how the caller reached us. X-Forwarded-Proto is believed: it is the
// caller's own answer that it changes.
func origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

func (l *links) rewrite(h http.Header) {
	for _, name := range linking {
		for i, value := range h[name] {
			h[name][i] = l.text(value)
		}
	}
}

// text replaces the base URLs in a header's value. What follows one must be its
// path or its end: another host that begins alike is left alone.
func (l *links) text(value string) string {
	var out strings.Builder
next:
	for value != "" {
		for _, from := range l.from {
			rest, ok := strings.CutPrefix(value, from)
			if ok && (rest == "" || strings.ContainsRune("/?#>\" ", rune(rest[0]))) {
				out.WriteString(l.to)
				value = rest
				continue next
			}
		}
		out.WriteByte(value[0])
		value = value[1:]
	}
	return out.String()
}
