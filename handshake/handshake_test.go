package handshake_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/handshake"
	"github.com/sallyport/sallyport/integration"
)

type provider struct {
	Provider   string              `yaml:"provider"`
	Handshakes []catalog.Handshake `yaml:"handshakes"`
	Cases      []example           `yaml:"cases"`
}

type example struct {
	Name        string            `yaml:"name"`
	Vector      bool              `yaml:"vector"` // of the collection
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
}

func (e example) request() *extract.Request {
	r := &extract.Request{Method: e.Method, URL: e.URL, Header: http.Header{}, Body: []byte(e.Body), Config: e.Config}
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	if r.URL == "" {
		r.URL = "https://example.com/hook"
	}
	for name, value := range e.Headers {
		r.Header.Set(name, value)
	}
	return r
}

func providers(t testing.TB) []provider {
	t.Helper()
	data, err := os.ReadFile("testdata/handshakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []provider
	if err := yaml.UnmarshalWithOptions(data, &all, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	return all
}

func compile(t testing.TB, list []catalog.Handshake) *handshake.Set {
	t.Helper()
	set, err := handshake.Compile(list)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func secrets(s string) []integration.Secret {
	return []integration.Secret{{}, integration.NewSecret(s)}
}

// R5.3: the handshakes of all 35 providers are answered as they must be, and what
// only looks like one is not.
func TestEveryProvider(t *testing.T) {
	t.Parallel()
	vectors := 0
	all := providers(t)
	for _, p := range all {
		set := compile(t, p.Handshakes)
		answered := false
		for _, e := range p.Cases {
			name := p.Provider + ", " + e.Name
			h := set.Match(e.request())
			if e.None {
				if h != nil {
					t.Errorf("%s: taken for %s", name, h.Name())
				}
				continue
			}
			if h == nil {
				t.Errorf("%s: no handshake", name)
				continue
			}
			got, err := h.Answer(e.request(), secrets(e.Secret))
			if e.Refused {
				if !errors.Is(err, handshake.ErrRefused) || got.Body != nil || got.Header != nil || !got.Store.IsZero() || got.Visit != "" {
					t.Errorf("%s: answered with %+v, %v", name, got, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			answered = true
			if e.Vector {
				vectors++
			}
			check(t, name, e, got)
		}
		if !answered {
			t.Errorf("%s: nothing was answered", p.Provider)
		}
	}
	if len(all) != 35 || vectors != 18 {
		t.Errorf("%d providers and %d vectors, want 35 and 18", len(all), vectors)
	}
}

func check(t *testing.T, name string, e example, got handshake.Response) {
	t.Helper()
	if got.Status != e.Status || string(got.Body) != e.Want {
		t.Errorf("%s: %d %q, want %d %q", name, got.Status, got.Body, e.Status, e.Want)
	}
	if e.Type != "" && got.Header.Get("Content-Type") != e.Type {
		t.Errorf("%s: content type %q", name, got.Header.Get("Content-Type"))
	}
	if got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("%s: headers %v", name, got.Header)
	}
	for key, want := range e.WantHeaders {
		if got.Header.Get(key) != want {
			t.Errorf("%s: %s is %q", name, key, got.Header.Get(key))
		}
	}
	if got.Store.Reveal() != e.Store {
		t.Errorf("%s: the secret to store is not the one that was delivered", name)
	}
	if got.Visit != e.Visit {
		t.Errorf("%s: to visit %q", name, got.Visit)
	}
}

// A refusal says where it failed, and neither the secret nor what was sent.
func TestRefusalTellsNoSecret(t *testing.T) {
	t.Parallel()
	for _, p := range providers(t) {
		set := compile(t, p.Handshakes)
		for _, e := range p.Cases {
			if !e.Refused || e.Secret == "" {
				continue
			}
			_, err := set.Match(e.request()).Answer(e.request(), secrets(e.Secret))
			if err == nil || strings.Contains(err.Error(), e.Secret) {
				t.Errorf("%s, %s: %v", p.Provider, e.Name, err)
			}
		}
	}
}

// R5.3: a HEAD is answered without a body, methods nobody declared are not let in.
func TestMethods(t *testing.T) {
	t.Parallel()
	set := compile(t, []catalog.Handshake{{
		Name: "challenge", Method: catalog.OneOrMore{"GET", "HEAD"}, When: map[string]catalog.OneOrMore{"query:c": {"*"}},
		Answer: catalog.HandshakeAnswer{Type: "text/plain", Body: "{query:c}"},
	}})
	r := &extract.Request{Method: http.MethodHead, URL: "https://example.com/?c=1", Header: http.Header{}}
	got, err := set.Match(r).Answer(r, nil)
	if err != nil || len(got.Body) != 0 || got.Header.Get("Content-Type") == "" {
		t.Errorf("HEAD: %+v, %v", got, err)
	}
	var none *handshake.Set
	for method, want := range map[string]bool{"GET": true, "HEAD": true, "POST": false, "PUT": false} {
		if set.Takes(method) != want || none.Takes(method) {
			t.Errorf("%s: %v", method, !want)
		}
	}
	if none.Match(r) != nil {
		t.Error("a nil set matches")
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*catalog.Handshake){
		"name:":             func(h *catalog.Handshake) { h.Name = "" },
		"method:":           func(h *catalog.Handshake) { h.Method = catalog.OneOrMore{"DELETE"} },
		"when: nothing":     func(h *catalog.Handshake) { h.When = nil },
		"when: path":        func(h *catalog.Handshake) { h.When = map[string]catalog.OneOrMore{"x": {"*"}} },
		"when: json:a":      func(h *catalog.Handshake) { h.When = map[string]catalog.OneOrMore{"json:a": {}} },
		"max_length:":       func(h *catalog.Handshake) { h.MaxLength = 1 << 20 },
		"charset: \"x\"":    func(h *catalog.Handshake) { h.Charset = "x" },
		"visit: only":       func(h *catalog.Handshake) { h.Visit = "json:a" },
		"visit_hosts:":      func(h *catalog.Handshake) { h.Visit, h.SignedBy = "json:a", "verify" },
		"visit_hosts: \"*.": func(h *catalog.Handshake) { h.VisitHosts = []string{"*.com"} },
		"store:":            func(h *catalog.Handshake) { h.Store = "secret" },
		"answer.status:":    func(h *catalog.Handshake) { h.Answer.Status = 302 },
		"answer.type: \"te": func(h *catalog.Handshake) { h.Answer.Type = "text/html" },
		"answer.type: body": func(h *catalog.Handshake) { h.Answer.Type = "" },
		"{computed}":        func(h *catalog.Handshake) { h.Answer.Body = "{computed}" },
		"answer.body:":      func(h *catalog.Handshake) { h.Answer.Body = "{json:a" },
		"charset: text would": func(h *catalog.Handshake) {
			h.Charset, h.Compute = "text", &catalog.Computation{}
		},
		"compute.algorithm:": func(h *catalog.Handshake) { h.Compute = &catalog.Computation{Algorithm: "sha256"} },
		"compute.encoding:":  func(h *catalog.Handshake) { h.Compute = &catalog.Computation{Algorithm: "hmac-sha256"} },
		"compute.key_encoding:": func(h *catalog.Handshake) {
			h.Compute = &catalog.Computation{Algorithm: "hmac-sha256", Encoding: "hex", Content: "json:a"}
		},
	} {
		h := catalog.Handshake{
			Name: "x", When: map[string]catalog.OneOrMore{"json:a": {"*"}}, Answer: catalog.HandshakeAnswer{Type: "text/plain", Body: "{json:a}"},
		}
		change(&h)
		if _, err := handshake.Compile([]catalog.Handshake{h}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// R5.3: whatever strangers send, the answer is short, printable and of a harmless
// type, and no secret is stored over one that is there.
func FuzzAnswer(f *testing.F) {
	all := providers(f)
	var sets []*handshake.Set
	for i, p := range all {
		sets = append(sets, compile(f, p.Handshakes))
		for _, e := range p.Cases {
			r := e.request()
			f.Add(i, r.Method, r.URL, r.Header.Get("X-Hook-Secret"), r.Header.Get("Content-Type"), r.Body)
		}
	}
	f.Fuzz(func(t *testing.T, n int, method, url, header, contentType string, body []byte) {
		set := sets[int(uint(n)%uint(len(sets)))]
		r := &extract.Request{Method: method, URL: url, Header: http.Header{"Content-Type": {contentType}}, Body: body}
		for _, h := range []string{"X-Hook-Secret", "X-Okta-Verification-Challenge", "X-Front-Challenge", "Webhook-Request-Origin"} {
			r.Header.Set(h, header)
		}
		h := set.Match(r)
		if h == nil {
			return
		}
		got, err := h.Answer(r, secrets("fuzz-secret-of-ours"))
		if err != nil {
			return
		}
		if !got.Store.IsZero() && h.SignedBy() == "" {
			t.Fatal("a secret was replaced by a stranger")
		}
		kind := got.Header.Get("Content-Type")
		if len(got.Body) > 32<<10 || strings.ContainsAny(string(got.Body), "<>\r\n\x00") || kind != "" && kind != "application/json" && kind != "text/plain; charset=utf-8" {
			t.Fatalf("%s: %q", kind, got.Body)
		}
		for name, values := range got.Header {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n") {
				t.Fatalf("%s: %q", name, values)
			}
		}
	})
}
