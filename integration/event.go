package integration

import (
	"net/http"
	"time"
)

// EventStatus is where a webhook event stands (R5.9).
type EventStatus string

// The five statuses of an event. Received and Processing are on the way;
// the other three are final until a person asks for a retry.
const (
	EventReceived   EventStatus = "received"   // stored, due for processing
	EventProcessing EventStatus = "processing" // a worker holds its lease
	EventProcessed  EventStatus = "processed"  // delivered
	EventFailed     EventStatus = "failed"     // given up; a person may retry it
	EventIgnored    EventStatus = "ignored"    // a type the plan does not use; kept, not delivered
)

// Final reports whether no machine will touch the event again by itself.
func (s EventStatus) Final() bool {
	return s == EventProcessed || s == EventFailed || s == EventIgnored
}

// Event is one inbound webhook event, as it was received and verified.
// (Service, Source, ExternalID) is unique; a repeat is a duplicate.
type Event struct {
	ID         string      // ours, a UUIDv7
	Tenant     string      // your customer; empty when the plan names no tenant path or the payload holds none
	Service    string      // the integration's slug; the "provider" column
	Source     string      // one inbound address of the service; "" is the only or main one
	ExternalID string      // the provider's id for the event
	Type       string      // the provider's event type
	Subject    string      // the ordering key (webhooks.order_by); empty when there is none
	OccurredAt time.Time   // the provider's time of the event, UTC; zero when it sends none
	ReceivedAt time.Time   // when the bytes were here, UTC
	Header     http.Header // request headers as received, less the ones that carry credentials
	Payload    []byte      // the exact bytes of the body, as far as they are Kept
	Kept       Kept        // how much of Header and Payload is still there; KeptWhole in lists
	Status     EventStatus // where it stands
	Attempts   int         // how many times a worker began to process it
	// RetriedAfter is how many of them were behind it when a person last asked
	// for it again: the schedule of redelivery counts from there. It is zero in
	// lists.
	RetriedAfter int
	Error        string // why the last attempt failed, for the operator; free of secrets
	// Gone says that the provider no longer has what the event is about. It is set
	// while the event is delivered, and not kept.
	Gone bool
	// ProcessedAt is when the event reached a final status; zero before.
	ProcessedAt time.Time
	// DueAt is when the event may next be worked on; meaningful while Received,
	// and zero while it is parked.
	DueAt time.Time
	// Ordered asks for it to be worked on after those before it of the same
	// Service and Subject, one at a time. It is heeded when the event is accepted
	// and not told after that.
	Ordered bool
	// Stale says that an event about the same Subject that the provider dates
	// later was processed before this one. It is false in lists.
	Stale bool
	// Parked says which paused destinations the event waits for (see ParkedFor);
	// empty when it waits for none, and in lists.
	Parked string
	// Progress is where it stands with each of several destinations; nil where it
	// has one, and in lists.
	Progress Progress
	// Behind names the destinations that an event before this one in its order
	// has still to go to, sorted: it must not go there yet. Empty without an order,
	// and in lists.
	Behind []string
	// Replays is how many times the event was processed again after it had
	// reached a final status, because a person asked for it. It is zero in lists.
	Replays    int
	ReplayedAt time.Time // when it was last asked for; zero: never, and in lists
	Job        string    // the job that asked; empty when a person did it one by one, and in lists
	// Position is its place in the order in which events were kept; set only where
	// events are read in that order.
	Position int64
}

// DeliveryState is how handing an event to one destination ended.
type DeliveryState string

// A delivery attempt ends in one of three ways.
const (
	DeliverySucceeded DeliveryState = "succeeded" // the destination answered 2xx, or the handler returned nil
	DeliveryRetrying  DeliveryState = "retrying"  // it will be tried again
	DeliveryFailed    DeliveryState = "failed"    // it will not
)

// Delivery is one attempt to hand an event to a destination or a Go handler.
type Delivery struct {
	ID          string        // ours, a UUIDv7
	EventID     string        // the event handed over
	Destination string        // the destination's name in the plan, or "handler"
	Attempt     int           // 1 for the first
	Replay      int           // which replay of the event it belongs to; 0: the first time
	State       DeliveryState // how it ended
	Status      int           // the destination's HTTP status; 0 when there was none
	Error       string        // why it failed, free of secrets; empty on success
	StartedAt   time.Time     // UTC
	Took        time.Duration // from start to answer
}
