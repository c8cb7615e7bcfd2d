package call

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/retry"
)

// bodyHeader marks a kept call whose body was streamed and could not be kept.
const bodyHeader = "Sallyport-Body"

// recordPatience is how long a kept call may take to be written down.
const recordPatience = 10 * time.Second

// record writes the call down. Going away does not stop it: what was sent was
// sent. A call that can be made again takes along what it takes to do so; if it
// can't be written down its failure says so, because the caller is the only one
// left who knows of it, and one that was to wait in the queue has failed.
//
// A caller who waits is the one who knows of a call that is under way: should
// this process be killed, nothing is written down about it, and the caller sees
// its connection break. Whoever can't live with that asks for respond-async,
// where the call is durable before it is made and is in doubt afterwards, for a
// person, if a repeat would do harm.
//
// A call that runs from the queue is written down with the end of its lease
// instead, by whoever holds that.
func (s *Service) record(ctx context.Context, j *journey) {
	j.detached.Context = ctx
	ctx = &j.detached
	again := j.call.State.Repeatable()
	if again {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, recordPatience)
		defer cancel()
		s.keep(j)
	}
	if j.turn != nil {
		return
	}
	err := s.journal.Record(ctx, j.call)
	if err == nil {
		return
	}
	level, message := slog.LevelWarn, "call.not_recorded"
	if again {
		level, message = slog.LevelError, "call.not_kept"
		if j.call.State.Waiting() {
			notQueued(j.call)
		}
		notWritten(j.call.Failure)
	}
	s.log.LogAttrs(ctx, level, message, slog.String("call", j.call.ID), slog.String("state", string(j.call.State)), slog.Any("error", err))
}

// notQueued takes back that a call goes on by itself.
func notQueued(c *integration.Call) {
	c.State, c.DueAt, c.ExpiresAt = integration.CallFailed, time.Time{}, time.Time{}
	if c.Failure == nil {
		c.Failure = &integration.Failure{Class: integration.ClassUnavailable, CallID: c.ID}
	}
	c.Failure.Code, c.Failure.Hint = CodeNotKept, ""
	c.Failure.Message = "The request could not be made now, and could not be kept for later."
}

// announced is how long after its deadline a call that was written down before
// it was sent may be silent until its process is taken for dead.
const announced = 15 * time.Second

// announce writes a call down before its first request is sent, where the plan
// wants that: a process that dies meanwhile leaves a call of unknown outcome,
// and not nothing. What can't be written down is not sent.
func (s *Service) announce(ctx context.Context, j *journey) *integration.Failure {
	if !j.op.announces || j.turn != nil || len(j.call.Attempts) > 0 {
		return nil
	}
	c := j.call
	c.DueAt = s.now().UTC().Add(s.deadline + announced)
	s.keep(j)
	if err := s.journal.Record(ctx, c); err != nil {
		c.DueAt = time.Time{}
		return &integration.Failure{
			Class: integration.ClassUnavailable, Code: CodeBegin, Reason: ReasonNotKept, Err: err,
			Message: "The request was not sent: it could not be written down that it is about to be.",
			Hint:    "Nothing happened; make it again. See the gateway's log for what ails the store.",
		}
	}
	return nil
}

// notWritten takes back what a failure says about a kept call.
func notWritten(f *integration.Failure) {
	f.Reason = ReasonNotKept
	f.Hint = strings.TrimSuffix(f.Hint, keptHint)
	if f.Hint != "" {
		f.Hint += " "
	}
	f.Hint += "It could not be written down either, so it can't be made again from here: look at the provider first."
}

// detached is context.WithoutCancel as a part of the journey: the values of a
// context without its end.
type detached struct{ context.Context }

// Deadline is none.
func (*detached) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done is never closed.
func (*detached) Done() <-chan struct{} { return nil }

// Err is always nil.
func (*detached) Err() error { return nil }

// keep fills in header and body, without credentials.
func (s *Service) keep(j *journey) {
	header, at := j.header.Clone(), *j.url
	s.credential.Strip(header, &at)
	kept, whole := j.body.keep()
	if j.connection != "" {
		header.Set(HeaderConnection, j.connection) // it is made again with the same one's credential
	}
	if !whole {
		header.Set(bodyHeader, "streamed, not kept")
	}
	j.call.Header, j.call.Body = header, kept
}

// report is the one line about an attempt.
func (s *Service) report(ctx context.Context, j *journey, a *integration.Attempt, f *integration.Failure, d retry.Decision) {
	level := slog.LevelInfo
	switch {
	case f == nil || f.Class == integration.ClassCanceled:
	case d.Alert && !d.Retry:
		level = slog.LevelError
	default:
		level = slog.LevelWarn
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := [18]slog.Attr{
		slog.String("call", j.call.ID), slog.String("tenant", j.call.Tenant), slog.String("method", j.call.Method),
		slog.Int("attempt", a.Number), slog.String("class", string(a.Class)), slog.Int("status", a.Status), slog.Duration("took", a.Took),
	}
	line := attrs[:7]
	for _, told := range []slog.Attr{slog.String("endpoint", j.op.name), slog.String("provider_request", a.RequestID), slog.String("credential", j.fingerprint)} {
		if told.Value.String() != "" {
			line = append(line, told)
		}
	}
	if a.Waited > 0 {
		line = append(line, slog.Duration("waited", a.Waited))
	}
	if f != nil {
		line = append(line, slog.Int("of", max(d.Max, a.Number)), slog.String("error", a.Error), slog.Bool("sent", a.Sent))
		if d.Retry {
			line = append(line, slog.Duration("retry_in", d.After))
		} else {
			line = append(line, slog.String("then", string(d.Then)), slog.String("why", d.Reason))
		}
		if d.Alert {
			line = append(line, slog.Bool("alert", true))
		}
	}
	record := slog.NewRecord(j.now, level, "call.attempted", 0) // the time is known, and nobody asks for the line of code
	record.AddAttrs(line...)
	_ = s.log.Handler().Handle(ctx, record) // slog ignores it as well
}
