// Package canary plants known secrets in every place a secret can stand, drives
// the gateway through success and failure, and looks for them in everything it
// writes: logs, answers, errors, the database's files, the documents.
package canary

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/test/gateway"
)

func TestMain(m *testing.M) {
	code := m.Run()
	gateway.Clean()
	os.Exit(code)
}

// The planted secrets. Each contains "canary", so that any part of one that
// shows can be found.
const (
	apiKey        = "sk_test_canary1provider"
	webhookSecret = "whsec_canary2webhook"
	oldSecret     = "whsec_canary3previous"
	appSecret     = "canary4destination"
)

const canaryPlan = `sallyport: 1
service: stripe
uses: stripe
need: Keep secrets.
environments:
  development:
    base_url: %[1]s
    secrets:
      api_key: env:KEY
      webhook_secret: [env:SECRET, env:OLD_SECRET]
auth: {use: api_key}
endpoints:
  create_customer:
    call: POST /v1/customers
    purpose: Make one.
    effect: create
    idempotency: {header: Idempotency-Key, keep: 24h}
  get_customer: {call: "GET /v1/customers/{customer}", purpose: Read one., effect: read, timeout: 200ms}
errors:
  5xx: {retry: 1, backoff: [10ms], then: keep}
  timeout: {retry: 1, backoff: [10ms], then: keep}
  network: {retry: 1, backoff: [10ms], then: keep}
webhooks:
  events:
    invoice.paid: {from: data.object, to: app}
destinations:
  app: {url: "%[2]s/in", secret: env:APP_SECRET}
`

// hostile is a provider that echoes the credential in every error, as badly
// written ones do, and fails in several ways.
func hostile() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/customers", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		switch r.Form.Get("email") {
		case "denied":
			echo(w, r, http.StatusUnauthorized)
		case "broken":
			echo(w, r, http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"id":"cus_1","object":"customer"}`)
		}
	})
	mux.HandleFunc("/v1/customers/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/v1/customers/cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	return mux
}

func echo(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":"bad_key","message":"the key %s is not good"}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
}

// R0.7, R2.10: no secret in any log, error, answer, page or database file.
func TestNoSecretShows(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(hostile())
	defer provider.Close()
	delivered := make(chan struct{}, 10)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
		delivered <- struct{}{}
	}))
	defer app.Close()
	dir := t.TempDir()
	plans, database := filepath.Join(dir, "plans"), filepath.Join(dir, "canary.db")
	if err := os.Mkdir(plans, 0o755); err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(plans, "stripe.yaml")
	if err := os.WriteFile(plan, fmt.Appendf(nil, canaryPlan, provider.URL, app.URL), 0o644); err != nil {
		t.Fatal(err)
	}
	seen := &evidence{}
	admin := strings.TrimSpace(command(t, seen.ignore, nil, "keys", "new", "--name", "canary", "--scope", "admin", "--database", "sqlite:"+database))
	p := gateway.Start(t, gateway.Options{
		Plans: plans, Database: database, Args: []string{"--log-level", "debug"},
		Env: []string{"KEY=" + apiKey, "SECRET=" + webhookSecret, "OLD_SECRET=" + oldSecret, "APP_SECRET=" + appSecret},
	})
	drive(t, seen, p, admin)
	select {
	case <-delivered:
	case <-time.After(20 * time.Second):
		t.Fatalf("the signed event was not delivered:\n%s", p.Log())
	}
	look(t, seen, p, admin)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	seen.add("log", []byte(p.Log()))
	files, err := filepath.Glob(database + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no database files: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		seen.add(filepath.Base(file), b)
	}
	command(t, seen.add, nil, "document", plan)
	command(t, seen.add, nil, "document", plan, "--format", "html")
	command(t, seen.add, nil, "review", plan, "--format", "json")
	command(t, seen.add, nil, "keys", "list", "--database", "sqlite:"+database)
	seen.search(t, map[string]string{"api key": apiKey, "webhook secret": webhookSecret, "old secret": oldSecret, "destination secret": appSecret, "admin key": admin})
	if len(seen.places) < 20 {
		t.Errorf("only %d places were looked at", len(seen.places))
	}
}

// A secret written where a reference belongs must not be shown by the error
// about it.
func TestMisplacedSecretIsNotShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plan := strings.Replace(fmt.Sprintf(canaryPlan, "http://127.0.0.1:1", "http://127.0.0.1:1"), "env:KEY", apiKey, 1)
	plan = strings.Replace(plan, "env:APP_SECRET", `"`+appSecret+`"`, 1)
	file := filepath.Join(dir, "stripe.yaml")
	if err := os.WriteFile(file, []byte(plan), 0o644); err != nil {
		t.Fatal(err)
	}
	seen := &evidence{}
	for _, args := range [][]string{{"review", file}, {"document", file}, {"serve", "--plans", dir, "--database", "sqlite:" + filepath.Join(dir, "x.db")}} {
		command(t, seen.add, nil, args...)
	}
	if !strings.Contains(seen.all(), "secrets.api_key") {
		t.Errorf("the error does not name the place:\n%s", seen.all())
	}
	seen.search(t, map[string]string{"api key": apiKey, "destination secret": appSecret})
}

// R2.11: a live key in development stops the start and is not shown.
func TestLiveKeyIsNotShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "stripe.yaml"), fmt.Appendf(nil, canaryPlan, "http://127.0.0.1:1", "http://127.0.0.1:1"), 0o644); err != nil {
		t.Fatal(err)
	}
	seen := &evidence{}
	live := "sk_live_canary5live"
	out := command(t, seen.add, []string{"KEY=" + live, "SECRET=" + webhookSecret}, "serve", "--plans", dir, "--environment", "development", "--database", "sqlite:"+filepath.Join(dir, "x.db"))
	for _, want := range []string{"holds a live key", "OLD_SECRET is not set", "APP_SECRET is not set"} {
		if !strings.Contains(out, want) {
			t.Errorf("the start does not say %q:\n%s", want, out)
		}
	}
	seen.search(t, map[string]string{"live key": live, "webhook secret": webhookSecret})
}

// drive makes calls that go well and badly, and sends webhooks of all sorts.
func drive(t *testing.T, seen *evidence, p *gateway.Process, admin string) {
	t.Helper()
	proxy := "/api/v1/integrations/stripe/proxy"
	for _, email := range []string{"fine", "denied", "broken"} {
		seen.request(t, p, "POST", proxy+"/v1/customers", admin, url.Values{"email": {email}}.Encode(), nil)
	}
	seen.request(t, p, "POST", "/api/v1/integrations/stripe/endpoints/create_customer", admin, `{"tenant":"acme","body":{"email":"denied"}}`, map[string]string{"Content-Type": "application/json"})
	seen.request(t, p, "GET", proxy+"/v1/customers/slow", admin, "", nil)
	seen.request(t, p, "GET", proxy+"/v1/customers/cut", admin, "", nil)
	seen.request(t, p, "GET", proxy+"/v1/customers/1?api_key="+apiKey, "sp_wrong", "", nil)
	seen.request(t, p, "GET", "/nowhere", "", "", nil)

	payload := fmt.Appendf(nil, `{"id":"evt_1","object":"event","type":"invoice.paid","created":%d,"data":{"object":{"id":"in_1"}}}`, time.Now().Unix())
	good := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: oldSecret})
	forged := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: "whsec_other"})
	stale := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: webhookSecret, Timestamp: time.Now().Add(-time.Hour)})
	for _, signature := range []string{forged.Header, stale.Header, "", "t=1,v1=zz", good.Header} {
		// A sender that, by mistake, puts our secrets into other headers.
		seen.request(t, p, "POST", "/api/webhooks/stripe", webhookSecret, string(payload), map[string]string{
			"Stripe-Signature": signature, "Content-Type": "application/json", "Cookie": "k=" + apiKey,
		})
	}
	seen.request(t, p, "POST", "/api/webhooks/stripe", "", strings.Repeat("x", 2_000_000), nil)
}

// look reads everything the API shows.
func look(t *testing.T, seen *evidence, p *gateway.Process, admin string) {
	t.Helper()
	for _, path := range []string{
		"/api/v1/integrations", "/api/v1/integrations/stripe/status", "/healthz", "/readyz", "/openapi.json", "/metrics",
		"/api/v1/admin/integrations/stripe/logs?kind=event", "/api/v1/admin/integrations/stripe/logs?kind=call&limit=500",
	} {
		seen.request(t, p, "GET", path, admin, "", nil)
	}
	seen.want(t, "GET /metrics", `sallyport_webhooks_total{service="stripe",verdict="received"}`)
	for _, id := range ids(seen.last("logs?kind=call")) {
		seen.request(t, p, "GET", "/api/v1/admin/calls/"+id, admin, "", nil)
	}
	for _, id := range ids(seen.last("logs?kind=event")) {
		seen.request(t, p, "GET", "/api/v1/admin/events/"+id, admin, "", nil)
	}
}

func ids(list string) []string {
	var out []string
	for _, part := range strings.Split(list, `"id":"`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		out = append(out, id)
	}
	return out
}

// evidence is everything the program wrote.
type evidence struct {
	places []place
}

type place struct {
	name string
	data []byte
}

func (e *evidence) add(name string, data []byte) {
	e.places = append(e.places, place{name, data})
}

// ignore is for the one output that must show a secret: a new key, once.
func (*evidence) ignore(string, []byte) {}

func (e *evidence) last(part string) string {
	for i := len(e.places) - 1; i >= 0; i-- {
		if strings.Contains(e.places[i].name, part) {
			return string(e.places[i].data)
		}
	}
	return ""
}

func (e *evidence) all() string {
	var b strings.Builder
	for _, p := range e.places {
		b.Write(p.data)
	}
	return b.String()
}

// request keeps the whole answer, header and body. The proxy hands a provider's
// own answer back as it came; what the provider put into it is not ours.
func (e *evidence) request(t *testing.T, p *gateway.Process, method, path, key, body string, header map[string]string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		e.add(method+" "+path, []byte(strings.ReplaceAll(err.Error(), apiKey, ""))) // the client's own words about its own URL
		return
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Fatal(err)
	}
	if strings.Contains(path, "/proxy/") && answer.Header.Get("Content-Type") == "application/json" {
		b = nil
	}
	e.add(method+" "+path, fmt.Appendf(b, "\n%v", answer.Header))
}

// search looks for every secret, plain and as it may be encoded.
func (e *evidence) search(t *testing.T, secrets map[string]string) {
	t.Helper()
	for what, secret := range secrets {
		forms := map[string]string{
			"plain": secret, "hex": hex.EncodeToString([]byte(secret)), "base64": base64.StdEncoding.EncodeToString([]byte(secret)),
			"basic": base64.StdEncoding.EncodeToString([]byte(secret + ":")), "query": url.QueryEscape(secret),
		}
		for form, text := range forms {
			for _, p := range e.places {
				if i := bytes.Index(p.data, []byte(text)); i >= 0 {
					t.Errorf("the %s (%s) shows in %s: …%s…", what, form, p.name, p.data[max(0, i-80):min(len(p.data), i+60)])
				}
			}
		}
	}
}

// command runs the binary to its end and keeps what it prints.
func command(t *testing.T, keep func(string, []byte), env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, gateway.Binary(t), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil && ctx.Err() != nil {
		t.Fatalf("%v did not end", args)
	}
	keep(strings.Join(args, " "), append(bytes.Clone(out), errOut.Bytes()...))
	if len(out) == 0 {
		return errOut.String()
	}
	return string(out)
}
