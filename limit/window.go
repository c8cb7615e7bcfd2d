package limit

import "time"

// resolution is into how many steps a window is divided at most. Turns within
// one step share an entry that lasts as long as the latest of them, so memory is
// bounded and the window is never exceeded; a two-thousandth is what that costs.
const resolution = 2048

// one is the cost of one request. Costs are kept as whole thousandths, so that
// sums stay exact.
const one = 1000

// entry is what was taken at an instant.
type entry struct {
	at    time.Duration
	units int64
}

// window remembers what was taken in the last stretch of a length: a ring of
// entries, the oldest first. In no stretch of that length, wherever it begins,
// is more taken than allowed.
type window struct {
	allowed int64
	length  time.Duration
	used    int64
	opened  time.Duration // when the newest entry was begun
	ring    []entry
	first   int
	n       int
	// debt is what others took, by the provider's count, until an instant.
	debt  int64
	until time.Duration
}

// forget drops what is old enough.
func (w *window) forget(now time.Duration) {
	for w.n > 0 && w.ring[w.first].at+w.length <= now {
		w.used -= w.ring[w.first].units
		w.first++
		if w.first == len(w.ring) {
			w.first = 0
		}
		w.n--
	}
	if w.debt > 0 && w.until <= now {
		w.debt = 0
	}
}

// room is how much may be taken at once. It is negative when too much was.
func (w *window) room(now time.Duration) int64 {
	w.forget(now)
	return w.allowed - w.used - w.debt
}

// book takes units.
func (w *window) book(now time.Duration, units int64) {
	w.used += units
	if w.n > 0 && now-w.opened < w.length/resolution {
		newest := &w.ring[(w.first+w.n-1)%len(w.ring)]
		newest.at, newest.units = now, newest.units+units
		return
	}
	w.opened = now
	if w.n == len(w.ring) {
		grown := make([]entry, max(4, 2*len(w.ring)))
		for i := range w.n {
			grown[i] = w.ring[(w.first+i)%len(w.ring)]
		}
		w.ring, w.first = grown, 0
	}
	i := w.first + w.n
	if i >= len(w.ring) {
		i -= len(w.ring)
	}
	w.ring[i] = entry{at: now, units: units}
	w.n++
}

// free is the instant, from or later, at which there is room for units when
// ahead is taken before as soon as it can be. What is too old must be forgotten.
func (w *window) free(from time.Duration, ahead, units int64) time.Duration {
	return w.freeOf(w.allowed, from, ahead, units)
}

// freeOf is free where allowed is another.
func (w *window) freeOf(allowed int64, from time.Duration, ahead, units int64) time.Duration {
	needed := ahead + units
	rounds := (needed - 1) / allowed
	needed -= rounds * allowed
	later := time.Duration(rounds) * w.length
	at := from + later
	missing := needed - (allowed - w.used - w.debt)
	owed := w.debt
	for i := 0; missing > 0 && i < w.n; i++ {
		e := w.ring[(w.first+i)%len(w.ring)]
		if owed > 0 && w.until <= e.at+w.length {
			missing, at, owed = missing-owed, max(at, w.until+later), 0
			if missing <= 0 {
				break
			}
		}
		missing -= e.units
		at = max(at, e.at+w.length+later)
	}
	if missing > 0 && owed > 0 {
		at = max(at, w.until+later)
	}
	return at
}
