package reconcile_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/receive"
	"github.com/sallyport/sallyport/reconcile"
	"github.com/sallyport/sallyport/sandbox"
	"github.com/sallyport/sallyport/store/sqlite"
)

// Secrets of the tests; none may turn up in a log or a record.
const (
	apiKey        = "sk_test_reconcile_4242424242"
	webhookSecret = "whsec_reconcile_test_secret"
)

// bundle is a provider's stand-in, and a gateway with its door.
type bundle struct {
	t        *testing.T
	plan     *plan.Plan
	sandbox  *sandbox.Sandbox
	store    *sqlite.Store
	calls    *call.Service
	receiver *receive.Receiver
	door     string // its public URL
	log      *lines

	mu    sync.Mutex
	clock time.Time // zero: the real one
	woken int
	asked []string // requests to the provider
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.clock.IsZero() {
		return time.Now()
	}
	return b.clock
}

// providerOf serves a provider's requests and remembers them.
func (b *bundle) provider(h http.Handler) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.asked = append(b.asked, r.Method+" "+r.URL.RequestURI())
		b.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	b.t.Cleanup(server.Close)
	return server.URL
}

// requests are what the provider was asked since the last time.
func (b *bundle) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.asked
	b.asked = nil
	return list
}

// start makes a bundle of a plan in testdata; the document is the provider's, or
// nil for a scripted one, h.
func start(t *testing.T, name string, doc *openapi.Document, fixtures []byte, h http.Handler) *bundle {
	t.Helper()
	b := &bundle{t: t, log: &lines{}}
	text, err := os.ReadFile("testdata/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	late := &later{}
	base := b.provider(late)
	late.set(h)
	b.plan, err = plan.Parse(name+".yaml", []byte(strings.Replace(string(text), "http://127.0.0.1:1\n", base+"\n", 1)), catalog.Load)
	if err != nil {
		t.Fatal(err)
	}
	if b.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "sallyport.db"), sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	b.receiver, err = receive.New(receive.Config{
		Inbox: b.store, Log: slog.New(b.log), Now: b.now, Received: func(*integration.Event) { b.mu.Lock(); b.woken++; b.mu.Unlock() },
		Services: []receive.Service{{Plan: b.plan, Secrets: func() []integration.Secret { return []integration.Secret{integration.NewSecret(webhookSecret)} }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	door := httptest.NewServer(b.receiver)
	t.Cleanup(door.Close)
	b.door = door.URL
	if doc != nil {
		b.sandbox, err = sandbox.New(sandbox.Config{
			Plan: b.plan, Document: doc, Fixtures: fixtures, Seed: 1, WebhooksTo: door.URL + receive.Prefix + b.plan.Service,
			Secrets: sandbox.Secrets{APIKeys: []integration.Secret{integration.NewSecret(apiKey)}, Webhook: integration.NewSecret(webhookSecret)},
		})
		if err != nil {
			t.Fatal(err)
		}
		late.set(b.sandbox)
	}
	var authorizer call.Authorizer
	if b.plan.Auth.OfTenants() {
		authorizer = bearer{}
	}
	b.calls, err = call.New(call.Config{
		Authorizer: authorizer,
		Plan:       b.plan, Environment: "development", Transport: http.DefaultTransport, Journal: b.store, Log: slog.New(b.log),
		Secret: func() integration.Secret { return integration.NewSecret(apiKey) }, Dice: func() float64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stripe and github are bundles with the stand-in.
func stripe(t *testing.T) *bundle {
	t.Helper()
	doc, fixtures := stripeFiles(t)
	return start(t, "stripe", doc, fixtures, nil)
}

func github(t *testing.T) *bundle {
	t.Helper()
	data, err := os.ReadFile("testdata/github.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "github", doc, nil, nil)
}

var stripeOnce = sync.OnceValues(func() (*openapi.Document, error) {
	data, err := catalog.ReadDocument("stripe/spec3.json")
	if err != nil {
		return nil, err
	}
	return openapi.Read(data)
})

func stripeFiles(t *testing.T) (*openapi.Document, []byte) {
	t.Helper()
	doc, err := stripeOnce()
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := catalog.ReadDocument("stripe/fixtures3.json")
	if err != nil {
		t.Fatal(err)
	}
	return doc, fixtures
}

// later is a handler that is set when it is there.
type later struct {
	mu sync.Mutex
	h  http.Handler
}

func (l *later) set(h http.Handler) { l.mu.Lock(); defer l.mu.Unlock(); l.h = h }

func (l *later) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	h := l.h
	l.mu.Unlock()
	h.ServeHTTP(w, r)
}

// finder makes a Finder whose turns the test takes by hand.
func (b *bundle) finder(change ...func(*reconcile.Config)) *finder {
	b.t.Helper()
	c := reconcile.Config{
		Services: []reconcile.Service{{Plan: b.plan, Calls: b.calls}}, Door: b.receiver, Store: b.store, Queue: b.store.CursorQueue(),
		PublicURL: b.door, Settle: -1, Now: b.now, Log: slog.New(b.log),
	}
	for _, f := range change {
		f(&c)
	}
	found, err := reconcile.New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return &finder{found, b}
}

type finder struct {
	*reconcile.Finder
	b *bundle
}

// turn takes one turn, as the runner does.
func (f *finder) turn() reconcile.Status {
	f.b.t.Helper()
	ctx := f.b.t.Context()
	far := time.Now().Add(1000 * time.Hour)
	if err := f.b.store.PutCursors(ctx, []string{reconcile.CursorID(f.b.plan.Service, "")}, f.b.now()); err != nil {
		f.b.t.Fatal(err)
	}
	held, err := f.b.store.CursorQueue().Claim(ctx, lease.Claim{Owner: "test", Now: far, Until: far.Add(time.Hour), Limit: 1})
	if err != nil || len(held) != 1 {
		f.b.t.Fatalf("claimed %d, %v", len(held), err)
	}
	out := reconcile.Turn(f.Finder, ctx, held[0].Value)
	if lost, err := f.b.store.CursorQueue().Complete(ctx, "test", []lease.Done[integration.CursorOutcome]{{Key: held[0].Key, Outcome: out}}); err != nil || len(lost) > 0 {
		f.b.t.Fatalf("lost %v, %v", lost, err)
	}
	s, err := f.Status(ctx, f.b.plan.Service, "")
	if err != nil {
		f.b.t.Fatal(err)
	}
	return s
}

// events are those that are kept, by the provider's id.
func (b *bundle) events() map[string]integration.Event {
	b.t.Helper()
	all, cursor := map[string]integration.Event{}, ""
	for {
		list, next, err := b.store.Events(b.t.Context(), integration.Filter{Service: b.plan.Service, Limit: 200, Cursor: cursor})
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range list {
			if _, twice := all[e.ExternalID]; twice {
				b.t.Errorf("%s is kept twice", e.ExternalID)
			}
			all[e.ExternalID] = e
		}
		if cursor = next; cursor == "" {
			return all
		}
	}
}

// event reads one whole.
func (b *bundle) event(id string) integration.Event {
	b.t.Helper()
	e, _, err := b.store.Event(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// emit sends an event, or loses it.
func (b *bundle) emit(typ string, o sandbox.EmitOptions) string {
	b.t.Helper()
	e, err := b.sandbox.Emit(b.t.Context(), typ, o)
	if err != nil || !o.Lost && !e.Accepted {
		b.t.Fatalf("%+v, %v", e, err)
	}
	return e.ID
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)
	return nil
}

// has reports whether a line has all of the parts.
func (l *lines) has(parts ...string) bool { return l.count(parts...) > 0 }

// count is how many lines have all of the parts.
func (l *lines) count(parts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.text {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			n++
		}
	}
	return n
}

// post asks the stand-in directly and returns the id of the answer.
func (b *bundle) post(path, form string) string {
	b.t.Helper()
	return b.direct(http.MethodPost, path, "application/x-www-form-urlencoded", form)
}

func (b *bundle) patch(path, body string) {
	b.t.Helper()
	b.direct(http.MethodPatch, path, "application/json", body)
}

func (b *bundle) direct(method, path, kind, body string) string {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", "Bearer "+apiKey)
	w := httptest.NewRecorder()
	b.sandbox.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		b.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return gjson.GetBytes(w.Body.Bytes(), "id").String()
}

// recorded reports whether a call's record holds the text.
func (b *bundle) recorded(text string) bool {
	b.t.Helper()
	list, _, err := b.store.Calls(b.t.Context(), integration.Filter{Service: b.plan.Service, Limit: 200})
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range list {
		c, err := b.store.Call(b.t.Context(), list[i].ID)
		if err != nil {
			b.t.Fatal(err)
		}
		whole, err := json.Marshal(c)
		if err != nil {
			b.t.Fatal(err)
		}
		if strings.Contains(string(whole), text) || strings.Contains(string(c.Body), text) {
			return true
		}
	}
	return false
}

// subscriptionOf is one of ours as it was registered before.
func subscriptionOf(b *bundle, id string, expires time.Time) integration.Subscription {
	return integration.Subscription{
		Service: b.plan.Service, ExternalID: id, URL: publicURL + receive.Prefix + b.plan.Service, CreatedAt: b.now(), CheckedAt: b.now(), ExpiresAt: expires,
		Events: slices.Sorted(maps.Keys(b.plan.Webhooks.Events)), Extra: map[string]string{"resource_id": "res"},
	}
}

// bearer is a connection with the key as its token.
type bearer struct{}

func (bearer) For(_ context.Context, tenant, connection string) (*call.Authorized, error) {
	return &call.Authorized{Connection: connection, Secret: integration.NewSecret(apiKey), Apply: func(r *http.Request) (string, error) {
		r.Header.Set("Authorization", "Bearer "+apiKey)
		r.Header.Set("X-Account", tenant+"/"+connection) // tells the scripted providers whose account it is
		return "fp", nil
	}}, nil
}

func (bearer) Refused(context.Context, *call.Authorized) (*call.Authorized, error) {
	return nil, nil //nolint:nilnil // there is no other
}

func (bearer) StillRefused(context.Context, *call.Authorized) error { return nil }
