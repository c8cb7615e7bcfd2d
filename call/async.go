package call

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/integration"
)

// CodeCallback is the code of a call whose callback the plan does not know.
const CodeCallback = "unknown_callback"

// CodeTooLarge is the code of a call whose body is too large to be made later.
const CodeTooLarge = "too_large_for_later"

// PreferAsync is the preference of RFC 7240, section 4.1, by which a caller says
// that it does not wait.
const PreferAsync = "respond-async"

// Location is where a call can be asked after.
func Location(id string) string { return "/api/v1/calls/" + id }

// Later is what a caller asks for who does not wait for the answer.
type Later struct {
	// Callback is the plan's destination that is told when the call is finished;
	// empty: the caller asks by itself.
	Callback string
}

// TransportLater is a Transport whose callers do not wait: each request is put
// into the durable queue and answered 202 when it is safe there.
func (s *Service) TransportLater(tenant string, entry integration.Entry, later Later) http.RoundTripper {
	return &door{service: s, tenant: tenant, entry: entry, later: &later}
}

// EndpointLater puts a call of an endpoint into the durable queue and returns
// when it is safe there. The error is an *integration.Failure; nothing is kept
// then.
func (s *Service) EndpointLater(ctx context.Context, name string, in Request, later Later) (*integration.Call, error) {
	j, err := s.named(ctx, name, in)
	if err != nil {
		return nil, err
	}
	if err := s.put(ctx, j, &later); err != nil {
		return nil, err
	}
	return j.call, nil
}

// accept puts a call into the queue and answers for the provider (RFC 9110,
// section 15.3.3; RFC 7240, section 3).
func (s *Service) accept(ctx context.Context, j *journey, later *Later) (*http.Response, error) {
	if err := s.put(ctx, j, later); err != nil {
		return nil, err
	}
	body, err := json.Marshal(struct {
		ID    string `json:"id"`
		State string `json:"state"`
	}{j.call.ID, string(j.call.State)})
	if err != nil {
		return nil, err
	}
	resp := &http.Response{
		Status: "202 Accepted", StatusCode: http.StatusAccepted, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))}, "Location": {Location(j.call.ID)},
			"Preference-Applied": {PreferAsync},
		},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	j.mark(resp, ReasonQueued)
	return resp, nil
}

// put puts a call that nobody waits for into the queue, due at once.
func (s *Service) put(ctx context.Context, j *journey, later *Later) error {
	defer j.body.close()
	if later.Callback != "" {
		if _, ok := s.plan.Destinations[later.Callback]; !ok {
			return s.unknownCallback(later.Callback)
		}
	}
	if j.body.stream {
		return &integration.Failure{
			Class: integration.ClassInvalid, Code: CodeTooLarge, Reason: "request",
			Message: fmt.Sprintf("The body is too large to be kept for later: at most %d bytes are.", MaxReplay), Hint: "Make the call without Prefer: " + PreferAsync + ".",
		}
	}
	s.enqueue(j, s.now())
	j.call.Async, j.call.Callback = true, later.Callback
	s.keep(j)
	if err := s.Whole(j.call); err != nil {
		return err
	}
	s.record(ctx, j)
	if !j.call.State.Waiting() {
		return j.call.Failure
	}
	return nil
}

func (s *Service) unknownCallback(name string) error {
	hint := "The plan has no destinations; add one to be told."
	if names := slices.Sorted(maps.Keys(s.plan.Destinations)); len(names) > 0 {
		hint = "It has " + strings.Join(names, ", ") + "."
	}
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: CodeCallback, Reason: "request",
		Message: fmt.Sprintf("The plan of %s has no destination %q to call back.", s.plan.Service, name), Hint: hint,
	}
}
