package bulk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/bulk"
	"github.com/sallyport/sallyport/integration"
)

// provider answers a list of {"id":n} with a list of {"id":n,"done":true}, and
// notes what it was sent.
type provider struct {
	mu     sync.Mutex
	bodies []string
	takes  time.Duration
}

func (p *provider) send(ctx context.Context, key string, body json.RawMessage) (bulk.Sent, error) {
	p.mu.Lock()
	p.bodies = append(p.bodies, key+" "+string(body))
	p.mu.Unlock()
	if p.takes > 0 {
		select {
		case <-time.After(p.takes):
		case <-ctx.Done():
			return bulk.Sent{}, context.Cause(ctx)
		}
	}
	return bulk.Sent{Body: json.RawMessage(strings.ReplaceAll(string(body), "}", `,"done":true}`)), Header: http.Header{"Request-Id": {"r1"}}}, nil
}

func (p *provider) sent() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.bodies...)
}

func collector(t *testing.T, c bulk.Config) *bulk.Collector {
	t.Helper()
	x, err := bulk.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func id(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"id":%d}`, n)) }

// outcome is what one caller got, and when.
type outcome struct {
	body string
	err  error
	at   time.Duration
}

// call starts a caller; its outcome comes through the channel.
func call(ctx context.Context, x *bulk.Collector, key string, item json.RawMessage) <-chan outcome {
	out, start := make(chan outcome, 1), time.Now()
	go func() {
		r, err := x.Do(ctx, key, item)
		out <- outcome{string(r.Body), err, time.Since(start)}
	}()
	synctest.Wait() // it has taken its place
	return out
}

// R4.15
func TestCollectsUntilTheWaitIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		x := collector(t, bulk.Config{Send: p.send, Wait: 20 * time.Millisecond})
		first := call(t.Context(), x, "create|t1", id(1))
		time.Sleep(15 * time.Millisecond)
		second := call(t.Context(), x, "create|t1", id(2))
		other := call(t.Context(), x, "create|t2", id(3))
		if sent := p.sent(); len(sent) != 0 {
			t.Fatalf("sent before the wait was over: %v", sent)
		}
		if got := <-first; got.body != `{"id":1,"done":true}` || got.err != nil || got.at != 20*time.Millisecond {
			t.Errorf("first: %+v", got)
		}
		if got := <-second; got.body != `{"id":2,"done":true}` || got.at != 5*time.Millisecond {
			t.Errorf("second: %+v", got)
		}
		if got := <-other; got.body != `{"id":3,"done":true}` || got.at != 20*time.Millisecond {
			t.Errorf("another tenant: %+v", got)
		}
		want := []string{`create|t1 [{"id":1},{"id":2}]`, `create|t2 [{"id":3}]`}
		if sent := p.sent(); strings.Join(sent, "\n") != strings.Join(want, "\n") {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}

// R4.15
func TestSendsAtOnceWhenFull(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]bulk.Config{
		"by number": {Max: 3},
		"by bytes":  {MaxBytes: 3 * len(id(1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &provider{}
				c.Send, c.Wait = p.send, time.Hour
				x := collector(t, c)
				var outs []<-chan outcome
				for n := range 4 {
					outs = append(outs, call(t.Context(), x, "k", id(n)))
				}
				for n, out := range outs[:3] {
					if got := <-out; got.at != 0 || got.body != fmt.Sprintf(`{"id":%d,"done":true}`, n) {
						t.Errorf("%d: %+v", n, got)
					}
				}
				if got := <-outs[3]; got.at != time.Hour {
					t.Errorf("the fourth went after %s, want the wait", got.at)
				}
			})
		})
	}
}

// R4.15: each caller has its own deadline.
func TestWhoLeavesBeforeSendingIsTakenOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		x := collector(t, bulk.Config{Send: p.send, Wait: 20 * time.Millisecond})
		why := errors.New("the user closed the window")
		ctx, cancel := context.WithCancelCause(t.Context())
		leaver := call(ctx, x, "k", id(1))
		stayer := call(t.Context(), x, "k", id(2))
		cancel(why)
		if got := <-leaver; !errors.Is(got.err, why) || got.at != 0 {
			t.Errorf("leaver: %+v", got)
		}
		if got := <-stayer; got.body != `{"id":2,"done":true}` {
			t.Errorf("stayer: %+v", got)
		}
		if sent := p.sent(); len(sent) != 1 || strings.Contains(sent[0], `"id":1`) {
			t.Errorf("sent %q", sent)
		}

		// The only one leaves: nothing is sent at all.
		ctx, cancel = context.WithCancelCause(t.Context())
		only := call(ctx, x, "k", id(3))
		cancel(why)
		<-only
		time.Sleep(time.Second)
		if sent := p.sent(); len(sent) != 1 {
			t.Errorf("sent %q for nobody", sent)
		}
	})
}

// R4.15
func TestWhoLeavesInFlightHearsThatTheOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{takes: time.Minute}
		x := collector(t, bulk.Config{Send: p.send, Max: 2})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		leaver := call(ctx, x, "k", id(1))
		stayer := call(t.Context(), x, "k", id(2))
		got := <-leaver
		var f *integration.Failure
		if !errors.As(got.err, &f) || f.Code != bulk.CodeUncertain || !errors.Is(got.err, context.DeadlineExceeded) || got.at != time.Second {
			t.Errorf("leaver: %+v", got)
		}
		if got := <-stayer; got.err != nil || got.at != time.Minute {
			t.Errorf("stayer: %+v", got)
		}
	})
}

// R4.15
func TestTheRequestEndsWithItsLastCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		x := collector(t, bulk.Config{Max: 2, Send: func(ctx context.Context, _ string, _ json.RawMessage) (bulk.Sent, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return bulk.Sent{}, ctx.Err()
		}})
		for n := range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n+1)*time.Second)
			defer cancel()
			call(ctx, x, "k", id(n))
		}
		start := time.Now()
		if err := <-ended; err == nil { // by its deadline or by the last who left, in the same moment
			t.Error("ended without a cause")
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("ended after %s, want the later deadline", took)
		}
	})
}

// R4.15: a failure of the whole is everybody's, each its own copy.
func TestWholeFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := collector(t, bulk.Config{Max: 2, Send: func(context.Context, string, json.RawMessage) (bulk.Sent, error) {
			return bulk.Sent{}, &integration.Failure{Class: integration.ClassUnavailable, Code: "provider_unavailable"}
		}})
		a, b := call(t.Context(), x, "k", id(1)), call(t.Context(), x, "k", id(2))
		var fa, fb *integration.Failure
		if !errors.As((<-a).err, &fa) || !errors.As((<-b).err, &fb) || fa.Code != "provider_unavailable" || fb.Code != fa.Code {
			t.Fatalf("got %v and %v", fa, fb)
		}
		if fa == fb {
			t.Error("two callers write on one failure")
		}
	})
}

func TestAPanicIsAnError(t *testing.T) {
	t.Parallel()
	x := collector(t, bulk.Config{Max: 1, Send: func(context.Context, string, json.RawMessage) (bulk.Sent, error) { panic("oh") }})
	if _, err := x.Do(t.Context(), "k", id(1)); err == nil || !strings.Contains(err.Error(), "oh") {
		t.Errorf("got %v", err)
	}
}

// R4.15: two items that the answer could not tell apart go in two requests.
func TestSameKeyGoesInTheNextRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		x := collector(t, bulk.Config{Send: p.send, Shape: bulk.Shape{Match: "id"}})
		a, b := call(t.Context(), x, "k", id(1)), call(t.Context(), x, "k", id(1))
		for _, out := range []<-chan outcome{a, b} {
			if got := <-out; got.err != nil || got.body != `{"id":1,"done":true}` {
				t.Errorf("%+v", got)
			}
		}
		if sent := p.sent(); len(sent) != 2 {
			t.Errorf("sent %q", sent)
		}
	})
}

func TestRefusesBeforeAnybodyWaits(t *testing.T) {
	t.Parallel()
	p := &provider{}
	x := collector(t, bulk.Config{Send: p.send, Shape: bulk.Shape{Match: "id"}})
	for _, item := range []string{``, `{`, `{"name":"x"}`, `{"id":null}`, `{"id":""}`, `{"id":{"a":1}}`, `[]`} {
		_, err := x.Do(t.Context(), "k", json.RawMessage(item))
		var f *integration.Failure
		if !errors.As(err, &f) || f.Code != bulk.CodeItem || f.Hint == "" {
			t.Errorf("%q: %v", item, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Do(ctx, "k", id(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller already gone: %v", err)
	}
	if sent := p.sent(); len(sent) != 0 {
		t.Errorf("sent %q", sent)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{takes: time.Second}
		x := collector(t, bulk.Config{Send: p.send, Queue: 2})
		a, b := call(t.Context(), x, "k", id(1)), call(t.Context(), x, "j", id(2))
		var f *integration.Failure
		if got := <-call(t.Context(), x, "k", id(3)); !errors.As(got.err, &f) || f.Code != bulk.CodeFull || f.RetryAfter <= 0 {
			t.Errorf("third: %+v", got)
		}
		<-a
		<-b
		if got := <-call(t.Context(), x, "k", id(4)); got.err != nil {
			t.Errorf("after the others: %+v", got)
		}
	})
}

func TestCloseSendsWhatIsCollected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{takes: time.Second}
		x := collector(t, bulk.Config{Send: p.send, Wait: time.Hour})
		a := call(t.Context(), x, "k", id(1))
		start := time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := x.Close(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient: %v", err)
		}
		if err := x.Close(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("closed after %s: %v", time.Since(start), err)
		}
		if got := <-a; got.err != nil {
			t.Errorf("collected: %+v", got)
		}
		var f *integration.Failure
		if got := <-call(t.Context(), x, "k", id(2)); !errors.As(got.err, &f) || f.Code != bulk.CodeClosed {
			t.Errorf("late: %+v", got)
		}
	})
}

// Many callers, some of whom leave: each who stays gets its own answer, in a
// request no larger than allowed, and nobody's item is sent twice.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{takes: 3 * time.Millisecond}
		x := collector(t, bulk.Config{Send: p.send, Max: 7, Wait: 5 * time.Millisecond})
		var all sync.WaitGroup
		for n := range 500 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%11)*time.Millisecond)
				if n%3 != 0 {
					ctx, cancel = context.WithCancel(t.Context())
				}
				defer cancel()
				time.Sleep(time.Duration(n%13) * time.Millisecond)
				r, err := x.Do(ctx, fmt.Sprint(n%4), id(n))
				if err == nil && string(r.Body) != fmt.Sprintf(`{"id":%d,"done":true}`, n) {
					t.Errorf("%d got %s", n, r.Body)
				}
				if err != nil && n%3 != 0 {
					t.Errorf("%d: %v", n, err)
				}
			})
		}
		all.Wait()
		if err := x.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		for _, body := range p.sent() {
			var items []struct{ ID int }
			if err := json.Unmarshal([]byte(body[2:]), &items); err != nil || len(items) == 0 || len(items) > 7 {
				t.Errorf("%s: %v", body, err)
			}
			for _, item := range items {
				if seen[item.ID] {
					t.Errorf("%d was sent twice", item.ID)
				}
				seen[item.ID] = true
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	send := (&provider{}).send
	for name, c := range map[string]bulk.Config{
		"no send":  {},
		"negative": {Send: send, Max: -1},
		"path":     {Send: send, Shape: bulk.Shape{Items: "a..b"}},
	} {
		if _, err := bulk.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
