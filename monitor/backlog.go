package monitor

import "time"

// Backlog says when it is time to raise the alarm about events, or calls, that
// wait: once when they begin to wait too long, and once when that is over. The
// zero value is ready.
type Backlog struct {
	alarmed bool
}

// Decide takes since when the one that waits longest is due (zero: none waits).
// alarm says that it has waited longer than most; over that it was so and is no
// more, which takes a wait of less than half of that.
func (b *Backlog) Decide(oldest, now time.Time, most time.Duration) (alarm, over bool) {
	waited := time.Duration(0)
	if !oldest.IsZero() {
		waited = now.Sub(oldest)
	}
	switch {
	case !b.alarmed && waited > most:
		b.alarmed = true
		return true, false
	case b.alarmed && waited < most/2:
		b.alarmed = false
		return false, true
	}
	return false, false
}
