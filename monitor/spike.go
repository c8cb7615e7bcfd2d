package monitor

import "time"

// What is a spike: so many bad ones within a period, a good part of all, and far
// more of all than is usual.
const (
	spikePeriod = 5 * time.Minute
	spikeLeast  = 10
	spikeShare  = 0.2
	spikeTimes  = 3
	spikeMemory = 12        // periods that the usual share is made of
	spikeAgain  = time.Hour // after an alarm the next is not raised before
)

// Spike says when to raise the alarm about bad ones among all: failures among
// deliveries, say. It goes by their share of all in a period of five minutes,
// beside the share that is usual, so neither much traffic nor what always fails
// is a spike. It rolls no dice and reads no clock. The zero value takes it that
// there usually are none.
type Spike struct {
	// Learn takes the first period with any for the usual, instead of none: for
	// what a start is no news of.
	Learn bool

	begun    time.Time // of the period
	bad, all int64     // until then
	usual    float64
	known    bool
	quiet    time.Time // no alarm before
}

// Decide takes how many there were since the start, at a moment: to be called some
// times within a period. alarm says that a spike is there, once an hour at most;
// since is when the period began, and n how many were bad in it.
func (s *Spike) Decide(bad, all int64, now time.Time) (alarm bool, since time.Time, n int64) {
	if s.begun.IsZero() {
		s.begun, s.bad, s.all = now, bad, all
		return false, now, 0
	}
	since, n = s.begun, bad-s.bad
	share := 0.0
	if of := all - s.all; of > 0 {
		share = float64(n) / float64(of)
	}
	judged := s.known || !s.Learn
	if judged && n >= spikeLeast && share >= spikeShare && share >= spikeTimes*s.usual && !now.Before(s.quiet) {
		s.quiet, alarm = now.Add(spikeAgain), true
	}
	if now.Sub(s.begun) >= spikePeriod {
		s.end(share, all-s.all)
		s.begun, s.bad, s.all = now, bad, all
	}
	return alarm, since, n
}

// end learns from a period; one with nothing in it says nothing.
func (s *Spike) end(share float64, of int64) {
	switch {
	case of == 0:
	case s.Learn && !s.known:
		s.usual, s.known = share, true
	default:
		s.usual += (share - s.usual) / spikeMemory
		s.known = true
	}
}
