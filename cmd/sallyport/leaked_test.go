package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

const leakPlans = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments:
  development: {base_url: "BASE", secrets: {api_key: "file:KEYFILE"}}
auth: {use: api_key}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Show the payer., effect: read}
errors: {5xx: {retry: never}}
---
sallyport: 1
service: sendgrid
uses: sendgrid
need: Send mail.
environments:
  development: {base_url: "BASE"}
auth: {use: api_key, whose: tenant}
endpoints:
  list_templates: {call: "GET /v3/templates", purpose: Look., effect: read}
errors: {5xx: {retry: never}}
`

// leaky is a gateway and the command line in front of it.
type leaky struct {
	url, key, database, plans, keyFile string
}

func newLeaky(t *testing.T) *leaky {
	t.Helper()
	dir := t.TempDir()
	l := &leaky{database: filepath.Join(dir, "s.db"), plans: filepath.Join(dir, "plans"), keyFile: filepath.Join(dir, "key.txt")}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.Header.Get("Authorization"), "wrong") {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(provider.Close)
	l.write(t, l.keyFile, "sk_test_canary_one")
	if err := os.Mkdir(l.plans, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, text := range strings.Split(leakPlans, "---\n") {
		l.write(t, filepath.Join(l.plans, []string{"stripe.yaml", "sendgrid.yaml"}[i]), strings.NewReplacer("BASE", provider.URL, "KEYFILE", l.keyFile).Replace(text))
	}
	app, err := sallyport.New(t.Context(), sallyport.Config{Plans: l.plans, Database: "sqlite:" + l.database, PublicURL: "https://sallyport.example.com", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(app.Handler())
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- app.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		stop()
		if err := errors.Join(<-ran, app.Close()); err != nil {
			t.Error(err)
		}
	})
	l.url = server.URL
	l.key = l.newKey(t)
	return l
}

func (l *leaky) newKey(t *testing.T) string {
	t.Helper()
	s, err := sqlite.Open(t.Context(), l.database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, key := api.NewKey("test", integration.ScopeAdmin, time.Now())
	if err := errors.Join(s.CreateKey(t.Context(), key, auditOf("key.create", key.ID, "")), s.Close()); err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

func (l *leaky) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command with something on standard input; nothing it prints may
// hold a secret.
func (l *leaky) run(t *testing.T, input string, args ...string) (out string, err error) {
	t.Helper()
	ui, stdout, stderr := typed(input, gatewayKey+"="+l.key, "SALLYPORT_GATEWAY="+l.url, "SALLYPORT_PLANS="+l.plans, "SALLYPORT_DATABASE=sqlite:"+l.database)
	root := newRoot(ui)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	out = stdout.String() + stderr.String()
	if err != nil {
		out += err.Error()
	}
	if strings.Contains(out, "canary") {
		t.Errorf("%v shows a secret:\n%s", args, out)
	}
	return out, err
}

func left(err error) bool {
	var exit *exitError
	return errors.As(err, &exit) && exit.code == 1 && exit.err == nil
}

// R2.9: a plan's secret that leaked is replaced, refused and reported; the exit
// code says whether a person has something left to do.
func TestSecretsLeakedOfPlan(t *testing.T) {
	t.Parallel()
	l := newLeaky(t)
	print := integration.NewSecret("sk_test_canary_one").Fingerprint()
	out, err := l.run(t, "sk_test_canary_one", "secrets", "leaked", "stripe", "api_key")
	if err == nil || left(err) || !strings.Contains(out, "nothing was done") {
		t.Errorf("the leaked value again: %v\n%s", err, out)
	}
	out, err = l.run(t, "", "secrets", "leaked", "stripe", "api_key")
	if !left(err) || !strings.Contains(out, print+" is marked as leaked") || !strings.Contains(out, "1. make a new api_key") || !strings.Contains(out, "2. revoke the leaked api_key") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = l.run(t, "", "secrets", "leaked", "stripe", "api_key", "--output", "json"); !left(err) || !json.Valid([]byte(out[:strings.LastIndex(out, "}")+1])) {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = l.run(t, "sk_test_canary_two\n", "secrets", "leaked", "stripe", "api_key", "--revoked")
	if err != nil || !strings.Contains(out, "is now "+integration.NewSecret("sk_test_canary_two").Fingerprint()) || !strings.Contains(out, "nothing is left to do") {
		t.Errorf("%v\n%s", err, out)
	}
	if b, err := os.ReadFile(l.keyFile); err != nil || string(b) != "sk_test_canary_two" {
		t.Errorf("the file was not replaced: %v", err)
	}
	if out, err := l.run(t, "", "secrets", "leaked", print); err != nil || !strings.Contains(out, "stripe") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := l.run(t, "", "secrets", "leaked", "--unmark", print); err != nil || !strings.Contains(out, "is used again") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, wrong := range [][]string{
		{"secrets", "leaked", "stripe", "nothing"},
		{"secrets", "leaked", "acme", "api_key"},
		{"secrets", "leaked", "--unmark", print},
		{"secrets", "leaked", "--unmark", "sk_test_x"},
		{"secrets", "leaked", "stripe", "api_key", "--connection", "c"},
		{"secrets", "leaked", "--connection", "nope"},
		{"secrets", "leaked", "stripe", "api_key", "--fingerprint", "sk_test_x"},
	} {
		if out, err := l.run(t, "", wrong...); err == nil || left(err) {
			t.Errorf("%v: %v\n%s", wrong, err, out)
		}
	}
}

// R2.7, R2.9: a connection's key is replaced; it leaks, and is ended; its tenant
// is erased over the gateway.
func TestSecretsOfConnection(t *testing.T) {
	t.Parallel()
	l := newLeaky(t)
	out, err := l.run(t, "SG.canary_one", "connections", "connect", "sendgrid", "--tenant", "acme", "--secret", "api_key")
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(out)
	if err != nil || id == "" {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err = l.run(t, "SG.wrong", "secrets", "replace", "sendgrid", "api_key", "--connection", id); err == nil || !strings.Contains(out, "does not take the credential") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = l.run(t, "SG.canary_two", "secrets", "replace", "sendgrid", "api_key", "--connection", id); err != nil || !strings.Contains(out, "is now "+integration.NewSecret("SG.canary_two").Fingerprint()) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = l.run(t, "", "secrets", "leaked", "--connection", id); !left(err) || !strings.Contains(out, "was ended") || !strings.Contains(out, "have acme connect again") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = l.run(t, "", "tenants", "erase", "acme", "--gateway", l.url); err == nil || !strings.Contains(out, "say --yes") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = l.run(t, "", "tenants", "erase", "acme", "--yes", "--gateway", l.url); err != nil || !strings.Contains(out, `"connections": 1`) || !strings.Contains(out, `"by": "key:`) {
		t.Errorf("%v\n%s", err, out)
	}
}
