package draft

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/openapi"
)

func TestUnderstand(t *testing.T) {
	t.Parallel()
	all := []string{
		"GET /v1/invoices", "POST /v1/invoices", "GET /v1/invoices/{id}", "POST /v1/invoices/{id}", "DELETE /v1/invoices/{id}",
		"POST /v1/invoices/{id}/pay", "GET /v1/invoices/search", "POST /v1/refunds", "GET /v1/refunds/{id}", "POST /v1/charges/{id}/refund",
		"POST /chat.postMessage", "GET /conversations.list", "GET /users.profile.get", "POST /files.delete", "GET /user", "PATCH /user",
		"GET /pet/findByStatus", "POST /user/createWithList", "GET /",
	}
	var ops []openapi.Operation
	for _, call := range all {
		method, path, _ := cutCall(call)
		ops = append(ops, openapi.Operation{Method: method, Path: path})
	}
	collections := collectionsOf(ops)
	for i, want := range []struct {
		kind  kind
		act   string
		group string
	}{
		{kindList, "", "/v1/invoices"},
		{kindCreate, "", "/v1/invoices"},
		{kindRead, "", "/v1/invoices"},
		{kindUpdate, "", "/v1/invoices"},
		{kindDelete, "", "/v1/invoices"},
		{kindAction, "pay", "/v1/invoices"},
		{kindList, "search", "/v1/invoices"},
		{kindCreate, "", "/v1/refunds"},
		{kindRead, "", "/v1/refunds"},
		{kindAction, "refund", "/v1/charges"},
		{kindCreate, "post", "/chat"},
		{kindList, "list", "/conversations"},
		{kindRead, "get", "/users.profile"},
		{kindDelete, "delet", "/files"},
		{kindRead, "", "/user"},
		{kindUpdate, "", "/user"},
		{kindList, "find", "/pet"},
		{kindCreate, "creat", "/user"},
		{kindRead, "", "/"},
	} {
		o := understand(ops[i], collections)
		if o.kind != want.kind || o.act != want.act || o.group != want.group {
			t.Errorf("%s: %s %q of %s, want %s %q of %s", all[i], o.kind, o.act, o.group, want.kind, want.act, want.group)
		}
	}
}

func cutCall(call string) (method, path string, ok bool) {
	for i := range call {
		if call[i] == ' ' {
			return call[:i], call[i+1:], true
		}
	}
	return "", "", false
}

// An aside about old plans is no advice against an operation.
func TestDiscouraged(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"This method is no longer recommended": true, "Deprecated. Use x instead": true, "This endpoint is deprecated": true,
		"Draft pull requests are available in legacy billing plans": false, "Creates a customer": false, "": false,
	} {
		if discouraged(text) != want {
			t.Errorf("discouraged(%q) = %v", text, !want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"PostInvoicesInvoicePay": {"post", "invoices", "invoice", "pay"}, "chat.postMessage": {"chat", "post", "message"},
		"APIKeyID2go": {"api", "key", "id2go"}, "": nil, "ünïcode Straße": {"ünïcode", "straße"},
	} {
		if got := split(in); !slices.Equal(got, want) {
			t.Errorf("split(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"customers": "customer", "payment_methods": "payment_method", "statuses": "status", "entries": "entry", "addresses": "address",
		"status": "status", "people": "person", "gas": "gas", "boxes": "box", "analysis": "analysis",
	} {
		if got := singular(in); got != want {
			t.Errorf("singular(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestClauses(t *testing.T) {
	t.Parallel()
	got := clauses("Let customers pay their invoices, then notify sales and finance when an invoice is overdue")
	if len(got) != 3 {
		t.Fatalf("%d clauses: %+v", len(got), got)
	}
	if got[0].verbs[0].word != "pay" || !got[0].again || got[1].text != "notify sales and finance" || got[1].occasion || !got[2].occasion {
		t.Errorf("%+v", got)
	}
}
