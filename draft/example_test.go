package draft_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/openapi"
)

func ExampleWrite() {
	document, err := openapi.Read([]byte(`
openapi: 3.0.3
info: {title: Parcels, version: "1"}
servers: [{url: https://api.parcels.example}]
components:
  schemas:
    parcel:
      properties:
        id: {type: string}
        status: {type: string, enum: [packed, moving, there]}
paths:
  /parcels:
    get: {operationId: listParcels, summary: List parcels, responses: {"200": {description: ok}}}
    post:
      operationId: makeParcel
      summary: Make a parcel
      responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/parcel"}}}}}
  /parcels/{id}:
    get:
      operationId: getParcel
      summary: Get a parcel
      responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/parcel"}}}}}
`))
	if err != nil {
		panic(err)
	}
	p, report, err := draft.Write(draft.Input{
		Service: "parcels", Need: "Create a parcel for each order",
		Profile: &catalog.Profile{ID: "parcels", Name: "Parcels"}, Document: document,
	})
	if err != nil {
		panic(err)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Endpoints)) {
		fmt.Printf("%s: %s, since %s\n", name, p.Endpoints[name].Call, p.Endpoints[name].Why)
	}
	for _, c := range report.Candidates {
		if !c.Picked {
			fmt.Printf("not %s: %s\n", c.Call, c.Reason)
		}
	}
	// Output:
	// create_parcel: POST /parcels, since “parcel” matches the path; “create” asks for a create
	// get_parcel: GET /parcels/{id}, since reads back what POST /parcels writes
	// not GET /parcels: the need asks for a create here, this is a list
}
