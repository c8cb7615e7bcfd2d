// Command embedded is a product with the gateway inside: it handles
// invoice.paid in a Go function and calls Stripe with Stripe's own SDK over
// the gateway's client. Run it with the sandbox beside it:
//
//	sallyport sandbox integrations/stripe.yaml --webhooks-to http://127.0.0.1:8080/api/webhooks/stripe
//	go run .
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"

	"github.com/stripe/stripe-go/v85"

	"github.com/sallyport/sallyport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:8080")
	if err == nil {
		err = run(ctx, listener, sallyport.Config{Plans: "integrations"})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listener net.Listener, config sallyport.Config) error {
	app, err := sallyport.New(ctx, config)
	if err != nil {
		return err
	}
	if err := app.On("stripe", "invoice.paid", paid); err != nil {
		return err
	}
	customer, err := register(ctx, app, "jo@example.com")
	if err != nil {
		return err
	}
	fmt.Println("created", customer)
	return app.Serve(ctx, listener)
}

// paid is called for every invoice.paid, with the fields the plan maps.
func paid(_ context.Context, e sallyport.Event) error {
	var invoice struct{ StripeInvoiceID, AmountPaid, Status string }
	if err := json.Unmarshal(e.Data, &invoice); err != nil {
		return err
	}
	fmt.Println("paid", invoice.StripeInvoiceID, invoice.AmountPaid, invoice.Status)
	return nil
}

// register creates a customer at Stripe. Key, time-outs, limits and retries
// come from the plan, so the SDK's own are switched off.
func register(ctx context.Context, app *sallyport.App, email string) (string, error) {
	client, err := app.Client("stripe", "acme")
	if err != nil {
		return "", err
	}
	api := stripe.NewClient("from-the-plan", stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		HTTPClient: client, MaxNetworkRetries: stripe.Int64(0),
	})))
	customer, err := api.V1Customers.Create(ctx, &stripe.CustomerCreateParams{Email: stripe.String(email)})
	if err != nil {
		return "", err
	}
	return customer.ID, nil
}
