package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v85"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	apiKey        = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
	webhookSecret = "whsec_sandbox_test"
)

// stripeFiles reads the embedded document and its samples once for all tests.
var stripeFiles = sync.OnceValues(func() (*openapi.Document, []byte) {
	read := func(name string) []byte {
		f, err := catalog.OpenDocument(name)
		if err != nil {
			panic(err)
		}
		defer f.Close()
		data, err := io.ReadAll(f)
		if err != nil {
			panic(err)
		}
		return data
	}
	doc, err := openapi.Read(read("stripe/spec3.json.gz"))
	if err != nil {
		panic(err)
	}
	return doc, read("stripe/fixtures3.json.gz")
})

func stripePlan(t *testing.T) *plan.Plan {
	t.Helper()
	profile, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	return &plan.Plan{
		Service: "stripe", Uses: "stripe", Provider: profile, Auth: plan.Auth{Use: "api_key"},
		Endpoints: map[string]*plan.Endpoint{
			"create_customer": {Call: "POST /v1/customers", Effect: plan.EffectCreate},
			"get_customer":    {Call: "GET /v1/customers/{id}", Effect: plan.EffectRead},
		},
	}
}

func stripeConfig(t *testing.T) sandbox.Config {
	t.Helper()
	doc, fixtures := stripeFiles()
	return sandbox.Config{
		Plan: stripePlan(t), Document: doc, Fixtures: fixtures, Seed: 1,
		Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(apiKey)}, Webhook: integration.NewSecret(webhookSecret)},
	}
}

// bundle is a sandbox that listens.
type bundle struct {
	*sandbox.Sandbox
	url string
}

func start(t *testing.T, cfg sandbox.Config) bundle {
	t.Helper()
	s, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return bundle{s, server.URL}
}

// run sends the sandbox's events while the test lasts.
func (b bundle) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (b bundle) stripe(t *testing.T, key string) *stripe.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return stripe.NewClient(key, stripe.WithBackends(stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL: stripe.String(b.url), HTTPClient: &http.Client{Transport: transport}, MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, EnableTelemetry: stripe.Bool(false),
	})))
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

// do sends one request; extra holds header names and values in turn.
func (b bundle) do(t *testing.T, method, path, body string, extra ...string) reply {
	t.Helper()
	r, err := b.try(t, method, path, body, extra...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b bundle) try(t *testing.T, method, path, body string, extra ...string) (reply, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(extra); i += 2 {
		req.Header.Set(extra[i], extra[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	r := reply{status: resp.StatusCode, header: resp.Header, body: string(data)}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	_ = d.Decode(&r.json)
	return r, err
}

func (r reply) at(path string) any {
	var v any = r.json
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*sandbox.Config)
		want   string
	}{
		"plan":            {func(c *sandbox.Config) { c.Plan = nil }, "plan"},
		"profile":         {func(c *sandbox.Config) { c.Plan.Provider = nil }, "profile"},
		"document":        {func(c *sandbox.Config) { c.Document = nil }, "document"},
		"fixtures":        {func(c *sandbox.Config) { c.Fixtures = []byte("{") }, "fixtures"},
		"endpoint":        {func(c *sandbox.Config) { c.Plan.Endpoints["x"] = &plan.Endpoint{Call: "POST /v1/nothing"} }, `"POST /v1/nothing"`},
		"receiver":        {func(c *sandbox.Config) { c.WebhooksTo = "nowhere" }, "absolute URL"},
		"webhook secret":  {func(c *sandbox.Config) { c.WebhooksTo, c.Secrets.Webhook = "http://127.0.0.1:1", integration.Secret{} }, "webhook secret"},
		"fault":           {func(c *sandbox.Config) { c.Faults = []sandbox.Fault{{Endpoint: "*", Status: 200}} }, "fault 1"},
		"fault elsewhere": {func(c *sandbox.Config) { c.Faults = []sandbox.Fault{{Endpoint: "nowhere", Status: 500}} }, `"nowhere"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := stripeConfig(t)
			c.change(&cfg)
			if _, err := sandbox.New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v; want it to name %s", err, c.want)
			}
		})
	}
}
