package reconcile_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/reconcile"
)

// githubHooks are the hooks of one repository.
func githubHooks(repository string) *hooks {
	at := "/repos/" + repository + "/hooks"
	return newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"GET " + at: func(h *hooks, w http.ResponseWriter, _ *http.Request, _ string) { fmt.Fprint(w, h.list()) },
		"POST " + at: func(h *hooks, w http.ResponseWriter, _ *http.Request, body string) {
			if gjson.Get(body, "config.secret").String() != webhookSecret {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
			id := 1000*len(repository) + len(h.bodies) // GitHub's numbers are its own, not a repository's
			one := fmt.Sprintf(`{"id":%d,"active":true,"events":%s,"config":{"url":%q}}`, id, gjson.Get(body, "events").Raw, gjson.Get(body, "config.url").String())
			h.objects[fmt.Sprint(id)] = one
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, one)
		},
		"DELETE " + at + "/{id}": func(h *hooks, w http.ResponseWriter, r *http.Request, _ string) {
			delete(h.objects, r.PathValue("id"))
			w.WriteHeader(http.StatusNoContent)
		},
	})
}

// stripeHooks are the endpoints of one account; each gets a secret of its own.
func stripeHooks(account string) *hooks {
	shown := func(id, url, secret string) string {
		return fmt.Sprintf(`{"id":%q,"object":"webhook_endpoint","status":"enabled","enabled_events":["invoice.paid"],"url":%q%s}`, id, url, secret)
	}
	return newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"GET /v1/webhook_endpoints": func(h *hooks, w http.ResponseWriter, _ *http.Request, _ string) {
			fmt.Fprintf(w, `{"object":"list","has_more":false,"data":%s}`, h.list())
		},
		"POST /v1/webhook_endpoints": func(h *hooks, w http.ResponseWriter, r *http.Request, body string) {
			at := formValue(body, "url")
			id := fmt.Sprintf("we_%s_%d", account, len(h.bodies))
			h.objects[id] = shown(id, at, "")
			fmt.Fprint(w, shown(id, at, `,"secret":"whsec_of_`+account+`"`))
		},
		"DELETE /v1/webhook_endpoints/{id}": func(h *hooks, w http.ResponseWriter, r *http.Request, _ string) {
			delete(h.objects, r.PathValue("id"))
			fmt.Fprint(w, `{"deleted":true}`)
		},
	})
}

// R5.15: for each tenant's connection, whichever the provider: its account is
// subscribed, compared, renewed where subscriptions end, shown in the status, and
// left when it disconnects, while the account of another stays as it is.
func TestTenantsOfEachProvider(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plan  string
		of    func(tenant string) *hooks // its account at the provider
		each  int                        // subscriptions an account has
		ends  bool
		given bool // the provider gives the signing secret
		take  []string
		vars  func(tenant string) map[string]string
	}{
		{plan: "stripe_tenants", of: stripeHooks, each: 1, given: true},
		{plan: "github_tenants", of: func(tenant string) *hooks { return githubHooks(tenant + "/shop") }, each: 1, take: []string{"owner"}, vars: func(tenant string) map[string]string {
			return map[string]string{"owner": tenant}
		}},
		{plan: "calendar", of: func(tenant string) *hooks { return calendarHooks(tenant + "@example.com") }, each: 1, ends: true, take: []string{"calendar_id"}, vars: func(tenant string) map[string]string {
			return map[string]string{"calendar_id": tenant + "@example.com"}
		}},
		{plan: "shopify_tenants", of: func(tenant string) *hooks { return shopifyHooks(1000 * len(tenant)) }, each: 2},
	} {
		t.Run(c.plan, func(t *testing.T) {
			t.Parallel()
			ctx, now := t.Context(), time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
			accounts := map[string]*hooks{"acme/c1": c.of("acme"), "umbrella/c2": c.of("umbrella")}
			b := start(t, c.plan, nil, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if h := accounts[r.Header.Get("X-Account")]; h != nil {
					h.ServeHTTP(w, r)
					return
				}
				w.WriteHeader(http.StatusUnauthorized)
			}))
			for _, name := range c.take {
				delete(b.plan.Webhooks.Path, name)
			}
			b.at(now)
			sealed := map[string]string{}
			s := b.subscriptions(sealed, b.ofTenants)
			service, mine, others := b.plan.Service, accounts["acme/c1"], accounts["umbrella/c2"]
			for i, tenant := range []string{"acme", "umbrella"} {
				var vars map[string]string
				if c.vars != nil {
					vars = c.vars(tenant)
				}
				b.connection(fmt.Sprintf("c%d", i+1), tenant, vars)
				b.tendOne(s, fmt.Sprintf("c%d", i+1))
			}
			if mine.count() != c.each || others.count() != c.each || len(b.known()) != 2*c.each {
				t.Fatalf("registered %d and %d, known %+v", mine.count(), others.count(), b.known())
			}
			if comparison, err := s.Compare(ctx, reconcile.Whose{Service: service, Tenant: "acme"}); err != nil || comparison.Differs() || comparison.Connection != "c1" {
				t.Errorf("compared %+v, %v", comparison, err)
			}
			if c.ends {
				first, err := b.store.SubscriptionsOf(ctx, service, "c1")
				if err != nil || len(first) != 1 {
					t.Fatal(first, err)
				}
				b.at(reconcile.RenewAt(b.plan.Provider.Webhooks.Subscription, first[0]).Add(time.Second))
				b.tendOne(s, "c1")
				if list, _ := b.store.SubscriptionsOf(ctx, service, "c1"); len(list) != 1 || !list[0].ExpiresAt.After(first[0].ExpiresAt) || mine.count() != 1 {
					t.Errorf("renewed %+v", list)
				}
			}
			if st, err := s.Standing(ctx, service, ""); err != nil || st.Total != 2*c.each || st.Connections != 2 || st.Failing != 0 || st.Expires.IsZero() == c.ends {
				t.Errorf("it stands %+v, %v", st, err)
			}
			if err := s.Leave(ctx, service, "c1"); err != nil || mine.count() != 0 || others.count() != c.each || len(b.known()) != c.each {
				t.Errorf("left: %v; there are %d and %d, known %+v", err, mine.count(), others.count(), b.known())
			}
			if st, err := s.Standing(ctx, service, "acme"); err != nil || st.Total != 0 {
				t.Errorf("it stands %+v, %v", st, err)
			}
			secrets := []string{webhookSecret}
			if c.given {
				if len(sealed) != 2 {
					t.Errorf("%d secrets were sealed, want one of each account", len(sealed))
				}
				for _, secret := range sealed {
					secrets = append(secrets, secret)
				}
			}
			for _, secret := range secrets {
				if b.log.has(secret) || b.recorded(secret) {
					t.Error("a signing secret stands in a log or a record")
				}
			}
		})
	}
}

// formValue is a field of a form body.
func formValue(body, name string) string {
	r, err := http.NewRequest(http.MethodPost, "/", strings.NewReader(body)) //nolint:noctx // it is not sent
	if err != nil {
		return ""
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.PostFormValue(name)
}
