package storetest

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// call makes a call that differs from all others of the fixture.
func (f *fixture) call(state integration.CallState, change ...func(*integration.Call)) *integration.Call {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	at := start.Add(time.Duration(n) * time.Second)
	c := &integration.Call{
		ID: fmt.Sprintf("0198f000-0000-7000-9000-%012d", n), Service: "stripe", Tenant: "acme", Endpoint: "create_customer",
		Entry: integration.EntryEndpoint, Method: "POST", Path: "/v1/customers?key=[secret]", Effect: "create", IdempotencyKey: fmt.Sprintf("key-%d", n),
		State: state, Status: 503, CreatedAt: at, FinishedAt: at.Add(3 * time.Second), RetryOf: "earlier",
		Failure: &integration.Failure{
			Class: integration.ClassUnavailable, Code: "provider_unavailable", Message: "try later", Hint: "wait", Pointer: "/amount", RetryAfter: 7 * time.Second,
			ProviderCode: "api_error", ProviderMessage: "down", ProviderRequestID: "req_1", Err: errors.New("dial: refused"),
		},
		Attempts: []integration.Attempt{
			{Number: 1, StartedAt: at, Took: 1200 * time.Microsecond, Status: 503, Class: integration.ClassUnavailable, RequestID: "req_0", RetryAfter: 2 * time.Second, Sent: true},
			{Number: 2, StartedAt: at.Add(time.Second), Took: time.Millisecond, Waited: time.Second, Class: integration.ClassNetwork, Error: "refused"},
		},
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: []byte("email=a%40b.c&x=\x00"),
	}
	for _, ch := range change {
		ch(c)
	}
	return c
}

func (f *fixture) record(c *integration.Call) *integration.Call {
	f.Helper()
	if err := f.Store.Record(f.Context(), c); err != nil {
		f.Fatalf("record: %v", err)
	}
	return c
}

func (f *fixture) readCall(id string) integration.Call {
	f.Helper()
	c, err := f.Store.Call(f.Context(), id)
	if err != nil {
		f.Fatalf("call %s: %v", id, err)
	}
	return c
}

// R4.7: a call that a person has to deal with is there when Record returns,
// with all that is needed to make it again.
func testKeptCall(f *fixture) {
	var want []*integration.Call
	for _, state := range []integration.CallState{integration.CallFailed, integration.CallUnknown} {
		want = append(want, f.record(f.call(state)))
	}
	f.Store = f.Reopen(f)
	for _, w := range want {
		got := f.readCall(w.ID)
		if got.Failure == nil || got.Failure.Err == nil || got.Failure.Err.Error() != w.Failure.Err.Error() {
			f.Fatalf("failure %+v, want %+v", got.Failure, w.Failure)
		}
		got.Failure.Err = w.Failure.Err
		if !reflect.DeepEqual(got, *w) {
			f.Errorf("got %+v\nwant %+v", got, *w)
		}
	}
	if _, err := f.Store.Call(f.Context(), "nowhere"); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("a call that is not there: %v, want ErrNotFound", err)
	}
}

// Other calls are written without what was asked; a record is brought up to
// date while it says running, and never after.
func testOtherCalls(f *fixture) {
	c := f.call(integration.CallRunning, func(c *integration.Call) {
		c.Failure, c.FinishedAt, c.Status = nil, time.Time{}, 0
		c.Attempts = c.Attempts[:1]
	})
	f.record(c)
	f.flush()
	if got := f.readCall(c.ID); got.State != integration.CallRunning || got.Failure != nil || !got.FinishedAt.IsZero() || len(got.Attempts) != 1 || got.Header != nil || got.Body != nil {
		f.Errorf("running: %+v", got)
	}
	ended := f.call(integration.CallSucceeded, func(e *integration.Call) { e.ID, e.Failure, e.Status = c.ID, nil, 200 })
	f.record(ended)
	ended.Attempts[0].Status = 999 // the caller may go on using its own
	f.flush()
	got := f.readCall(c.ID)
	if got.State != integration.CallSucceeded || got.Status != 200 || len(got.Attempts) != 2 || got.Attempts[0].Status != 503 || got.Body != nil || got.Header != nil {
		f.Errorf("succeeded: %+v", got)
	}
	f.record(f.call(integration.CallFailed, func(e *integration.Call) { e.ID = c.ID }))
	f.flush()
	if got := f.readCall(c.ID); got.State != integration.CallSucceeded || got.Body != nil {
		f.Errorf("a final record was overwritten: %+v", got)
	}
	if err := f.Store.Record(f.Context(), &integration.Call{State: integration.CallSucceeded}); err == nil {
		f.Error("a call without an id was recorded")
	}
}

func testCallFilters(f *fixture) {
	a := f.record(f.call(integration.CallFailed))
	b := f.record(f.call(integration.CallSucceeded, func(c *integration.Call) { c.Service, c.Failure = "github", nil }))
	c := f.record(f.call(integration.CallUnknown, func(c *integration.Call) { c.Tenant, c.Endpoint, c.Path = "globex", "", "/v1/refunds" }))
	f.flush()
	for _, t := range []struct {
		name   string
		filter integration.Filter
		want   []string
	}{
		{"all", integration.Filter{}, []string{c.ID, b.ID, a.ID}},
		{"service", integration.Filter{Service: "github"}, []string{b.ID}},
		{"tenant", integration.Filter{Tenant: "globex"}, []string{c.ID}},
		{"state", integration.Filter{Service: "stripe", Status: "failed"}, []string{a.ID}},
		{"endpoint", integration.Filter{Type: "create_customer"}, []string{b.ID, a.ID}},
		{"path", integration.Filter{Query: "REFUNDS"}, []string{c.ID}},
		{"provider's request id in the failure", integration.Filter{Query: "req_1", Service: "stripe"}, []string{c.ID, a.ID}},
		{"since", integration.Filter{Since: b.CreatedAt}, []string{c.ID, b.ID}},
		{"until", integration.Filter{Until: b.CreatedAt}, []string{a.ID}},
	} {
		var got []string
		t.filter.Limit = 1
		for {
			calls, next, err := f.Store.Calls(f.Context(), t.filter)
			if err != nil {
				f.Fatal(err)
			}
			for _, c := range calls {
				got = append(got, c.ID)
				if c.Header != nil || c.Body != nil || c.Attempts != nil {
					f.Errorf("a list shows more than it should: %+v", c)
				}
			}
			if t.filter.Cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, t.want) {
			f.Errorf("%s: got %v, want %v", t.name, got, t.want)
		}
	}
	counts, err := f.Store.CallCounts(f.Context(), "stripe", "")
	if want := map[string]int{"failed": 1, "unknown": 1}; err != nil || !reflect.DeepEqual(counts.ByState, want) || !counts.OldestDue.IsZero() {
		f.Errorf("counts %+v, %v; want %v", counts, err, want)
	}
}

// A person settles a kept call: its request is forgotten.
func testSettleCall(f *fixture) {
	c := f.record(f.call(integration.CallUnknown))
	for _, state := range []integration.CallState{integration.CallFailed, integration.CallUnknown, integration.CallRunning} {
		if err := f.Store.SettleCall(f.Context(), c.ID, state, audit("call.settle", c.ID)); !errors.Is(err, integration.ErrState) {
			f.Errorf("settled as %s: %v, want ErrState", state, err)
		}
	}
	if err := f.Store.SettleCall(f.Context(), c.ID, integration.CallSucceeded, audit("call.settle", c.ID)); err != nil {
		f.Fatal(err)
	}
	if got := f.readCall(c.ID); got.State != integration.CallSucceeded || got.Header != nil || got.Body != nil || len(got.Attempts) != 2 {
		f.Errorf("settled: %+v", got)
	}
	if err := f.Store.SettleCall(f.Context(), c.ID, integration.CallRejected, audit("call.settle", c.ID)); !errors.Is(err, integration.ErrState) {
		f.Errorf("settled twice: %v, want ErrState", err)
	}
	if err := f.Store.SettleCall(f.Context(), "nowhere", integration.CallRejected, audit("call.settle", "nowhere")); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("a call that is not there: %v, want ErrNotFound", err)
	}
	if a := f.auditActions(); !slices.Equal(a, []string{"call.settle " + c.ID}) {
		f.Errorf("the audit log says %v", a)
	}
}

// R9.5: keys with scopes, found by hash, revoked for good.
func testKeys(f *fixture) {
	one := integration.APIKey{ID: "k1", Name: "worker", Scope: integration.ScopeApp, Hash: "aa", CreatedAt: start}
	two := integration.APIKey{ID: "k2", Name: "ops", Scope: integration.ScopeAdmin, Hash: "bb", CreatedAt: start}
	for _, k := range []integration.APIKey{one, two} {
		if err := f.Store.CreateKey(f.Context(), k, audit("key.create", k.ID)); err != nil {
			f.Fatal(err)
		}
	}
	for name, bad := range map[string]integration.APIKey{
		"same hash": {ID: "k3", Scope: integration.ScopeApp, Hash: "aa", CreatedAt: start},
		"same id":   {ID: "k1", Scope: integration.ScopeApp, Hash: "cc", CreatedAt: start},
		"no hash":   {ID: "k4", Scope: integration.ScopeApp, CreatedAt: start},
		"no scope":  {ID: "k5", Hash: "dd", CreatedAt: start},
	} {
		if err := f.Store.CreateKey(f.Context(), bad, audit("key.create", bad.ID)); err == nil {
			f.Errorf("%s: the key was made", name)
		}
	}
	if got, err := f.Store.KeyByHash(f.Context(), "bb"); err != nil || got != two {
		f.Errorf("by hash: %+v, %v", got, err)
	}
	for _, hash := range []string{"", "a", "zz"} {
		if _, err := f.Store.KeyByHash(f.Context(), hash); !errors.Is(err, integration.ErrNotFound) {
			f.Errorf("hash %q: %v, want ErrNotFound", hash, err)
		}
	}
	if err := f.Store.RevokeKey(f.Context(), "k1", start.Add(time.Hour), audit("key.revoke", "k1")); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.RevokeKey(f.Context(), "k1", start.Add(2*time.Hour), audit("key.revoke", "k1")); !errors.Is(err, integration.ErrState) {
		f.Errorf("revoked twice: %v, want ErrState", err)
	}
	if err := f.Store.RevokeKey(f.Context(), "k9", start, audit("key.revoke", "k9")); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("a key that is not there: %v, want ErrNotFound", err)
	}
	one.RevokedAt = start.Add(time.Hour)
	f.Store = f.Reopen(f)
	if got, err := f.Store.KeyByHash(f.Context(), "aa"); err != nil || got != one {
		f.Errorf("revoked: %+v, %v", got, err)
	}
	if keys, err := f.Store.Keys(f.Context()); err != nil || !slices.Equal(keys, []integration.APIKey{one, two}) {
		f.Errorf("keys %+v, %v", keys, err)
	}
	if a := f.auditActions(); !slices.Equal(a, []string{"key.revoke k1", "key.create k2", "key.create k1"}) {
		f.Errorf("the audit log says %v", a)
	}
}

func testAuditLog(f *fixture) {
	for i := range 5 {
		e := integration.AuditEntry{At: start.Add(time.Duration(i) * time.Minute), Actor: fmt.Sprintf("key:%d", i%2), Action: "event.retry", Target: fmt.Sprintf("evt-%d", i), Detail: "was failed"}
		if i == 4 {
			e.ID, e.Action = "given", "key.create"
		}
		if err := f.Store.Audit(f.Context(), e); err != nil {
			f.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		filter integration.Filter
		want   []string
	}{
		{"all", integration.Filter{}, []string{"evt-4", "evt-3", "evt-2", "evt-1", "evt-0"}},
		{"action", integration.Filter{Type: "key.create"}, []string{"evt-4"}},
		{"actor", integration.Filter{Query: "key:1"}, []string{"evt-3", "evt-1"}},
		{"since and until", integration.Filter{Since: start.Add(time.Minute), Until: start.Add(3 * time.Minute)}, []string{"evt-2", "evt-1"}},
	} {
		var got []string
		ids := map[string]bool{}
		for c.filter.Limit = 2; ; {
			entries, next, err := f.Store.AuditLog(f.Context(), c.filter)
			if err != nil {
				f.Fatal(err)
			}
			for _, e := range entries {
				got = append(got, e.Target)
				ids[e.ID] = true
			}
			if c.filter.Cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, c.want) {
			f.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if len(ids) != len(got) || ids[""] {
			f.Errorf("%s: ids %v", c.name, ids)
		}
	}
}
