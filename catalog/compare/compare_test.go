package compare_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/catalog/compare"
	"github.com/sallyport/sallyport/openapi"
)

// facts of a provider's profile and document, each as "section name" → verdict.
func facts(t *testing.T, provider, file string) map[string]compare.Fact {
	t.Helper()
	p, err := catalog.Load(provider)
	if err != nil {
		t.Fatal(err)
	}
	d, err := openapi.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]compare.Fact{}
	for _, f := range compare.Facts(p, d) {
		if f.Profile == "" && f.Document == "" || f.Profile == "" && f.Verdict != compare.Imported || f.Document == "" && f.Verdict != compare.Missing {
			t.Errorf("%s: the verdict does not follow: %+v", provider, f)
		}
		if strings.Contains(f.Profile+f.Document+f.Note, "\n") {
			t.Errorf("%s: more than a line: %+v", provider, f)
		}
		got[f.Section+" "+f.Name] = f
	}
	return got
}

// R1.4: what real documents say of what real profiles hold.
func TestFacts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		provider, file string
		want           map[string]string
	}{
		{"stripe", "../documents/stripe/spec3.json.gz", map[string]string{
			"api base_url": "imported", "api version": "contradicts", "api request": "imported", "api version_pin": "missing", "auth[0] kind": "imported", "auth[1] kind": "imported",
			"errors code_path": "imported", "errors message_path": "imported", "errors request_id_header": "missing", "idempotency header": "missing",
			"pagination param": "imported", "pagination items": "imported", "pagination more": "imported", "limits status": "missing", "webhooks events": "imported",
		}},
		{"slack", "../../openapi/testdata/slack_web_openapi_v2.json.gz", map[string]string{
			"api base_url": "imported", "api request": "contradicts", "auth[1] oauth.token_url": "contradicts", "auth[1] oauth.authorize_url": "contradicts",
			"pagination param": "imported", "pagination cursor": "imported", "webhooks events": "missing",
		}},
		{"digitalocean", "../../openapi/testdata/digitalocean.tar.gz", map[string]string{
			"api base_url": "imported", "limits headers.limit": "imported", "limits headers.remaining": "imported", "limits headers.reset": "imported", "limits status": "imported",
			"errors code_path": "imported", "errors request_id_header": "imported", "pagination cursor": "imported",
		}},
		{"algolia", "../../openapi/testdata/algolia-search.yml.gz", map[string]string{"api base_url": "imported", "errors code_path": "contradicts", "errors message_path": "imported"}},
		{"discord", "../../openapi/testdata/discord.json.gz", map[string]string{"api version": "imported", "auth[0] kind": "imported", "limits headers.reset": "imported"}},
		{"square", "../../openapi/testdata/square.json.gz", map[string]string{"idempotency param": "imported", "webhooks events": "imported", "errors code_path": "missing"}},
		{"resend", "../../openapi/testdata/resend.yaml", map[string]string{"idempotency header": "imported", "webhooks events": "imported", "limits headers.limit": "missing"}},
		{"intercom", "../../openapi/testdata/intercom-2.14.yaml.gz", map[string]string{"api version": "imported", "api version_pin": "imported", "errors code_path": "imported"}},
		{"adyen", "../../openapi/testdata/adyen-checkout-v71.json.gz", map[string]string{"api version": "imported", "idempotency header": "imported", "auth[0] kind": "imported"}},
		{"paypal", "../../openapi/testdata/paypal-checkout-orders-v2.json.gz", map[string]string{"idempotency header": "imported"}},
		{"datadog", "../../openapi/testdata/datadog-v1.yaml.gz", map[string]string{"api base_url": "imported"}},
		{"snowflake", "../../openapi/testdata/snowflake/warehouse.yaml", map[string]string{"api base_url": "imported"}},
		{"box", "../../openapi/testdata/box.json.gz", map[string]string{"api hosts": "imported", "limits retry_after": "imported"}},
		{"figma", "../../openapi/testdata/figma.yaml.gz", map[string]string{}},
		{"netlify", "../../openapi/testdata/netlify.yml.gz", map[string]string{"pagination style": "missing"}},
		{"asana", "../../openapi/testdata/asana.yaml.gz", map[string]string{}},
		{"xero", "../../openapi/testdata/xero-accounting.yaml.gz", map[string]string{}},
		{"twilio", "../../openapi/testdata/twilio-api-v2010.json.gz", map[string]string{"pagination cursor": "imported"}},
	} {
		t.Run(c.provider, func(t *testing.T) {
			t.Parallel()
			got := facts(t, c.provider, c.file)
			if len(got) < 6 {
				t.Errorf("only %d facts", len(got))
			}
			for name, want := range c.want {
				if string(got[name].Verdict) != want {
					t.Errorf("%s: got %+v, want %s", name, got[name], want)
				}
			}
		})
	}
}

// A document that differs in everything contradicts in everything, and one that
// says nothing contradicts nothing.
func TestContradictions(t *testing.T) {
	t.Parallel()
	profile := &catalog.Profile{
		API:         catalog.API{BaseURL: "https://api.one.example/v1", Version: "2026-01-01", Request: catalog.EncodingJSON},
		Auth:        []catalog.Auth{{Kind: "api_key", In: "header", Name: "X-Key"}, {Kind: "oauth2", OAuth: &catalog.OAuth{TokenURL: "https://one.example/token"}}},
		Limits:      catalog.Limits{RetryAfter: "absent", Headers: &catalog.LimitHeaders{Remaining: "X-RateLimit-Remaining"}},
		Errors:      catalog.Errors{CodePath: `error.\.tag`, MessagePath: "error.message"},
		Idempotency: catalog.Idempotency{Header: "Idempotency-Key"},
		Pagination:  catalog.Pagination{Style: "cursor", Param: "cursor"},
	}
	d, err := openapi.Read([]byte(`{"openapi":"3.0.0","info":{"version":"2025-02-02"},"servers":[{"url":"https://api.two.example"}],
		"components":{"securitySchemes":{"k":{"type":"apiKey","in":"header","name":"X-Other"},"o":{"type":"oauth2","flows":{"authorizationCode":{"tokenUrl":"/oauth/token"}}}}},
		"paths":{"/a":{"get":{"operationId":"a","parameters":[{"name":"page","in":"query"}],"responses":{"400":{"headers":{"RateLimit-Remaining":{},"Retry-After":{}},"content":{"application/json":{"schema":{"properties":{"fault":{}}}}}}}},
		"post":{"operationId":"b","parameters":[{"name":"X-Idempotency-Token","in":"header"}],"requestBody":{"content":{"application/x-www-form-urlencoded":{}}}}}},
		"webhooks":{"a.made":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	all := compare.Facts(profile, d)
	var contradict []string
	for _, f := range all {
		if f.Verdict == compare.Contradicts {
			contradict = append(contradict, f.Section+" "+f.Name)
		}
	}
	want := "[api base_url api version api request auth[0] kind auth[1] oauth.token_url limits headers.remaining limits retry_after errors code_path errors message_path idempotency header pagination param]"
	if fmt.Sprint(contradict) != want {
		t.Errorf("got  %v\nwant %s", contradict, want)
	}
	if n := compare.Count(all); n[compare.Contradicts] != len(contradict) || n[compare.Imported]+n[compare.Missing]+len(contradict) != len(all) {
		t.Errorf("counts %v of %d", n, len(all))
	}
	if i := slices.IndexFunc(all, func(f compare.Fact) bool { return f.Section == "webhooks" }); i < 0 || all[i].Note != "the profile knows of no webhooks" {
		t.Errorf("webhooks: %+v", all)
	}

	silent, err := openapi.Read([]byte(`{"openapi":"3.0.0","paths":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range compare.Facts(profile, silent) {
		if f.Verdict != compare.Missing {
			t.Errorf("a silent document: %+v", f)
		}
	}
}

// Profiles and documents of all kinds, also those that do not belong together,
// compare without a panic.
func TestAnyPair(t *testing.T) {
	t.Parallel()
	d, err := openapi.ReadFile("../../openapi/testdata/resend.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range catalog.IDs() {
		p, err := catalog.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(compare.Facts(p, d)) == 0 {
			t.Errorf("%s: nothing is compared", id)
		}
	}
}

func ExampleFacts() {
	profile := &catalog.Profile{API: catalog.API{BaseURL: "https://api.acme.example"}, Idempotency: catalog.Idempotency{Header: "Idempotency-Key"}}
	document, err := openapi.Read([]byte(`{"openapi":"3.0.0","servers":[{"url":"https://api.acme.test"}],"paths":{}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range compare.Facts(profile, document) {
		fmt.Println(f.Section, f.Name, f.Verdict)
	}
	// Output:
	// api base_url contradicts
	// idempotency header missing
}
