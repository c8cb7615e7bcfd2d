package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport"
)

const hookPlan = `
sallyport: 1
service: stripe
uses: stripe
need: Charge customers.
environments: {development: {base_url: "http://127.0.0.1:1", secrets: {api_key: env:STRIPE_API_KEY, webhook_secret: env:STRIPE_WEBHOOK_SECRET}}}
auth: {use: api_key}
endpoints:
  get_customer: {call: "GET /v1/customers/{id}", purpose: Show., effect: read}
mappings:
  invoice:
    - {external: n, type: integer, internal: number, as: integer}
webhooks:
  events:
    invoice.paid: {from: data.object, map: invoice, to: app}
    customer.created: {to: app}
destinations:
  app: {url: "APP", secret: env:APP_SECRET}
`

// hooks is a gateway that takes webhooks, its app, and the command line in front
// of it.
type hooks struct {
	*admin
	t      *testing.T
	folder string // of the plan
	state  string // of listeners
	app    *local
}

// local is a server that notes what it is posted.
type local struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	ids    []string
	header []http.Header
	answer func(n int) int // status of the n-th answer, from 1; nil: 200
	came   chan struct{}   // gets one when something came
}

func newLocal(t *testing.T, answer func(n int) int) *local {
	t.Helper()
	l := &local{answer: answer, came: make(chan struct{}, 1)}
	l.Server = httptest.NewServer(l)
	t.Cleanup(l.Close)
	return l
}

func (l *local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	l.bodies, l.ids, l.header = append(l.bodies, string(body)), append(l.ids, r.Header.Get("Webhook-Id")+r.Header.Get("Sallyport-Event")), append(l.header, r.Header)
	n := len(l.bodies)
	l.mu.Unlock()
	select {
	case l.came <- struct{}{}:
	default:
	}
	if l.answer != nil {
		w.WriteHeader(l.answer(n))
	}
}

func (l *local) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.bodies)
}

// wait returns when n requests have come.
func (l *local) wait(t *testing.T, n int) {
	t.Helper()
	for l.count() < n {
		select {
		case <-l.came:
		case <-t.Context().Done():
			t.Fatalf("%d of %d came", l.count(), n)
		}
	}
}

func newHooks(t *testing.T) *hooks {
	t.Helper()
	h := &hooks{t: t, admin: &admin{}, folder: t.TempDir(), state: t.TempDir(), app: newLocal(t, nil)}
	if err := os.WriteFile(filepath.Join(h.folder, "stripe.yaml"), []byte(strings.Replace(hookPlan, "APP", h.app.URL, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.serve(t, sallyport.Config{
		Plans: h.folder, Database: "sqlite:" + filepath.Join(t.TempDir(), "s.db"), Queue: 100_000,
		LookupEnv: func(name string) (string, bool) {
			return map[string]string{"STRIPE_API_KEY": "sk_test_1"}[name] + "hook_secret", true
		},
	})
	return h
}

// send sends one event as the provider does.
func (h *hooks) send(n int, eventType string) {
	h.t.Helper()
	body := fmt.Sprintf(`{"id":"evt_%d","type":%q,"created":%d,"data":{"object":{"n":%d}}}`, n, eventType, time.Now().Unix(), n)
	at := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte("hook_secret"))
	mac.Write([]byte(at + "." + body))
	r := httptest.NewRequestWithContext(h.t.Context(), http.MethodPost, "/api/webhooks/stripe", strings.NewReader(body))
	r.Header.Set("Stripe-Signature", "t="+at+",v1="+hex.EncodeToString(mac.Sum(nil)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if h.gateway.Config.Handler.ServeHTTP(w, r); w.Code != http.StatusOK {
		h.t.Errorf("event %d: %d %s", n, w.Code, w.Body)
	}
}

// listening is a listener that runs.
type listening struct {
	t        *testing.T
	stop     context.CancelFunc
	ended    chan error
	out, err *output
}

// output is what a command printed so far.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	news chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.news <- struct{}{}:
	default:
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// wait returns when the text was printed.
func (o *output) wait(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.news:
		case <-t.Context().Done():
			t.Fatalf("%q was not printed:\n%s", text, o)
		}
	}
}

// listen runs the command until end is called.
func (h *hooks) listen(args ...string) *listening {
	h.t.Helper()
	ctx, stop := context.WithCancel(h.t.Context())
	l := &listening{t: h.t, stop: stop, ended: make(chan error, 1), out: &output{news: make(chan struct{}, 1)}, err: &output{news: make(chan struct{}, 1)}}
	ui := &terminal{
		environ: []string{"SALLYPORT_GATEWAY=" + h.gateway.URL, "SALLYPORT_KEY=" + h.key, "NO_COLOR=1", "XDG_STATE_HOME=" + h.state},
		rawOut:  l.out, rawErr: l.err,
	}
	ui.setColor()
	root := newRoot(ui)
	root.SetArgs(append([]string{"listen", "stripe"}, args...))
	go func() { l.ended <- root.ExecuteContext(ctx) }()
	h.t.Cleanup(stop)
	l.err.wait(h.t, "listening to stripe")
	return l
}

func (l *listening) end() {
	l.t.Helper()
	l.stop()
	if err := <-l.ended; err != nil {
		l.t.Error(err)
	}
}

// numbers are the n of CloudEvents, in the order they came, without an event
// that came twice at once.
func (l *local) numbers(t *testing.T, path string) (numbers []int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, body := range l.bodies {
		if i == 0 || l.ids[i] != l.ids[i-1] {
			numbers = append(numbers, int(gjson.Get(body, path).Int()))
		}
	}
	return numbers
}

func upTo(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// Issue 5, point 11: what comes while the listener is away is forwarded when it
// is back, all of it, once and in order, signed with the secret it shows; the
// app has it as if nobody listened.
func TestListenAgain(t *testing.T) {
	t.Parallel()
	h, mine := newHooks(t), newLocal(t, nil)
	first := h.listen("--to", mine.URL)
	for i := range 20 {
		h.send(i, "invoice.paid")
	}
	mine.wait(t, 8)
	first.end()
	for i := range 15 {
		h.send(20+i, "invoice.paid")
	}
	h.app.wait(t, 35)
	second := h.listen("--to", mine.URL)
	mine.wait(t, 35)
	second.out.wait(t, mine.ids[len(mine.ids)-1])
	second.end()
	if got := mine.numbers(t, "data.number"); !slices.Equal(got, upTo(35)) {
		t.Errorf("it came as %v", got)
	}
	secret := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(second.err.String())
	if secret == "" || secret != regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(first.err.String()) {
		t.Fatalf("the secret changed, or is not shown: %s", second.err)
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for i := range mine.bodies {
		if err := verifier.Verify([]byte(mine.bodies[i]), mine.header[i]); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(second.out.String(), "invoice.paid"); n < 15 || n > 27 {
		t.Errorf("%d lines:\n%s", n, second.out)
	}
	third := h.listen("--to", mine.URL, "--from", "now")
	h.send(99, "invoice.paid")
	mine.wait(t, 36)
	third.end()
	if n := h.app.count(); n != 36 {
		t.Errorf("the app has %d of 36", n)
	}
}

// Two listeners have the same in the same order, raw and mapped; one whose server
// is slow holds up neither the other nor the app.
func TestListenTwice(t *testing.T) {
	t.Parallel()
	const n = 300
	release := make(chan struct{})
	h, quick := newHooks(t), newLocal(t, nil)
	slow := newLocal(t, func(int) int { <-release; return 204 })
	one, two := h.listen("--to", slow.URL, "--raw"), h.listen("--to", quick.URL)
	for i := range n {
		h.send(i, "invoice.paid")
	}
	quick.wait(t, n)
	h.app.wait(t, n)
	if slow.count() > 1 {
		t.Errorf("%d came at once", slow.count())
	}
	close(release)
	slow.wait(t, n)
	one.end()
	two.end()
	if a, b := slow.numbers(t, "data.object.n"), quick.numbers(t, "data.number"); !slices.Equal(a, upTo(n)) || !slices.Equal(b, upTo(n)) {
		t.Errorf("%v and %v", a, b)
	}
	if body := slow.bodies[0]; !strings.HasPrefix(body, `{"id":"evt_0","type":"invoice.paid"`) || slow.header[0].Get("Content-Type") != "application/json" {
		t.Errorf("raw is %s with %v", body, slow.header[0])
	}
}

// Ten thousand events wait for a listener that was away, and come to it in the
// order in which they were kept.
func TestListenToMany(t *testing.T) {
	t.Parallel()
	const n, at = 10_000, 50
	h, mine := newHooks(t), newLocal(t, nil)
	h.listen("--to", mine.URL).end()
	var sending sync.WaitGroup
	for w := range at {
		sending.Go(func() {
			for i := range n / at {
				h.send(w*n/at+i, "customer.created")
			}
		})
	}
	sending.Wait()
	l := h.listen("--to", mine.URL)
	mine.wait(t, n)
	l.end()
	if got := mine.numbers(t, "data.data.object.n"); len(got) != n || len(slices.Compact(slices.Sorted(slices.Values(got)))) != n {
		t.Errorf("%d came", len(got))
	}
	if !slices.IsSorted(mine.ids) {
		// Our ids are made in the order of arrival, within a millisecond in any.
		for i := range mine.ids[1:] {
			if mine.ids[i][:10] > mine.ids[i+1][:10] {
				t.Fatalf("%s before %s", mine.ids[i], mine.ids[i+1])
			}
		}
	}
}
