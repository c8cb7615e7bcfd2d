package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/call/queue"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

// CallbackHeader names the plan's destination that is told when a call which
// nobody waits for is finished. It takes no URL: calls would go anywhere.
const CallbackHeader = "Sallyport-Callback"

// preferHeader is where a caller says that it does not wait (RFC 7240).
const preferHeader = "Prefer"

// prefersAsync reports whether a Prefer header asks not to wait. Preferences
// are separated by commas, may carry values and parameters, and are told apart
// without regard to case (RFC 7240, section 2).
func prefersAsync(values []string) bool {
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			name, _, _ := strings.Cut(one, ";")
			if strings.ToLower(strings.TrimSpace(name)) == call.PreferAsync {
				return true
			}
		}
	}
	return false
}

// transport is what makes a proxied call: at once, or later where the caller
// does not wait.
func (s *server) transport(one *Integration, header http.Header) http.RoundTripper {
	tenant := header.Get(TenantHeader)
	if !prefersAsync(header.Values(preferHeader)) {
		return one.Calls.Transport(tenant, integration.EntryProxy)
	}
	return &accepting{
		RoundTripper: one.Calls.TransportLater(tenant, integration.EntryProxy, call.Later{Callback: header.Get(CallbackHeader)}),
		accepted:     s.WakeCalls,
	}
}

// accepting puts calls into the queue and says so.
type accepting struct {
	http.RoundTripper
	accepted func()
}

// RoundTrip puts one call into the queue. The preference is for us and not for
// the provider.
func (a *accepting) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del(preferHeader)
	resp, err := a.RoundTripper.RoundTrip(r)
	if err == nil {
		a.accepted()
	}
	return resp, err
}

// accept puts a call by name into the queue.
func (s *server) accept(ctx context.Context, one *Integration, in *endpointInput, asked call.Request) (*endpointOutput, error) {
	c, err := one.Calls.EndpointLater(ctx, in.Endpoint, asked, call.Later{Callback: in.Callback})
	if err != nil {
		return nil, s.endpointFailed(in, err)
	}
	s.WakeCalls()
	out, err := accepted(c.ID)
	if err == nil {
		out.Attempts, out.Applied = "0", call.PreferAsync
	}
	return out, err
}

// queued is the failure of a call that fell back to the queue (R4.11): its
// caller is told that it goes on by itself. It is nil for any other error.
func queued(err error) *integration.Failure {
	var f *integration.Failure
	if errors.As(err, &f) && f.Code == call.CodeQueued && f.CallID != "" {
		return f
	}
	return nil
}

// accepted is the answer to a call that goes on without its caller.
func accepted(id string) (*endpointOutput, error) {
	body, err := json.Marshal(acceptedCall{ID: id, State: string(integration.CallQueued)})
	return &endpointOutput{Status: http.StatusAccepted, CallID: id, Type: "application/json", Body: body, Location: call.Location(id)}, err
}

func (s *server) endpointQueued(f *integration.Failure) (*endpointOutput, error) {
	s.WakeCalls()
	out, err := accepted(f.CallID)
	if err == nil {
		out.Attempts, out.Reason = strconv.Itoa(f.Attempts), f.Reason
	}
	return out, err
}

// proxyQueued tells a proxied caller that its call goes on by itself. It is no
// success: the provider's SDK would read our answer as the provider's, and take
// the call's id for that of what it wanted to make. And it is none of the
// statuses that SDKs repeat by themselves.
func (s *server) proxyQueued(w http.ResponseWriter, f *integration.Failure) {
	s.WakeCalls()
	h := w.Header()
	for name, values := range callHeader(f) {
		h[name] = values
	}
	h.Set("Location", call.Location(f.CallID))
	p := failureProblem(f)
	p.Status = http.StatusFailedDependency
	problem.Write(w, p)
}

// acceptedCall is the answer to a call that goes on without its caller.
type acceptedCall struct {
	ID    string `json:"id"`
	State string `json:"state" enum:"queued"`
}

func (s *server) callRoutes(routes huma.API) {
	app := s.withKey(integration.ScopeApp)
	huma.Register(routes, huma.Operation{
		OperationID: "get-call-state", Method: http.MethodGet, Path: "/api/v1/calls/{id}",
		Summary:     "Say where a call stands, and what the provider answered",
		Description: "For calls that nobody waited for: Prefer: respond-async, and calls that fell back to the queue. Their answer is kept for 24 hours.",
		Tags:        []string{"calls"}, Security: secured, Middlewares: app,
	}, s.callState)
	huma.Register(routes, huma.Operation{
		OperationID: "cancel-call", Method: http.MethodDelete, Path: "/api/v1/calls/{id}",
		Summary:     "Take a call out of the queue",
		Description: "Only while it waits: a call that has its turn can't be stopped. One that a person had put back is with that person again.",
		Tags:        []string{"calls"}, Security: secured, Middlewares: app,
	}, s.cancelCall)
}

type callInput struct {
	ID     string `path:"id" maxLength:"64"`
	Tenant string `header:"Sallyport-Tenant" maxLength:"200" doc:"your customer; a call of another one is not found then"`
}

// CallState is where a call stands, for the one who made it.
type CallState struct {
	ID         string        `json:"id"`
	Service    string        `json:"service"`
	Tenant     string        `json:"tenant,omitempty"`
	Endpoint   string        `json:"endpoint,omitempty"`
	State      string        `json:"state" enum:"running,queued,succeeded,rejected,failed,canceled,unknown" doc:"running and queued: it goes on; failed and unknown: it is with a person; the others: it is over"`
	Status     int           `json:"status,omitempty" doc:"the last HTTP status of the provider"`
	Problem    *CallProblem  `json:"problem,omitempty" doc:"why it has not succeeded"`
	CreatedAt  time.Time     `json:"created_at"`
	DueAt      *time.Time    `json:"due_at,omitempty" doc:"when it goes on"`
	ExpiresAt  *time.Time    `json:"expires_at,omitempty" doc:"when it is given to a person"`
	FinishedAt *time.Time    `json:"finished_at,omitempty"`
	Attempts   []AttemptView `json:"attempts"`
	Answer     *AnswerView   `json:"answer,omitempty"`
}

// CallProblem is why a call has not succeeded.
type CallProblem struct {
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// AnswerView is what the provider said to a call nobody waited for.
type AnswerView struct {
	Status  int                 `json:"status"`
	Headers map[string][]string `json:"headers,omitempty"`
	JSON    json.RawMessage     `json:"json,omitempty" doc:"the body, where it is JSON; mapped where the call was by an endpoint's name"`
	Text    string              `json:"text,omitempty" doc:"the body, where it is other text"`
	Base64  []byte              `json:"base64,omitempty" doc:"the body, where it is no text"`
	Cut     bool                `json:"cut,omitempty" doc:"the body was too large to be kept"`
	Until   *time.Time          `json:"until,omitempty" doc:"when it is forgotten"`
}

type callStateOutput struct {
	RetryAfter string `header:"Retry-After" doc:"when it is worth asking again, in seconds"`
	Body       CallState
}

func (s *server) callState(ctx context.Context, in *callInput) (*callStateOutput, error) {
	c, err := s.callOf(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &callStateOutput{Body: CallState{
		ID: c.ID, Service: c.Service, Tenant: c.Tenant, Endpoint: c.Endpoint, State: string(c.State), Status: c.Status,
		CreatedAt: c.CreatedAt, FinishedAt: known(c.FinishedAt), Attempts: attemptViews(c.Attempts),
	}}
	if c.State.Waiting() || c.State == integration.CallRunning {
		out.Body.DueAt, out.Body.ExpiresAt = known(c.DueAt), known(c.ExpiresAt)
		out.RetryAfter = problem.Seconds(max(c.DueAt.Sub(s.Now()), time.Second))
	}
	if f := c.Failure; f != nil {
		p := failureProblem(f)
		out.Body.Problem = &CallProblem{Code: p.Code, Detail: p.Detail, Hint: p.Hint}
	}
	if a := c.Answer; a != nil && a.Until.After(s.Now()) {
		out.Body.Answer = answerView(a)
	}
	return out, nil
}

func answerView(a *integration.Answer) *AnswerView {
	v := &AnswerView{Status: a.Status, Headers: a.Header, Cut: a.Cut, Until: known(a.Until)}
	switch {
	case len(a.Body) == 0:
	case json.Valid(a.Body):
		v.JSON = a.Body
	case utf8.Valid(a.Body):
		v.Text = string(a.Body)
	default:
		v.Base64 = a.Body
	}
	return v
}

// callOf reads a call. One of another tenant is not there for who asks on
// behalf of one.
func (s *server) callOf(ctx context.Context, in *callInput) (*integration.Call, error) {
	c, err := s.Records.Call(ctx, in.ID)
	if err == nil && in.Tenant != "" && in.Tenant != c.Tenant {
		err = integration.ErrNotFound
	}
	if err != nil {
		return nil, s.failed(err, "call")
	}
	return &c, nil
}

type canceledOutput struct {
	Body struct {
		ID    string `json:"id"`
		State string `json:"state" doc:"where it stands now"`
	}
}

func (s *server) cancelCall(ctx context.Context, in *callInput) (*canceledOutput, error) {
	c, err := s.callOf(ctx, in)
	if err != nil {
		return nil, err
	}
	if !c.State.Waiting() {
		return nil, &problem.Problem{
			Status: http.StatusConflict, Code: "wrong_state", Detail: "the call is " + string(c.State) + "; only a queued call can be canceled",
			Hint: "GET " + call.Location(c.ID) + " says what came of it",
		}
	}
	now := s.Now()
	c.State, c.FinishedAt = integration.CallCanceled, now.UTC()
	if c.KeptAs.Kept() {
		c.State = c.KeptAs
	}
	var told *integration.Event
	if c.Callback != "" && c.State == integration.CallCanceled {
		told = queue.Finished(c)
	}
	if err := s.Records.CancelCall(ctx, in.ID, now, told, s.entry(ctx, "call.cancel", in.ID, "now "+string(c.State))); err != nil {
		return nil, s.failed(err, "call")
	}
	if told != nil {
		s.Wake()
	}
	out := &canceledOutput{}
	out.Body.ID, out.Body.State = c.ID, string(c.State)
	return out, nil
}
