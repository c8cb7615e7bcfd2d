package storetest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// queued records a call that waits in the queue, due when it was made.
func (f *fixture) queued(change ...func(*integration.Call)) *integration.Call {
	f.Helper()
	c := f.call(integration.CallQueued, func(c *integration.Call) {
		c.DueAt, c.ExpiresAt, c.FinishedAt, c.RetryOf = c.CreatedAt, c.CreatedAt.Add(24*time.Hour), time.Time{}, ""
	})
	for _, ch := range change {
		ch(c)
	}
	if err := f.Store.Record(f.Context(), c); err != nil {
		f.Fatalf("record: %v", err)
	}
	return c
}

// queue is the one queue of the store's calls.
func (f *fixture) queue() lease.Queue[integration.Call, integration.CallOutcome] {
	if f.calls == nil {
		f.calls = f.CallQueue(f.Store)
	}
	return f.calls
}

// reopen closes the store and goes on with what it left behind.
func (f *fixture) reopen() {
	f.Helper()
	f.Store, f.calls = f.Reopen(f), nil
}

// late is after everything the fixture makes is due.
var late = start.Add(time.Hour)

func (f *fixture) claimCalls(now time.Time, limit int) []lease.Held[integration.Call] {
	f.Helper()
	held, err := f.queue().Claim(f.Context(), lease.Claim{Owner: "w", Now: now, Until: now.Add(time.Minute), Limit: limit})
	if err != nil {
		f.Fatalf("claim: %v", err)
	}
	return held
}

// turn completes a loan with what change makes of the call.
func (f *fixture) turn(l lease.Held[integration.Call], change func(*integration.CallOutcome)) {
	f.Helper()
	o := integration.CallOutcome{Call: l.Value}
	change(&o)
	lost, err := f.queue().Complete(f.Context(), "w", []lease.Done[integration.CallOutcome]{{Key: l.Key, Outcome: o}})
	if err != nil || len(lost) > 0 {
		f.Fatalf("complete: lost %v, %v", lost, err)
	}
}

// R4.6: a queued call is durable with all it takes to make it, has its turns,
// and ends with its answer.
func testQueuedCall(f *fixture) {
	c := f.queued(func(c *integration.Call) { c.Async, c.Callback, c.Priority = true, "app", 3 })
	f.reopen()
	got := f.readCall(c.ID)
	if got.State != integration.CallQueued || !got.Async || got.Callback != "app" || got.Priority != 3 || !got.DueAt.Equal(c.DueAt) ||
		!got.ExpiresAt.Equal(c.ExpiresAt) || string(got.Body) != string(c.Body) || len(got.Attempts) != 2 || got.InDoubt {
		f.Fatalf("%+v", got)
	}
}

// What a turn came to is written with the end of the lease: attempts, answer and
// the event that tells about it.
func testTurns(f *fixture) {
	c := f.queued()
	l := f.claimCalls(late, 10)[0]
	if l.ID != c.ID || l.Attempt != 1 || l.Value.Turn != 1 || len(l.Value.Attempts) != 2 || string(l.Value.Body) != string(c.Body) || l.Value.State != integration.CallRunning {
		f.Fatalf("%+v", l)
	}
	f.turn(l, func(o *integration.CallOutcome) {
		o.Call.State, o.Call.DueAt = integration.CallQueued, late.Add(time.Minute)
		o.Call.Attempts = append(o.Call.Attempts, integration.Attempt{Number: 3, StartedAt: late, Status: 503, Class: integration.ClassUnavailable, Sent: true})
	})
	if got := f.readCall(c.ID); got.State != integration.CallQueued || len(got.Attempts) != 3 || string(got.Body) != string(c.Body) || !got.DueAt.Equal(late.Add(time.Minute)) {
		f.Fatalf("%+v", got)
	}
	if held := f.claimCalls(late, 10); len(held) != 0 {
		f.Fatalf("lent before it is due: %v", held)
	}
	told := integration.OwnEvent("e-1", c.Service, "app", integration.EventCallFinished, c.ID, c.Tenant, late, []byte(`{"id":"x"}`))
	f.turn(f.claimCalls(late.Add(time.Minute), 10)[0], func(o *integration.CallOutcome) {
		o.Call.State, o.Call.Status, o.Call.Failure = integration.CallSucceeded, 200, nil
		o.Call.Answer = &integration.Answer{Status: 200, Header: http.Header{"Etag": {"x"}}, Body: []byte{0, 1, 2}, Until: late.Add(24 * time.Hour)}
		o.Finished = told
	})
	got := f.readCall(c.ID)
	if got.State != integration.CallSucceeded || got.Status != 200 || got.Failure != nil || got.Header != nil || got.Body != nil || got.FinishedAt.IsZero() || !got.DueAt.IsZero() {
		f.Errorf("%+v", got)
	}
	if a := got.Answer; a == nil || string(a.Body) != "\x00\x01\x02" || a.Header.Get("Etag") != "x" || !a.Until.Equal(late.Add(24*time.Hour)) {
		f.Errorf("answer %+v", a)
	}
	if e, _ := f.read("e-1"); e.Status != integration.EventReceived || string(e.Payload) != `{"id":"x"}` || e.DueAt.IsZero() {
		f.Errorf("event %+v", e)
	}
	if n, err := f.Store.ForgetAnswers(f.Context(), late.Add(24*time.Hour), 10); err != nil || n != 1 || f.readCall(c.ID).Answer != nil {
		f.Errorf("forgot %d, %v", n, err)
	}
}

// R4.7: a process that died while it sent what must not be sent twice leaves the
// call in doubt; one that died before leaves it to be made.
func testDoubt(f *fixture) {
	c := f.queued()
	l := f.claimCalls(late, 1)[0]
	if err := f.Store.BeginTurn(f.Context(), c.ID, l.Attempt+1); !errors.Is(err, integration.ErrState) {
		f.Errorf("a turn that is not: %v", err)
	}
	again := f.claimCalls(late.Add(time.Minute), 1)[0] // its lease ran out
	if again.Value.InDoubt {
		f.Error("in doubt though nothing was begun")
	}
	if err := f.Store.BeginTurn(f.Context(), c.ID, l.Attempt); !errors.Is(err, integration.ErrState) {
		f.Errorf("the turn before: %v", err)
	}
	if err := f.Store.BeginTurn(f.Context(), c.ID, again.Attempt); err != nil {
		f.Fatal(err)
	}
	third := f.claimCalls(late.Add(2*time.Minute), 1)[0]
	if !third.Value.InDoubt {
		f.Error("not in doubt though it may have been sent")
	}
	f.turn(third, func(o *integration.CallOutcome) { o.Call.State = integration.CallUnknown })
	if got := f.readCall(c.ID); got.State != integration.CallUnknown || got.InDoubt || string(got.Body) != string(c.Body) {
		f.Errorf("%+v", got)
	}
	// A call announced before it is sent, whose process says nothing more.
	silent := f.call(integration.CallRunning, func(c *integration.Call) { c.DueAt, c.FinishedAt = late, time.Time{} })
	spoke := f.call(integration.CallRunning, func(c *integration.Call) { c.DueAt, c.FinishedAt = late, time.Time{} })
	for _, c := range []*integration.Call{silent, spoke} {
		if err := f.Store.Record(f.Context(), c); err != nil {
			f.Fatal(err)
		}
	}
	spoke.State = integration.CallSucceeded
	if err := f.Store.Record(f.Context(), spoke); err != nil {
		f.Fatal(err)
	}
	f.flush()
	if held := f.claimCalls(late, 10); len(held) != 1 || held[0].ID != silent.ID || !held[0].Value.InDoubt {
		f.Errorf("%+v", held)
	}
}

// R4.6: the higher priority first, the oldest of each tenant first.
func testPriority(f *fixture) {
	var want []string
	for _, p := range []int{0, 5, 0, 5, -1} {
		c := f.queued(func(c *integration.Call) { c.Priority = p })
		want = append(want, fmt.Sprintf("%02d %s", 9-p, c.ID))
	}
	slices.Sort(want)
	var got []string
	for range 5 {
		l := f.claimCalls(late, 1)[0]
		got = append(got, fmt.Sprintf("%02d %s", 9-l.Value.Priority, l.ID))
	}
	if !slices.Equal(got, want) {
		f.Errorf("%v, want %v", got, want)
	}
}

// A tenant that was refused its turn waits; others do not, and it comes back.
func testHeldBack(f *fixture) {
	for range 3 {
		f.queued()
	}
	other := f.queued(func(c *integration.Call) { c.Tenant = "other" })
	now := time.Now().UTC().Truncate(time.Microsecond) // what holds back is dated by the store
	f.turn(f.claimCalls(now, 1)[0], func(o *integration.CallOutcome) {
		o.Call.State, o.Call.DueAt, o.Refused = integration.CallQueued, now.Add(5*time.Second), true
	})
	if held := f.claimCalls(now, 10); len(held) != 1 || held[0].ID != other.ID {
		f.Errorf("lent %d calls, want the other tenant's", len(held))
	}
	next, err := f.queue().NextDue(f.Context())
	if err != nil || next.Before(now.Add(4*time.Second)) {
		f.Errorf("next at %s, %v: asked again at once", next.Sub(now), err)
	}
	if held := f.claimCalls(now.Add(6*time.Second), 10); len(held) != 3 {
		f.Errorf("lent %d calls, want the 3 that were held back", len(held))
	}
}

// A tenant with very many calls waits behind itself: whatever the sizes of the
// claims, nobody has more turns than another who has work left, but for one
// claim's remainder.
func testFair(f *fixture) {
	rapid.Check(f, func(rt *rapid.T) {
		f.n += 1000
		tenants := rapid.SliceOfN(rapid.IntRange(1, 40), 2, 6).Draw(rt, "calls of each tenant")
		left, turns := map[string]int{}, map[string]int{}
		for i, n := range tenants {
			tenant := fmt.Sprintf("%d-%d", f.n, i)
			left[tenant] = n
			for range n {
				f.queued(func(c *integration.Call) { c.Tenant, c.Service = tenant, fmt.Sprintf("s%d", i%2) })
			}
		}
		now := late.Add(time.Duration(f.n) * time.Hour)
		for {
			held := f.claimCalls(now, rapid.IntRange(1, 20).Draw(rt, "limit"))
			if len(held) == 0 {
				break
			}
			for _, l := range held {
				t := l.Value.Tenant
				left[t]--
				turns[t]++
				f.turn(l, func(o *integration.CallOutcome) { o.Call.State = integration.CallSucceeded })
			}
			for a := range left {
				for b := range left {
					if left[b] > 0 && turns[a] > turns[b]+1 {
						rt.Fatalf("%s had %d turns while %s had %d and waits", a, turns[a], b, turns[b])
					}
				}
			}
		}
		for t, n := range left {
			if n != 0 {
				rt.Fatalf("%s has %d calls left", t, n)
			}
		}
	})
}

// R4.7: a kept call goes back into the queue with all it was, and can be taken
// out again.
func testRequeue(f *fixture) {
	kept := f.call(integration.CallUnknown)
	if err := f.Store.Record(f.Context(), kept); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.RequeueCall(f.Context(), kept.ID, late, late.Add(time.Hour), audit("call.retry", kept.ID)); err != nil {
		f.Fatal(err)
	}
	if err := f.Store.RequeueCall(f.Context(), kept.ID, late, time.Time{}, audit("call.retry", kept.ID)); !errors.Is(err, integration.ErrState) {
		f.Errorf("twice: %v", err)
	}
	got := f.readCall(kept.ID)
	if got.State != integration.CallQueued || got.KeptAs != integration.CallUnknown || got.RetriedAfter != 2 || got.IdempotencyKey != kept.IdempotencyKey ||
		!got.ExpiresAt.Equal(late.Add(time.Hour)) || string(got.Body) != string(kept.Body) || !got.FinishedAt.IsZero() {
		f.Errorf("%+v", got)
	}
	if err := f.Store.CancelCall(f.Context(), kept.ID, late, nil, audit("call.cancel", kept.ID)); err != nil {
		f.Fatal(err)
	}
	if got := f.readCall(kept.ID); got.State != integration.CallUnknown || string(got.Body) != string(kept.Body) {
		f.Errorf("%+v", got)
	}
	fresh := f.queued()
	if err := f.Store.CancelCall(f.Context(), fresh.ID, late, nil, audit("call.cancel", fresh.ID)); err != nil {
		f.Fatal(err)
	}
	if got := f.readCall(fresh.ID); got.State != integration.CallCanceled || got.Body != nil {
		f.Errorf("%+v", got)
	}
	if err := f.Store.CancelCall(f.Context(), "none", late, nil, audit("call.cancel", "none")); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("none: %v", err)
	}
	if held := f.claimCalls(late, 10); len(held) != 0 {
		f.Errorf("lent %v", held)
	}
	if got, want := f.auditActions(), []string{"call.cancel " + fresh.ID, "call.cancel " + kept.ID, "call.retry " + kept.ID}; !slices.Equal(got, want) {
		f.Errorf("audited %v", got)
	}
}

// R4.7: a job goes through all its calls, goes on after a restart, counts what
// became of them, and can be stopped.
func testJobs(f *fixture) {
	for range 7 {
		if err := f.Store.Record(f.Context(), f.call(integration.CallFailed)); err != nil {
			f.Fatal(err)
		}
	}
	if err := f.Store.Record(f.Context(), f.call(integration.CallUnknown)); err != nil {
		f.Fatal(err)
	}
	j := integration.Job{ID: "j-1", Service: "stripe", Actor: "key:1", CreatedAt: late, Filter: integration.Filter{Service: "stripe", Status: "failed"}}
	if err := f.Store.CreateJob(f.Context(), &j, audit("job.create", j.ID)); err != nil || j.Total != 7 {
		f.Fatalf("%+v, %v", j, err)
	}
	if more, err := f.Store.AdvanceJob(f.Context(), j.ID, late, time.Time{}, 3); err != nil || !more {
		f.Fatalf("%v, %v", more, err)
	}
	f.reopen()
	if jobs, err := f.Store.UnfinishedJobs(f.Context()); err != nil || len(jobs) != 1 || jobs[0].Queued != 3 {
		f.Fatalf("%+v, %v", jobs, err)
	}
	for more := true; more; {
		var err error
		if more, err = f.Store.AdvanceJob(f.Context(), j.ID, late, time.Time{}, 3); err != nil {
			f.Fatal(err)
		}
	}
	states := []integration.CallState{integration.CallSucceeded, integration.CallFailed, integration.CallRejected}
	for i, l := range f.claimCalls(late, 5) {
		if l.Value.Job != j.ID {
			f.Errorf("%+v", l.Value)
		}
		f.turn(l, func(o *integration.CallOutcome) { o.Call.State = states[i%3] })
	}
	job := func(state integration.JobState, queued, done, failed int) {
		f.Helper()
		got, err := f.Store.Job(f.Context(), j.ID)
		if err != nil || got.State != state || got.Queued != queued || got.Done != done || got.Failed != failed || got.Total != 7 || got.Filter.Status != "failed" {
			f.Errorf("%+v, %v", got, err)
		}
	}
	job(integration.JobRunning, 7, 3, 2)
	running := f.claimCalls(late, 1)[0]
	if err := f.Store.CancelJob(f.Context(), j.ID, late, audit("job.cancel", j.ID)); err != nil {
		f.Fatal(err)
	}
	// The one that had its turn meanwhile does not get another.
	f.turn(running, func(o *integration.CallOutcome) {
		o.Call.State, o.Call.DueAt = integration.CallQueued, late.Add(time.Minute)
	})
	if got := f.readCall(running.ID); got.State != integration.CallFailed || got.Job != "" {
		f.Errorf("%+v", got)
	}
	if err := f.Store.CancelJob(f.Context(), j.ID, late, audit("job.cancel", j.ID)); !errors.Is(err, integration.ErrState) {
		f.Errorf("twice: %v", err)
	}
	if held := f.claimCalls(late.Add(time.Hour), 10); len(held) != 0 {
		f.Errorf("lent %d", len(held))
	}
	if _, err := f.Store.Job(f.Context(), "none"); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("none: %v", err)
	}
}
