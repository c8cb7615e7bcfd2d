// Package signal reads what answers tell about the provider's limits (R4.14):
// how many there are, how many are left, and when the window ends. Every
// provider has its own names and formats; the profile declares them, and the
// names that many share are known without.
//
// Values are believed as far as they make sense: a negative number, a limit of
// nothing, more left than there is, a window that ends in the past or in a
// thousand years are as if they were not there.
//
// The package is pure: the time is handed in.
package signal

import (
	"math"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
)

// Signal is what an answer tells about one limit.
type Signal struct {
	// For names the limit in the profile's list; empty: it is not told.
	For string
	// Limit is the limit's number, 0 when it is not told.
	Limit float64
	// Remaining is how many are left, -1 when it is not told.
	Remaining float64
	// UsedPart is the used part of the limit, from 0 (nothing) to 1 and above; -1
	// when it is not told. It is there whenever it can be known.
	UsedPart float64
	// Used is how many were used, -1 when it is not told.
	Used float64
	// After is the time until the window ends, 0 when it is not told.
	After time.Duration
	// Window is the length of the window, 0 when it is not told.
	Window time.Duration
}

// MaxAfter is the longest time to a window's end that is believed: a month and
// a bit.
const MaxAfter = 32 * 24 * time.Hour

// Parser reads the answers of one provider. It may be used by many goroutines at
// once.
type Parser struct {
	headers []compiled
	bodies  []compiled
	speaks  map[string]bool // all headers without which nothing is told
	begins  [256]bool       // the bytes they begin with
}

// compiled is one declared signal.
type compiled struct {
	speaks                                       []string // headers without which it tells nothing
	name                                         string
	limit, used, remaining, near, reset, lasting place
	percent                                      bool
	format, lastingFormat                        string
}

// place is where a value is: a header, and the way into its value.
type place struct {
	header string // canonical; a body path for a signal of the body
	way    []string
}

// known are the names that many providers share, read where a profile declares
// none.
var known = []catalog.LimitSignal{
	{Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset"},
	{Limit: "X-Rate-Limit-Limit", Remaining: "X-Rate-Limit-Remaining", Reset: "X-Rate-Limit-Reset"},
	{Limit: "RateLimit-Limit", Remaining: "RateLimit-Remaining", Reset: "RateLimit-Reset"},
	{Limit: "RateLimit limit", Remaining: "RateLimit remaining", Reset: "RateLimit reset", ResetFormat: "seconds"},
	// Drafts since 08 of the IETF: "default";r=50;t=30, the limit in RateLimit-Policy as "default";q=100;w=60.
	{Limit: "RateLimit-Policy q", Remaining: "RateLimit r", Reset: "RateLimit t", ResetFormat: "seconds", Window: "RateLimit-Policy w"},
}

// Compile makes the Parser of a provider's limits. A profile that declares
// nothing has the names that many share.
func Compile(limits catalog.Limits) *Parser {
	p := &Parser{speaks: map[string]bool{}}
	declared := limits.Signals
	if h := limits.Headers; h != nil {
		declared = append([]catalog.LimitSignal{{Limit: h.Limit, Used: h.Used, Remaining: h.Remaining, Reset: h.Reset, ResetFormat: h.ResetFormat}}, declared...)
	}
	if len(declared) == 0 {
		declared = known
	}
	for i := range declared {
		s := &declared[i]
		c := compiled{
			name: s.For, percent: s.Percent, format: s.ResetFormat, lastingFormat: s.WindowFormat,
			limit: placeOf(s.Limit, s.Body), used: placeOf(s.Used, s.Body), remaining: placeOf(s.Remaining, s.Body),
			near: placeOf(s.Near, s.Body), reset: placeOf(s.Reset, s.Body), lasting: placeOf(s.Window, s.Body),
		}
		for _, pl := range []place{c.remaining, c.used, c.near} {
			if pl.header != "" && !slices.Contains(c.speaks, pl.header) {
				c.speaks = append(c.speaks, pl.header)
			}
		}
		if c.speaks == nil {
			c.speaks = []string{c.limit.header}
		}
		if s.Body {
			p.bodies = append(p.bodies, c)
		} else {
			p.headers = append(p.headers, c)
			for _, name := range c.speaks {
				if name != "" {
					p.speaks[name], p.begins[name[0]] = true, true
				}
			}
		}
	}
	return p
}

func placeOf(text string, body bool) place {
	if body {
		return place{header: text}
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return place{}
	}
	return place{header: textproto.CanonicalMIMEHeaderKey(words[0]), way: words[1:]}
}

// Header appends to dst what the headers of an answer tell. now is our clock;
// times of the provider are compared with the Date header where there is one, so
// that a difference between the clocks does no harm.
func (p *Parser) Header(dst []Signal, h http.Header, now time.Time) []Signal {
	for i := range p.headers {
		c := &p.headers[i]
		if c.silent(h) {
			continue
		}
		at := func(pl place) string { return pl.value(h) }
		if s, ok := c.read(at, clock(h, now)); ok {
			dst = append(dst, s)
		}
	}
	return dst
}

// Body appends to dst what the body of an answer tells.
func (p *Parser) Body(dst []Signal, body []byte, now time.Time) []Signal {
	for i := range p.bodies {
		at := func(pl place) string { return inBody(body, pl.header) }
		if s, ok := p.bodies[i].read(at, now); ok {
			dst = append(dst, s)
		}
	}
	return dst
}

// Reads reports whether the profile has signals in bodies.
func (p *Parser) Reads() bool { return len(p.bodies) > 0 }

// Silent reports whether the headers tell nothing: the usual case, and a cheap
// one.
func (p *Parser) Silent(h http.Header) bool {
	for name, values := range h {
		if name != "" && p.begins[name[0]] && p.speaks[name] && len(values) > 0 {
			return false
		}
	}
	return true
}

func (c *compiled) silent(h http.Header) bool {
	for _, name := range c.speaks {
		if len(h[name]) > 0 {
			return false
		}
	}
	return true
}

// clock is the provider's: its Date, unless that is nonsense.
func clock(h http.Header, now time.Time) time.Time {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil || date.Sub(now).Abs() > 24*time.Hour {
		return now
	}
	return date
}

// read makes a signal of the values; ok is false when they tell nothing.
func (c *compiled) read(at func(place) string, now time.Time) (s Signal, ok bool) {
	s = Signal{For: c.name, Remaining: -1, Used: -1, UsedPart: -1}
	limit, told := number(at(c.limit))
	if told && limit == 0 {
		return s, false // Okta's sign of another limit: 0 of 0
	}
	s.Limit = limit
	if n, ok := number(at(c.remaining)); ok && (s.Limit == 0 || n <= s.Limit) {
		s.Remaining = n
	}
	if n, ok := number(at(c.used)); ok {
		if c.percent {
			s.UsedPart = n / 100
		} else {
			s.Used = n
		}
	}
	if s.Remaining < 0 && s.Used >= 0 && s.Limit > 0 {
		s.Remaining = max(s.Limit-s.Used, 0)
	}
	if s.Used < 0 && s.Remaining >= 0 && s.Limit > 0 {
		s.Used = s.Limit - s.Remaining
	}
	if s.UsedPart < 0 && s.Used >= 0 && s.Limit > 0 {
		s.UsedPart = s.Used / s.Limit
	}
	if s.UsedPart < 0 && strings.EqualFold(strings.TrimSpace(at(c.near)), "true") {
		s.UsedPart = 0.8
	}
	if after, ok := until(at(c.reset), c.format, now); ok && after > 0 && after <= MaxAfter {
		s.After = after
	}
	if n, ok := number(at(c.lasting)); ok && n > 0 {
		unit := time.Second
		if c.lastingFormat == "milliseconds" {
			unit = time.Millisecond
		}
		s.Window = time.Duration(math.Ceil(min(n*float64(unit), float64(MaxAfter))))
	}
	return s, s.Limit > 0 || s.Remaining >= 0 || s.UsedPart >= 0
}
