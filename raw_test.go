package sallyport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport"
	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// rawDelivery is what came at a destination.
type rawDelivery struct {
	header http.Header
	body   []byte
}

// arrived is the next delivery.
func arrived[T any](t testing.TB, got <-chan T) (one T) {
	t.Helper()
	select {
	case one = <-got:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was delivered")
	}
	return one
}

// adminKey makes a key that may see everything.
func adminKey(t testing.TB, c sallyport.Config) string {
	t.Helper()
	store := open(t, c)
	defer store.Close()
	key, record := api.NewKey("admin", integration.ScopeAdmin, time.Now())
	entry := integration.AuditEntry{ID: record.ID, At: time.Now(), Actor: "command line", Action: "key.create", Target: record.ID}
	if err := store.CreateKey(t.Context(), record, entry); err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

// R5.8: a raw delivery is what the provider sent, so that its SDK verifies it
// again, and ours beside it; nothing of the signature is shown by the API.
func TestRawDeliveryVerifiesWithTheProvidersSDK(t *testing.T) {
	t.Parallel()
	got := make(chan rawDelivery, 10)
	destination := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- rawDelivery{r.Header, body}
	}))
	defer destination.Close()
	c := configure(t, "mappings: {}", `destinations: {app: {url: "`+destination.URL+`", secret: "env:LIVE", format: raw}}`,
		"invoice.paid: {from: data.object}", "invoice.paid: {to: app}")
	key := adminKey(t, c)
	app := start(t, c)
	address, stop, ended := serving(t, app)
	defer func() {
		stop()
		if err := await(t, ended); err != nil {
			t.Error(err)
		}
	}()
	payload := `{"id": "evt_raw", "object": "event", "type": "invoice.paid",  "api_version": "", "created": 1764000000, "data": {"object": {"id": "in_1"}}}`
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(payload), Secret: webhookSecret})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/api/webhooks/stripe", strings.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Stripe-Signature", signed.Header)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Authorization", "Bearer not-for-you")
	r.Header.Set("Sallyport-Signed-Stripe-Signature", "t=1,v1=forged")
	r.Header.Set("Sallyport-Tenant", "forged")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the door answered %d", resp.StatusCode)
	}
	d := arrived(t, got)
	options := webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true}
	event, err := webhook.ConstructEventWithOptions(d.body, d.header.Get("Stripe-Signature"), webhookSecret, options)
	if err != nil || event.ID != "evt_raw" {
		t.Fatalf("Stripe's SDK refuses it: %v", err)
	}
	if _, err := webhook.ConstructEventWithOptions(append([]byte(" "), d.body...), d.header.Get("Stripe-Signature"), webhookSecret, options); err == nil {
		t.Error("Stripe's SDK accepts another body")
	}
	if string(d.body) != payload || d.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("not as it came: %v %s", d.header, d.body)
	}
	if d.header.Get("Sallyport-Event") != resp.Header.Get("Sallyport-Event") || d.header.Get("Sallyport-Type") != "stripe.invoice.paid" ||
		d.header.Get("Webhook-Id") != d.header.Get("Sallyport-Event") {
		t.Errorf("our headers: %v", d.header)
	}
	for _, never := range []string{"Authorization", "Sallyport-Tenant", "Sallyport-Signed-Stripe-Signature"} {
		if d.header.Get(never) != "" {
			t.Errorf("%s: %s", never, d.header.Get(never))
		}
	}
	hook, err := standardwebhooks.NewWebhookRaw([]byte("sk_live_canary"))
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Verify(d.body, d.header); err != nil {
		t.Errorf("our own signature: %v", err)
	}
	shown, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/v1/admin/events/"+d.header.Get("Sallyport-Event"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	shown.Header.Set("Authorization", "Bearer "+key)
	resp, err = client.Do(shown)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "evt_raw") || strings.Contains(string(page), "v1=") {
		t.Errorf("the event is shown as %s", page)
	}
}
