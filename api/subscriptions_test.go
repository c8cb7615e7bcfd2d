package api_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/reconcile"
)

// subscriptions is a script.
type subscriptions struct {
	err     error
	changed []string
}

func (s *subscriptions) comparison(do string, done bool) (*reconcile.Comparison, error) {
	return &reconcile.Comparison{
		Service: "stripe", URL: "https://example.com/api/webhooks/stripe", Events: []string{"invoice.paid"}, Listed: true, Others: 2,
		Changes: []reconcile.Change{{Do: do, Done: done, Subscription: integration.Subscription{ExternalID: "we_1", Sealed: []byte("sealed")}}},
	}, s.err
}

func (s *subscriptions) Compare(context.Context, string) (*reconcile.Comparison, error) {
	return s.comparison(reconcile.Update, false)
}

func (s *subscriptions) Sync(context.Context, string) (*reconcile.Comparison, error) {
	s.changed = append(s.changed, "sync")
	return s.comparison(reconcile.Update, true)
}

func (s *subscriptions) Remove(context.Context, string) (*reconcile.Comparison, error) {
	s.changed = append(s.changed, "remove")
	return s.comparison(reconcile.Remove, true)
}

func (*subscriptions) Standing(context.Context, string) (reconcile.Standing, error) {
	return reconcile.Standing{Subscriptions: []integration.Subscription{{ExternalID: "we_1", ExpiresAt: time.Unix(1, 0)}}}, nil
}

// R5.15: subscriptions are compared, changed and removed by admins alone; a dry run
// changes nothing; what changes something is in the audit log.
func TestWebhooksRoutes(t *testing.T) {
	t.Parallel()
	s := &subscriptions{}
	b := newBundle(t, func(http.ResponseWriter, *http.Request) {}, func(c *api.Config) { c.Subscriptions = s })
	const path = "/api/v1/admin/integrations/stripe/webhooks"
	for _, c := range []struct {
		key, method, path string
		want              int
	}{
		{b.app, "GET", path, http.StatusForbidden},
		{b.app, "POST", path + "/sync", http.StatusForbidden},
		{b.app, "DELETE", path, http.StatusForbidden},
		{b.admin, "GET", path, http.StatusOK},
		{b.admin, "POST", path + "/sync?dry_run=true", http.StatusOK},
		{b.admin, "DELETE", path + "?dry_run=true", http.StatusOK},
		{b.admin, "POST", path + "/reconcile", http.StatusConflict},
		{b.admin, "GET", "/api/v1/admin/integrations/slack/webhooks", http.StatusNotFound},
	} {
		if a := b.do(c.key, c.method, c.path, ""); a.status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, a.status, c.want)
		}
	}
	if len(s.changed) != 0 {
		t.Errorf("%v was done", s.changed)
	}
	b.do(b.admin, "POST", path+"/sync", "")
	b.do(b.admin, "DELETE", path, "")
	if len(s.changed) != 2 {
		t.Errorf("done: %v", s.changed)
	}
	entries, _, err := b.store.AuditLog(t.Context(), integration.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	audited := 0
	for _, e := range entries {
		if e.Action == "webhooks.sync" || e.Action == "webhooks.remove" {
			audited++
		}
	}
	if audited != 2 {
		t.Errorf("%d entries in the audit log", audited)
	}
	s.err = reconcile.ErrNoPublicURL
	if a := b.do(b.admin, "GET", path, ""); a.status != http.StatusConflict {
		t.Errorf("without a public URL: %d", a.status)
	}
	s.err = errors.New("the provider answered 500")
	if a := b.do(b.admin, "POST", path+"/sync", ""); a.status != http.StatusBadGateway {
		t.Errorf("a provider that fails: %d", a.status)
	}
}
