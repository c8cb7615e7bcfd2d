package integration_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/sallyport/sallyport/integration"
)

// R5.7: the provider's signature is never shown, and is where it was when the
// event is delivered raw.
func TestSignedHeaders(t *testing.T) {
	t.Parallel()
	e := integration.Event{Header: http.Header{
		"Content-Type": {"application/json"}, integration.SignedPrefix + "Stripe-Signature": {"t=1,v1=ab"}, integration.OriginHeader: {"reconciled"},
	}}
	if got, want := integration.ShownHeader(e.Header), (http.Header{"Content-Type": {"application/json"}, integration.OriginHeader: {"reconciled"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("shown: %v", got)
	}
	if got, want := e.ProvidersHeader(), (http.Header{"Content-Type": {"application/json"}, "Stripe-Signature": {"t=1,v1=ab"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("the provider's: %v", got)
	}
	if integration.ShownHeader(nil) != nil || len((&integration.Event{}).ProvidersHeader()) != 0 {
		t.Error("no header is no header")
	}
}
