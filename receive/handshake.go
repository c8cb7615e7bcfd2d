package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/handshake"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
	"github.com/sallyport/sallyport/verify"
)

// success is the answer to an event that was kept.
type success struct {
	status     int
	kind, body string
}

func successOf(a catalog.WebhookAnswer) success {
	s := success{status: a.Success, kind: a.Type, body: a.Body}
	if s.status == 0 {
		s.status = http.StatusOK
	}
	if s.kind == "" && s.body != "" {
		s.kind = "text/plain; charset=utf-8"
	}
	return s
}

func (s success) write(w http.ResponseWriter) {
	if s.kind != "" {
		w.Header().Set("Content-Type", s.kind)
	}
	w.WriteHeader(s.status)
	if s.body != "" {
		_, _ = w.Write([]byte(s.body)) // the event is kept; who hung up asks again
	}
}

// problem is the answer to a webhook that was not accepted, with the status that
// the provider takes for a wrong signature.
func (d *door) problem(v verdict) *problem.Problem {
	p := v.problem()
	if p != nil && d.refused != 0 && p.Status == http.StatusUnauthorized {
		p.Status = d.refused
	}
	return p
}

// compileHandshakes also checks that the variants that sign them can be verified.
func (d *door) compileHandshakes(facts *catalog.Webhooks) (err error) {
	if len(facts.Handshakes) == 0 {
		return nil
	}
	if d.handshakes, err = handshake.Compile(facts.Handshakes); err != nil {
		return fmt.Errorf("profile webhooks.%w", err)
	}
	for _, h := range facts.Handshakes {
		if h.SignedBy != "" && h.SignedBy != anyScheme && !slices.ContainsFunc(d.schemes, func(s scheme) bool { return s.name == h.SignedBy }) {
			return fmt.Errorf("profile webhooks.handshakes %s: signed_by: there is no variant %q", h.Name, h.SignedBy)
		}
	}
	return nil
}

var (
	errNoKeeper  = errors.New("the provider delivered a secret, and nothing is there to keep it")
	errNoVisitor = errors.New("the provider asks for a visit to confirm, and nothing is there to make it")
)

// keepWithin is how long keeping a delivered secret may take before the provider
// is asked to come again: no provider that delivers one waits less than twice that.
const keepWithin = 2 * time.Second

var errKeepLate = fmt.Errorf("keeping the secret took longer than %s", keepWithin)

// keepSecret keeps what the provider delivered, also when it hangs up meanwhile.
func (d *door) keepSecret(ctx context.Context, secret integration.Secret) error {
	if d.keep == nil {
		return errNoKeeper
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), keepWithin, errKeepLate)
	defer cancel()
	return d.keep(ctx, secret)
}

// answer answers a handshake. Nothing waits for the store but a delivered secret,
// which is kept before the provider hears that all is well; so is an address
// visited.
func (d *door) answer(ctx context.Context, h *handshake.Handshake, in *extract.Request, given verify.Given) (*handshake.Response, verdict, error) {
	if by := h.SignedBy(); by != "" {
		if err := d.verify(ctx, in, given, by); err != nil {
			return nil, verdictOf(err), fmt.Errorf("handshake %s: %w", h.Name(), err)
		}
	}
	reply, err := h.Answer(in, given.Secrets)
	switch {
	case errors.Is(err, verify.ErrNoSecret):
		return nil, verdictFailed, fmt.Errorf("handshake %s: %w", h.Name(), err)
	case err != nil:
		return nil, verdictMismatch, fmt.Errorf("handshake %s: %w", h.Name(), err)
	}
	if !reply.Store.IsZero() {
		err = d.keepSecret(ctx, reply.Store)
	}
	if err == nil && reply.Visit != "" {
		err = errNoVisitor
		if d.visit != nil {
			err = d.visit(ctx, reply.Visit)
		}
	}
	if err != nil {
		return nil, verdictFailed, fmt.Errorf("handshake %s: %w", h.Name(), err)
	}
	return &reply, verdictHandshake, nil
}

func writeReply(w http.ResponseWriter, reply *handshake.Response) {
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // who hung up tries the address again
}

// handshake serves what comes with another method than POST: a handshake or
// nothing at all.
func (r *Receiver) handshake(w http.ResponseWriter, req *http.Request, d *door, start time.Time) {
	in := &extract.Request{Method: req.Method, URL: r.publicURL(req), Header: req.Header, Config: d.values}
	h := d.handshakes.Match(in)
	if h == nil {
		w.Header().Set("Allow", d.allow())
		refuse(w, &problem.Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: "webhooks are sent with POST"})
		return
	}
	given := verify.Given{Secrets: d.secrets(), Now: start, Keys: r.config.Keys, Certificate: r.certificate(req)}
	reply, verdict, err := d.answer(req.Context(), h, in, given)
	d.counters.count(verdict)
	if reply != nil {
		writeReply(w, reply)
	} else {
		refuse(w, d.problem(verdict))
	}
	r.log(req.Context(), d, nil, verdict, err, start, w.Header().Get(problem.RequestIDHeader))
}

// allow lists the methods of the door.
func (d *door) allow() string {
	methods := []string{http.MethodPost}
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
		if d.handshakes.Takes(m) {
			methods = append(methods, m)
		}
	}
	return strings.Join(methods, ", ")
}
