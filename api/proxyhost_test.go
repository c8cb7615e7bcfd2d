package api_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// hostAsk sends a request to the bundle under another Host.
func (b *bundle) hostAsk(host, path string, change func(*http.Request)) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Host = host
	if change != nil {
		change(r)
	}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// R9.3: an SDK that takes another host and no path has a host for each service.
// The path is the provider's, also where it looks like one of ours.
func TestProxyByHost(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+providerKey {
			t.Errorf("the provider got %v", r.Header)
		}
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}, func(c *api.Config) { c.ProxyDomains = []string{"proxy.example", ".Other.Example."} })
	with := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+b.app) }
	for _, host := range []string{"stripe.proxy.example", "STRIPE.proxy.example:8443", "stripe.proxy.example.", "stripe.other.example", "stripe.localhost:4000"} {
		for _, path := range []string{"/v1/customers?limit=3", "/v1/a%2Fb", "/", "/api/webhooks/stripe", "/api/v1/integrations", "/healthz"} {
			a := b.hostAsk(host, path, with)
			if a.status != http.StatusOK || a.text != path || a.header.Get("Sallyport-Call") == "" || a.header.Get("Sallyport-Request-Id") == "" {
				t.Errorf("%s %s: %d %s", host, path, a.status, a.text)
			}
		}
	}
	b.hostAsk("stripe.proxy.example", "/v1/customers", nil).problem(t, http.StatusUnauthorized, "key_missing")
	for _, host := range []string{"stripe.evil.test", "proxy.example", "xstripe.proxy.example", "a.stripe.proxy.example", "stripe", "stripe.proxy.example.evil.test", ""} {
		if a := b.hostAsk(host, "/v1/customers", with); a.status != http.StatusNotFound {
			t.Errorf("%q: %d %s", host, a.status, a.text)
		}
	}
}

// An SDK puts the key it is given where its provider wants it. None of it
// reaches the provider.
func TestProxyKeyPlaces(t *testing.T) {
	t.Parallel()
	var ours string
	provider := func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), ours) && ours != "" {
				t.Errorf("our key went out in %s", name)
			}
		}
		if strings.Contains(r.URL.RawQuery, "sp_") || r.Header.Get("Authorization") != "Bearer "+providerKey {
			t.Errorf("the provider got %s %v", r.URL, r.Header)
		}
		_, _ = io.WriteString(w, r.URL.RawQuery)
	}
	b := newBundle(t, provider, func(c *api.Config) {
		p := *c.Integrations[0].Plan
		own := *p.Provider
		own.Auth = append([]catalog.Auth{{Kind: "api_key", In: "query", Name: "api_key"}, {Kind: "api_key", In: "header", Name: "X-Token", Prefix: "Key "}}, own.Auth...)
		p.Provider = &own
		c.Integrations[0].Plan = &p
	})
	ours = b.app
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, put := range map[string]func(*http.Request){
		"bearer":            header("Authorization", "Bearer "+b.app),
		"GitHub's token":    header("Authorization", "token "+b.app),
		"bare":              header("Authorization", b.app),
		"basic, user":       header("Authorization", basic(b.app, "")),
		"basic, password":   header("Authorization", basic("AC123", b.app)),
		"X-Api-Key":         header("X-Api-Key", b.app),
		"the profile's own": header("X-Token", "Key "+b.app),
		"query":             func(r *http.Request) { r.URL.RawQuery = "api_key=" + b.app },
		"twice": func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+b.app)
			r.Header.Set("X-Copy", "="+b.app)
			r.URL.RawQuery = "k=" + b.app
		},
	} {
		for _, host := range []string{"stripe.localhost", "gateway.test"} {
			path := "/v1/customers"
			if host == "gateway.test" {
				path = proxy + path
			}
			if a := b.hostAsk(host, path, put); a.status != http.StatusOK || a.text != "" {
				t.Errorf("%s at %s: %d %s", name, host, a.status, a.text)
			}
		}
	}
	for name, value := range map[string]string{"no base64": "Basic sp_x", "another's": "Bearer sk_live_1", "basic of another": basic("a", "b"), "only a scheme": "Bearer"} {
		b.hostAsk("stripe.localhost", "/v1/customers", header("Authorization", value)).problem(t, http.StatusUnauthorized, "key_missing")
		_ = name
	}
	b.hostAsk("stripe.localhost", "/v1/customers", header("Authorization", basic("sp_guess", ""))).problem(t, http.StatusUnauthorized, "key_invalid")
}

// tenants notes on whose behalf calls are made.
type tenants struct {
	api.Calls
	names []string
}

func (n *tenants) Transport(tenant string, entry integration.Entry) http.RoundTripper {
	n.names = append(n.names, tenant)
	return n.Calls.Transport(tenant, entry)
}

// Slack's SDKs send the key as a field of their forms. It is taken out, and the
// rest of the form is left as it came.
func TestProxyKeyInForm(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	ask := func(kind, body string) answer {
		return b.hostAsk("stripe.localhost", "/v1/chat", func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Type", kind)
		})
	}
	const urlencoded = "application/x-www-form-urlencoded; charset=utf-8"
	for in, want := range map[string]string{
		"token=" + b.app + "&channel=C1&text=a%20b+c&x": "channel=C1&text=a%20b+c&x",
		"channel=C1&token=" + b.app + "%40acme":         "channel=C1",
		"token=" + b.app:                                "",
		"a%zz=1&token=" + b.app + "&b":                  "a%zz=1&b",
	} {
		if a := ask(urlencoded, in); a.status != http.StatusOK || a.text != want {
			t.Errorf("%d %q, want %q", a.status, a.text, want)
		}
	}
	for name, a := range map[string]answer{
		"no key":         ask(urlencoded, "token=xoxb-1"),
		"no form":        ask("text/plain", "token="+b.app),
		"a form too big": ask(urlencoded, "token="+b.app+"&fill="+strings.Repeat("x", 256<<10)),
	} {
		if a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
}

// The tenant stands in a header, or behind the key where an SDK can't send one.
func TestProxyTenant(t *testing.T) {
	t.Parallel()
	seen := &tenants{}
	b := newBundle(t, func(http.ResponseWriter, *http.Request) {}, func(c *api.Config) {
		seen.Calls = c.Integrations[0].Calls
		c.Integrations[0].Calls = seen
	})
	ask := func(key string, tenants ...string) answer {
		return b.hostAsk("stripe.localhost", "/v1/customers", func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+key)
			for _, tenant := range tenants {
				r.Header.Add(api.TenantHeader, tenant)
			}
		})
	}
	for _, a := range []answer{ask(b.app+"@acme", "acme"), ask(b.app + "@acme"), ask(b.app, "acme"), ask(b.app, strings.Repeat("é", api.MaxTenant/2)), ask(b.app)} {
		if a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.text)
		}
	}
	want := []string{"acme", "acme", "acme", strings.Repeat("é", api.MaxTenant/2), ""}
	if got := seen.names; !slices.Equal(got, want) {
		t.Errorf("on behalf of %q, want %q", got, want)
	}
	ask(b.app+"@acme", "other").problem(t, http.StatusBadRequest, "invalid_tenant")
	ask(b.app, "acme", "acme").problem(t, http.StatusBadRequest, "invalid_tenant")
	ask(b.app, strings.Repeat("x", api.MaxTenant+1)).problem(t, http.StatusBadRequest, "invalid_tenant")
	ask(b.app+"@"+strings.Repeat("x", api.MaxTenant+1)).problem(t, http.StatusBadRequest, "invalid_tenant")
	ask(b.app, "\xff").problem(t, http.StatusBadRequest, "invalid_tenant")
}

// Another protocol on the connection is refused with a word; an offer of HTTP/2
// is one the other side may ignore (RFC 9110, section 7.8).
func TestProxyUpgrade(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	v := b.do(b.app, "GET", proxy+"/v1/stream", "", "Connection", "Upgrade", "Upgrade", "WebSocket", "Sec-Websocket-Key", "x").problem(t, http.StatusNotImplemented, "upgrade_refused")
	if v["hint"] == nil {
		t.Error("no way out")
	}
	offered := newBundle(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			t.Error("it was passed on")
		}
	})
	if a := offered.do(offered.app, "GET", proxy+"/v1/x", "", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "Http2-Settings", "AAMAAABk"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}
}
