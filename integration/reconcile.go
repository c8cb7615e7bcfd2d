package integration

import (
	"encoding/json"
	"net/http"
	"time"
)

// Cursor is how far a task has come that is gone on with from time to time, by
// one instance at a time: looking for events that never came, renewing what
// is subscribed to at a provider.
type Cursor struct {
	ID       string          // the task and what it is about: reconcile:stripe
	State    json.RawMessage // the task's own notes; empty before its first turn
	DueAt    time.Time       // when it is its turn again; zero: never
	Attempts int             // turns it had, the present one included
}

// CursorOutcome is what came of a turn.
type CursorOutcome struct {
	State    json.RawMessage // the notes for the next turn
	DueAt    time.Time       // when that is; zero: never
	Released bool            // it was not begun; everything stays as it is
}

// Subscription is what we know of our being subscribed to events at a provider
// (R5.15). There is one for each service, connection and the provider's own id.
type Subscription struct {
	Service    string
	Tenant     string    // whose it is; empty: everybody's
	Connection string    // whose credential it was made with; empty: the service's own
	ExternalID string    // the provider's id
	URL        string    // where it sends events
	Resource   string    // what it is about, where there is one subscription for each; else empty
	Events     []string  // types that are subscribed to, sorted
	State      string    // what the provider says of it: enabled, disabled; empty where it says nothing
	ExpiresAt  time.Time // zero: it does not expire
	CreatedAt  time.Time // when we registered it, or saw it first
	CheckedAt  time.Time // when we last saw it at the provider
	Error      string    // why the last renewal failed; free of secrets
	// Extra is what the provider needs to end it, beside its id: Google's
	// resourceId. It is no secret.
	Extra map[string]string
	// Sealed is the signing secret that the provider gave with its answer, sealed;
	// empty where it gave none.
	Sealed []byte
}

// OriginHeader marks, in the headers that are kept of an event, how it came when
// it did not come as a webhook. A provider's header of that name is not kept.
const OriginHeader = "Sallyport-Origin"

// OriginReconciled is an event that never came and was found in the provider's
// list (R5.14).
const OriginReconciled = "reconciled"

// Origin is how an event came: OriginReconciled, or empty for a webhook.
func (e *Event) Origin() string { return e.Header.Get(OriginHeader) }

// MarkReconciled says that the event was found in the provider's list.
func (e *Event) MarkReconciled() {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Set(OriginHeader, OriginReconciled)
}
