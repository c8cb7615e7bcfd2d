package integration

import (
	"net/http"
	"time"
)

// CallState is where an outbound call stands.
type CallState string

// A call is running until it reaches one of the other states.
const (
	CallRunning   CallState = "running"
	CallSucceeded CallState = "succeeded" // the provider's final answer was a success
	CallRejected  CallState = "rejected"  // a no for good: the provider's 4xx, our own refusal before sending, or a failure the plan says not to keep
	CallFailed    CallState = "failed"    // given up after the plan's retries; kept, a person may retry it
	CallCanceled  CallState = "canceled"  // the caller went away before an answer; repeating it is the caller's business. Also a kept call whose repeat is kept in its place
	CallUnknown   CallState = "unknown"   // it may have reached the provider and must not be repeated by machine (R4.7)
)

// Kept reports whether the call is held for a person to retry or settle.
func (s CallState) Kept() bool { return s == CallFailed || s == CallUnknown }

// Entry says which of the doors a call came through. All share one path.
type Entry string

// The doors there are.
const (
	EntryClient   Entry = "client"   // http.RoundTripper in a Go program
	EntryProxy    Entry = "proxy"    // the proxy URL
	EntryEndpoint Entry = "endpoint" // a named endpoint with mapping
	EntryRetry    Entry = "retry"    // a person retried a kept call
)

// Call is one outbound request with all its attempts.
type Call struct {
	ID             string    // ours, a UUIDv7; the Sallyport-Call header
	Service        string    // the integration's slug
	Tenant         string    // on whose behalf; may be empty
	Endpoint       string    // the plan's endpoint name; empty for a proxied path the plan does not name
	Entry          Entry     // how it came in
	Method         string    // of the provider's API
	Path           string    // path and query at the provider, credentials in it redacted
	Effect         string    // read, update, create or irreversible: decided what could be retried
	IdempotencyKey string    // one key kept over all attempts; empty when the endpoint declares none
	State          CallState // where it stands
	Status         int       // the last HTTP status; 0 when there was none
	Failure        *Failure  // why it did not succeed; nil on success
	Attempts       []Attempt // in order
	CreatedAt      time.Time // UTC
	FinishedAt     time.Time // UTC; zero while running
	RetryOf        string    // the kept call this one retries; empty otherwise
	// Header and Body are what was asked of the provider before a credential
	// was added; they are kept only while the call is Kept, to retry it.
	Header http.Header
	Body   []byte
}

// Attempt is one request of a call as it went over the wire.
type Attempt struct {
	Number     int           // 1 for the first
	StartedAt  time.Time     // UTC
	Took       time.Duration // until the answer's header, or the error
	Waited     time.Duration // time spent before it: limit queue and backoff
	Status     int           // HTTP status; 0 when there was none
	Class      Class         // what the answer meant
	RequestID  string        // the provider's id for the request (E26)
	Error      string        // network error or provider's message, free of secrets
	RetryAfter time.Duration // what the provider asked for; zero when silent
	Sent       bool          // false when it certainly never reached the provider
}
