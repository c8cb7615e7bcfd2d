package vault_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/vault"
)

// notices plays the store.
type notices struct {
	mu     sync.Mutex
	leaked []string
	erased map[string]time.Time
	err    error
}

func (n *notices) LeakedSecrets(context.Context) (list []integration.LeakedSecret, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.leaked {
		list = append(list, integration.LeakedSecret{Fingerprint: f})
	}
	return list, n.err
}

func (n *notices) ErasedSince(_ context.Context, since time.Time) (tenants []string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for tenant, at := range n.erased {
		if !at.Before(since) {
			tenants = append(tenants, tenant)
		}
	}
	return tenants, n.err
}

func fingerprint(v string) string { return integration.NewSecret(v).Fingerprint() }

// R2.9: a secret that leaked is used no more, one that takes its place is, and a
// mark that was taken off is forgotten; a destination goes on signing.
func TestRefuse(t *testing.T) {
	t.Parallel()
	env := map[string]string{"KEY": "sk_test_one", "SECRET": "whsec_new", "OLD": "whsec_old", "APP": "whsec_new"}
	s, err := vault.Open(leakPlan(t), "development", func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if without := s.Refuse(map[string]bool{fingerprint("whsec_new"): true}); len(without) != 0 {
		t.Errorf("without %v", without)
	}
	if all := s.All(vault.WebhookSecret); len(all) != 1 || all[0].Reveal() != "whsec_old" {
		t.Errorf("%d webhook secrets are left", len(all))
	}
	if s.Destination("app")[0].Reveal() != "whsec_new" {
		t.Error("the destination has no signing secret any more")
	}
	if got := s.Fingerprints(vault.WebhookSecret); !slices.Equal(got, []string{fingerprint("whsec_new"), fingerprint("whsec_old")}) {
		t.Errorf("fingerprints %v", got)
	}
	if without := s.Refuse(map[string]bool{fingerprint("sk_test_one"): true}); !slices.Equal(without, []string{vault.APIKey}) {
		t.Errorf("without %v", without)
	}
	if !s.Leaked(vault.APIKey) || s.Leaked(vault.WebhookSecret) || s.Leaked("nothing") || !s.First(vault.APIKey).IsZero() {
		t.Error("a leaked key is used")
	}
	if err := s.Reload(); err != nil || !s.Leaked(vault.APIKey) {
		t.Errorf("after reading it again it is used: %v", err)
	}
	env["KEY"] = "sk_test_two"
	if err := s.Reload(); err != nil || s.First(vault.APIKey).Reveal() != "sk_test_two" {
		t.Errorf("the new key is not used: %v", err)
	}
	env["KEY"] = "sk_test_one"
	if s.Refuse(nil); s.Reload() != nil || s.First(vault.APIKey).Reveal() != "sk_test_one" {
		t.Error("the mark stays")
	}
}

// R2.7, R2.9: a process hears of leaks and erasures within five seconds, also
// when the store was away and the clocks differ.
func TestHearing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := vault.Open(leakPlan(t), "development", func(string) (string, bool) { return "sk_test_canary", true })
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		var forgotten atomic.Int64
		kept := &notices{erased: map[string]time.Time{"long ago": time.Now().Add(-time.Hour)}}
		h := vault.Hearing{Kept: kept, Secrets: []*vault.Secrets{s}, Forget: func(tenant string) {
			if tenant != "acme" {
				t.Errorf("forgot %s", tenant)
			}
			forgotten.Add(1)
		}, Log: slog.New(slog.NewTextHandler(&log, nil))}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.Run(ctx); close(done) }()
		after := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		after(5 * time.Second)
		change := func(change func()) { kept.mu.Lock(); defer kept.mu.Unlock(); change() }
		change(func() { kept.err = errors.New("away") })
		after(time.Hour)
		change(func() {
			kept.leaked, kept.erased["acme"], kept.err = []string{fingerprint("sk_test_canary")}, time.Now().Add(-5*time.Minute), nil
		})
		if s.Leaked(vault.APIKey) || forgotten.Load() != 0 {
			t.Error("heard too early")
		}
		after(5 * time.Second)
		if !s.Leaked(vault.APIKey) || forgotten.Load() != 1 {
			t.Errorf("five seconds later: leaked %v, forgotten %d times", s.Leaked(vault.APIKey), forgotten.Load())
		}
		after(time.Minute)
		stop()
		<-done
		if n := strings.Count(log.String(), "secret.leaked"); n != 2 || strings.Contains(log.String(), "canary") || !strings.Contains(log.String(), "away") {
			t.Errorf("said %d times:\n%s", n, log.String())
		}
	})
}

func leakPlan(t *testing.T) *plan.Plan {
	t.Helper()
	p, err := plan.Parse("stripe.yaml", []byte(`
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments:
  development:
    base_url: http://127.0.0.1:1
    secrets: {api_key: "env:KEY", webhook_secret: ["env:SECRET", "env:OLD"]}
auth: {use: api_key}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Show the payer., effect: read}
destinations: {app: {url: "http://127.0.0.1:1/", secret: "env:APP"}}
`), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
