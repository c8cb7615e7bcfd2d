// Package peer drives the gateway with software that no one here wrote: the
// providers' own SDKs and Stripe's own mock server. SDKs have their retries
// switched off, as ours know the plan.
package peer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
)

const peerPlan = `sallyport: 1
service: stripe
uses: stripe
need: Talk to the real thing's mock.
profile: {version: 2026-08-26.dahlia}
environments:
  development:
    base_url: %s
    secrets: {api_key: env:KEY}
auth: {use: api_key}
endpoints:
  create_customer:
    call: POST /v1/customers
    purpose: Make one.
    effect: create
    idempotency: {header: Idempotency-Key, keep: 24h}
    send: customer
    receive: customer
  get_invoice: {call: "GET /v1/invoices/{invoice}", purpose: Read one., effect: read}
mappings:
  customer:
    - {external: id, type: string, internal: customerId, as: string, direction: in}
    - {external: email, type: string, internal: email, as: string, class: pii}
    - {external: created, type: unix, internal: createdAt, as: datetime, direction: in}
`

// R9.3, R4: stripe-go, unchanged, through the proxy and through our client,
// against stripe-mock, which checks requests against Stripe's own document.
func TestStripeSDKAgainstStripeMock(t *testing.T) {
	t.Parallel()
	g := start(t, "stripe", fmt.Sprintf(peerPlan, stripeMock(t)))

	t.Run("proxy", func(t *testing.T) {
		t.Parallel()
		sdk := stripe.NewClient(g.key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
			URL: stripe.String(g.host("stripe")), HTTPClient: g.client(t), MaxNetworkRetries: stripe.Int64(0),
		})))
		exercise(t, sdk)
	})
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		client, err := g.app.Client("stripe", "acme")
		if err != nil {
			t.Fatal(err)
		}
		sdk := stripe.NewClient("from-the-plan", stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
			HTTPClient: client, MaxNetworkRetries: stripe.Int64(0),
		})))
		exercise(t, sdk)
	})
	t.Run("named endpoint", func(t *testing.T) {
		t.Parallel()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/api/v1/integrations/stripe/endpoints/create_customer",
			strings.NewReader(`{"tenant":"acme","body":{"email":"jo@example.com"}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+g.key)
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(answer.Body); err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(`^\{"customerId":"cus_[A-Za-z0-9]+","email":"[^"]*","createdAt":"20[0-9TZ:-]+"\}$`)
		if answer.StatusCode != http.StatusOK || !want.Match(b.Bytes()) {
			t.Errorf("%d %s", answer.StatusCode, b.String())
		}
		if answer.Header.Get("Sallyport-Attempts") != "1" {
			t.Errorf("attempts %q", answer.Header.Get("Sallyport-Attempts"))
		}
	})
}

// exercise makes calls as an application would, good and bad.
func exercise(t *testing.T, sdk *stripe.Client) {
	t.Helper()
	ctx := t.Context()
	customer, err := sdk.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Email: stripe.String("jo@example.com")})
	if err != nil || !strings.HasPrefix(customer.ID, "cus_") {
		t.Fatalf("create: %+v, %v", customer, err)
	}
	if _, err := sdk.V1Customers.Retrieve(ctx, customer.ID, nil); err != nil {
		t.Errorf("retrieve: %v", err)
	}
	if _, err := sdk.V1Invoices.Retrieve(ctx, "in_123", nil); err != nil {
		t.Errorf("invoice: %v", err)
	}
	n := 0
	for _, err := range sdk.V1Customers.List(ctx, &stripe.CustomerListParams{}).All(ctx) {
		if err != nil {
			t.Errorf("list: %v", err)
		}
		if n++; n == 3 {
			break
		}
	}
	// A request that Stripe's document forbids comes back as Stripe's own error.
	_, err = sdk.V1Refunds.Create(ctx, &stripe.RefundCreateParams{Params: stripe.Params{Extra: &stripe.ExtraValues{Values: map[string][]string{"amount": {"not a number"}}}}})
	var said *stripe.Error
	if !errors.As(err, &said) || said.HTTPStatusCode != http.StatusBadRequest {
		t.Errorf("a bad request: %v, want the provider's own 400", err)
	}
}

// stripeMock builds stripe-mock from its module and runs it on a free port.
func stripeMock(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "stripe-mock")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/stripe/stripe-mock").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	// Without an address of its own for HTTPS two of them would meet at one port.
	cmd := exec.CommandContext(ctx, binary, "-http-addr", address, "-https-addr", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Listening for HTTP") {
			go func() {
				for lines.Scan() { // so that it never waits for a reader
				}
			}()
			answers(t, address)
			return "http://" + address
		}
	}
	t.Fatal("stripe-mock did not start")
	return ""
}

// answers waits until a server that says it listens does.
func answers(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %v", address, err)
		case <-ticker.C:
		}
	}
}
