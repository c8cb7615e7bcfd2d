package call

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/integration"
)

// merge is what an endpoint with on_conflict does when its request met a newer
// state: that is read, the request is made to fit it, and sent once more (R4.5).
// again asks for that attempt. ended is the state itself, where all of the
// request gave way to it and nothing is left to send. With neither, the
// conflict stands; failure says why where the rules do.
func (s *Service) merge(ctx context.Context, j *journey, resp *http.Response, failure *integration.Failure) (ended *http.Response, again bool) {
	if failure.Class != integration.ClassConflict || j.merged || j.op.endpoint == nil {
		return nil, false
	}
	rules, ok := conflict.RulesOf(j.op.endpoint)
	if !ok {
		return nil, false
	}
	mine, whole := j.body.keep()
	if !whole {
		return nil, false
	}
	j.merged = true
	state, current, err := s.current(ctx, j)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "call.state_not_read", slog.String("call", j.call.ID), slog.Any("error", err))
		return nil, false
	}
	merged, report, err := mergeBody(j, mine, current, rules)
	var f *integration.Failure
	switch {
	case errors.As(err, &f):
		failure.Code, failure.Message, failure.Hint, failure.Pointer = f.Code, f.Message, f.Hint, f.Pointer
		return nil, false
	case err != nil:
		return nil, false
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "call.merged", slog.String("call", j.call.ID), slog.Any("kept", report.Kept), slog.Any("left", report.Left))
	if report.Nothing {
		_ = resp.Body.Close() // the state takes its place
		return state, false
	}
	j.repeatWith(merged, report.Header, report.Value)
	return nil, true
}

func mergeBody(j *journey, mine []byte, current conflict.Current, rules conflict.Rules) ([]byte, conflict.Report, error) {
	kind := j.header.Get("Content-Type")
	if strings.HasPrefix(kind, "application/x-www-form-urlencoded") || kind == "" && j.op.encoding == catalog.EncodingForm {
		rules.Untyped = true
		return conflict.MergeForm(nil, mine, current, rules)
	}
	merged, report, err := conflict.Merge(nil, mine, current, rules)
	return merged, report, err
}

// repeatWith replaces what is asked. It is another request than the one that
// was refused, so it has an idempotency key of its own: providers refuse a key
// that comes back with another body.
func (j *journey) repeatWith(content []byte, header, value string) {
	j.body = body{bytes: content, length: int64(len(content))}
	j.header = j.header.Clone()
	if header != "" {
		j.header.Set(header, value)
	}
	if j.hasKey {
		key := j.call.IdempotencyKey + "-merged"
		j.call.IdempotencyKey = key
		j.header.Set(j.op.keyHeader, key)
	}
}

// current is the provider's state now, read by the endpoint the plan names: the
// answer to hand on, and as the merge takes it.
func (s *Service) current(ctx context.Context, j *journey) (*http.Response, conflict.Current, error) {
	ask := asked{tenant: j.call.Tenant, connection: j.connection, entry: j.call.Entry}
	found, err := s.lookUp(ctx, ask, j.op.endpoint.OnConflict.Read, s.variables(j), nil)
	if err != nil {
		return nil, conflict.Current{}, err
	}
	return found.response(), conflict.Current{Body: found.body, Header: found.header}, nil
}

// variables are what the path variables of a journey's endpoint stand for.
func (s *Service) variables(j *journey) map[string]string { return s.variablesOf(j.op, j.url) }

func (s *Service) variablesOf(op *operation, at *url.URL) map[string]string {
	escaped := strings.TrimPrefix(at.EscapedPath(), strings.TrimSuffix(s.base.EscapedPath(), "/"))
	vars, _ := op.endpoint.Match(escaped)
	for name, value := range vars {
		if plain, err := url.PathUnescape(value); err == nil {
			vars[name] = plain
		}
	}
	return vars
}

// found is an answer that was read whole.
type found struct {
	status int
	header http.Header
	body   []byte
}

func (f *found) response() *http.Response {
	return &http.Response{
		Status: http.StatusText(f.status), StatusCode: f.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: f.header,
		Body: io.NopCloser(bytes.NewReader(f.body)), ContentLength: int64(len(f.body)),
	}
}

// lookUp makes a read of its own: by an endpoint of the plan, with those of the
// variables it has. A failure of the provider's is the error.
func (s *Service) lookUp(ctx context.Context, ask asked, name string, vars map[string]string, query url.Values) (*found, error) {
	reader, ok := s.endpoints[name]
	if !ok {
		return nil, s.unknownEndpoint(name)
	}
	needed := make(map[string]string, len(vars))
	for _, v := range reader.endpoint.PathVariables() {
		if value, ok := vars[v]; ok {
			needed[v] = value
		}
	}
	path, raw, err := fillPath(reader, needed)
	if err != nil {
		return nil, err
	}
	r, err := reader.request(ctx, Request{Query: query})
	if err != nil {
		return nil, err
	}
	ask.op, ask.whole = reader, true
	inner, err := s.begin(r, path, raw, ask)
	if err != nil {
		return nil, err
	}
	resp, err := s.run(ctx, inner)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxMapped))
	_ = resp.Body.Close() // read to its end, or broken
	if err != nil {
		return nil, err
	}
	if inner.call.Failure != nil {
		return nil, inner.call.Failure
	}
	return &found{status: resp.StatusCode, header: resp.Header, body: content}, nil
}
