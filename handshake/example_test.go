package handshake_test

import (
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/handshake"
	"github.com/sallyport/sallyport/integration"
)

// A challenge that only the holder of the secret can answer.
func Example() {
	set, err := handshake.Compile([]catalog.Handshake{{
		Name: "crc", Method: catalog.OneOrMore{"GET"}, When: map[string]catalog.OneOrMore{"query:crc_token": {"*"}},
		Compute: &catalog.Computation{Algorithm: "hmac-sha256", Content: "query:crc_token", Encoding: "base64", KeyEncoding: "utf8"},
		Answer:  catalog.HandshakeAnswer{Type: "application/json", Body: `{"response_token":"sha256={computed}"}`},
	}})
	if err != nil {
		panic(err)
	}
	r := &extract.Request{Method: http.MethodGet, URL: "https://example.com/x?crc_token=challenge_string", Header: http.Header{}}
	answer, err := set.Match(r).Answer(r, []integration.Secret{integration.NewSecret("consumer-secret")})
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.Status, string(answer.Body))
	// Output: 200 {"response_token":"sha256=S/mG8E9n5SjoGuCqHguvP8K8uuu5ogCPF0dOpIdyZlk="}
}
