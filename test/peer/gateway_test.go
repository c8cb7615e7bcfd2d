package peer

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store/sqlite"
)

// providerKey is the secret of every plan here. Only providers may see it.
const providerKey = "sk_test_123"

// gateway is one in this process.
type gateway struct {
	app     *sallyport.App
	key     string // of ours
	url     string
	address string // host:port
}

// start runs a gateway with one plan.
func start(t *testing.T, service, text string) *gateway {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, service+".yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(dir, "peer.db")
	store, err := sqlite.Open(t.Context(), database, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, record := api.NewKey("peer", integration.ScopeApp, time.Now())
	if err := store.CreateKey(t.Context(), record, integration.AuditEntry{ID: record.ID, At: time.Now(), Action: "key.create", Target: record.ID}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: dir, Database: "sqlite:" + database, Dice: func() float64 { return 0 }, // retries do not wait
		LookupEnv: func(name string) (string, bool) { return providerKey, name == "KEY" },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(app.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	return &gateway{app: app, key: secret.Reveal(), url: server.URL, address: strings.TrimPrefix(server.URL, "http://")}
}

// client is one for hosts such as stripe.localhost, which not every system
// resolves: it always goes to the gateway.
func (g *gateway) client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", g.address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// host is the base URL of the service at the gateway's own domain.
func (g *gateway) host(service string) string {
	_, port, _ := net.SplitHostPort(g.address)
	return "http://" + service + ".localhost:" + port
}

// upstream is a provider that counts, and fails when told.
type upstream struct {
	url     string
	mu      sync.Mutex
	asked   []string // method and path
	failing int      // so many requests are answered with 503
	leaked  []string // places our own key was seen at
}

// stand runs the sandbox of a plan's provider, made from its real document.
func stand(t *testing.T, text, document string) *upstream {
	t.Helper()
	p, err := plan.Parse("peer.yaml", fmt.Appendf(nil, text, "http://127.0.0.1:1"), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join("testdata", document))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sandbox.New(sandbox.Config{Plan: p, Document: doc, Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(providerKey)}}, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return watched(t, anyMethod(doc, s))
}

// anyMethod lets methods of an RPC API be called by POST where their document
// names GET, as Slack does: its document of 2021 names one of the two.
func anyMethod(doc *openapi.Document, next http.Handler) http.Handler {
	reads := map[string]bool{}
	for _, op := range doc.Operations {
		reads[op.Path] = reads[op.Path] || op.Method == http.MethodGet
	}
	for _, op := range doc.Operations {
		if op.Method == http.MethodPost {
			delete(reads, op.Path)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && reads[r.URL.Path] {
			form, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			r.Method, r.Body, r.ContentLength, r.URL.RawQuery = http.MethodGet, http.NoBody, 0, string(form)
		}
		next.ServeHTTP(w, r)
	})
}

func watched(t *testing.T, provider http.Handler) *upstream {
	t.Helper()
	u := &upstream{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the provider got half a body: %v", err)
		}
		if u.take(r, string(body)) {
			http.Error(w, `{"message":"down","error":{"type":"api_error","message":"down"}}`, http.StatusServiceUnavailable)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		provider.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		if len(u.leaked) > 0 {
			t.Errorf("the provider saw our key, or a caller's, in %q", u.leaked)
		}
	})
	u.url = server.URL
	return u
}

func (u *upstream) take(r *http.Request, body string) (fail bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, r.Method+" "+r.URL.Path)
	for name, value := range map[string]string{"header": fmt.Sprint(r.Header), "query": r.URL.RawQuery, "body": body} {
		if strings.Contains(value, "sp_") || strings.Contains(value, "from-the-plan") {
			u.leaked = append(u.leaked, r.Method+" "+r.URL.Path+" "+name)
		}
	}
	u.failing--
	return u.failing >= 0
}

// during counts the requests that arrive during do, the first so many of which
// fail.
func (u *upstream) during(failing int, do func()) []string {
	u.mu.Lock()
	u.failing, u.asked = failing, nil
	u.mu.Unlock()
	do()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.failing = 0
	return u.asked
}

// ours fails the test when an answer lacks our headers.
func ours(t *testing.T, what string, h http.Header, attempts string) {
	t.Helper()
	if h.Get("Sallyport-Call") == "" || h.Get("Sallyport-Attempts") != attempts {
		t.Errorf("%s: call %q after %q attempts, want %s", what, h.Get("Sallyport-Call"), h.Get("Sallyport-Attempts"), attempts)
	}
}
