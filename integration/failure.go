package integration

import (
	"fmt"
	"time"
)

// Class is what an answer of a third party meant, once the provider's own
// dialect is taken into account (R4).
type Class string

// The classes. Each names what happens next; the numbers are the requirement
// rows they come from.
const (
	ClassOK           Class = "ok"           // a success
	ClassInvalid      Class = "invalid"      // R4.1: our request is wrong; no retry
	ClassUnauthorized Class = "unauthorized" // R4.2: the credential was refused
	ClassForbidden    Class = "forbidden"    // R4.3: not allowed; no retry, alert
	ClassMissing      Class = "missing"      // R4.4: not there
	ClassConflict     Class = "conflict"     // R4.5: the state moved on
	ClassRejected     Class = "rejected"     // another 4xx: refused for good
	ClassLimited      Class = "limited"      // R4.6: too many requests
	ClassUnavailable  Class = "unavailable"  // R4.7: 5xx
	ClassTimeout      Class = "timeout"      // R4.8: no answer in time
	ClassNetwork      Class = "network"      // R4.8: DNS, dial, reset
	ClassBroken       Class = "broken"       // an answer that is no HTTP or not what the dialect promises
	ClassCanceled     Class = "canceled"     // the caller went away or its own deadline passed; says nothing about the third party
)

// Transient reports whether the same request may succeed later.
func (c Class) Transient() bool {
	switch c {
	case ClassLimited, ClassUnavailable, ClassTimeout, ClassNetwork:
		return true
	}
	return false
}

// Failure is one thing that went wrong, told to its three readers: Class and
// Code for programs, Message and Hint for people, Err for the operator's log.
type Failure struct {
	Class      Class         // what it meant
	Code       string        // stable, ours, e.g. "provider_rejected"
	Message    string        // for the person using the product; says nothing internal
	Hint       string        // for the developer: what to do next
	Pointer    string        // JSON pointer to the part of the caller's request at fault; empty when it is not about one
	RetryAfter time.Duration // what the third party asked for; zero if it was silent

	ProviderCode      string // the provider's own error code, when its dialect has one
	ProviderMessage   string // the provider's own words; for the log and the developer
	ProviderRequestID string // what the provider's support asks for

	// What the outbound journey adds, so that an answer can carry it on. Empty
	// and zero when the failure is not one of a call, or nothing was recorded.
	CallID   string // the Sallyport-Call header
	Attempts int    // how often it was tried; 0: nothing left this process
	Reason   string // the Sallyport-Reason header: why Sallyport itself answered; empty when it was the provider

	Err error // for the operator's log; never sent to a caller
}

// Error makes a Failure an error; it is the operator's text.
func (f *Failure) Error() string {
	s := string(f.Class)
	if f.ProviderCode != "" {
		s += ": " + f.ProviderCode
	}
	switch {
	case f.ProviderMessage != "":
		s += ": " + f.ProviderMessage
	case f.Message != "":
		s += ": " + f.Message
	}
	if f.Err != nil {
		s = fmt.Sprintf("%s: %v", s, f.Err)
	}
	return s
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }
