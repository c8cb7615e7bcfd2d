package integration

import (
	"net/http"
	"strconv"
	"strings"
)

// Marks are what we note about an event among the headers that are kept of it.
// A provider's header of such a name is not kept.
const (
	markPrefix = "Sallyport-Event-"

	batchMark   = markPrefix + "Batch"    // id, item and size of the batch
	echoMark    = markPrefix + "Echo"     // it says that a call of ours caused it
	echoKeyMark = markPrefix + "Echo-Key" // what may be the idempotency key of a call of ours
)

// IsMark reports whether a header, in canonical form, is ours to set.
func IsMark(name string) bool { return name == OriginHeader || strings.HasPrefix(name, markPrefix) }

// Batch is where an event stood in a request that carried several (R5.13).
type Batch struct {
	ID   string // ours, a UUIDv7; the same for all events of the request
	Item int    // which one it was, from 1
	Of   int    // how many there were
}

// MarkBatch says that the event came with others.
func (e *Event) MarkBatch(id string, item, of int) {
	e.mark(batchMark, id+" "+strconv.Itoa(item)+" "+strconv.Itoa(of))
}

// Batch is where the event stood in its request; ok is false for one that came
// alone. It is not told in lists, which have no headers.
func (e *Event) Batch() (b Batch, ok bool) {
	parts := strings.Fields(e.Header.Get(batchMark))
	if len(parts) != 3 {
		return Batch{}, false
	}
	item, err := strconv.Atoi(parts[1])
	if err != nil {
		return Batch{}, false
	}
	of, err := strconv.Atoi(parts[2])
	return Batch{ID: parts[0], Item: item, Of: of}, err == nil
}

// MarkEcho says that a call of ours caused the event.
func (e *Event) MarkEcho() { e.mark(echoMark, "1") }

// Echo reports whether a call of ours is known to have caused the event. Where
// EchoKeys are to be looked up, it is known only after that.
func (e *Event) Echo() bool { return e.Header.Get(echoMark) != "" }

// MarkEchoKey notes what may be the idempotency key of the call that caused it.
func (e *Event) MarkEchoKey(key string) {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Add(echoKeyMark, key)
}

// EchoKeys are what may be the idempotency keys of the call that caused it.
func (e *Event) EchoKeys() []string { return e.Header.Values(echoKeyMark) }

func (e *Event) mark(name, value string) {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Set(name, value)
}
