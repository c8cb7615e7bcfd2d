package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/api"
	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/call/queue"
	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/store/sqlite"
)

const (
	retryPath = "/api/v1/admin/integrations/stripe/retry"
	callsPath = "/api/v1/calls/"
)

// queued is a bundle whose queue can be run.
type queued struct {
	*bundle
	runner *queue.Runner
}

func newQueued(t *testing.T, provider http.HandlerFunc) *queued {
	t.Helper()
	q := &queued{}
	q.bundle = newBundle(t, provider, func(c *api.Config) {
		caller, ok := c.Integrations[0].Calls.(queue.Caller)
		if !ok {
			t.Fatal("these calls can't be queued")
		}
		c.Now = time.Now
		c.WakeCalls = func() { q.runner.Wake() }
		c.WakeJobs = func() { q.runner.WakeJobs() }
		store, ok := c.Records.(interface {
			queue.Store
			CallQueue() *sqlite.CallQueue
		})
		if !ok {
			t.Fatal("this store has no queue")
		}
		var err error
		if q.runner, err = queue.New(queue.Config{
			Queue: store.CallQueue(), Store: store, Services: map[string]queue.Service{"stripe": {Caller: caller}}, Log: c.Log,
		}); err != nil {
			t.Fatal(err)
		}
	})
	return q
}

// run runs the queue until the test ends.
func (q *queued) run() {
	q.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { q.runner.Run(ctx) })
	q.t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

// until asks after something until it is as wanted.
func (q *queued) until(key, path string, want func(map[string]any) bool) map[string]any {
	q.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		v := q.do(key, "GET", path, "").json(q.t)
		if want(v) {
			return v
		}
		if time.Now().After(deadline) {
			q.t.Fatalf("%s is still %v", path, v)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func state(want string) func(map[string]any) bool {
	return func(v map[string]any) bool { return v["state"] == want }
}

// failed makes a call that is kept.
func (q *queued) failed(tenant string) (id string) {
	q.t.Helper()
	a := q.do(q.app, "POST", endpoint+"create_customer", `{"tenant":"`+tenant+`","body":{"email":"a@b.example"}}`)
	if id = a.header.Get("Sallyport-Call"); a.status < 500 || id == "" {
		q.t.Fatalf("%d %s", a.status, a.text)
	}
	return id
}

// R4.7: what failed for good is kept; a person may put it back into the queue,
// where it is made under its own id and idempotency key.
func TestRetryCall(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	var mu sync.Mutex
	var keys []string
	q := newQueued(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		mu.Unlock()
		if broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"id":"cus_1","email":"a@b.example"}`))
	})
	id := q.failed("acme")
	shown := q.do(q.admin, "GET", "/api/v1/admin/calls/"+id, "")
	v := shown.json(t)
	if v["state"] != "failed" || v["tenant"] != "acme" || v["request_body"] != "email=a%40b.example" || v["attempt_count"] != float64(1) || strings.Contains(shown.text, providerKey) {
		t.Errorf("call %s", shown.text)
	}

	a := q.do(q.admin, "POST", retryPath+"/"+id, "")
	if v := a.json(t); a.status != http.StatusAccepted || v["kind"] != "call" || v["id"] != id || v["status"] != "queued" {
		t.Errorf("%d %s", a.status, a.text)
	}
	// Twice is once.
	q.do(q.admin, "POST", retryPath+"/"+id, "").problem(t, http.StatusConflict, "not_kept")
	if v := q.do(q.admin, "GET", "/api/v1/admin/integrations/stripe/logs?kind=call&status=queued", "").json(t); len(v["calls"].([]any)) != 1 {
		t.Errorf("queued %v", v)
	}
	q.run()
	v = q.until(q.app, callsPath+id, state("failed")) // it fails again, and is kept as itself
	if attempts, _ := v["attempts"].([]any); len(attempts) != 2 {
		t.Errorf("attempts %v", v)
	}
	broken.Store(false)
	q.do(q.admin, "POST", retryPath+"/"+id, "")
	v = q.until(q.app, callsPath+id, state("succeeded"))
	answer, _ := v["answer"].(map[string]any)
	if mapped, _ := answer["json"].(map[string]any); mapped["stripeCustomerId"] != "cus_1" || v["problem"] != nil {
		t.Errorf("answer %v", v)
	}
	if v := q.do(q.admin, "GET", "/api/v1/admin/calls/"+id, "").json(t); v["request_body"] != nil {
		t.Errorf("the body is still there: %v", v)
	}
	q.do(q.admin, "POST", retryPath+"/"+id, "").problem(t, http.StatusConflict, "not_kept")
	mu.Lock()
	defer mu.Unlock()
	if len(keys) != 3 || keys[0] == "" || keys[1] != keys[0] || keys[2] != keys[0] {
		t.Errorf("idempotency keys %q", keys)
	}
	if got := q.audited(); !slices.Equal(got, []string{"call.retry " + id, "call.retry " + id, "call.read " + id}) {
		t.Errorf("audited %v", got)
	}
}

// R4.6: a caller who does not wait is answered 202 when the call is durable, and
// finds the answer later (RFC 7240).
func TestRespondAsync(t *testing.T) {
	t.Parallel()
	q := newQueued(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Prefer") != "" || r.Header.Get("Sallyport-Callback") != "" || r.Header.Get("Authorization") == "" {
			t.Errorf("the provider got %v", r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "session=canary")
		_, _ = w.Write([]byte(`{"id":"cus_1","email":"a@b.example"}`))
	})
	for name, ask := range map[string]func() answer{
		"proxy": func() answer {
			return q.do(q.app, "POST", proxy+"/v1/customers", "email=a%40b.example", "Content-Type", "application/x-www-form-urlencoded",
				"Prefer", "wait=10, Respond-Async; x=y", "Sallyport-Tenant", "acme", "Sallyport-Callback", "billing")
		},
		"endpoint": func() answer {
			return q.do(q.app, "POST", endpoint+"create_customer", `{"tenant":"acme","body":{"email":"a@b.example"}}`, "Prefer", "respond-async", "Sallyport-Callback", "billing")
		},
	} {
		a := ask()
		v := a.json(t)
		id, _ := v["id"].(string)
		if a.status != http.StatusAccepted || v["state"] != "queued" || a.header.Get("Location") != callsPath+id || a.header.Get("Preference-Applied") != "respond-async" || a.header.Get("Sallyport-Call") != id {
			t.Fatalf("%s: %d %v %s", name, a.status, a.header, a.text)
		}
		now := q.do(q.app, "GET", callsPath+id, "")
		if v := now.json(t); v["state"] != "queued" || v["expires_at"] == nil || now.header.Get("Retry-After") == "" || v["answer"] != nil {
			t.Errorf("%s: %v %s", name, now.header, now.text)
		}
		q.do(q.app, "GET", callsPath+id, "", "Sallyport-Tenant", "other").problem(t, http.StatusNotFound, "not_found")
	}
	q.run()
	listed := q.do(q.admin, "GET", "/api/v1/admin/integrations/stripe/logs?kind=call", "").json(t)
	calls, _ := listed["calls"].([]any)
	if len(calls) != 2 {
		t.Fatalf("%d calls", len(calls))
	}
	for _, one := range calls {
		c, _ := one.(map[string]any)
		id, _ := c["id"].(string)
		v := q.until(q.app, callsPath+id, state("succeeded"))
		got, _ := json.Marshal(v["answer"])
		want := `"id":"cus_1"`
		if c["entry"] == "endpoint" {
			want = `"stripeCustomerId":"cus_1"`
		}
		if !strings.Contains(string(got), want) || strings.Contains(string(got), "canary") {
			t.Errorf("%v: answer %s", c["entry"], got)
		}
	}
	// The callback is an event of our own, durable, for the destination named.
	events, _, err := q.store.Events(t.Context(), integration.Filter{})
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range events {
		to, own := e.Destination()
		whole, _, err := q.store.Event(t.Context(), e.ID)
		if err != nil || !own || to != "billing" || e.Type != integration.EventCallFinished || !strings.Contains(string(whole.Payload), `"state":"succeeded"`) {
			t.Errorf("%+v %s, %v", e, whole.Payload, err)
		}
	}
}

// What can't be made later is refused at once, and nothing is kept or sent.
func TestRespondAsyncRefusals(t *testing.T) {
	t.Parallel()
	q := newQueued(t, noProvider(t))
	q.do(q.app, "POST", proxy+"/v1/customers", "a=b", "Prefer", "respond-async", "Sallyport-Callback", "https://evil.example/").problem(t, http.StatusUnprocessableEntity, "unknown_callback")
	q.do(q.app, "POST", endpoint+"create_customer", `{"body":{}}`, "Prefer", "respond-async", "Sallyport-Callback", "nobody").problem(t, http.StatusUnprocessableEntity, "unknown_callback")
	q.do(q.app, "POST", endpoint+"nothing", `{}`, "Prefer", "respond-async").problem(t, http.StatusNotFound, "unknown_endpoint")
	q.do(q.app, "GET", callsPath+"none", "").problem(t, http.StatusNotFound, "not_found")
	if v := q.do(q.admin, "GET", "/api/v1/admin/integrations/stripe/logs?kind=call", "").json(t); v["calls"] != nil {
		t.Errorf("kept %v", v)
	}
}

// Not every preference is for us.
func TestOtherPreferences(t *testing.T) {
	t.Parallel()
	q := newQueued(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"prefer":"` + r.Header.Get("Prefer") + `"}`))
	})
	a := q.do(q.app, "GET", proxy+"/v1/customers", "", "Prefer", "return=minimal, x-respond-async")
	if a.status != http.StatusOK || !strings.Contains(a.text, "return=minimal") {
		t.Errorf("%d %s", a.status, a.text)
	}
}

// R4.11: a call that fell back to the queue is told so: by name 202, through
// the proxy as an error that no SDK takes for the provider's answer or repeats.
func TestFellBackToQueue(t *testing.T) {
	t.Parallel()
	b := newBundle(t, noProvider(t), func(c *api.Config) { c.Integrations[0].Calls = fallsBack{c.Integrations[0].Calls} })
	for path, status := range map[string]int{endpoint + "create_customer": http.StatusAccepted, proxy + "/v1/customers": http.StatusFailedDependency} {
		a := b.do(b.app, "POST", path, `{"body":{}}`)
		if a.status != status || a.header.Get("Location") != callsPath+"c-1" || a.header.Get("Sallyport-Call") != "c-1" || a.header.Get("Sallyport-Reason") != "queued" || a.header.Get("Sallyport-Attempts") != "4" {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.text)
		}
		if v := a.json(t); status == http.StatusAccepted && (v["id"] != "c-1" || v["state"] != "queued") || status != http.StatusAccepted && (v["id"] != nil || v["code"] != "queued") {
			t.Errorf("%s: %s", path, a.text)
		}
	}
}

type fallsBack struct{ api.Calls }

var errQueued = &integration.Failure{Class: integration.ClassUnavailable, Code: call.CodeQueued, Reason: call.ReasonQueued, CallID: "c-1", Attempts: 4}

func (fallsBack) Endpoint(context.Context, string, call.Request) (*call.Response, error) {
	return nil, errQueued
}
func (fallsBack) Transport(string, integration.Entry) http.RoundTripper { return fallsBack{} }
func (fallsBack) RoundTrip(*http.Request) (*http.Response, error)       { return nil, errQueued }

// A queued call can be taken out, once, and is not made.
func TestCancelCall(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	q := newQueued(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	id := q.do(q.app, "POST", proxy+"/v1/customers", "a=b", "Prefer", "respond-async", "Sallyport-Callback", "billing").header.Get("Sallyport-Call")
	q.do(q.app, "DELETE", callsPath+id, "", "Sallyport-Tenant", "other").problem(t, http.StatusNotFound, "not_found")
	if v := q.do(q.app, "DELETE", callsPath+id, "").json(t); v["state"] != "canceled" {
		t.Errorf("%v", v)
	}
	q.do(q.app, "DELETE", callsPath+id, "").problem(t, http.StatusConflict, "wrong_state")
	q.run()
	other := q.do(q.app, "GET", proxy+"/v1/customers", "", "Prefer", "respond-async").header.Get("Sallyport-Call")
	q.until(q.app, callsPath+other, state("succeeded"))
	if v := q.do(q.app, "GET", callsPath+id, "").json(t); v["state"] != "canceled" || hits.Load() != 1 {
		t.Errorf("%v, %d requests", v, hits.Load())
	}
	if events, _, err := q.store.Events(t.Context(), integration.Filter{}); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// R4.7: many kept calls are made again by one request; those of unknown outcome
// only when it says so.
func TestRetryMany(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	q := newQueued(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case broken.Load(), r.FormValue("email") == "bad@b.example":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(`{"id":"cus_1"}`))
		}
	})
	for range 5 {
		q.failed("acme")
	}
	other := q.failed("other")
	bad := q.do(q.app, "POST", endpoint+"create_customer", `{"tenant":"acme","body":{"email":"bad@b.example"}}`).header.Get("Sallyport-Call")
	unknown := q.do(q.app, "POST", proxy+"/v1/unplanned", "a=b", "Sallyport-Tenant", "acme", "Idempotency-Key", "").header.Get("Sallyport-Call")
	if v := q.do(q.app, "GET", callsPath+unknown, "").json(t); v["state"] != "unknown" {
		t.Fatalf("%v", v)
	}
	broken.Store(false)

	a := q.do(q.admin, "POST", retryPath, `{"filter":{"tenant":"acme"}}`)
	v := a.json(t)
	job := fmt.Sprint(v["id"])
	if a.status != http.StatusAccepted || v["total"] != float64(6) || v["state"] != "running" || a.header.Get("Location") != "/api/v1/admin/jobs/"+job {
		t.Fatalf("%d %s", a.status, a.text)
	}
	q.run()
	v = q.until(q.admin, "/api/v1/admin/jobs/"+job, state("finished"))
	if v["done"] != float64(5) || v["failed"] != float64(1) || v["queued"] != float64(6) || v["finished_at"] == nil {
		t.Errorf("%v", v)
	}
	for id, want := range map[string]string{other: "failed", bad: "failed", unknown: "unknown"} {
		if v := q.do(q.app, "GET", callsPath+id, "").json(t); v["state"] != want {
			t.Errorf("%v, want %s", v, want)
		}
	}
	q.do(q.admin, "POST", "/api/v1/admin/jobs/"+job+"/cancel", "").problem(t, http.StatusConflict, "wrong_state")

	job = fmt.Sprint(q.do(q.admin, "POST", retryPath, `{"filter":{"state":"unknown"}}`).json(t)["id"])
	q.until(q.admin, "/api/v1/admin/jobs/"+job, state("finished"))
	if v := q.do(q.app, "GET", callsPath+unknown, "").json(t); v["state"] != "succeeded" {
		t.Errorf("%v", v)
	}
	if v := q.do(q.admin, "POST", retryPath, `{"filter":{"tenant":"nobody"}}`).json(t); v["state"] != "finished" || v["total"] != float64(0) {
		t.Errorf("%v", v)
	}
}

// A job that is stopped leaves what has not begun as it was.
func TestCancelJob(t *testing.T) {
	t.Parallel()
	q := newQueued(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	id := q.failed("acme")
	job := fmt.Sprint(q.do(q.admin, "POST", retryPath, `{"filter":{}}`).json(t)["id"])
	if more, err := q.store.AdvanceJob(t.Context(), job, time.Now(), time.Time{}, 100); err != nil || more {
		t.Fatalf("%v, %v", more, err)
	}
	if v := q.do(q.app, "GET", callsPath+id, "").json(t); v["state"] != "queued" {
		t.Errorf("%v", v)
	}
	if v := q.do(q.admin, "POST", "/api/v1/admin/jobs/"+job+"/cancel", "").json(t); v["state"] != "canceled" || v["queued"] != float64(0) {
		t.Errorf("%v", v)
	}
	if v := q.do(q.admin, "GET", "/api/v1/admin/calls/"+id, "").json(t); v["state"] != "failed" || v["request_body"] == nil {
		t.Errorf("%v", v)
	}
	q.do(q.admin, "GET", "/api/v1/admin/jobs/none", "").problem(t, http.StatusNotFound, "not_found")
	q.do(q.admin, "POST", "/api/v1/admin/jobs/none/cancel", "").problem(t, http.StatusNotFound, "not_found")
}
