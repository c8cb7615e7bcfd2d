package deliver

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
)

// Headers beside a delivery in the raw format; the receiver has no envelope to
// read them from.
const (
	headerEvent  = "Sallyport-Event"  // our id of the event
	headerType   = "Sallyport-Type"   // as in a CloudEvent: stripe.invoice.paid
	headerTenant = "Sallyport-Tenant" // your customer; absent when there is none
	headerEcho   = "Sallyport-Echo"   // "true" when a call of ours caused the event; else absent
	headerStale  = "Sallyport-Stale"  // "true" when an event about the same subject that the provider dates later went before it; else absent
	headerGone   = "Sallyport-Gone"   // "true" when what the event is about is no longer at the provider, where that was read; else absent
	headerReplay = "Sallyport-Replay" // "true" when a person asked for the event again; else absent
)

// message is what one delivery says, however it travels.
type message struct {
	body   []byte
	header http.Header // without signature and user agent
}

// wantsRaw reports whether the destination wants the event as it came. Events of
// our own have no provider whose SDK would read them: they are CloudEvents
// everywhere.
func wantsRaw(to *destination, e *integration.Event) bool {
	_, own := e.Destination()
	return to.Raw() && !own
}

// messageOf is the event as its destination wants it.
func messageOf(to *destination, e integration.Event, data []byte) message {
	if wantsRaw(to, &e) {
		return message{body: e.Payload, header: rawHeader(e)}
	}
	return message{body: cloudEvent(e, data), header: http.Header{"Content-Type": {"application/cloudevents+json; charset=utf-8"}}}
}

// rawHeader is the provider's header, less what was for our connection and not
// for the event, with ours beside it.
func rawHeader(e integration.Event) http.Header {
	h := e.ProvidersHeader()
	for name := range h {
		if hop(name) || strings.HasPrefix(name, "Sallyport-") {
			delete(h, name)
		}
	}
	h.Set(headerEvent, e.ID)
	h.Set(headerType, printable(eventType(e)))
	if h.Get("Content-Type") == "" && gjson.ValidBytes(e.Payload) {
		h.Set("Content-Type", "application/json")
	}
	if e.Tenant != "" {
		h.Set(headerTenant, printable(e.Tenant))
	}
	if e.Stale {
		h.Set(headerStale, "true")
	}
	if e.Gone {
		h.Set(headerGone, "true")
	}
	if e.Replays > 0 {
		h.Set(headerReplay, "true")
	}
	if origin := e.Origin(); origin != "" {
		h.Set(integration.OriginHeader, origin)
	}
	if e.Echo() {
		h.Set(headerEcho, "true")
	}
	return h
}

// hop reports whether a header, in canonical form, belongs to the connection the
// event came by: RFC 9110, section 7.6.1, the forwarders' own, and what the next
// connection sets for itself.
func hop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Host", "Content-Length", "Expect",
		"Accept-Encoding", "Forwarded", "Via", "X-Real-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// eventType is the type as receivers know it: with the service before the
// provider's own.
func eventType(e integration.Event) string {
	if _, own := e.Destination(); own {
		return e.Type
	}
	return e.Service + "." + e.Type
}

// printable is text as it may stand in a header: what a provider or a tenant
// named may hold anything.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}
