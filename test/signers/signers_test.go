// Package signers holds tests of webhooks against the providers' own libraries:
// what they sign our door takes, what was changed afterwards it refuses, and what
// our stand-in signs in a provider's name their libraries take for the
// provider's.
package signers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/google/go-github/v75/github"
	"github.com/slack-go/slack"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85/webhook"
	svix "github.com/svix/svix-webhooks/go"
	twilio "github.com/twilio/twilio-go/client"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/verify"
)

// public is the address that providers know; Twilio signs it.
const public = "https://hooks.example.com"

var (
	discordKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	// secrets are what our door verifies by.
	secrets = map[string]string{
		"stripe":            "whsec_stripe_signs_with_all_of_it",
		"github":            "It's a Secret to Everybody",
		"slack":             "8f742231b10e8888abcd99yyyzzz85a5",
		"twilio":            "12345678901234567890123456789012",
		"svix":              "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"standard-webhooks": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
		"shopify":           "hush",
		"discord":           hex.EncodeToString(discordKey.Public().(ed25519.PublicKey)),
	}
)

const planText = `
sallyport: 1
service: SERVICE
uses: SERVICE
need: Hear of what happens.
environments:
  development: {base_url: "http://127.0.0.1:1", secrets: {api_key: "env:KEY", webhook_secret: "env:VARIABLE"}}
auth: {use: AUTH}
endpoints: {}
webhooks:
  events: {something: {}}
`

// serve runs a gateway with a door for each of the providers.
func serve(t *testing.T) (url string) {
	t.Helper()
	folder := t.TempDir()
	for service := range secrets {
		profile, err := catalog.Load(service)
		if err != nil {
			t.Fatal(err)
		}
		auth := "api_key"
		if len(profile.Auth) > 0 {
			auth = profile.Auth[0].Kind
		}
		text := strings.NewReplacer("SERVICE", service, "AUTH", auth, "VARIABLE", strings.ReplaceAll(service, "-", "_")).Replace(planText)
		if err := os.WriteFile(filepath.Join(folder, service+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	app, err := sallyport.New(t.Context(), sallyport.Config{
		Plans: folder, Database: "sqlite:" + filepath.Join(t.TempDir(), "signers.db"), PublicURL: public, Log: slog.New(slog.DiscardHandler),
		LookupEnv: func(name string) (string, bool) {
			if name == "KEY" {
				return "key-of-the-provider", true
			}
			v, ok := secrets[strings.ReplaceAll(name, "_", "-")]
			return v, ok
		},
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
	return server.URL
}

// request is one webhook.
type request struct {
	service, query, body string
	header               http.Header
}

func (r request) post(t *testing.T, base string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/webhooks/"+r.service+r.query, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// url is the address as the provider knows it.
func (r request) url() string { return public + "/api/webhooks/" + r.service + r.query }

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// signers are libraries that sign. The secret and the time are given so that a
// wrong and an old signature can be had as well.
var signers = map[string]func(r *request, secret string, at time.Time) error{
	"stripe": func(r *request, secret string, at time.Time) error {
		made := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(r.body), Secret: secret, Timestamp: at})
		r.header = headers("Stripe-Signature", made.Header)
		return nil
	},
	"svix": func(r *request, secret string, at time.Time) error {
		w, err := svix.NewWebhook(secret)
		if err != nil {
			return err
		}
		signature, err := w.Sign("msg_1", at, []byte(r.body))
		r.header = headers("svix-id", "msg_1", "svix-timestamp", strconv.FormatInt(at.Unix(), 10), "svix-signature", signature)
		return err
	},
	"standard-webhooks": func(r *request, secret string, at time.Time) error {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return err
		}
		signature, err := w.Sign("msg_1", at, []byte(r.body))
		r.header = headers("webhook-id", "msg_1", "webhook-timestamp", strconv.FormatInt(at.Unix(), 10), "webhook-signature", signature)
		return err
	},
}

const event = `{"id":"evt_1", "type":"something", "created":1795510800, "text":"Grüße & <b>"}`

// R5.1, R5.2: what the libraries of Stripe, Svix and Standard Webhooks sign is
// taken; what was changed, is old, or is signed with another secret is not.
func TestSigners(t *testing.T) {
	t.Parallel()
	base := serve(t)
	for service, sign := range signers {
		for name, c := range map[string]struct {
			change func(*request)
			secret string
			at     time.Duration
			want   int
		}{
			"as it was signed":        {want: 200},
			"signed a little ago":     {at: -4 * time.Minute, want: 200},
			"old":                     {at: -6 * time.Minute, want: 401},
			"of the future":           {at: 6 * time.Minute, want: 401},
			"with a space more":       {change: func(r *request) { r.body += " " }, want: 401},
			"with another amount":     {change: func(r *request) { r.body = strings.Replace(r.body, "1795510800", "1795510801", 1) }, want: 401},
			"unsigned":                {change: func(r *request) { r.header = http.Header{} }, want: 401},
			"with another's secret":   {secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret of 24 b.")), want: 401},
			"with another event's id": {change: func(r *request) { r.header.Set(service+"-id", "msg_2") }, want: 401},
		} {
			r := request{service: service, body: event}
			secret := c.secret
			if secret == "" {
				secret = secrets[service]
			}
			if err := sign(&r, secret, time.Now().Add(c.at)); err != nil {
				t.Fatalf("%s: %v", service, err)
			}
			if c.change != nil {
				c.change(&r)
			}
			want := c.want
			switch {
			case service == "standard-webhooks" && strings.HasSuffix(name, "event's id"):
				r.header.Set("webhook-id", "msg_2")
			case service == "stripe" && strings.HasSuffix(name, "event's id"):
				want = 200 // Stripe signs none
			}
			if got := r.post(t, base); got != want {
				t.Errorf("%s, %s: %d, want %d", service, name, got, want)
			}
		}
	}
}

// verifiers are libraries that verify.
var verifiers = map[string]func(r request) bool{
	"stripe": func(r request) bool {
		return webhook.ValidatePayload([]byte(r.body), r.header.Get("Stripe-Signature"), secrets["stripe"]) == nil
	},
	"github": func(r request) bool {
		return github.ValidateSignature(r.header.Get(github.SHA256SignatureHeader), []byte(r.body), []byte(secrets["github"])) == nil
	},
	"slack": func(r request) bool {
		v, err := slack.NewSecretsVerifier(r.header, secrets["slack"])
		if err != nil {
			return false
		}
		if _, err := v.Write([]byte(r.body)); err != nil {
			return false
		}
		return v.Ensure() == nil
	},
	"twilio": func(r request) bool {
		v := twilio.NewRequestValidator(secrets["twilio"])
		return v.ValidateBody(r.url(), []byte(r.body), r.header.Get("X-Twilio-Signature"))
	},
	"svix": func(r request) bool {
		w, err := svix.NewWebhook(secrets["svix"])
		return err == nil && w.Verify([]byte(r.body), r.header) == nil
	},
	"standard-webhooks": func(r request) bool {
		w, err := standardwebhooks.NewWebhook(secrets["standard-webhooks"])
		return err == nil && w.Verify([]byte(r.body), r.header) == nil
	},
	"discord": func(r request) bool {
		req := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(r.body))
		req.Header = r.header
		return discordgo.VerifyInteraction(req, discordKey.Public().(ed25519.PublicKey))
	},
}

// webhooks are what the stand-in sends in the name of each provider.
var webhooks = []request{
	{service: "stripe", body: event},
	{service: "github", body: event, header: headers("X-GitHub-Event", "push", "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958", "Content-Type", "application/json")},
	{service: "slack", body: `{"type":"event_callback","event_id":"Ev1","event":{"type":"message"},"event_time":1795510800}`},
	{service: "slack", body: "command=%2Fweather&text=94070&trigger_id=1", header: headers("Content-Type", "application/x-www-form-urlencoded")},
	{service: "twilio", body: "MessageSid=SM1&MessageStatus=delivered&AccountSid=AC1&Body=Gr%C3%BC%C3%9Fe+%26+more", header: headers("Content-Type", "application/x-www-form-urlencoded", "I-Twilio-Idempotency-Token", "t1")},
	{service: "twilio", query: "?a=1&b=%20", body: "MessageSid=SM2&MessageStatus=sent", header: headers("Content-Type", "application/x-www-form-urlencoded", "I-Twilio-Idempotency-Token", "t2")},
	{service: "svix", body: event, header: headers("svix-id", "msg_3")},
	{service: "standard-webhooks", body: event, header: headers("webhook-id", "msg_3")},
	{service: "shopify", body: event, header: headers("X-Shopify-Topic", "orders/create", "X-Shopify-Webhook-Id", "b1", "X-Shopify-Shop-Domain", "a.myshopify.com", "X-Shopify-API-Version", "2026-10")},
	{service: "discord", body: `{"id":"787053080478613555","type":2,"application_id":"1"}`},
}

// signedByUs is the webhook with the signature that our stand-in makes.
func signedByUs(t *testing.T, w request) request {
	t.Helper()
	profile, err := catalog.Load(w.service)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := verify.Compile(profile.Webhooks.Verify)
	if err != nil {
		t.Fatal(err)
	}
	secret := secrets[w.service]
	if w.service == "discord" {
		secret = hex.EncodeToString(discordKey.Seed())
	}
	r := &extract.Request{Method: http.MethodPost, URL: w.url(), Header: w.header.Clone(), Body: []byte(w.body)}
	if err := scheme.Sign(r, integration.NewSecret(secret), time.Now()); err != nil {
		t.Fatalf("%s: %v", w.service, err)
	}
	w.header, w.body = r.Header, string(r.Body)
	return w
}

// spoilt are the ways in which a request is changed after it was signed. None may
// be taken, neither by us nor by the provider's library.
func spoilt(r request) map[string]request {
	list := map[string]request{}
	changed := r
	changed.body += "&extra=1"
	list["another body"] = changed
	changed = r
	changed.header = r.header.Clone()
	for name, values := range changed.header {
		if strings.Contains(strings.ToLower(name), "signature") || strings.Contains(name, "Hmac") {
			last := values[0][len(values[0])-5]
			other := byte('A')
			if last == other {
				other = 'B'
			}
			if last >= 'a' && last <= 'f' || last >= '0' && last <= '9' { // hexadecimal, perhaps
				other = '0' + (last+1)%8
			}
			if other == last {
				other = '9'
			}
			values[0] = values[0][:len(values[0])-5] + string(other) + values[0][len(values[0])-4:]
		}
	}
	list["another signature"] = changed
	if r.service == "twilio" {
		changed = r
		changed.query = "?a=2"
		list["another address"] = changed
	}
	return list
}

// R5.2, R6.1: what we sign in a provider's name its own library takes, and our
// door too; both refuse what was changed. Where they are of one mind about the
// forged and the genuine, we verify as the provider means it.
func TestVerifiers(t *testing.T) {
	t.Parallel()
	base := serve(t)
	tried := map[string]bool{}
	for _, w := range webhooks {
		theirs := verifiers[w.service]
		if theirs == nil {
			continue // Shopify has a library for Node alone
		}
		tried[w.service] = true
		r := signedByUs(t, w)
		if !theirs(r) {
			t.Errorf("%s: its library refuses what we signed", w.service)
		}
		if got := r.post(t, base); got != http.StatusOK {
			t.Errorf("%s: we answer %d to what we signed", w.service, got)
		}
		for name, bad := range spoilt(r) {
			if theirs(bad) {
				t.Errorf("%s, %s: its library takes it", w.service, name)
			}
			if got := bad.post(t, base); got != http.StatusUnauthorized {
				t.Errorf("%s, %s: we answer %d", w.service, name, got)
			}
		}
	}
	if len(tried) != len(verifiers) {
		t.Errorf("only %d of %d libraries were tried", len(tried), len(verifiers))
	}
}
