// Package retry decides what follows a failed attempt: again and when, or not
// at all and why. It is pure; clock and dice are handed in.
//
// Three questions are asked in this order. May it be repeated at all? The
// effect decides (design decision 3): read and update may; create only with an
// idempotency key, or when the provider certainly did not act on it; what is
// irreversible never once it may have been received. Is a repeat left? The
// plan's policy for the answer says how many (R4.17). When? After the backoff
// with full jitter, and never before the time the provider asked for (R4.6). A
// wait that does not fit into the time left is not begun. At last, where there
// is one, the budget that all calls share must allow it (R4.16).
package retry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// DefaultDeadline is how long one call may go on in total, waits included,
// before what is left is a person's business.
const DefaultDeadline = 2 * time.Minute

// defaultBackoff is used where a policy retries without saying how long to
// wait.
var defaultBackoff = []plan.Duration{plan.Duration(time.Second), plan.Duration(2 * time.Second), plan.Duration(4 * time.Second)}

// Policy is the retry table of one plan.
type Policy struct {
	plan     *plan.Plan
	deadline time.Duration
	budget   *Budget
}

// New makes the policy of a plan. deadline is how long one call may go on in
// total; zero is DefaultDeadline.
func New(p *plan.Plan, deadline time.Duration) *Policy {
	if deadline == 0 {
		deadline = DefaultDeadline
	}
	return &Policy{plan: p, deadline: deadline}
}

// Within is the policy with a budget that all its retries are booked on, but for
// the one with a fresh credential (R4.2). The policy itself stays as it is.
func (p *Policy) Within(b *Budget) *Policy {
	q := *p
	q.budget = b
	return &q
}

// Attempt is what is known after an attempt failed.
type Attempt struct {
	Number  int                  // attempts made so far, this one included
	Status  int                  // HTTP status; 0 when there was none
	Failure *integration.Failure // what it meant; must not be nil
	Sent    bool                 // false only when it certainly never reached the provider
	Effect  plan.Effect          // of the call; empty is taken as create
	HasKey  bool                 // an idempotency key is kept over the attempts
	// Replayable is false when the body was streamed through and is gone.
	Replayable bool
	// CredentialChanged: the secret is another one than the one just refused.
	CredentialChanged bool
	Started           time.Time // of the first attempt
	Until             time.Time // the caller's deadline; zero when there is none
}

// Then is what happens to a call that is not tried again.
type Then string

// The ends of a call.
const (
	Fail    Then = "fail"    // the answer is final
	Keep    Then = "keep"    // kept, so that a person may retry it
	Unknown Then = "unknown" // kept; it may have had its effect (R4.7)
)

// Decision is what follows.
type Decision struct {
	Retry  bool          // try again
	After  time.Duration // this long from now; only with Retry
	Then   Then          // only without Retry
	Max    int           // how many attempts this kind of answer allows
	Alert  bool          // the policy wants somebody to hear of it
	Reason string        // why, in words, for the log
	// Message is the plan's own words for the person using the product; empty
	// when it has none.
	Message string
}

// Next decides. dice returns a number in [0,1).
func (p *Policy) Next(a Attempt, now time.Time, dice func() float64) Decision {
	policy := p.policy(a)
	d := Decision{Max: 1 + int(policy.Retry), Alert: policy.Alert, Message: policy.Message, Then: Fail}
	if policy.Then == "keep" {
		d.Then = Keep
	}
	if a.Failure.Class == integration.ClassCanceled {
		return canceled(d, a)
	}
	if reason := forbidden(a); reason != "" {
		d.Reason = reason
		if ambiguous(a) {
			d.Then = Unknown
		}
		return d
	}
	switch {
	case int(policy.Retry) == 0:
		return stop(d, "the policy does not retry this answer")
	case a.Number > int(policy.Retry):
		return stop(d, "retries used up")
	case a.Failure.Class == integration.ClassUnauthorized && !a.CredentialChanged:
		return stop(d, "the credential is still the one that was refused") // R4.2
	case a.Sent && !a.Replayable:
		return stop(d, "the body was streamed and can't be sent again")
	}
	after := a.Failure.RetryAfter + jittered(policy.Backoff, a.Number, dice)
	at := now.Add(after)
	switch {
	case !a.Until.IsZero() && !at.Before(a.Until):
		return stop(d, "the wait is longer than the caller has")
	case at.Sub(a.Started) > p.deadline:
		return stop(d, "the wait is longer than a call may go on")
	case a.Failure.Class != integration.ClassUnauthorized && !p.budget.Allow(now): // last: it books
		return stop(d, "the retry budget is used up") // R4.16
	}
	d.Retry, d.After, d.Then = true, after, ""
	return d
}

func stop(d Decision, reason string) Decision {
	d.Reason = reason
	return d
}

// canceled is the end of a call whose caller left: of one that makes something,
// nobody knows now whether it did.
func canceled(d Decision, a Attempt) Decision {
	d.Max, d.Then, d.Alert, d.Message = a.Number, Fail, false, ""
	if a.Sent && careful(a.Effect) {
		d.Then = Unknown
	}
	return stop(d, "the caller went away")
}

// careful reports whether repeating the call makes another one. What is not
// known is.
func careful(e plan.Effect) bool { return e != plan.EffectRead && e != plan.EffectUpdate }

// ambiguous reports whether the provider may have acted: the request may have
// been received, and no answer denies it. A 5xx denies nothing.
func ambiguous(a Attempt) bool {
	if !a.Sent {
		return false
	}
	switch a.Failure.Class {
	case integration.ClassUnavailable, integration.ClassTimeout, integration.ClassNetwork, integration.ClassBroken:
		return true
	}
	return false
}

// forbidden says why the effect does not allow a repeat; empty when it does.
func forbidden(a Attempt) string {
	switch {
	case !careful(a.Effect) || !a.Sent:
		return ""
	case a.Effect == plan.EffectIrreversible:
		return "irreversible: never repeated by machine once sent"
	case a.HasKey || !ambiguous(a):
		return ""
	}
	return "a create without an idempotency key is not repeated once it may have been received"
}

// jittered is a random part of the wait before retry n, counted from 1.
func jittered(backoff []plan.Duration, n int, dice func() float64) time.Duration {
	if len(backoff) == 0 {
		backoff = defaultBackoff
	}
	wait := time.Duration(backoff[min(n, len(backoff))-1])
	return time.Duration(dice() * float64(wait))
}

// policy finds the plan's policy: by the status itself where the plan names it
// and the answer meant what that status says, else by what the answer meant. A
// 403 by which a provider says "too many" is a 429 (R4.3).
func (p *Policy) policy(a Attempt) plan.ErrorPolicy {
	status, class := strconv.Itoa(a.Status), a.Failure.Class
	row, named := rows[class]
	if _, own := p.plan.Errors[status]; own && (!named || class == usual(a.Status)) {
		return p.plan.ErrorPolicy(status)
	}
	switch {
	case class == integration.ClassUnavailable && a.Status >= 500:
		return p.plan.ErrorPolicy(status)
	case named:
		return p.plan.ErrorPolicy(row)
	case a.Status >= 400:
		return p.plan.ErrorPolicy(status)
	}
	return plan.ErrorPolicy{}
}

// rows are the keys of the policy that a meaning has, whatever the status.
var rows = map[integration.Class]string{
	integration.ClassInvalid:      "400",
	integration.ClassUnauthorized: "401",
	integration.ClassForbidden:    "403",
	integration.ClassMissing:      "404",
	integration.ClassConflict:     "409",
	integration.ClassLimited:      "429",
	integration.ClassUnavailable:  "5xx",
	integration.ClassTimeout:      "timeout",
	integration.ClassNetwork:      "network",
}

// usual is what a status means where the provider has no dialect of its own
// (RFC 9110).
func usual(status int) integration.Class {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return integration.ClassInvalid
	case http.StatusUnauthorized:
		return integration.ClassUnauthorized
	case http.StatusForbidden:
		return integration.ClassForbidden
	case http.StatusNotFound, http.StatusGone:
		return integration.ClassMissing
	case http.StatusRequestTimeout:
		return integration.ClassTimeout
	case http.StatusConflict:
		return integration.ClassConflict
	case http.StatusTooManyRequests:
		return integration.ClassLimited
	}
	if status >= 500 {
		return integration.ClassUnavailable
	}
	return integration.ClassRejected
}
