package draft_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

const shop = `
openapi: 3.0.3
info: {title: Shop, version: "1"}
servers: [{url: https://api.shop.example}]
components:
  schemas:
    order:
      properties:
        id: {type: string}
        reference: {type: string}
        version: {type: integer}
        created_at: {type: string, format: date-time}
    rate:
      properties: {id: {type: string}, amount: {type: integer}}
paths:
  /orders:
    get:
      operationId: listOrders
      summary: List orders
      parameters: [{name: reference, in: query, schema: {type: string}}]
      responses: {"200": {description: ok, content: {application/json: {schema: {properties: {has_more: {type: boolean}, data: {type: array, items: {$ref: "#/components/schemas/order"}}}}}}}}
    post:
      operationId: createOrder
      summary: Create an order
      requestBody: {content: {application/json: {schema: {properties: {reference: {type: string}}}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/order"}}}}}
  /orders/{id}:
    get:
      operationId: getOrder
      summary: Get an order
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/order"}}}}}
    patch:
      operationId: updateOrder
      summary: Update an order
      requestBody: {content: {application/json: {schema: {properties: {reference: {type: string}, version: {type: integer}}}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/order"}}}}}
  /rates:
    get:
      operationId: listRates
      summary: List exchange rates
      responses: {"200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/rate"}}}}}}
`

func shopInput(t *testing.T, text string, idempotency catalog.Idempotency) draft.Input {
	t.Helper()
	d, err := openapi.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return draft.Input{
		Service: "shop", Need: "Create an order, update an order and show the exchange rates", Document: d,
		Endpoints: []string{"createOrder", "updateOrder", "getOrder", "listRates"},
		Profile: &catalog.Profile{
			ID: "shop", Name: "Shop", API: catalog.API{BaseURL: "https://api.shop.example", Request: catalog.EncodingJSON},
			Auth: []catalog.Auth{{Kind: "api_key"}}, Pagination: catalog.Pagination{More: "has_more"}, Idempotency: idempotency,
		},
	}
}

// R4.7, R4.5, R4.11: what the document shows is used to settle a lost answer, a
// late update and an outage.
func TestSettling(t *testing.T) {
	t.Parallel()
	in := shopInput(t, shop, catalog.Idempotency{})
	p, _ := write(t, in)
	u := p.Endpoints["create_order"].OnUnknown
	if u == nil || u.Find != "list_orders" || u.Items != "data" || u.Match["reference"] != "body.reference" || u.Query["reference"] != "body.reference" || u.Created != "created_at" || u.More != "has_more" {
		t.Errorf("on_unknown %+v", u)
	}
	if why := p.Endpoints["list_orders"].Why; !strings.Contains(why, "finds what POST /orders made") {
		t.Errorf("list_orders: %s", why)
	}
	c := p.Endpoints["update_order"].OnConflict
	if c == nil || c.Read != "get_order" || c.Version == nil || c.Version.From != "body.version" {
		t.Errorf("on_conflict %+v", c)
	}
	for name, want := range map[string]string{"list_rates": "cached", "get_order": "fail", "list_orders": "fail", "create_order": "queue"} {
		if got := p.Endpoints[name].Fallback; got != want {
			t.Errorf("%s falls back to %s, want %s", name, got, want)
		}
	}
	if slices.ContainsFunc(p.OpenQuestions, func(q plan.Question) bool { return q.About == "endpoint.create_order.idempotency" }) {
		t.Error("it is asked how an order is found again, though the plan says it")
	}
	load := func(string) (*catalog.Profile, error) { return in.Profile, nil }
	if _, err := plan.Parse("shop.yaml", marshal(t, p), load); err != nil {
		t.Error(err)
	}
}

// With a key nothing is looked for; without a field that tells orders apart
// nobody guesses; an If-Match header is used where there is one.
func TestSettlingOnlyWhereShown(t *testing.T) {
	t.Parallel()
	p, _ := write(t, shopInput(t, shop, catalog.Idempotency{Header: "Idempotency-Key"}))
	if e := p.Endpoints["create_order"]; e.OnUnknown != nil || e.Idempotency == nil || p.Endpoints["list_orders"] != nil {
		t.Errorf("with a key: %+v", e)
	}
	p, _ = write(t, shopInput(t, strings.ReplaceAll(shop, "reference", "colour"), catalog.Idempotency{}))
	if e := p.Endpoints["create_order"]; e.OnUnknown != nil || !slices.ContainsFunc(p.OpenQuestions, func(q plan.Question) bool { return q.About == "endpoint.create_order.idempotency" }) {
		t.Errorf("by colour: %+v", e.OnUnknown)
	}
	match := strings.Replace(shop, "summary: Update an order\n", "summary: Update an order\n      parameters: [{name: If-Match, in: header, schema: {type: string}}]\n", 1)
	p, _ = write(t, shopInput(t, match, catalog.Idempotency{}))
	if c := p.Endpoints["update_order"].OnConflict; c == nil || c.Version.From != "header.ETag" || c.Version.Target() != "header.If-Match" {
		t.Errorf("by header: %+v", c)
	}
	p, _ = write(t, shopInput(t, strings.ReplaceAll(shop, "version: {type: integer}", "size: {type: integer}"), catalog.Idempotency{}))
	if c := p.Endpoints["update_order"].OnConflict; c != nil {
		t.Errorf("nothing is compared: %+v", c)
	}
	in := shopInput(t, shop, catalog.Idempotency{})
	in.Answers.Endpoints = []string{"POST /orders", "GET /orders/{id}"}
	in.Endpoints = nil
	p, _ = write(t, in)
	if len(p.Endpoints) != 2 || p.Endpoints["create_order"].OnUnknown != nil {
		t.Errorf("what was not ticked came in: %v", calls(p))
	}
}
