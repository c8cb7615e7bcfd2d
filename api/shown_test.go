package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
)

// R5.7: what the plan redacts is shown to nobody, and an event says how much of
// it is kept.
func TestRedactedEvent(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), func(c *api.Config) { c.Integrations[0].Plan.Webhooks.Redact = []string{"data.owner_email"} })
	show := func(id string) (view struct {
		Payload  string `json:"payload"`
		Base64   string `json:"payload_base64"`
		Redacted bool   `json:"redacted"`
		Kept     string `json:"kept"`
	},
	) {
		answer := b.do(b.admin, http.MethodGet, "/api/v1/admin/events/"+id, "")
		if answer.status != http.StatusOK || strings.Contains(answer.text, "canary@example.com") {
			t.Errorf("%d: %s", answer.status, answer.text)
		}
		if err := json.Unmarshal([]byte(answer.text), &view); err != nil {
			t.Fatal(err)
		}
		return view
	}
	whole := b.keep(1, `{"data": {"owner_email": "canary@example.com"}, "n": 1.50}`)
	if v := show(whole); v.Payload != `{"data": {"owner_email": "[redacted]"}, "n": 1.50}` || !v.Redacted || v.Kept != "whole" {
		t.Errorf("before it was processed: %+v", v)
	}
	b.finish(integration.Outcome{Status: integration.EventProcessed, Payload: []byte(`{"data": {"owner_email": "[redacted]"}, "n": 1.50}`), Kept: integration.KeptRedacted})
	if v := show(whole); !v.Redacted || v.Kept != "redacted" || !strings.Contains(v.Payload, "1.50") {
		t.Errorf("after: %+v", v)
	}
	unread := b.keep(2, `<owner>canary@example.com</owner>`)
	if v := show(unread); v.Payload != "" || v.Base64 != "" || !v.Redacted {
		t.Errorf("what can't be read: %+v", v)
	}
	plain := b.keep(3, `{"data": {}}`)
	if v := show(plain); v.Payload != `{"data": {}}` || v.Redacted || v.Kept != "whole" {
		t.Errorf("nothing to redact: %+v", v)
	}
	b.finish(integration.Outcome{Status: integration.EventProcessed, Kept: integration.KeptNothing})
	if v := show(plain); v.Payload != "" || v.Kept != "nothing" {
		t.Errorf("nothing kept: %+v", v)
	}
	b.do(b.admin, http.MethodPost, "/api/v1/admin/integrations/stripe/retry/"+plain, "").problem(t, http.StatusGone, "not_kept")
}
