package integration

import (
	"strings"
	"time"
)

// ownSource begins the Source of an event that we made ourselves; no address of
// a provider is named like that.
const ownSource = "sallyport:"

// The events of our own.
const (
	EventCallFinished    = "sallyport.call.finished"      // a call that nobody waited for came to its end
	EventConnection      = "sallyport.connection.changed" // a connection is in another state (R2.5)
	EventResourceMissing = "resource.missing"             // the provider no longer has what a call asked for (R4.4)
)

// OwnEvent is an event of our own for one destination of a service's plan,
// which is delivered as a provider's event is. id is ours; about is what it is
// about and makes it unique: telling the same destination the same about it
// twice is a repeat. payload is JSON.
func OwnEvent(id, service, destination, eventType, about, tenant string, at time.Time, payload []byte) *Event {
	return &Event{
		ID: id, Service: service, Source: ownSource + destination, Type: eventType, ExternalID: eventType + ":" + about, Subject: about, Tenant: tenant,
		OccurredAt: at.UTC(), ReceivedAt: at.UTC(), DueAt: at.UTC(), Payload: payload, Status: EventReceived,
	}
}

// Destination is the destination that an event of our own is for; ok is false
// for a provider's event, which the plan sends on its way.
func (e *Event) Destination() (name string, ok bool) { return strings.CutPrefix(e.Source, ownSource) }
