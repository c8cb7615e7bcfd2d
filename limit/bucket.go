package limit

import "time"

// bucket is what one rule counts: for everybody, or for one tenant, account and
// endpoint where the rule is divided by them.
type bucket struct {
	rule     *rule
	key      key
	window   window
	inflight int64 // requests, of a concurrency limit
	waiting  int   // callers that need it
	wanted   int64 // units that they need
	closed   uint64
	lease    *lease // of a limit that is shared; else nil
	// instances that share the requests in flight; nil: they are all ours
	instances *int
}

// key names a bucket; what does not divide the rule is empty.
type key struct {
	rule                      int
	tenant, account, endpoint string
}

// part is what a request needs of one bucket.
type part struct {
	bucket *bucket
	units  int64
}

// never is an instant that does not come by itself: a place among requests in
// flight is given back by a call's end.
const never = time.Duration(1<<63 - 1)

func (l *Limiter) newBucket(r *rule, k key) *bucket {
	b := &bucket{rule: r, key: k, window: window{allowed: r.allowed, length: r.length}}
	switch {
	case l.shared == nil:
	case r.concurrent:
		b.instances = &l.shared.instances
	default:
		b.lease = newLease(l.shared, b)
	}
	return b
}

// fits reports whether units may be taken now.
func (b *bucket) fits(now time.Duration, units int64) bool {
	switch {
	case b.rule.concurrent:
		return b.inflight+units <= b.places()
	case units == 0:
		return true
	case b.lease != nil:
		return b.lease.fits(now, units)
	}
	return b.window.room(now) >= units
}

// places is how many requests may be in flight here: where instances share the
// limit, an even part.
func (b *bucket) places() int64 {
	if b.instances == nil {
		return b.window.allowed
	}
	return max(one, b.window.allowed/int64(*b.instances)/one*one)
}

// when is the instant, from or later, at which units may be taken after ahead
// was.
func (b *bucket) when(now, from time.Duration, ahead, units int64) time.Duration {
	switch {
	case ahead == 0 && b.fits(now, units):
		return from
	case b.rule.concurrent:
		return never
	case b.lease != nil:
		return b.lease.when(now, from, ahead, units)
	}
	b.window.forget(now)
	return b.window.free(from, ahead, units)
}

// take books units.
func (b *bucket) take(now time.Duration, units int64) {
	if b.rule.concurrent {
		b.inflight += units
		return
	}
	if units == 0 {
		return
	}
	b.window.forget(now)
	b.window.book(now, units)
	if b.lease != nil {
		b.lease.take(now, units)
	}
}

// idle reports whether forgetting the bucket changes nothing.
func (b *bucket) idle(now time.Duration) bool {
	b.window.forget(now)
	return b.waiting == 0 && b.inflight == 0 && b.window.n == 0 && b.window.debt == 0 && (b.lease == nil || b.lease.idle())
}

// find fills parts with what a request needs.
func (l *Limiter) find(parts []part, q *Request) []part {
	for _, r := range l.rules {
		if !r.about(q) {
			continue
		}
		b := r.only
		if b == nil {
			b = l.bucketOf(r, q)
		}
		parts = append(parts, part{bucket: b, units: min(r.cost(q), b.window.allowed)})
	}
	return parts
}

// bucketOf is the bucket of a divided rule, made where there is none.
func (l *Limiter) bucketOf(r *rule, q *Request) *bucket {
	k := key{rule: r.number}
	if r.tenant {
		k.tenant = q.Tenant
	}
	if r.account {
		k.account = q.Account
	}
	if r.endpoint {
		k.endpoint = q.Endpoint
		if k.endpoint == "" {
			k.endpoint = q.Path
		}
	}
	if b := l.buckets[k]; b != nil {
		return b
	}
	if len(l.buckets) >= l.sweepAt {
		l.sweep(l.instant())
	}
	b := l.newBucket(r, k)
	l.buckets[k] = b
	return b
}

// sweep forgets the buckets of tenants that made no calls for a while.
func (l *Limiter) sweep(now time.Duration) {
	for k, b := range l.buckets {
		if b.idle(now) {
			delete(l.buckets, k)
		}
	}
	l.sweepAt = max(64, 2*len(l.buckets))
}
