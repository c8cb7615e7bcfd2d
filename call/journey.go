package call

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/limit"
	"github.com/sallyport/sallyport/retry"
)

// journey is one call under way.
type journey struct {
	now     time.Time // when the clock was last read for it
	call    *integration.Call
	op      *operation
	request *http.Request // the caller's, for the context and the answer
	path    string        // below the base URL
	body    body
	hasKey  bool
	whole   bool // read the answer to its end before judging it

	// What is asked. Once an attempt was made with them they are not changed
	// but replaced: a transport may still be reading.
	url    *url.URL
	header http.Header
	ready  *Authorized // the credential that is on them; nil when none is

	connection string      // whose credential is wanted; empty: the tenant's
	renewed    *Authorized // in the place of one that was refused
	refusals   int         // of credentials

	// Room for what every call needs, in one piece.
	record      integration.Call
	attempts    [1]integration.Attempt
	place       url.URL      // backs url for the first attempt
	first       http.Request // the first attempt's
	firstAnswer answerBody   // and the body of its answer
	detached    detached
	key         [1]string
	marks       [3]string
	fingerprint string
	waited      time.Duration // since the last attempt
	doubtful    bool          // an attempt so far may have had its effect
	merged      bool          // with the state it met (R4.5)
	slot        limit.Turn    // the attempt's among the limits
	turn        *turn         // of a call that runs from the queue; nil: its caller waits
}

// run is the path behind every door.
func (s *Service) run(ctx context.Context, j *journey) (*http.Response, error) {
	defer j.body.close()
	var last *http.Response
	s.budget.Call(j.now)
	for {
		pass, refusal := s.admit(ctx, j) // R2.1, R4.10, R4.13
		if refusal != nil {
			return s.refused(ctx, j, last, refusal)
		}
		resp, attempt, failure := s.attempt(ctx, j) // R4.8, R4.9
		pass.DoneAt(j.now, breaker.OutcomeOf(failure), attempt.Took)
		s.learn(j, resp) // R4.14
		s.count(j, failure)
		if failure == nil {
			s.report(ctx, j, attempt, nil, retry.Decision{})
			return s.settle(ctx, j, resp, nil, integration.CallSucceeded)
		}
		if failure.Class == integration.ClassLimited && failure.RetryAfter > 0 {
			s.limiter.Pause(failure.RetryAfter) // R4.6: for everybody
		}
		decision := s.decide(ctx, j, attempt, failure) // R4.17
		s.report(ctx, j, attempt, failure, decision)
		if !decision.Retry {
			if ended, again := s.merge(ctx, j, resp, failure); again { // R4.5
				last = setAside(resp)
				continue
			} else if ended != nil {
				return s.settle(ctx, j, ended, nil, integration.CallSucceeded)
			}
			return s.end(ctx, j, resp, failure, decision)
		}
		last = setAside(resp)
		if err := sleep(ctx, decision.After); err != nil {
			return s.refused(ctx, j, last, gone(ctx, err))
		}
		j.waited = decision.After
	}
}

// admit takes what a request needs before it may be sent: the credential, which
// also says where the call goes, a host that is not held back, a turn.
func (s *Service) admit(ctx context.Context, j *journey) (pass breaker.Pass, refusal *integration.Failure) {
	if refusal = s.authorize(ctx, j); refusal != nil {
		return pass, refusal
	}
	pass, err := s.breakers.Allow(j.url.Host)
	if err != nil {
		return pass, held(err)
	}
	j.slot, err = s.limiter.Take(ctx, j.asks())
	j.waited += j.slot.Waited
	if err != nil {
		refusal = turnless(ctx, err)
	} else if refusal = j.turn.begin(ctx); refusal == nil {
		refusal = s.announce(ctx, j)
	}
	if refusal != nil {
		pass.Done(breaker.Ignored, 0)
	}
	return pass, refusal
}

// asks is what a request asks of the limits.
func (j *journey) asks() limit.Request {
	return limit.Request{Tenant: j.ready.Connection, Path: j.path, Method: j.call.Method, Endpoint: j.op.name, Caller: j.call.Tenant, Cost: j.op.cost, Priority: j.call.Priority}
}

// learn takes from an answer what it tells about the limits.
func (s *Service) learn(j *journey, resp *http.Response) {
	if resp == nil {
		return
	}
	s.limiter.Learn(j.asks(), resp.Header)
	if b, ok := resp.Body.(*answerBody); ok && b.whole && s.limiter.LearnsFromBodies() {
		s.limiter.LearnBody(j.asks(), b.start)
	}
}

// count tells who counts uses of the credential (R2.10).
func (s *Service) count(j *journey, failure *integration.Failure) {
	if s.used != nil {
		s.used(j.call, j.ready.Connection, j.fingerprint, failure != nil && failure.Class == integration.ClassUnauthorized)
	}
}

// decide asks the policy what follows a failed attempt.
func (s *Service) decide(ctx context.Context, j *journey, a *integration.Attempt, f *integration.Failure) retry.Decision {
	until, _ := ctx.Deadline()
	now := s.now()
	if !until.IsZero() {
		until = now.Add(time.Until(until)) // the caller's deadline on our clock
	}
	changed := f.Class == integration.ClassUnauthorized && s.refusedCredential(ctx, j) // R4.2
	denied := f.Class == integration.ClassLimited || f.Class == integration.ClassUnauthorized
	j.doubtful = j.doubtful || a.Sent && !denied
	return j.turn.later(s.policy.Next(retry.Attempt{
		Number: a.Number - j.call.RetriedAfter, Status: a.Status, Failure: f, Sent: a.Sent, Effect: j.op.effect, HasKey: j.hasKey, Replayable: !j.body.stream,
		CredentialChanged: changed,
		Started:           j.turn.since(j.call), Until: until,
	}, now, s.dice))
}

// end settles a call that is not tried again.
func (s *Service) end(ctx context.Context, j *journey, resp *http.Response, f *integration.Failure, d retry.Decision) (*http.Response, error) {
	if d.Message != "" {
		f.Message = d.Message
	}
	state := integration.CallRejected
	switch {
	case d.Then == retry.Unknown:
		state = integration.CallUnknown
		f.Code = CodeUnknownOutcome
		f.Hint = "The request may have had its effect and was not repeated: " + d.Reason + "." + keptHint
	case d.Then == retry.Keep:
		state = integration.CallFailed
	case f.Class == integration.ClassCanceled:
		state = integration.CallCanceled
	}
	return s.settle(ctx, j, resp, f, state)
}

// keptHint ends the hint of a call of unknown outcome.
const keptHint = " Look at the provider before making the kept call again."

// refused settles a call that ends before a further attempt: by our own limit,
// without a credential, or because the caller went away. What was answered
// before is handed back where there is something.
func (s *Service) refused(ctx context.Context, j *journey, last *http.Response, f *integration.Failure) (*http.Response, error) {
	state := integration.CallRejected
	switch tried := len(j.call.Attempts) > 0; {
	case f.Class == integration.ClassCanceled:
		d := s.policy.Next(retry.Attempt{Number: len(j.call.Attempts) - j.call.RetriedAfter, Failure: f, Sent: j.doubtful, Effect: j.op.effect, HasKey: j.hasKey}, s.now(), s.dice)
		return s.end(ctx, j, nil, f, d)
	case tried: // it failed for a passing reason, and is not dropped (R4.6)
		state = integration.CallFailed
	}
	return s.settle(ctx, j, last, f, state)
}

// settle ends the call and answers: with the fallback of the plan where there
// is one, else with the provider's answer, else with the failure. f is nil for a
// success.
func (s *Service) settle(ctx context.Context, j *journey, resp *http.Response, f *integration.Failure, state integration.CallState) (*http.Response, error) {
	if resp != nil {
		j.call.Status = resp.StatusCode
	}
	if f == nil {
		s.write(ctx, j, nil, state)
		s.wrote(j, resp)
		s.notice(j, resp)
		j.mark(resp, "")
		return resp, nil
	}
	s.noticeFailure(j, f)
	if other, ok, err := s.fallback(ctx, j, f, state); ok { // R4.11
		setAside(resp)
		return other, err
	}
	if j.op.endpoint != nil && j.op.endpoint.Fallback == "cached" && state == integration.CallFailed {
		state = integration.CallRejected // a read that is answered from what is kept waits for nobody
	}
	s.write(ctx, j, f, state)
	s.wrote(j, resp)
	if resp == nil {
		return nil, f
	}
	if f.Class == integration.ClassMissing {
		s.missing(ctx, j, resp.StatusCode)
	}
	j.mark(resp, f.Reason)
	return resp, nil
}

// write writes the call down in its state.
func (s *Service) write(ctx context.Context, j *journey, f *integration.Failure, state integration.CallState) {
	c := j.call
	c.State, c.Failure = state, f
	if f != nil {
		j.now = s.now() // it may have waited since its last attempt
	}
	if !state.Waiting() {
		c.FinishedAt, c.DueAt = j.now.UTC(), time.Time{}
	}
	if f != nil {
		f.CallID, f.Attempts = c.ID, len(c.Attempts)
	}
	s.record(ctx, j)
}

// turnless is the failure of a call that had no turn.
func turnless(ctx context.Context, err error) *integration.Failure {
	var r *limit.Refused
	if !errors.As(err, &r) {
		return gone(ctx, err)
	}
	return &integration.Failure{
		Class: integration.ClassLimited, Code: CodeLimit, Reason: "limit", RetryAfter: r.RetryAfter, Err: err,
		Message: "There are too many requests at the moment.",
		Hint:    "This is our own limit, below the provider's. Come again after the time in Retry-After, raise limits.wait, or give the caller a longer deadline.",
	}
}

// held is the failure of a call whose host is left in peace.
func held(err error) *integration.Failure {
	f := &integration.Failure{
		Class: integration.ClassUnavailable, Code: CodeBreaker, Reason: "breaker", Err: err,
		Message: "The provider is not available at the moment.",
		Hint:    "Too many calls failed or were slow, so none is made for a while. Come again after the time in Retry-After.",
	}
	var open *breaker.Open
	if errors.As(err, &open) {
		f.RetryAfter = open.RetryAfter
	}
	return f
}

// sleep waits, unless the caller goes away.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
