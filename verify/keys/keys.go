// Package keys fetches the public keys that providers publish: JSON Web Key sets,
// PEM files, certificates. It is the impure half of package verify, which says
// what it needs and never opens anything.
//
// What is fetched is kept: a webhook must not wait for another server, and a
// provider's key server must not feel how many webhooks there are. Keys are asked
// for again when they get old, or when a request names a key that is not among
// them (the provider has changed keys), the latter once a minute at most, since
// anybody can invent a name. While the server is down the old keys go on being
// used for a day.
package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"golang.org/x/sync/singleflight"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/verify"
)

// Defaults of Config.
const (
	DefaultFresh   = time.Hour
	DefaultStale   = 24 * time.Hour
	DefaultUnknown = time.Minute
	DefaultRetry   = 10 * time.Second
	DefaultTimeout = 5 * time.Second
)

// Bounds on what strangers can make us do.
const (
	maxBody      = 64 << 10 // bytes of an answer
	maxEntries   = 1024     // addresses that are remembered
	maxPerMinute = 60       // fetches from one host
)

// Config is what a Fetcher needs. Transport and Hosts must be set.
type Config struct {
	// Transport sends the requests. It should guard against addresses inside
	// the network. Redirects are not followed.
	Transport http.RoundTripper
	// Hosts that are asked, in the patterns of verify.CheckAddress; HostsOf
	// collects them. A need for any other host is refused.
	Hosts []string
	// Fresh is how long keys are used before they are asked for again. Zero
	// means an hour. A max-age of the answer counts in place of it, within
	// five minutes and a day.
	Fresh time.Duration
	// Stale is how much longer they are used while they can't be had anew. Zero
	// means a day.
	Stale time.Duration
	// Unknown is the least time between two fetches because of a key id that
	// is not among the keys. Zero means a minute.
	Unknown time.Duration
	// Retry is how long nobody tries again after a failure. Zero means 10 seconds.
	Retry time.Duration
	// Timeout of one fetch. Zero means 5 seconds.
	Timeout time.Duration
	Now     func() time.Time // nil: time.Now
}

// Fetcher implements verify.Keys. It is safe for concurrent use. Make it with New.
type Fetcher struct {
	config  Config
	flight  singleflight.Group
	mu      sync.Mutex
	entries map[string]*entry
	spent   map[string]int // fetches of this minute, by host
	minute  time.Time
}

var _ verify.Keys = (*Fetcher)(nil)

// entry is what is known about one address.
type entry struct {
	keys    verify.KeySet
	fetched time.Time // when the keys came; zero before they did
	fresh   time.Duration
	tried   time.Time // last fetch, whatever became of it
	err     error     // of the last fetch
}

// New makes a Fetcher.
func New(c Config) (*Fetcher, error) {
	switch {
	case c.Transport == nil:
		return nil, errors.New("keys: a transport is needed")
	case len(c.Hosts) == 0:
		return nil, errors.New("keys: no hosts are named, so no key could ever be fetched")
	}
	if err := verify.CheckHosts(c.Hosts); err != nil {
		return nil, fmt.Errorf("keys: hosts: %w", err)
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&c.Fresh, DefaultFresh}, {&c.Stale, DefaultStale}, {&c.Unknown, DefaultUnknown}, {&c.Retry, DefaultRetry}, {&c.Timeout, DefaultTimeout},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Fetcher{config: c, entries: map[string]*entry{}, spent: map[string]int{}}, nil
}

// HostsOf collects the hosts that the schemes of a provider fetch keys from.
func HostsOf(w *catalog.Webhooks) []string {
	if w == nil {
		return nil
	}
	schemes := []catalog.Verification{w.Verify}
	for _, v := range w.Variants {
		schemes = append(schemes, v.Verify)
	}
	var hosts []string
	for _, v := range schemes {
		if v.Keys == nil {
			continue
		}
		hosts = append(hosts, v.Keys.Hosts...)
		if u, err := url.Parse(strings.ReplaceAll(v.Keys.URL, "{kid}", "kid")); err == nil && u.Hostname() != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	return hosts
}

// Keys implements verify.Keys. Its error is about this fetch or the one that
// failed a moment ago; it wraps verify.ErrMalformed when the need itself is not
// one that is ever served.
func (f *Fetcher) Keys(ctx context.Context, need verify.Need) ([]verify.Key, error) {
	u, err := verify.CheckAddress(need.URL, f.config.Hosts)
	if err != nil {
		return nil, fmt.Errorf("%w: keys: %w", verify.ErrMalformed, err)
	}
	e, ask := f.look(need, f.config.Now())
	if ask {
		if e, err = f.ask(ctx, u, need); err != nil {
			return nil, err
		}
	}
	if e.fetched.IsZero() || f.config.Now().Sub(e.fetched) > e.fresh+f.config.Stale {
		return nil, fmt.Errorf("keys from %s: %w", u.Host, e.err)
	}
	return e.keys.For(need.KeyID), nil
}

// look returns a copy of what is known and whether it should be asked for.
func (f *Fetcher) look(need verify.Need, now time.Time) (e entry, ask bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.entries[cacheKey(need)]
	if !ok {
		return entry{}, true
	}
	e = *known
	since := now.Sub(e.tried)
	switch {
	case e.err != nil && since < f.config.Retry:
		return e, false // it failed a moment ago
	case e.fetched.IsZero() || now.Sub(e.fetched) >= e.fresh:
		return e, true
	case len(e.keys.For(need.KeyID)) == 0 && since >= f.config.Unknown:
		return e, true // the provider may have changed keys
	}
	return e, false
}

func cacheKey(need verify.Need) string { return need.Format + " " + need.Encoding + " " + need.URL }

// ask fetches, together with all who ask at the same time. Who hangs up leaves;
// the fetch goes on for the others.
func (f *Fetcher) ask(ctx context.Context, u *url.URL, need verify.Need) (entry, error) {
	result := f.flight.DoChan(cacheKey(need), func() (any, error) {
		if e, ask := f.look(need, f.config.Now()); !ask { // another did while we came
			return e, nil
		}
		bounded, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), f.config.Timeout, errors.New("the key server did not answer in time"))
		defer cancel()
		keys, fresh, err := f.fetch(bounded, u, need)
		return f.keep(need, keys, fresh, err), nil
	})
	select {
	case r := <-result:
		return r.Val.(entry), r.Err //nolint:forcetypeassert // the function above returns nothing else
	case <-ctx.Done():
		return entry{}, context.Cause(ctx)
	}
}

// keep remembers what a fetch brought. A failure leaves the old keys in place.
func (f *Fetcher) keep(need verify.Need, keys verify.KeySet, fresh time.Duration, err error) entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.config.Now()
	e := f.entries[cacheKey(need)]
	if e == nil {
		f.evict(now)
		e = &entry{}
		f.entries[cacheKey(need)] = e
	}
	e.tried, e.err = now, err
	if err == nil {
		e.keys, e.fetched, e.fresh = keys, now, fresh
	}
	return *e
}

// evict makes room: failures first, then what was tried longest ago.
func (f *Fetcher) evict(now time.Time) {
	if len(f.entries) < maxEntries {
		return
	}
	var oldest string
	for key, e := range f.entries {
		if e.fetched.IsZero() && now.Sub(e.tried) >= f.config.Retry {
			delete(f.entries, key)
			continue
		}
		if oldest == "" || e.tried.Before(f.entries[oldest].tried) {
			oldest = key
		}
	}
	if len(f.entries) >= maxEntries {
		delete(f.entries, oldest)
	}
}

// spend counts a fetch; false when the host had its share of this minute.
func (f *Fetcher) spend(host string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if minute := f.config.Now().Truncate(time.Minute); minute != f.minute {
		f.minute = minute
		clear(f.spent)
	}
	f.spent[host]++
	return f.spent[host] <= maxPerMinute
}

// fetch asks once.
func (f *Fetcher) fetch(ctx context.Context, u *url.URL, need verify.Need) (verify.KeySet, time.Duration, error) {
	if !f.spend(u.Host) {
		return nil, 0, fmt.Errorf("more than %d fetches within a minute", maxPerMinute)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/json, application/x-pem-file, */*;q=0.5")
	resp, err := f.config.Transport.RoundTrip(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, f.config.Unknown, nil // there is no such key; that is an answer
	}
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the answer was %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("reading the answer: %w", err)
	case len(body) > maxBody:
		return nil, 0, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	}
	keys, err := parse(need, body)
	return keys, f.freshness(resp.Header), err
}

func parse(need verify.Need, body []byte) (verify.KeySet, error) {
	encoding := need.Format
	if path, ok := strings.CutPrefix(need.Format, "json:"); ok {
		value := gjson.GetBytes(body, path)
		if !gjson.ValidBytes(body) || !value.Exists() {
			return nil, fmt.Errorf("the answer has no %s", path)
		}
		encoding, body = need.Encoding, []byte(value.String())
	}
	keys, err := verify.ParseKeys(encoding, body)
	if err != nil {
		return nil, fmt.Errorf("the answer: %w", err)
	}
	return keys, nil
}

// freshness is the max-age of the answer within bounds, or what was configured.
func (f *Fetcher) freshness(h http.Header) time.Duration {
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			if !strings.EqualFold(name, "max-age") {
				continue
			}
			if d, err := time.ParseDuration(strings.Trim(value, `"`) + "s"); err == nil {
				return min(max(d, 5*time.Minute), 24*time.Hour)
			}
		}
	}
	return f.config.Fresh
}
