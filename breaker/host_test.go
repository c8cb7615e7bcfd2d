package breaker_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/integration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const api = "api.example.com"

func none() float64 { return 0 } // no jitter

// watched is a Set in virtual time and what changed in it.
type watched struct {
	*breaker.Set
	mu      sync.Mutex
	changes []breaker.Change
}

func watch(c breaker.Config) *watched {
	w := &watched{}
	c.Changed = func(change breaker.Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.changes = append(w.changes, change)
	}
	if c.Dice == nil {
		c.Dice = none
	}
	w.Set = breaker.New(c)
	return w
}

func (w *watched) seen() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s []string
	for _, c := range w.changes {
		s = append(s, fmt.Sprintf("%s→%s", c.From, c.State))
	}
	return strings.Join(s, " ")
}

// call makes one call; false when it was refused.
func (w *watched) call(t *testing.T, o breaker.Outcome, took time.Duration) bool {
	t.Helper()
	pass, err := w.Allow(api)
	if err != nil {
		return false
	}
	pass.Done(o, took)
	return true
}

func (w *watched) calls(t *testing.T, n int, o breaker.Outcome, took time.Duration) {
	t.Helper()
	for i := range n {
		if !w.call(t, o, took) {
			t.Fatalf("call %d of %d was refused", i+1, n)
		}
	}
}

func (w *watched) refused(t *testing.T) *breaker.Open {
	t.Helper()
	pass, err := w.Allow(api)
	var open *breaker.Open
	if !errors.As(err, &open) {
		t.Fatalf("allowed (%v), want *Open", err)
	}
	pass.Done(breaker.Failure, 0) // the zero Pass: nothing happens
	return open
}

func (w *watched) is(t *testing.T, want breaker.State) {
	t.Helper()
	if got := w.State(api); got.State != want {
		t.Fatalf("it is %s (%+v), want %s", got.State, got, want)
	}
}

const quick = 10 * time.Millisecond

// R4.10: opens on the rate of failures, once there are enough calls.
func TestOpensOnFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(breaker.Config{})
		w.calls(t, 10, breaker.Success, quick)
		w.calls(t, 9, breaker.Failure, quick)
		w.is(t, breaker.Closed) // 9 of 19: not enough calls
		w.calls(t, 1, breaker.Failure, quick)
		w.is(t, breaker.Opened)
		open := w.refused(t)
		if open.RetryAfter != 10*time.Second || !open.Until.Equal(time.Now().Add(10*time.Second)) || open.Host != api {
			t.Errorf("%+v", open)
		}
		const want = "breaker: calls to api.example.com are held back: 10 of 20 calls in the last 30s failed; come again in 10s"
		if open.Error() != want {
			t.Errorf("it says %q, want %q", open, want)
		}
		s := w.States()
		if len(s) != 1 || s[0].FailureRate != 0.5 || s[0].Calls != 20 || s[0].Host != api || s[0].Reason != open.Reason {
			t.Errorf("%+v", s)
		}
		if _, err := w.Allow("other.example.com"); err != nil {
			t.Errorf("another host: %v", err)
		}
		if w.seen() != "closed→open" {
			t.Error(w.seen())
		}
	})
}

// R4.10, R0.4: opens on the rate of slow calls.
func TestOpensOnSlowCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(breaker.Config{})
		w.calls(t, 4, breaker.Success, 5*time.Second) // not slower than that
		w.calls(t, 15, breaker.Success, 6*time.Second)
		w.is(t, breaker.Closed)
		w.calls(t, 1, breaker.Success, 6*time.Second)
		w.is(t, breaker.Opened)
		if open := w.refused(t); open.Reason != "16 of 20 calls in the last 30s took longer than 5s" {
			t.Error(open.Reason)
		}
		time.Sleep(10 * time.Second) // virtual time
		w.call(t, breaker.Success, 6*time.Second)
		if open := w.refused(t); open.Reason != "a call to see whether it is back took longer than 5s" || open.RetryAfter != 20*time.Second {
			t.Errorf("%+v", open)
		}
	})
}

// R4.10: opens when nothing succeeds any more, though most calls in the window
// did.
func TestOpensOnFailuresInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(breaker.Config{})
		w.calls(t, 1000, breaker.Success, quick)
		w.calls(t, 20, breaker.Failure, quick)
		time.Sleep(3 * time.Second) // virtual time
		w.is(t, breaker.Closed)
		w.calls(t, 1, breaker.Failure, quick)
		w.is(t, breaker.Opened)
		if open := w.refused(t); open.Reason != "21 calls in the last 3s failed, and none succeeded" {
			t.Error(open.Reason)
		}
	})
}

// What must not open it.
func TestStaysClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config breaker.Config
		calls  func(*testing.T, *watched)
	}{
		"4xx, limits and callers that left": {breaker.Config{}, func(t *testing.T, w *watched) {
			w.calls(t, 100, breaker.Answered, time.Minute)
			w.calls(t, 100, breaker.Ignored, time.Minute)
			if s := w.State(api); s.Calls != 0 {
				t.Errorf("%d calls counted, want none", s.Calls)
			}
		}},
		"19 failures": {breaker.Config{}, func(t *testing.T, w *watched) { w.calls(t, 19, breaker.Failure, quick) }},
		"failures long ago": {breaker.Config{}, func(t *testing.T, w *watched) {
			w.calls(t, 19, breaker.Failure, quick)
			time.Sleep(30 * time.Second) // virtual time
			w.calls(t, 19, breaker.Failure, quick)
		}},
		"fewer than half": {breaker.Config{}, func(t *testing.T, w *watched) {
			for range 1000 {
				w.calls(t, 11, breaker.Success, quick)
				w.calls(t, 9, breaker.Failure, quick)
			}
		}},
		"many failures in a row, but not for long": {breaker.Config{}, func(t *testing.T, w *watched) {
			w.calls(t, 500, breaker.Success, quick)
			w.calls(t, 200, breaker.Failure, quick)
			time.Sleep(3*time.Second - 1) // virtual time
			w.calls(t, 200, breaker.Failure, quick)
			w.calls(t, 1, breaker.Success, quick)
			time.Sleep(time.Second)
			w.calls(t, 10, breaker.Failure, quick)
		}},
		"few failures in a row, for long": {breaker.Config{}, func(t *testing.T, w *watched) {
			w.calls(t, 50, breaker.Success, quick)
			for range 19 {
				w.calls(t, 1, breaker.Failure, quick)
				time.Sleep(time.Second) // virtual time
			}
		}},
		"never on failures": {breaker.Config{FailureRate: breaker.Never}, func(t *testing.T, w *watched) { w.calls(t, 100, breaker.Failure, quick) }},
		"never on slow":     {breaker.Config{SlowRate: breaker.Never}, func(t *testing.T, w *watched) { w.calls(t, 100, breaker.Success, time.Hour) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := watch(c.config)
				c.calls(t, w)
				w.is(t, breaker.Closed)
				if w.seen() != "" {
					t.Error(w.seen())
				}
			})
		})
	}
}

func opened(t *testing.T, c breaker.Config) *watched {
	t.Helper()
	w := watch(c)
	w.calls(t, 20, breaker.Failure, quick)
	w.is(t, breaker.Opened)
	return w
}

// R4.10: half-open lets so many through, and closes when they succeed.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := opened(t, breaker.Config{})
		time.Sleep(10*time.Second - 1) // virtual time
		_ = w.refused(t)
		time.Sleep(time.Nanosecond)
		w.is(t, breaker.HalfOpen) // to see before any call
		var probes []breaker.Pass
		for range 3 {
			pass, err := w.Allow(api)
			if err != nil || !pass.Probe() {
				t.Fatalf("%v, probe %t", err, pass.Probe())
			}
			probes = append(probes, pass)
		}
		_ = w.refused(t)
		probes[0].Done(breaker.Success, quick)
		probes[0].Done(breaker.Success, quick) // twice counts once
		probes[1].Done(breaker.Answered, quick)
		_ = w.refused(t)
		w.is(t, breaker.HalfOpen)
		probes[2].Done(breaker.Success, quick)
		w.is(t, breaker.Closed)
		if w.seen() != "closed→open open→half-open half-open→closed" {
			t.Error(w.seen())
		}
		if s := w.State(api); s.Calls != 0 || s.Reason != "" || !s.Until.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// R4.10: opens again when a probe fails, for longer each time, up to the cap;
// after it was well for a while it begins with the short pause.
func TestPauseGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := opened(t, breaker.Config{})
		for _, want := range []time.Duration{10, 20, 40, 80, 120, 120} {
			open := w.refused(t)
			if open.RetryAfter != want*time.Second {
				t.Errorf("a pause of %s, want %ds", open.RetryAfter, want)
			}
			time.Sleep(open.RetryAfter) // virtual time
			w.calls(t, 1, breaker.Failure, quick)
		}
		time.Sleep(2 * time.Minute)
		w.calls(t, 3, breaker.Success, quick)
		w.is(t, breaker.Closed)
		w.calls(t, 20, breaker.Failure, quick) // flapping: well for no time
		if open := w.refused(t); open.RetryAfter != 2*time.Minute {
			t.Errorf("flapping: a pause of %s, want 2m", open.RetryAfter)
		}
		time.Sleep(2 * time.Minute)
		w.calls(t, 3, breaker.Success, quick)
		time.Sleep(30 * time.Second)
		w.calls(t, 20, breaker.Failure, quick)
		if open := w.refused(t); open.RetryAfter != 10*time.Second {
			t.Errorf("after being well: a pause of %s, want 10s", open.RetryAfter)
		}
	})
}

// A probe that never ends does not block for ever, and its late end says
// nothing.
func TestLostProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := opened(t, breaker.Config{})
		time.Sleep(10 * time.Second) // virtual time
		var lost []breaker.Pass
		for range 3 {
			pass, err := w.Allow(api)
			if err != nil {
				t.Fatal(err)
			}
			lost = append(lost, pass)
		}
		time.Sleep(time.Minute - 1)
		_ = w.refused(t)
		time.Sleep(time.Nanosecond)
		w.calls(t, 2, breaker.Success, quick)
		for _, pass := range lost {
			pass.Done(breaker.Failure, time.Hour)
		}
		w.is(t, breaker.HalfOpen)
		w.calls(t, 1, breaker.Success, quick)
		w.is(t, breaker.Closed)
	})
}

// Probes that say nothing make room for others.
func TestProbesThatSayNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := opened(t, breaker.Config{})
		time.Sleep(10 * time.Second) // virtual time
		w.calls(t, 100, breaker.Ignored, time.Hour)
		w.is(t, breaker.HalfOpen)
		w.calls(t, 3, breaker.Answered, quick)
		w.is(t, breaker.Closed)
	})
}

// Calls that began before a change do not count after it.
func TestLateCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(breaker.Config{})
		var early []breaker.Pass
		for range 60 {
			pass, err := w.Allow(api)
			if err != nil {
				t.Fatal(err)
			}
			early = append(early, pass)
		}
		for _, pass := range early[:30] {
			pass.Done(breaker.Failure, quick)
		}
		time.Sleep(10 * time.Second) // virtual time
		probe, err := w.Allow(api)
		if err != nil {
			t.Fatal(err)
		}
		for _, pass := range early[30:] {
			pass.Done(breaker.Failure, quick)
		}
		w.is(t, breaker.HalfOpen)
		probe.Done(breaker.Success, quick)
		w.calls(t, 2, breaker.Success, quick)
		w.is(t, breaker.Closed)
		if s := w.State(api); s.Calls != 0 {
			t.Errorf("%d calls counted, want none", s.Calls)
		}
	})
}

// By hand: it stays so, whatever happens, until Reset.
func TestForce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := watch(breaker.Config{})
		w.Force(api, breaker.Opened)
		time.Sleep(time.Hour) // virtual time
		if open := w.refused(t); open.Reason != "it was opened by hand" {
			t.Errorf("%+v", open)
		}
		if s := w.State(api); s.State != breaker.Opened || !s.Forced {
			t.Errorf("%+v", s)
		}
		w.Force(api, breaker.Closed)
		w.calls(t, 100, breaker.Failure, quick)
		if s := w.State(api); s.State != breaker.Closed || !s.Forced || s.FailureRate != 1 {
			t.Errorf("%+v", s)
		}
		w.Reset(api)
		if s := w.State(api); s.State != breaker.Closed || s.Forced || s.Calls != 0 {
			t.Errorf("%+v", s)
		}
		w.calls(t, 20, breaker.Failure, quick)
		w.is(t, breaker.Opened)
		w.Force(api, breaker.HalfOpen) // a Reset
		w.is(t, breaker.Closed)
	})
}

// Who hears of a change may use the Set.
func TestChangedMayUseTheSet(t *testing.T) {
	t.Parallel()
	var s *breaker.Set
	var seen []string
	s = breaker.New(breaker.Config{Changed: func(c breaker.Change) {
		seen = append(seen, string(c.From)+"→"+string(c.State))
		if c.State == breaker.Opened && !c.Forced {
			s.Reset(c.Host)
		}
		_ = s.States()
	}})
	for range 20 {
		pass, err := s.Allow(api)
		if err != nil {
			t.Fatal(err)
		}
		pass.Done(breaker.Failure, 0)
	}
	if got := strings.Join(seen, " "); got != "closed→open open→closed" {
		t.Error(got)
	}
}

// Hosts that are not called any more are forgotten, those in trouble are not.
func TestHostsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := opened(t, breaker.Config{})
		for i := range 1500 {
			_, _ = w.Allow(fmt.Sprintf("shop-%d.example.com", i))
		}
		time.Sleep(time.Hour) // virtual time
		for i := range 1500 {
			_, _ = w.Allow(fmt.Sprintf("store-%d.example.com", i))
		}
		if n := len(w.States()); n > 2100 {
			t.Errorf("%d hosts are kept", n)
		}
		if s := w.State(api); s.State != breaker.HalfOpen {
			t.Errorf("forgotten: %+v", s)
		}
	})
}

// OutcomeOf names each class of the vocabulary on purpose.
func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	if breaker.OutcomeOf(nil) != breaker.Success {
		t.Error("a call without a failure is none")
	}
	for class, want := range map[integration.Class]breaker.Outcome{
		integration.ClassOK: breaker.Success, integration.ClassInvalid: breaker.Answered, integration.ClassUnauthorized: breaker.Answered,
		integration.ClassForbidden: breaker.Answered, integration.ClassMissing: breaker.Answered, integration.ClassConflict: breaker.Answered,
		integration.ClassRejected: breaker.Answered, integration.ClassLimited: breaker.Ignored, integration.ClassCanceled: breaker.Ignored,
		integration.ClassUnavailable: breaker.Failure, integration.ClassTimeout: breaker.Failure, integration.ClassNetwork: breaker.Failure,
		integration.ClassBroken: breaker.Failure,
	} {
		if got := breaker.OutcomeOf(&integration.Failure{Class: class}); got != want {
			t.Errorf("%s: %d, want %d", class, got, want)
		}
	}
}

// Whatever happens in whatever order: no more probes than allowed are under
// way, an open breaker lets nothing through before its pause is over, and a
// healthy host is closed again in the end.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			probes := rapid.IntRange(1, 5).Draw(rt, "probes")
			w := watch(breaker.Config{Minimum: 3, Probes: probes, Dice: func() float64 { return 0.5 }})
			var flight []breaker.Pass
			for range rapid.IntRange(1, 200).Draw(rt, "steps") {
				switch rapid.IntRange(0, 5).Draw(rt, "step") {
				case 0:
					time.Sleep(time.Duration(rapid.IntRange(0, 15_000).Draw(rt, "ms")) * time.Millisecond) // virtual time
				case 1, 2, 3:
					before := w.State(api)
					pass, err := w.Allow(api)
					if err == nil && before.State == breaker.Opened {
						t.Fatalf("let through while open: %+v", before)
					}
					if err == nil {
						flight = append(flight, pass)
					}
				default:
					if len(flight) == 0 {
						continue
					}
					i := rapid.IntRange(0, len(flight)-1).Draw(rt, "which")
					flight[i].Done(breaker.Outcome(rapid.IntRange(0, 3).Draw(rt, "outcome")), time.Duration(rapid.IntRange(0, 6).Draw(rt, "took"))*time.Second)
					flight = append(flight[:i], flight[i+1:]...)
				}
			}
			for range 3 {
				time.Sleep(3 * time.Minute) // virtual time; longer than any pause, and than a probe may take
				for range probes {
					w.call(t, breaker.Success, quick)
				}
			}
			w.is(t, breaker.Closed)
		})
	})
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	w := watch(breaker.Config{Pause: time.Microsecond, MaxPause: time.Millisecond, Minimum: 5})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 2000 {
				if pass, err := w.Allow(api); err == nil {
					pass.Done(breaker.Outcome((i+j)%4), 0)
				}
				if j%500 == 0 {
					w.Reset(api)
				}
				_ = w.State(api)
			}
		})
	}
	wg.Wait()
	last := breaker.Closed
	for _, c := range w.changes { // each goes on from where the one before ended
		if c.From != last {
			t.Fatalf("a change from %s after one to %s", c.From, last)
		}
		last = c.State
	}
}
