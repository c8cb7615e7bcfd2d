package breaker_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/breaker"
	"github.com/sallyport/sallyport/breaker/breakertest"
)

func TestAlone(t *testing.T) {
	t.Parallel()
	breakertest.RunAlone(t, func(testing.TB) func(breaker.Config) *breaker.Set { return breaker.New })
}

func TestSharedInMemory(t *testing.T) {
	t.Parallel()
	breakertest.RunShared(t, func(testing.TB) func(breaker.Config) *breaker.Set {
		var memory *breakertest.Memory
		return func(c breaker.Config) *breaker.Set {
			if memory == nil {
				memory = breakertest.NewMemory(c.Now)
			}
			c.Shared = memory.Join()
			return breaker.New(c)
		}
	})
}

// broken is a Shared whose others can't be reached, after so long.
type broken struct {
	wait  time.Duration
	asked int
}

func (*broken) Subscribe(func(breaker.Notice))              {}
func (*broken) Publish(breaker.Notice)                      {}
func (*broken) Probed(string, string, int, breaker.Outcome) {}
func (b *broken) Probe(string, int, time.Duration) (string, error) {
	b.asked++
	time.Sleep(b.wait) // virtual time
	return "", errors.New("nobody there")
}

// R4.10: without the others a breaker goes by itself; while one call asks them
// the others do not wait.
func TestEachForItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		others := &broken{wait: 100 * time.Millisecond}
		w := opened(t, breaker.Config{Shared: others})
		if others.asked != 0 {
			t.Error("asked while closed")
		}
		_ = w.refused(t)
		time.Sleep(10 * time.Second) // virtual time
		done := make(chan bool)
		go func() { done <- w.call(t, breaker.Success, quick) }()
		synctest.Wait()
		start := time.Now()
		for range 100 {
			_ = w.refused(t)
		}
		if waited := time.Since(start); waited != 0 || others.asked != 1 {
			t.Errorf("others waited %s, %d asked", waited, others.asked)
		}
		if !<-done {
			t.Error("no probe")
		}
		w.calls(t, 2, breaker.Success, quick)
		w.is(t, breaker.Closed)
	})
}

// A breaker that changed while its probe was asked for goes by the change.
func TestChangesWhileAsking(t *testing.T) {
	t.Parallel()
	for _, to := range []breaker.State{breaker.Opened, breaker.Closed} {
		synctest.Test(t, func(t *testing.T) {
			w := opened(t, breaker.Config{Shared: &broken{wait: time.Second}})
			time.Sleep(10 * time.Second) // virtual time
			done := make(chan bool)
			go func() { done <- w.call(t, breaker.Failure, quick) }()
			synctest.Wait()
			w.Force(api, to)
			if through := <-done; through != (to == breaker.Closed) {
				t.Errorf("forced %s: through is %t", to, through)
			}
			w.is(t, to)
		})
	}
}

// R4.10: four instances, 250 calls a second each, and a provider that is down
// for a minute: together they disturb it no more than one would, and all are
// closed soon after it is back.
func TestAMinuteOfFailureTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const instances = 4
		memory := breakertest.NewMemory(nil)
		var sets [instances]*watched
		for i := range sets {
			sets[i] = watch(breaker.Config{Shared: memory.Join()})
		}
		start, reached := time.Now(), 0
		down := func() bool { at := time.Since(start); return at >= 30*time.Second && at < 90*time.Second }
		var closed [instances]time.Duration
		for i := 0; time.Since(start) < 3*time.Minute; i++ {
			s := sets[i%instances]
			before := s.State(api).State
			if pass, err := s.Allow(api); err == nil {
				o := breaker.Success
				if down() {
					o = breaker.Failure
					if before != breaker.Closed {
						reached++
					}
				}
				time.AfterFunc(quick, func() { pass.Done(o, quick) })
			} else if !down() {
				closed[i%instances] = time.Since(start) - 90*time.Second // refused still
			}
			time.Sleep(time.Millisecond) // virtual time
		}
		t.Logf("%d of 60,000 calls reached it while it was held back; the last refusals %s after it came back", reached, closed)
		if reached > 3*4 {
			t.Errorf("%d calls reached it, want no more than of one instance", reached)
		}
		for i, s := range sets {
			s.is(t, breaker.Closed)
			if closed[i] > 41*time.Second {
				t.Errorf("instance %d refused calls for %s after it came back", i, closed[i])
			}
		}
	})
}
