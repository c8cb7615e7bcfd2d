package call

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// CodeExpired is the code of a queued call whose turn did not come in time.
const CodeExpired = "expired"

// turnDeadline is how long one turn of a queued call may take: a wait for the
// limit, one attempt, and the answer's body.
const turnDeadline = 2 * time.Minute

// The waits between the turns of a call that waits for a provider to come back:
// they double from the first to the last.
const (
	firstWait = 15 * time.Second
	lastWait  = 15 * time.Minute
)

// noTurnWait is the wait of a call that was refused a turn by someone who did
// not say for how long.
const noTurnWait = time.Second

// Resume gives a queued call its turn, under its own id and with its own
// idempotency key, and says what came of it: queued again for a later time, or
// the end. Whoever holds the call's lease writes that down; Resume writes
// nothing.
//
// A turn that our own limit or the breaker refuses costs no attempt. A retry
// that the policy wants is waited for in the queue. The attempts of all turns
// together are bounded by the policy; where the endpoint falls back to the
// queue, the call goes on until it expires.
//
// mark is called before a request is sent that must not be sent twice; it
// returns when it is durable that such a request is about to be sent. A call
// that is InDoubt is not made: its outcome is unknown. ctx may end because the
// process stops or the lease is lost; then the call is queued again, or given
// back untouched if nothing was sent, or unknown.
func (s *Service) Resume(ctx context.Context, queued *integration.Call, mark func(context.Context) error) integration.CallOutcome {
	now := s.now()
	switch {
	case queued.InDoubt:
		return s.over(queued, integration.CallUnknown, &integration.Failure{
			Class: integration.ClassNetwork, Code: CodeUnknownOutcome,
			Message: "It is not known whether the request had its effect.",
			Hint:    "The process that was sending it ended before it could write down what came of it." + keptHint,
		})
	case !queued.ExpiresAt.IsZero() && !now.Before(queued.ExpiresAt):
		return s.over(queued, integration.CallFailed, &integration.Failure{
			Class: integration.ClassTimeout, Code: CodeExpired, Message: "The request waited for its turn for too long and was given up.",
			Hint: "It is kept: make it again by hand, or raise calls.expire.",
		})
	}
	j, err := s.again(ctx, queued)
	if err != nil {
		state := queued.KeptAs
		if !state.Kept() {
			state = integration.CallFailed
		}
		var f *integration.Failure
		if !errors.As(err, &f) {
			f = &integration.Failure{Class: integration.ClassInvalid, Code: CodeNotKept, Err: err}
		}
		return s.over(queued, state, f)
	}
	if s.keyForgotten(queued) && sentBefore(queued) && !harmless(j.op.effect, false) {
		return s.over(queued, integration.CallUnknown, &integration.Failure{
			Class: integration.ClassTimeout, Code: CodeUnknownOutcome,
			Message: "It is not known whether the request had its effect.",
			Hint:    "It was sent before, and by now the provider has forgotten its idempotency key." + keptHint,
		})
	}
	s.warnForgotten(ctx, queued)
	j.turn = &turn{before: len(queued.Attempts), began: now}
	if !harmless(j.op.effect, j.hasKey) {
		j.turn.mark = mark
	}
	within, cancel := context.WithTimeoutCause(ctx, turnDeadline, errors.New("the turn of a queued call is over"))
	defer cancel()
	resp, err := s.run(within, j)
	if err == nil {
		s.keepAnswer(j, resp)
	}
	return s.after(ctx, queued, j)
}

// again is the journey of a queued call.
func (s *Service) again(ctx context.Context, queued *integration.Call) (*journey, error) {
	r, ask, err := s.asked(ctx, queued)
	if err != nil {
		return nil, err
	}
	path, raw := s.below(r.URL)
	if ask.op == nil {
		ask.op = s.operationFor(queued.Method, path)
	}
	if ask.key == "" && ask.op.makesKey {
		ask.key = queued.ID
	}
	ask.whole = queued.Entry == integration.EntryEndpoint
	j, err := s.begin(r, path, raw, ask)
	if err != nil {
		return nil, err
	}
	c := *queued
	c.Path, c.IdempotencyKey, c.Effect, c.Attempts = j.call.Path, j.call.IdempotencyKey, j.call.Effect, slices.Clone(queued.Attempts)
	c.State, c.Status, c.Failure = integration.CallRunning, 0, nil
	*j.call = c
	return j, nil
}

// sentBefore reports whether a request of the call may have been received since
// a person last asked for it.
func sentBefore(c *integration.Call) bool {
	for _, a := range c.Attempts[min(c.RetriedAfter, len(c.Attempts)):] {
		if a.Sent {
			return true
		}
	}
	return false
}

// over ends a queued call without a turn.
func (s *Service) over(queued *integration.Call, state integration.CallState, f *integration.Failure) integration.CallOutcome {
	c := *queued
	c.State, c.Failure, c.FinishedAt = state, f, s.now().UTC()
	f.CallID, f.Attempts = c.ID, len(c.Attempts)
	return integration.CallOutcome{Call: c}
}

// after turns what a turn came to into what is written down.
func (s *Service) after(ctx context.Context, queued *integration.Call, j *journey) integration.CallOutcome {
	c := *j.call
	f := c.Failure
	sent := len(c.Attempts) > j.turn.before
	switch {
	case c.State == integration.CallQueued:
		return s.requeued(queued, &c, c.DueAt.Sub(s.now()), !sent)
	case f == nil || c.State == integration.CallSucceeded:
		return integration.CallOutcome{Call: c}
	case f.Class == integration.ClassCanceled:
		switch {
		case !sent && ctx.Err() != nil:
			return integration.CallOutcome{Released: true}
		case !sent:
			return s.requeued(queued, &c, noTurnWait, true)
		case harmless(j.op.effect, j.hasKey):
			return s.requeued(queued, &c, noTurnWait, false)
		}
		return integration.CallOutcome{Call: c}
	case f.Code == CodeBegin:
		return s.requeued(queued, &c, noTurnWait, false)
	case f.Code == CodeLimit || f.Reason == "breaker":
		return s.requeued(queued, &c, f.RetryAfter, true)
	case c.State != integration.CallFailed:
		return integration.CallOutcome{Call: c}
	case j.turn.again != nil:
		return s.requeued(queued, &c, j.turn.again.After, false)
	case f.Class.Transient() && j.op.endpoint != nil && j.op.endpoint.Fallback == "queue":
		return s.requeued(queued, &c, max(f.RetryAfter, s.patience(len(c.Attempts)-c.RetriedAfter)), false)
	}
	return integration.CallOutcome{Call: c}
}

// patience is the wait for a provider that is away, with full jitter on half of
// it, so that calls that fell out together do not come back together.
func (s *Service) patience(attempts int) time.Duration {
	wait := min(firstWait<<min(max(attempts-1, 0), 10), lastWait)
	return wait/2 + time.Duration(s.dice()*float64(wait/2))
}

// requeued puts a call back for a later turn, or for its expiry where that
// comes first.
func (s *Service) requeued(queued, c *integration.Call, wait time.Duration, refused bool) integration.CallOutcome {
	if wait <= 0 {
		wait = noTurnWait
	}
	c.State, c.DueAt, c.FinishedAt = integration.CallQueued, s.now().Add(wait).UTC(), time.Time{}
	if !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(c.DueAt) {
		c.DueAt = c.ExpiresAt
	}
	c.Header, c.Body, c.Answer = queued.Header, queued.Body, nil
	return integration.CallOutcome{Call: *c, Refused: refused}
}

// enqueue makes a call one that goes on by itself at due. The caller of enqueue
// records it.
func (s *Service) enqueue(j *journey, due time.Time) {
	c := j.call
	c.State, c.DueAt, c.FinishedAt = integration.CallQueued, due.UTC(), time.Time{}
	if j.op.endpoint != nil {
		c.Priority = j.op.endpoint.Priority
	}
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = s.now().UTC().Add(s.plan.Calls.Expire.Or(plan.DefaultExpire))
	}
}

// Whole reports, as an *integration.Failure, why a kept call can't be made
// again; nil when it can.
func (s *Service) Whole(kept *integration.Call) error {
	_, _, err := s.asked(context.Background(), kept)
	return err
}
