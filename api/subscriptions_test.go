package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/reconcile"
)

// subscriptions is a script.
type subscriptions struct {
	err       error
	changed   []string
	ofTenants bool
}

func (s *subscriptions) OfTenants(string) bool { return s.ofTenants }

func (s *subscriptions) Want(_ context.Context, _ string, on bool) error {
	s.changed = append(s.changed, fmt.Sprintf("want %t", on))
	return s.err
}

func (s *subscriptions) comparison(do string, done bool) (*reconcile.Comparison, error) {
	return &reconcile.Comparison{
		Service: "stripe", URL: "https://example.com/api/webhooks/stripe", Events: []string{"invoice.paid"}, Listed: true, Others: 2,
		Changes: []reconcile.Change{{Do: do, Done: done, Subscription: integration.Subscription{ExternalID: "we_1", Sealed: []byte("sealed")}}},
	}, s.err
}

func (s *subscriptions) Compare(context.Context, reconcile.Whose) (*reconcile.Comparison, error) {
	return s.comparison(reconcile.Update, false)
}

func (s *subscriptions) Sync(context.Context, reconcile.Whose) (*reconcile.Comparison, error) {
	s.changed = append(s.changed, "sync")
	return s.comparison(reconcile.Update, true)
}

func (s *subscriptions) Remove(context.Context, reconcile.Whose) (*reconcile.Comparison, error) {
	s.changed = append(s.changed, "remove")
	return s.comparison(reconcile.Remove, true)
}

func (*subscriptions) Standing(context.Context, string, string) (reconcile.Standing, error) {
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
	s.err = fmt.Errorf("webhooks of stripe: %w", reconcile.ErrCredential)
	b.do(b.admin, "POST", path+"/sync", "").problem(t, http.StatusConflict, "not_set_up")
	s.err = errors.New("the provider answered 500")
	if a := b.do(b.admin, "POST", path+"/sync", ""); a.status != http.StatusBadGateway {
		t.Errorf("a provider that fails: %d", a.status)
	}
}

// finder is a script.
type finder struct{ tended int }

func (*finder) Status(context.Context, string, string) (reconcile.Status, error) {
	return reconcile.Status{Found: 3}, nil
}
func (*finder) Now(context.Context, string) error       { return nil }
func (f *finder) TendNow(context.Context, string) error { f.tended++; return nil }

// R5.15: where tenants authorise a service, all are looked after in the
// background, and a tenant's own end with its connection alone.
func TestWebhooksOfTenants(t *testing.T) {
	t.Parallel()
	s, f := &subscriptions{ofTenants: true}, &finder{}
	b := newBundle(t, func(http.ResponseWriter, *http.Request) {}, func(c *api.Config) { c.Subscriptions, c.Finder = s, f })
	const path = "/api/v1/admin/integrations/stripe/webhooks"
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"POST", path + "/sync", http.StatusOK},
		{"DELETE", path, http.StatusOK},
		{"POST", path + "/sync?tenant=acme", http.StatusOK},
		{"DELETE", path + "?tenant=acme", http.StatusConflict},
		{"DELETE", path + "?connection=c1", http.StatusConflict},
		{"GET", path + "?tenant=acme", http.StatusOK},
	} {
		if a := b.do(b.admin, c.method, c.path, ""); a.status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, a.status, c.want)
		}
	}
	if want := []string{"want true", "want false", "sync"}; !slices.Equal(s.changed, want) || f.tended != 2 {
		t.Errorf("done: %v, tended %d times", s.changed, f.tended)
	}
	s.err = reconcile.ErrWhose
	b.do(b.admin, "GET", path, "").problem(t, http.StatusConflict, "of_tenants")
	s.err = integration.ErrNotFound
	if a := b.do(b.admin, "GET", path+"?tenant=nobody", ""); a.status != http.StatusNotFound {
		t.Errorf("of a tenant without a connection: %d", a.status)
	}
}
