package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
)

// ticketsDocument is an API unlike Stripe's: JSON, PATCH, lists without an
// envelope, numbers and UUIDs for ids, another shape of errors.
const ticketsDocument = `{
  "openapi": "3.0.3",
  "info": {"title": "Tickets", "version": "7"},
  "servers": [{"url": "https://tickets.example.com/api/v2"}],
  "paths": {
    "/tickets": {
      "get": {"operationId": "listTickets",
        "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}, {"name": "per_page", "in": "query", "schema": {"type": "integer"}}, {"name": "state", "in": "query", "schema": {"type": "string"}}],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/ticket"}}}}}}},
      "post": {"operationId": "createTicket",
        "requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["title"], "properties": {"title": {"type": "string", "maxLength": 20}, "priority": {"type": "integer"}, "labels": {"type": "array", "items": {"type": "string"}}, "urgent": {"type": "boolean"}}}}}},
        "responses": {"201": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ticket"}}}},
          "422": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/fault"}}}}}}
    },
    "/tickets/{ticket_number}": {
      "get": {"operationId": "getTicket", "parameters": [{"name": "ticket_number", "in": "path", "required": true, "schema": {"type": "integer"}}],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ticket"}}}}}},
      "patch": {"operationId": "updateTicket", "parameters": [{"name": "ticket_number", "in": "path", "required": true, "schema": {"type": "integer"}}],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"title": {"type": "string"}, "state": {"type": "string", "enum": ["open", "closed"]}}}}}},
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ticket"}}}}}},
      "delete": {"operationId": "deleteTicket", "parameters": [{"name": "ticket_number", "in": "path", "required": true, "schema": {"type": "integer"}}], "responses": {"204": {"description": "gone"}}}
    },
    "/tickets/{ticket_number}/close": {
      "post": {"operationId": "closeTicket", "parameters": [{"name": "ticket_number", "in": "path", "required": true, "schema": {"type": "integer"}}],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ticket"}}}}}}
    },
    "/ping": {"post": {"operationId": "ping", "responses": {"202": {"description": "", "content": {"application/json": {"schema": {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}}}}}}}
  },
  "components": {"schemas": {
    "ticket": {"type": "object", "required": ["id", "number", "title", "state", "created_at"], "properties": {
      "id": {"type": "integer"}, "number": {"type": "integer"}, "title": {"type": "string"}, "priority": {"type": "integer", "nullable": true},
      "labels": {"type": "array", "items": {"type": "string"}}, "urgent": {"type": "boolean"},
      "state": {"type": "string", "enum": ["open", "closed"]}, "created_at": {"type": "string", "format": "date-time"}, "parent": {"$ref": "#/components/schemas/ticket"}}},
    "fault": {"type": "object", "required": ["message", "kind"], "properties": {"message": {"type": "string"}, "kind": {"type": "string", "enum": ["validation_failed", "not_found", "unauthorized", "server_error"]}, "field": {"type": "string"}}}
  }}
}`

func ticketsConfig(t *testing.T) sandbox.Config {
	t.Helper()
	doc, err := openapi.Read([]byte(ticketsDocument))
	if err != nil {
		t.Fatal(err)
	}
	profile := &catalog.Profile{
		ID: "tickets", API: catalog.API{Request: catalog.EncodingJSON},
		Auth:       []catalog.Auth{{Kind: "api_key", In: "query", Name: "token"}},
		Errors:     catalog.Errors{CodePath: "kind", MessagePath: "message"},
		Pagination: catalog.Pagination{Style: "link_header", MaxPage: 50},
	}
	return sandbox.Config{
		Document: doc,
		Plan: &plan.Plan{
			Service: "tickets", Provider: profile, Auth: plan.Auth{Use: "api_key"},
			Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{"ticket.closed": {}}},
		},
	}
}

// The rules are the document's, not Stripe's.
func TestAnotherProvider(t *testing.T) {
	t.Parallel()
	b := start(t, ticketsConfig(t))
	do := func(method, path, body string) reply {
		return b.do(t, method, "/api/v2"+path+"?token=secret-canary", body, "Content-Type", "application/json", "Authorization", "")
	}
	created := do("POST", "/tickets", `{"title": "Fix it", "priority": 2, "labels": ["a"], "urgent": true, "unheard": "of"}`)
	if created.status != 201 || created.at("title") != "Fix it" || created.at("state") != "open" || created.at("urgent") != true || fmt.Sprint(created.at("priority")) != "2" || created.at("unheard") != nil {
		t.Fatalf("%d %s", created.status, created.body)
	}
	path := "/tickets/" + fmt.Sprint(created.at("number"))
	if r := do("GET", path, ""); r.status != 200 || r.body != created.body {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := do("PATCH", path, `{"title": "Fixed"}`); r.status != 200 || r.at("title") != "Fixed" || r.at("urgent") != true {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := do("POST", path+"/close", ""); r.status != 200 || r.at("state") != "closed" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := do("POST", "/ping", ""); r.status != 202 || r.at("ok") != false {
		t.Errorf("%d %s", r.status, r.body)
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		kind, field        string
	}{
		"missing":     {"POST", "/tickets", `{}`, 400, "validation_failed", "title"},
		"wrong kind":  {"POST", "/tickets", `{"title": 7}`, 400, "validation_failed", "title"},
		"text number": {"POST", "/tickets", `{"title": "x", "priority": "2"}`, 400, "validation_failed", "priority"},
		"too long":    {"POST", "/tickets", `{"title": "` + strings.Repeat("x", 21) + `"}`, 400, "validation_failed", "title"},
		"no object":   {"POST", "/tickets", `[1]`, 400, "validation_failed", ""},
		"enum":        {"PATCH", path, `{"state": "lost"}`, 400, "validation_failed", "state"},
		"absent":      {"GET", "/tickets/1", "", 404, "not_found", "ticket_number"},
	} {
		r := do(c.method, c.path, c.body)
		field, _ := r.at("field").(string)
		if name == "absent" { // the variable is not a field of the body, and is named all the same
			field = c.field
		}
		if r.status != c.status || r.at("kind") != c.kind || field != c.field || r.at("message") == nil {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := do("DELETE", path, ""); r.status != 204 || r.body != "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := do("GET", path, ""); r.status != 404 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := b.do(t, "GET", "/tickets", "", "Authorization", ""); r.status != 401 || r.at("kind") != "unauthorized" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if log := fmt.Sprint(b.Requests()); strings.Contains(log, "secret-canary") {
		t.Error("the log holds the token")
	}
}

func TestLinkHeaderPages(t *testing.T) {
	t.Parallel()
	b := start(t, ticketsConfig(t))
	for i := range 5 {
		b.do(t, "POST", "/tickets?token=t", fmt.Sprintf(`{"title": "t%d"}`, i), "Content-Type", "application/json")
	}
	var titles []string
	next := "/tickets?token=t&per_page=2"
	for pages := 0; next != "" && pages < 5; pages++ {
		r := b.do(t, "GET", next, "")
		for part := range strings.SplitSeq(r.body, `"title":"`) {
			if title, _, ok := strings.Cut(part, `"`); ok && strings.HasPrefix(title, "t") {
				titles = append(titles, title)
			}
		}
		link, _, _ := strings.Cut(r.header.Get("Link"), ">")
		next = strings.TrimPrefix(strings.TrimPrefix(link, "<"), b.url)
	}
	if got := strings.Join(titles, " "); got != "t4 t3 t2 t1 t0" {
		t.Errorf("got %s", got)
	}
}

// Slack's way: an error in a success answer.
func TestErrorInSuccess(t *testing.T) {
	t.Parallel()
	cfg := ticketsConfig(t)
	cfg.Plan.Provider.Errors = catalog.Errors{CodePath: "error", InSuccess: &catalog.BodySignal{Path: "ok", Values: []string{"false"}}}
	b := start(t, cfg)
	if r := b.do(t, "GET", "/tickets", ""); r.status != 200 || r.at("ok") != false || r.at("error") == nil {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// What is kept is bounded.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := start(t, ticketsConfig(t))
	for range 1100 {
		b.do(t, "POST", "/ping?token=t", "")
	}
	log := b.Requests()
	if len(log) != 1000 || log[0].Number != 101 || log[999].Number != 1100 {
		t.Errorf("%d entries, %d to %d", len(log), log[0].Number, log[len(log)-1].Number)
	}
}

// Whatever comes, the stand-in answers.
func FuzzServe(f *testing.F) {
	for _, seed := range [][3]string{
		{"POST", "/v1/customers", "email=a&metadata[a]=1&address[city]=x"},
		{"POST", "/v1/customers/cus_1", "name=x"},
		{"GET", "/v1/customers?limit=3&starting_after=x", ""},
		{"POST", "/v1/subscriptions", "customer=c&items[0][price]=p&items[3][price]=q"},
		{"DELETE", "/v1/customers/cus_1", ""},
		{"POST", "/v1/invoices/in_1/pay", "expand[]=x"},
		{"PUT", "/_sandbox/faults", "- {endpoint: \"*\", status: 500}"},
		{"POST", "/_sandbox/events", "{}"},
		{"GET", "//", ""},
		{"POST", "/v1/prices", "tiers[][a]=1"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	t := &testing.T{}
	s, err := sandbox.New(stripeConfig(t))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		req := &http.Request{Method: method, URL: u, Header: http.Header{"Authorization": {"Bearer " + apiKey}, "Idempotency-Key": {body}}, Body: io.NopCloser(strings.NewReader(body)), Host: "sandbox.test"}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req.WithContext(t.Context()))
		if w.Header().Get("Content-Type") == "application/json" && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	})
}
