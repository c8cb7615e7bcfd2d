package deliver

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/plan"
)

// How a destination that fails is left alone: after some failures with no
// success between them nothing is sent for a while, then one event tries. The
// while doubles, up to a minute, with up to a quarter more by the dice; what the
// destination asks for may make it longer, up to an hour.
const (
	failuresMost = 5
	pauseFirst   = 5 * time.Second
	pauseMost    = time.Minute
	askedMost    = time.Hour
)

// Events over a cap are put off, each a little later than the one before, so that
// they come back at the pace the destination takes them; never beyond lineMost.
const (
	lineMost  = 5 * time.Minute
	lineStep  = time.Millisecond
	waitStep  = 250 * time.Microsecond // of those that wait for a destination to be well again
	lineLeast = 20 * time.Millisecond
)

// Where a destination takes no longer than quickMost a delivery, one over the cap
// waits that long at most for another to end: putting it off would cost two
// commits, and the worker more than it saves.
const quickMost = 50 * time.Millisecond

// logMost bounds how many deliveries a rate remembers; a larger one is held to
// the same pace over a shorter time.
const logMost = 10000

// gate holds the deliveries to one destination within its caps, in this process,
// and backs off from one that fails. It rolls no dice, and reads no clock but to
// wait.
type gate struct {
	mu          sync.Mutex
	concurrency int
	rate        int           // deliveries within window; 0: no bound
	window      time.Duration // of rate
	begun       []time.Time   // the last deliveries, as a ring of rate
	next        int           // where the oldest stands once the ring is full

	inFlight int
	ended    chan struct{} // a delivery ended; sent to whoever waits for one
	took     time.Duration // smoothed, of one delivery
	lineup   time.Time     // when the last that was put off may come
	putOff   int64         // since the start

	failures int       // with no success between them
	level    int       // how many pauses in a row; 0: none
	until    time.Time // of the pause
	probing  bool      // one delivery tries whether it is over

	lastSuccess, lastFailure time.Time
	lastError                string
	gone                     time.Time // when it said that it wants nothing any more; zero once it took something
}

func newGate(to plan.Destination) *gate {
	g := &gate{concurrency: to.Concurrency}
	if g.concurrency == 0 {
		g.concurrency = plan.DefaultConcurrency
	}
	g.ended = make(chan struct{}, g.concurrency)
	number, unit, _ := strings.Cut(to.Rate, "/")
	if n, err := strconv.Atoi(number); err == nil && n > 0 {
		g.rate, g.window = n, map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
		if n > logMost {
			g.rate, g.window = logMost, g.window*logMost/time.Duration(n)
		}
	}
	return g
}

// pass is the right to deliver once; done must be called on it.
type pass struct {
	gate  *gate
	probe bool
	began time.Time
}

// wait lets a delivery to a quick destination that is at its cap wait until
// another ends. Admit decides afterwards, as ever.
func (g *gate) wait(ctx context.Context) {
	if !g.soon() {
		return
	}
	patience := time.NewTimer(quickMost)
	defer patience.Stop()
	for g.soon() {
		select {
		case <-g.ended:
		case <-patience.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// soon reports whether the destination is at its cap, and will not be for long.
func (g *gate) soon() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.level == 0 && g.inFlight >= g.concurrency && g.took > 0 && g.took <= quickMost
}

// admit lets a delivery begin, or says when to ask again.
func (g *gate) admit(now time.Time) (p pass, again time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.level > 0 {
		if g.probing || now.Before(g.until) {
			// Not at the pace of what has just failed: when the destination is
			// well again, those that wait are to come at once.
			return pass{}, g.queue(now, later(g.until, now.Add(pauseFirst/5)), waitStep)
		}
		g.probing = true
		return g.begin(now, true), time.Time{}
	}
	if g.inFlight >= g.concurrency {
		return pass{}, g.queue(now, now.Add(g.pace()), g.pace())
	}
	if g.rate > 0 && len(g.begun) == g.rate {
		if free := g.begun[g.next].Add(g.window); free.After(now) {
			return pass{}, g.queue(now, free, g.window/time.Duration(g.rate))
		}
	}
	return g.begin(now, false), time.Time{}
}

func (g *gate) begin(now time.Time, probe bool) pass {
	g.inFlight++
	switch {
	case g.rate == 0:
	case len(g.begun) < g.rate:
		g.begun = append(g.begun, now)
	default:
		g.begun[g.next] = now
		g.next = (g.next + 1) % g.rate
	}
	return pass{gate: g, probe: probe, began: now}
}

// pace is how long after one another deliveries end while as many as may be are
// under way.
func (g *gate) pace() time.Duration {
	took := g.took
	if took == 0 {
		took = 100 * time.Millisecond
	}
	return max(took/time.Duration(g.concurrency), lineStep)
}

// queue is the time of the next that is put off: not before a time, and behind
// the one before.
func (g *gate) queue(now, earliest time.Time, step time.Duration) time.Time {
	g.putOff++
	g.lineup = later(g.lineup.Add(step), earliest, now.Add(lineLeast))
	if most := later(now.Add(lineMost), earliest); g.lineup.After(most) {
		g.lineup = most
	}
	return g.lineup
}

func later(times ...time.Time) time.Time {
	last := times[0]
	for _, t := range times[1:] {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// done tells what the delivery came to. One that was not made, or that says
// nothing about the destination, is told with counts false.
func (p pass) done(r result, counts bool, now time.Time, dice float64) {
	g := p.gate
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	select {
	case g.ended <- struct{}{}:
	default: // nobody waits
	}
	if p.probe {
		g.probing = false
	}
	if !counts {
		return
	}
	if took := now.Sub(p.began); g.took == 0 {
		g.took = took
	} else {
		g.took += (took - g.took) / 8
	}
	if r.err != nil {
		g.lastFailure, g.lastError = now, r.err.Error()
	} else {
		g.lastSuccess, g.gone = now, time.Time{}
	}
	if r.status == http.StatusGone {
		g.gone = now
	}
	if r.err == nil || aboutOne(r) {
		g.failures = 0
		if p.probe {
			g.took, g.lineup = now.Sub(p.began), time.Time{} // what was slow is over
		}
		if p.probe || g.level == 0 {
			g.level, g.until = 0, time.Time{}
		}
		return
	}
	g.failures++
	asked := min(r.retryAfter, askedMost)
	switch {
	case g.level > 0 && !p.probe: // begun before the pause
		g.until = later(g.until, now.Add(asked))
	case p.probe || g.failures >= failuresMost || asked > 0:
		g.level++
		g.until = now.Add(max(pause(g.level, dice), asked))
	}
}

// aboutOne reports whether a destination's answer is about the one event and not
// about how the destination is.
func aboutOne(r result) bool {
	switch r.status {
	case http.StatusGone, http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// pause is how long the destination is left alone the level-th time.
func pause(level int, dice float64) time.Duration {
	wait := min(pauseFirst<<min(level-1, 10), pauseMost)
	return wait + time.Duration(dice*float64(wait)/4)
}

// errPanicked is told to the gate of a delivery that did not come back.
var errPanicked = errors.New("it panicked")

// DestinationStatus is how deliveries to one destination go, as this process has
// seen it since it started.
type DestinationStatus struct {
	Service  string
	Name     string
	Paused   bool // by a person
	InFlight int
	PutOff   int64 // how often an event was put off because it was not its turn
	// BackingOffUntil is when one event tries again; zero when it does not back
	// off.
	BackingOffUntil time.Time
	Failures        int // with no success between them
	LastSuccess     time.Time
	LastFailure     time.Time
	LastError       string // of LastFailure; free of secrets
	// Gone is when it last answered 410, that it wants no more events; zero when
	// it did not, or has taken one since.
	Gone time.Time
}

func (g *gate) status() DestinationStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	return DestinationStatus{
		InFlight: g.inFlight, PutOff: g.putOff, BackingOffUntil: g.until, Failures: g.failures,
		LastSuccess: g.lastSuccess, LastFailure: g.lastFailure, LastError: g.lastError, Gone: g.gone,
	}
}
