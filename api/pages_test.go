package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/api"
)

// shelf lists seven customers, three a page, in Stripe's way; a page that would
// begin at broken is refused.
func shelf(broken int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		first := 0
		if after := r.URL.Query().Get("starting_after"); after != "" {
			_, _ = fmt.Sscanf(after, "cus_%d", &first)
			first++
		}
		w.Header().Set("Content-Type", "application/json")
		if broken > 0 && first >= broken || r.URL.Path != "/v1/customers" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"message":"no such page"}}`))
			return
		}
		var items []string
		for i := first; i < min(first+3, 7); i++ {
			items = append(items, fmt.Sprintf(`{"id":"cus_%d"}`, i))
		}
		_, _ = fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":%v}`, strings.Join(items, ","), first+3 < 7)
	}
}

// R4.15: ?all=true on a call by name, and the header on a proxied read, give
// every item of a list on a line of its own.
func TestAll(t *testing.T) {
	t.Parallel()
	b := newBundle(t, shelf(0))
	a := b.do(b.app, "GET", proxy+"/v1/customers?limit=3", "", api.AllHeader, "true")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/x-ndjson" || strings.Count(a.text, "\n") != 7 || !strings.Contains(a.text, `{"id":"cus_6"}`) {
		t.Errorf("%d %v %s", a.status, a.header, a.text)
	}
	if a := b.do(b.app, "POST", endpoint+"create_customer?all=true", `{}`); a.status != http.StatusUnprocessableEntity || a.json(t)["code"] != "no_pagination" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := b.do(b.app, "POST", endpoint+"create_customer?all=true", `[`); a.status != http.StatusBadRequest {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := b.do("", "POST", endpoint+"create_customer?all=true", `{}`); a.status != http.StatusUnauthorized {
		t.Errorf("without a key: %d", a.status)
	}
}

// A list that breaks off says so in its last line, with the cursor to go on
// from; one that fails at once is a problem.
func TestAllBreaksOff(t *testing.T) {
	t.Parallel()
	b := newBundle(t, shelf(3))
	a := b.do(b.app, "GET", proxy+"/v1/customers", "", api.AllHeader, "true")
	lines := strings.Split(strings.TrimSpace(a.text), "\n")
	var last struct {
		Error map[string]any
		Next  string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 4 || last.Error["code"] == "" || last.Next != "cus_2" {
		t.Errorf("%v %s", err, a.text)
	}
	a = b.do(b.app, "GET", proxy+"/v1/other", "", api.AllHeader, "true")
	if a.status != http.StatusUnprocessableEntity || a.json(t)["detail"] == "" || a.header.Get("Sallyport-Call") == "" {
		t.Errorf("%d %v %s", a.status, a.header, a.text)
	}
}

// R4.10: the status shows breakers, limits and cache; a person can hold a breaker
// open and let it go, which is audited.
func TestStanding(t *testing.T) {
	t.Parallel()
	b := newBundle(t, shelf(0), func(c *api.Config) { c.Integrations[0].Standing = c.Integrations[0].Calls.(api.Standing) })
	if a := b.do(b.app, "GET", proxy+"/v1/customers", ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.text)
	}
	v := b.do(b.app, "GET", "/api/v1/integrations/stripe/status", "").json(t)["outbound"].(map[string]any)
	breakers, limits := v["breakers"].([]any), v["limits"].([]any)
	if len(breakers) != 1 || len(limits) == 0 || limits[0].(map[string]any)["share"] == nil {
		t.Fatalf("%v", v)
	}
	host := breakers[0].(map[string]any)["host"].(string)
	set := func(key, state string) answer {
		return b.do(key, "POST", "/api/v1/admin/integrations/stripe/breaker", `{"host":"`+host+`","state":"`+state+`"}`)
	}
	if a := set(b.app, "open"); a.status != http.StatusForbidden {
		t.Errorf("with an app key: %d", a.status)
	}
	if a := set(b.admin, "open"); a.status != http.StatusOK || a.json(t)["state"] != "open" || a.json(t)["forced"] != true {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := b.do(b.app, "GET", proxy+"/v1/customers", ""); a.status != http.StatusServiceUnavailable || a.header.Get("Sallyport-Reason") != "breaker" || a.json(t)["code"] != "breaker_open" {
		t.Errorf("%d %v %s", a.status, a.header, a.text)
	}
	if a := set(b.admin, "auto"); a.status != http.StatusOK || a.json(t)["state"] != "closed" {
		t.Errorf("%d %s", a.status, a.text)
	}
	if a := set(b.admin, "ajar"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", a.status, a.text)
	}
	if got := strings.Join(b.audited(), "|"); !strings.Contains(got, "breaker.set stripe") {
		t.Errorf("audited %s", got)
	}
	if a := b.do(b.admin, "POST", "/api/v1/admin/integrations/stripe/calls/none/outcome", ""); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.text)
	}
}
