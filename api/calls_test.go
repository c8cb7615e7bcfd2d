package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const endpoint = "/api/v1/integrations/stripe/endpoints/"

// R3, R4: fields are mapped both ways, amounts exact.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/v1/customers" || string(body) != "balance=1990&currency=eur&email=a%40b.example" && string(body) != "email=a%40b.example&balance=1990&currency=eur" {
			t.Errorf("the provider got %s %s %s", r.Method, r.URL, body)
		}
		if r.Header.Get("Authorization") != "Bearer "+providerKey || r.Header.Get("Idempotency-Key") != "order-1" || r.Header.Get("Sallyport-Request-Id") != "" {
			t.Errorf("header %v", r.Header)
		}
		_, _ = w.Write([]byte(`{"id":"cus_1","email":"a@b.example","balance":1990,"currency":"eur","object":"customer"}`))
	})
	a := b.do(b.app, "POST", endpoint+"create_customer", `{"tenant":"acme","body":{"email":"a@b.example","balance":"19.90","currency":"eur"}}`, "Idempotency-Key", "order-1")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.header.Get("Sallyport-Call") == "" || a.header.Get("Sallyport-Attempts") != "1" || a.header.Get("Sallyport-Reason") != "" {
		t.Fatalf("%d %v %s", a.status, a.header, a.text)
	}
	if a.text != `{"stripeCustomerId":"cus_1","email":"a@b.example","balance":"19.90","currency":"eur"}` {
		t.Errorf("answer %s", a.text)
	}
}

// What does not fit the plan is refused with its place, and nothing is sent.
func TestEndpointRefusals(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	for _, c := range []struct {
		path, body string
		status     int
		code       string
		contains   string
	}{
		{"nothing", `{}`, 404, "unknown_endpoint", "get_customer"},
		{"get_customer", `{}`, 422, "path_variable", "/path/id"},
		{"get_customer", `{"path":{"id":"..","x":"y"}}`, 422, "path_variable", "/path/"},
		{"create_customer", `{"body":{"balance":"19.905","currency":"eur"}}`, 422, "invalid_body", "/body/balance"},
		{"create_customer", `{"body":{"email":`, 400, "invalid_request", ""},
		{"create_customer", `{"boddy":{}}`, 422, "invalid_request", "/boddy"},
		{"create_customer", `{"path":7}`, 422, "invalid_request", "/path"},
		{"create_customer", `{"body":{"email":"` + strings.Repeat("x", bodyLimit) + `"}}`, 413, "body_too_large", ""},
	} {
		a := b.do(b.app, "POST", endpoint+c.path, c.body)
		a.problem(t, c.status, c.code)
		if !strings.Contains(a.text, c.contains) || a.header.Get("Sallyport-Call") != "" {
			t.Errorf("%s %.60s: %v %s", c.path, c.body, a.header, a.text)
		}
	}
	a := b.do(b.app, "POST", endpoint+"create_customer", "x=1", "Content-Type", "text/csv")
	a.problem(t, http.StatusUnsupportedMediaType, "unsupported_media_type")
}

// What the provider answers keeps its meaning; what is between us and the
// provider is a bad gateway. Whose 429 it was is never a riddle.
func TestEndpointErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		provider int
		header   string
		status   int
		code     string
	}{
		{400, "", 422, "provider_invalid"},
		{401, "", 502, "provider_unauthorized"},
		{403, "", 502, "provider_forbidden"},
		{404, "", 404, "provider_missing"},
		{409, "", 409, "provider_conflict"},
		{429, "7", 429, "provider_limited"},
		{503, "", 503, "provider_unavailable"},
	} {
		t.Run(fmt.Sprint(c.provider), func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Request-Id", "req_1")
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.provider)
				_, _ = w.Write([]byte(`{"error":{"code":"card_declined","message":"No."}}`))
			})
			a := b.do(b.app, "POST", endpoint+"create_customer", `{"body":{"email":"a@b.example"}}`)
			v := a.problem(t, c.status, c.code)
			if a.header.Get("Sallyport-Call") == "" || a.header.Get("Sallyport-Attempts") != "1" || a.header.Get("Sallyport-Reason") != "" {
				t.Errorf("header %v", a.header)
			}
			if provider, _ := v["provider"].(map[string]any); provider["code"] != "card_declined" || provider["message"] != "No." || provider["request_id"] != "req_1" {
				t.Errorf("provider %v", v["provider"])
			}
			if a.header.Get("Retry-After") != c.header || strings.Contains(a.text, providerKey) {
				t.Errorf("Retry-After %q: %s", a.header.Get("Retry-After"), a.text)
			}
		})
	}
}

const proxy = "/api/v1/integrations/stripe/proxy"

// The provider gets what the caller sent, less our key; the caller gets what
// the provider answered.
func TestProxy(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.EscapedPath() != "/v1/customers/a%2Fb" || r.URL.RawQuery != "expand[]=x&b=%20" || string(body) != "exact=bytes" || r.Method != http.MethodPut {
			t.Errorf("the provider got %s %s?%s %q", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, body)
		}
		if r.Header.Get("Authorization") != "Bearer "+providerKey || r.Header.Get("X-Own") != "kept" || r.Header.Get("X-Hop") != "" {
			t.Errorf("header %v", r.Header)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "Sallyport-") {
				t.Errorf("the provider got %s", name)
			}
		}
		w.Header().Set("Content-Type", "application/x-odd")
		w.Header().Set("X-Provider", "as it came")
		w.Header().Add("X-Many", "1")
		w.Header().Add("X-Many", "2")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("exact answer"))
	})
	a := b.do(b.app, "PUT", proxy+"/v1/customers/a%2Fb?expand[]=x&b=%20", "exact=bytes",
		"Content-Type", "application/x-www-form-urlencoded", "Sallyport-Tenant", "acme", "X-Own", "kept", "Connection", "X-Hop", "X-Hop", "dropped")
	if a.status != http.StatusTeapot || a.text != "exact answer" || a.header.Get("Content-Type") != "application/x-odd" || a.header.Get("X-Provider") != "as it came" || len(a.header.Values("X-Many")) != 2 {
		t.Errorf("%d %v %s", a.status, a.header, a.text)
	}
	id := a.header.Get("Sallyport-Call")
	if id == "" || a.header.Get("Sallyport-Attempts") != "1" || a.header.Get("Sallyport-Reason") != "" {
		t.Errorf("header %v", a.header)
	}
	// A prefix in odd writing is still the prefix.
	odd := newBundle(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/x" {
			t.Errorf("the provider got %s", r.URL)
		}
	})
	if a := odd.do(odd.app, "GET", "/api/v1/integrations/%73tripe/proxy/v1/x", ""); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// Large answers stream through to the last byte.
func TestProxyStreams(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 300 {
			_, _ = w.Write([]byte(strings.Repeat("0123456789", 1000)))
		}
	})
	if a := b.do(b.app, "GET", proxy+"/v1/export", ""); len(a.text) != 3_000_000 {
		t.Errorf("%d bytes", len(a.text))
	}
}

// An answer that breaks off at the provider must not look whole.
func TestProxyCutAnswer(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+proxy+"/v1/export", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.app)
	client := &http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("half an answer looks whole")
	}
}

func TestProxyRefusals(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t))
	b.do(b.app, "POST", proxy+"/v1/customers", strings.Repeat("x", bodyLimit+1)).problem(t, http.StatusRequestEntityTooLarge, "body_too_large")
	b.do(b.app, "TRACE", proxy+"/v1/customers", "").problem(t, http.StatusMethodNotAllowed, "method_not_allowed")

	// A chunked body that grows too large. The provider may see its beginning,
	// never its end.
	grows := newBundle(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("the provider got a whole body")
		}
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, grows.url+proxy+"/v1/customers", io.MultiReader(strings.NewReader(strings.Repeat("x", bodyLimit)), strings.NewReader("yy")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+grows.app)
	client := &http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %d", resp.StatusCode)
	}
}

// A provider that can't be reached is a bad gateway, and says so in our words.
func TestProxyUnreachable(t *testing.T) {
	t.Parallel()
	b := newBundle(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	a := b.do(b.app, "GET", proxy+"/v1/customers", "")
	v := a.problem(t, http.StatusBadGateway, "provider_network")
	if a.header.Get("Sallyport-Call") == "" || a.header.Get("Sallyport-Attempts") == "" || a.header.Get("Sallyport-Reason") != "network" || v["hint"] == nil {
		t.Errorf("%v %s", a.header, a.text)
	}
}

// What no answer can be is not passed on: it would end our own half-way. Nor is
// what a provider writes in our name.
func TestProxyOddAnswers(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{
		"099 Odd": http.StatusBadGateway, "000 Nothing": http.StatusBadGateway, "101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: odd": http.StatusBadGateway,
		"999 Odd": 999, "200 OK\r\nSallyport-Request-Id: forged\r\nSallyport-Reason: forged\r\nSallyport-Call: forged": 200,
	} {
		b := newBundle(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 "+line+"\r\nContent-Length: 2\r\nX-Provider: odd\r\n\r\n{}")
		})
		a := b.do(b.app, "GET", proxy+"/v1/customers/cus_1", "")
		if want == http.StatusBadGateway {
			a.problem(t, want, "provider_broken")
			if a.header.Get("X-Provider") != "" {
				t.Errorf("%s: header %v", line, a.header)
			}
		} else if a.status != want || a.text != "{}" {
			t.Errorf("%s: %d %s", line, a.status, a.text)
		}
		if strings.Contains(fmt.Sprint(a.header), "forged") || a.header.Get("Sallyport-Call") == "" {
			t.Errorf("%s: header %v", line, a.header)
		}
		if strings.Contains(b.log.String(), "panicked") {
			t.Errorf("%s: %s", line, b.log)
		}
	}
}
