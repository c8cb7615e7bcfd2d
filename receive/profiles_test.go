package receive_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/verify"
)

const hooks = "https://hooks.example.com"

// configuredValues are what profiles ask the configuration for.
var configuredValues = map[string]string{
	"webhook_id": "w", "audience": "a", "service_account": "s@example.com", "key_id": "k1", "base_url": "https://hooks.example.com", "topic": "t", "verify_token": "v", "env": "master",
}

// sample is an event of a provider, ready to be signed.
type sample struct {
	profile *catalog.Webhooks
	request *extract.Request
	events  int
}

// sampleOf makes an event, or a batch of two, with values where the profile says
// they stand. What paths can't tell is written out.
func sampleOf(t testing.TB, id string, w *catalog.Webhooks) sample {
	t.Helper()
	r := &extract.Request{Method: http.MethodPost, URL: hooks + "/api/webhooks/" + id, Header: http.Header{}, Config: configuredValues, Body: []byte("{}")}
	s := sample{profile: w, request: r, events: 1}
	r.Header.Set("Content-Type", "application/json")
	if body, kind := written(id); body != "" {
		r.Header.Set("Content-Type", kind)
		r.Body = []byte(body)
		if slices.Contains([]string{"mandrill", "meta-graph", "instagram", "whatsapp-cloud"}, id) {
			s.events = 2
		}
		return s
	}
	paths := slices.Concat(first(w.ID), w.Type[:min(1, len(w.Type))])
	if len(w.ID) == 0 {
		paths = slices.Concat(w.Composite, paths)
	}
	form := url.Values{}
	for n := range 2 {
		for i, expr := range paths {
			kind, place, _ := strings.Cut(expr, ":")
			value := fmt.Sprintf("value_%d_%d", i, n)
			switch kind {
			case "header":
				r.Header.Set(place, fmt.Sprintf("value_%d", i))
			case "form":
				form.Set(place, value)
			case "json":
				if len(form) == 0 && (n == 0 || strings.Contains(place, "[]") && len(w.Batch) > 0) {
					s.events = n + 1
					r.SetBody(set(t, r.Body, place, n, value))
				}
			}
		}
	}
	if len(form) > 0 {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBody([]byte(form.Encode()))
	}
	return s
}

func first(list []string) []string { return list[:min(1, len(list))] }

// set puts a value where a path of a profile points to, in the nth element of the
// innermost array.
func set(t testing.TB, body []byte, place string, n int, value string) []byte {
	t.Helper()
	for strings.Count(place, "[]") > 1 {
		place = strings.Replace(place, "[]", ".0", 1)
	}
	place = strings.TrimPrefix(strings.Replace(place, "[]", fmt.Sprintf(".%d", n), 1), ".")
	if strings.HasPrefix(place, "0") || strings.HasPrefix(place, "1") {
		if string(body) == "{}" {
			body = []byte("[]")
		}
	}
	body, err := sjson.SetBytes(body, place, value)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// written are the events of providers that send something else than values at
// plain paths.
func written(id string) (body, kind string) {
	const form = "application/x-www-form-urlencoded"
	inForm := func(field, value string) (string, string) { return url.Values{field: {value}}.Encode(), form }
	switch id {
	case "aws-sns":
		return `{"Type":"Notification","MessageId":"m1","TopicArn":"t","Message":"m","Timestamp":"2026-11-24T09:00:00Z","SignatureVersion":"1"}`, "text/plain"
	case "meta-graph":
		return `{"object":"page","entry":[{"id":"1","time":1,"messaging":[{"message":{"mid":"m1"}}],"changes":[{"field":"feed","value":{"post_id":"1"}}]}]}`, "application/json"
	case "instagram":
		return `{"object":"instagram","entry":[{"id":"1","time":1,"changes":[{"field":"comments","value":{"id":"c1"}},{"field":"comments","value":{"id":"c2"}}]}]}`, "application/json"
	case "whatsapp-cloud":
		return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[{"id":"wamid.1"}],"statuses":[{"id":"wamid.0","status":"read"}]}}]}]}`, "application/json"
	case "mailgun":
		return `{"signature":{"token":"t"},"event-data":{"id":"e1","event":"opened"}}`, "application/json"
	case "braintree":
		return inForm("bt_payload", base64.StdEncoding.EncodeToString([]byte(`<notification><kind>subscription_canceled</kind><timestamp type="datetime">2026-11-24T09:00:00Z</timestamp></notification>`)))
	case "mandrill":
		return inForm("mandrill_events", `[{"event":"open","_id":"a","ts":1},{"event":"click","_id":"a","ts":2}]`)
	case "salesforce":
		return `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D</OrganizationId><Notification><Id>04l1</Id><sObject xsi:type="sf:Account" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/></Notification></notifications></soapenv:Body></soapenv:Envelope>`, "text/xml; charset=UTF-8"
	case "youtube":
		return `<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>yt:video:1</id><updated>2026-11-24T09:00:00+00:00</updated></entry></feed>`, "application/atom+xml"
	case "travis-ci":
		return inForm("payload", `{"id":7,"state":"passed"}`)
	case "wix":
		return "token", "text/plain"
	case "x":
		return `{"for_user_id":"1","tweet_create_events":[{"id_str":"9"}]}`, "application/json"
	case "datadog", "newrelic":
		return `{"id":"a1","type":"alert"}`, "application/json"
	case "telegram":
		return `{"update_id":1,"message":{"text":"hello"}}`, "application/json"
	case "dropbox":
		return `{"list_folder":{"accounts":["dbid:1"]}}`, "application/json"
	case "airtable":
		return `{"base":{"id":"app1"},"webhook":{"id":"ach1"},"timestamp":"2026-11-24T09:00:00Z"}`, "application/json"
	}
	return "", ""
}

var testRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// keyPair is what signs, and what is configured to verify it.
func keyPair(t testing.TB, v catalog.Verification) (private, public string) {
	t.Helper()
	var k crypto.Signer
	var err error
	switch {
	case v.Scheme == "ed25519" || v.Scheme == "http_message_signatures":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case v.Scheme == "ecdsa" || strings.HasPrefix(v.Algorithm, "ES") || strings.HasPrefix(v.Algorithm, "ecdsa"):
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case v.Scheme == "rsa" || strings.HasPrefix(v.Algorithm, "RS") || strings.HasPrefix(v.Algorithm, "rsa"):
		k, err = testRSA()
	case v.Scheme == "basic_auth":
		return "user:password", "user:password"
	case v.KeyEncoding == "hex":
		return "00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeff"
	case strings.HasPrefix(v.KeyEncoding, "base64"):
		text := strings.TrimPrefix(strings.TrimPrefix(v.KeyEncoding, "base64_after_prefix"), ":") + base64.StdEncoding.EncodeToString([]byte("a secret of 32 bytes for signing"))
		return strings.TrimPrefix(text, "base64"), strings.TrimPrefix(text, "base64")
	default:
		return "a-shared-secret", "a-shared-secret"
	}
	if err != nil {
		t.Fatal(err)
	}
	secretDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	publicDER, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secretDER})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER}))
}

// clientCertificate is one for schemes whose sender proves itself with TLS, and
// its SHA-256.
func clientCertificate(t testing.TB) (*x509.Certificate, string) {
	t.Helper()
	k, err := testRSA()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "provider"}, NotBefore: clock.Add(-time.Hour), NotAfter: clock.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return c, hex.EncodeToString(sum[:])
}

// sign signs a sample with the profile's scheme or, where this version knows it
// not, with a variant's; it returns what verifies it.
func (s sample) sign(t testing.TB, at time.Time) (secret string) {
	t.Helper()
	schemes := []catalog.Verification{s.profile.Verify}
	for _, v := range s.profile.Variants {
		schemes = append(schemes, v.Verify)
	}
	var problems []error
	for _, v := range schemes {
		compiled, err := verify.Compile(v)
		if err == nil {
			private, public := keyPair(t, v)
			if err = compiled.Sign(s.request, integration.NewSecret(private), at); err == nil {
				return public
			}
		}
		problems = append(problems, err)
	}
	t.Fatalf("nothing signs: %v", problems)
	return ""
}

// claims make Wix's token: data in data, each as text.
func wixToken(t testing.TB, at time.Time) (token, public string) {
	t.Helper()
	k, err := testRSA()
	if err != nil {
		t.Fatal(err)
	}
	inner, _ := json.Marshal(map[string]any{"id": "evt1", "eventTime": "2026-11-24T09:00:00Z"})
	middle, _ := json.Marshal(map[string]any{"data": string(inner), "eventType": "order_created", "instanceId": "i1"})
	outer, _ := json.Marshal(map[string]any{"data": string(middle), "iat": at.Unix(), "exp": at.Add(time.Hour).Unix()})
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(outer)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// ready signs a sample in whatever way the provider does.
func (s sample) ready(t testing.TB, id string, at time.Time) (secret string, certificate *x509.Certificate) {
	t.Helper()
	if s.profile.Verify.Scheme == "mtls" {
		certificate, secret = clientCertificate(t)
		return secret, certificate
	}
	for _, h := range []string{"PAYPAL-TRANSMISSION-ID", "webhook-id", "Kick-Event-Message-Id"} {
		if s.request.Header.Get(h) == "" {
			s.request.Header.Set(h, "id_1")
		}
	}
	switch id {
	case "contentful":
		s.request.Header.Set("X-Contentful-Signed-Headers", "x-contentful-signed-headers,x-contentful-timestamp")
	case "aws-sns":
		s.request.Header.Set("X-Amz-Sns-Message-Type", "Notification")
	case "paypal":
		s.request.Header.Set("PAYPAL-AUTH-ALGO", "SHA256withRSA")
	case "wix":
		token, public := wixToken(t, at)
		s.request.SetBody([]byte(token))
		return public, nil
	}
	return s.sign(t, at), nil
}

func (s sample) http() *http.Request {
	r := httptest.NewRequest(http.MethodPost, strings.TrimPrefix(s.request.URL, hooks), strings.NewReader(string(s.request.Body)))
	r.Header = s.request.Header.Clone()
	return r
}

// R5.2, R5.4: the events of every provider that sends any are taken when they are
// rightly signed, each is kept once, and none that another key signed.
func TestEveryProvidersEventsAreReceived(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	tested := 0
	for _, profile := range all {
		if profile.Webhooks == nil {
			continue
		}
		tested++
		t.Run(profile.ID, func(t *testing.T) {
			t.Parallel()
			s := sampleOf(t, profile.ID, profile.Webhooks)
			secret, certificate := s.ready(t, profile.ID, clock)
			b := &inbox{}
			verifies := secret
			door, err := receive.New(receive.Config{
				Services: []receive.Service{{
					Plan:    &plan.Plan{Service: profile.ID, Uses: profile.ID, Provider: profile, Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{"x": {}}}},
					Secrets: func() []integration.Secret { return wrapped([]string{verifies}) }, Values: configuredValues,
				}},
				Inbox: b, PublicURL: hooks, Now: func() time.Time { return clock }, Log: quiet,
				Certificate: func(*http.Request) *x509.Certificate { return certificate },
			})
			if err != nil {
				t.Fatal(err)
			}
			send := func() int {
				w := httptest.NewRecorder()
				door.ServeHTTP(w, s.http())
				return w.Code
			}
			_, verifies = keyPair(t, catalog.Verification{Scheme: "another"})
			if verifies == secret {
				verifies = "another-secret"
			}
			if code := send(); code < 400 || len(b.all()) != 0 {
				t.Fatalf("with another secret: answered %d, %d kept", code, len(b.all()))
			}
			verifies = secret
			if code := send(); code < 200 || code > 299 {
				t.Fatalf("answered %d: %+v; %s", code, door.Stats(profile.ID), s.request.Body)
			}
			events := b.all()
			if len(events) != s.events {
				t.Fatalf("%d events kept of %d in %s", len(events), s.events, s.request.Body)
			}
			for _, e := range events {
				if e.ExternalID == "" || e.Type == "unknown" || e.Service != profile.ID {
					t.Errorf("kept %q of type %q", e.ExternalID, e.Type)
				}
				if len(profile.Webhooks.ID)+len(profile.Webhooks.Composite) > 0 && strings.HasPrefix(e.ExternalID, "sha256/body:") {
					t.Errorf("the id that the profile names was not found: %s", s.request.Body)
				}
			}
			if code := send(); code < 200 || code > 299 {
				t.Errorf("a repeat: answered %d", code)
			}
			want := s.events
			if strings.HasPrefix(events[0].ExternalID, "once:") {
				want *= 2 // the same bytes may be news
			}
			if n := len(b.all()); n != want {
				t.Errorf("%d events after a repeat, want %d", n, want)
			}
		})
	}
	if tested < 137 {
		t.Errorf("%d providers send events", tested)
	}
}
