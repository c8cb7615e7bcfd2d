package breaker

import (
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// State is what a breaker does with calls.
type State string

// The states.
const (
	Closed   State = "closed"    // all calls go through
	Opened   State = "open"      // none
	HalfOpen State = "half-open" // a few, to see
)

// Status is one breaker at a moment.
type Status struct {
	Host string
	// State is HalfOpen from the end of a pause, also before the first call
	// that makes use of it.
	State State
	// Forced: by hand; it stays so until Reset.
	Forced bool
	Since  time.Time // of the State, or of the opening that led to it
	// Until is the end of the pause; zero when closed or forced.
	Until time.Time
	// FailureRate and SlowRate are shares of Calls, the calls counted in the
	// window: this moment's when closed, else those at the opening.
	FailureRate, SlowRate float64
	Calls                 int
	Reason                string // why it is not closed, in words; empty when it is
}

// Change is a breaker that went from one state to another.
type Change struct {
	Status       // after it
	From   State // before it
	At     time.Time
	// Learned: another instance brought it about.
	Learned bool
}

// Open is the refusal of a call: its host's breaker does not let it through.
type Open struct {
	Host       string
	Until      time.Time     // when a call may go through again, by our clock
	RetryAfter time.Duration // from now until then; at least a millisecond
	Reason     string        // why it is open, in words
}

// Error says which host, for how long, and why.
func (o *Open) Error() string {
	return fmt.Sprintf("breaker: calls to %s are held back: %s; come again in %s", o.Host, o.Reason, o.RetryAfter.Round(time.Millisecond))
}

// Outcome is what a call says about its host.
type Outcome int

// The outcomes. The zero Outcome says nothing.
const (
	// Ignored says nothing about the host: the caller went away, the call was
	// never sent, the provider's limit was hit.
	Ignored Outcome = iota
	// Success: the provider did what was asked.
	Success
	// Failure: a 5xx, a timeout, a broken connection.
	Failure
	// Answered: the provider said no, and so is there. It is in no rate, but
	// it is as good as a success for a probe.
	Answered
)

// OutcomeOf is what a call that failed so says about its host; nil is a
// success. An answer that can't be understood is one of the provider's
// failures.
func OutcomeOf(f *integration.Failure) Outcome {
	if f == nil {
		return Success
	}
	switch f.Class {
	case integration.ClassOK:
		return Success
	case integration.ClassUnavailable, integration.ClassTimeout, integration.ClassNetwork, integration.ClassBroken:
		return Failure
	case integration.ClassInvalid, integration.ClassUnauthorized, integration.ClassForbidden, integration.ClassMissing,
		integration.ClassConflict, integration.ClassRejected:
		return Answered
	}
	return Ignored // limited, canceled
}
