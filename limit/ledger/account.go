// Package ledger is the arithmetic of shared limits: what an account answers to
// a statement. It is pure; limit/redis does the same in a script, and both are
// held to the same tests. Memory shares limits within a process.
package ledger

import (
	"time"

	"github.com/sallyport/sallyport/limit"
)

// MaxYouth bounds how long an account that lost its memory waits for the
// instances to join: those that live have come back by then.
const MaxYouth = 10 * time.Second

// MaxRetry is after how long an instance asks again at the latest, while it has
// callers: others may have given something back.
const MaxRetry = limit.MaxRetry

// Account is one shared window. Make it by its first Settle.
type Account struct {
	epoch    int64
	born     int64
	last     int64 // no later answer is of an earlier instant
	low      int64 // slots before are too old and forgotten
	high     int64 // the latest slot that anything was booked in
	total    int64
	slots    map[int64]int64
	debt     int64
	debtEnd  int64
	expected int
	joined   map[string]bool
	sequence map[string]int64
	hungry   map[string]hunger
}

// hunger is what an instance wanted and was not granted; it is kept for it until
// it has come again, if there is enough.
type hunger struct {
	units int64
	until int64
	// had is what it was granted, fading over a window since at.
	had, at int64
}

// Settle answers a statement at an instant, microseconds on the clock that all
// share.
func (a *Account) Settle(now int64, instance string, s *limit.Statement) limit.Granted {
	slot, length := s.Slot.Microseconds(), s.Length.Microseconds()
	if a.slots == nil {
		*a = Account{
			epoch: now, born: now, slots: map[int64]int64{}, joined: map[string]bool{}, sequence: map[string]int64{}, hungry: map[string]hunger{},
			low: (now - length) / slot, high: (now - length) / slot,
		}
	}
	now = max(now, a.last)
	a.last = now
	a.forget((now - length) / slot)
	if s.Epoch != a.epoch && !s.Join {
		return limit.Granted{Epoch: a.epoch, Now: now, Unknown: true}
	}
	if s.Back && !a.young(now, s) {
		a.born, a.expected = now, 0
		clear(a.joined)
	}
	a.enter(instance, s)
	if s.Left >= 0 {
		a.owe(now, s)
	}
	if a.debtEnd <= now {
		a.debt = 0
	}
	answer := limit.Granted{Epoch: a.epoch, Now: now}
	answer.Grants, answer.Retry = a.grant(now, instance, s)
	answer.Expiry = (now + s.Horizon.Microseconds() + s.Validity.Microseconds()) / slot
	for _, g := range answer.Grants {
		a.add(answer.Expiry, g.Units)
	}
	answer.Total = a.total
	return answer
}

// forget drops the slots before first.
func (a *Account) forget(first int64) {
	for ; a.low < first; a.low++ {
		if a.low > a.high { // nothing is left
			a.low = first
			break
		}
		a.total -= a.slots[a.low]
		delete(a.slots, a.low)
	}
}

// add books units in a slot, or takes them back; not more than there are.
func (a *Account) add(slot, units int64) {
	if slot < a.low {
		return
	}
	units = max(units, -a.slots[slot])
	a.slots[slot] += units
	a.total += units
	a.high = max(a.high, slot)
}

// enter books what an instance says it did, once.
func (a *Account) enter(instance string, s *limit.Statement) {
	if s.Join || s.Back {
		if s.Whole {
			a.joined[instance] = true
		}
		a.expected = max(a.expected, s.Instances)
	}
	if a.sequence[instance] == s.Sequence {
		return
	}
	a.sequence[instance] = s.Sequence
	for _, e := range s.Entries {
		a.add(e.Slot, e.Units)
	}
}

// owe notes what others took by the provider's count.
func (a *Account) owe(now int64, s *limit.Statement) {
	debt, end := max(0, s.Share-a.total-s.Left), now+s.LeftFor.Microseconds()
	if apart := end - a.debtEnd; s.Ends && a.debt > 0 && apart >= -2_000_000 && apart <= 2_000_000 {
		debt = max(debt, a.debt)
	}
	a.debt, a.debtEnd = debt, end
}

// grant is how much an instance gets, and when it may ask again. What is free
// now is given at once; what becomes free within the horizon is given from then
// on, so that nobody has to come back for it. Where there is less than all want,
// those who had least come first.
func (a *Account) grant(now int64, instance string, s *limit.Statement) (grants []limit.Grant, retry time.Duration) {
	if s.Want <= 0 {
		if h, ok := a.hungry[instance]; ok {
			h.units = 0
			a.hungry[instance] = h
		}
		return nil, 0
	}
	slot, length, horizon := s.Slot.Microseconds(), s.Length.Microseconds(), s.Horizon.Microseconds()
	free := s.Share - a.total - a.debt
	reach := free
	last := (now+horizon-length)/slot - 1 // the last slot that ends its window within the horizon
	others := a.wanted(now, length, instance)
	for k := a.low; k <= last && reach < s.Want+others; k++ {
		reach += a.slots[k]
	}
	part := a.part(now, max(reach, 0), others, instance, s)
	given := int64(0)
	give := func(free, after int64) {
		if n := min(free, part) - given; n > 0 && (given > 0 || min(free, part) >= s.Least) {
			grants = append(grants, limit.Grant{After: time.Duration(after) * time.Microsecond, Units: n})
			given += n
		}
	}
	give(free, 0)
	k := a.low
	for ; k <= last && given < part; k++ {
		free += a.slots[k]
		give(free, (k+1)*slot+length-now)
	}
	switch {
	case given >= s.Want:
	case given > 0:
		retry = s.Horizon / 4
	default:
		retry = a.next(now, k, free, s)
	}
	h := hunger{units: s.Want - given, until: now + min(retry, MaxRetry).Microseconds() + horizon, had: a.had(now, instance, length) + given, at: now}
	a.hungry[instance] = h
	return grants, retry
}

// had is what an instance was granted of late, fading in a thousand steps.
func (a *Account) had(now int64, instance string, length int64) int64 {
	h := a.hungry[instance]
	return h.had * (1000 - min((now-h.at)*1000/length, 1000)) / 1000
}

// next is when there is enough to be of use, if nobody else takes it.
func (a *Account) next(now, k, free int64, s *limit.Statement) time.Duration {
	slot, length := s.Slot.Microseconds(), s.Length.Microseconds()
	if free >= s.Least { // it is kept for others; they come within the horizon
		return s.Horizon / 4
	}
	for ; k <= a.high && free < s.Least; k++ {
		free += a.slots[k]
	}
	at := k*slot + length
	if free < s.Least { // the rest is a debt
		at = a.debtEnd
	}
	return max(time.Duration(at-now)*time.Microsecond, s.Horizon/4)
}

// young reports whether there are instances that have not said yet what they
// took.
func (a *Account) young(now int64, s *limit.Statement) bool {
	return len(a.joined) < a.expected && now-a.born < min(s.Length+s.Horizon+s.Validity, MaxYouth).Microseconds()
}

// part is the most an instance may have of what there is.
func (a *Account) part(now, reach, others int64, instance string, s *limit.Statement) int64 {
	part := s.Want
	if reach < s.Want+others {
		part = a.level(now, reach, instance, s)
	}
	if a.young(now, s) {
		part = min(part, s.Ceiling)
	}
	return part - part%max(1, s.Least)
}

// wanted is how much the other instances want and were not granted.
func (a *Account) wanted(now, length int64, instance string) (units int64) {
	for id, h := range a.hungry {
		switch {
		case id == instance:
		case h.until >= now:
			units += h.units
		case now-h.at >= length:
			delete(a.hungry, id) // it has given up
		}
	}
	return units
}

// level is what an instance gets of reach when all that want share it: all are
// filled up to the same level of what they had and get, or to what they want,
// whichever is less; at least what is of use.
func (a *Account) level(now, reach int64, instance string, s *limit.Statement) int64 {
	length := s.Length.Microseconds()
	mine := a.had(now, instance, length)
	type want struct{ had, units int64 }
	wants := []want{{mine, s.Want}}
	high := mine + s.Want
	for id, h := range a.hungry {
		if id != instance && h.until >= now && h.units > 0 {
			had := a.had(now, id, length)
			wants = append(wants, want{had, h.units})
			high = max(high, had+h.units)
		}
	}
	low := int64(0) // the highest level that reach is enough for is from low to high
	for low < high {
		level := (low + high + 1) / 2
		var sum int64
		for _, w := range wants {
			sum += min(max(level-w.had, 0), w.units)
		}
		if sum <= reach {
			low = level
		} else {
			high = level - 1
		}
	}
	return min(s.Want, max(low-mine, s.Least))
}
