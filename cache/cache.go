package cache

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Header says on an answer what the cache did for it.
const Header = "Sallyport-Cache"

// What Header says.
const (
	Hit         = "hit"         // kept and still good; the provider was not asked
	Revalidated = "revalidated" // kept, and the provider said it still holds
	Stale       = "stale"       // kept and past its time; the provider could not be asked
	Miss        = "miss"        // the provider's own answer, alone or shared with others who asked the same
	Bypass      = "bypass"      // the request was not one for a cache
)

// Sizes and times used where Config says zero.
const (
	DefaultMaxBytes = 64 << 20
	DefaultMaxEntry = 1 << 20
	DefaultMaxStale = 24 * time.Hour
)

// Config of a Cache. The zero Config works.
type Config struct {
	// MaxBytes bounds what is kept altogether, headers and a little for
	// bookkeeping included; what was not asked for longest goes first. Zero is
	// 64 MiB.
	MaxBytes int64
	// MaxEntry is the largest body that is kept or shared; larger ones are
	// streamed. Zero is 1 MiB.
	MaxEntry int64
	// MaxStale is how old an answer may be that Stale hands out; zero is 24 hours.
	MaxStale time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Fetch asks the provider. conditional holds headers to put on the request (nil
// for none); the answer to them may be 304. The context is that of the caller
// only where the call is not shared: a shared one has no deadline of its own and
// ends when the last caller has gone, so Fetch must bound its attempts itself,
// and it may still run after Do has returned to the caller who brought it.
type Fetch func(ctx context.Context, conditional http.Header) (*http.Response, error)

// Options of one read.
type Options struct {
	// Tenant is whose data the answer holds: the connection, or where there is
	// none the tenant. Answers are never shared between two of them.
	Tenant string
	// TTL is how long the answer may be served without asking the provider. At
	// zero every read asks, and what is kept serves revalidation and Stale.
	TTL time.Duration
	// Good reports whether an answer that may be kept is worth it; nil takes all.
	// Providers that put errors into answers 200 need it. It must not change what
	// it is given.
	Good func(status int, header http.Header, body []byte) bool
}

// Cache keeps the answers of one service. It may be used by many goroutines at
// once.
type Cache struct {
	maxBytes, maxEntry int64
	maxStale           time.Duration
	now                func() time.Time

	mu      sync.Mutex
	kept    *simplelru.LRU[key, *resource]
	index   index
	bytes   int64
	flights map[key]*flight
	alone   *simplelru.LRU[key, time.Time] // questions whose answers can't be shared, until when

	stats struct{ hit, revalidated, miss, shared, stale, evicted atomic.Int64 }
}

// resource is the answers to one question, which differ by what Vary names.
type resource struct {
	place    place
	variants []*entry // newest last
}

// maxVariants bounds the answers to one question.
const maxVariants = 8

// maxAlone and aloneFor bound the memory of answers that can't be shared.
const (
	maxAlone = 1024
	aloneFor = time.Minute
)

// New makes an empty Cache.
func New(c Config) *Cache {
	x := &Cache{
		maxBytes: cmp.Or(c.MaxBytes, DefaultMaxBytes), maxEntry: cmp.Or(c.MaxEntry, DefaultMaxEntry), maxStale: cmp.Or(c.MaxStale, DefaultMaxStale),
		now: c.Now, index: index{}, flights: map[key]*flight{},
	}
	if x.now == nil {
		x.now = time.Now
	}
	// The errors are about sizes that are not positive.
	x.kept, _ = simplelru.NewLRU(math.MaxInt, func(k key, r *resource) {
		x.bytes -= r.size()
		x.index.remove(r.place, k)
	})
	x.alone, _ = simplelru.NewLRU[key, time.Time](maxAlone, nil)
	return x
}

// Do answers a read from what is kept, or by asking the provider. Identical reads
// that are under way share one call: the same tenant, URL and headers. The error
// is that of fetch, a *BrokenError where the answer's body broke off, or the
// cause of ctx. The answer carries Header; its body must be closed.
//
// Requests that are no cacheable reads (another method than GET or HEAD, a body,
// Range, conditions of the caller's own, "Cache-Control: no-store") go to fetch
// untouched.
func (c *Cache) Do(ctx context.Context, r *http.Request, o Options, fetch Fetch) (*http.Response, error) {
	asked := parseControl(r.Header["Cache-Control"])
	if asked.noStore || !cacheable(r) {
		return direct(ctx, fetch, Bypass)
	}
	k := keyOf(r, o.Tenant)
	now := c.now()

	c.mu.Lock()
	e := c.find(k, r.Header)
	if e != nil && e.fresh(o.TTL, asked, now) {
		c.mu.Unlock()
		c.stats.hit.Add(1)
		return e.response(r, Hit, now), nil
	}
	if until, ok := c.alone.Get(k); ok && now.Before(until) {
		c.mu.Unlock()
		c.stats.miss.Add(1)
		return direct(ctx, fetch, Miss)
	}
	f := c.flights[k]
	if f == nil {
		f = c.start(ctx, k, r, o, e, fetch)
	} else {
		c.stats.shared.Add(1)
	}
	w := f.join()
	c.mu.Unlock()

	return c.wait(ctx, f, w, r, fetch)
}

// Stale is the last good answer to r, however long past its TTL, but not older
// than MaxStale; ok is false when there is none. It carries Age, Warning 110 and
// "Sallyport-Cache: stale".
func (c *Cache) Stale(r *http.Request, tenant string) (resp *http.Response, ok bool) {
	if !cacheable(r) {
		return nil, false
	}
	now := c.now()
	c.mu.Lock()
	e := c.find(keyOf(r, tenant), r.Header)
	c.mu.Unlock()
	if e == nil || e.old(now) > c.maxStale {
		return nil, false
	}
	c.stats.stale.Add(1)
	return e.response(r, Stale, now), true
}

// Wrote tells the cache of a call that may have changed something: answers at its
// path, above and below it are dropped, as well as where the answer's Location
// and Content-Location point, and reads that are under way there are not kept.
// resp is the answer, or nil where there was none and the outcome is unknown. An
// answer that refused the call (4xx), and safe methods, change nothing.
//
// It is to be called after the answer came and before the caller hears of it.
func (c *Cache) Wrote(tenant string, r *http.Request, resp *http.Response) {
	if safe(r.Method) || resp != nil && resp.StatusCode >= 400 && resp.StatusCode < 500 {
		return
	}
	places := []place{placeOf(tenant, r.URL)}
	if resp != nil {
		for _, name := range []string{"Location", "Content-Location"} {
			if at, err := url.Parse(resp.Header.Get(name)); err == nil && resp.Header.Get(name) != "" {
				if p := placeOf(tenant, r.URL.ResolveReference(at)); p.home == places[0].home {
					places = append(places, p)
				}
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range places {
		for _, k := range c.index.touched(p) {
			c.kept.Remove(k)
		}
		for k, f := range c.flights {
			if f.place.touches(p) {
				f.spoiled = true
				delete(c.flights, k) // who asks from now on asks anew
			}
		}
	}
}

// Forget drops all answers of a tenant: its connection ended.
func (c *Cache) Forget(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for home, n := range c.index {
		if owner(home) == tenant {
			for _, k := range n.all(nil) {
				c.kept.Remove(k)
			}
		}
	}
	for k, f := range c.flights {
		if owner(f.place.home) == tenant {
			f.spoiled = true
			delete(c.flights, k)
		}
	}
}

// owner is the tenant of a place's home.
func owner(home string) string { return home[:max(strings.LastIndexByte(home, 0), 0)] }

// Stats counts what the cache did since it was made, and what it holds.
type Stats struct {
	Hits, Revalidated, Misses int64 // answers, by what Header says of them
	Shared                    int64 // reads that joined a call under way
	Stale                     int64 // answers of Stale
	Evicted                   int64 // questions dropped for want of space
	Resources                 int   // questions with a kept answer
	Bytes                     int64 // what they take
}

// Stats returns the counters.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	n, bytes := c.kept.Len(), c.bytes
	c.mu.Unlock()
	return Stats{
		Hits: c.stats.hit.Load(), Revalidated: c.stats.revalidated.Load(), Misses: c.stats.miss.Load(), Shared: c.stats.shared.Load(),
		Stale: c.stats.stale.Load(), Evicted: c.stats.evicted.Load(), Resources: n, Bytes: bytes,
	}
}

// cacheable reports whether a request asks for something that a cache could
// answer.
func cacheable(r *http.Request) bool {
	switch {
	case r.Method != "" && r.Method != http.MethodGet && r.Method != http.MethodHead,
		r.Body != nil && r.Body != http.NoBody, r.URL == nil:
		return false
	}
	for _, name := range []string{"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Upgrade"} {
		if _, has := r.Header[name]; has {
			return false
		}
	}
	return true
}

// direct is a call that the cache has no part in.
func direct(ctx context.Context, fetch Fetch, how string) (*http.Response, error) {
	resp, err := fetch(ctx, nil)
	if err != nil {
		return nil, err
	}
	return marked(resp, how), nil
}

func marked(resp *http.Response, how string) *http.Response {
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	resp.Header.Set(Header, how)
	return resp
}

// find returns the kept answer to a question; the lock is held.
func (c *Cache) find(k key, asked http.Header) *entry {
	r, ok := c.kept.Get(k)
	if !ok {
		return nil
	}
	for i := len(r.variants) - 1; i >= 0; i-- {
		if r.variants[i].answers(asked) {
			return r.variants[i]
		}
	}
	return nil
}

// put keeps an answer in place of the one it follows; the lock is held.
func (c *Cache) put(k key, p place, asked http.Header, e *entry) {
	if e.size() > c.maxBytes || len(p.path) > maxDepth {
		return
	}
	c.drop(k, asked)
	r, ok := c.kept.Peek(k)
	if !ok {
		r = &resource{place: p}
		c.index.add(p, k)
	}
	if len(r.variants) >= maxVariants {
		c.bytes -= r.variants[0].size()
		r.variants = append([]*entry(nil), r.variants[1:]...)
	}
	r.variants = append(r.variants, e)
	c.bytes += e.size()
	c.kept.Add(k, r)
	for c.bytes > c.maxBytes {
		c.kept.RemoveOldest()
		c.stats.evicted.Add(1)
	}
}

// drop takes out the answer to a question, if there is one; the lock is held.
func (c *Cache) drop(k key, asked http.Header) {
	r, ok := c.kept.Peek(k)
	if !ok {
		return
	}
	var left []*entry
	for _, e := range r.variants {
		if e.answers(asked) {
			c.bytes -= e.size()
		} else {
			left = append(left, e)
		}
	}
	if r.variants = left; len(left) == 0 {
		c.kept.Remove(k)
	}
}

func (r *resource) size() int64 {
	var n int64
	for _, e := range r.variants {
		n += e.size()
	}
	return n
}
