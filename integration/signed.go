package integration

import (
	"net/http"
	"strings"
)

// SignedPrefix begins the names of the kept headers that carry the provider's
// signature. They are kept only for an event that is delivered raw, so that its
// receiver can verify it again; a provider's header of such a name never gets
// in. Whoever shows headers shows them without these: see ShownHeader.
const SignedPrefix = "Sallyport-Signed-"

// IsSigned reports whether a header, in canonical form, is one of those.
func IsSigned(name string) bool { return strings.HasPrefix(name, SignedPrefix) }

// ShownHeader is what people and programs may see of the kept headers: all but
// the provider's signature, with which the payload could be replayed elsewhere.
func ShownHeader(h http.Header) http.Header {
	if h == nil {
		return nil
	}
	out := make(http.Header, len(h))
	for name, values := range h {
		if !IsSigned(name) && (name == OriginHeader || !IsMark(name)) {
			out[name] = values
		}
	}
	return out
}

// ProvidersHeader is the header as the provider sent it, as far as it was kept:
// signatures under their own names, and without what we noted there ourselves.
func (e *Event) ProvidersHeader() http.Header {
	out := make(http.Header, len(e.Header))
	for name, values := range e.Header {
		switch own, ok := strings.CutPrefix(name, SignedPrefix); {
		case ok:
			out[http.CanonicalHeaderKey(own)] = values
		case IsMark(name):
		default:
			if _, kept := out[name]; !kept {
				out[name] = values
			}
		}
	}
	return out
}
