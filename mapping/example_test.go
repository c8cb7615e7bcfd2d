package mapping_test

import (
	"fmt"

	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/plan"
)

// both shows what rows make of a provider's document, and of that again.
func both(external string, rows ...plan.MappingRow) {
	m, err := mapping.Compile(map[string][]plan.MappingRow{"example": rows}, "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	internal, err := m.In([]byte(external))
	if err != nil {
		fmt.Println(err)
		return
	}
	back, err := m.Out(internal)
	fmt.Println(string(internal))
	fmt.Println(string(back), err)
}

func ExampleCompile() {
	m, err := mapping.Compile(map[string][]plan.MappingRow{
		"invoice": {
			{External: "id", Type: "string", Internal: "stripeInvoiceId", As: "string"},
			{External: "amount_due", Type: "integer", Internal: "amountDue", As: "decimal", Transform: "money(currency)"},
			{External: "lines.data[*]", Internal: "lines[*]", As: "line"},
		},
		"line": {
			{External: "amount", Type: "integer", Internal: "amount", As: "decimal", Transform: "money(currency)"},
		},
	}, "invoice")
	if err != nil {
		fmt.Println(err)
		return
	}
	internal, err := m.In([]byte(`{"id":"in_1","amount_due":1990,"currency":"usd","lines":{"data":[{"amount":1990,"currency":"usd"}]}}`))
	fmt.Println(string(internal), err)
	// Output: {"stripeInvoiceId":"in_1","amountDue":"19.90","lines":[{"amount":"19.90"}]} <nil>
}

func ExampleMapping_In_money() {
	amount := plan.MappingRow{External: "amount", Type: "integer", Internal: "amount", As: "decimal", Transform: "money(currency)"}
	currency := plan.MappingRow{External: "currency", Type: "string", Internal: "currency", As: "string"}
	both(`{"amount":1990,"currency":"usd"}`, amount, currency)
	both(`{"amount":1990,"currency":"jpy"}`, amount, currency)
	both(`{"amount":-5,"currency":"kwd"}`, amount, currency)
	// Output:
	// {"amount":"19.90","currency":"usd"}
	// {"amount":1990,"currency":"usd"} <nil>
	// {"amount":"1990","currency":"jpy"}
	// {"amount":1990,"currency":"jpy"} <nil>
	// {"amount":"-0.005","currency":"kwd"}
	// {"amount":-5,"currency":"kwd"} <nil>
}

// A provider's own exponent for a currency is a fact of the row.
func ExampleMapping_In_moneyOwnExponent() {
	both(
		`{"amount":50000,"currency":"isk"}`,
		plan.MappingRow{External: "amount", Type: "integer", Internal: "amount", As: "decimal", Transform: "money(currency,ISK=2)"},
		plan.MappingRow{External: "currency", Type: "string", Internal: "currency", As: "string"},
	)
	// Output:
	// {"amount":"500.00","currency":"isk"}
	// {"amount":50000,"currency":"isk"} <nil>
}

// Money is never rounded.
func ExampleMapping_Out_money() {
	m, err := mapping.Compile(map[string][]plan.MappingRow{"charge": {
		{External: "amount", Type: "integer", Internal: "amount", As: "decimal", Transform: "money(currency)"},
		{External: "currency", Type: "string", Internal: "currency", As: "string"},
	}}, "charge")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = m.Out([]byte(`{"amount":"19.905","currency":"USD"}`))
	fmt.Println(err)
	// Output: mapping.charge.amount at /amount: "19.905" does not fit a currency with 2 decimal places; round it before it gets here; a mapping never rounds
}

func ExampleMapping_In_datetime() {
	both(
		`{"created":1760000000}`,
		plan.MappingRow{External: "created", Type: "unix", Internal: "createdAt", As: "datetime"},
	)
	// Output:
	// {"createdAt":"2025-10-09T08:53:20Z"}
	// {"created":1760000000} <nil>
}

func ExampleMapping_In_enum() {
	both(
		`{"status":"uncollectible"}`,
		plan.MappingRow{External: "status", Type: "string", Internal: "status", As: "enum", Values: map[string]string{"paid": "PAID", "uncollectible": "WRITTEN_OFF"}},
	)
	// Output:
	// {"status":"WRITTEN_OFF"}
	// {"status":"uncollectible"} <nil>
}

func ExampleMapping_In_uuid() {
	both(
		`{"metadata":{"tenant_id":"123E4567-E89B-12D3-A456-426614174000"}}`,
		plan.MappingRow{External: "metadata.tenant_id", Type: "string", Internal: "tenantId", As: "uuid"},
	)
	// Output:
	// {"tenantId":"123e4567-e89b-12d3-a456-426614174000"}
	// {"metadata":{"tenant_id":"123e4567-e89b-12d3-a456-426614174000"}} <nil>
}

func ExampleMapping_In_decimal() {
	both(
		`{"rate":9007199254740993.10,"quantity":"1.5"}`,
		plan.MappingRow{External: "rate", Type: "number", Internal: "rate", As: "decimal"},
		plan.MappingRow{External: "quantity", Type: "string", Internal: "quantity", As: "decimal"},
	)
	// Output:
	// {"rate":"9007199254740993.10","quantity":"1.5"}
	// {"rate":9007199254740993.10,"quantity":"1.5"} <nil>
}

func ExampleMapping_In_json() {
	both(
		`{"metadata":{"color":"red"},"tags":["a","b"]}`,
		plan.MappingRow{External: "metadata", Type: "object", Internal: "extra", As: "json"},
		plan.MappingRow{External: "tags[*]", Internal: "labels[*]", As: "string"},
	)
	// Output:
	// {"extra":{"color":"red"},"labels":["a","b"]}
	// {"metadata":{"color":"red"},"tags":["a","b"]} <nil>
}

func ExampleMapping_In_boolean() {
	both(
		`{"livemode":true,"archived":"false","deleted":1}`,
		plan.MappingRow{External: "livemode", Type: "boolean", Internal: "live", As: "boolean"},
		plan.MappingRow{External: "archived", Type: "string", Internal: "archived", As: "boolean"},
		plan.MappingRow{External: "deleted", Type: "integer", Internal: "deleted", As: "boolean"},
	)
	// Output:
	// {"live":true,"archived":false,"deleted":true}
	// {"livemode":true,"archived":"false","deleted":1} <nil>
}

func ExampleMapping_In_integer() {
	both(
		`{"count":18446744073709551616,"page":"7"}`,
		plan.MappingRow{External: "count", Type: "integer", Internal: "count", As: "integer"},
		plan.MappingRow{External: "page", Type: "string", Internal: "page", As: "integer"},
	)
	// Output:
	// {"count":18446744073709551616,"page":7}
	// {"count":18446744073709551616,"page":"7"} <nil>
}
