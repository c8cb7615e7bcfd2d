package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/plan"
)

// Fault is one way in which the stand-in misbehaves. The first fault in the
// list that fits a request and still has some left is the one that happens; one
// with neither status nor reset only delays.
type Fault struct {
	// Endpoint is "METHOD /path" as in the document, the name of an endpoint of
	// the plan, or "*" for every request.
	Endpoint string `yaml:"endpoint" json:"endpoint"`
	// After is how many fitting requests pass before the fault begins.
	After int `yaml:"after,omitempty" json:"after,omitempty"`
	// First is how many requests it happens to. Zero: all of them.
	First int `yaml:"first,omitempty" json:"first,omitempty"`
	// Status is answered, 400 to 599. Zero: none.
	Status int `yaml:"status,omitempty" json:"status,omitempty"`
	// RetryAfter is put into the Retry-After header, in whole seconds. Zero: no
	// header.
	RetryAfter plan.Duration `yaml:"retry_after,omitempty" json:"retry_after,omitempty"`
	// Latency passes before the request is looked at.
	Latency plan.Duration `yaml:"latency,omitempty" json:"latency,omitempty"`
	// Reset closes the connection without an answer.
	Reset bool `yaml:"reset,omitempty" json:"reset,omitempty"`
	// Body is answered instead of the provider's error body.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
	// Effect says whether status or reset come before the request takes effect
	// (the default) or after it, when the caller can't know.
	Effect string `yaml:"effect,omitempty" json:"effect,omitempty"`
}

// When a fault comes.
const (
	EffectBefore = "before"
	EffectAfter  = "after"
)

// String says what the fault does, in short.
func (f Fault) String() string {
	var parts []string
	if f.Latency > 0 {
		parts = append(parts, "latency "+f.Latency.String())
	}
	if f.Status != 0 {
		parts = append(parts, "status "+strconv.Itoa(f.Status))
	}
	if f.RetryAfter > 0 {
		parts = append(parts, "retry after "+f.RetryAfter.String())
	}
	if f.Reset {
		parts = append(parts, "reset")
	}
	if f.Effect == EffectAfter {
		parts = append(parts, "after the effect")
	}
	return strings.Join(parts, ", ")
}

// invalid says what is wrong with a fault, and in which field.
func (f Fault) invalid() (field, message string) {
	switch {
	case f.Endpoint == "":
		return "endpoint", `endpoint is missing; write "METHOD /path", the name of an endpoint of the plan, or "*"`
	case f.After < 0:
		return "after", "after can't be negative"
	case f.First < 0:
		return "first", "first can't be negative; 0 is every request"
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return "status", fmt.Sprintf("status %d is no error; write 400 to 599", f.Status)
	case f.Status != 0 && f.Reset:
		return "reset", "status and reset exclude each other: a closed connection has no status"
	case f.Status == 0 && f.RetryAfter != 0:
		return "retry_after", "retry_after needs a status, such as 429"
	case f.RetryAfter != 0 && time.Duration(f.RetryAfter)%time.Second != 0:
		return "retry_after", "retry_after counts whole seconds"
	case f.Status == 0 && f.Body != "":
		return "body", "body needs a status"
	case f.Effect != "" && f.Effect != EffectBefore && f.Effect != EffectAfter:
		return "effect", fmt.Sprintf("effect %q is unknown; write before or after", f.Effect)
	case !f.interrupts() && f.Effect == EffectAfter:
		return "effect", "effect: after needs a status or reset"
	case !f.interrupts() && f.Latency == 0:
		return "endpoint", "the fault does nothing; give it a status, reset or latency"
	}
	return "", ""
}

// interrupts reports whether the caller gets no ordinary answer.
func (f *Fault) interrupts() bool { return f.Status != 0 || f.Reset }

// wait lets the latency pass; false when the caller went away meanwhile.
func (f *Fault) wait(ctx context.Context) bool {
	if f.Latency == 0 {
		return true
	}
	t := time.NewTimer(time.Duration(f.Latency))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// faults is the list in force, with what happened so far.
type faults struct {
	mu   sync.Mutex
	list []armed
}

type armed struct {
	Fault
	route *route // nil: every request
	seen  int
}

// set replaces the list; counting begins anew. Nothing changes when one of them
// is wrong.
func (f *faults) set(s *Sandbox, list []Fault) error {
	fresh := make([]armed, 0, len(list))
	var errs []error
	for i, x := range list {
		a := armed{Fault: x}
		if _, wrong := x.invalid(); wrong != "" {
			errs = append(errs, fmt.Errorf("sandbox: fault %d: %s", i+1, wrong))
			continue
		}
		if x.Endpoint != "*" {
			if a.route = s.endpoint(x.Endpoint); a.route == nil {
				errs = append(errs, fmt.Errorf("sandbox: fault %d: endpoint %q is neither in the document nor in the plan", i+1, x.Endpoint))
				continue
			}
		}
		fresh = append(fresh, a)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = fresh
	return nil
}

// endpoint finds "METHOD /path" or a name of the plan.
func (s *Sandbox) endpoint(name string) *route {
	if e := s.cfg.Plan.Endpoints[name]; e != nil {
		name = e.Call
	}
	method, path, _ := strings.Cut(name, " ")
	return s.routes.exact(method, path)
}

// take gives the fault that happens to a request, if any.
func (f *faults) take(r *route) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		a := &f.list[i]
		if a.route != nil && a.route != r {
			continue
		}
		if a.First > 0 && a.seen >= a.After+a.First {
			continue
		}
		if a.seen++; a.seen > a.After {
			fault := a.Fault
			return &fault
		}
	}
	return nil
}

// now gives the list in force.
func (f *faults) now() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]Fault, len(f.list))
	for i, a := range f.list {
		list[i] = a.Fault
	}
	return list
}

// fail answers as the fault says.
func (s *Sandbox) fail(w http.ResponseWriter, c *call, f *Fault) {
	if f.Reset {
		reset(w)
		return
	}
	a := s.dialect.status(f.Status)
	if f.Body != "" {
		a.body = []byte(f.Body)
	}
	if f.RetryAfter > 0 {
		a.set("Retry-After", strconv.Itoa(int(time.Duration(f.RetryAfter)/time.Second)))
	}
	s.reply(w, c, a)
}

// reset drops the connection so that the caller sees "connection reset by
// peer", or where the connection can't be had, a closed one.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's word for it: close, and log nothing
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
