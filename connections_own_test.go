package sallyport_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/sandbox"
)

const ownPlan = `
sallyport: 1
service: paypal
uses: paypal
need: Take payments.
environments:
  development: {base_url: "BASE", secrets: {client_id: env:CLIENT_ID, client_secret: env:CLIENT_SECRET}}
auth: {use: client_credentials, whose: app}
endpoints:
  list_products: {call: GET /v1/catalogs/products, purpose: Look., effect: read}
errors:
  5xx: {retry: never}
`

// R2.3, R4.2: with whose: app the gateway asks for one token with the plan's own
// secrets, every tenant's calls carry it, nobody connects anything, and no public
// address is needed.
func TestOneTokenForTheApp(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("paypal")
	if err != nil {
		t.Fatal(err)
	}
	var playing *sandbox.OAuth
	for _, a := range profile.Auth {
		if a.Kind == "client_credentials" {
			if playing, err = sandbox.NewOAuth(sandbox.OAuthConfig{Auth: a, Variables: profile.API.Variables, ClientID: "our-app", ClientSecret: "our-secret-canary"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var denied atomic.Int32
	third := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/catalogs/products" {
			playing.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if !playing.Live(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) {
			denied.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, `{"products":[]}`)
	}))
	defer third.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "paypal.yaml"), []byte(strings.ReplaceAll(ownPlan, "BASE", third.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(dir, "s.db")
	config := sallyport.Config{
		Plans: dir, Database: "sqlite:" + database, Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) {
			value, ok := map[string]string{"CLIENT_ID": "our-app", "CLIENT_SECRET": "our-secret-canary"}[name]
			return value, ok
		},
	}
	app, err := sallyport.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- app.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := app.Close(); err != nil {
			t.Error(err)
		}
		raw, err := os.ReadFile(database)
		if err != nil || strings.Contains(string(raw), "our-secret-canary") {
			t.Errorf("the client secret is in the database: %v", err)
		}
	}()
	var callers sync.WaitGroup
	for _, tenant := range []string{"acme", "globex", ""} {
		client, err := app.Client("paypal", tenant)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			callers.Go(func() {
				resp, err := client.Get("https://api-m.paypal.com/v1/catalogs/products")
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Error(resp, err)
					return
				}
				resp.Body.Close()
			})
		}
	}
	callers.Wait()
	if n := playing.Counts().Own; n != 1 || denied.Load() != 0 {
		t.Errorf("%d tokens were asked for, %d calls denied", n, denied.Load())
	}
	playing.Withdraw()
	client, err := app.Client("paypal", "acme")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get("https://api-m.paypal.com/v1/catalogs/products")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("after the token was withdrawn: %v %v", resp, err)
	}
	resp.Body.Close()
	if n := playing.Counts().Own; n != 2 {
		t.Errorf("%d tokens were asked for", n)
	}
	config.LookupEnv = func(string) (string, bool) { return "", false }
	config.Database = "sqlite:" + filepath.Join(dir, "other.db")
	if lacking, err := sallyport.New(t.Context(), config); err == nil || !strings.Contains(err.Error(), "CLIENT_ID") {
		t.Errorf("without the secrets: %v", err)
		if lacking != nil {
			_ = lacking.Close()
		}
	}
}
