package retain

import (
	"time"

	"github.com/sallyport/sallyport/integration"
)

// A step is to take so long: what is received meanwhile waits that much longer
// for its commit, which nobody notices.
const (
	stepShort = 5 * time.Millisecond
	stepLong  = 15 * time.Millisecond
)

// Sizes of a step. Bytes matters for large payloads: freeing a page costs as much
// as writing it.
const (
	rowsFirst = 100
	rowsLeast = 10
	rowsMost  = 1000
	bytesMost = 4 << 20
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
}

func newPace() pace { return pace{rows: rowsFirst} }

func (p pace) step() integration.Step { return integration.Step{Rows: p.rows, Bytes: bytesMost} }

// after says how to go on after a step, and after which pause.
func (p pace) after(s integration.Swept, backlog int) (next pace, pause time.Duration) {
	switch {
	case s.Took > stepLong:
		p.rows = max(rowsLeast, p.rows/2)
	case s.Took < stepShort && s.Rows() >= p.rows:
		p.rows = min(rowsMost, p.rows+p.rows/2)
	}
	if backlog < behind {
		p.yield = 0
		return p, max(pauseLeast, pauseShare*s.Took)
	}
	p.rows = max(rowsLeast, p.rows/2)
	p.yield = min(behindMost, max(behindFirst, 2*p.yield))
	return p, max(p.yield, pauseShare*s.Took)
}
