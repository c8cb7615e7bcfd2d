package classify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Timeout is the cause a context is given when one of our clocks ends an
// attempt, so that the error can say which clock it was.
type Timeout struct {
	Clock string        // "attempt"
	After time.Duration // what it was set to
}

// Error names the clock.
func (t *Timeout) Error() string { return fmt.Sprintf("the %s timed out after %s", t.Clock, t.After) }

// Timeout is always true; it makes a Timeout a net.Error's kind of error.
func (t *Timeout) Timeout() bool { return true }

// Error says what it means that there was no answer (R4.8). sent is false only
// when the request certainly did not reach the provider: its name did not
// resolve, the connection or its handshake failed, or we refused to send it.
//
// A caller's own cancellation or deadline is ClassCanceled and says nothing
// about the provider.
func (d *Dialect) Error(err error) (class integration.Class, sent bool, f *integration.Failure) {
	if errors.As(err, &f) { // a refusal of our own
		return f.Class, false, f
	}
	sent = !notSent(err)
	f = &integration.Failure{Class: classOf(err, sent), Err: err}
	if f.Class == integration.ClassCanceled {
		return f.Class, sent, Canceled(err)
	}
	d.explain(f)
	f.Reason = string(f.Class)
	return f.Class, sent, f
}

// Canceled is the failure of a call whose caller went away; cause is the cause
// of its context.
func Canceled(cause error) *integration.Failure {
	return &integration.Failure{
		Class: integration.ClassCanceled, Code: "canceled", Reason: "canceled", Err: cause,
		Message: "The request was given up before an answer came.",
		Hint:    "The caller went away, or its own deadline passed.",
	}
}

func classOf(err error, sent bool) integration.Class {
	var clock *Timeout
	var dns *net.DNSError
	var timed interface{ Timeout() bool }
	switch {
	case errors.As(err, &clock):
		return integration.ClassTimeout
	case errors.As(err, &dns):
		return integration.ClassNetwork
	case errors.Is(err, context.Canceled):
		return integration.ClassCanceled
	case sent && err != nil && isDeadline(err):
		return integration.ClassCanceled
	case errors.As(err, &timed) && timed.Timeout():
		return integration.ClassTimeout
	}
	return integration.ClassNetwork
}

// isDeadline recognises the context's own error. The timeouts of package net
// claim to be it as well, but have another text.
func isDeadline(err error) bool {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if e == context.DeadlineExceeded { //nolint:errorlint // the very value, not what claims to be it
			return true
		}
	}
	return false
}

// notSent recognises failures from before the request left.
func notSent(err error) bool {
	var told interface{ NotSent() bool }
	if errors.As(err, &told) {
		return told.NotSent()
	}
	var dns *net.DNSError
	var op *net.OpError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var verification *tls.CertificateVerificationError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial" ||
		errors.As(err, &unknown) || errors.As(err, &name) || errors.As(err, &verification)
}
