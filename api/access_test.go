package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// everything that needs a key, and which.
var guarded = []struct {
	method, path string
	scope        integration.Scope
}{
	{"GET", "/api/v1/integrations", integration.ScopeApp},
	{"GET", "/api/v1/integrations/stripe/status", integration.ScopeApp},
	{"POST", "/api/v1/integrations/stripe/endpoints/create_customer", integration.ScopeApp},
	{"GET", "/api/v1/integrations/stripe/proxy/v1/customers", integration.ScopeApp},
	{"DELETE", "/api/v1/integrations/stripe/proxy/v1/customers/cus_1", integration.ScopeApp},
	{"GET", "/api/v1/admin/integrations/stripe/logs", integration.ScopeAdmin},
	{"GET", "/api/v1/admin/events/1", integration.ScopeAdmin},
	{"GET", "/api/v1/admin/calls/1", integration.ScopeAdmin},
	{"POST", "/api/v1/admin/integrations/stripe/retry/1", integration.ScopeAdmin},
	{"POST", "/api/v1/admin/integrations/stripe/retry", integration.ScopeAdmin},
	{"GET", "/api/v1/admin/jobs/1", integration.ScopeAdmin},
	{"POST", "/api/v1/admin/jobs/1/cancel", integration.ScopeAdmin},
	{"GET", "/api/v1/calls/1", integration.ScopeApp},
	{"DELETE", "/api/v1/calls/1", integration.ScopeApp},
}

// R9.5: nothing without a key of the scope; nothing happens before it is checked.
func TestKeysAndScopes(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	revoked := b.key(integration.ScopeAdmin)
	record, err := b.store.KeyByHash(t.Context(), hashOf(revoked))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.RevokeKey(t.Context(), record.ID, b.now, integration.AuditEntry{ID: "a-1", At: b.now, Action: "key.create", Target: record.ID}); err != nil {
		t.Fatal(err)
	}
	for _, g := range guarded {
		for name, header := range map[string]string{
			"none": "", "empty": "Bearer ", "not ours": "Bearer sk_live_1", "basic": "Basic " + b.admin, "bare": b.admin,
		} {
			if name == "bare" && strings.Contains(g.path, "/proxy/") {
				continue // some SDKs send it so
			}
			a := b.do("", g.method, g.path, "", "Authorization", header)
			a.problem(t, http.StatusUnauthorized, "key_missing")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s, %s: no challenge", g.method, g.path, name)
			}
		}
		for name, key := range map[string]string{"unknown": "sp_guess", "cut": b.admin[:len(b.admin)-1], "revoked": revoked, "its hash": "sp_" + hashOf(b.admin)} {
			a := b.do(key, g.method, g.path, "")
			if v := a.problem(t, http.StatusUnauthorized, "key_invalid"); v["hint"] == nil {
				t.Errorf("%s: no way out", name)
			}
		}
		if g.scope == integration.ScopeAdmin {
			b.do(b.app, g.method, g.path, "").problem(t, http.StatusForbidden, "scope_missing")
		}
	}
	// Both kinds of key open what is for apps; the scheme's case does not matter.
	for _, key := range []string{b.app, b.admin} {
		if a := b.do("", "GET", "/api/v1/integrations", "", "Authorization", "bearer "+key); a.status != http.StatusOK {
			t.Errorf("answered %d %s", a.status, a.text)
		}
	}
	if actions := b.audited(); len(actions) != 0 {
		t.Errorf("refused requests did %v", actions)
	}
	for _, never := range []string{b.app, b.admin, revoked, "sp_guess", providerKey} { // R2.10
		if strings.Contains(b.log.String(), never) {
			t.Errorf("the log holds a key: %s", b.log)
		}
	}
}

func hashOf(key string) string {
	_, record := api.NewKey("", integration.ScopeApp, testTime)
	if len(record.Hash) != 64 {
		panic("the hash is no SHA-256")
	}
	return sha256Hex(key)
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	secret, record := api.NewKey("ci", integration.ScopeApp, testTime)
	other, _ := api.NewKey("ci", integration.ScopeApp, testTime)
	key := secret.Reveal()
	if !strings.HasPrefix(key, "sp_") || len(key) != 3+43 || key == other.Reveal() {
		t.Errorf("key %q", key)
	}
	if record.Hash != sha256Hex(key) || record.Name != "ci" || record.Scope != integration.ScopeApp || !record.RevokedAt.IsZero() {
		t.Errorf("record %+v", record)
	}
	if whole, _ := json.Marshal(record); strings.Contains(string(whole), key) {
		t.Error("the record holds the key")
	}
}

// A store that is away is no reason to say that a key is wrong.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), func(c *api.Config) { c.Keys = noKeys{}; c.Records = noRecords{c.Records} })
	a := b.do(b.app, "GET", "/api/v1/integrations", "")
	a.problem(t, http.StatusServiceUnavailable, "store_unavailable")
	if a.header.Get("Retry-After") != "2" || strings.Contains(a.text, "canary") {
		t.Errorf("answer %v %s", a.header, a.text)
	}
	a = b.do("", "GET", "/readyz", "")
	a.problem(t, http.StatusServiceUnavailable, "store_unavailable")
	if a.header.Get("Retry-After") != "2" || strings.Contains(a.text, "canary") {
		t.Errorf("answer %v %s", a.header, a.text)
	}
	if a := b.do("", "GET", "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("the process lives, and says %d", a.status)
	}
}

var errAway = errors.New("disk canary")

type noKeys struct{}

func (noKeys) KeyByHash(context.Context, string) (integration.APIKey, error) {
	return integration.APIKey{}, errAway
}
func (noKeys) Audit(context.Context, integration.AuditEntry) error { return errAway }

type noRecords struct{ api.Records }

func (noRecords) Ping(context.Context) error { return errAway }

func TestHealth(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	for _, path := range []string{"/healthz", "/readyz", "/healthz?probe=1"} {
		a := b.do("", "GET", path, "")
		if v := a.json(t); a.status != http.StatusOK || v["status"] != "ok" || v["version"] != "1.2.3" {
			t.Errorf("%s: %d %s", path, a.status, a.text)
		}
	}
}

// R9.6: the document names every route, and no page of it needs the network.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	a := b.do("", "GET", "/openapi.json", "")
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Security    []map[string][]string
		}
	}
	if err := json.Unmarshal([]byte(a.text), &document); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %v", a.status, err)
	}
	for _, want := range []string{
		"get /api/v1/integrations", "get /api/v1/integrations/{service}/status", "post /api/v1/integrations/{service}/endpoints/{endpoint}",
		"patch /api/v1/integrations/{service}/proxy/{path}", "post /api/webhooks/{service}", "get /api/v1/admin/integrations/{service}/logs",
		"get /api/v1/admin/events/{id}", "get /api/v1/admin/calls/{id}", "post /api/v1/admin/integrations/{service}/retry/{id}", "get /healthz", "get /readyz",
		"get /api/v1/calls/{id}", "delete /api/v1/calls/{id}", "post /api/v1/admin/integrations/{service}/retry", "get /api/v1/admin/jobs/{id}",
	} {
		method, path, _ := strings.Cut(want, " ")
		operation, ok := document.Paths[path][method]
		if !ok || operation.OperationID == "" {
			t.Errorf("%s is not described", want)
		}
		if secured := strings.HasPrefix(path, "/api/v1/"); secured != (len(operation.Security) > 0) {
			t.Errorf("%s: security %v", want, operation.Security)
		}
	}
	b.do("", "GET", "/docs", "").problem(t, http.StatusNotFound, "not_found")
}

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	b.do("", "GET", "/nowhere", "").problem(t, http.StatusNotFound, "not_found")
	b.do(b.app, "GET", "/api/v1/integrations/github/status", "").problem(t, http.StatusNotFound, "unknown_service")
	b.do(b.app, "GET", "/api/v1/integrations/github/proxy/x", "").problem(t, http.StatusNotFound, "unknown_service")
	b.do(b.app, "POST", "/api/v1/integrations/github/endpoints/x", "{}").problem(t, http.StatusNotFound, "unknown_service")
	b.do(b.admin, "GET", "/api/v1/admin/integrations/github/logs", "").problem(t, http.StatusNotFound, "unknown_service")
	a := b.do(b.app, "DELETE", "/api/v1/integrations", "")
	a.problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
	if a.header.Get("Allow") != "GET" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
	v := b.do(b.app, "GET", "/api/v1/integrations?limt=1", "").problem(t, http.StatusUnprocessableEntity, "invalid_request")
	if !strings.Contains(string(must(json.Marshal(v["errors"]))), "query.limt") {
		t.Errorf("the parameter is not named: %v", v)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	if a := b.do("", "GET", "/healthz", "", "Sallyport-Request-Id", "mine-12345"); a.header.Get("Sallyport-Request-Id") != "mine-12345" {
		t.Errorf("the caller's id became %q", a.header.Get("Sallyport-Request-Id"))
	}
	for _, bad := range []string{"short", `quote"quote`, strings.Repeat("x", 65)} {
		if a := b.do("", "GET", "/healthz", "", "Sallyport-Request-Id", bad); len(a.header.Get("Sallyport-Request-Id")) != 36 {
			t.Errorf("%q became %q", bad, a.header.Get("Sallyport-Request-Id"))
		}
	}
}

// A fault of ours answers 500 with an id to search for, and nothing else.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), func(c *api.Config) { c.Records = panics{c.Records} })
	a := b.do(b.admin, "GET", "/api/v1/admin/integrations/stripe/logs", "")
	v := a.problem(t, http.StatusInternalServerError, "internal")
	if id, _ := v["request_id"].(string); !strings.Contains(b.log.String(), id) || strings.Contains(a.text, "canary") {
		t.Errorf("answer %s, log %s", a.text, b.log)
	}
}

type panics struct{ api.Records }

func (panics) Events(context.Context, integration.Filter) ([]integration.Event, string, error) {
	panic("canary")
}
