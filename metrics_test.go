package sallyport_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/sallyport/sallyport"
)

// scrape reads /metrics, with a key if it is not empty.
func scrape(t *testing.T, address, key string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// R6.3, R6.7: a webhook's way through the gateway shows in its figures, which
// need a key unless they are said to be open.
func TestMetrics(t *testing.T) {
	t.Parallel()
	for _, open := range []bool{false, true} {
		t.Run(map[bool]string{false: "with a key", true: "open"}[open], func(t *testing.T) {
			t.Parallel()
			c := configure(t)
			c.MetricsOpen = open
			app := start(t, c)
			handled := make(chan struct{})
			if err := app.On("stripe", "invoice.paid", func(context.Context, sallyport.Event) error { close(handled); return nil }); err != nil {
				t.Fatal(err)
			}
			address, stop, ended := serving(t, app)
			defer stop()
			if status := post(t, address); status != http.StatusOK {
				t.Fatalf("answered %d", status)
			}
			<-handled
			if !open {
				for _, key := range []string{"", "sp_wrong"} {
					if status, text := scrape(t, address, key); status != http.StatusUnauthorized || strings.Contains(text, "stripe") {
						t.Errorf("with key %q: %d %s", key, status, text)
					}
				}
				return
			}
			want := []string{
				`sallyport_webhooks_total{service="stripe",verdict="received"} 1`,
				`sallyport_webhook_events_total{service="stripe",type="invoice.paid"} 1`,
				`sallyport_webhook_request_seconds_count{service="stripe",status="2xx"} 1`,
				`sallyport_event_outcomes_total{service="stripe",status="processed"} 1`,
				`sallyport_delivery_seconds_count{destination="handler",service="stripe",state="succeeded"} 1`,
				`sallyport_scrape_failed 0`,
				"sallyport_store_bytes ",
			}
			var text string
			for deadline := time.Now().Add(20 * time.Second); ; { // the turn's end is counted a moment after its handler
				var status int
				if status, text = scrape(t, address, ""); status != http.StatusOK {
					t.Fatalf("answered %d %s", status, text)
				}
				if strings.Contains(text, want[3]) || time.Now().After(deadline) {
					break
				}
			}
			for _, line := range want {
				if !strings.Contains(text, line) {
					t.Errorf("there is no %s in:\n%s", line, text)
				}
			}
			parser := expfmt.NewTextParser(model.LegacyValidation)
			if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
				t.Errorf("Prometheus can't read it: %v", err)
			}
			stop()
			if err := await(t, ended); err != nil {
				t.Error(err)
			}
		})
	}
}
