package canary

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/test/gateway"
)

// What is entrusted to us while tenants connect.
const (
	clientSecret = "canary9client-secret"
	code         = "canary10code"
	access       = "canary11access"
	refresh      = "canary12refresh"
	goodKey      = "SG.canary13good"
	badKey       = "SG.canary14bad"
	nextKey      = "SG.canary15next"
	said         = "canary16provider-says"
)

const tenantPlans = `sallyport: 1
service: hubspot
uses: hubspot
need: Keep contacts in step.
environments:
  development: {base_url: "%[1]s", secrets: {client_id: env:CLIENT_ID, client_secret: env:CLIENT_SECRET}}
auth: {use: oauth2}
endpoints:
  list_contacts: {call: GET /crm/v3/objects/contacts, purpose: Look., effect: read}
errors: {5xx: {retry: never}}
---
sallyport: 1
service: sendgrid
uses: sendgrid
need: Send mail.
environments:
  development: {base_url: "%[1]s"}
auth: {use: api_key, whose: tenant}
endpoints:
  list_templates: {call: "GET /v3/templates", purpose: Look., effect: read}
errors: {5xx: {retry: never}}
`

// echoing is a provider that puts all it is told into its errors: keys into
// those of its API, and codes, secrets and tokens into those of its token
// address. It renews nothing and revokes nothing.
func echoing() http.Handler {
	answer := func(w http.ResponseWriter, status int, v map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	var contacts atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		all := fmt.Sprint(r.Form, r.Header, r.URL, said)
		switch {
		case r.Form.Get("code") == code+"-good":
			answer(w, http.StatusOK, map[string]any{"access_token": access, "refresh_token": refresh, "expires_in": 1800, "token_type": "bearer"})
		case strings.Contains(r.URL.Path, "token"), r.Form.Get("token") != "":
			answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": all, "message": all, "status": all})
		case strings.HasSuffix(r.URL.Path, "/contacts") && contacts.Add(1) == 1: // the token is tried
			answer(w, http.StatusOK, map[string]any{})
		case r.URL.Path == "/v3/templates" && !strings.Contains(r.Header.Get("Authorization"), badKey):
			answer(w, http.StatusOK, map[string]any{})
		default:
			answer(w, http.StatusUnauthorized, map[string]any{"message": all, "errors": []map[string]any{{"message": all}}})
		}
	})
}

// R0.7, R2.10: connecting, renewing, revoking, replacing, leaking and erasing
// show no secret: not on our pages, in answers, in the command line's output, in
// the log at its most talkative, in the document, in the database, nor in the
// stacks of a crash.
func TestConnectingShowsNothing(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(echoing())
	defer provider.Close()
	dir := t.TempDir()
	plans, database := filepath.Join(dir, "plans"), filepath.Join(dir, "canary.db")
	if err := os.Mkdir(plans, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, text := range strings.Split(fmt.Sprintf(tenantPlans, provider.URL), "---\n") {
		if err := os.WriteFile(filepath.Join(plans, []string{"hubspot.yaml", "sendgrid.yaml"}[i]), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := &evidence{}
	admin := strings.TrimSpace(command(t, seen.ignore, nil, "keys", "new", "--name", "canary", "--scope", "admin", "--database", "sqlite:"+database))
	p := gateway.Start(t, gateway.Options{
		Plans: plans, Database: database, Args: []string{"--log-level", "debug", "--public-url", "http://sallyport.localhost:1", "--return-urls", "http://127.0.0.1:1/*"},
		Env: []string{"CLIENT_ID=our-app", "CLIENT_SECRET=" + clientSecret},
	})
	connectKeys(t, seen, p, admin)
	connectOAuth(t, seen, p, admin)
	for _, path := range []string{
		"/api/v1/integrations/hubspot/status", "/api/v1/integrations/sendgrid/status", "/api/v1/admin/integrations/hubspot/logs?kind=call&limit=500",
		"/api/v1/admin/integrations/hubspot/logs?kind=credential", "/api/v1/admin/integrations/hubspot/logs?kind=event", "/openapi.json", "/metrics",
	} {
		seen.request(t, p, "GET", path, admin, "", nil)
	}
	for _, id := range ids(seen.last("logs?kind=call")) {
		seen.request(t, p, "GET", "/api/v1/admin/calls/"+id, admin, "", nil)
	}
	seen.want(t, "GET /metrics", `sallyport_token_renewals_total{service="hubspot",success="false"}`)
	if strings.Contains(seen.last("GET /metrics"), "acme") { // R6.3: a tenant is no label
		t.Error("the figures name a tenant")
	}
	endAll(t, seen, p, admin, plans, database)
	if err := p.Abort(); err != nil || !strings.Contains(p.Log(), "goroutine ") {
		t.Errorf("it did not crash: %v", err)
	}
	seen.add("log", []byte(p.Log()))
	files, err := filepath.Glob(database + "*")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen.add(filepath.Base(file), b)
	}
	seen.search(t, map[string]string{
		"client secret": clientSecret, "code": code, "access token": access, "refresh token": refresh, "good key": goodKey, "bad key": badKey, "next key": nextKey,
		"admin key": admin,
	})
	if len(seen.places) < 30 {
		t.Errorf("only %d places were looked at", len(seen.places))
	}
}

var asJSON = map[string]string{"Content-Type": "application/json"}

// want fails the test where the last answer of a path does not hold a text: then
// the way there was not gone.
func (e *evidence) want(t *testing.T, path, text string) {
	t.Helper()
	if got := e.last(path); !strings.Contains(got, text) {
		t.Fatalf("%s answered without %q: %s", path, text, got)
	}
}

// connectKeys connects with keys that work and that do not, over the API and on
// our page.
func connectKeys(t *testing.T, seen *evidence, p *gateway.Process, admin string) {
	t.Helper()
	const start = "/api/v1/integrations/sendgrid/connect"
	seen.request(t, p, "POST", start, admin, `{"tenant":"acme","secrets":{"api_key":"`+badKey+`"}}`, asJSON)
	seen.want(t, start, "credential_refused")
	seen.request(t, p, "POST", start, admin, `{"tenant":"acme","secrets":{"`+badKey+`":"x"},"variables":{"x":"`+goodKey+`"}}`, asJSON)
	seen.request(t, p, "POST", start, admin, `{"tenant":"acme","secrets":["`+badKey+`"]}`, asJSON)
	seen.request(t, p, "POST", start, admin, `{"tenant":"acme","secrets":{"api_key":"`+goodKey+`"`, asJSON)
	seen.request(t, p, "POST", start, admin, `{"tenant":"acme"}`, asJSON)
	page, err := url.Parse(between(seen.last(start), `"url":"`, `"`))
	if err != nil || !strings.HasPrefix(page.Path, "/connect/") {
		t.Fatalf("no page: %v, %v", page, err)
	}
	seen.request(t, p, "GET", page.Path, "", "", nil)
	for _, key := range []string{badKey, badKey + "\n" + goodKey, goodKey} {
		seen.request(t, p, "POST", page.Path, "", url.Values{"api_key": {key}, "other": {goodKey}}.Encode(), map[string]string{"Sec-Fetch-Site": "same-origin"})
	}
	seen.want(t, page.Path, "Connected")
	seen.request(t, p, "POST", page.Path, "", url.Values{"api_key": {goodKey}}.Encode(), map[string]string{"Sec-Fetch-Site": "cross-site"})
	seen.request(t, p, "GET", "/api/v1/integrations/sendgrid/proxy/v3/templates", admin, "", map[string]string{"Sallyport-Tenant": "acme"})
}

// connectOAuth is told no, brings a code that is none and one that is, makes a
// call that is refused, and renews in vain.
func connectOAuth(t *testing.T, seen *evidence, p *gateway.Process, admin string) {
	t.Helper()
	const start = "/api/v1/integrations/hubspot/connect"
	for _, answer := range []url.Values{
		{"error": {"access_denied"}, "error_description": {said}}, {"code": {code + "-bad"}}, {"code": {code}, "state": {"made-up"}}, {"code": {code + "-good"}},
	} {
		seen.request(t, p, "POST", start, admin, `{"tenant":"acme","return_url":"http://127.0.0.1:1/done"}`, asJSON)
		at, err := url.Parse(strings.ReplaceAll(between(seen.last(start), `"url":"`, `"`), `\u0026`, "&"))
		if err != nil || at.Query().Get("state") == "" {
			t.Fatalf("sent to %v: %v", at, err)
		}
		if !answer.Has("state") {
			answer.Set("state", at.Query().Get("state"))
		}
		seen.request(t, p, "GET", "/oauth/callback?"+answer.Encode(), "", "", nil)
	}
	seen.request(t, p, "GET", "/api/v1/integrations/hubspot/status", admin, "", nil)
	seen.want(t, "hubspot/status", `"state":"connected"`)
	for range 2 {
		seen.request(t, p, "GET", "/api/v1/integrations/hubspot/proxy/crm/v3/objects/contacts", admin, "", map[string]string{"Sallyport-Tenant": "acme"})
	}
	seen.request(t, p, "GET", "/api/v1/integrations/hubspot/status", admin, "", nil)
	seen.want(t, "hubspot/status", `"state":"needs_reauth"`)
}

// endAll replaces, leaks, disconnects and erases, from the command line and over
// the API.
func endAll(t *testing.T, seen *evidence, p *gateway.Process, admin, plans, database string) {
	t.Helper()
	env := []string{"SALLYPORT_KEY=" + admin, "SALLYPORT_GATEWAY=" + p.URL(""), "SALLYPORT_PLANS=" + plans, "SALLYPORT_DATABASE=sqlite:" + database, "CLIENT_ID=our-app", "CLIENT_SECRET=" + clientSecret}
	id := func(service string) string {
		return between(between(seen.last(service+"/status"), `"connections":`, "]"), `"id":"`, `"`)
	}
	const replace = "/api/v1/integrations/sendgrid/secrets"
	for _, key := range []string{badKey, nextKey} {
		seen.request(t, p, "POST", replace, admin, `{"connection":"`+id("sendgrid")+`","secrets":{"api_key":"`+key+`"}}`, asJSON)
	}
	seen.want(t, replace, `"state":"connected"`)
	for _, args := range [][]string{
		{"connections", "list", "hubspot"},
		{"connections", "show", "sendgrid", id("sendgrid")},
		{"connections", "list", "sendgrid", "--output", "json"},
		{"secrets", "leaked", "--connection", id("sendgrid")},
		{"secrets", "leaked", "hubspot", "client_secret"},
		{"secrets", "leaked", "hubspot", clientSecret},
		{"secrets", "leaked", clientSecret},
		{"secrets", "leaked", "hubspot", "client_secret", "--fingerprint", clientSecret},
		{"secrets", "list"},
		{"connections", "disconnect", "hubspot", id("hubspot")},
	} {
		command(t, seen.add, env, args...)
	}
	seen.request(t, p, "POST", "/api/v1/integrations/sendgrid/connect", admin, `{"tenant":"acme","secrets":{"api_key":"`+nextKey+`"}}`, asJSON)
	seen.want(t, "sendgrid/connect", "marked as leaked")
	command(t, seen.add, env, "tenants", "erase", "acme", "--yes", "--gateway", p.URL(""))
	seen.want(t, "tenants erase", `"sha256"`)
}

func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	found, _, _ := strings.Cut(rest, after)
	return found
}
