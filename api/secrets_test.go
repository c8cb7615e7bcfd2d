package api_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
	"github.com/sallyport/sallyport/vault"
)

const (
	leakedPath = "/api/v1/admin/secrets/leaked"
	newKey     = "sk_test_new_canary"
)

// withCustody serves what is about secrets; values are those of api_key.
func withCustody(values *[]string, heard *int) func(*api.Config) {
	return func(c *api.Config) {
		store := c.Keys.(*sqlite.Store)
		c.Custody = api.Custody{
			Leaks: store,
			Fingerprints: func(service, name string) (prints []string) {
				if service != "stripe" || name != "api_key" {
					return nil
				}
				for _, v := range *values {
					prints = append(prints, integration.NewSecret(v).Fingerprint())
				}
				return prints
			},
			Reload: func(context.Context, string) error { return errors.New("one file is not there") },
			Heard:  func(context.Context) error { *heard++; return nil },
			Erase: func(ctx context.Context, tenant, actor string) (vault.Receipt, error) {
				if tenant == "stuck" {
					return vault.Receipt{}, errors.New("the disk is full of " + goodKey)
				}
				return (&vault.Erasing{From: store}).Tenant(ctx, tenant, actor)
			},
		}
	}
}

func strs(v any) []string {
	var list []string
	for _, each := range v.([]any) {
		list = append(list, each.(string))
	}
	return list
}

// R2.9: a plan's secret that leaked is marked; the answer says where it was used
// and what is left to do. The mark can be taken off.
func TestLeakedSecret(t *testing.T) {
	t.Parallel()
	values, heard := []string{goodKey}, 0
	b := newBundle(t, noProvider(t), withCustody(&values, &heard))
	print := integration.NewSecret(goodKey).Fingerprint()
	for _, environment := range []string{"development", "production"} {
		if err := b.store.SeeSecrets(t.Context(), []integration.SecretSighting{{Service: "stripe", Environment: environment, Name: "api_key", Fingerprint: print, Reference: "env:A", FirstSeen: b.now, LastSeen: b.now}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.store.RecordUses(t.Context(), []integration.CredentialUse{
		{Minute: b.now.Add(-time.Hour), Service: "stripe", Tenant: "acme", Fingerprint: print, Endpoint: "get_customer", Actor: "key-1", Count: 3},
		{Minute: b.now, Service: "stripe", Fingerprint: print, Actor: "program", Count: 2},
	}); err != nil {
		t.Fatal(err)
	}
	for body, code := range map[string]string{
		`{"service":"stripe"}`: "invalid_request", `{}`: "invalid_request", `{"service":"stripe","name":"api_key","connection":"c"}`: "invalid_request",
		`{"service":"slack","name":"api_key"}`: "unknown_service", `{"service":"stripe","name":"nothing"}`: "not_found", `{"connection":"c"}`: "not_found",
	} {
		if a := b.do(b.admin, http.MethodPost, leakedPath, body); a.status != 404 && a.status != 422 || a.json(t)["code"] != code {
			t.Errorf("%s: %s", body, a.text)
		}
	}
	if a := b.do(b.admin, http.MethodPost, leakedPath, `{"service":"stripe","name":"api_key","fingerprint":"`+goodKey+`"}`); a.status != 422 || strings.Contains(a.text, goodKey) {
		t.Errorf("a value for a fingerprint: %s", a.text)
	}
	b.do(b.app, http.MethodPost, leakedPath, `{"service":"stripe","name":"api_key"}`).problem(t, http.StatusForbidden, "scope_missing")
	if heard != 0 || len(b.audited()) != 0 {
		t.Fatalf("something was marked: heard %d times, %v", heard, b.audited())
	}
	a := b.do(b.admin, http.MethodPost, leakedPath, `{"service":"stripe","name":"api_key"}`)
	v := a.json(t)
	if a.status != 200 || v["replaced"] != false || v["count"] != 5.0 || v["first_use"] != "2026-11-24T08:00:00Z" || !slices.Equal(strs(v["fingerprints"]), []string{print}) || len(v["seen"].([]any)) != 2 || heard != 1 {
		t.Errorf("%d %s", a.status, a.text)
	}
	steps := strs(v["steps"])
	if len(steps) != 3 || !strings.HasPrefix(steps[0], "make a new api_key") || !strings.Contains(steps[1], "--environment production") || !strings.HasPrefix(steps[2], "revoke the leaked") {
		t.Errorf("steps %q", steps)
	}
	values = []string{newKey, goodKey}
	again := b.do(b.admin, http.MethodPost, leakedPath, `{"service":"stripe","name":"api_key","fingerprint":"`+print+`"}`)
	if steps := strs(again.json(t)["steps"]); len(steps) != 2 || again.json(t)["replaced"] != true {
		t.Errorf("replaced: %s", again.text)
	}
	revoked := b.do(b.admin, http.MethodPost, leakedPath, `{"service":"stripe","name":"api_key","fingerprint":"`+print+`","revoked":true}`)
	if steps := strs(revoked.json(t)["steps"]); len(steps) != 1 || !strings.Contains(steps[0], "production") {
		t.Errorf("revoked: %s", revoked.text)
	}
	list := b.do(b.admin, http.MethodGet, leakedPath, "")
	if marks := list.json(t)["leaked"].([]any); len(marks) != 1 || marks[0].(map[string]any)["environment"] != "development" {
		t.Errorf("%s", list.text)
	}
	if gone := b.do(b.admin, http.MethodDelete, leakedPath+"/"+print, ""); gone.status != http.StatusNoContent || heard != 4 {
		t.Errorf("%d %s, heard %d", gone.status, gone.text, heard)
	}
	b.do(b.admin, http.MethodDelete, leakedPath+"/"+print, "").problem(t, http.StatusNotFound, "not_found")
	if got := b.audited(); !slices.Equal(got, []string{"secret.unmarked " + print, "secret.leaked " + print, "secret.leaked " + print, "secret.leaked " + print}) {
		t.Errorf("audit %v", got)
	}
	noCanary(t, b, a.text, again.text, list.text)
}

// R2.6, R2.9: a connection whose key leaked is ended, the key marked and its
// others named.
func TestLeakedConnection(t *testing.T) {
	t.Parallel()
	values, heard := []string{}, 0
	b := newBundle(t, noProvider(t), withCustody(&values, &heard), withConnections(t, keyService(), keyCheck{}))
	ids := make([]string, 2)
	for i, tenant := range []string{"acme", "globex"} {
		ids[i] = b.do(b.app, http.MethodPost, connectURL, `{"tenant":"`+tenant+`","secrets":{"api_key":"`+goodKey+`"}}`).json(t)["connection"].(string)
	}
	a := b.do(b.admin, http.MethodPost, leakedPath, `{"connection":"`+ids[0]+`"}`)
	v := a.json(t)
	if a.status != 200 || v["revocation"].(map[string]any)["revoked"] != false || len(v["connections"].([]any)) != 2 || heard != 1 {
		t.Fatalf("%d %s", a.status, a.text)
	}
	steps := strs(v["steps"])
	if len(steps) != 3 || !strings.Contains(steps[0], "remove the key") || !strings.Contains(steps[1], "--connection "+ids[1]) || !strings.Contains(steps[2], "acme connect again") {
		t.Errorf("steps %q", steps)
	}
	c, sealed, err := b.store.Connection(t.Context(), ids[0])
	if err != nil || c.State != integration.ConnectionDisconnected || len(sealed) != 0 {
		t.Errorf("%+v, %d sealed, %v", c, len(sealed), err)
	}
	marks, err := b.store.LeakedSecrets(t.Context())
	if err != nil || len(marks) != 1 || marks[0].Connection != ids[0] || marks[0].Name != "api_key" {
		t.Errorf("%+v, %v", marks, err)
	}
	noCanary(t, b, a.text)
}

// R2.9: a connection's key is replaced when the new one works; until then, and
// when it does not, the old one stays. The id stays.
func TestReplaceSecrets(t *testing.T) {
	t.Parallel()
	const path = "/api/v1/integrations/stripe/secrets"
	service := keyService()
	service.Auth.Headers = map[string]string{"X-Account": "{account}"}
	service.Variables = nil
	b := newBundle(t, noProvider(t), withConnections(t, service, newKeys{}))
	made := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"acme","secrets":{"api_key":"`+goodKey+`","account":"a1"}}`)
	id, ok := made.json(t)["connection"].(string)
	if !ok {
		t.Fatal(made.text)
	}
	print := func() map[string]string {
		t.Helper()
		_, sealed, err := b.store.Connection(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		prints := map[string]string{}
		for _, c := range sealed {
			prints[c.Field] = c.Fingerprint
		}
		return prints
	}
	before := print()
	for body, code := range map[string]string{
		`{"connection":"` + id + `","secrets":{"api_key":"` + badKey + `"}}`: "credential_refused",
		`{"connection":"` + id + `","secrets":{"apikey":"` + newKey + `"}}`:  "invalid_request",
		`{"connection":"` + id + `","secrets":{}}`:                           "invalid_request",
	} {
		refused := b.do(b.app, http.MethodPost, path, body)
		refused.problem(t, http.StatusUnprocessableEntity, code)
		noCanary(t, b, refused.text)
	}
	b.do(b.app, http.MethodPost, path, `{"connection":"nope","secrets":{"api_key":"x"}}`).problem(t, http.StatusNotFound, "not_found")
	if after := print(); after["api_key"] != before["api_key"] {
		t.Error("a key that does not work was kept")
	}
	done := b.do(b.app, http.MethodPost, path, `{"connection":"`+id+`","secrets":{"api_key":"`+newKey+`"}}`)
	if v := done.json(t); done.status != 200 || v["connection"] != id || v["state"] != "connected" {
		t.Fatalf("%d %s", done.status, done.text)
	}
	if after := print(); after["api_key"] != integration.NewSecret(newKey).Fingerprint() || after["account"] != before["account"] || len(after) != 2 {
		t.Errorf("kept %v", after)
	}
	if _, err := (&vault.Erasing{From: b.store}).Tenant(t.Context(), "acme", "test"); err != nil {
		t.Fatal(err)
	}
	b.do(b.app, http.MethodPost, path, `{"connection":"`+id+`","secrets":{"api_key":"x"}}`).problem(t, http.StatusNotFound, "not_found")
}

// newKeys takes two keys.
type newKeys struct{}

func (newKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") == "Bearer "+newKey {
		r.Header.Set("Authorization", "Bearer "+goodKey)
	}
	return keyCheck{}.RoundTrip(r)
}

// R2.7: a tenant is erased over the API with a receipt, by an admin only.
func TestEraseTenantOverAPI(t *testing.T) {
	t.Parallel()
	var values []string
	var heard int
	b := newBundle(t, noProvider(t), withCustody(&values, &heard), withConnections(t, keyService(), keyCheck{}))
	for _, tenant := range []string{"acme/ö", "globex"} {
		if a := b.do(b.app, http.MethodPost, connectURL, `{"tenant":"`+tenant+`","secrets":{"api_key":"`+goodKey+`"}}`); a.status != 200 {
			t.Fatal(a.text)
		}
	}
	const path = "/api/v1/admin/tenants/"
	b.do(b.app, http.MethodDelete, path+"acme", "").problem(t, http.StatusForbidden, "scope_missing")
	stuck := b.do(b.admin, http.MethodDelete, path+"stuck", "")
	stuck.problem(t, http.StatusServiceUnavailable, "not_erased")
	if strings.Contains(stuck.text, goodKey) {
		t.Errorf("%s", stuck.text)
	}
	a := b.do(b.admin, http.MethodDelete, path+"acme%2F%C3%B6", "")
	if v := a.json(t); a.status != 200 || v["tenant"] != "acme/ö" || v["credentials"] != 1.0 || v["connections"] != 1.0 || !strings.HasPrefix(v["by"].(string), "key:") || len(v["sha256"].(string)) != 64 {
		t.Errorf("%d %s", a.status, a.text)
	}
	list, _, err := b.store.Connections(t.Context(), integration.Filter{})
	if err != nil || len(list) != 1 || list[0].Tenant != "globex" {
		t.Errorf("left %+v, %v", list, err)
	}
}
