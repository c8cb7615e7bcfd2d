package call

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/send"
)

// asked is the request of a call that can be made again, and what is known
// beside it. The error is an *integration.Failure.
func (s *Service) asked(ctx context.Context, kept *integration.Call) (*http.Request, asked, error) {
	ask := asked{tenant: kept.Tenant, entry: kept.Entry, key: kept.IdempotencyKey}
	at, err := url.ParseRequestURI(kept.Path)
	switch {
	case err != nil:
		return nil, ask, notKept(kept, "its path can't be read")
	case strings.Contains(kept.Path, send.Redacted):
		return nil, ask, notKept(kept, "its query held a credential, which was not kept")
	case len(kept.Header[bodyHeader]) > 0:
		return nil, ask, notKept(kept, fmt.Sprintf("its body was larger than %d bytes", MaxReplay))
	}
	r := (&http.Request{Method: kept.Method, URL: at, Header: kept.Header, Body: http.NoBody}).WithContext(ctx)
	if len(kept.Body) > 0 {
		r.ContentLength = int64(len(kept.Body))
		r.Body = io.NopCloser(bytes.NewReader(kept.Body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(kept.Body)), nil }
	}
	if op, ok := s.endpoints[kept.Endpoint]; ok && op.endpoint.Method() == kept.Method {
		ask.op = op
	}
	return r, ask, nil
}

// below is the path of a recorded call below the base URL.
func (s *Service) below(at *url.URL) (path, raw string) {
	named := *at
	named.Host = s.base.Host
	return s.relative(&named)
}

// keyForgotten reports whether the provider may have forgotten the idempotency
// key of a call: then a repeat is as good as new.
func (s *Service) keyForgotten(kept *integration.Call) bool {
	keep := time.Duration(s.profile.Idempotency.KeepHours) * time.Hour
	if op, ok := s.endpoints[kept.Endpoint]; ok && op.endpoint.Idempotency != nil {
		keep = op.endpoint.Idempotency.Keep.Or(keep)
	}
	return kept.IdempotencyKey != "" && keep > 0 && s.now().Sub(kept.CreatedAt) > keep
}

// warnForgotten says when a call is made again whose idempotency key the
// provider may have forgotten.
func (s *Service) warnForgotten(ctx context.Context, kept *integration.Call) {
	if s.keyForgotten(kept) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "call.key_forgotten", slog.String("call", kept.ID), slog.Duration("age", s.now().Sub(kept.CreatedAt)))
	}
}

func notKept(kept *integration.Call, why string) error {
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: CodeNotKept, Reason: "request",
		Message: "The call can't be made again: " + why + ".",
		Hint:    "Make it anew from your own data, after looking at the provider for what became of " + kept.ID + ".",
	}
}
