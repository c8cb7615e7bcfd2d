package breaker_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/breaker"
)

// weather is a provider that is down from one moment to another.
type weather struct {
	from, to time.Duration
	took     time.Duration // how long a failure takes
}

func (w weather) down(at time.Duration) bool { return at >= w.from && at < w.to }

// ride is what a run of calls came to.
type ride struct {
	opened   time.Duration // after the provider went down
	during   int           // calls that reached it while it was down and the breaker not closed
	before   int           // calls that failed until the breaker opened
	closed   time.Duration // after it came back
	refusals int           // while it was well
	reopened int           // times that it opened, but for the first
}

// drive makes 1,000 calls a second for so long.
func drive(c breaker.Config, w weather, length time.Duration) ride {
	var r ride
	s := watch(c)
	start := time.Now()
	for at := time.Duration(0); at < length; at = time.Since(start) {
		state, down := s.State(api).State, w.down(at)
		pass, err := s.Allow(api)
		switch {
		case err != nil && at >= w.to:
			r.refusals++
		case err != nil:
		default:
			o, took := breaker.Success, 20*time.Millisecond
			if down {
				o, took = breaker.Failure, w.took
				if state == breaker.Closed {
					r.before++
				} else {
					r.during++
				}
			}
			time.AfterFunc(took, func() { pass.Done(o, took) })
		}
		time.Sleep(time.Millisecond) // virtual time
	}
	for _, change := range s.changes {
		at := change.At.Sub(start)
		switch {
		case change.State == breaker.Opened && r.opened == 0:
			r.opened = at - w.from
		case change.State == breaker.Opened:
			r.reopened++
		case change.State == breaker.Closed && at >= w.to && r.closed == 0:
			r.closed = at - w.to
		}
	}
	return r
}

// R4.10: 1,000 calls a second against a provider that fails for a minute, and
// then is well again.
func TestAMinuteOfFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dice := rand.New(rand.NewPCG(1, 2))
		r := drive(breaker.Config{Dice: dice.Float64}, weather{30 * time.Second, 90 * time.Second, 20 * time.Millisecond}, 3*time.Minute)
		t.Logf("open %s after it went down, %d calls had failed; %d of 60,000 reached it while it was held back, in %d further openings; closed %s after it came back, %d calls refused until then",
			r.opened, r.before, r.during, r.reopened, r.closed, r.refusals)
		if r.opened > 3100*time.Millisecond { // a tenth of the window, and the last call's time
			t.Errorf("opened after %s", r.opened)
		}
		if r.during > 3*4 { // pauses of 10, 20 and 40 s, three probes each
			t.Errorf("%d calls reached it while it was down", r.during)
		}
		if r.closed <= 0 || r.closed > 40*time.Second+100*time.Millisecond {
			t.Errorf("closed after %s", r.closed)
		}
	})
}

// R4.10: a blip of a second costs its own calls and no more: the breaker stays
// closed.
func TestASecondOfFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := drive(breaker.Config{}, weather{30 * time.Second, 31 * time.Second, 20 * time.Millisecond}, time.Minute)
		if r.opened != 0 || r.refusals != 0 || r.before != 1000 {
			t.Errorf("%+v", r)
		}
	})
}

// The same without a past of success: most services make few calls, and then it
// opens with the twentieth.
func TestAMinuteOfFailureAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := drive(breaker.Config{}, weather{0, time.Minute, 20 * time.Millisecond}, 3*time.Minute)
		t.Logf("open after %s, %d calls had failed; %d of 60,000 reached it while it was held back; closed %s after it came back", r.opened, r.before, r.during, r.closed)
		if r.opened > 50*time.Millisecond || r.before > 45 {
			t.Errorf("opened after %s, %d calls", r.opened, r.before)
		}
		if r.during > 12 || r.closed > 40*time.Second {
			t.Errorf("%d calls reached it while it was down; closed after %s", r.during, r.closed)
		}
	})
}
