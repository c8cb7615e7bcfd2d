// Package problem writes the errors of our own HTTP faces as RFC 9457 problem
// documents: a stable code for programs, a detail and a hint for people, and
// the request's id for whoever searches the log.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ContentType of a problem document (RFC 9457).
const ContentType = "application/problem+json"

// RequestIDHeader names the header that carries the id of a request, both ways.
const RequestIDHeader = "Sallyport-Request-Id"

// Problem is one answer of ours that is no success.
type Problem struct {
	Type       string        `json:"type"`                 // "about:blank"; see Complete
	Status     int           `json:"status"`               // HTTP status
	Title      string        `json:"title"`                // the status in words
	Code       string        `json:"code"`                 // stable, for programs: "unknown_service"
	Detail     string        `json:"detail,omitempty"`     // what is wrong, in a sentence
	Hint       string        `json:"hint,omitempty"`       // the way out
	Pointer    string        `json:"pointer,omitempty"`    // JSON pointer into the request's body
	Errors     []Detail      `json:"errors,omitempty"`     // every fault, where there are several
	Provider   *Provider     `json:"provider,omitempty"`   // what the third party said; nil when it was silent
	RequestID  string        `json:"request_id,omitempty"` // as in the log
	RetryAfter time.Duration `json:"-"`                    // becomes Retry-After; zero writes none
}

// Detail is one of several faults of a request.
type Detail struct {
	Pointer string `json:"pointer,omitempty"` // where
	Detail  string `json:"detail"`            // what
}

// Provider is a third party's own account of an error.
type Provider struct {
	Code      string `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
	RequestID string `json:"request_id,omitempty"` // what its support asks for
}

// Error makes a Problem an error.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Code + ": " + p.Detail
	}
	return p.Code
}

// GetStatus returns the HTTP status; with Error it is what huma wants of an
// error it may answer with.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type of the document.
func (*Problem) ContentType(string) string { return ContentType }

// Complete is p with its type, its title and the request's id filled in. The
// type "about:blank" says that the title is the status in words (RFC 9457,
// section 4.2.1); the code is what tells problems apart.
func (p *Problem) Complete(requestID string) Problem {
	out := *p
	if out.Type == "" {
		out.Type = "about:blank"
	}
	if out.Title == "" {
		out.Title = http.StatusText(out.Status)
	}
	if out.Title == "" {
		out.Title = "Client Closed Request" // 499, the one status of ours that has no name
	}
	if out.RequestID == "" {
		out.RequestID = requestID
	}
	return out
}

// Write answers with p, completed; the request's id is taken from the answer's
// own header.
func Write(w http.ResponseWriter, p *Problem) {
	out := p.Complete(w.Header().Get(RequestIDHeader))
	body, err := json.Marshal(&out)
	if err != nil { // strings and numbers only: can't happen
		body = []byte(`{"status":500,"code":"internal"}`)
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if after := out.RetryAfter; after > 0 {
		h.Set("Retry-After", Seconds(after))
	}
	w.WriteHeader(out.Status)
	_, _ = w.Write(append(body, '\n'))
}

// Seconds is d as Retry-After wants it: whole seconds, rounded up (RFC 9110,
// section 10.2.3).
func Seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
