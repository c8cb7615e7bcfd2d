package call_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// exampleService calls a provider that answers every request with a customer.
func exampleService() (*call.Service, error) {
	p, err := plan.Parse("stripe.yaml", []byte(stripePlan), catalog.Load)
	if err != nil {
		return nil, err
	}
	return call.New(call.Config{
		Plan: p, Environment: "development", Journal: &journal{},
		Transport: &provider{steps: []step{answer(200, `{"id":"cus_1","balance":1990,"currency":"usd"}`)}},
		Secret:    func() integration.Secret { return integration.NewSecret("sk_test_1") },
	})
}

// A named endpoint speaks in your own fields.
func ExampleService_Endpoint() {
	stripe, err := exampleService()
	if err != nil {
		panic(err)
	}
	out, err := stripe.Endpoint(context.Background(), "create_customer", call.Request{
		Tenant: "acme", Body: json.RawMessage(`{"email":"a@b.c"}`),
	})
	fmt.Println(out.Status, string(out.Body), err)
	// Output: 200 {"stripeCustomerId":"cus_1","balance":"19.90","currency":"usd"} <nil>
}

// Any HTTP client, the provider's SDK among them, goes through Transport.
func ExampleService_Transport() {
	stripe, err := exampleService()
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: stripe.Transport("acme", integration.EntryClient)}
	resp, err := client.Get("https://api.stripe.com/v1/customers/cus_1")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.StatusCode, resp.Header.Get(call.HeaderAttempts))
	// Output: 200 1
}

// Whatever a path variable holds, the request stays on its endpoint.
func FuzzPathVariable(f *testing.F) {
	for _, seed := range []string{"cus_1", "..", "a/../b", "%2e%2e", "?x", "#", "{id}", "\x00", "ü", ""} {
		f.Add(seed)
	}
	p := parse(f, stripePlan)
	p.Provider.Limits.List = nil
	f.Fuzz(func(t *testing.T, value string) {
		b := newBundle(t, p, "development", answer(200, `{}`))
		if _, err := b.Endpoint(t.Context(), "get_customer", call.Request{Path: map[string]string{"id": value}}); err != nil {
			if len(b.provider.asked) != 0 {
				t.Errorf("refused, and sent: %v", err)
			}
			return
		}
		asked := b.provider.asked[0].URL.RequestURI()
		rest, ok := strings.CutPrefix(asked, "/v1/customers/")
		plain, err := url.PathUnescape(rest)
		if !ok || err != nil || plain != value || strings.ContainsAny(rest, "/?#") || rest == "." || rest == ".." {
			t.Errorf("%q asks for %s", value, asked)
		}
	})
}
