package send

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/sallyport/sallyport/integration"
)

// unwritten tells a request that net/http would not write apart from one that
// may have reached the provider. It looks at what failed only: net/http checks
// the same before it writes the first byte.
func unwritten(r *http.Request, err error) error {
	if why := malformed(r); why != nil {
		return refuseMalformed(why)
	}
	if strings.Contains(err.Error(), "request header list larger than peer's advertised limit") { // net/http has no value for it
		return &Error{Step: "request header", Err: err}
	}
	return err
}

// malformed says what makes a request impossible to write; nil when nothing
// does. Values are left out: a header's may be a credential.
func malformed(r *http.Request) error {
	for _, header := range []http.Header{r.Header, r.Trailer} {
		for name, values := range header {
			if !httpguts.ValidHeaderFieldName(name) {
				return fmt.Errorf("the header name %q has characters that names don't have", name)
			}
			for _, value := range values {
				if !httpguts.ValidHeaderFieldValue(value) {
					return fmt.Errorf("the value of the header %s has characters that values don't have", name)
				}
			}
		}
	}
	if r.Method != "" && !httpguts.ValidHeaderFieldName(r.Method) { // both are a token (RFC 9110, section 5.6.2)
		return fmt.Errorf("%q is no method", r.Method)
	}
	return nil
}

func unprintable(c rune) bool { return c <= ' ' || c == 0x7f }

func refuseMalformed(why error) error {
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: "egress_malformed", Reason: "request", Err: why,
		Message: "The request was not sent: it can't be written as HTTP.",
		Hint:    "Leave line breaks and other control characters out of headers, method and URL.",
	}
}

func refuseUpgrade() error {
	return &integration.Failure{
		Class: integration.ClassInvalid, Code: "egress_upgrade", Reason: "request",
		Message: "The request was not sent: it asks for another protocol, such as WebSocket, on its connection.",
		Hint:    "Calls are HTTP requests with one answer each, streamed where it is long. Open a WebSocket directly.",
		Err:     errors.New("CONNECT and Upgrade are not passed on"),
	}
}
