package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
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

// proxy hands a request to the provider as it came, less our key, and the
// provider's answer back as it came. The provider's own SDK can be pointed at
// it.
func (s *server) proxy(w http.ResponseWriter, r *http.Request) {
	one, ok := s.services[r.PathValue("service")]
	if !ok {
		problem.Write(w, unknownService(r.PathValue("service")))
		return
	}
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		problem.Write(w, &problem.Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "the proxy does not pass " + r.Method + " on"})
		return
	}
	if r.ContentLength > s.BodyLimit {
		s.proxyFailed(w, r, &http.MaxBytesError{Limit: s.BodyLimit})
		return
	}
	at, err := proxied(r.URL)
	if err != nil {
		problem.Write(w, &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "the path is not well escaped"})
		return
	}
	out := (&http.Request{
		Method: r.Method, URL: at, Header: r.Header.Clone(), ContentLength: r.ContentLength, Body: http.NoBody,
	}).WithContext(r.Context())
	if r.ContentLength != 0 {
		out.Body = http.MaxBytesReader(w, r.Body, s.BodyLimit)
	}
	out.Header.Del("Authorization") // our key; what is for the provider is added on the way
	answer, err := one.Calls.Transport(r.Header.Get(TenantHeader), integration.EntryProxy).RoundTrip(out)
	if err != nil {
		s.proxyFailed(w, r, err)
		return
	}
	defer answer.Body.Close()
	strip(answer.Header)
	h := w.Header()
	for name, values := range answer.Header {
		if strings.HasPrefix(name, "Sallyport-") && !slices.Contains(ours, name) {
			continue // not the provider's to say
		}
		h[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	if err := stream(w, answer.Body); err != nil {
		s.Log.Debug("proxy.interrupted", "service", one.Plan.Service, "error", err)
		panic(http.ErrAbortHandler) // the only way to tell the caller that the body is cut
	}
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

// strip removes what belongs to the connection with the provider.
func strip(h http.Header) {
	for _, named := range h.Values("Connection") {
		for name := range strings.SplitSeq(named, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
}

// stream copies the body and flushes what came, so that an event stream is not
// held back.
func stream(w http.ResponseWriter, body io.Reader) error {
	flusher := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, werr := w.Write(buffer[:n]); werr != nil {
				return werr
			}
			if ferr := flusher.Flush(); ferr != nil && !errors.Is(ferr, http.ErrNotSupported) {
				return ferr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// proxyFailed answers where the provider did not.
func (s *server) proxyFailed(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	var f *integration.Failure
	switch {
	case errors.As(err, &tooLarge):
		problem.Write(w, &problem.Problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Detail: "the body is larger than the gateway takes", Hint: "raise body_limit"})
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
