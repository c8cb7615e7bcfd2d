package call

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// HeaderFallback says on an answer that it is not the provider's own: cached or
// default (R4.11).
const HeaderFallback = "Sallyport-Fallback"

// CodeQueued is the code of a call that will be made later, by itself.
const CodeQueued = "queued"

// ReasonQueued is its Sallyport-Reason.
const ReasonQueued = "queued"

// firstTurn is how long a queued call waits for its first turn when nobody said
// a time.
const firstTurn = 5 * time.Second

// fallback is what a caller gets instead of a failure that passes, where the
// plan declares something (R4.11). ok is false when it does not apply: then the
// call ends as it did. A call that runs from the queue has no caller to please;
// one that reads what an event is about is made again with the event.
func (s *Service) fallback(ctx context.Context, j *journey, f *integration.Failure, state integration.CallState) (resp *http.Response, ok bool, err error) {
	passes := f.Class.Transient() && (state == integration.CallFailed || state == integration.CallRejected)
	if j.op.endpoint == nil || j.turn != nil || j.call.Entry == integration.EntryFetch || !passes {
		return nil, false, nil
	}
	switch j.op.endpoint.Fallback {
	case "queue":
		return s.queue(ctx, j, f)
	case "default":
		s.write(ctx, j, f, integration.CallRejected)
		resp = &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header:        http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, HeaderFallback: {"default"}},
			Body:          io.NopCloser(strings.NewReader(j.op.endpoint.Default)),
			ContentLength: int64(len(j.op.endpoint.Default)),
		}
		j.mark(resp, f.Reason)
		return resp, true, nil
	}
	return nil, false, nil
}

// queue puts the call into the durable queue. The caller hears of it when it is
// safe there.
func (s *Service) queue(ctx context.Context, j *journey, f *integration.Failure) (*http.Response, bool, error) {
	if _, whole := j.body.keep(); !whole {
		return nil, false, nil // a body that was streamed through is gone
	}
	now := s.now().UTC()
	c := j.call
	c.DueAt = now.Add(cmp.Or(f.RetryAfter, firstTurn))
	c.ExpiresAt = now.Add(s.plan.Calls.Expire.Or(plan.DefaultExpire))
	c.Priority = j.op.endpoint.Priority
	queued := &integration.Failure{
		Class: f.Class, Code: CodeQueued, Reason: ReasonQueued, RetryAfter: f.RetryAfter, Err: f,
		ProviderCode: f.ProviderCode, ProviderMessage: f.ProviderMessage, ProviderRequestID: f.ProviderRequestID,
		Message: "The provider can't be reached at the moment. The request is kept and will be made by itself.",
		Hint:    "Do not send it again. Ask GET /api/v1/calls/" + c.ID + " what became of it.",
	}
	s.write(ctx, j, queued, integration.CallQueued)
	if queued.Reason == ReasonNotKept {
		f.CallID, f.Attempts = c.ID, len(c.Attempts)
		notWritten(f)
		c.Failure = f
		return nil, true, f
	}
	return nil, true, queued
}
