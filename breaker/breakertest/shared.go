package breakertest

import (
	"time"

	"github.com/sallyport/sallyport/breaker"
)

// shared are the rules of breakers that several instances share (R4.10).
var shared = map[string]func(*bench){
	"when one opens the others do": func(b *bench) {
		one, two := b.new(), b.new()
		b.open(one)
		begun := time.Now()
		b.becomes(two, breaker.Opened)
		if took := time.Since(begun); took > time.Second {
			b.Errorf("it took %s, want a second at most", took)
		}
		open := b.refused(two)
		if open.Reason != b.refused(one).Reason || open.RetryAfter > 10*time.Second || open.RetryAfter < 5*time.Second {
			b.Errorf("%+v", open)
		}
	},
	"a new instance begins with what is known": func(b *bench) {
		one := b.new()
		b.open(one)
		b.becomes(b.new(), breaker.Opened)
	},
	"probes are not multiplied": func(b *bench) {
		sets := []*breaker.Set{b.new(), b.new(), b.new(), b.new()}
		b.open(sets[0])
		for _, s := range sets {
			b.becomes(s, breaker.Opened)
		}
		b.clock.pass(10 * time.Second)
		var probes []breaker.Pass
		for range 50 {
			for _, s := range sets {
				if pass, err := s.Allow(Host); err == nil {
					probes = append(probes, pass)
				}
			}
			b.clock.pass(150 * time.Millisecond) // longer than a denial lasts
		}
		if len(probes) != breaker.DefaultProbes {
			b.Fatalf("%d probes, want %d", len(probes), breaker.DefaultProbes)
		}
		for _, pass := range probes {
			pass.Done(breaker.Success, 0)
		}
		for _, s := range sets {
			b.becomes(s, breaker.Closed)
		}
	},
	"probes of several instances add up": func(b *bench) {
		sets := []*breaker.Set{b.new(), b.new(), b.new()}
		b.open(sets[0])
		for _, s := range sets {
			b.becomes(s, breaker.Opened)
		}
		b.clock.pass(10 * time.Second)
		for _, s := range sets { // little traffic: one call each
			b.allowed(s).Done(breaker.Success, 0)
		}
		for _, s := range sets {
			b.becomes(s, breaker.Closed)
		}
	},
	"a probe that fails opens all": func(b *bench) {
		one, two := b.new(), b.new()
		b.open(one)
		b.becomes(two, breaker.Opened)
		b.clock.pass(10 * time.Second)
		good, bad := b.allowed(two), b.allowed(one)
		good.Done(breaker.Success, 0)
		bad.Done(breaker.Failure, 0)
		b.becomes(two, breaker.Opened)
		if open := b.refused(two); open.RetryAfter <= 10*time.Second {
			b.Errorf("%+v, want a longer pause than before", open)
		}
		b.clock.pass(20 * time.Second)
		for _, pass := range []breaker.Pass{b.allowed(two), b.allowed(two), b.allowed(two)} { // the good one counts no more
			b.is(two, breaker.HalfOpen)
			pass.Done(breaker.Success, 0)
		}
		b.becomes(one, breaker.Closed)
		b.is(two, breaker.Closed)
	},
	"by hand, for all": func(b *bench) {
		one, two := b.new(), b.new()
		one.Force(Host, breaker.Opened)
		b.becomes(two, breaker.Opened)
		b.clock.pass(time.Hour)
		_ = b.refused(two)
		if !two.State(Host).Forced {
			b.Error("the other does not know that it was by hand")
		}
		two.Force(Host, breaker.Closed)
		b.becomes(one, breaker.Closed)
		for range 100 {
			b.allowed(one).Done(breaker.Failure, 0)
		}
		one.Reset(Host)
		b.eventually("the other is left to itself", func() bool { return !two.State(Host).Forced })
		b.is(two, breaker.Closed)
	},
	"other hosts and other services are left alone": func(b *bench) {
		one, two := b.new(), b.new()
		b.open(one)
		b.becomes(two, breaker.Opened)
		if _, err := two.Allow("other.example.com"); err != nil {
			b.Error(err)
		}
	},
	"nobody hears of his own change again": func(b *bench) {
		changes := make(chan breaker.Change, 100)
		one := b.instance(breaker.Config{Now: b.clock.read, Changed: func(c breaker.Change) { changes <- c }})
		two := b.new()
		b.open(one)
		b.becomes(two, breaker.Opened)
		two.Reset(Host)
		b.becomes(one, breaker.Closed)
		want := []breaker.State{breaker.Opened, breaker.Closed}
		for i, state := range want {
			c := <-changes
			if c.State != state || c.Learned != (i == 1) {
				b.Errorf("%+v, want %s", c, state)
			}
		}
		if len(changes) > 0 {
			b.Errorf("another change: %+v", <-changes)
		}
	},
}
