package deliver_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sallyport/sallyport/deliver"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// A Go handler takes an event in place of a destination, its fields mapped.
func ExampleDeliverer_On() {
	p := &plan.Plan{
		Service: "stripe",
		Mappings: map[string][]plan.MappingRow{"invoice": {
			{External: "amount_due", Type: "integer", Internal: "amountDue", As: "decimal", Transform: "money(currency)"},
		}},
		Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{"invoice.paid": {From: "data.object", Map: "invoice"}}},
	}
	d, err := deliver.New(deliver.Config{
		Services: []deliver.Service{{Plan: p}}, Dice: func() float64 { return 0 }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	err = d.On("stripe", "invoice.paid", func(_ context.Context, e deliver.Event) error {
		fmt.Println(e.Type, string(e.Data))
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	out := d.Deliver(context.Background(), integration.Event{
		ID: "1", Service: "stripe", Type: "invoice.paid", Attempts: 1,
		Payload: []byte(`{"data":{"object":{"amount_due":1990,"currency":"eur"}}}`),
	})
	fmt.Println(out.Status)
	// Output:
	// invoice.paid {"amountDue":"19.90"}
	// processed
}
