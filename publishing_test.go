package sallyport_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"
	"github.com/tidwall/gjson"
)

// R5.8: a webhook goes through a real gateway to a broker: a fake of Pub/Sub, at
// the level of HTTP, that is away at first. What it has not acknowledged comes
// again.
func TestGatewayPublishes(t *testing.T) {
	t.Parallel()
	type message struct {
		Data       []byte
		Attributes map[string]string
	}
	got := make(chan message, 10)
	var asked atomic.Int32
	topic := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var in struct{ Messages []message }
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/v1/projects/shop/topics/events:publish" || json.Unmarshal(body, &in) != nil || len(in.Messages) != 1 {
			t.Errorf("%s %s", r.URL.Path, body)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		got <- in.Messages[0]
		_, _ = io.WriteString(w, `{"messageIds":["1"]}`)
	}))
	defer topic.Close()
	c := configure(t, "mappings: {}", `destinations: {bus: {url: "gcppubsub://shop/events"}}`, "invoice.paid: {from: data.object}", "invoice.paid: {from: data.object, to: bus}")
	c.Redelivery = []time.Duration{time.Millisecond}
	c.LookupEnv = func(name string) (string, bool) {
		if name == "PUBSUB_EMULATOR_HOST" {
			return strings.TrimPrefix(topic.URL, "http://"), true
		}
		return lookup(name)
	}
	address, stop, ended := serving(t, start(t, c))
	defer func() {
		stop()
		if err := await(t, ended); err != nil {
			t.Error(err)
		}
	}()
	payload := `{"id":"evt_bus","object":"event","type":"invoice.paid","created":1764000000,"data":{"object":{"id":"in_1"}}}`
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(payload), Secret: webhookSecret})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/api/webhooks/stripe", strings.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Stripe-Signature", signed.Header)
	r.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	m := arrived(t, got)
	if id := resp.Header.Get("Sallyport-Event"); id == "" || m.Attributes["ce-id"] != id || gjson.GetBytes(m.Data, "id").String() != id {
		t.Errorf("event %q came as %v %s", id, m.Attributes, m.Data)
	}
	if m.Attributes["ce-type"] != "stripe.invoice.paid" || gjson.GetBytes(m.Data, "data.id").String() != "in_1" || asked.Load() != 2 {
		t.Errorf("%v %s after %d requests", m.Attributes, m.Data, asked.Load())
	}
}
