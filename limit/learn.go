package limit

import (
	"net/http"
	"time"

	"github.com/sallyport/sallyport/limit/signal"
)

// Learn corrects our counting by what the headers of an answer to q tell
// (R4.14): calls that others made on the same account, a limit lower than the
// profile's. Less left than we thought counts at once, and until the provider's
// window ends, or for a window where that is not told; more left never lifts us
// above our share. An answer without such headers costs next to nothing.
func (l *Limiter) Learn(q Request, h http.Header) {
	if l.signals.Silent(h) {
		return
	}
	var room [4]signal.Signal
	if told := l.signals.Header(room[:0], h, l.now()); len(told) > 0 {
		l.learn(&q, told)
	}
}

// LearnBody is Learn for a body. It does nothing where the profile declares no
// signals in bodies; LearnsFromBodies says whether it does.
func (l *Limiter) LearnBody(q Request, body []byte) {
	if told := l.signals.Body(nil, body, l.now()); len(told) > 0 {
		l.learn(&q, told)
	}
}

// LearnsFromBodies reports whether the profile declares signals in bodies.
func (l *Limiter) LearnsFromBodies() bool { return l.signals.Reads() }

func (l *Limiter) learn(q *Request, told []signal.Signal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.instant()
	var room [6]part
	parts := l.find(room[:0], q)
	for i := range told {
		if b := about(parts, &told[i]); b != nil {
			b.correct(&told[i], now)
		}
	}
	if l.queue.n > 0 {
		l.look(now)
	}
}

// about is the bucket a signal tells about: the one it names, else the one with
// its number, with its window, or the only one there is.
func about(parts []part, s *signal.Signal) (b *bucket) {
	var named, numbered, timed, only *bucket
	windows := 0
	for _, p := range parts {
		r := p.bucket.rule
		if r.concurrent {
			continue
		}
		if s.For != "" && r.name == s.For {
			named = p.bucket // of a limit with a burst the window, which is last
		}
		if s.Limit > 0 && float64(r.limit) == s.Limit*one {
			numbered = p.bucket
		}
		if s.Window > 0 && r.length == s.Window {
			timed = p.bucket
		}
		only = p.bucket
		windows++
	}
	switch {
	case s.For != "":
		return named
	case numbered != nil:
		return numbered
	case timed != nil:
		return timed
	case windows == 1:
		return only
	}
	return nil
}

// correct takes what the provider counts into a bucket.
func (b *bucket) correct(s *signal.Signal, now time.Duration) {
	r, w := b.rule, &b.window
	limit := float64(r.limit)
	counted := s.Remaining >= 0 || s.Used >= 0 || s.UsedPart >= 0
	if s.Limit > 0 && counted && (s.Window == 0 || s.Window == r.length) {
		limit = s.Limit * one
		w.allowed = max(one, min(r.allowed, int64(limit*r.headroom())))
	}
	var taken float64
	switch {
	case s.Remaining >= 0 && s.Remaining*one <= limit:
		taken = limit - s.Remaining*one
	case s.UsedPart >= 0:
		taken = s.UsedPart * limit
	case s.Used >= 0:
		taken = s.Used * one
	default:
		return
	}
	until := now + r.length
	if s.After > 0 && s.After <= r.length+r.length/10 {
		until = now + s.After
	}
	w.forget(now)
	left := max(limit*r.headroom()-taken, 0) // of our share, by the provider's count
	if b.lease != nil {                      // the ledger knows what all instances took
		b.lease.told(int64(min(left, float64(w.allowed))), until, s.After > 0)
		return
	}
	debt := max(0, w.allowed-w.used-int64(min(left, float64(w.allowed))))
	if same := max(2*time.Second, r.length/100); s.After > 0 && w.debt > 0 && (until-w.until).Abs() <= same {
		debt = max(debt, w.debt) // answers may overtake each other
	}
	w.debt, w.until = debt, until
}

// headroom is our share as a part of the limit.
func (r *rule) headroom() float64 { return min(1, float64(r.allowed)/float64(r.limit)) }

// told notes what is left of our share by the provider's count; of what is told
// until the same instant the least counts, as answers may overtake each other.
func (le *lease) told(left int64, until time.Duration, ends bool) {
	same := max(2*time.Second, le.bucket.window.length/100)
	if ends && le.leftEnds && (until-le.leftUntil).Abs() <= same && left >= le.left {
		return
	}
	le.left, le.leftUntil, le.leftEnds, le.leftNew = left, until, ends, true
}
