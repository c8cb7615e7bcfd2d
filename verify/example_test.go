package verify_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// A body that middleware wrote anew no longer verifies; the explanation says so.
func ExampleScheme_Explain() {
	scheme, err := verify.Compile(catalog.Verification{
		Scheme: "hmac", Header: catalog.OneOrMore{"X-Signature"}, Algorithm: "hmac-sha256", Encoding: "hex", SignedContent: "{body}", KeyEncoding: "utf8",
	})
	if err != nil {
		panic(err)
	}
	secret, now := integration.NewSecret("s3cret"), time.Unix(1_700_000_000, 0)
	r := &verify.Request{Method: http.MethodPost, URL: "https://example.com/hook", Header: http.Header{}, Body: []byte("{\n  \"id\": 1\n}")}
	if err := scheme.Sign(r, secret, now); err != nil {
		panic(err)
	}
	r.SetBody([]byte(`{"id":1}`))
	explanation := scheme.Explain(context.Background(), r, verify.Given{Secrets: []integration.Secret{secret}, Now: now})
	fmt.Println(explanation.Valid)
	fmt.Println(explanation.Reasons[0])
	// Output:
	// false
	// The body was parsed and written anew (the provider indents it by two spaces); hand over the raw bytes, before any JSON middleware.
}
