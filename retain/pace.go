package retain

import (
	"time"

	"github.com/sallyport/sallyport/integration"
)

// A step with its commit is to take so long: what is received meanwhile waits
// that much longer for its own, which nobody notices.
const (
	stepShort = 4 * time.Millisecond
	stepLong  = 10 * time.Millisecond
)

// Sizes of a step. Bytes matters for large payloads: freeing a page costs as much
// as writing it. Fewer rows than the least make no commit cheaper, and on a slow
// disk deletion would not keep up with what comes.
const (
	rowsFirst = 100
	rowsLeast = 50
	rowsMost  = 200
	bytesMost = 4 << 20
)

// Rows a second at most: what is deleted fills the log of the database, and each
// time that is written back, who commits at that moment waits for it. A pass that
// goes on has more to do than that is good for: each tenMinutes double it.
const (
	rateFirst  = 2000
	tenMinutes = 10 * time.Minute
	doubleMost = 10
)

// Pauses between steps. Deletion takes a quarter of the writer's time at most;
// while so many events wait for their commit that the door is behind, it all but
// stands still, and yet never stops: a disk that only fills ends worse.
const (
	pauseLeast  = 2 * time.Millisecond
	pauseShare  = 3 // times what the step took
	behind      = 256
	behindFirst = 250 * time.Millisecond
	behindMost  = 2 * time.Second
)

// pace is how large the next step is. It decides by what the last one took and by
// what waits; it reads no clock.
type pace struct {
	rows  int
	yield time.Duration // the last pause for the sake of others; 0: there was none
	spent time.Duration // steps and pauses so far
}

func newPace() pace { return pace{rows: rowsFirst} }

func (p pace) step() integration.Step { return integration.Step{Rows: p.rows, Bytes: bytesMost} }

// after says how to go on after a step, and after which pause.
func (p pace) after(s integration.Swept, backlog int) (next pace, pause time.Duration) {
	yielded := p.yield
	switch {
	case s.Took > stepLong:
		p.rows = max(rowsLeast, p.rows/2)
	case s.Took < stepShort && s.Rows() >= p.rows:
		p.rows = min(rowsMost, p.rows+p.rows/2)
	}
	rate := time.Duration(rateFirst) << min(p.spent/tenMinutes, doubleMost)
	pause = max(pauseLeast, pauseShare*s.Took, time.Duration(s.Rows())*time.Second/rate)
	if p.yield = 0; backlog >= behind {
		p.rows = max(rowsLeast, p.rows/2)
		p.yield = min(behindMost, max(behindFirst, 2*yielded))
		pause = max(pause, p.yield)
	}
	p.spent += s.Took + pause
	return p, pause
}
