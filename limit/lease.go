package limit

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// roundTrip is how long the ledger is expected to take, where a caller asks how
// long it would wait.
const roundTrip = time.Millisecond

// brief is how long a window may be for an instance that had nothing of it to
// wait until the others have shrunk, when the ledger is lost. In longer ones it
// may take an even part of what nobody had when it last heard; in the moments
// since, others may have taken that too.
const brief = 5 * time.Second

// remembers is how long a ledger knows at least what an instance said last.
const remembers = 24 * time.Hour

// lease is what a Limiter holds of a shared account.
type lease struct {
	shared  *sharing
	bucket  *bucket
	account string

	slot, horizon, validity time.Duration

	epoch    int64
	sequence int64
	joined   bool
	// answered is when the question was sent whose answer came from the instant
	// clock, microseconds on the ledger's clock; 0: there was none yet.
	answered time.Duration
	clock    int64

	holdings []holding
	held     int64         // units in holdings
	entries  []Entry       // not said yet
	flying   []Entry       // said, and not known to be heard
	flown    time.Duration // when they were first said
	since    time.Duration // of the oldest of entries
	retry    time.Duration // the ledger is not asked for more before
	more     time.Duration // there is nothing more before
	total    int64         // booked by all, by the last answer

	asked  int64 // units, since rated
	rated  time.Duration
	rate   float64 // units per second that are asked for
	low    int64   // as much is too little to go on with
	missed int64   // units a caller was refused
	listed bool    // in sharing.active

	left      int64 // of our share by the provider's count, until leftUntil
	leftUntil time.Duration
	leftEnds  bool // leftUntil is told by the provider
	leftNew   bool // the ledger is not told yet

	// While the ledger can't be reached, or has lost its memory, nobody may grow
	// before all others have shrunk to a fair part: until frozen, no more than
	// base may be taken in a window.
	fell   uint64 // the outage that base is about
	failed uint64 // sharing.failed, when last heard
	took   bool   // units, without the ledger, which it has not been told
	base   int64
	frozen time.Duration
}

// holding is some granted units.
type holding struct {
	from, until time.Duration
	units, used int64
	slot        int64 // where they are booked
}

func newLease(s *sharing, b *bucket) *lease {
	length := b.window.length
	names := []string{b.rule.name, strconv.FormatInt(length.Milliseconds(), 10), b.key.tenant, b.key.account, b.key.endpoint}
	for i, name := range names {
		names[i] = strconv.Itoa(len(name)) + "." + name // so that no two have the same account
	}
	return &lease{
		shared: s, bucket: b, account: strings.Join(names, "/"),
		slot: max(length/1000, 100*time.Microsecond), horizon: min(max(length/10, 10*time.Millisecond), time.Second),
		validity: min(max(length/4, 25*time.Millisecond), 5*time.Second),
	}
}

// fits reports whether units may be taken now.
func (le *lease) fits(now time.Duration, units int64) bool {
	if le.leftUntil > now && le.left == 0 {
		return false // the provider says so
	}
	if le.shared.down {
		return le.alone(now) >= units
	}
	var free int64
	for i := range le.holdings {
		h := &le.holdings[i]
		if h.from > now {
			break
		}
		if h.until > now {
			free += h.units
		}
		if free >= units {
			return true
		}
	}
	return false
}

// alone is how much may be taken without the ledger.
func (le *lease) alone(now time.Duration) int64 {
	le.bucket.window.forget(now)
	return le.ceiling(now) - le.bucket.window.used
}

// ceiling is how much may be taken in a window without the ledger: an even part
// for each instance, and while others may still be above theirs, not more than
// was.
func (le *lease) ceiling(now time.Duration) int64 {
	if le.fell != le.shared.fell {
		le.fall(now)
	}
	fair := le.fair()
	if now < le.frozen {
		return min(fair, le.base)
	}
	return fair
}

// fair is an even part of the share: at least one, which then several may take.
func (le *lease) fair() int64 {
	return max(one, le.bucket.window.allowed/int64(le.shared.instances))
}

// fall gives up what is held, at the beginning of an outage.
func (le *lease) fall(now time.Duration) {
	w := &le.bucket.window
	w.forget(now)
	le.drop(now)
	le.base = le.lasting(now)
	for _, h := range le.holdings {
		if h.from <= now { // the others are for when something else is given up
			le.base += h.units
		}
	}
	if w.length > brief && le.clock > 0 && now-le.answered <= w.length/10 { // what nobody had is for all
		le.base += max(0, w.allowed-le.total) / int64(le.shared.instances)
	}
	if le.shared.back == 0 {
		le.base = le.fair() // there was no time with the ledger
	}
	le.fell, le.frozen = le.shared.fell, le.shared.fellAt+w.length+le.horizon+le.validity
	le.giveBack()
}

// lasting is what was taken and stays in the window for longer than the ledger
// grants ahead: the rest it may have promised to others already.
func (le *lease) lasting(now time.Duration) (units int64) {
	w := &le.bucket.window
	for i := range w.n {
		if e := w.ring[(w.first+i)%len(w.ring)]; e.at+w.length > now+le.horizon {
			units += e.units
		}
	}
	return units
}

// when is the instant, from or later, at which units may be taken after ahead
// was: as far as it is known.
func (le *lease) when(now, from time.Duration, ahead, units int64) time.Duration {
	w := &le.bucket.window
	if le.leftUntil > now && le.left == 0 {
		from = max(from, le.leftUntil)
	}
	if le.shared.down {
		le.bucket.window.forget(now)
		at := w.freeOf(max(le.ceiling(now), one), from, ahead, units)
		if at <= now && le.alone(now) < units { // it holds too little to begin with
			at = max(from, le.frozen)
		}
		return at
	}
	missing := ahead + units
	for i := range le.holdings {
		h := &le.holdings[i]
		if h.until <= from {
			continue
		}
		if missing -= h.units; missing <= 0 {
			return max(from, h.from)
		}
	}
	return max(from, le.more, now+roundTrip) + w.length*time.Duration((missing-1)/w.allowed)
}

// take uses units.
func (le *lease) take(now time.Duration, units int64) {
	le.say(now, le.slotOf(now), units)
	le.took = le.took || le.shared.down
	for i := 0; i < len(le.holdings) && units > 0 && !le.shared.down; {
		h := &le.holdings[i]
		if h.from > now {
			break
		}
		if h.until <= now {
			i++
			continue
		}
		n := min(units, h.units)
		h.units -= n
		h.used += n
		le.held -= n
		units -= n
		if h.units > 0 {
			break
		}
		le.say(now, h.slot, -h.used)
		le.holdings = append(le.holdings[:i], le.holdings[i+1:]...)
	}
}

// slotOf is the slot of an instant: on the ledger's clock it is not later.
func (le *lease) slotOf(at time.Duration) int64 {
	return (le.clock + (at - le.answered).Microseconds()) / le.slot.Microseconds()
}

// say notes an entry for the next settlement.
func (le *lease) say(now time.Duration, slot, units int64) {
	if le.clock == 0 {
		return // the window is told when the ledger can be reached
	}
	if len(le.entries) == 0 {
		le.since = now
	}
	for i := len(le.entries) - 1; i >= max(0, len(le.entries)-2); i-- {
		if e := &le.entries[i]; e.Slot == slot && (e.Units < 0) == (units < 0) {
			e.Units += units
			return
		}
	}
	le.entries = append(le.entries, Entry{Slot: slot, Units: units})
}

// drop gives back what can't be used any more.
func (le *lease) drop(now time.Duration) {
	kept := le.holdings[:0]
	for _, h := range le.holdings {
		if h.until > now {
			kept = append(kept, h)
			continue
		}
		le.held -= h.units
		le.say(now, h.slot, -h.units-h.used)
	}
	le.holdings = kept
}

// giveBack gives back all that is held.
func (le *lease) giveBack() {
	for _, h := range le.holdings {
		le.say(le.answered, h.slot, -h.units-h.used)
	}
	le.holdings, le.held = le.holdings[:0], 0
}

// estimate takes what was asked for since the last time into the rate: a rise
// at once, a fall by halves.
func (le *lease) estimate(now time.Duration) {
	passed := now - le.rated
	if passed < le.horizon/4 {
		return
	}
	recent := float64(le.asked) / passed.Seconds()
	le.rate = max(recent, (le.rate+recent)/2)
	le.asked, le.rated = 0, now
	if le.rate*le.validity.Seconds() < one {
		le.rate = 0 // too seldom to hold anything for
	}
	le.low = int64(le.rate * le.horizon.Seconds() / 2)
	if le.rate == 0 {
		le.low = -1
	}
}

// want is how much to ask the ledger for.
func (le *lease) want() int64 {
	want := int64(le.rate*le.horizon.Seconds()) + max(le.bucket.wanted, le.missed) - le.held
	want = min(want, le.bucket.window.allowed)
	if least := le.least(); want > 0 && want%least != 0 {
		want += least - want%least
	}
	return max(want, 0)
}

// least is what one call needs at least.
func (le *lease) least() int64 {
	if le.bucket.rule.counted {
		return one
	}
	return max(1, min(one, max(le.missed, le.bucket.wanted)))
}

// due reports whether the ledger should be asked now.
func (le *lease) due(now time.Duration) bool {
	switch {
	case le.leftNew && le.left < le.bucket.window.allowed-le.total:
		return true
	case le.took && !le.shared.down:
		return true
	case now < le.retry:
	case le.held <= le.low, le.bucket.wanted > le.held, le.missed > le.held:
		return true
	}
	return len(le.entries) > 0 && now-le.since > le.validity || len(le.entries) > 512
}

// urgent reports whether it waits for the ledger.
func (le *lease) urgent(now time.Duration) bool { return !le.joined && le.epoch == 0 || le.due(now) }

// idle reports whether there is nothing to hold and nothing to say.
func (le *lease) idle() bool {
	return le.rate == 0 && le.held == 0 && le.asked == 0 && le.bucket.wanted == 0 && len(le.entries) == 0 && len(le.flying) == 0 && len(le.holdings) == 0
}

// statement is what to say and to ask now.
func (le *lease) statement(now time.Duration, s *Statement) {
	w := &le.bucket.window
	w.forget(now)
	le.drop(now)
	for i := range le.holdings {
		if h := &le.holdings[i]; h.used > 0 {
			le.say(now, h.slot, -h.used)
			h.used = 0
		}
	}
	*s = Statement{
		Account: le.account, Share: w.allowed, Length: w.length, Slot: le.slot, Horizon: le.horizon, Validity: le.validity,
		Epoch: le.epoch, Instances: le.shared.instances, Want: le.want(), Least: le.least(), Left: -1,
		Back: le.took || le.failed != le.shared.failed && (le.shared.down || now-le.shared.back < backFor),
	}
	if le.leftNew && le.leftUntil > now {
		s.Left, s.LeftFor, s.Ends = le.left, le.leftUntil-now, le.leftEnds
	}
	if now < le.frozen {
		s.Ceiling = max(0, min(le.fair(), le.base)-w.used-le.held)
	} else {
		s.Ceiling = max(0, le.fair()-w.used-le.held)
	}
	if now-le.flown > remembers { // it may have been heard and forgotten that it was
		le.flying = slices.DeleteFunc(le.flying, func(e Entry) bool { return e.Units < 0 })
	}
	switch {
	case !le.joined && (le.clock > 0 || w.n == 0):
		s.Join = true
		le.sequence = le.shared.next()
		le.entries, le.flying, le.flown = nil, le.history(), now
	case le.flying == nil && len(le.entries) > 0:
		le.sequence = le.shared.next()
		le.flying, le.entries, le.flown = le.entries, nil, now
	}
	s.Sequence, s.Entries = le.sequence, le.flying
	s.Whole = !le.shared.down && len(le.entries) == 0
	le.missed = 0
	if le.shared.down {
		s.Want = 0 // first it has to be heard what was taken
	}
}

// history is all that was taken in the last window.
func (le *lease) history() (entries []Entry) {
	w := &le.bucket.window
	for i := range w.n {
		e := w.ring[(w.first+i)%len(w.ring)]
		entries = append(entries, Entry{Slot: le.slotOf(e.at), Units: e.units})
	}
	return entries
}

// granted takes in an answer to a statement that was sent at an instant.
func (le *lease) granted(sent, now time.Duration, s *Statement, g *Granted) {
	if g.Unknown {
		w := &le.bucket.window
		w.forget(now)
		if le.epoch != 0 { // the ledger lost its memory, and what was granted with it
			le.base, le.frozen = le.lasting(now), now+w.length+le.horizon+le.validity
		}
		le.holdings, le.held, le.entries, le.flying = le.holdings[:0], 0, nil, nil
		le.joined, le.epoch, le.retry, le.more = false, 0, 0, 0
		le.answered, le.clock = sent, g.Now
		return
	}
	le.answered, le.clock = sent, g.Now
	le.epoch, le.total, le.flying = g.Epoch, g.Total, nil
	if s.Whole {
		le.failed, le.took = le.shared.failed, false
	}
	if s.Left == le.left {
		le.leftNew = false
	}
	if s.Join {
		le.joined = true
	}
	le.retry, le.more = now+min(g.Retry, MaxRetry), now+g.Retry
	until := sent + le.horizon + le.validity
	for _, grant := range g.Grants {
		le.holdings = append(le.holdings, holding{from: now + grant.After, until: until, units: grant.Units, slot: g.Expiry})
		le.held += grant.Units
	}
}
