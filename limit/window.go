package limit

import (
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
)

// maxSlots bounds the memory of a window. Above it a slot stands for several
// turns and is held until the last of them is old enough.
const maxSlots = 1 << 16

// window is one limit: the instants of the last turns, as many as are allowed,
// in a ring. The oldest one's age says whether there is room.
type window struct {
	name   string
	paths  []string // prefixes; empty is every path
	length time.Duration
	slots  []time.Duration // grows up to size
	size   int
	oldest int // the slot that is used next
	each   int // turns of a slot
	used   int // turns in the newest slot; each when it is full
}

// newWindow is percent of a limit. Less than one turn a window is one turn in
// a window longer by as much.
func newWindow(l catalog.Limit, percent int) *window {
	w := &window{name: l.Name, paths: l.Paths, length: time.Duration(l.Window) * time.Second, each: 1, used: 1}
	allowed := int(int64(l.Limit) * int64(percent) / 100)
	if allowed < 1 {
		allowed = 1
		w.length = w.length * 100 / time.Duration(l.Limit*percent)
	}
	if allowed > maxSlots {
		w.each = (allowed + maxSlots - 1) / maxSlots
		w.used = w.each
	}
	w.size = allowed / w.each
	return w
}

func (w *window) about(path string) bool {
	return len(w.paths) == 0 || slices.ContainsFunc(w.paths, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// free is the instant, from or later, at which there is room for one turn after
// as many others. It is exact as long as the others take theirs as soon as they
// can.
func (w *window) free(from time.Duration, others int) time.Duration {
	others -= w.each - w.used // room in the newest slot
	if others < 0 {
		return from
	}
	others /= w.each
	rounds := time.Duration(others / w.size)
	at := from + rounds*w.length
	slot := others%w.size - (w.size - len(w.slots)) // behind those never used
	if slot >= 0 {
		at = max(at, w.slots[(w.oldest+slot)%w.size]+(rounds+1)*w.length)
	}
	return at
}

// book takes a turn.
func (w *window) book(now time.Duration) {
	if w.used < w.each {
		w.used++
		w.slots[(w.oldest+len(w.slots)-1)%len(w.slots)] = now // held until the last is old enough
		return
	}
	w.used = 1
	if len(w.slots) < w.size {
		w.slots = append(w.slots, now)
		return
	}
	w.slots[w.oldest] = now
	w.oldest = (w.oldest + 1) % w.size
}
