package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/plan"
)

func TestRowsOfTheExample(t *testing.T) {
	t.Parallel()
	p := load(t, "testdata/stripe.yaml")
	rows := p.Rows()
	var b strings.Builder
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		if !strings.HasPrefix(r.ID, r.Kind+".") || r.Statement == "" || r.Reason != "" {
			t.Errorf("incomplete row %+v", r)
		}
		if r.Position.Line < 1 {
			t.Errorf("%s has no place", r.ID)
		}
		b.WriteString(r.ID + ": " + r.Statement + "\n")
	}
	golden(t, "testdata/stripe.rows.txt", []byte(b.String()))
	for _, id := range []string{"endpoint.create_customer.timeout", "mapping.customer.email", "error.429", "limit.live", "event.invoice.paid", "webhook.verify", "destination.billing"} {
		if !seen[id] {
			t.Errorf("no row %s", id)
		}
	}
	if seen["limit.search"] {
		t.Error("an optional limit is not enforced and is no row")
	}
	for range 5 {
		again := p.Rows()
		if !slices.Equal(rows, again) {
			t.Fatal("rows come in another order")
		}
	}
}

func TestRowIDsDoNotDependOnTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	p := load(t, "testdata/stripe.yaml")
	ids := func(p *plan.Plan) []string {
		var list []string
		for _, r := range p.Rows() {
			list = append(list, r.ID)
		}
		slices.Sort(list)
		return list
	}
	before := ids(p)
	slices.Reverse(p.Mappings["customer"])
	if after := ids(p); !slices.Equal(before, after) {
		t.Errorf("ids changed: %v %v", before, after)
	}
	p.Mappings["two ways"] = []plan.MappingRow{{External: "x", Internal: "a", As: "string", Direction: "in"}, {External: "x", Internal: "b", As: "string", Direction: "out"}}
	got := ids(p)
	if !slices.Contains(got, "mapping.two ways.x.in") || !slices.Contains(got, "mapping.two ways.x.out") {
		t.Errorf("a field written by two rows has two ids, got %v", got)
	}
}

func TestUnenforced(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for _, r := range load(t, "testdata/complete.yaml").Unenforced() {
		if r.Reason == "" {
			t.Errorf("%s: why?", r.ID)
		}
		got[r.ID] = true
	}
	want := []string{
		"error.5xx", "monitoring.expect_calls_every", "monitoring.notify",
	}
	if ids := slices.Sorted(maps.Keys(got)); !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	// What the gateway does keep is not on the list.
	// A default that alerts is no promise of the plan's.
	quiet := &plan.Plan{
		Auth: plan.Auth{Use: "api_key"}, Errors: map[string]plan.ErrorPolicy{"500": {Then: "keep"}},
		Endpoints: map[string]*plan.Endpoint{"a": {Call: "GET /a", Effect: plan.EffectRead, Fallback: "fail"}},
	}
	if list := quiet.Unenforced(); len(list) != 0 {
		t.Errorf("got %v", list)
	}
}

// R4.17 and the rows R4.1 to R4.8.
func TestErrorPolicy(t *testing.T) {
	t.Parallel()
	keep, alert := "keep", true
	backoff := []plan.Duration{plan.Duration(time.Second), plan.Duration(2 * time.Second), plan.Duration(4 * time.Second)}
	p := &plan.Plan{}
	for key, want := range map[string]plan.ErrorPolicy{
		"400": {}, "401": {Retry: 1}, "403": {Alert: alert}, "404": {}, "409": {}, "418": {},
		"429": {Retry: 5, Then: keep}, "500": {Retry: 3, Backoff: backoff, Then: keep}, "599": {Retry: 3, Backoff: backoff, Then: keep},
		"5xx":     {Retry: 3, Backoff: backoff, Then: keep},
		"timeout": {Retry: 3, Backoff: backoff, Then: keep, Alert: alert},
		"network": {Retry: 3, Backoff: backoff, Then: keep, Alert: alert},
		"600":     {}, "": {}, "words": {},
	} {
		if got := p.ErrorPolicy(key); got.Words() != want.Words() || !slices.Equal(got.Backoff, want.Backoff) {
			t.Errorf("%q: got %s, want %s", key, got.Words(), want.Words())
		}
	}
	p.Errors = map[string]plan.ErrorPolicy{"5xx": {Retry: 1}, "503": {Retry: 7}, "402": {Message: "Declined."}}
	for key, want := range map[string]string{"503": "7 retries", "502": "1 retry", "5xx": "1 retry", "402": `no retry; the user reads "Declined."`, "429": "5 retries, then keep"} {
		if got := p.ErrorPolicy(key).Words(); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	plan.DefaultErrors()["5xx"].Backoff[0] = 0
	if got := p.ErrorPolicy("timeout").Backoff[0]; got == 0 {
		t.Error("a caller could change the default of the others")
	}
}

func TestEndpointFor(t *testing.T) {
	t.Parallel()
	p := &plan.Plan{Endpoints: map[string]*plan.Endpoint{
		"list":     {Call: "GET /v1/customers", Effect: plan.EffectRead},
		"get":      {Call: "GET /v1/customers/{id}", Effect: plan.EffectRead},
		"search":   {Call: "GET /v1/customers/search", Effect: plan.EffectRead},
		"pay":      {Call: "POST /v1/invoices/{invoice}/pay", Effect: plan.EffectIrreversible},
		"pay_soft": {Call: "POST /v1/invoices/{id}/pay", Effect: plan.EffectUpdate},
		"compare":  {Call: "GET /repos/{owner}/{repo}/compare/{base}...{head}", Effect: plan.EffectRead},
		"cancel":   {Call: "POST /v1/{name}:cancel", Effect: plan.EffectUpdate},
		"file":     {Call: "GET /files/{name}.json", Effect: plan.EffectRead},
		"nothing":  nil,
	}}
	for _, c := range []struct {
		method, path, want string
		vars               map[string]string
	}{
		{"GET", "/v1/customers", "list", nil},
		{"GET", "/v1/customers?limit=3", "list", nil},
		{"GET", "/v1/customers/cus_1", "get", map[string]string{"id": "cus_1"}},
		{"GET", "/v1/customers/a%2Fb?expand=x", "get", map[string]string{"id": "a%2Fb"}},
		{"GET", "/v1/customers/search", "search", nil},
		{"GET", "/v1/customers/", "", nil},
		{"GET", "/v1/customers/cus_1/sources", "", nil},
		{"POST", "/v1/customers", "", nil},
		{"get", "/v1/customers", "", nil},
		{"POST", "/v1/invoices/in_1/pay", "pay", map[string]string{"invoice": "in_1"}},
		{"GET", "/repos/o/r/compare/v1...v2", "compare", map[string]string{"owner": "o", "repo": "r", "base": "v1", "head": "v2"}},
		{"GET", "/repos/o/r/compare/...v2", "", nil},
		{"POST", "/v1/op-1:cancel", "cancel", map[string]string{"name": "op-1"}},
		{"POST", "/v1/op-1", "", nil},
		{"GET", "/files/a.json.json", "file", map[string]string{"name": "a.json"}},
		{"GET", "/files/.json", "", nil},
		{"GET", "", "", nil},
	} {
		name, vars, ok := p.EndpointFor(c.method, c.path)
		if name != c.want || ok != (c.want != "") || !maps.Equal(vars, c.vars) {
			t.Errorf("%s %s: got %q %v %v, want %q %v", c.method, c.path, name, vars, ok, c.want, c.vars)
		}
	}
	e := p.Endpoints["compare"]
	if got := e.PathVariables(); e.Method() != "GET" || e.Path() != "/repos/{owner}/{repo}/compare/{base}...{head}" || !slices.Equal(got, []string{"owner", "repo", "base", "head"}) {
		t.Errorf("got %s %s %v", e.Method(), e.Path(), got)
	}
	if e := (&plan.Endpoint{}); e.Method() != "" || e.Path() != "" || e.PathVariables() != nil {
		t.Error("an endpoint without a call has no parts")
	}
}

func TestSpecMatches(t *testing.T) {
	t.Parallel()
	sum := "0f3c" + strings.Repeat("a", 60)
	for pinned, want := range map[string]bool{"": true, sum: true, "0f3c…": true, "0f3d…": false, "0f3c": false, strings.Repeat("b", 64): false} {
		if got := (&plan.Spec{SHA256: pinned}).Matches(sum); got != want {
			t.Errorf("%q: got %v", pinned, got)
		}
	}
	if !(*plan.Spec)(nil).Matches(sum) {
		t.Error("nothing pinned matches everything")
	}
}
