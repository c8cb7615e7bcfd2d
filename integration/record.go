package integration

import (
	"errors"
	"time"
)

// Errors that stores answer with and everyone above understands.
var (
	// ErrBusy: the bounded queue in front of the store is full. Nothing was
	// kept; the sender should come again.
	ErrBusy = errors.New("store is busy: its queue is full")
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrState: the record is not in a state that allows what was asked.
	ErrState = errors.New("not possible in this state")
	// ErrCursor: the cursor of a list is not one that the store gave out.
	ErrCursor = errors.New("not a cursor of this list")
)

// Outcome is what processing an event came to; it is written in one
// transaction with the end of the lease.
type Outcome struct {
	Status     EventStatus // Processed, Failed, Ignored, or Received to be tried again
	DueAt      time.Time   // when to try again; only with Received
	Error      string      // for the operator, free of secrets; empty when processed; with Ignored, why nobody gets it
	Deliveries []Delivery  // the attempts made under this lease
	// Payload takes the place of the event's, without what its plan redacts, when
	// Kept is not KeptWhole; with KeptNothing the headers go as well. Only with a
	// final status.
	Payload []byte
	Kept    Kept
	// Released says that nothing was tried, because the worker is shutting down
	// or it is not the destination's turn: the attempt does not count. The event
	// is due again at DueAt, or at once if that is zero.
	Released bool
	// Parked, with Received or Released, says which paused destinations the event
	// waits for (see ParkedFor): it is not due until it is unparked, or at DueAt
	// if that is not zero.
	Parked string
	// Progress is where the event stands with each of its destinations; nil
	// leaves what is written down. One with an order that has it holds those behind
	// it only where it is Outstanding; without it, at all destinations.
	Progress Progress
}

// Filter selects records of a list. Zero fields do not restrict.
type Filter struct {
	Service string
	Tenant  string
	Status  string // an EventStatus or CallState
	Type    string // event type, or endpoint name of a call
	Source  string // one inbound address of the service; of events alone
	Query   string // part of an id, external id or error
	Since   time.Time
	Until   time.Time
	Cursor  string // opaque, from the previous page
	Limit   int    // zero means 50; at most 500
}

// JobState is where a job stands.
type JobState string

// A job is running until all its records are through or a person stops it.
const (
	JobRunning  JobState = "running"
	JobFinished JobState = "finished"
	JobCanceled JobState = "canceled" // what had not begun is as it was before
)

// JobKind is what a job is about.
type JobKind string

// A job makes kept calls again, or has events processed again.
const (
	JobCalls  JobKind = "call" // also what an empty kind means
	JobEvents JobKind = "event"
)

// Job puts many kept calls (R4.7), or many events (R5.10), back into the queue
// because a person asked for it. It survives the process.
type Job struct {
	ID      string   // ours, a UUIDv7
	Kind    JobKind  // calls, or events; empty means calls
	Service string   // the integration's slug
	State   JobState // where it stands
	// Filter says which calls or events. Status of calls is failed, or unknown
	// where the person said so; of events a final one, or empty for all three.
	Filter Filter
	Actor  string // who asked
	Total  int    // how many were found when it began, those that are skipped included
	Queued int    // how many of them were put into the queue so far
	Done   int    // how many are over: calls made, events processed or ignored
	Failed int    // how many are with a person again
	// Skipped is how many events can't be processed again because what came is
	// not kept any more.
	Skipped    int
	CreatedAt  time.Time
	FinishedAt time.Time // zero while running
}

// Counts is how many events or calls of a service stand in each state.
type Counts struct {
	ByState   map[string]int
	OldestDue time.Time // due time of the oldest event that waits; zero when none does
}

// Scope is what an API key may do.
type Scope string

// The two scopes. An admin key may do all that an app key may.
const (
	ScopeApp   Scope = "app"   // call providers, read status
	ScopeAdmin Scope = "admin" // read logs and payloads, retry
)

// APIKey is a key of our own API. Only the SHA-256 of its secret is stored.
type APIKey struct {
	ID        string // ours, a UUIDv7
	Name      string // what it is for, in words
	Scope     Scope
	Hash      string // hex SHA-256 of the whole key, "sp_…"
	CreatedAt time.Time
	RevokedAt time.Time // zero: valid
}

// AuditEntry is one administrative action (R9.5).
type AuditEntry struct {
	ID     string
	At     time.Time
	Actor  string // "key:ID" or "command line"
	Action string // event.read, event.retry, call.read, call.retry, call.settle, key.create, key.revoke
	Target string // id acted upon
	Detail string // in words, free of secrets
}
