package api

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/problem"
)

// uploadIdle is how long a caller may be silent in the middle of a proxied body.
const uploadIdle = time.Minute

// unfit says why a request can't be proxied; nil when it can.
func unfit(r *http.Request) *problem.Problem {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return &problem.Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "the proxy does not pass " + r.Method + " on"}
	}
	for _, value := range r.Header.Values("Upgrade") {
		if strings.EqualFold(strings.TrimSpace(value), "websocket") {
			return &problem.Problem{
				Status: http.StatusNotImplemented, Code: "upgrade_refused", Detail: "the proxy does not pass WebSockets on",
				Hint: "Connect to the provider directly. Streams of server-sent events do pass.",
			}
		}
	}
	return nil
}

// upload is a proxied body on its way in. The server's clock for a whole
// request is for bodies that are held; here only silence ends it.
type upload struct {
	io.ReadCloser
	controller *http.ResponseController
	ended      bool
}

func (s *server) uploaded(w http.ResponseWriter, r *http.Request) io.ReadCloser {
	if _, ok := r.Body.(held); ok {
		return r.Body
	}
	body := io.ReadCloser(&upload{ReadCloser: r.Body, controller: http.NewResponseController(w)})
	if s.ProxyBodyLimit > 0 {
		body = http.MaxBytesReader(w, body, s.ProxyBodyLimit)
	}
	return body
}

// Read reads on. After the end the deadline is left alone: by then net/http
// watches the connection for a caller that goes away.
func (u *upload) Read(p []byte) (int, error) {
	if !u.ended {
		_ = u.controller.SetReadDeadline(time.Now().Add(uploadIdle)) // a writer without one has no deadline to move either
	}
	n, err := u.ReadCloser.Read(p)
	u.ended = u.ended || err != nil
	return n, err
}

// handBack writes the provider's answer, trailers included. What it links to
// leads here.
func (s *server) handBack(w http.ResponseWriter, one *Integration, answer *http.Response, links *links) {
	strip(answer.Header)
	links.rewrite(answer.Header)
	h := w.Header()
	for name, values := range answer.Header {
		if strings.HasPrefix(name, "Sallyport-") && !slices.Contains(ours, name) {
			continue // not the provider's to say
		}
		h[name] = values
	}
	announced := slices.Sorted(maps.Keys(answer.Trailer))
	for _, name := range announced {
		h.Add("Trailer", name)
	}
	w.WriteHeader(answer.StatusCode)
	if answer.ContentLength < 0 { // it may be long until the first event
		_ = http.NewResponseController(w).Flush() // the first write says the same
	}
	if err := stream(w, answer.Body); err != nil {
		s.Log.Debug("proxy.interrupted", "service", one.Plan.Service, "error", err)
		panic(http.ErrAbortHandler) // the only way to tell the caller that the body is cut
	}
	for name, values := range answer.Trailer {
		switch {
		case slices.Contains(announced, name):
			h[name] = values
		case !strings.HasPrefix(name, "Sallyport-"):
			h[http.TrailerPrefix+name] = values
		}
	}
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
