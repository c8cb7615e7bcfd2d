package retain

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/integration"
)

func TestPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		pace    pace
		took    time.Duration
		rows    int
		backlog int
		next    pace
		pause   time.Duration
	}{
		{"quick and full", pace{rows: 100}, time.Millisecond, 100, 0, pace{rows: 150}, 50 * time.Millisecond},
		{"quick and not full", pace{rows: 100}, time.Millisecond, 40, 0, pace{rows: 100}, 20 * time.Millisecond},
		{"as it should be", pace{rows: 100}, 8 * time.Millisecond, 100, 100, pace{rows: 100}, 50 * time.Millisecond},
		{"slow", pace{rows: 100}, 40 * time.Millisecond, 100, 0, pace{rows: 50}, 120 * time.Millisecond},
		{"never nothing", pace{rows: 50}, time.Second, 10, 0, pace{rows: 50}, 3 * time.Second},
		{"never all", pace{rows: 200}, time.Microsecond, 200, 0, pace{rows: 200}, 100 * time.Millisecond},
		{"next to nothing", pace{rows: 100}, time.Microsecond, 1, 0, pace{rows: 100}, 2 * time.Millisecond},
		{"much to do", pace{rows: 100, spent: 25 * time.Minute}, time.Millisecond, 100, 0, pace{rows: 150}, 12500 * time.Microsecond},
		{"very much to do", pace{rows: 200, spent: 1000 * time.Hour}, time.Millisecond, 200, 0, pace{rows: 200}, 3 * time.Millisecond},
		{"behind", pace{rows: 100}, 10 * time.Millisecond, 100, 256, pace{rows: 50, yield: 250 * time.Millisecond}, 250 * time.Millisecond},
		{"behind for long", pace{rows: 50, yield: 1500 * time.Millisecond}, 10 * time.Millisecond, 50, 4096, pace{rows: 50, yield: 2 * time.Second}, 2 * time.Second},
		{"no more behind", pace{rows: 50, yield: 2 * time.Second}, time.Millisecond, 50, 0, pace{rows: 75}, 25 * time.Millisecond},
	} {
		next, pause := c.pace.after(integration.Swept{Payloads: c.rows, Took: c.took}, c.backlog)
		c.next.spent = c.pace.spent + c.took + c.pause
		if next != c.next || pause != c.pause {
			t.Errorf("%s: %+v after %s, want %+v after %s", c.name, next, pause, c.next, c.pause)
		}
	}
}

// Whatever happens, a step is of a size that makes sense and takes a quarter of
// the time at most.
func TestPaceStaysWithinBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := newPace()
		for range rapid.IntRange(1, 50).Draw(rt, "steps") {
			took := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(rt, "took"))
			s := integration.Swept{Events: rapid.IntRange(1, p.rows).Draw(rt, "rows"), Took: took}
			var pause time.Duration
			p, pause = p.after(s, rapid.IntRange(0, 5000).Draw(rt, "backlog"))
			if p.rows < rowsLeast || p.rows > rowsMost || pause < 3*took || pause <= 0 || pause > behindMost+3*took {
				rt.Fatalf("%+v after %s", p, pause)
			}
		}
	})
}
