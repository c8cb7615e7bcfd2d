package limit

import (
	"container/list"
	"slices"
	"time"
)

// waiter is a caller in the queue.
type waiter struct {
	parts   []part
	until   time.Duration // when its patience ends
	ready   chan struct{} // closed when its turn is booked, or refused
	refused *Refused
	ended   time.Duration // when its turn was booked or refused
	held    *slots
	lane    *lane
	place   *list.Element // in its lane
	arrival *list.Element // in the order of arrival
}

// queue holds the callers that wait: of the highest priority first, of these
// one tenant after the other, of a tenant one lane after the other. So one with
// ten thousand callers does not hold up another with one.
type queue struct {
	n       int
	classes []*class  // the highest priority first
	arrived list.List // of *waiter; as all have the same patience, the first one's ends first
}

// class are the tenants that wait with one priority.
type class struct {
	priority int
	tenants  []*tenant
	next     int // whose turn it is
}

type tenant struct {
	name  string
	lanes []*lane
	next  int
}

// lane is a line of callers of one tenant that need the same buckets: there
// first come is first served.
type lane struct {
	parts  []part // of the first that came, for the buckets
	queue  list.List
	units  int64 // that all of them need, of the bucket that needs most
	tenant *tenant
	class  *class
}

// push puts a caller at the end of its lane.
func (q *queue) push(w *waiter, priority int, name string) {
	i, found := slices.BinarySearchFunc(q.classes, priority, func(c *class, p int) int { return p - c.priority })
	if !found {
		q.classes = slices.Insert(q.classes, i, &class{priority: priority})
	}
	c := q.classes[i]
	var t *tenant
	for _, other := range c.tenants {
		if other.name == name {
			t = other
		}
	}
	if t == nil {
		t = &tenant{name: name}
		c.tenants = append(c.tenants, t)
	}
	for _, other := range t.lanes {
		if sameBuckets(other.parts, w.parts) {
			w.lane = other
		}
	}
	if w.lane == nil {
		w.lane = &lane{parts: w.parts, tenant: t, class: c}
		t.lanes = append(t.lanes, w.lane)
	}
	w.place = w.lane.queue.PushBack(w)
	w.arrival = q.arrived.PushBack(w)
	w.lane.units += largest(w.parts)
	for _, p := range w.parts {
		p.bucket.waiting++
		p.bucket.wanted += p.units
	}
	q.n++
}

// remove takes a caller out, wherever it stands, and empty places with it.
func (q *queue) remove(w *waiter) {
	ln := w.lane
	ln.queue.Remove(w.place)
	q.arrived.Remove(w.arrival)
	ln.units -= largest(w.parts)
	for _, p := range w.parts {
		p.bucket.waiting--
		p.bucket.wanted -= p.units
	}
	q.n--
	if ln.queue.Len() > 0 {
		return
	}
	t, c := ln.tenant, ln.class
	t.lanes, t.next = without(t.lanes, ln, t.next)
	if len(t.lanes) > 0 {
		return
	}
	c.tenants, c.next = without(c.tenants, t, c.next)
	if len(c.tenants) == 0 {
		q.classes = slices.DeleteFunc(q.classes, func(other *class) bool { return other == c })
	}
}

// without takes one out of a round; next stays with the one it points at.
func without[T comparable](round []T, out T, next int) ([]T, int) {
	i := slices.Index(round, out)
	round = slices.Delete(round, i, i+1)
	if i < next {
		next--
	}
	if next >= len(round) {
		next = 0
	}
	return round, next
}

func sameBuckets(a, b []part) bool {
	return slices.EqualFunc(a, b, func(x, y part) bool { return x.bucket == y.bucket })
}

func largest(parts []part) (units int64) {
	for _, p := range parts {
		units = max(units, p.units)
	}
	return units
}

// ahead is how much of a bucket those take who have their turns before one more
// caller of a priority and tenant, if it joined the end of its lane.
func (q *queue) ahead(b *bucket, parts []part, priority int, name string) (units int64) {
	mine := 0 // how many of the same lane are before it
	for _, c := range q.classes {
		if c.priority != priority {
			continue
		}
		for _, t := range c.tenants {
			for _, ln := range t.lanes {
				if t.name == name && sameBuckets(ln.parts, parts) {
					mine = ln.queue.Len()
				}
			}
		}
	}
	for _, c := range q.classes {
		if c.priority < priority {
			break
		}
		for _, t := range c.tenants {
			for _, ln := range t.lanes {
				if !slices.ContainsFunc(ln.parts, func(p part) bool { return p.bucket == b }) {
					continue
				}
				n := int64(ln.queue.Len())
				if c.priority == priority && t.name != name {
					n = min(n, int64(mine)+1) // they take turns
				}
				units += ln.units * n / int64(ln.queue.Len())
			}
		}
	}
	return units
}

// wake gives turns to those who wait and returns when to look again; never
// where only the end of a call can help. One whose own bucket is empty does not
// hold back those who need another; but what it needs is not given to those
// behind it, or a call of a high cost would never come to its turn.
func (l *Limiter) wake(now time.Duration) (next time.Duration) {
	next = never
	l.pass++
	if l.paused > now {
		return l.paused
	}
	for i := 0; i < len(l.queue.classes); {
		c := l.queue.classes[i]
		at, stop := l.round(c, now)
		next = min(next, at)
		if stop {
			break
		}
		if i < len(l.queue.classes) && l.queue.classes[i] == c { // else it is empty and gone
			i++
		}
	}
	return next
}

// round goes round the tenants of a class until nobody can have a turn. stop
// says that nobody of a lower class can have one either.
func (l *Limiter) round(c *class, now time.Duration) (next time.Duration, stop bool) {
	next = never
	blocked := 0 // tenants in a row that had no turn
	var first *tenant
	for blocked < len(c.tenants) {
		t := c.tenants[c.next]
		given, at, all := l.serve(t, now)
		next = min(next, at)
		if given {
			blocked = 0
			if len(c.tenants) == 0 {
				return next, false
			}
			if c.next < len(c.tenants) && c.tenants[c.next] == t {
				c.next = (c.next + 1) % len(c.tenants)
			}
			continue
		}
		if first == nil {
			first = t
		}
		if all {
			stop = true
			break
		}
		blocked++
		c.next = (c.next + 1) % len(c.tenants)
	}
	if i := slices.Index(c.tenants, first); i >= 0 {
		c.next = i // it has waited for longest
	}
	return next, stop
}

// serve gives one turn to a tenant, from the first of its lanes that can have
// one. all says that what is missing is something everybody needs.
func (l *Limiter) serve(t *tenant, now time.Duration) (given bool, next time.Duration, all bool) {
	next = never
	for range len(t.lanes) {
		ln := t.lanes[t.next]
		w := ln.queue.Front().Value.(*waiter)
		at, blocking := l.due(w.parts, now)
		if at <= now {
			w.held, w.ended = l.book(w.parts, now), now
			l.queue.remove(w)
			if len(t.lanes) > 0 && t.next < len(t.lanes) && t.lanes[t.next] == ln {
				t.next = (t.next + 1) % len(t.lanes)
			}
			close(w.ready)
			return true, next, false
		}
		next = min(next, at)
		if blocking != nil && blocking.rule.everybody() {
			return false, next, true
		}
		t.next = (t.next + 1) % len(t.lanes)
	}
	return false, next, false
}

// due is earliest, for one who waits: what is kept for another that came before
// can't be had, and what is missing is kept for this one.
func (l *Limiter) due(parts []part, now time.Duration) (at time.Duration, blocking *bucket) {
	at = now
	for _, p := range parts {
		if p.units == 0 {
			continue
		}
		free := never
		if p.bucket.closed != l.pass {
			free = p.bucket.when(now, now, 0, p.units)
		}
		if free > now {
			p.bucket.closed = l.pass
		}
		if free > at {
			at, blocking = free, p.bucket
		}
	}
	return at, blocking
}
