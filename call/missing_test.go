package call_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/conflict"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// R4.4: a 404 is not retried, and the destination that the plan names hears
// which resource is missing; a provider that hides behind 404 proves nothing.
func TestResourceMissing(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		status int
		change func(p *plan.Plan)
		told   int
	}{
		{"404", 404, func(*plan.Plan) {}, 1},
		{"410", 410, func(*plan.Plan) {}, 1},
		{"403", 403, func(*plan.Plan) {}, 0},
		{"nobody to tell", 404, func(p *plan.Plan) { p.Errors = nil }, 0},
		{"404 for no permission", 404, func(p *plan.Plan) { p.Provider.Errors.ForbiddenAs404 = true }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := parse(t, stripePlan)
			p.Errors = map[string]plan.ErrorPolicy{"404": {Tell: "app"}, "410": {Tell: "app"}}
			row.change(p)
			provider := &provider{steps: []step{answer(row.status, `{"error":{"message":"No such customer"}}`)}}
			var told []*integration.Event
			s, err := call.New(call.Config{
				Plan: p, Environment: "development", Transport: provider, Journal: forget{}, Secret: func() integration.Secret { return integration.NewSecret(canary) },
				Told: func(_ context.Context, e *integration.Event) error { told = append(told, e); return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.Transport("acme", integration.EntryClient).RoundTrip(request(t, http.MethodGet, customers+"/cus_1", ""))
			if err != nil || resp.StatusCode != row.status {
				t.Fatal(err)
			}
			resp.Body.Close()
			if len(provider.asked) != 1 || len(told) != row.told {
				t.Fatalf("asked %d times, told %d times", len(provider.asked), len(told))
			}
			if row.told == 0 {
				return
			}
			e := told[0]
			to, own := e.Destination()
			if !own || to != "app" || e.Type != integration.EventResourceMissing || e.Tenant != "acme" || !strings.Contains(string(e.Payload), `"variables":{"id":"cus_1"}`) {
				t.Errorf("%s to %q: %s", e.Type, to, e.Payload)
			}
		})
	}
}

// R4.7: what became of a call of unknown outcome is looked for by the plan's
// on_unknown, and never guessed.
func TestOutcome(t *testing.T) {
	t.Parallel()
	p := parse(t, stripePlan)
	p.Endpoints["list_notes"] = &plan.Endpoint{Call: "GET /v1/notes", Effect: plan.EffectRead}
	p.Endpoints["create_note"].OnUnknown = &plan.OnUnknown{
		Find: "list_notes", Query: map[string]string{"text": "body.text"}, Items: "data", Match: map[string]string{"text": "body.text"}, More: "has_more",
	}
	lost := &integration.Call{
		ID: "c1", Service: "stripe", Endpoint: "create_note", Method: "POST", Path: "/v1/notes", State: integration.CallUnknown, Body: []byte("text=hello"),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, CreatedAt: time.Now().Add(-time.Hour), FinishedAt: time.Now().Add(-time.Hour),
	}
	for _, row := range []struct {
		answer step
		want   conflict.Outcome
	}{
		{answer(200, `{"data":[{"id":"n1","text":"hello"}],"has_more":false}`), conflict.Happened},
		{answer(200, `{"data":[{"id":"n2","text":"other"}],"has_more":false}`), conflict.NotHappened},
		{answer(200, `{"data":[{"id":"n2","text":"other"}],"has_more":true}`), conflict.Unknown},
	} {
		b := newBundle(t, p, "development", row.answer)
		got, err := b.Outcome(t.Context(), lost)
		if err != nil || got.Outcome != row.want {
			t.Errorf("got %+v %v, want %s", got, err, row.want)
		}
		if asked := b.provider.asked; len(asked) != 1 || asked[0].Method != http.MethodGet || asked[0].URL.Query().Get("text") != "hello" {
			t.Errorf("asked %v", asked)
		}
	}
	b := newBundle(t, p, "development", answer(200, `{}`))
	done := *lost
	done.State = integration.CallSucceeded
	if _, err := b.Outcome(t.Context(), &done); !errors.Is(err, integration.ErrState) {
		t.Errorf("got %v", err)
	}
	other := *lost
	other.Endpoint = "create_customer"
	if _, err := b.Outcome(t.Context(), &other); err == nil || b.Settles(&other) {
		t.Error("it looks without being told how")
	}
}
