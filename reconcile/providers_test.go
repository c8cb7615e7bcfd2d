package reconcile_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/reconcile"
)

// hooks is a provider's memory of subscriptions, as its documentation describes
// it; each test writes the handlers.
type hooks struct {
	mu      sync.Mutex
	mux     *http.ServeMux
	objects map[string]string
	bodies  []string
}

func newHooks(handlers map[string]func(h *hooks, w http.ResponseWriter, r *http.Request, body string)) *hooks {
	h := &hooks{mux: http.NewServeMux(), objects: map[string]string{}}
	for pattern, handler := range handlers {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.bodies = append(h.bodies, string(body))
			w.Header().Set("Content-Type", "application/json")
			handler(h, w, r, string(body))
		})
	}
	return h
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *hooks) list() string {
	var all []string
	for _, id := range slices.Sorted(func(yield func(string) bool) {
		for id := range h.objects {
			if !yield(id) {
				return
			}
		}
	}) {
		all = append(all, h.objects[id])
	}
	return "[" + strings.Join(all, ",") + "]"
}

func (h *hooks) count() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.objects) }

func (h *hooks) last() string { h.mu.Lock(); defer h.mu.Unlock(); return h.bodies[len(h.bodies)-1] }

// at moves the clock of a bundle.
func (b *bundle) at(t time.Time) { b.mu.Lock(); defer b.mu.Unlock(); b.clock = t }

// tend looks after what was registered.
func (b *bundle) tend(s *reconcile.Subscriptions) time.Time {
	b.t.Helper()
	next, err := s.Tend(b.t.Context(), b.plan.Service, "")
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

// R5.15: Microsoft Graph tries the address with a validation token, a
// subscription is renewed before it expires, and registered again when it has.
func TestMicrosoftGraphSubscription(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	var b *bundle
	validated := 0
	h := newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"GET /subscriptions": func(h *hooks, w http.ResponseWriter, _ *http.Request, _ string) {
			fmt.Fprintf(w, `{"value":%s}`, h.list())
		},
		"POST /subscriptions": func(h *hooks, w http.ResponseWriter, r *http.Request, body string) {
			in := gjson.Parse(body)
			// The notification address stands in front of our door here.
			door := strings.Replace(in.Get("notificationUrl").String(), publicURL, b.door, 1)
			const token = "Validation: Testing client application reachability for subscription Request-Id: 1"
			again, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, door+"?validationToken="+url.QueryEscape(token), http.NoBody)
			again.Header.Set("Content-Type", "text/plain; charset=utf-8")
			resp, err := http.DefaultClient.Do(again)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			defer resp.Body.Close()
			answer, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != http.StatusOK || string(answer) != token || in.Get("clientState").String() != webhookSecret {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			validated++
			id := fmt.Sprintf("sub-%d", len(h.bodies))
			shown, _ := json.Marshal(map[string]string{
				"id": id, "changeType": in.Get("changeType").String(), "resource": in.Get("resource").String(),
				"notificationUrl": in.Get("notificationUrl").String(), "expirationDateTime": in.Get("expirationDateTime").String(),
			})
			h.objects[id] = string(shown)
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(shown)
		},
		"PATCH /subscriptions/{id}": func(h *hooks, w http.ResponseWriter, r *http.Request, body string) {
			one, ok := h.objects[r.PathValue("id")]
			if !ok {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			var all map[string]string
			_ = json.Unmarshal([]byte(one), &all)
			all["expirationDateTime"] = gjson.Get(body, "expirationDateTime").String()
			shown, _ := json.Marshal(all)
			h.objects[r.PathValue("id")] = string(shown)
			_, _ = w.Write(shown)
		},
		"DELETE /subscriptions/{id}": func(h *hooks, w http.ResponseWriter, r *http.Request, _ string) {
			delete(h.objects, r.PathValue("id"))
			w.WriteHeader(http.StatusNoContent)
		},
	})
	h.objects["other"] = `{"id":"other","changeType":"updated","resource":"groups","notificationUrl":"` + publicURL + `/api/webhooks/msgraph","expirationDateTime":"2026-06-01T09:00:00Z"}`
	b = start(t, "msgraph", nil, nil, h)
	b.at(now)
	s := b.subscriptions(nil)
	if next := b.tend(s); !next.Equal(now.Add(time.Hour)) || h.count() != 1 {
		t.Errorf("nothing was registered, and it went on: %s, %d", next, h.count())
	}
	c := b.sync(s, "register!")
	if c.Others != 1 || validated != 1 || !b.known()[0].ExpiresAt.Equal(now.Add(253800*time.Second)) || !slices.Equal(b.known()[0].Events, []string{"deleted", "updated"}) {
		t.Fatalf("%+v, validated %d, known %+v", c, validated, b.known())
	}
	first := b.known()[0]
	renewAt := reconcile.RenewAt(b.plan.Provider.Webhooks.Subscription, first)
	b.requests()
	b.at(renewAt.Add(-time.Minute))
	if next := b.tend(s); !next.Equal(renewAt) {
		t.Errorf("next %s, want %s", next, renewAt)
	}
	b.noChange()
	b.at(renewAt.Add(time.Second))
	b.tend(s)
	if known := b.known(); known[0].ExternalID != first.ExternalID || !known[0].ExpiresAt.After(first.ExpiresAt) {
		t.Errorf("after the renewal %+v", known)
	}
	h.mu.Lock()
	delete(h.objects, first.ExternalID) // it was removed there
	h.mu.Unlock()
	b.tend(s)
	if known := b.known(); len(known) != 1 || known[0].ExternalID == first.ExternalID || !b.log.has("subscription.ended", "alert=true") {
		t.Errorf("after it was lost %+v", known)
	}
	delete(b.plan.Webhooks.Events, "deleted") // the events of one can't be changed
	b.sync(s, "replace!")
	if known := b.known(); len(known) != 1 || !slices.Equal(known[0].Events, []string{"updated"}) || h.count() != 2 {
		t.Errorf("after the change %+v, %d there", known, h.count())
	}
	if c, err := s.Remove(t.Context(), reconcile.Whose{Service: "msgraph"}); err != nil || done(c) != "remove!" || h.count() != 1 {
		t.Errorf("removing: %s, %v, %d left", done(c), err, h.count())
	}
	if b.recorded(webhookSecret) || b.log.has(webhookSecret) {
		t.Error("the client state stands in a record or a log")
	}
}

// R5.15: a renewal that fails is tried again well before the end, and says so.
func TestRenewalThatFails(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	h := newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"POST /calendars/{calendar}/events/watch": func(h *hooks, w http.ResponseWriter, _ *http.Request, _ string) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":{"code":403}}`)
		},
	})
	b := start(t, "calendar", nil, nil, h)
	b.at(now)
	s := b.subscriptions(nil)
	if _, err := s.Sync(t.Context(), reconcile.Whose{Service: "calendar"}); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("got %v", err)
	}
	one := subscriptionOf(b, "ch-1", now.Add(20*time.Minute))
	if err := b.store.PutSubscription(t.Context(), &one); err != nil {
		t.Fatal(err)
	}
	next, err := s.Tend(t.Context(), "calendar", "")
	if err == nil || !next.Equal(now.Add(5*time.Minute)) || !b.log.has("subscription.failed", "alert=true") {
		t.Errorf("next %s, %v", next, err)
	}
	if known := b.known(); len(known) != 1 || !strings.Contains(known[0].Error, "403") {
		t.Errorf("known %+v", known)
	}
}

// calendarHooks are Google's channels of one calendar.
func calendarHooks(calendar string) *hooks {
	return newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"POST /calendars/{calendar}/events/watch": func(h *hooks, w http.ResponseWriter, r *http.Request, body string) {
			in := gjson.Parse(body)
			if r.PathValue("calendar") != calendar || in.Get("type").String() != "web_hook" || in.Get("token").String() != webhookSecret {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			id := in.Get("id").String()
			h.objects[id] = "{}"
			fmt.Fprintf(w, `{"kind":"api#channel","id":%q,"resourceId":"res-%d","expiration":%q}`, id, len(h.objects), in.Get("expiration").String())
		},
		"POST /channels/stop": func(h *hooks, w http.ResponseWriter, _ *http.Request, body string) {
			if gjson.Get(body, "resourceId").String() == "" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			delete(h.objects, gjson.Get(body, "id").String())
			w.WriteHeader(http.StatusNoContent)
		},
	})
}

// R5.15: Google's channels can't be listed or changed: a new one takes the place
// of the old before it ends.
func TestGoogleCalendarChannel(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	h := calendarHooks("team@example.com")
	b := start(t, "calendar", nil, nil, h)
	b.at(now)
	s := b.subscriptions(nil)
	b.sync(s, "register!")
	first := b.known()[0]
	if !first.ExpiresAt.Equal(now.Add(7*24*time.Hour)) || first.Extra["resource_id"] != "res-1" {
		t.Errorf("known %+v", first)
	}
	if c := b.compare(s, "keep"); c.Listed {
		t.Error("a list that there is not was read")
	}
	b.at(reconcile.RenewAt(b.plan.Provider.Webhooks.Subscription, first).Add(time.Second))
	b.tend(s)
	if known := b.known(); len(known) != 1 || known[0].ExternalID == first.ExternalID || h.count() != 1 {
		t.Errorf("after the renewal %+v, %d there", known, h.count())
	}
	if gjson.Get(h.last(), "id").String() != first.ExternalID {
		t.Errorf("the old one was not stopped last: %s", h.last())
	}
	if b.recorded(webhookSecret) {
		t.Error("the token stands in a record")
	}
	if c, err := s.Remove(t.Context(), reconcile.Whose{Service: "calendar"}); err != nil || done(c) != "remove!" || h.count() != 0 || len(b.known()) != 0 {
		t.Errorf("removing: %s, %v, %d left", done(c), err, h.count())
	}
}

// shopifyHooks are the webhooks of one shop, numbered from the first on; no two
// shops have the same.
func shopifyHooks(first int) *hooks {
	return newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"GET /webhooks.json": func(h *hooks, w http.ResponseWriter, _ *http.Request, _ string) {
			fmt.Fprintf(w, `{"webhooks":%s}`, h.list())
		},
		"POST /webhooks.json": func(h *hooks, w http.ResponseWriter, _ *http.Request, body string) {
			in := gjson.Get(body, "webhook")
			id := first + len(h.bodies)
			one := fmt.Sprintf(`{"id":%d,"topic":%q,"address":%q,"format":"json"}`, id, in.Get("topic").String(), in.Get("address").String())
			h.objects[fmt.Sprint(id)] = one
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"webhook":%s}`, one)
		},
		"DELETE /webhooks/{file}": func(h *hooks, w http.ResponseWriter, r *http.Request, _ string) {
			id := strings.TrimSuffix(r.PathValue("file"), ".json")
			if _, ok := h.objects[id]; !ok {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			delete(h.objects, id)
			fmt.Fprint(w, `{}`)
		},
	})
}

// R5.15: Shopify has one subscription for each topic.
func TestShopifySubscriptions(t *testing.T) {
	t.Parallel()
	h := shopifyHooks(9007199254740993) // more digits than a float holds
	h.objects["1"] = `{"id":1,"topic":"orders/create","address":"https://elsewhere.example.com/hook","format":"json"}`
	h.objects["2"] = `{"id":2,"topic":"carts/update","address":"` + publicURL + `/api/webhooks/shopify","format":"json"}`
	b := start(t, "shopify", nil, nil, h)
	s := b.subscriptions(nil)
	b.compare(s, "register register remove")
	b.sync(s, "register! register! remove!")
	if c := b.compare(s, "keep keep"); c.Others != 1 || h.count() != 3 || len(b.known()) != 2 {
		t.Errorf("%+v, %d there, known %+v", c, h.count(), b.known())
	}
	if c, err := s.Remove(t.Context(), reconcile.Whose{Service: "shopify"}); err != nil || done(c) != "remove! remove!" || h.count() != 1 {
		t.Errorf("removing: %s, %v, %d left", done(c), err, h.count())
	}
}

// R5.15: without a credential for the manifest, it is said what to do by hand.
func TestSlackIsSetUpByHand(t *testing.T) {
	t.Parallel()
	b := start(t, "slack", nil, nil, http.NotFoundHandler())
	c := b.sync(b.subscriptions(nil), "")
	if !strings.Contains(c.ByHand, "apps.manifest.update") || c.URL != publicURL+receive.Prefix+"slack" || len(c.Events) != 2 {
		t.Errorf("%+v", c)
	}
	if asked := b.requests(); len(asked) > 0 {
		t.Errorf("it asked %q", asked)
	}
}
