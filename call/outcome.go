package call

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/form"
	"github.com/sallyport/sallyport/integration"
)

// Settles reports whether the plan says how to find out what became of a call
// of unknown outcome.
func (s *Service) Settles(c *integration.Call) bool {
	op, ok := s.endpoints[c.Endpoint]
	if !ok {
		return false
	}
	_, _, ok = conflict.LookupOf(s.plan, op.endpoint)
	return ok
}

// Outcome looks at the provider for what became of a call of unknown outcome,
// by the endpoint's on_unknown (R4.7). It changes nothing. The error is
// integration.ErrState for a call that is none, or an *integration.Failure.
func (s *Service) Outcome(ctx context.Context, unknown *integration.Call) (conflict.Evidence, error) {
	if unknown.State != integration.CallUnknown {
		return conflict.Evidence{}, fmt.Errorf("call %s is %s: %w", unknown.ID, unknown.State, integration.ErrState)
	}
	op, ok := s.endpoints[unknown.Endpoint]
	if !ok || !s.Settles(unknown) {
		return conflict.Evidence{}, &integration.Failure{
			Class: integration.ClassInvalid, Code: "no_on_unknown", Reason: "request",
			Message: "The plan does not say how to find out what became of this call.", Hint: "Write on_unknown for the endpoint, or look at the provider yourself.",
		}
	}
	lookup, _, _ := conflict.LookupOf(s.plan, op.endpoint)
	asked, err := s.remembered(op, unknown)
	if err != nil {
		return conflict.Evidence{}, notKept(unknown, err.Error())
	}
	path, query, err := lookup.Request(asked)
	if err != nil {
		return conflict.Evidence{Outcome: conflict.Unknown, Why: err.Error()}, nil //nolint:nilerr // a call that lacks what to look for stays unknown
	}
	read := s.now()
	answer := conflict.Answer{Class: integration.ClassOK, Read: read}
	seen, err := s.lookUp(ctx, askedFor(unknown), op.endpoint.OnUnknown.Find, path, query)
	var f *integration.Failure
	switch {
	case errors.As(err, &f) && f.Class == integration.ClassMissing:
		answer.Class, answer.Gone = f.Class, s.dialect.Gone(404)
	case err != nil:
		return conflict.Evidence{}, err
	default:
		answer.Body = seen.body
	}
	return lookup.Settle(asked, answer), nil
}

func askedFor(c *integration.Call) asked {
	return asked{tenant: c.Tenant, connection: c.Header.Get(HeaderConnection), entry: c.Entry}
}

// remembered is a kept call as the search for its trace takes it.
func (s *Service) remembered(op *operation, c *integration.Call) (conflict.Call, error) {
	at, err := url.ParseRequestURI(c.Path)
	if err != nil {
		return conflict.Call{}, errors.New("its path can't be read")
	}
	out := conflict.Call{ID: c.ID, Key: c.IdempotencyKey, Path: s.variablesOf(op, at), Query: at.Query(), Body: c.Body, First: c.CreatedAt, Last: c.FinishedAt}
	if strings.HasPrefix(c.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if out.Body, err = form.Decode(c.Body); err != nil {
			return out, errors.New("its body can't be read")
		}
	}
	if n := len(c.Attempts); n > 0 {
		out.First, out.Last = c.Attempts[0].StartedAt, c.Attempts[n-1].StartedAt.Add(c.Attempts[n-1].Took)
	}
	return out, nil
}
