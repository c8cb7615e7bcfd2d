package reconcile_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/reconcile"
)

// The app of the tests, with parts that nobody here knows, numbers that no float
// holds, and text that looks like a placeholder.
const slackManifest = `{
  "_metadata": {"major_version": 2, "minor_version": 1},
  "display_information": {"name": "Zork & <sons>", "long_description": "Say {id} to {url}, \"please\"."},
  "features": {"bot_user": {"display_name": "zork", "always_online": true}, "future": {"answer": 9007199254740993, "none": null}},
  "oauth_config": {"scopes": {"bot": ["app_mentions:read", "channels:history", "im:history"]}},
  "settings": {"org_deploy_enabled": false, "socket_mode_enabled": false, "token_rotation_enabled": false}
}`

const slackURL = publicURL + receive.Prefix + "slack"

// slackApp is a stand-in for Slack's app manifest methods, as their pages
// describe them. Its fields are those of a manifest.
type slackApp struct {
	*hooks
	door     func() string // where the request URL is reached here
	manifest string
	refuse   string // answers instead
	writes   int
	verified int
	trusting bool // takes any address
}

func newSlackApp(door func() string) *slackApp {
	app := &slackApp{manifest: slackManifest, door: door}
	allowed := func(w http.ResponseWriter, r *http.Request, body string) bool {
		switch {
		case app.refuse != "":
			fmt.Fprint(w, app.refuse)
		case r.Header.Get("Authorization") != "Bearer "+apiKey:
			fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		case gjson.Get(body, "app_id").String() != "A123ABC456":
			fmt.Fprint(w, `{"ok":false,"error":"invalid_app_id"}`)
		default:
			return true
		}
		return false
	}
	app.hooks = newHooks(map[string]func(*hooks, http.ResponseWriter, *http.Request, string){
		"POST /apps.manifest.export": func(_ *hooks, w http.ResponseWriter, r *http.Request, body string) {
			if allowed(w, r, body) {
				fmt.Fprintf(w, `{"ok":true,"manifest":%s}`, app.manifest)
			}
		},
		"POST /apps.manifest.update": func(_ *hooks, w http.ResponseWriter, r *http.Request, body string) {
			if !allowed(w, r, body) {
				return
			}
			app.writes++
			next := gjson.Get(body, "manifest").String()
			part := gjson.Get(next, "settings.event_subscriptions")
			if part.Exists() && part.Get("request_url").String() == "" {
				fmt.Fprint(w, `{"ok":false,"error":"invalid_manifest","errors":[{"message":"Event Subscription requires either Request URL or Socket Mode Enabled","pointer":"/settings/event_subscriptions"}]}`)
				return
			}
			if url := part.Get("request_url").String(); url != gjson.Get(app.manifest, "settings.event_subscriptions.request_url").String() && url != "" && !app.trusting && !app.verify(r, url) {
				fmt.Fprint(w, `{"ok":false,"error":"invalid_manifest","errors":[{"message":"Your request URL didn't respond with the value of the challenge","pointer":"/settings/event_subscriptions/request_url"}]}`)
				return
			}
			app.manifest = next
			fmt.Fprint(w, `{"ok":true,"app_id":"A123ABC456","permissions_updated":false}`)
		},
	})
	return app
}

// verify tries an address with a challenge, signed as Slack signs.
func (a *slackApp) verify(r *http.Request, url string) bool {
	const challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
	body := `{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"` + challenge + `","type":"url_verification"}`
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	fmt.Fprintf(mac, "v0:%s:%s", at, body)
	try, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, strings.Replace(url, publicURL, a.door(), 1), strings.NewReader(body))
	try.Header.Set("Content-Type", "application/json")
	try.Header.Set("X-Slack-Request-Timestamp", at)
	try.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(try)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	a.verified++
	return resp.StatusCode == http.StatusOK && string(answer) == challenge
}

// set changes the app as a person does.
func (a *slackApp) set(path string, value any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	if a.manifest, err = sjson.Set(a.manifest, path, value); err != nil {
		panic(err)
	}
}

func (a *slackApp) get(path string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return gjson.Get(a.manifest, path).Raw
}

func (a *slackApp) refusing(with string) { a.mu.Lock(); defer a.mu.Unlock(); a.refuse = with }

func (a *slackApp) written() int { a.mu.Lock(); defer a.mu.Unlock(); return a.writes }

// rest is the manifest without what is ours, numbers with all their digits.
func (a *slackApp) rest(t *testing.T) (all map[string]any) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	decoder := json.NewDecoder(strings.NewReader(a.manifest))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	delete(all["settings"].(map[string]any), "event_subscriptions")
	return all
}

// slack is a bundle with the stand-in, and a credential for its manifest.
func slack(t *testing.T) (*bundle, *slackApp, *reconcile.Subscriptions) {
	t.Helper()
	var b *bundle
	app := newSlackApp(func() string { return b.door })
	b = start(t, "slack", nil, nil, app)
	b.plan.Webhooks.Path = map[string]string{"app_id": "A123ABC456"}
	return b, app, b.subscriptions(nil, func(c *reconcile.SubscriptionConfig) {
		c.Services[0].Own, c.Services[0].Given = b.calls, func() bool { return true }
	})
}

// R5.15: at Slack the events stand in the app's manifest: they are registered,
// compared, changed and removed there, and the rest of it stays as it is.
func TestSlackSubscription(t *testing.T) {
	t.Parallel()
	b, app, s := slack(t)
	before := app.rest(t)
	b.compare(s, "register")
	if n := app.written(); n != 0 {
		t.Fatalf("comparing wrote %d times", n)
	}
	c := b.sync(s, "register!")
	if known := b.known(); c.Others != 0 || !c.Listed || app.verified != 1 || len(known) != 1 || known[0].ExternalID != "A123ABC456" || known[0].State != "on" || known[0].URL != slackURL {
		t.Fatalf("%+v, verified %d, known %+v", c, app.verified, known)
	}
	// Messages are those of the conversations that the app's scopes allow.
	if got := app.get("settings.event_subscriptions"); gjson.Get(got, "request_url").String() != slackURL || gjson.Get(got, "bot_events").Raw != `["app_mention","message.channels","message.im"]` {
		t.Errorf("it has %s", got)
	}
	b.sync(s, "keep")
	if n := app.written(); n != 1 {
		t.Errorf("what did not differ was written: %d", n)
	}
	// One kind of message is enough, and an event of the users' does as well.
	app.set("settings.event_subscriptions.bot_events", []string{"message.im"})
	app.set("settings.event_subscriptions.user_events", []string{"app_mention"})
	b.sync(s, "keep")
	// A person takes an event out, and puts another in.
	app.set("settings.event_subscriptions.user_events", []string{"star_added"})
	if c := b.compare(s, "update"); !strings.Contains(c.Changes[0].Why, "+app_mention -star_added") {
		t.Errorf("why: %s", c.Changes[0].Why)
	}
	b.tend(s)
	if !b.log.has("subscription.differs", "sallyport webhooks sync slack") || app.written() != 1 {
		t.Error("a difference was not said, or changed unasked")
	}
	b.sync(s, "update!")
	if got := app.get("settings.event_subscriptions"); gjson.Get(got, "bot_events").Raw != `["message.im","app_mention"]` || gjson.Get(got, "user_events").Exists() {
		t.Errorf("after the change it has %s", got)
	}
	delete(b.plan.Webhooks.Events, "message")
	b.sync(s, "update!")
	if got := app.get("settings.event_subscriptions.bot_events"); got != `["app_mention"]` || !slices.Equal(b.known()[0].Events, []string{"app_mention"}) {
		t.Errorf("it has %s, known %+v", got, b.known())
	}
	if !reflect.DeepEqual(app.rest(t), before) {
		t.Errorf("the rest was changed: %s", app.manifest)
	}
	if c, err := s.Remove(t.Context(), reconcile.Whose{Service: "slack"}); err != nil || done(c) != "remove!" || len(b.known()) != 0 {
		t.Errorf("removing: %s, %v", done(c), err)
	}
	if app.get("settings.event_subscriptions") != "" || !reflect.DeepEqual(app.rest(t), before) {
		t.Errorf("left: %s", app.manifest)
	}
}

// R5.15: what is registered and was lost is registered again.
func TestSlackSubscriptionThatWasLost(t *testing.T) {
	t.Parallel()
	b, app, s := slack(t)
	b.sync(s, "register!")
	app.set("settings.event_subscriptions", nil)
	b.tend(s)
	if got := app.get("settings.event_subscriptions.request_url"); got != `"`+slackURL+`"` || !b.log.has("subscription.ended", "alert=true") {
		t.Errorf("it has %s", got)
	}
}

// R5.15: there is room for one address; another's is reported and left alone.
func TestSlackSendsElsewhere(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://elsewhere.example.com/slack"
	b, app, s := slack(t)
	app.set("settings.event_subscriptions", map[string]any{"request_url": elsewhere, "bot_events": []string{"team_join"}})
	c := b.compare(s, "register")
	if c.Others != 1 || !c.Differs() || !strings.Contains(c.Changes[0].Why, elsewhere) {
		t.Errorf("%+v", c)
	}
	if c, err := s.Sync(t.Context(), reconcile.Whose{Service: "slack"}); err == nil || !strings.Contains(err.Error(), elsewhere) || done(c) != "register" {
		t.Errorf("%s, %v", done(c), err)
	}
	if c, err := s.Remove(t.Context(), reconcile.Whose{Service: "slack"}); err != nil || done(c) != "" {
		t.Errorf("removing: %s, %v", done(c), err)
	}
	if app.written() != 0 || len(b.known()) != 0 {
		t.Errorf("written %d, known %+v", app.written(), b.known())
	}

	// It becomes another's after it was ours.
	app.set("settings.event_subscriptions", nil)
	b.sync(s, "register!")
	app.set("settings.event_subscriptions.request_url", elsewhere)
	b.tend(s)
	if known := b.known(); len(known) != 1 || !strings.Contains(known[0].Error, elsewhere) || app.written() != 1 || !b.log.has("subscription.differs") {
		t.Errorf("known %+v, written %d", known, app.written())
	}
	if _, err := s.Remove(t.Context(), reconcile.Whose{Service: "slack"}); err != nil || len(b.known()) != 0 || app.written() != 1 {
		t.Errorf("%v, known %+v, written %d", err, b.known(), app.written())
	}

	// Socket Mode takes the place of an address.
	app.set("settings.event_subscriptions", nil)
	app.set("settings.socket_mode_enabled", true)
	if _, err := s.Sync(t.Context(), reconcile.Whose{Service: "slack"}); err == nil || !strings.Contains(err.Error(), "socket_mode_enabled") || app.written() != 1 {
		t.Errorf("%v, written %d", err, app.written())
	}
}

// R5.15: a refusal comes with status 200; what Slack says of the manifest is
// shown.
func TestSlackRefusals(t *testing.T) {
	t.Parallel()
	b, app, s := slack(t)
	ctx, whose := t.Context(), reconcile.Whose{Service: "slack"}
	app.set("oauth_config.scopes.bot", []string{"app_mentions:read"})
	if _, err := s.Sync(ctx, whose); err == nil || !strings.Contains(err.Error(), "channels:history") || app.written() != 0 {
		t.Errorf("without a scope for messages: %v", err)
	}
	app.set("oauth_config.scopes.bot", []string{"im:history"})
	real := app.door
	app.door = func() string { return "http://127.0.0.1:1" }
	if c, err := s.Sync(ctx, whose); err == nil || done(c) != "register" || len(b.known()) != 0 ||
		!strings.Contains(err.Error(), "invalid_manifest; /settings/event_subscriptions/request_url: Your request URL didn't respond") {
		t.Errorf("%s, %v", done(c), err)
	}
	app.door = real
	b.sync(s, "register!")

	// The token has run out: events still come, and the state says what to do.
	app.refusing(`{"ok":false,"error":"token_expired"}`)
	if _, err := s.Sync(ctx, whose); !errors.Is(err, reconcile.ErrCredential) || !strings.Contains(err.Error(), "configuration_token") || !strings.Contains(err.Error(), "https://api.slack.com/apps") {
		t.Errorf("an expired token: %v", err)
	}
	if next, err := s.Tend(ctx, "slack", ""); !errors.Is(err, reconcile.ErrCredential) || next.Before(b.now().Add(time.Hour)) || b.log.has("subscription.unseen", "alert=true") {
		t.Errorf("next %s, %v", next, err)
	}
	if st, err := s.Standing(ctx, "slack", ""); err != nil || st.Failing != 1 || len(st.Subscriptions) != 1 || !strings.Contains(st.Subscriptions[0].Error, "token_expired") || st.Subscriptions[0].State != "on" {
		t.Errorf("%+v, %v", st, err)
	}
	app.refusing("")
	b.sync(s, "keep")
	if known := b.known(); known[0].Error != "" {
		t.Errorf("known %+v", known)
	}
	if b.log.has(apiKey) || b.recorded(apiKey) {
		t.Error("the token stands in a log or a record")
	}
	b.plan.Webhooks.Path = nil
	if _, err := s.Compare(ctx, whose); err == nil || !strings.Contains(err.Error(), "webhooks.path.app_id") {
		t.Errorf("without an app: %v", err)
	}
}

// R5.15: slash commands come without a subscription.
func TestSlackCommandsAreNotSubscribedTo(t *testing.T) {
	t.Parallel()
	b, app, s := slack(t)
	b.plan.Webhooks.Events["/zork"] = b.plan.Webhooks.Events["message"]
	b.sync(s, "register!")
	if got := app.get("settings.event_subscriptions.bot_events"); strings.Contains(got, "zork") {
		t.Errorf("it has %s", got)
	}
	b.sync(s, "keep")
	delete(b.plan.Webhooks.Events, "message")
	delete(b.plan.Webhooks.Events, "app_mention")
	b.sync(s, "remove!")
	b.sync(s, "")
}
