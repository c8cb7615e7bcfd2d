package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Entry is one request as the stand-in saw it, free of credentials.
type Entry struct {
	Number    int           `json:"number"` // counts from 1
	At        time.Time     `json:"at"`
	Method    string        `json:"method"`
	Path      string        `json:"path"` // with the query
	Operation string        `json:"operation,omitempty"`
	Header    http.Header   `json:"header"`
	Body      string        `json:"body,omitempty"` // the first 4 KB
	Status    int           `json:"status"`         // 0: none was sent
	RequestID string        `json:"request_id"`
	Fault     string        `json:"fault,omitempty"`    // what was done to it
	Replayed  bool          `json:"replayed,omitempty"` // answered by its idempotency key
	Took      time.Duration `json:"took_ns"`
}

const (
	loggedBody = 4 << 10
	redacted   = "[secret]"
)

// journal is the request log, newest last.
type journal struct {
	mu      sync.Mutex
	count   int
	entries []Entry
}

// begin notes a request; end adds how it went.
func (*journal) begin(s *Sandbox, r *http.Request, body []byte) *Entry {
	headers, queries := s.guard.carriers()
	e := &Entry{At: s.now().UTC(), Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: strings.ToValidUTF8(string(body[:min(len(body), loggedBody)]), "\ufffd")}
	for _, name := range headers {
		if e.Header.Get(name) != "" {
			e.Header.Set(name, redacted)
		}
	}
	if r.URL.RawQuery != "" {
		q := r.URL.Query()
		for _, name := range queries {
			if q.Has(name) {
				q.Set(name, redacted)
			}
		}
		e.Path += "?" + q.Encode()
	}
	return e
}

func (j *journal) end(c *call) {
	e := c.entry
	e.RequestID = c.id
	if c.route != nil {
		e.Operation = c.route.op.Call()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count++
	e.Number = j.count
	if len(j.entries) == maxRequests {
		j.entries = dropFirst(j.entries)
	}
	j.entries = append(j.entries, *e)
}

func (j *journal) all() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// Requests are the last 1,000 requests, oldest first, credentials redacted.
func (s *Sandbox) Requests() []Entry { return s.journal.all() }
