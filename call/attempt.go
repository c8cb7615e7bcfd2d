package call

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/integration"
)

// attempt sends the request once and says what the answer meant. failure is nil
// for a success; resp is nil when there was no answer.
func (s *Service) attempt(ctx context.Context, j *journey) (resp *http.Response, a *integration.Attempt, failure *integration.Failure) {
	j.call.Attempts = append(j.call.Attempts, integration.Attempt{Number: len(j.call.Attempts) + 1, Waited: j.waited, Sent: true})
	a = &j.call.Attempts[len(j.call.Attempts)-1]
	j.waited = 0
	body, out := &j.firstAnswer, &j.first
	if a.Number > 1 {
		body, out = new(answerBody), new(http.Request)
	}
	within := &body.clock
	within.start(ctx, j.op)
	body.slot = j.slot
	*out = *j.request.WithContext(within.Context)
	out.Method, out.URL, out.Header, out.Host, out.RequestURI, out.Response = j.call.Method, j.url, j.header, "", "", nil
	out.ContentLength, out.GetBody, out.TransferEncoding, out.Trailer, out.Close = j.body.length, nil, nil, nil, false
	var err error
	j.now = s.since(j.now)
	start := j.now
	a.StartedAt = start.UTC()
	if out.Body, err = j.body.next(); err == nil {
		if j.body.stream {
			out.Body = &upload{out.Body, within}
		}
		resp, err = s.transport.RoundTrip(out)
	}
	j.now = s.since(start)
	a.Took = j.now.Sub(start)
	if err == nil {
		body.Reader, body.closer = resp.Body, resp.Body
		resp.Body = body
		failure, err = s.judge(j, a, resp, body)
	}
	if failure != nil && resp.StatusCode < 200 { // no status an answer can have (RFC 9110, section 15); it can't be handed on
		_ = body.Close()
		resp = nil
	}
	if err != nil {
		failure = s.unanswered(ctx, within, a, err)
		if resp != nil {
			_ = body.Close() // it broke off already
			resp = nil
		}
		body.end()
	}
	if failure != nil {
		a.RetryAfter = failure.RetryAfter
		a.Error = credential.Scrub(wrong(failure), j.ready.Secret)
		failure.ProviderMessage = credential.Scrub(failure.ProviderMessage, j.ready.Secret)
		a.Class = failure.Class
	}
	return resp, a, failure
}

// judge reads as much of an answer as it takes to understand it. The error is
// that of the body, where it is needed and breaks off.
func (s *Service) judge(j *journey, a *integration.Attempt, resp *http.Response, body *answerBody) (*integration.Failure, error) {
	a.Status, a.Class = resp.StatusCode, integration.ClassOK
	a.RequestID = s.dialect.RequestID(resp.Header)
	success := resp.StatusCode < 400
	switch {
	case j.whole && success:
		err := body.peek(maxMapped + 1)
		j.now = s.now()
		if err != nil {
			return nil, err
		}
		if !body.whole {
			return &integration.Failure{
				Class: integration.ClassBroken, Code: CodeUnreadable, Message: "The provider's answer is too large.",
				Hint: "Use the proxy for answers of this size.", ProviderRequestID: a.RequestID, Err: fmt.Errorf("the answer is larger than %d bytes", maxMapped),
			}, nil
		}
	case s.dialect.NeedsBody(resp.StatusCode) && (!success || !stream(resp.Header)):
		err := body.peek(maxError)
		j.now = s.now()
		if err != nil && success {
			return nil, err
		}
	}
	_, failure := s.dialect.Answer(resp.StatusCode, resp.Header, body.start, j.now)
	return failure, nil
}

// unanswered is the failure of an attempt without an answer, and which clock it
// was if one ran out: the caller's, or the attempt's.
func (s *Service) unanswered(ctx, within context.Context, a *integration.Attempt, err error) *integration.Failure {
	_, sent, failure := s.dialect.Error(err)
	a.Sent = sent
	switch {
	case ctx.Err() != nil:
		return gone(ctx, context.Cause(ctx))
	case within.Err() != nil:
		_, _, failure = s.dialect.Error(context.Cause(within))
	case failure.Class == integration.ClassCanceled: // a transport's own idea of a deadline
		_, _, failure = s.dialect.Error(fmt.Errorf("the transport gave up: %w", &classify.Timeout{Clock: "transport", After: a.Took}))
	}
	return failure
}

// gone is the failure of a call whose caller went away. The context's own error
// stays findable beside its cause.
func gone(ctx context.Context, cause error) *integration.Failure {
	if err := ctx.Err(); err != nil && cause != err { //nolint:errorlint // the very same error
		cause = fmt.Errorf("%w: %w", err, cause)
	}
	return classify.Canceled(cause)
}

// wrong is what the record says about a failed attempt: the provider's words
// where it had some, else the error.
func wrong(f *integration.Failure) string {
	switch {
	case f.ProviderCode != "" && f.ProviderMessage != "" && f.ProviderCode != f.ProviderMessage:
		return f.ProviderCode + ": " + f.ProviderMessage
	case f.ProviderMessage != "":
		return f.ProviderMessage
	case f.ProviderCode != "":
		return f.ProviderCode
	case f.Err != nil:
		return f.Err.Error()
	}
	return f.Message
}
