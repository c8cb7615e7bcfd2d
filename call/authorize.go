package call

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/integration"
)

// HeaderConnection names, on a request, the connection whose credential is used;
// without it, it is the one of the tenant.
const HeaderConnection = "Sallyport-Connection"

// Authorizer finds what authorises calls.
type Authorizer interface {
	// For returns what authorises the calls of a tenant, or of the connection with
	// that id. A warm one must cost next to nothing: it is asked before every
	// attempt. The error may be an *integration.Failure.
	For(ctx context.Context, tenant, connection string) (*Authorized, error)
	// Refused is told that the provider answered 401 and returns what to try with
	// once more, nil where there is nothing else (R4.2).
	Refused(ctx context.Context, a *Authorized) (*Authorized, error)
	// StillRefused is told that the second try was answered 401 as well (R2.5).
	StillRefused(ctx context.Context, a *Authorized) error
}

// Authorized is a credential ready to be put onto requests. It is not changed
// once handed out, and another one is another credential.
type Authorized struct {
	Connection string             // id of the connection; empty where the plan has one credential for all
	Secret     integration.Secret // what must not show up in errors
	BaseURL    *url.URL           // where the connection's calls go; nil: where the plan says
	// Apply puts it onto a request and returns its fingerprint.
	Apply func(r *http.Request) (fingerprint string, err error)
	// Origin is for the Authorizer.
	Origin any
}

// single is the one credential of a plan, read from its secrets.
type single struct {
	secret   func() integration.Secret
	refused  func()
	unusable func() error
	applier  *credential.Applier
	last     atomic.Pointer[Authorized]
}

// For returns the credential in use.
func (c *single) For(context.Context, string, string) (*Authorized, error) {
	secret := c.secret()
	if secret.IsZero() && c.unusable != nil {
		if err := c.unusable(); err != nil {
			return nil, err
		}
	}
	if last := c.last.Load(); last != nil && last.Secret == secret {
		return last, nil
	}
	a := &Authorized{Secret: secret, Apply: func(r *http.Request) (string, error) { return c.applier.Apply(r, secret) }}
	c.last.Store(a)
	return a, nil
}

// Refused has the secret read again; another one is tried.
func (c *single) Refused(ctx context.Context, a *Authorized) (*Authorized, error) {
	if c.secret() == a.Secret {
		c.refused()
	}
	if c.secret() == a.Secret {
		return nil, nil //nolint:nilnil // the same again would be refused again
	}
	return c.For(ctx, "", "")
}

// StillRefused does nothing: the log and the record tell.
func (*single) StillRefused(context.Context, *Authorized) error { return nil }

// authorize puts the credential onto what is asked. One that was swapped since
// the last attempt goes onto copies.
func (s *Service) authorize(ctx context.Context, j *journey) *integration.Failure {
	next := j.renewed
	j.renewed = nil
	if next == nil {
		var err error
		if next, err = s.authorizer.For(ctx, j.call.Tenant, j.connection); err != nil {
			return unauthorized(err)
		}
	}
	if j.ready != nil && j.ready.Secret == next.Secret && j.ready.Connection == next.Connection {
		j.ready = next
		return nil
	}
	if j.ready != nil {
		moved := *j.url
		j.url, j.header = &moved, j.header.Clone()
	}
	if next.BaseURL != nil {
		s.rebase(j, next.BaseURL)
	}
	r := &j.first
	if j.ready != nil { // a transport may still be reading the first one
		r = new(http.Request)
	}
	r.URL, r.Header = j.url, j.header
	var err error
	if j.fingerprint, err = next.Apply(r); err != nil {
		return unauthorized(err)
	}
	j.ready = next
	return nil
}

// rebase sends the request to the connection's own base URL.
func (s *Service) rebase(j *journey, base *url.URL) {
	moved := *j.url
	rest := strings.TrimPrefix(moved.EscapedPath(), strings.TrimSuffix(s.base.EscapedPath(), "/"))
	moved.Scheme, moved.Host = base.Scheme, base.Host
	escaped := strings.TrimSuffix(base.EscapedPath(), "/") + rest
	if plain, err := url.PathUnescape(escaped); err == nil {
		moved.Path, moved.RawPath = plain, escaped
	}
	j.url = &moved
}

// unauthorized is the failure of a call that has no usable credential.
func unauthorized(err error) *integration.Failure {
	var f *integration.Failure
	if errors.As(err, &f) {
		return f
	}
	return &integration.Failure{
		Class: integration.ClassUnauthorized, Code: CodeCredential, Reason: "credential", Err: err,
		Message: "The connection to the provider is not set up.",
		Hint:    err.Error(),
	}
}

// refusedCredential asks for another credential after a 401, once a call.
// changed reports whether there is one.
func (s *Service) refusedCredential(ctx context.Context, j *journey) (changed bool) {
	if j.refusals++; j.refusals > 1 {
		if err := s.authorizer.StillRefused(ctx, j.ready); err != nil {
			s.log.WarnContext(ctx, "call.credential_refused", "call", j.call.ID, "connection", j.ready.Connection, "error", err)
		}
		return false
	}
	next, err := s.authorizer.Refused(ctx, j.ready)
	if err != nil {
		s.log.WarnContext(ctx, "call.credential_refused", "call", j.call.ID, "connection", j.ready.Connection, "error", err)
		return false
	}
	j.renewed = next
	return next != nil
}
