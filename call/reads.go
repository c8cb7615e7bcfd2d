package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/sallyport/sallyport/cache"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// shares reports whether identical calls of the operation in flight may be one,
// and its answers kept (R4.15): reads of which the plan says that an answer may
// be served again. A shared call belongs to nobody: it has no caller's deadline,
// and goes on until the last caller has gone.
func (op *operation) shares(method string) bool {
	return op.endpoint != nil && op.effect == plan.EffectRead && (op.endpoint.Cache != 0 || op.endpoint.Fallback == "cached") &&
		(method == http.MethodGet || method == http.MethodHead)
}

// answer is what every door hands back: for a read what is kept, or what an
// identical call that is under way brings; else the journey's own.
func (s *Service) answer(ctx context.Context, j *journey) (*http.Response, error) {
	if !j.op.shares(j.call.Method) || j.body.length != 0 {
		return s.run(ctx, j)
	}
	// Copies: the call may go on for others when this caller has gone, and a
	// credential has no place in what is kept.
	at := *j.url
	asked := &http.Request{Method: j.call.Method, URL: &at, Header: j.header.Clone(), Host: at.Host}
	o := cache.Options{Tenant: j.whose(), TTL: j.op.endpoint.Cache.Or(0), Good: s.good}
	resp, err := s.cache.Do(ctx, asked, o, func(ctx context.Context, conditional http.Header) (*http.Response, error) {
		for _, name := range conditions {
			delete(j.header, name) // of the question before; the caller's own do not come here
		}
		for name, values := range conditional {
			j.header[name] = values
		}
		return kept(s.run(ctx, j))
	})
	if j.op.endpoint.Fallback == "cached" && s.passing(resp, err) { // R4.11
		if old, ok := s.cache.Stale(asked, j.whose()); ok {
			old.Header.Set(HeaderFallback, "cached")
			var f *integration.Failure
			switch {
			case errors.As(err, &f):
				tell(old.Header, f.CallID, strconv.Itoa(f.Attempts), f.Reason)
			case resp != nil:
				tell(old.Header, resp.Header.Get(HeaderCall), resp.Header.Get(HeaderAttempts), resp.Header.Get(HeaderReason))
				_ = resp.Body.Close() // the old answer takes its place
			}
			resp, err = old, nil
		}
	}
	var broken *cache.BrokenError
	switch {
	case errors.As(err, &broken):
		return nil, &integration.Failure{
			Class: integration.ClassNetwork, Code: CodeUnreadable, Reason: "network", Message: "The provider's answer broke off.", Hint: "It was a read: make it again.", Err: err,
		}
	case err != nil:
		var f *integration.Failure
		if !errors.As(err, &f) {
			err = gone(ctx, err)
		}
		return nil, err
	}
	resp.Request = j.request // ours carries the credential
	return resp, nil
}

// conditions are what a cache asks with (RFC 9110, section 13.1).
var conditions = []string{"If-None-Match", "If-Modified-Since"}

// kept takes from a provider's answer what it says about keeping it. Providers
// of APIs forbid it wholesale (Stripe's answers all say no-store); here the plan
// has named the endpoint and the time, and its word stands.
func kept(resp *http.Response, err error) (*http.Response, error) {
	if err == nil && resp.Header.Get(HeaderFallback) == "" {
		for _, name := range []string{"Cache-Control", "Pragma", "Expires"} {
			resp.Header.Del(name)
		}
	}
	return resp, err
}

// tell writes onto a stand-in which call it stands in for.
func tell(h http.Header, id, attempts, reason string) {
	for name, value := range map[string]string{HeaderCall: id, HeaderAttempts: attempts, HeaderReason: reason} {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// whose is whose data a call is about.
func (j *journey) whose() string {
	if j.connection != "" {
		return "connection:" + j.connection
	}
	return j.call.Tenant
}

// good reports whether an answer is a success also by the provider's own rule.
func (s *Service) good(status int, header http.Header, body []byte) bool {
	_, failure := s.dialect.Answer(status, header, body, s.now())
	return failure == nil
}

// passing reports whether a call ended in a failure that passes.
func (s *Service) passing(resp *http.Response, err error) bool {
	var f *integration.Failure
	if errors.As(err, &f) {
		return f.Class.Transient()
	}
	if err != nil || resp == nil {
		return false
	}
	return resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.Header.Get(HeaderReason) != ""
}

// wrote tells the cache that something may have changed.
func (s *Service) wrote(j *journey, resp *http.Response) {
	if j.op.effect == plan.EffectRead {
		return
	}
	s.cache.Wrote(j.whose(), &http.Request{Method: j.call.Method, URL: j.url, Header: j.header}, resp)
}

// CacheStats counts what the cache of reads did.
func (s *Service) CacheStats() cache.Stats { return s.cache.Stats() }

// reading is the answer of a read by an endpoint's name. It may be that of
// another caller, so what it meant is told by the answer alone and not by the
// journey, which may still be under way.
func (s *Service) reading(ctx context.Context, j *journey) (*Response, error) {
	op, id := j.op, j.call.ID
	resp, err := s.answer(ctx, j)
	out := &Response{CallID: id}
	if err != nil {
		var f *integration.Failure
		if errors.As(err, &f) {
			out.CallID, out.Attempts, out.Reason = f.CallID, f.Attempts, f.Reason
		}
		return out, err
	}
	defer resp.Body.Close()
	out.CallID, out.Reason, out.Fallback, out.Cache = resp.Header.Get(HeaderCall), resp.Header.Get(HeaderReason), resp.Header.Get(HeaderFallback), resp.Header.Get(cache.Header)
	out.Attempts, _ = strconv.Atoi(resp.Header.Get(HeaderAttempts)) // ours
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxMapped+1))
	if err != nil {
		return out, op.unmapped(resp, out, CodeUnreadable, err)
	}
	if len(content) > maxMapped {
		return out, op.unmapped(resp, out, CodeUnreadable, fmt.Errorf("the answer is larger than %d bytes", maxMapped))
	}
	_, failure := s.dialect.Answer(resp.StatusCode, resp.Header, content, s.now())
	if failure != nil {
		failure.CallID, failure.Attempts, failure.Reason = out.CallID, out.Attempts, out.Reason
		if message := s.plan.ErrorPolicy(strconv.Itoa(resp.StatusCode)).Message; message != "" {
			failure.Message = message
		}
	}
	return out, op.fill(resp, out, content, failure)
}
