// Package breakertest holds what circuit breakers must do, alone and shared by
// several instances, whatever they are shared through.
package breakertest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/breaker"
)

// World makes instances of one gateway that have the breakers of one service.
// They end with the test.
type World func(tb testing.TB) (instance func(breaker.Config) *breaker.Set)

// Host is the host that is called.
const Host = "api.example.com"

// patience is how long one instance may take to hear of another: the limit is a
// second, and the machine may be busy.
const patience = 10 * time.Second

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a test's instances and their clock.
type bench struct {
	testing.TB
	clock    *clock
	instance func(breaker.Config) *breaker.Set
}

func (b *bench) new() *breaker.Set {
	return b.instance(breaker.Config{Now: b.clock.read, Dice: func() float64 { return 0 }})
}

// RunAlone checks one instance.
func RunAlone(t *testing.T, w World) { run(t, w, alone) }

// RunShared checks several instances, and each of them alone.
func RunShared(t *testing.T, w World) {
	run(t, w, alone)
	run(t, w, shared)
}

func run(t *testing.T, w World, cases map[string]func(*bench)) {
	t.Helper()
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(&bench{TB: t, clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}, instance: w(t)})
		})
	}
}

// alone are the rules of one breaker (R4.10).
var alone = map[string]func(*bench){
	"opens, refuses, probes, closes": func(b *bench) {
		s := b.new()
		b.open(s)
		_ = b.refused(s)
		b.clock.pass(10*time.Second - time.Millisecond)
		_ = b.refused(s)
		b.clock.pass(time.Millisecond)
		b.is(s, breaker.HalfOpen)
		probes := []breaker.Pass{b.allowed(s), b.allowed(s), b.allowed(s)}
		_ = b.refused(s)
		for _, p := range probes {
			if !p.Probe() {
				b.Error("let through without being a probe")
			}
			p.Done(breaker.Success, 0)
		}
		b.is(s, breaker.Closed)
	},
	"opens again for longer": func(b *bench) {
		s := b.new()
		b.open(s)
		for _, want := range []time.Duration{10, 20, 40, 80, 120, 120} {
			if got := b.refused(s).RetryAfter; got != want*time.Second {
				b.Errorf("a pause of %s, want %ds", got, want)
			}
			b.clock.pass(want * time.Second)
			b.allowed(s).Done(breaker.Failure, 0)
			b.is(s, breaker.Opened)
		}
	},
	"a lost probe makes room": func(b *bench) {
		s := b.instance(breaker.Config{Now: b.clock.read, Dice: func() float64 { return 0 }, ProbeTimeout: 200 * time.Millisecond})
		b.open(s)
		b.clock.pass(10 * time.Second)
		for range 3 {
			b.allowed(s)
		}
		_ = b.refused(s)
		b.eventually("a lost probe is given up", func() bool { // shared ones are given up by the others' clock
			b.clock.pass(200 * time.Millisecond)
			_, err := s.Allow(Host)
			return err == nil
		})
	},
	"a probe that says nothing makes room": func(b *bench) {
		s := b.new()
		b.open(s)
		b.clock.pass(10 * time.Second)
		for range 10 {
			b.eventually("room for a probe", func() bool {
				b.clock.pass(100 * time.Millisecond)
				pass, err := s.Allow(Host)
				pass.Done(breaker.Ignored, 0)
				return err == nil
			})
		}
		b.is(s, breaker.HalfOpen)
	},
	"by hand": func(b *bench) {
		s := b.new()
		s.Force(Host, breaker.Opened)
		b.clock.pass(time.Hour)
		_ = b.refused(s)
		s.Force(Host, breaker.Closed)
		for range 100 {
			b.allowed(s).Done(breaker.Failure, 0)
		}
		s.Reset(Host)
		b.open(s)
	},
}

// open fails calls until the breaker opens.
func (b *bench) open(s *breaker.Set) {
	b.Helper()
	for range breaker.DefaultMinimum {
		b.allowed(s).Done(breaker.Failure, 0)
	}
	b.is(s, breaker.Opened)
}

func (b *bench) allowed(s *breaker.Set) breaker.Pass {
	b.Helper()
	pass, err := s.Allow(Host)
	if err != nil {
		b.Fatalf("refused: %v", err)
	}
	return pass
}

func (b *bench) refused(s *breaker.Set) *breaker.Open {
	b.Helper()
	_, err := s.Allow(Host)
	var open *breaker.Open
	if !errors.As(err, &open) {
		b.Fatalf("it was let through (%v)", err)
	}
	return open
}

func (b *bench) is(s *breaker.Set, want breaker.State) {
	b.Helper()
	if got := s.State(Host); got.State != want {
		b.Fatalf("it is %+v, want %s", got, want)
	}
}

// becomes waits for what another instance did.
func (b *bench) becomes(s *breaker.Set, want breaker.State) {
	b.Helper()
	b.eventually(fmt.Sprintf("it becomes %s", want), func() bool { return s.State(Host).State == want })
}

func (b *bench) eventually(what string, is func() bool) {
	b.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-end.C:
			b.Fatalf("not within %s: %s", patience, what)
		}
	}
}
