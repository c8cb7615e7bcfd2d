// Package breaker holds calls back from a host that fails or is slow, so that
// a provider in trouble is left in peace and its callers hear at once (R4.10).
//
// A Set has one circuit breaker for each host of one service. A breaker is
// closed while all is well and counts what its calls came to. When too many of
// the calls in a window of time failed, or too many were slow, it opens: calls
// are refused with *Open for a pause. Then it is half-open: a few calls, the
// probes, go through to see. When all of them succeed it closes; when one fails
// it opens again, for twice the pause, up to a cap.
//
// Instances of one gateway may share what they know of a host: Config.Shared.
//
// The states, and the names of them, are those of M. Nygard, "Release It!"
// (2007), chapter "Stability Patterns".
package breaker

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Defaults of Config.
const (
	DefaultFailureRate  = 0.5
	DefaultSlowRate     = 0.8
	DefaultSlow         = 5 * time.Second // R0.4
	DefaultWindow       = 30 * time.Second
	DefaultMinimum      = 20
	DefaultPause        = 10 * time.Second
	DefaultMaxPause     = 2 * time.Minute
	DefaultProbes       = 3
	DefaultProbeTimeout = time.Minute
)

// Never is the rate that no host reaches: a breaker with it does not open for
// that reason.
const Never = 2.0

// Config is when breakers open and close. The zero Config is a good one.
type Config struct {
	// FailureRate is the share of the calls in the window, 0 to 1, that opens
	// the breaker when they failed. Zero means 0.5; Never switches it off. It
	// also opens when a tenth of the window long nothing but failures came, the
	// Minimum of them at least: where there is much traffic, an outage must not
	// have to outweigh the good calls before it.
	FailureRate float64
	// SlowRate is the share of the calls in the window that opens the breaker
	// when they were slow. Zero means 0.8; with Never slow calls are fine,
	// slow probes too.
	SlowRate float64
	// Slow is how long a call may take before it counts as slow. Zero means 5
	// seconds.
	Slow time.Duration
	// Window is how far is looked back. Zero means 30 seconds. It moves in
	// tenths.
	Window time.Duration
	// Minimum is how many calls must be in the window before their rates mean
	// anything. Zero means 20.
	Minimum int
	// Pause is how long a breaker stays open at first. Zero means 10 seconds.
	// Up to a tenth of it is taken off at random, so that the breakers of many
	// instances do not try at the same moment.
	Pause time.Duration
	// MaxPause is the cap of the pause, which doubles each time the probes
	// fail, or the breaker opens again within a window of having closed. Zero
	// means 2 minutes, or Pause where that is longer.
	MaxPause time.Duration
	// Probes is how many calls go through a half-open breaker, and how many
	// must succeed for it to close. Zero means 3.
	Probes int
	// ProbeTimeout is when a probe whose Done never came is given up and
	// another one let through. It must be longer than calls may take. Zero
	// means one minute.
	ProbeTimeout time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Dice returns a number in [0,1); nil is the machine's.
	Dice func() float64
	// Changed hears of each change of a breaker, one after the other for each
	// host, on the goroutine of the call that brought it about. It may use the
	// Set. Nil hears nothing.
	Changed func(Change)
	// Shared tells other instances, and hears from them; nil: each for itself.
	Shared Shared
}

func (c Config) withDefaults() Config {
	c.FailureRate = cmp.Or(c.FailureRate, DefaultFailureRate)
	c.SlowRate = cmp.Or(c.SlowRate, DefaultSlowRate)
	c.Slow = cmp.Or(c.Slow, DefaultSlow)
	c.Window = max(cmp.Or(c.Window, DefaultWindow), buckets)
	c.Minimum = cmp.Or(c.Minimum, DefaultMinimum)
	c.Pause = cmp.Or(c.Pause, DefaultPause)
	c.MaxPause = max(cmp.Or(c.MaxPause, DefaultMaxPause), c.Pause)
	c.Probes = cmp.Or(c.Probes, DefaultProbes)
	c.ProbeTimeout = cmp.Or(c.ProbeTimeout, DefaultProbeTimeout)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dice == nil {
		c.Dice = rand.Float64
	}
	if c.Changed == nil {
		c.Changed = func(Change) {}
	}
	return c
}

// Set is the breakers of one service. It may be used from many goroutines.
type Set struct {
	config Config
	base   time.Time

	mu    sync.RWMutex
	hosts map[string]*host
	full  int // so many hosts make it look for idle ones
}

// New makes the breakers of a service, all closed but for those that other
// instances know to be open.
func New(c Config) *Set {
	c = c.withDefaults()
	s := &Set{config: c, base: c.Now(), hosts: map[string]*host{}, full: manyHosts}
	if c.Shared != nil {
		c.Shared.Subscribe(s.learn)
	}
	return s
}

// Allow asks whether a call to a host may be made now. The error is *Open when
// not. A call that was allowed must end with Pass.Done, whatever becomes of it.
//
// It does not wait, with one exception: before a probe, where breakers are
// shared, the other instances are asked.
func (s *Set) Allow(host string) (Pass, error) {
	h := s.host(host)
	if w := h.word.load(); w.kind() == closed {
		return Pass{host: h, word: w}, nil
	}
	return h.allow()
}

// Pass is the permission for one call. The zero Pass is of no breaker.
type Pass struct {
	host  *host
	word  word
	probe uint64 // which one; zero: none
}

// Probe reports whether the call is one of those that try whether the host is
// back.
func (p Pass) Probe() bool { return p.probe != 0 }

// Done says how the call ended and how long it took. It must be called once;
// the Done of a call that began before the breaker last changed says nothing
// new, and is not counted.
func (p Pass) Done(o Outcome, took time.Duration) {
	if p.host != nil {
		p.host.done(p, o, took, p.host.set.config.Now())
	}
}

// DoneAt is Done for a caller who has just read the clock that the Set reads.
func (p Pass) DoneAt(now time.Time, o Outcome, took time.Duration) {
	if p.host != nil {
		p.host.done(p, o, took, now)
	}
}

// States are the breakers of all hosts that were called lately, by host.
func (s *Set) States() []Status {
	s.mu.RLock()
	hosts := make([]*host, 0, len(s.hosts))
	for _, h := range s.hosts {
		hosts = append(hosts, h)
	}
	s.mu.RUnlock()
	states := make([]Status, len(hosts))
	for i, h := range hosts {
		states[i] = h.status()
	}
	slices.SortFunc(states, func(a, b Status) int { return cmp.Compare(a.Host, b.Host) })
	return states
}

// State is the breaker of one host.
func (s *Set) State(host string) Status { return s.host(host).status() }

// Force holds the breaker of a host open or closed by hand, here and at all
// instances it is shared with, until Reset. HalfOpen can't be forced and is
// taken as Reset.
func (s *Set) Force(host string, to State) {
	if to == HalfOpen {
		s.Reset(host)
		return
	}
	s.host(host).force(to)
}

// Reset closes the breaker of a host, forgets what it counted, and leaves it to
// itself.
func (s *Set) Reset(host string) { s.host(host).reset() }

// manyHosts is how many breakers are kept before idle ones are looked for. A
// service has a few hosts; one with a host for each tenant may have many.
const manyHosts = 1024

// idle is how long nothing may have happened to a closed breaker before it may
// be forgotten.
const idle = 10 * time.Minute

func (s *Set) host(name string) *host {
	s.mu.RLock()
	h := s.hosts[name]
	s.mu.RUnlock()
	if h != nil {
		return h
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h = s.hosts[name]; h != nil {
		return h
	}
	now := s.config.Now()
	if len(s.hosts) >= s.full {
		for other, h := range s.hosts {
			if h.forgettable(now) {
				delete(s.hosts, other)
			}
		}
		s.full = max(manyHosts, 2*len(s.hosts))
	}
	h = &host{set: s, name: name, since: now, window: newWindow(s.config.Window)}
	s.hosts[name] = h
	return h
}
