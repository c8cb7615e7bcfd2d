package call

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/form"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/mapping"
)

// Request is a call of an endpoint by name, in your own fields.
type Request struct {
	Tenant string // on whose behalf; may be empty
	// Connection is whose credential is used; empty: the tenant's.
	Connection string
	Path       map[string]string // values of the path variables, unescaped; all of them
	Query      url.Values        // query parameters, as the provider names them
	Body       json.RawMessage   // mapped where the plan says so; empty sends none
	// IdempotencyKey is kept over the attempts. Empty: one is made where the
	// endpoint declares a key.
	IdempotencyKey string
}

// Response is what came of it.
type Response struct {
	Status   int             // of the provider's answer; 0 when there was none
	Body     json.RawMessage // mapped where the plan says so; an error's as it came; nil when it is no JSON
	CallID   string          // the record
	Attempts int             // how often it was tried
	Reason   string          // why we ended it ourselves; empty when the provider did
	Fallback string          // cached or default when that is the answer; empty when it is the provider's (R4.11)
	Cache    string          // what the cache did: hit, revalidated, stale, miss or bypass; empty where it is not asked (R4.15)
}

// Endpoint calls an endpoint of the plan by name. The error is an
// *integration.Failure; the Response stands beside it when there was a call.
// Nothing is sent when the request does not fit the plan.
func (s *Service) Endpoint(ctx context.Context, name string, in Request) (*Response, error) {
	if op := s.endpoints[name]; op != nil && op.collects(in) {
		return s.collect(ctx, op, in)
	}
	j, err := s.named(ctx, name, in)
	if err != nil {
		return nil, err
	}
	if j.op.shares(j.call.Method) {
		return s.reading(ctx, j)
	}
	resp, err := s.run(ctx, j)
	out := &Response{CallID: j.call.ID, Attempts: len(j.call.Attempts)}
	if f := j.call.Failure; f != nil {
		out.Reason = f.Reason
	}
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	failure := j.call.Failure
	if out.Fallback = resp.Header.Get(HeaderFallback); out.Fallback != "" {
		failure = nil // it is told by the record, and the caller has an answer
	}
	return out, j.op.answer(resp, out, failure)
}

// named is the journey of a call by an endpoint's name.
func (s *Service) named(ctx context.Context, name string, in Request) (*journey, error) {
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
	return s.begin(r, path, raw, asked{tenant: in.Tenant, connection: in.Connection, entry: integration.EntryEndpoint, op: op, key: in.IdempotencyKey, whole: true})
}

func (s *Service) unknownEndpoint(name string) error {
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: CodeUnknownEndpoint, Reason: "request",
		Message: fmt.Sprintf("The plan of %s has no endpoint %q.", s.plan.Service, name),
		Hint:    "It has " + strings.Join(slices.Sorted(maps.Keys(s.endpoints)), ", ") + ". Other paths can be called through the proxy.",
	}
}

// request is the provider's request: mapped, then encoded.
func (op *operation) request(ctx context.Context, in Request) (*http.Request, error) {
	content, err := op.content(in.Body)
	if err != nil {
		return nil, err
	}
	return op.encoded(ctx, in.Query, content)
}

// content is the body in the provider's fields; nil when there is none.
func (op *operation) content(body json.RawMessage) (json.RawMessage, error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || string(trimmed) == "null" {
		return nil, nil
	}
	if method := op.endpoint.Method(); method == http.MethodGet || method == http.MethodHead {
		return nil, refuseBody("", fmt.Errorf("%s takes no body", op.endpoint.Call), "Put parameters into query.")
	}
	if op.send != nil {
		content, err := op.send.Out(body)
		if err != nil {
			return nil, mapped(err)
		}
		return content, nil
	}
	if !json.Valid(body) {
		return nil, refuseBody("", errors.New("the body is no JSON"), "Send one JSON document.")
	}
	return body, nil
}

// encoded is a request with a body as the provider takes it.
func (op *operation) encoded(ctx context.Context, query url.Values, content []byte) (*http.Request, error) {
	r := (&http.Request{
		Method: op.endpoint.Method(), URL: &url.URL{RawQuery: query.Encode()}, Header: http.Header{"Accept": {"application/json"}},
		Body: http.NoBody,
	}).WithContext(ctx)
	if content == nil {
		return r, nil
	}
	r.Header.Set("Content-Type", "application/json")
	if op.encoding == catalog.EncodingForm {
		var err error
		if content, err = form.Encode(content); err != nil {
			return nil, refuseBody("", err, "The provider takes forms: an object of values, lists and objects.")
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.ContentLength = int64(len(content))
	r.Body = io.NopCloser(bytes.NewReader(content))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return r, nil
}

// mapped is the refusal of a mapping.
func mapped(err error) error {
	var m *mapping.Error
	if errors.As(err, &m) {
		return refuseBody("/body"+m.Pointer, err, m.Hint)
	}
	return refuseBody("/body", err, "")
}

func refuseBody(pointer string, err error, hint string) error {
	if pointer == "" {
		pointer = "/body"
	}
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: CodeBody, Reason: "request", Pointer: pointer, Err: err,
		Message: "The body does not fit this endpoint: " + err.Error(), Hint: hint,
	}
}

// fillPath puts the path variables into the endpoint's path.
func fillPath(op *operation, values map[string]string) (path, raw string, err error) {
	names := op.endpoint.PathVariables()
	var plain, escaped []string
	for _, name := range names {
		value, ok := values[name]
		switch {
		case !ok || value == "":
			return "", "", refusePath(name, "it is missing", names)
		case value == "." || value == "..":
			return "", "", refusePath(name, "it would lead to another path", names)
		}
		plain = append(plain, "{"+name+"}", value)
		escaped = append(escaped, "{"+name+"}", url.PathEscape(value))
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(names, name) {
			return "", "", refusePath(name, "the path has no such variable", names)
		}
	}
	path = op.endpoint.Path()
	return strings.NewReplacer(plain...).Replace(path), strings.NewReplacer(escaped...).Replace(path), nil
}

func refusePath(name, why string, names []string) error {
	hint := "This endpoint has no path variables."
	if len(names) > 0 {
		hint = "Give a value for each of " + strings.Join(names, ", ") + "."
	}
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: CodePathVariable, Reason: "request", Pointer: "/path/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name),
		Message: fmt.Sprintf("The path variable %q is not usable: %s.", name, why), Hint: hint,
	}
}

// answer fills in the response. The failure of the call, or of the mapping, is
// returned.
func (op *operation) answer(resp *http.Response, out *Response, failure *integration.Failure) error {
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxMapped+1))
	if err != nil && failure == nil {
		return op.unmapped(resp, out, CodeUnreadable, err)
	}
	return op.fill(resp, out, content, failure)
}

// fill maps an answer that was read whole.
func (op *operation) fill(resp *http.Response, out *Response, content []byte, failure *integration.Failure) (err error) {
	out.Status = resp.StatusCode
	if failure != nil {
		if json.Valid(content) {
			out.Body = content
		}
		return failure
	}
	if len(bytes.TrimSpace(content)) == 0 {
		return nil
	}
	if op.receive == nil {
		if !json.Valid(content) {
			return op.unmapped(resp, out, CodeAnswer, errors.New("the answer is no JSON"))
		}
		out.Body = content
		return nil
	}
	if out.Body, err = op.receive.In(content); err != nil {
		if op.noticer != nil {
			op.noticer.MappingFailed(op.name, err)
		}
		return op.unmapped(resp, out, CodeAnswer, err)
	}
	return nil
}

// unmapped says that the call was made and its answer can't be told in our own
// fields.
func (op *operation) unmapped(resp *http.Response, out *Response, code string, err error) error {
	f := &integration.Failure{
		Class: integration.ClassBroken, Code: code, CallID: out.CallID, Attempts: out.Attempts, Err: err,
		Message: fmt.Sprintf("The call was made and answered with %d, but the answer does not fit the plan.", resp.StatusCode),
		Hint:    "Do not repeat the call. Mend the mapping " + op.endpoint.Receive + " of the plan.",
	}
	var m *mapping.Error
	if errors.As(err, &m) {
		f.Hint = "Do not repeat the call. Mend the row " + m.Row + " of the plan: " + m.Message + "."
	}
	return f
}
