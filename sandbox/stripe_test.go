package sandbox_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v85"

	"github.com/sallyport/sallyport/sandbox"
)

// R6.1: the official client can't tell the difference.
func TestStripeClientCustomers(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	client := b.stripe(t, apiKey)
	ctx := t.Context()

	created, err := client.V1Customers.Create(ctx, &stripe.CustomerCreateParams{
		Email: stripe.String("jo@example.com"), Balance: stripe.Int64(-500), Metadata: map[string]string{"tenant_id": "7"},
		Address: &stripe.AddressParams{City: stripe.String("Berlin")}, PreferredLocales: []*string{stripe.String("de")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(created.ID, "cus_") || len(created.ID) != 18 || created.ID == "cus_QXg1o8vcGmoR32" {
		t.Errorf("id %q", created.ID)
	}
	if created.Email != "jo@example.com" || created.Balance != -500 || created.Metadata["tenant_id"] != "7" || created.Address.City != "Berlin" || created.PreferredLocales[0] != "de" {
		t.Errorf("fields were not taken over: %+v", created)
	}
	if created.LastResponse.RequestID == "" || created.Created < 1_700_000_000 {
		t.Errorf("request id %q, created %d", created.LastResponse.RequestID, created.Created)
	}

	updated, err := client.V1Customers.Update(ctx, created.ID, &stripe.CustomerUpdateParams{
		Name: stripe.String("Jo"), Metadata: map[string]string{"plan": "pro", "tenant_id": ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	if updated.Name != "Jo" || updated.Email != "jo@example.com" || updated.Metadata["plan"] != "pro" || len(updated.Metadata) != 1 {
		t.Errorf("updated to %+v", updated)
	}
	read, err := client.V1Customers.Retrieve(ctx, created.ID, nil)
	if err != nil || read.Name != "Jo" || read.ID != created.ID {
		t.Fatalf("%+v, %v", read, err)
	}

	deleted, err := client.V1Customers.Delete(ctx, created.ID, nil)
	if err != nil || !deleted.Deleted || deleted.ID != created.ID {
		t.Fatalf("%+v, %v", deleted, err)
	}
	left, err := client.V1Customers.Retrieve(ctx, created.ID, nil)
	if err != nil || !left.Deleted {
		t.Fatalf("a removed customer reads as %+v, %v", left, err)
	}
	if _, err = client.V1Customers.Update(ctx, created.ID, &stripe.CustomerUpdateParams{Name: stripe.String("x")}); stripeError(t, err).HTTPStatusCode != 404 {
		t.Errorf("a removed customer can be updated: %v", err)
	}
}

func stripeError(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var e *stripe.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *stripe.Error", err, err)
	}
	return e
}

func TestStripeClientListPages(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	client := b.stripe(t, apiKey)
	var want []string
	for i := range 7 {
		c, err := client.V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{Email: stripe.String(fmt.Sprintf("c%d@example.com", i%2))})
		if err != nil {
			t.Fatal(err)
		}
		want = append([]string{c.ID}, want...) // newest first
	}
	params := &stripe.CustomerListParams{}
	params.Limit = stripe.Int64(3)
	var got []string
	for c, err := range client.V1Customers.List(t.Context(), params).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(b.Requests()); n != 7+3 {
		t.Errorf("%d requests; want three pages", n-7)
	}
	r := b.do(t, "GET", "/v1/customers?email=c0%40example.com&limit=100", "")
	if list, _ := r.at("data").([]any); len(list) != 4 || r.at("has_more") != false || r.at("object") != "list" || r.at("url") != "/v1/customers" {
		t.Errorf("filtered: %s", r.body)
	}
	r = b.do(t, "GET", "/v1/customers?limit=2&ending_before="+want[4], "")
	if list, _ := r.at("data").([]any); len(list) != 2 || list[0].(map[string]any)["id"] != want[2] || r.at("has_more") != true {
		t.Errorf("backwards: %s", r.body)
	}
	for _, bad := range []string{"limit=0", "limit=101", "limit=x", "starting_after=cus_nobody"} {
		if r := b.do(t, "GET", "/v1/customers?"+bad, ""); r.status != 400 {
			t.Errorf("%s: %d %s", bad, r.status, r.body)
		}
	}
}

func TestStripeClientInvoice(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	client := b.stripe(t, apiKey)
	ctx := t.Context()
	customer, err := client.V1Customers.Create(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	invoice, err := client.V1Invoices.Create(ctx, &stripe.InvoiceCreateParams{Customer: stripe.String(customer.ID), DaysUntilDue: stripe.Int64(30), CollectionMethod: stripe.String("send_invoice")})
	if err != nil {
		t.Fatal(err)
	}
	if invoice.Status != stripe.InvoiceStatusDraft || invoice.Customer.ID != customer.ID || invoice.CollectionMethod != "send_invoice" {
		t.Fatalf("created %+v", invoice)
	}
	if invoice, err = client.V1Invoices.FinalizeInvoice(ctx, invoice.ID, nil); err != nil || invoice.Status != stripe.InvoiceStatusOpen {
		t.Fatalf("finalize: %v, %v", invoice.Status, err)
	}
	if invoice, err = client.V1Invoices.SendInvoice(ctx, invoice.ID, nil); err != nil || invoice.Status != stripe.InvoiceStatusOpen {
		t.Fatalf("send: %v, %v", invoice.Status, err)
	}
	if invoice, err = client.V1Invoices.Pay(ctx, invoice.ID, nil); err != nil || invoice.Status != stripe.InvoiceStatusPaid {
		t.Fatalf("pay: %v, %v", invoice.Status, err)
	}
	_, err = client.V1Invoices.Pay(ctx, invoice.ID, nil)
	if e := stripeError(t, err); e.HTTPStatusCode != 400 || e.Type != stripe.ErrorTypeInvalidRequest || !strings.Contains(e.Msg, "already paid") {
		t.Errorf("paying twice: %+v", e)
	}
	other, err := client.V1Invoices.Create(ctx, &stripe.InvoiceCreateParams{Customer: stripe.String(customer.ID)})
	if err != nil {
		t.Fatal(err)
	}
	if other, err = client.V1Invoices.MarkUncollectible(ctx, other.ID, nil); err != nil || other.Status != stripe.InvoiceStatusUncollectible {
		t.Fatalf("mark uncollectible: %v, %v", other.Status, err)
	}
	if other, err = client.V1Invoices.VoidInvoice(ctx, other.ID, nil); err != nil || other.Status != stripe.InvoiceStatusVoid {
		t.Fatalf("void: %v, %v", other.Status, err)
	}
	r := b.do(t, "GET", "/v1/invoices?status=paid&customer="+customer.ID, "")
	if list, _ := r.at("data").([]any); len(list) != 1 {
		t.Errorf("paid invoices: %s", r.body)
	}
	var types []string
	for e, err := range client.V1Events.List(ctx, &stripe.EventListParams{}).All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, string(e.Type))
	}
	want := "[invoice.voided invoice.marked_uncollectible invoice.created invoice.paid invoice.sent invoice.finalized invoice.created customer.created]"
	if fmt.Sprint(types) != want {
		t.Errorf("events %v\nwant   %s", types, want)
	}
}

// R4.9: what the provider would refuse is refused in its own words.
func TestStripeErrors(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	client := b.stripe(t, apiKey)
	ctx := t.Context()

	_, err := client.V1Customers.Retrieve(ctx, "cus_nobody", nil)
	if e := stripeError(t, err); e.HTTPStatusCode != 404 || e.Code != stripe.ErrorCodeResourceMissing || e.Type != stripe.ErrorTypeInvalidRequest || e.Msg != "No such customer: 'cus_nobody'" || e.RequestID == "" {
		t.Errorf("absent: %+v", e)
	}
	_, err = b.stripe(t, "sk_test_wrong").V1Customers.Create(ctx, nil)
	if e := stripeError(t, err); e.HTTPStatusCode != 401 || e.Type != stripe.ErrorTypeInvalidRequest || strings.Contains(e.Msg, "sk_test_wrong") {
		t.Errorf("wrong key: %+v", e)
	}
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code, param        string
	}{
		"missing":           {"POST", "/v1/payment_intents", "currency=usd", 400, "parameter_missing", "amount"},
		"nothing at all":    {"POST", "/v1/payment_intents", "", 400, "parameter_missing", "amount"},
		"missing inside":    {"POST", "/v1/prices", "currency=usd&tiers[0][unit_amount]=1", 400, "parameter_missing", "tiers[0][up_to]"},
		"not an integer":    {"POST", "/v1/customers", "balance=many", 400, "parameter_invalid", "balance"},
		"not a boolean":     {"POST", "/v1/invoices", "auto_advance=perhaps", 400, "parameter_invalid", "auto_advance"},
		"not in the list":   {"POST", "/v1/invoices", "collection_method=beg", 400, "parameter_invalid", "collection_method"},
		"broken form":       {"POST", "/v1/customers", "metadata[a=1", 400, "parameter_invalid", ""},
		"no such path":      {"GET", "/v1/nothing", "", 404, "url_invalid", ""},
		"no such method":    {"DELETE", "/v1/customers", "", 404, "url_invalid", ""},
		"parent is missing": {"POST", "/v1/customers/cus_nobody/tax_ids", "type=eu_vat&value=DE1", 404, "resource_missing", "customer"},
		"too long":          {"POST", "/v1/customers", "invoice_prefix=" + strings.Repeat("x", 6000), 400, "parameter_invalid", "invoice_prefix"},
	} {
		r := b.do(t, c.method, c.path, c.body)
		param, _ := r.at("error.param").(string)
		if r.status != c.status || r.at("error.code") != c.code || param != c.param || r.at("error.type") != "invalid_request_error" || r.header.Get("Request-Id") == "" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := b.do(t, "POST", "/v1/customers", strings.Repeat("a", 2<<20)); r.status != 413 {
		t.Errorf("2 MB: %d", r.status)
	}
	if r := b.do(t, "GET", "/v1/events", ""); len(r.at("data").([]any)) != 0 {
		t.Errorf("refused calls caused events: %s", r.body)
	}
}

// R2.1: the ways in which the provider takes a key, and no other.
func TestCredential(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"bearer":       {"Bearer " + apiKey, 200},
		"basic":        {"Basic c2tfdGVzdF80ZUMzOUhxTHlqV0Rhcmp0VDF6ZHA3ZGM6", 200},
		"none":         {"", 401},
		"other scheme": {"Token " + apiKey, 401},
		"other key":    {"Bearer " + apiKey + "x", 401},
		"empty key":    {"Bearer ", 401},
		"broken basic": {"Basic %%%", 401},
	} {
		if r := b.do(t, "GET", "/v1/customers", "", "Authorization", c.header); r.status != c.status {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	cfg := stripeConfig(t)
	cfg.Secrets.APIKeys = nil
	b = start(t, cfg)
	if r := b.do(t, "GET", "/v1/customers", "", "Authorization", "Bearer sk_test_any"); r.status != 200 {
		t.Errorf("any test key: %d", r.status)
	}
	if r := b.do(t, "GET", "/v1/customers", "", "Authorization", "Bearer sk_live_any"); r.status != 401 {
		t.Errorf("a live key: %d", r.status)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	first := b.do(t, "POST", "/v1/customers", "email=a@example.com", "Idempotency-Key", "k1")
	again := b.do(t, "POST", "/v1/customers", "email=a@example.com", "Idempotency-Key", "k1")
	if first.status != 200 || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%s\n%s %v", first.body, again.body, again.header)
	}
	other := b.do(t, "POST", "/v1/customers", "email=b@example.com", "Idempotency-Key", "k1")
	if other.status != 400 || other.at("error.type") != "idempotency_error" {
		t.Errorf("another body: %d %s", other.status, other.body)
	}
	if r := b.do(t, "POST", "/v1/customers", "email=a@example.com", "Idempotency-Key", "k2"); r.at("id") == first.at("id") {
		t.Error("another key gets the same customer")
	}
	if r := b.do(t, "POST", "/v1/customers", "balance=x", "Idempotency-Key", "k3"); r.status != 400 {
		t.Error(r.body)
	}
	if r := b.do(t, "POST", "/v1/customers", "balance=1", "Idempotency-Key", "k3"); r.status != 200 {
		t.Errorf("a corrected request can't keep its key: %s", r.body)
	}
	if list := b.do(t, "GET", "/v1/customers", "").at("data").([]any); len(list) != 3 {
		t.Errorf("%d customers", len(list))
	}
	if r := b.do(t, "GET", "/v1/events", ""); len(r.at("data").([]any)) != 3 {
		t.Errorf("a replay caused an event: %s", r.body)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	b := start(t, stripeConfig(t))
	r := b.do(t, "GET", "/v1/customers", "", "Stripe-Version", "2024-06-20")
	if r.header.Get("Stripe-Version") != "2024-06-20" || !strings.HasPrefix(r.header.Get("Request-Id"), "req_") || r.header.Get("Content-Type") != "application/json" {
		t.Error(r.header)
	}
	if r := b.do(t, "GET", "/v1/customers", ""); r.header.Get("Stripe-Version") != "2026-08-26.dahlia" {
		t.Errorf("the document's version is not the default: %v", r.header)
	}
}

// R6.1: one seed, one provider.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	id := func(seed uint64) any {
		cfg := stripeConfig(t)
		cfg.Seed = seed
		return start(t, cfg).do(t, "POST", "/v1/customers", "").at("id")
	}
	if a, b := id(7), id(7); a != b || a == id(8) {
		t.Errorf("%v, %v", a, b)
	}
}

// Every operation of the document is answered with JSON and without a panic,
// with what its parameters are not checked for.
func TestEveryOperationAnswers(t *testing.T) {
	t.Parallel()
	cfg := stripeConfig(t)
	b := start(t, cfg)
	counts := map[int]int{}
	for _, op := range cfg.Document.Operations {
		path := strings.NewReplacer("{", "", "}", "").Replace(op.Path)
		req := httptest.NewRequest(op.Method, "http://sandbox.test"+path, nil)
		req.Header.Set("Authorization", "Bearer "+apiKey)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, req)
		counts[w.Code]++
		if w.Code != 200 && w.Code != 400 && w.Code != 404 {
			t.Errorf("%s: %d %s", op.Call(), w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "Unrecognized request URL") {
			t.Errorf("%s is not found", op.Call())
		}
	}
	t.Logf("%d operations: %v", len(cfg.Document.Operations), counts)
	if len(cfg.Document.Operations) < 500 || counts[200] < 150 {
		t.Errorf("%d operations: %v", len(cfg.Document.Operations), counts)
	}
}

// BenchmarkServe is a create and a read through the handler.
func BenchmarkServe(b *testing.B) {
	doc, fixtures := stripeFiles()
	t := &testing.T{}
	s, err := sandbox.New(sandbox.Config{Plan: stripePlan(t), Document: doc, Fixtures: fixtures})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "http://sandbox.test/v1/customers", strings.NewReader("email=jo%40example.com&metadata[a]=1"))
		req.Header.Set("Authorization", "Bearer sk_test_x")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}

// BenchmarkList is a page of ten out of a thousand.
func BenchmarkList(b *testing.B) {
	doc, fixtures := stripeFiles()
	s, err := sandbox.New(sandbox.Config{Plan: stripePlan(&testing.T{}), Document: doc, Fixtures: fixtures})
	if err != nil {
		b.Fatal(err)
	}
	serve := func(method string) {
		req := httptest.NewRequest(method, "http://sandbox.test/v1/customers", nil)
		req.Header.Set("Authorization", "Bearer sk_test_x")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
	for range 1000 {
		serve(http.MethodPost)
	}
	for b.Loop() {
		serve(http.MethodGet)
	}
}

// BenchmarkNew is what it takes to be ready once the document is read.
func BenchmarkNew(b *testing.B) {
	doc, fixtures := stripeFiles()
	p := stripePlan(&testing.T{})
	for b.Loop() {
		if _, err := sandbox.New(sandbox.Config{Plan: p, Document: doc, Fixtures: fixtures}); err != nil {
			b.Fatal(err)
		}
	}
}
