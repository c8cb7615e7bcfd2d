package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

// TenantHeader names the tenant of a proxied call.
const TenantHeader = "Sallyport-Tenant"

// hopByHop are the headers that belong to one connection, not to the message
// (RFC 9110, section 7.6.1).
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// ours are the headers of our own that a call puts onto the provider's answer.
var ours = []string{call.HeaderCall, call.HeaderAttempts, call.HeaderReason}

// proxy takes a request by its path: the service stands in it. The provider's
// own SDK can be pointed at it, where it takes a base URL with a path.
func (s *server) proxy(w http.ResponseWriter, r *http.Request) {
	one := s.services[r.PathValue("service")]
	s.admit(one, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if one == nil {
			problem.Write(w, unknownService(r.PathValue("service")))
			return
		}
		at, err := proxied(r.URL)
		if err != nil {
			problem.Write(w, &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "the path is not well escaped"})
			return
		}
		s.forward(w, r, one, at, linksUnder(r, one))
	})).ServeHTTP(w, r)
}

// forward hands a request to the provider as it came, less our key, and the
// provider's answer back as it came. Neither body is held.
func (s *server) forward(w http.ResponseWriter, r *http.Request, one *Integration, at *url.URL, links *links) {
	if p := unfit(r); p != nil {
		problem.Write(w, p)
		return
	}
	if s.ProxyBodyLimit > 0 && r.ContentLength > s.ProxyBodyLimit {
		s.proxyFailed(w, r, &http.MaxBytesError{Limit: s.ProxyBodyLimit})
		return
	}
	out := (&http.Request{
		Method: r.Method, URL: at, Header: r.Header, ContentLength: r.ContentLength, Body: http.NoBody,
	}).WithContext(r.Context())
	if r.ContentLength != 0 {
		out.Body = s.uploaded(w, r)
	}
	if r.Header.Get(AllHeader) == "true" {
		s.proxyAll(w, r, one, out)
		return
	}
	answer, err := s.transport(one, r.Header).RoundTrip(out)
	if f := queued(err); f != nil {
		s.proxyQueued(w, f)
		return
	}
	if err != nil {
		s.proxyFailed(w, r, err)
		return
	}
	defer answer.Body.Close()
	s.handBack(w, one, answer, links)
}

// proxied is the provider's path and query in the URL of a proxied request:
// what follows /api/v1/integrations/{service}/proxy. The escaped form keeps
// what the caller escaped, such as an id with %2F in it.
func proxied(u *url.URL) (*url.URL, error) {
	parts := strings.SplitN(u.EscapedPath(), "/", 7) // "", api, v1, integrations, service, proxy, the rest
	escaped := "/" + parts[len(parts)-1]
	path, err := url.PathUnescape(escaped)
	return &url.URL{Path: path, RawPath: escaped, RawQuery: u.RawQuery}, err
}

// proxyFailed answers where the provider did not.
func (s *server) proxyFailed(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	var f *integration.Failure
	switch {
	case errors.As(err, &tooLarge):
		problem.Write(w, &problem.Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Detail: "the body is larger than the gateway takes", Hint: "raise proxy_body_limit"})
	case errors.As(err, &f):
		for name, values := range callHeader(f) {
			w.Header()[name] = values
		}
		problem.Write(w, failureProblem(f))
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is listening
	default:
		s.Log.Error("proxy.failed", "error", err)
		problem.Write(w, &problem.Problem{Status: http.StatusBadGateway, Code: "internal", Detail: "the call could not be made", Hint: "see the gateway's log"})
	}
}
