package receive_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
)

// FuzzDoor sends whatever a stranger may send. The doors must never panic, and
// never take an event: no request was signed with the secret that they know.
// R5.1, R5.3.
func FuzzDoor(f *testing.F) {
	seeds(f)
	names := []string{
		"stripe", "github", "slack", "shopify", "sendgrid", "adyen", "meta-graph", "whatsapp-cloud", "braintree", "mandrill", "wix",
		"youtube", "paypal", "aws-sns", "plaid", "hubspot", "twilio", "okta", "asana", "telegram", "microsoft-entra",
	}
	in := &inbox{}
	var services []receive.Service
	for _, name := range names {
		profile, err := catalog.Load(name)
		if err != nil {
			f.Fatal(err)
		}
		services = append(services, receive.Service{
			Plan:    &plan.Plan{Service: name, Provider: profile, Webhooks: &plan.Webhooks{Tenant: plan.TenantByAccount, Events: map[string]plan.EventHandling{"x": {}}}},
			Secrets: func() []integration.Secret { return wrapped([]string{"whsec_Zm9yIG5vYm9keSdzIGV5ZXM"}) }, Values: configuredValues,
		})
	}
	door, err := receive.New(receive.Config{Services: services, Inbox: in, PublicURL: hooks, BodyLimit: 1 << 20, Now: func() time.Time { return clock }, Log: quiet})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, service uint8, method, rest, headers, body string) {
		name := names[int(service)%len(names)]
		r := &http.Request{
			Method: method, URL: &url.URL{Path: "/api/webhooks/" + name}, Header: http.Header{}, Host: "hooks.example.com", RemoteAddr: "192.0.2.1:1",
			Body: http.NoBody, ContentLength: -1,
		}
		path, query, _ := strings.Cut(rest, "?")
		if r.URL.RawQuery = query; path != "" {
			r.URL.Path += "/" + path
		}
		for line := range strings.SplitSeq(headers, "\n") {
			if key, value, ok := strings.Cut(line, ":"); ok {
				r.Header.Add(strings.TrimSpace(key), strings.TrimSpace(value))
			}
		}
		r.Body = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)).Body
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if n := len(in.all()); n > 0 {
			t.Fatalf("%s: kept %d events that nobody signed", name, n)
		}
		if s := door.Stats(name); s.Received+s.Ignored+s.Duplicate+s.Empty > 0 {
			t.Fatalf("%s: took an event that nobody signed: %+v", name, s)
		}
	})
}

// seeds are the requests of the vectors, which their own secrets sign.
func seeds(f *testing.F) {
	f.Helper()
	for _, file := range []string{"../verify/testdata/hmac.yaml", "../verify/testdata/families.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var all struct {
			Schemes []struct {
				Vectors []struct {
					Headers map[string]string `yaml:"headers"`
					Body    string            `yaml:"body"`
				} `yaml:"vectors"`
			} `yaml:"schemes"`
		}
		if err := yaml.Unmarshal(text, &all); err != nil {
			f.Fatal(err)
		}
		for i, scheme := range all.Schemes {
			for _, v := range scheme.Vectors {
				var headers strings.Builder
				for name, value := range v.Headers {
					headers.WriteString(name + ": " + value + "\n")
				}
				f.Add(uint8(i), http.MethodPost, "", headers.String(), v.Body)
			}
		}
	}
	f.Add(uint8(0), http.MethodGet, "?hub.mode=subscribe&hub.challenge=1", "", "")
	f.Add(uint8(6), http.MethodHead, "tenant?a=b", "X-Hook-Secret: x", "")
	f.Add(uint8(3), "OPTIONS", "", "Content-Encoding: gzip", "\x1f\x8b\x08\x00")
	f.Add(uint8(12), http.MethodPost, "", "Content-Encoding: gzip\nContent-Type: application/json", zipped(f, `{"id":"1"}`))
}
