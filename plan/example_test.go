package plan_test

import (
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// Every mistake of a file comes with its place and the way out.
func ExampleParse() {
	_, err := plan.Parse("integrations/stripe.yaml", []byte(`sallyport: 1
service: stripe
uses: stripe
need: Charge customers for monthly invoices.
environments:
  production: {secrets: {api_key: env:STRIPE_API_KEY}}
auth: {use: api_kee}
endpoints:
  get_customer:
    call: GET /v1/customers/{id}
    purpose: Show the payer.
    efect: read
    receive: customer
`), catalog.Load)
	fmt.Println(err)

	var list *plan.Errors
	fmt.Println(errors.As(err, &list), list.List[0].Rule)
	// Output:
	// stripe.yaml:7:13: auth.use: "api_kee" is not one of the allowed values; did you mean "api_key"?
	// stripe.yaml:12:5: endpoints.get_customer.efect: unknown key; did you mean "effect"?
	// stripe.yaml:13:14: endpoints.get_customer.receive: there is no mapping "customer"; the plan has none
	// true value
}

// A plan that stands on a profile of the catalog.
func ExampleLoad() {
	p, err := plan.Load("testdata/stripe.yaml", catalog.Load)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Provider.Name, p.Provider.API.Version)
	fmt.Println(p.ErrorPolicy("429").Words())
	name, vars, _ := p.EndpointFor("GET", "/v1/customers/cus_1")
	fmt.Println(name, vars["id"], p.Position("endpoints."+name).Line)
	// Output:
	// Stripe 2026-08-26.dahlia
	// 5 retries, then keep
	// get_customer cus_1 45
}

// Rows are what documents, findings and tests refer to.
func ExamplePlan_Rows() {
	p, err := plan.Load("testdata/stripe.yaml", catalog.Load)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range p.Rows() {
		if row.Kind == "limit" {
			fmt.Println(row.ID + ": " + row.Statement)
		}
	}
	// Output:
	// limit.live: at most 80 of the provider's 100 requests per 1s and account are used (80%)
	// limit.sandbox: at most 20 of the provider's 25 requests per 1s and account are used (80%)
	// limit.wait: a caller waits at most 5s for its turn
	// limit.queue: at most 1000 callers wait at once
}
