package sallyport_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// shaken is one case of handshake/testdata/handshakes.yaml.
type shaken struct {
	Name        string            `yaml:"name"`
	Method      string            `yaml:"method"`
	URL         string            `yaml:"url"`
	Headers     map[string]string `yaml:"headers"`
	Body        string            `yaml:"body"`
	Config      map[string]string `yaml:"config"`
	Secret      string            `yaml:"secret"`
	None        bool              `yaml:"none"`
	Refused     bool              `yaml:"refused"`
	Status      int               `yaml:"status"`
	Type        string            `yaml:"type"`
	Want        string            `yaml:"want"`
	WantHeaders map[string]string `yaml:"want_headers"`
	Store       string            `yaml:"store"`
	Visit       string            `yaml:"visit"`

	service string
	facts   *catalog.Webhooks
	private string // what the provider signs with
}

// shakers are the catalog's profiles of each provider of the cases.
var shakers = map[string][]string{
	"microsoft_graph": {"microsoft-entra", "onedrive"}, "google_channels": {"google-calendar", "google-drive"},
	"facebook": {"meta-graph"}, "x_twitter": {"x"}, "whatsapp": {"whatsapp-cloud"},
}

func shakings(t *testing.T) (list []*shaken) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("handshake", "testdata", "handshakes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Provider string    `yaml:"provider"`
		Cases    []*shaken `yaml:"cases"`
	}
	if err := yaml.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 35 {
		t.Errorf("%d providers, want 35", len(all))
	}
	known, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, p := range all {
		ids := shakers[p.Provider]
		if ids == nil {
			ids = []string{strings.ReplaceAll(p.Provider, "_", "-")}
		}
		for _, id := range ids {
			tried[id] = true
			for n, c := range p.Cases {
				copied := *c
				copied.service = fmt.Sprintf("%s-case-%d", id, n)
				list = append(list, &copied)
			}
		}
	}
	for _, p := range known {
		if p.Webhooks != nil && len(p.Webhooks.Handshakes) > 0 && !tried[p.ID] {
			t.Errorf("the handshakes of %s are not tried", p.ID)
		}
	}
	return list
}

// furnish writes the plan of a case and its secrets.
func (c *shaken) furnish(t *testing.T, folder string, env map[string]string) {
	t.Helper()
	id, _, _ := strings.Cut(c.service, "-case-")
	profile, err := catalog.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	c.facts = profile.Webhooks
	use := "api_key"
	if len(profile.Auth) > 0 && !slices.ContainsFunc(profile.Auth, func(a catalog.Auth) bool { return a.Kind == use }) {
		use = profile.Auth[0].Kind
	}
	if c.facts.Verify.SignedContent == "{sns_canonical}" {
		c.Body = `{"Message":"m","MessageId":"1","Timestamp":"2026-11-24T09:00:00Z","Token":"t","TopicArn":"a","SignatureVersion":"1",` + strings.TrimPrefix(c.Body, "{")
	}
	public := c.keys(t)
	secrets := `api_key: "env:KEY"`
	if use != "api_key" && use != "basic" {
		secrets = ""
	}
	add := func(name, value string) {
		variable := strings.ToUpper(strings.ReplaceAll(c.service+"_"+name, "-", "_"))
		env[variable] = value
		secrets = strings.TrimPrefix(secrets+", "+name+`: "env:`+variable+`"`, ", ")
	}
	if public != "" {
		add("webhook_secret", public)
	}
	for name, value := range c.Config {
		add(name, value)
	}
	text := fmt.Sprintf(`
sallyport: 1
service: %s
uses: %s
need: Hear of what happens.
environments:
  development: {base_url: "http://127.0.0.1:1", secrets: {%s}}
auth: {use: %s}
endpoints: {}
webhooks:
  events: {something: {}}
`, c.service, id, secrets, use)
	if err := os.WriteFile(filepath.Join(folder, c.service+".yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// keys makes what the provider signs with and returns what verifies it; empty
// for a secret that is still to be delivered.
func (c *shaken) keys(t *testing.T) (public string) {
	t.Helper()
	signedBy := ""
	for _, h := range c.facts.Handshakes {
		if h.Store != "" && c.Store != "" && h.SignedBy == "" {
			return "" // the case delivers the first
		}
		if h.SignedBy != "" && h.SignedBy != "verify" {
			signedBy = h.SignedBy
		}
	}
	scheme := c.facts.Verify
	for _, v := range c.facts.Variants {
		if v.Name == signedBy {
			scheme = v.Verify
			if c.Config == nil {
				c.Config = map[string]string{"base_url": "https://app.example.com"}
			}
		}
	}
	switch {
	case scheme.Scheme == "ed25519":
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
		c.private = hex.EncodeToString(key.Seed())
		return hex.EncodeToString(key[ed25519.SeedSize:])
	case scheme.Scheme == "rsa" || strings.HasPrefix(scheme.Algorithm, "RS"):
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		c.private = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
		return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	c.private = c.Secret
	if c.private == "" {
		c.private = "a-secret-of-" + c.service
		if scheme.KeyEncoding == "base64" {
			c.private = "YS1zZWNyZXQtb2YtdGhlLXByb3ZpZGVy"
		}
	}
	return c.private
}

// handshake is the one the case is about; nil for an event.
func (c *shaken) handshake() *catalog.Handshake {
	if c.None {
		return nil
	}
	method := c.Method
	if method == "" {
		method = http.MethodPost
	}
	for i, h := range c.facts.Handshakes {
		methods := h.Method
		if len(methods) == 0 {
			methods = catalog.OneOrMore{http.MethodPost}
		}
		if !slices.Contains(methods, method) {
			continue
		}
		in := &extract.Request{Method: method, URL: c.URL, Header: http.Header{}, Body: []byte(c.Body), Config: c.Config}
		for name, value := range c.Headers {
			in.Header.Set(name, value)
		}
		fits := true
		for expression, values := range h.When {
			path, err := extract.Parse(expression)
			if err != nil {
				return nil
			}
			got, ok := path.Value(in)
			fits = fits && (slices.Contains(values, "-") && !ok || slices.Contains(values, "*") && ok || slices.Contains(values, got) || strings.Contains(values[0], "{config:"))
		}
		if fits {
			return &c.facts.Handshakes[i]
		}
	}
	return nil
}

// send sends the case as the provider would, signed with key where it signs.
func (c *shaken) send(t *testing.T, base, key string) (*http.Response, string) {
	t.Helper()
	_, query, _ := strings.Cut(c.URL, "?")
	r := &extract.Request{Method: c.Method, URL: base + "/api/webhooks/" + c.service, Header: http.Header{}, Body: []byte(c.Body), Config: c.Config}
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	if query != "" {
		r.URL += "?" + query
	}
	for name, value := range c.Headers {
		r.Header.Set(name, value)
	}
	if h := c.handshake(); h != nil && h.SignedBy != "" && key != "" {
		scheme := c.facts.Verify
		for _, v := range c.facts.Variants {
			if v.Name == h.SignedBy {
				scheme = v.Verify
			}
		}
		compiled, err := verify.Compile(scheme)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range signedHeader.FindAllStringSubmatch(scheme.SignedContent, -1) {
			if r.Header.Get(found[1]) == "" {
				r.Header.Set(found[1], "e76c6bd4")
			}
		}
		if err := compiled.Sign(r, integration.NewSecret(key), time.Now()); err != nil {
			t.Fatalf("%s: signing: %v", c.service, err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.Header
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// R5.3: the handshakes of all providers, with their profiles of the catalog,
// against a gateway over HTTP: answered as each provider wants it, refused where
// the signature, the token or the value is wrong, and never kept as an event.
func TestEveryHandshake(t *testing.T) {
	t.Parallel()
	folder, env := t.TempDir(), map[string]string{"KEY": "key-of-the-provider"}
	list := shakings(t)
	for _, c := range list {
		c.furnish(t, folder, env)
	}
	var log bytes.Buffer
	server := httptest.NewUnstartedServer(nil)
	app := start(t, sallyport.Config{
		Plans: folder, Database: "sqlite:" + filepath.Join(t.TempDir(), "test.db"), PublicURL: "http://" + server.Listener.Addr().String(), Log: slog.New(slog.NewJSONHandler(&log, nil)),
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	server.Config.Handler = app.Handler()
	server.Start()
	t.Cleanup(server.Close)
	answered := map[string]bool{}
	for _, c := range list {
		if c.Name == "no secret" {
			continue // such a plan does not start
		}
		if c.try(t, server.URL) {
			id, _, _ := strings.Cut(c.service, "-case-")
			answered[id] = true
		}
	}
	if len(answered) < 36 { // of Amazon SNS, which is visited, only what must be refused
		t.Errorf("only %d profiles answered a handshake", len(answered))
	}
	for _, c := range list {
		for _, secret := range []string{c.private, c.Store} {
			if len(secret) > 12 && strings.Contains(log.String(), secret) {
				t.Errorf("%s: the log holds the secret", c.service)
			}
		}
	}
}

// try tries one case and what must not pass in its place; it says whether a
// handshake was answered.
func (c *shaken) try(t *testing.T, base string) (answered bool) {
	t.Helper()
	what := c.service + ", " + c.Name
	h := c.handshake()
	if h == nil && !c.None {
		t.Errorf("%s: the profile has no such handshake", what)
		return false
	}
	if c.None {
		if resp, body := c.send(t, base, ""); resp.StatusCode < 400 {
			t.Errorf("%s: an unsigned event is answered %d %s", what, resp.StatusCode, body)
		}
		return false
	}
	if h.SignedBy != "" {
		for name, key := range map[string]string{"unsigned": "", "signed by another": c.another()} {
			if resp, body := c.send(t, base, key); resp.StatusCode < 400 || resp.StatusCode >= 500 || c.Want != "" && strings.Contains(body, c.Want) {
				t.Errorf("%s, %s: %d %s", what, name, resp.StatusCode, body)
			}
		}
	}
	if c.Visit != "" {
		return false
	}
	resp, body := c.send(t, base, c.private)
	if c.Refused {
		if resp.StatusCode != http.StatusUnauthorized || strings.Contains(body, "script") {
			t.Errorf("%s: %d %s", what, resp.StatusCode, body)
		}
		return false
	}
	if resp.StatusCode != c.Status || body != c.Want || c.Type != "" && resp.Header.Get("Content-Type") != c.Type {
		t.Errorf("%s: %d %q %q", what, resp.StatusCode, body, resp.Header.Get("Content-Type"))
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get(sallyportEvent) != "" {
		t.Errorf("%s: headers %v", what, resp.Header)
	}
	for name, want := range c.WantHeaders {
		if resp.Header.Get(name) != want {
			t.Errorf("%s: %s is %q", what, name, resp.Header.Get(name))
		}
	}
	return true
}

// signedHeader is a header that is signed beside the body.
var signedHeader = regexp.MustCompile(`\{header:([A-Za-z0-9-]+)\}`)

const sallyportEvent = "Sallyport-Event"

// another is a key of the same kind that is not the provider's.
func (c *shaken) another() string {
	switch {
	case strings.HasPrefix(c.private, "-----BEGIN"):
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return ""
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	case c.facts.Verify.Scheme == "ed25519":
		return hex.EncodeToString(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	case c.facts.Verify.KeyEncoding == "base64":
		return "YW5vdGhlci1zZWNyZXQtYWx0b2dldGhlcg=="
	}
	return "another-secret-altogether"
}

// delivering is a gateway for providers that deliver their secret, on a database
// that outlives it.
type delivering struct {
	url string
	log bytes.Buffer
	app *sallyport.App
}

const deliveredPlan = `
sallyport: 1
service: SERVICE
uses: SERVICE
need: Hear of what happens.
environments:
  development: {base_url: "http://127.0.0.1:1", secrets: {api_key: "env:KEY"}}
auth: {use: api_key}
endpoints: {}
webhooks:
  events: {changed: {}, page.created: {}}
`

func deliver(t *testing.T, folder, database string) *delivering {
	t.Helper()
	d := &delivering{}
	var err error
	d.app, err = sallyport.New(t.Context(), sallyport.Config{
		Plans: folder, Database: "sqlite:" + database, Log: slog.New(slog.NewJSONHandler(&d.log, nil)), LookupEnv: func(string) (string, bool) { return "key", true },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d.app.Handler())
	t.Cleanup(server.Close)
	d.url = server.URL + "/api/webhooks/"
	return d
}

func (d *delivering) post(t *testing.T, service, body string, headers ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.url+service, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func hexMAC(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// R5.3, R2.7: a secret that the provider delivers needs no place in the plan, is
// sealed in the store, verifies after a restart, and is not replaced by whoever
// comes next; neither file nor log shows it.
func TestDeliveredSecretSurvives(t *testing.T) {
	t.Parallel()
	const token, second, asana = "secret_delivered_by_notion_4711", "secret_of_a_stranger_0815", "b537207f20cbfa02357cf448134da559"
	folder, database := t.TempDir(), filepath.Join(t.TempDir(), "test.db")
	for _, service := range []string{"notion", "asana"} {
		if err := os.WriteFile(filepath.Join(folder, service+".yaml"), []byte(strings.ReplaceAll(deliveredPlan, "SERVICE", service)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	event := func(id string) string { return `{"id":"` + id + `","type":"page.created"}` }
	status := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	d := deliver(t, folder, database)
	status("before there is a secret", d.post(t, "notion", event("1"), "X-Notion-Signature", "sha256="+hexMAC(token, event("1"))), 503)
	var racing sync.WaitGroup
	for range 8 { // of several at once one is kept
		racing.Go(func() { d.post(t, "asana", "", "X-Hook-Secret", rand.Text()+rand.Text()) })
	}
	racing.Wait()
	status("a secret after another", d.post(t, "asana", "", "X-Hook-Secret", asana), 401)
	status("delivered", d.post(t, "notion", `{"verification_token":"`+token+`"}`), 200)
	status("delivered again", d.post(t, "notion", `{"verification_token":"`+token+`"}`), 200)
	status("signed with it", d.post(t, "notion", event("2"), "X-Notion-Signature", "sha256="+hexMAC(token, event("2"))), 200)
	for restarts := range 2 {
		status("a stranger's", d.post(t, "notion", `{"verification_token":"`+second+`"}`), 401)
		status("signed with that", d.post(t, "notion", event("3"), "X-Notion-Signature", "sha256="+hexMAC(second, event("3"))), 401)
		id := fmt.Sprintf("after %d restarts", restarts)
		status(id, d.post(t, "notion", event(id), "X-Notion-Signature", "sha256="+hexMAC(token, event(id))), 200)
		if err := d.app.Close(); err != nil {
			t.Error(err)
		}
		if text := d.log.String(); strings.Contains(text, token) || strings.Contains(text, second) {
			t.Error("the log holds a delivered secret")
		}
		d = deliver(t, folder, database)
	}
	if err := d.app.Close(); err != nil {
		t.Error(err)
	}
	files, err := filepath.Glob(database + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no database: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(token)) || bytes.Contains(data, []byte("bGl2ZXJlZF9ieV9ub3Rpb24")) {
			t.Errorf("%s holds the secret", name)
		}
	}
}
