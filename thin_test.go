package sallyport_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
)

const thinPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Know customers as they are.
environments:
  development: {base_url: "BASE", secrets: {api_key: "env:A", webhook_secret: "env:W"}}
auth: {use: api_key}
errors:
  5xx: {retry: never}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Read what an event is about., effect: read}
mappings:
  customer:
    - {external: id, internal: customerId, as: string}
    - {external: description, internal: note, as: string, missing: "null"}
webhooks:
  events:
    customer.updated: {map: customer, to: app, fetch: {endpoint: get_customer, path: {id: "json:data.object.id"}}}
destinations:
  app: {url: "APP", secret: "env:S"}
`

// thin is a gateway between the stand-in of a provider and an application.
type thin struct {
	box      *sandbox.Sandbox
	base     string // of the provider
	arrivals chan rawDelivery
	store    string // the database
}

func startThin(t *testing.T) *thin {
	t.Helper()
	const key, secret = "sk_test_thin_4242", "whsec_thin"
	f := &thin{arrivals: make(chan rawDelivery, 10), store: "sqlite:" + filepath.Join(t.TempDir(), "s.db")}
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.arrivals <- rawDelivery{r.Header, body}
	}))
	t.Cleanup(app.Close)
	var stand http.Handler
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { stand.ServeHTTP(w, r) }))
	t.Cleanup(provider.Close)
	f.base = provider.URL
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("BASE", provider.URL, "APP", app.URL).Replace(thinPlan)
	p, err := plan.Parse("stripe.yaml", []byte(text), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	data, err := catalog.ReadDocument("stripe/spec3.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := catalog.ReadDocument("stripe/fixtures3.json")
	if err != nil {
		t.Fatal(err)
	}
	f.box, err = sandbox.New(sandbox.Config{
		Plan: p, Document: doc, Fixtures: fixtures, Seed: 1, WebhooksTo: "http://" + listener.Addr().String() + "/api/webhooks/stripe",
		Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(key)}, Webhook: integration.NewSecret(secret)},
	})
	if err != nil {
		t.Fatal(err)
	}
	stand = f.box
	plans := t.TempDir()
	if err := os.WriteFile(filepath.Join(plans, "stripe.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway := start(t, sallyport.Config{
		Plans: plans, Database: f.store, Log: slog.New(slog.DiscardHandler), Redelivery: []time.Duration{time.Millisecond, time.Millisecond},
		LookupEnv: func(name string) (string, bool) {
			v, ok := map[string]string{"A": key, "W": secret, "S": "signs"}[name]
			return v, ok
		},
	})
	serveThin(t, gateway, listener)
	return f
}

func serveThin(t *testing.T, app *sallyport.App, l net.Listener) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- app.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := await(t, ended); err != nil {
			t.Error(err)
		}
	})
}

// customer makes one at the provider.
func (f *thin) customer(t *testing.T, description string) (id string) {
	t.Helper()
	form := url.Values{"description": {description}}.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.base+"/v1/customers", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk_test_thin_4242")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if id = gjson.GetBytes(body, "id").String(); id == "" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	return id
}

// emit sends customer.updated with the fields changed.
func (f *thin) emit(t *testing.T, id string, fields map[string]any) {
	t.Helper()
	e, err := f.box.Emit(t.Context(), "customer.updated", sandbox.EmitOptions{ID: id, Object: fields})
	if err != nil || !e.Accepted {
		t.Fatalf("%+v, %v", e, err)
	}
}

// event is the one of that type as it is kept, once it is done.
func (f *thin) event(t *testing.T) (e integration.Event, tries []integration.Delivery) {
	t.Helper()
	store := open(t, sallyport.Config{Database: f.store})
	defer store.Close()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		list, _, err := store.Events(t.Context(), integration.Filter{Service: "stripe", Type: "customer.updated", Limit: 10})
		if err != nil || len(list) != 1 {
			t.Fatalf("%d events, %v", len(list), err)
		}
		if e, tries, err = store.Event(t.Context(), list[0].ID); err != nil {
			t.Fatal(err)
		}
		if e.Status == integration.EventProcessed || e.Status == integration.EventFailed {
			return e, tries
		}
	}
	t.Fatalf("the event is %s: %s", e.Status, e.Error)
	return e, tries
}

// R5.13: what is delivered is the resource as it is now, read with the plan's own
// credential; what was read is not kept beside the event.
func TestThinEventIsFetched(t *testing.T) {
	t.Parallel()
	f := startThin(t)
	id := f.customer(t, "as it is now")
	f.emit(t, id, map[string]any{"description": "as it was then"})
	d := arrived(t, f.arrivals)
	if got := gjson.GetBytes(d.body, "data").Raw; got != `{"customerId":"`+id+`","note":"as it is now"}` || gjson.GetBytes(d.body, "sallyportgone").Exists() {
		t.Errorf("delivered %s", d.body)
	}
	e, tries := f.event(t)
	if e.Status != integration.EventProcessed || len(tries) != 1 || !strings.Contains(string(e.Payload), "as it was then") || strings.Contains(string(e.Payload), "as it is now") {
		t.Errorf("kept: %s %s", e.Status, e.Payload)
	}
}

// R5.13: what is gone at the provider is delivered as it came, unmapped, and says
// so.
func TestThinEventOfSomethingGone(t *testing.T) {
	t.Parallel()
	f := startThin(t)
	f.emit(t, "", map[string]any{"id": "cus_gone"})
	d := arrived(t, f.arrivals)
	if !gjson.GetBytes(d.body, "sallyportgone").Bool() || gjson.GetBytes(d.body, "data.data.object.id").String() != "cus_gone" {
		t.Errorf("delivered %s", d.body)
	}
	if e, tries := f.event(t); e.Status != integration.EventProcessed || len(tries) != 1 {
		t.Errorf("%s after %d attempts: %s", e.Status, len(tries), e.Error)
	}
}

// R5.13: a call that fails is a failed attempt of the event with the call's
// reason. Nothing half-read is delivered, and the schedule goes on.
func TestThinEventThatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := startThin(t)
	id := f.customer(t, "as it is now")
	if err := f.box.SetFaults([]sandbox.Fault{{Endpoint: "get_customer", First: 1, Status: http.StatusInternalServerError}}); err != nil {
		t.Fatal(err)
	}
	f.emit(t, id, nil)
	d := arrived(t, f.arrivals)
	if gjson.GetBytes(d.body, "data.note").String() != "as it is now" {
		t.Errorf("delivered %s", d.body)
	}
	e, tries := f.event(t)
	if e.Status != integration.EventProcessed || len(tries) != 2 || len(f.arrivals) != 0 {
		t.Fatalf("%s after %d attempts, %d more deliveries", e.Status, len(tries), len(f.arrivals))
	}
	if first := tries[0]; first.State != integration.DeliveryRetrying || !strings.Contains(first.Error, "reading it by get_customer") || strings.Contains(first.Error, "sk_test") {
		t.Errorf("the first attempt: %+v", first)
	}
}

// R5.13: a provider that stays away uses the schedule up; nothing is delivered.
func TestThinEventIsGivenUp(t *testing.T) {
	t.Parallel()
	f := startThin(t)
	id := f.customer(t, "as it is now")
	if err := f.box.SetFaults([]sandbox.Fault{{Endpoint: "get_customer", Status: http.StatusInternalServerError}}); err != nil {
		t.Fatal(err)
	}
	f.emit(t, id, nil)
	e, tries := f.event(t)
	if e.Status != integration.EventFailed || len(tries) != 3 || len(f.arrivals) != 0 || !strings.Contains(e.Error, "given up after 3 attempts") {
		t.Errorf("%s after %d attempts, %d deliveries: %s", e.Status, len(tries), len(f.arrivals), e.Error)
	}
}
