package send

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"
)

// replayKeys are headers by which net/http takes any request for one that it
// may send again by itself when a connection it had used before breaks
// (Request.isReplayable). Whether a request is repeated is not for the
// transport to decide: what is irreversible is not, key or no key.
var replayKeys = []string{"Idempotency-Key", "X-Idempotency-Key"}

// once is the request in a form that net/http does not repeat after any of it
// was written: the names of those headers in a spelling it does not look for.
// Names of headers are the same in any case (RFC 9110, section 5.1). A request
// with a body that can't be rewound is not repeated anyway. Reads still may be.
func once(r *http.Request) *http.Request {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return r
	}
	var out *http.Request
	for _, name := range replayKeys {
		values, ok := r.Header[name]
		if !ok {
			continue
		}
		if out == nil {
			copied := *r
			copied.Header = maps.Clone(r.Header)
			out = &copied
		}
		delete(out.Header, name)
		out.Header[name[:len(name)-len("Key")]+"key"] = values
	}
	if out == nil {
		return r
	}
	return out
}

// maxDials is how many connections one request may open. It needs a second one
// where a server closed the first just then, hardly ever more.
const maxDials = 4

// dialling counts the connections opened for one request. Over HTTP/2 net/http
// takes a stream that was refused with PROTOCOL_ERROR for one to repeat on a new
// connection, without end: a provider that answers every request so would be
// asked thousands of times a second.
type dialling struct {
	context.Context
	n atomic.Int32
}

type diallingKey struct{}

// Value finds the count itself, in contexts made from it.
func (d *dialling) Value(key any) any {
	if key == (diallingKey{}) {
		return d
	}
	return d.Context.Value(key)
}

// again counts a connection; the error is for one too many. The request has
// left by then.
func again(ctx context.Context) error {
	if d, ok := ctx.Value(diallingKey{}).(*dialling); ok && d.n.Add(1) > maxDials {
		return fmt.Errorf("the provider broke off %d connections, one after the other", maxDials)
	}
	return nil
}
