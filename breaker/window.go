package breaker

import "time"

// buckets is how many parts a window moves in.
const buckets = 10

// counts are calls and what became of them.
type counts struct{ calls, failed, slow int }

// window counts calls in the last stretch of time, in a ring of buckets: the
// stretch is shorter than it should be by less than a bucket.
type window struct {
	width  time.Duration
	newest int64 // number of the bucket of the present, counted from the beginning
	ring   [buckets]counts
	sum    counts
}

func newWindow(length time.Duration) window { return window{width: length / buckets} }

// count adds a call that ended at a time since the beginning. A time before the
// newest counts as the newest.
func (w *window) count(at time.Duration, failed, slow bool) {
	w.move(at)
	b := &w.ring[w.newest%buckets]
	b.calls++
	w.sum.calls++
	if failed {
		b.failed++
		w.sum.failed++
	}
	if slow {
		b.slow++
		w.sum.slow++
	}
}

// at is what is in the window that ends at a time.
func (w *window) at(at time.Duration) counts {
	w.move(at)
	return w.sum
}

// move empties the buckets that are too old.
func (w *window) move(at time.Duration) {
	number := int64(at / w.width)
	if number <= w.newest {
		return
	}
	if number-w.newest >= buckets {
		w.ring, w.sum, w.newest = [buckets]counts{}, counts{}, number
		return
	}
	for w.newest < number {
		w.newest++
		b := &w.ring[w.newest%buckets]
		w.sum.calls -= b.calls
		w.sum.failed -= b.failed
		w.sum.slow -= b.slow
		*b = counts{}
	}
}

// clear forgets all calls.
func (w *window) clear() { w.ring, w.sum = [buckets]counts{}, counts{} }

// rates are shares of the calls; zero without any.
func (c counts) rates() (failed, slow float64) {
	if c.calls == 0 {
		return 0, 0
	}
	return float64(c.failed) / float64(c.calls), float64(c.slow) / float64(c.calls)
}

// row is failures with no success between them.
type row struct {
	failures int
	since    time.Duration // the first of them
}

func (r *row) count(at time.Duration, failed bool) {
	switch {
	case !failed:
		r.failures = 0
	case r.failures == 0:
		r.failures, r.since = 1, at
	default:
		r.failures++
	}
}
