package call

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/paginate"
	"github.com/sallyport/sallyport/plan"
)

// Codes of lists.
const (
	CodeNoPages = "no_pagination" // the profile does not say how the provider's lists go on
	CodeList    = "list_ended"    // the list could not be read to its end
)

// List goes through the pages of an endpoint that lists, in the way the
// provider's profile declares (R4.15). Each page is a call of its own, with
// everything that belongs to it. The error is an *integration.Failure when the
// request does not fit the plan; then nothing is sent.
func (s *Service) List(ctx context.Context, name string, in Request, options ...paginate.Option) (iter.Seq2[*paginate.Page, error], error) {
	op, ok := s.endpoints[name]
	if !ok {
		return nil, s.unknownEndpoint(name)
	}
	path, raw, err := fillPath(op, in.Path)
	if err != nil {
		return nil, err
	}
	r, err := op.request(ctx, in)
	if err != nil {
		return nil, err
	}
	s.place(r.URL, path, raw, r.URL.RawQuery)
	return s.pages(ctx, r, asked{tenant: in.Tenant, connection: in.Connection, entry: integration.EntryEndpoint, op: op}, options)
}

// Walk goes through the pages of a list from a request as Transport takes it.
func (s *Service) Walk(ctx context.Context, tenant string, entry integration.Entry, first *http.Request, options ...paginate.Option) (iter.Seq2[*paginate.Page, error], error) {
	path, raw := first.URL.Path, first.URL.RawPath
	if entry != integration.EntryProxy {
		path, raw = s.relative(first.URL)
	}
	if dotted(path) {
		return nil, refuseDots()
	}
	at := *first.URL
	s.place(&at, path, raw, first.URL.RawQuery)
	r := first.Clone(ctx)
	r.URL = &at
	return s.pages(ctx, r, asked{tenant: tenant, connection: first.Header.Get(HeaderConnection), entry: entry}, options)
}

func (s *Service) pages(ctx context.Context, first *http.Request, ask asked, options []paginate.Option) (iter.Seq2[*paginate.Page, error], error) {
	op := ask.op
	if op == nil {
		path, _ := s.relative(first.URL)
		op = s.operationFor(first.Method, path)
	}
	if op.effect != plan.EffectRead {
		return nil, &integration.Failure{
			Class: integration.ClassInvalid, Code: CodeNoPages, Reason: "request",
			Message: fmt.Sprintf("%s %s is no list: its effect is %s.", first.Method, first.URL.Path, op.effect), Hint: "Name an endpoint whose effect is read.",
		}
	}
	style, err := paginate.Of(s.profile)
	if err != nil {
		return nil, &integration.Failure{
			Class: integration.ClassInvalid, Code: CodeNoPages, Reason: "request", Err: err,
			Message: "It is not known how the lists of " + s.profile.Name + " go on.", Hint: "Ask for one page after the other, or add pagination to the profile: " + err.Error(),
		}
	}
	style.Base = strings.TrimSuffix(s.base.Path, "/")
	return paginate.Pages(ctx, style, first, func(r *http.Request) (*http.Response, error) {
		path, raw := s.below(r.URL)
		j, err := s.begin(r, path, raw, ask)
		if err != nil {
			return nil, err
		}
		resp, err := s.run(r.Context(), j)
		if err == nil && j.call.Failure != nil {
			_ = resp.Body.Close() // the failure says it, without our credential, which a provider may repeat
			return nil, j.call.Failure
		}
		return resp, err
	}, options...), nil
}

// ListFailure is what ended a walk, as every other failure of a call.
func (s *Service) ListFailure(err error) *integration.Failure {
	var f *integration.Failure
	if errors.As(err, &f) {
		return f
	}
	var answered *paginate.AnswerError
	if errors.As(err, &answered) {
		if _, f = s.dialect.Answer(answered.Status, answered.Header, answered.Body, s.now()); f != nil {
			f.CallID, f.Reason = answered.Header.Get(HeaderCall), answered.Header.Get(HeaderReason)
			return f
		}
	}
	return &integration.Failure{
		Class: integration.ClassBroken, Code: CodeList, Message: "The list could not be read to its end.", Hint: err.Error() + ".", Err: err,
	}
}
