package sallyport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// R4.6: a served App makes the calls that nobody waits for, and tells the
// callback the plan names, signed, when one is finished.
func TestServeRunsQueuedCalls(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+apiKey {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"cus_1"}`)
	}))
	defer provider.Close()
	told := make(chan string, 10)
	destination := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Webhook-Signature") == "" {
			t.Error("not signed")
		}
		told <- string(body)
	}))
	defer destination.Close()
	c := configure(t, "BASE", provider.URL, "mappings: {}", `destinations: {app: {url: "`+destination.URL+`", secret: "env:LIVE"}}`,
		"invoice.paid: {from: data.object}", "invoice.paid: {from: data.object, to: app}")
	key := appKey(t, c)
	app := start(t, c)
	address, stop, ended := serving(t, app)
	defer func() {
		stop()
		if err := await(t, ended); err != nil {
			t.Error(err)
		}
	}()
	ask := func(method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	resp, body := ask(http.MethodGet, "/api/v1/integrations/stripe/proxy/v1/customers/cus_1", "Prefer", "respond-async", "Sallyport-Callback", "app")
	at := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusAccepted || at == "" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	select {
	case event := <-told:
		if gjson.Get(event, "type").String() != "sallyport.call.finished" || gjson.Get(event, "data.state").String() != "succeeded" || gjson.Get(event, "data.location").String() != at {
			t.Errorf("told %s", event)
		}
		if strings.Contains(event, "cus_1") {
			t.Errorf("the answer is told to more than asked: %s", event)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
	}
	if _, body := ask(http.MethodGet, at); gjson.Get(body, "answer.json.id").String() != "cus_1" {
		t.Errorf("answer %s", body)
	}
}
