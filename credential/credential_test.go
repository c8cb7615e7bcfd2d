package credential_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/integration"
)

const canary = "sk_test_canary_9f2c"

func compile(t *testing.T, auth catalog.Auth) *credential.Applier {
	t.Helper()
	a, err := credential.Compile(auth)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// R2.1: the forms a key is sent in.
func TestApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		auth        catalog.Auth
		header, url string // what must be there
	}{
		{"bearer", catalog.Auth{Kind: "api_key", In: "header", Name: "Authorization", Prefix: "Bearer "}, "Authorization: Bearer " + canary, "/v1/x?a=1&token=t"},
		{"own header", catalog.Auth{Kind: "api_key", In: "header", Name: "x-api-key"}, "X-Api-Key: " + canary, "/v1/x?a=1&token=t"},
		{"header is the default", catalog.Auth{Kind: "api_key", Name: "X-Api-Key"}, "X-Api-Key: " + canary, "/v1/x?a=1&token=t"},
		{"query", catalog.Auth{Kind: "api_key", In: "query", Name: "token"}, "", "/v1/x?a=1&token=" + canary},
		{"basic user", catalog.Auth{Kind: "basic", Username: "{secret}"}, "Authorization: Basic c2tfdGVzdF9jYW5hcnlfOWYyYzo=", "/v1/x?a=1&token=t"},
		{"basic password", catalog.Auth{Kind: "basic", Username: "api", Password: "{secret}"}, "Authorization: Basic YXBpOnNrX3Rlc3RfY2FuYXJ5XzlmMmM=", "/v1/x?a=1&token=t"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "https://dummy:key@api.example.com/v1/x?a=1&token=t", nil)
			for _, h := range []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key"} {
				r.Header.Set(h, "sk_dummy")
			}
			a := compile(t, c.auth)
			a.Strip(r.Header, r.URL)
			fingerprint, err := a.Apply(r, integration.NewSecret(canary))
			if err != nil {
				t.Fatal(err)
			}
			if want := integration.NewSecret(canary).Fingerprint(); fingerprint != want {
				t.Errorf("fingerprint %q, want %q", fingerprint, want)
			}
			if got := r.URL.RequestURI(); got != c.url {
				t.Errorf("asked %s, want %s", got, c.url)
			}
			if r.URL.User != nil {
				t.Error("the caller's user is still in the URL")
			}
			var found bool
			for name, values := range r.Header {
				for _, v := range values {
					line := name + ": " + v
					found = found || line == c.header
					if strings.Contains(v, "sk_dummy") && name != "X-Api-Key" {
						t.Errorf("the caller's own credential is still there: %s", line)
					}
				}
			}
			if !found && c.header != "" {
				t.Errorf("no header %q in %v", c.header, r.Header)
			}
		})
	}
}

// A key swapped while running is in use at once, and never the old one again.
func TestRotation(t *testing.T) {
	t.Parallel()
	a := compile(t, catalog.Auth{Kind: "api_key", In: "header", Name: "Authorization", Prefix: "Bearer "})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := fmt.Sprintf("key_%d", i)
			for range 200 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				if _, err := a.Apply(r, integration.NewSecret(key)); err != nil {
					t.Error(err)
				}
				if got := r.Header.Get("Authorization"); got != "Bearer "+key {
					t.Errorf("%s went out for %s", got, key)
				}
			}
		})
	}
	wg.Wait()
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, auth := range []catalog.Auth{
		{Kind: "oauth1"},
		{},
		{Kind: "api_key", In: "header"},
		{Kind: "api_key", In: "path", Name: "key"},
		{Kind: "api_key", In: "header", Name: "X-Key\r\nX"},
		{Kind: "basic", Username: "api"},
	} {
		if _, err := credential.Compile(auth); err == nil || !strings.HasPrefix(err.Error(), "auth: ") {
			t.Errorf("%+v: %v", auth, err)
		}
	}
	a := compile(t, catalog.Auth{Kind: "api_key", In: "header", Name: "X-Key"})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, err := a.Apply(r, integration.Secret{}); !errors.Is(err, credential.ErrMissing) {
		t.Errorf("no secret: %v", err)
	}
	_, err := a.Apply(r, integration.NewSecret(canary+"\n"))
	if !errors.Is(err, credential.ErrUnfit) || strings.Contains(err.Error(), canary) {
		t.Errorf("line break: %v", err)
	}
	if len(r.Header) != 0 {
		t.Errorf("refused, yet %v was set", r.Header)
	}
}

// R2.10: printing what holds a secret does not print it.
func TestNothingPrints(t *testing.T) {
	t.Parallel()
	a := compile(t, catalog.Auth{Kind: "api_key", In: "query", Name: "token"})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if _, err := a.Apply(r, integration.NewSecret(canary)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("applied", "applier", a)
	fmt.Fprintf(&out, "%v %+v", a, a)
	if strings.Contains(out.String(), canary) {
		t.Errorf("the secret is in %s", out.String())
	}
}

func ExampleCompile() {
	a, err := credential.Compile(catalog.Auth{Kind: "api_key", In: "header", Name: "Authorization", Prefix: "Bearer "})
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(http.MethodGet, "https://api.stripe.com/v1/customers", nil)
	fingerprint, err := a.Apply(r, integration.NewSecret("sk_test_1"))
	fmt.Println(r.Header.Get("Authorization"), fingerprint, err)
	// Output: Bearer sk_test_1 28ab62a8 <nil>
}

func BenchmarkApply(b *testing.B) {
	a, err := credential.Compile(catalog.Auth{Kind: "api_key", In: "header", Name: "Authorization", Prefix: "Bearer "})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	secret := integration.NewSecret(canary)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Apply(r, secret); err != nil {
			b.Fatal(err)
		}
	}
}
