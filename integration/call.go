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
	CallQueued    CallState = "queued"    // it goes on by itself at DueAt, or expires; durable (R4.6)
	CallSucceeded CallState = "succeeded" // the provider's final answer was a success
	CallRejected  CallState = "rejected"  // a no for good: the provider's 4xx, our own refusal before sending, or a failure the plan says not to keep
	CallFailed    CallState = "failed"    // given up after the plan's retries; kept, a person may retry it
	CallCanceled  CallState = "canceled"  // the caller went away before an answer; repeating it is the caller's business. Also a kept call whose repeat is kept in its place
	CallUnknown   CallState = "unknown"   // it may have reached the provider and must not be repeated by machine (R4.7)
)

// Kept reports whether the call is held for a person to retry or settle.
func (s CallState) Kept() bool { return s == CallFailed || s == CallUnknown }

// Waiting reports whether the call goes on by itself, without a caller who waits
// for it.
func (s CallState) Waiting() bool { return s == CallQueued }

// Repeatable says whether it takes what was asked to ask again: header and body
// are kept with a call that waits and with one that is held for a person.
func (s CallState) Repeatable() bool { return s.Waiting() || s.Kept() }

// Entry says which of the doors a call came through. All share one path.
type Entry string

// The doors there are.
const (
	EntryClient   Entry = "client"   // http.RoundTripper in a Go program
	EntryProxy    Entry = "proxy"    // the proxy URL
	EntryEndpoint Entry = "endpoint" // a named endpoint with mapping
	EntryFetch    Entry = "fetch"    // what an event is about, read before it is delivered
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
	// was added; they are kept only while the call can be made again
	// (State.Repeatable).
	Header http.Header
	Body   []byte

	// The rest is about calls in the durable queue.

	Async        bool      // the caller does not wait for the answer (RFC 7240, respond-async)
	Priority     int       // higher ones have their turn first; 0 is the usual
	DueAt        time.Time // UTC; when a queued call goes on. Of a running call: by when its process must have said what came of it, else it died
	ExpiresAt    time.Time // UTC; a queued call is given to a person then; zero: never
	Callback     string    // the plan's destination that is told when it is finished; empty: none
	RetriedAfter int       // how many attempts were behind it when a person last asked for it: the plan's retries count from there
	Turn         int       // how many turns it had in the queue, the present one included; zero in lists
	KeptAs       CallState // how it was held before a person put it back into the queue; empty otherwise
	Job          string    // the bulk retry that put it back; empty otherwise
	// InDoubt says that a request was begun and nothing is known of its end,
	// because the process died. Such a call is never sent by machine.
	InDoubt bool
	// Answer is what the provider said to a call that nobody waited for; nil
	// where there was none, and when it is forgotten.
	Answer *Answer
}

// Answer is what the provider said in the end, for a caller who comes back for
// it.
type Answer struct {
	Status int         // the HTTP status
	Header http.Header // what tells how to read the body and where to go on
	Body   []byte      // mapped where the call was of an endpoint with a mapping
	Cut    bool        // the body was too large to be kept and is not there
	Until  time.Time   // UTC; when it is forgotten
}

// CallOutcome is what one turn of a queued call came to. It is written in one
// transaction with the end of the lease.
type CallOutcome struct {
	// Call is the call as it stands now: State is queued with DueAt when it is
	// to have another turn, else a final one. Attempts holds all of them.
	Call Call
	// Refused says that the call had no turn, by our own limit or the breaker:
	// others of its tenant need not ask before DueAt either.
	Refused bool
	// Finished is the event that tells the call's Callback about its end; nil:
	// there is none to be told.
	Finished *Event
	// Released says that the worker is shutting down: the call is due again at
	// once and nothing is changed.
	Released bool
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
