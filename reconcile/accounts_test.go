package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/reconcile"
)

// connection keeps a connection of a tenant that works.
func (b *bundle) connection(id, tenant string, variables map[string]string) {
	b.t.Helper()
	c := integration.Connection{
		ID: id, Tenant: tenant, Service: b.plan.Service, Environment: "development", Kind: b.plan.Auth.Use, State: integration.ConnectionConnected,
		Variables: variables, CreatedAt: b.now(), UpdatedAt: b.now(),
	}
	if err := b.store.CreateConnection(b.t.Context(), integration.ConnectionChange{Connection: c}); err != nil {
		b.t.Fatal(err)
	}
}

// ends disconnects a connection behind the back of everybody.
func (b *bundle) ends(id string) {
	b.t.Helper()
	c, _, err := b.store.Connection(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	c.State, c.UpdatedAt = integration.ConnectionDisconnected, b.now()
	if err := b.store.ChangeConnection(b.t.Context(), integration.ConnectionChange{Connection: c, DropAll: true}); err != nil {
		b.t.Fatal(err)
	}
}

// ofTenants makes subscriptions know the connections.
func (b *bundle) ofTenants(c *reconcile.SubscriptionConfig) {
	c.Connections, c.Environment = b.store, "development"
}

// tendOne looks after one connection.
func (b *bundle) tendOne(s *reconcile.Subscriptions, connection string) time.Time {
	b.t.Helper()
	next, err := s.Tend(b.t.Context(), b.plan.Service, connection)
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

// graph is Microsoft Graph with several accounts; shared makes all of them one.
func graph(shared bool) *hooks {
	account := func(r *http.Request) string {
		if shared {
			return "all|"
		}
		return r.Header.Get("X-Account") + "|"
	}
	return newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"GET /subscriptions": func(h *hooks, w http.ResponseWriter, r *http.Request, _ string) {
			var list []string
			for key, one := range h.objects {
				if strings.HasPrefix(key, account(r)) {
					list = append(list, one)
				}
			}
			fmt.Fprintf(w, `{"value":[%s]}`, strings.Join(list, ","))
		},
		"POST /subscriptions": func(h *hooks, w http.ResponseWriter, r *http.Request, body string) {
			in := gjson.Parse(body)
			id := fmt.Sprintf("sub-%d", len(h.bodies))
			shown, _ := json.Marshal(map[string]string{
				"id": id, "changeType": in.Get("changeType").String(), "resource": in.Get("resource").String(),
				"notificationUrl": in.Get("notificationUrl").String(), "expirationDateTime": in.Get("expirationDateTime").String(),
			})
			h.objects[account(r)+id] = string(shown)
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(shown)
		},
		"PATCH /subscriptions/{id}": func(h *hooks, w http.ResponseWriter, r *http.Request, body string) {
			key := account(r) + r.PathValue("id")
			if _, ok := h.objects[key]; !ok {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			var all map[string]string
			_ = json.Unmarshal([]byte(h.objects[key]), &all)
			all["expirationDateTime"] = gjson.Get(body, "expirationDateTime").String()
			shown, _ := json.Marshal(all)
			h.objects[key] = string(shown)
			_, _ = w.Write(shown)
		},
		"DELETE /subscriptions/{id}": func(h *hooks, w http.ResponseWriter, r *http.Request, _ string) {
			delete(h.objects, account(r)+r.PathValue("id"))
			w.WriteHeader(http.StatusNoContent)
		},
	})
}

// of are the ids at one account.
func (h *hooks) of(account string) (ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key := range h.objects {
		if id, ok := strings.CutPrefix(key, account+"|"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// R5.15: each tenant's connection is subscribed by itself, at its own account and
// at an address of its own, renewed and changed; it is removed when it ends, and
// the others' stay.
func TestTenantsSubscriptions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	now := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	h := graph(false)
	b := start(t, "msgraph", nil, nil, h)
	b.plan.Webhooks.Tenant = "path"
	b.at(now)
	b.connection("c1", "acme", nil)
	b.connection("c2", "umbrella & sons", nil)
	s := b.subscriptions(nil, b.ofTenants)

	if _, err := s.Sync(ctx, reconcile.Whose{Service: "msgraph"}); !errors.Is(err, reconcile.ErrWhose) {
		t.Errorf("of nobody: %v", err)
	}
	if _, err := s.Compare(ctx, reconcile.Whose{Service: "msgraph", Tenant: "nobody"}); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("of a tenant without a connection: %v", err)
	}
	if _, err := s.Compare(ctx, reconcile.Whose{Service: "msgraph", Tenant: "acme", Connection: "c2"}); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("of another's connection: %v", err)
	}
	if asked := b.requests(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}

	b.tendOne(s, "c1")
	if c, err := s.Sync(ctx, reconcile.Whose{Service: "msgraph", Tenant: "umbrella & sons"}); err != nil || done(c) != "register!" || c.Connection != "c2" {
		t.Fatalf("%+v, %v", c, err)
	}
	known := b.known()
	if len(known) != 2 || known[0].Tenant != "acme" || known[0].URL != publicURL+"/api/webhooks/msgraph/acme" || known[1].URL != publicURL+"/api/webhooks/msgraph/umbrella%20&%20sons" {
		t.Fatalf("known %+v", known)
	}
	if len(h.of("acme/c1")) != 1 || len(h.of("umbrella & sons/c2")) != 1 {
		t.Fatalf("at the provider %v", h.objects)
	}

	first := known[0]
	b.at(reconcile.RenewAt(b.plan.Provider.Webhooks.Subscription, first).Add(time.Second))
	b.requests()
	b.tendOne(s, "c1")
	if list, _ := b.store.SubscriptionsOf(ctx, "msgraph", "c1"); len(list) != 1 || !list[0].ExpiresAt.After(first.ExpiresAt) || list[0].ExternalID != first.ExternalID {
		t.Errorf("after the renewal %+v", list)
	}
	if asked := b.requests(); !slices.ContainsFunc(asked, func(r string) bool { return strings.HasPrefix(r, "PATCH ") }) || len(asked) != 2 {
		t.Errorf("asked %q", asked)
	}
	delete(b.plan.Webhooks.Events, "deleted")
	b.tendOne(s, "c1") // nobody syncs each tenant by hand
	if list, _ := b.store.SubscriptionsOf(ctx, "msgraph", "c1"); len(list) != 1 || !slices.Equal(list[0].Events, []string{"updated"}) || len(h.of("acme/c1")) != 1 {
		t.Errorf("after the change %+v", list)
	}

	if err := s.Leave(ctx, "msgraph", "c1"); err != nil || len(h.of("acme/c1")) != 0 || len(h.of("umbrella & sons/c2")) != 1 {
		t.Errorf("leaving: %v, there is %v", err, h.objects)
	}
	if standing, err := s.Standing(ctx, "msgraph", ""); err != nil || standing.Total != 1 || standing.Connections != 1 || !standing.OfTenants || standing.Off {
		t.Errorf("%+v, %v", standing, err)
	}
	if standing, err := s.Standing(ctx, "msgraph", "acme"); err != nil || standing.Total != 0 || standing.URL != publicURL+"/api/webhooks/msgraph/acme" {
		t.Errorf("of acme %+v, %v", standing, err)
	}
	if b.recorded(webhookSecret) || b.log.has(webhookSecret) {
		t.Error("the client state stands in a record or a log")
	}
}

// R5.15: an administrator ends the subscriptions of all tenants, and none comes
// back by itself until they are wanted again.
func TestTenantsUnwanted(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := graph(false)
	b := start(t, "msgraph", nil, nil, h)
	b.connection("c1", "acme", nil)
	s := b.subscriptions(nil, b.ofTenants)
	b.tendOne(s, "c1")
	if err := s.Want(ctx, "msgraph", false); err != nil {
		t.Fatal(err)
	}
	b.tendOne(s, "c1")
	b.requests()
	b.tendOne(s, "c1")
	if asked := b.requests(); len(asked) > 0 || h.count() != 0 || len(b.known()) != 0 {
		t.Errorf("asked %q, there is %v", asked, h.objects)
	}
	if _, err := s.Sync(ctx, reconcile.Whose{Service: "msgraph", Tenant: "acme"}); !errors.Is(err, reconcile.ErrOff) {
		t.Errorf("one of them: %v", err)
	}
	if err := s.Want(ctx, "msgraph", true); err != nil {
		t.Fatal(err)
	}
	b.tendOne(s, "c1")
	if h.count() != 1 {
		t.Errorf("there is %v", h.objects)
	}
}

// R5.15: two connections at one account share what is subscribed to there; it
// goes with the last.
func TestTenantsOfOneAccount(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := graph(true)
	b := start(t, "msgraph", nil, nil, h)
	b.connection("c1", "acme", nil)
	b.connection("c2", "umbrella", nil)
	s := b.subscriptions(nil, b.ofTenants)
	b.tendOne(s, "c1")
	b.tendOne(s, "c2")
	if h.count() != 1 || len(b.known()) != 2 {
		t.Fatalf("there is %v, known %+v", h.objects, b.known())
	}
	for i, connection := range []string{"c1", "c2"} {
		if err := s.Leave(ctx, "msgraph", connection); err != nil || h.count() != 1-i {
			t.Errorf("after %s left: %v, there is %v", connection, err, h.objects)
		}
	}
	if len(b.known()) != 0 {
		t.Errorf("known %+v", b.known())
	}
}

// R5.15: a connection that ended, or is gone, is not worked on, and nothing is
// remembered of it.
func TestTenantsThatEnded(t *testing.T) {
	t.Parallel()
	h := graph(false)
	b := start(t, "msgraph", nil, nil, h)
	b.connection("c1", "acme", nil)
	s := b.subscriptions(nil, b.ofTenants)
	b.tendOne(s, "c1")
	b.ends("c1")
	b.requests()
	b.tendOne(s, "c1")
	if asked := b.requests(); len(asked) > 0 || len(b.known()) != 0 || !b.log.has("subscription.left", "c1") {
		t.Errorf("asked %q, known %+v", asked, b.known())
	}
	if _, err := s.Tend(t.Context(), "msgraph", "c9"); !errors.Is(err, integration.ErrNotFound) {
		t.Errorf("one that never was: %v", err)
	}
}

// R5.15: a tenant whose account refuses is tried again, less and less often; it
// is in the status, and the alert comes once.
func TestTenantThatFails(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	b := start(t, "msgraph", nil, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	b.at(now)
	b.connection("c1", "acme", nil)
	s := b.subscriptions(nil, b.ofTenants)
	c, waits := integration.Cursor{ID: "subscription:msgraph/c1"}, []time.Duration(nil)
	for range 3 {
		out := reconcile.TendTurn(s, t.Context(), "msgraph", "c1", c)
		c.State, waits = out.State, append(waits, out.DueAt.Sub(now))
	}
	if !slices.IsSorted(waits) || waits[0] != 10*time.Minute || waits[2] != 40*time.Minute {
		t.Errorf("waits %v", waits)
	}
	if !strings.Contains(string(c.State), `"failures":3`) || b.log.count("subscription.failed", "alert=true") != 1 {
		t.Errorf("notes %s, %d alerts", c.State, b.log.count("subscription.failed", "alert=true"))
	}
}

// R5.15: a connection that is made while the gateway runs is subscribed at once,
// without anybody asking.
func TestTenantConnects(t *testing.T) {
	t.Parallel()
	h := graph(false)
	registered := make(chan struct{}, 10)
	b := start(t, "msgraph", nil, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			registered <- struct{}{}
		}
	}))
	b.connection("c1", "acme", nil)
	f := b.finder(b.tending)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	<-registered
	b.connection("c2", "umbrella", nil)
	<-registered
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if h.count() != 2 {
		t.Errorf("there is %v", h.objects)
	}
}

// tending makes a finder look after the subscriptions of connections as well.
func (b *bundle) tending(c *reconcile.Config) {
	c.Connections, c.Environment, c.Look = b.store, "development", 5*time.Millisecond
	c.Subscriptions, c.PublicURL = b.subscriptions(nil, b.ofTenants), publicURL
}

// R5.14: the list of each tenant's account is read with its own credential and its
// own subscription, and what is found is the tenant's.
func TestTenantsLists(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC().Add(-time.Minute).Format(time.RFC3339)
	b := start(t, "github_tenants", nil, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		n := map[string]int{"acme/c1": 1, "umbrella/c2": 2}[r.Header.Get("X-Account")]
		switch repo := map[int]string{1: "shop", 2: "lab"}[n]; r.URL.Path {
		case fmt.Sprintf("/repos/acme/%s/hooks/%d/deliveries", repo, n):
			fmt.Fprintf(w, `[{"id":%d,"guid":"guid-%d","event":"push","delivered_at":%q}]`, n, n, at)
		case fmt.Sprintf("/repos/acme/%s/hooks/%d/deliveries/%d", repo, n, n):
			fmt.Fprint(w, `{"request":{"payload":{"ref":"refs/heads/main"}}}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	delete(b.plan.Webhooks.Path, "repo")
	b.connection("c1", "acme", map[string]string{"repo": "shop"})
	b.connection("c2", "umbrella", map[string]string{"repo": "lab"})
	for i, connection := range []string{"c1", "c2"} {
		one := subscriptionOf(b, fmt.Sprint(i+1), time.Time{})
		one.Connection, one.URL = connection, b.door+"/api/webhooks/github"
		if err := b.store.PutSubscription(t.Context(), &one); err != nil {
			t.Fatal(err)
		}
	}
	f := b.finder(func(c *reconcile.Config) { c.Connections, c.Environment = b.store, "development" })
	for _, connection := range []string{"c1", "c2", "c1"} {
		out := reconcile.Turn(f.Finder, t.Context(), integration.Cursor{ID: reconcile.CursorID("github", connection)})
		if strings.Contains(string(out.State), `"error"`) {
			t.Errorf("%s: %s", connection, out.State)
		}
	}
	events := b.events()
	if len(events) != 2 || events["guid-1"].Tenant != "acme" || events["guid-2"].Tenant != "umbrella" {
		t.Errorf("%+v", events)
	}
	if out := reconcile.Turn(f.Finder, t.Context(), integration.Cursor{ID: reconcile.CursorID("github", "c9")}); !out.DueAt.IsZero() {
		t.Errorf("one that is gone: %+v", out)
	}
}
