package sallyport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport"
)

// The Redis client sleeps a little before it looks at the cluster anew, also when
// it was closed meanwhile; that goroutine ends by itself.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"))
}

const (
	apiKey        = "sk_test_canary"
	webhookSecret = "whsec_canary"
)

// planText is a plan for SERVICE at BASE whose one event goes to nobody yet.
const planText = `
sallyport: 1
service: SERVICE
uses: stripe
need: Charge customers.
environments:
  development: {base_url: "BASE", secrets: {api_key: "KEY", webhook_secret: "env:WEBHOOK_SECRET"}}
auth: {use: api_key}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Show the payer., effect: read}
mappings: {}
webhooks:
  events:
    invoice.paid: {from: data.object}
`

// write makes a plan file in folder out of planText; changes are pairs of old
// and new.
func write(t testing.TB, folder, name string, changes ...string) {
	t.Helper()
	text := strings.NewReplacer(append(changes, "SERVICE", "stripe", "BASE", "http://127.0.0.1:1", "KEY", "env:API_KEY")...).Replace(planText)
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func lookup(name string) (string, bool) {
	v, ok := map[string]string{"API_KEY": apiKey, "WEBHOOK_SECRET": webhookSecret, "LIVE": "sk_live_canary"}[name]
	return v, ok
}

// configure is the Config of one plan, written with changes.
func configure(t testing.TB, changes ...string) sallyport.Config {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, "stripe.yaml", changes...)
	return sallyport.Config{
		Plans: folder, Database: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), LookupEnv: lookup,
		Log: slog.New(slog.DiscardHandler), Dice: func() float64 { return 0 },
	}
}

// start makes an App that is closed at the end of the test.
func start(t testing.TB, c sallyport.Config) *sallyport.App {
	t.Helper()
	app, err := sallyport.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return app
}

func ignore(context.Context, sallyport.Event) error { return nil }

// R2.11, R9.3: one start names everything that is wrong with every plan, shows
// no secret, and makes no database.
func TestNewListsEveryProblem(t *testing.T) {
	t.Parallel()
	c := configure(t)
	write(t, c.Plans, "a-broken.yaml", "service: SERVICE", "service: broken\ncolour: red", "effect: read", "effect: reed")
	write(t, c.Plans, "b-missing.yaml", "SERVICE", "missing", "KEY", "env:NOT_SET")
	write(t, c.Plans, "c-live.yaml", "SERVICE", "live", "KEY", "env:LIVE")
	write(t, c.Plans, "zz-twice.yaml")
	_, err := sallyport.New(t.Context(), c)
	if err == nil {
		t.Fatal("it starts")
	}
	for _, want := range []string{
		"a-broken.yaml:4:1", "endpoints.get_customer.effect", "env:NOT_SET", "live: environments.development.secrets.api_key holds a live key",
		`zz-twice.yaml: service "stripe" stands in`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %s in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is shown: %v", err)
	}
	if _, err := os.Stat(strings.TrimPrefix(c.Database, "sqlite:")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the database: %v, want none", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*sallyport.Config){
		"no folder of plans":                func(c *sallyport.Config) { c.Plans = "" },
		"sallyport plan stripe":             func(c *sallyport.Config) { c.Plans = filepath.Join(c.Plans, "nowhere") },
		`no environment "staging"`:          func(c *sallyport.Config) { c.Environment = "staging" },
		"want sqlite:PATH":                  func(c *sallyport.Config) { c.Database = "mysql://x" },
		"Workers must not be negative":      func(c *sallyport.Config) { c.Workers = -1 },
		"create the folder first":           func(c *sallyport.Config) { c.Database = "sqlite:" + filepath.Join(c.Plans, "no", "x.db") },
		"write one with: sallyport plan st": func(c *sallyport.Config) { c.Plans = filepath.Dir(strings.TrimPrefix(c.Database, "sqlite:")) },
	} {
		c := configure(t)
		change(&c)
		if _, err := sallyport.New(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestOn(t *testing.T) {
	t.Parallel()
	app := start(t, configure(t))
	for _, c := range []struct {
		service, event, want string
		handler              func(context.Context, sallyport.Event) error
	}{
		{"strip", "invoice.paid", `no plan for "strip"; there is stripe`, ignore},
		{"stripe", "invoice.payed", `does not use the event "invoice.payed"; it uses invoice.paid`, ignore},
		{"stripe", "invoice.paid", "the handler is nil", nil},
	} {
		if err := app.On(c.service, c.event, c.handler); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.service, c.event, err, c.want)
		}
	}
	if err := app.On("stripe", "invoice.paid", ignore); err != nil {
		t.Error(err)
	}
	if err := app.On("stripe", "invoice.paid", ignore); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second handler: %v", err)
	}
}

// R2.1, R9.3: the client puts the plan's credential on, and leaves no
// connection behind.
func TestClient(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 1)
	provider := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/customers/cus_1" || r.Header.Get("Authorization") != "Bearer "+apiKey {
			t.Errorf("the provider got %s %v", r.URL, r.Header)
		}
		_, _ = io.WriteString(w, `{"id":"cus_1"}`)
	}))
	provider.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	provider.Start()
	defer provider.Close()
	app := start(t, configure(t, "BASE", provider.URL))
	if _, err := app.Client("strip", "acme"); err == nil || !strings.Contains(err.Error(), `no plan for "strip"; there is stripe`) {
		t.Errorf("an unknown service: %v", err)
	}
	client, err := app.Client("stripe", "acme")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := get(t, client); status != http.StatusOK || body != `{"id":"cus_1"}` {
		t.Errorf("%d %s", status, body)
	}
	if err := app.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection to the provider is still open")
	}
}

// get asks for a customer through a client of Stripe.
func get(t testing.TB, client *http.Client) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.stripe.com/v1/customers/cus_1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// R2.9: a rotated secret is in use at once; one that can't be read leaves the
// old one in use.
func TestReloadSecrets(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	provider := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") }))
	defer provider.Close()
	file := filepath.Join(t.TempDir(), "key")
	rotate := func(key string) {
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rotate("sk_test_old")
	app := start(t, configure(t, "BASE", provider.URL, "KEY", "file:"+file))
	client, err := app.Client("stripe", "")
	if err != nil {
		t.Fatal(err)
	}
	uses := func(want string) {
		t.Helper()
		get(t, client)
		if key := <-got; key != "Bearer "+want {
			t.Errorf("the provider got %q, want %s", key, want)
		}
	}
	uses("sk_test_old")
	rotate("sk_test_new")
	uses("sk_test_old")
	if err := app.ReloadSecrets(); err != nil {
		t.Error(err)
	}
	uses("sk_test_new")
	rotate("")
	if err := app.ReloadSecrets(); err == nil || !strings.Contains(err.Error(), "stripe: environments.development.secrets.api_key") || !strings.Contains(err.Error(), "empty") {
		t.Errorf("an empty file: %v", err)
	}
	uses("sk_test_new")
}

// R4.2, R4.17: a key that is refused is read again, and where there is another
// the call is tried once more with it; where there is none it is not.
func TestRefusedSecretIsReadAgain(t *testing.T) {
	t.Parallel()
	var asked []string
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if r.Header.Get("Authorization") != "Bearer sk_test_new" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer provider.Close()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("sk_test_old"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := configure(t, "BASE", provider.URL, "KEY", "file:"+file)
	began := time.Now()
	var passed atomic.Int64
	c.Now = func() time.Time { return began.Add(time.Duration(passed.Load())) }
	app := start(t, c)
	client, err := app.Client("stripe", "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is refused in the same second, and nothing is read
		if status, _ := get(t, client); status != http.StatusUnauthorized {
			t.Errorf("answered %d", status)
		}
		if err := os.WriteFile(file, []byte("sk_test_new"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	passed.Store(int64(time.Second))
	if status, _ := get(t, client); status != http.StatusOK {
		t.Errorf("answered %d with a new key in the file", status)
	}
	if got := strings.Join(asked, " "); got != "sk_test_old sk_test_old sk_test_old sk_test_new" {
		t.Errorf("asked with %s", got)
	}
}

func Example() {
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s of %s", r.URL.Path, r.Header.Get("Authorization")[:14])
	}))
	defer provider.Close()
	folder, err := os.MkdirTemp("", "sallyport")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	text := strings.NewReplacer("SERVICE", "stripe", "BASE", provider.URL, "KEY", "env:API_KEY").Replace(planText)
	if err := os.WriteFile(filepath.Join(folder, "stripe.yaml"), []byte(text), 0o600); err != nil {
		panic(err)
	}

	app, err := sallyport.New(context.Background(), sallyport.Config{
		Plans: folder, Database: "sqlite:" + filepath.Join(folder, "app.db"), LookupEnv: lookup, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	defer app.Close()
	if err := app.On("stripe", "invoice.paid", func(_ context.Context, e sallyport.Event) error {
		fmt.Println(e.ExternalID, "is paid")
		return nil
	}); err != nil {
		panic(err)
	}
	client, err := app.Client("stripe", "acme")
	if err != nil {
		panic(err)
	}
	resp, err := client.Get("https://api.stripe.com/v1/customers/cus_1")
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println(app.Services(), resp.StatusCode, string(body))
	// Output: [stripe] 200 /v1/customers/cus_1 of Bearer sk_test
}
