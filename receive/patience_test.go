package receive

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
)

// R5.5: the answer comes before the provider's own deadline.
func TestPatience(t *testing.T) {
	t.Parallel()
	for deadline, want := range map[int]time.Duration{
		-1: 5 * time.Second, 0: 5 * time.Second, 1: 800 * time.Millisecond, 3: 2400 * time.Millisecond, 10: 8 * time.Second, 100: 10 * time.Second,
	} {
		if got := patience(deadline); got != want {
			t.Errorf("a deadline of %d s gives %s, want %s", deadline, got, want)
		}
	}
}

// stuck is a store that never commits.
type stuck struct{}

func (stuck) Accept(ctx context.Context, _ *integration.Event) (bool, error) {
	<-ctx.Done()
	return false, context.Cause(ctx)
}

// R5.5, R5.6: a store that does not get on is answered for with 503 while the
// provider still listens, and nothing is called received.
func TestStuckStoreIsAnsweredFor(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	slack := *profile.Webhooks
	slack.Answer.DeadlineS = 3
	short := *profile
	short.Webhooks = &slack
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r, err := New(Config{
			Services: []Service{{
				Plan:    &plan.Plan{Service: "stripe", Provider: &short, Webhooks: &plan.Webhooks{Events: map[string]plan.EventHandling{"invoice.paid": {}}}},
				Secrets: func() []integration.Secret { return []integration.Secret{integration.NewSecret("whsec_stuck")} },
			}},
			Inbox: stuck{}, Log: slog.New(slog.NewTextHandler(&log, nil)),
			Received: func(*integration.Event) { t.Error("an event that was not kept was called received") },
		})
		if err != nil {
			t.Fatal(err)
		}
		payload := []byte(`{"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{}}}`)
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: "whsec_stuck", Timestamp: time.Now()})
		request := httptest.NewRequest(http.MethodPost, Prefix+"stripe", strings.NewReader(string(payload)))
		request.Header.Set("Stripe-Signature", signed.Header)
		answer, began := httptest.NewRecorder(), time.Now()
		r.ServeHTTP(answer, request)
		if took := time.Since(began); took != 2400*time.Millisecond {
			t.Errorf("answered after %s, want 2.4s of the provider's 3", took)
		}
		if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
			t.Errorf("%d, Retry-After %q", answer.Code, answer.Header().Get("Retry-After"))
		}
		if stats := r.Stats("stripe"); stats.NotKept != 1 || stats.Received != 0 {
			t.Errorf("counted %+v", stats)
		}
		if !strings.Contains(log.String(), errLate.Error()) {
			t.Errorf("the log does not say why:\n%s", &log)
		}
		if body, _ := io.ReadAll(answer.Body); strings.Contains(string(body), errLate.Error()) {
			t.Errorf("the sender learns what is wrong inside: %s", body)
		}
	})
}

// R5.5: looking for the tenant of an address is part of what the provider waits
// for.
func TestStuckTenantIsAnsweredFor(t *testing.T) {
	t.Parallel()
	profile, err := catalog.Load("stripe")
	if err != nil {
		t.Fatal(err)
	}
	slack := *profile.Webhooks
	slack.Answer.DeadlineS = 3
	short := *profile
	short.Webhooks = &slack
	for name, lookup := range map[string]time.Duration{"for ever": time.Hour, "for a while": time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			r, err := New(Config{
				Services: []Service{{
					Plan:    &plan.Plan{Service: "stripe", Provider: &short, Webhooks: &plan.Webhooks{Tenant: plan.TenantByPath, Events: map[string]plan.EventHandling{"invoice.paid": {}}}},
					Secrets: func() []integration.Secret { return []integration.Secret{integration.NewSecret("whsec_stuck")} },
					Tenant: func(ctx context.Context, _ string) ([]integration.Secret, bool, error) {
						select {
						case <-ctx.Done():
							return nil, false, ctx.Err()
						case <-time.After(lookup):
							return nil, true, nil
						}
					},
				}},
				Inbox: stuck{}, Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			payload := []byte(`{"id":"evt_1","object":"event","type":"invoice.paid","data":{"object":{}}}`)
			signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: "whsec_stuck", Timestamp: time.Now()})
			request := httptest.NewRequest(http.MethodPost, Prefix+"stripe/acme", strings.NewReader(string(payload)))
			request.Header.Set("Stripe-Signature", signed.Header)
			answer, began := httptest.NewRecorder(), time.Now()
			r.ServeHTTP(answer, request)
			if took := time.Since(began); took != 2400*time.Millisecond || answer.Code != http.StatusServiceUnavailable {
				t.Errorf("%s: answered %d after %s, want 503 after 2.4s of the provider's 3", name, answer.Code, took)
			}
			if !strings.Contains(log.String(), errLate.Error()) {
				t.Errorf("%s: the log does not say why:\n%s", name, &log)
			}
		})
	}
}
