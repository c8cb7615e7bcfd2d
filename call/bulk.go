package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/sallyport/sallyport/bulk"
	"github.com/sallyport/sallyport/integration"
)

// compileBulk makes the collectors of endpoints that are collected (R4.15).
func (s *Service) compileBulk() error {
	for name, op := range s.endpoints {
		b := op.endpoint.Bulk
		if b == nil {
			continue
		}
		many, ok := s.endpoints[b.Call]
		if !ok {
			return fmt.Errorf("call: endpoints.%s.bulk.call: there is no endpoint %q", name, b.Call)
		}
		var err error
		op.collector, err = bulk.New(bulk.Config{
			Shape: bulk.Shape{Items: b.Items, Answers: b.Answers, Match: b.Match, Error: b.Error}, Max: b.Max, Wait: b.Wait.Or(0), MaxBytes: MaxReplay / 2,
			Send: func(ctx context.Context, tenant string, body json.RawMessage) (bulk.Sent, error) {
				return s.sendMany(ctx, many, tenant, body)
			},
		})
		if err != nil {
			return fmt.Errorf("call: endpoints.%s.bulk: %w", name, err)
		}
	}
	return nil
}

// collects reports whether a call may go together with others: one that brings
// a key or a query of its own is made alone.
func (op *operation) collects(in Request) bool {
	return op.collector != nil && in.IdempotencyKey == "" && in.Connection == "" && len(in.Query) == 0 && len(in.Path) == 0
}

// collect makes a call as a part of a bulk request, whose id the answer
// carries.
func (s *Service) collect(ctx context.Context, op *operation, in Request) (*Response, error) {
	item, err := op.content(in.Body)
	if err != nil {
		return nil, err
	}
	got, err := op.collector.Do(ctx, in.Tenant, item)
	out := &Response{CallID: got.Header.Get(HeaderCall)}
	out.Attempts, _ = strconv.Atoi(got.Header.Get(HeaderAttempts)) // ours; zero when nothing was answered
	var f *integration.Failure
	switch {
	case errors.As(err, &f):
		if out.CallID == "" {
			out.CallID, out.Attempts, out.Reason = f.CallID, f.Attempts, f.Reason
		}
		if json.Valid(got.Body) {
			out.Body = got.Body
		}
		return out, f
	case err != nil:
		return out, gone(ctx, err)
	}
	resp := &http.Response{StatusCode: http.StatusOK}
	return out, op.fill(resp, out, got.Body, nil)
}

// sendMany makes a bulk request.
func (s *Service) sendMany(ctx context.Context, many *operation, tenant string, body []byte) (bulk.Sent, error) {
	r, err := many.encoded(ctx, nil, body)
	if err != nil {
		return bulk.Sent{}, err
	}
	path := many.endpoint.Path()
	j, err := s.begin(r, path, "", asked{tenant: tenant, entry: integration.EntryEndpoint, op: many, whole: true})
	if err != nil {
		return bulk.Sent{}, err
	}
	resp, err := s.run(ctx, j)
	if err != nil {
		return bulk.Sent{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxMapped+1))
	switch {
	case j.call.Failure != nil && resp.Header.Get(HeaderFallback) == "":
		return bulk.Sent{}, j.call.Failure
	case err != nil:
		return bulk.Sent{}, many.unmapped(resp, &Response{CallID: j.call.ID, Attempts: len(j.call.Attempts)}, CodeUnreadable, err)
	}
	return bulk.Sent{Body: content, Header: resp.Header}, nil
}

// Close sends what is collected and waits until it is answered, or ctx ends, and
// gives back the part of shared limits that was not used. Calls made afterwards
// are not collected any more but refused.
func (s *Service) Close(ctx context.Context) error {
	problems := []error{s.limiter.Close(ctx)}
	for _, op := range s.endpoints {
		if op.collector != nil {
			problems = append(problems, op.collector.Close(ctx))
		}
	}
	return errors.Join(problems...)
}
