package cache

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// control is what Cache-Control says, as far as a private cache must know
// (RFC 9111, section 5.2). The zero control asks for nothing.
type control struct {
	noStore bool
	noCache bool // also where it names fields: revalidating more often is allowed
	// maxAge is meant only where hasMaxAge; several values count as the smallest.
	maxAge    time.Duration
	hasMaxAge bool
}

// maxDelta is the largest number of seconds that is told apart; RFC 9111, section
// 1.2.2, asks for at least 2^31.
const maxDelta = math.MaxInt32

// parseControl reads all Cache-Control lines of a message. What it does not know
// it passes over; a max-age that is no number counts as 0, the stricter reading
// (section 4.2.1).
func parseControl(lines []string) control {
	var c control
	for _, line := range lines {
		for rest := line; rest != ""; {
			var name, value string
			name, value, rest = nextDirective(rest)
			switch strings.ToLower(name) {
			case "no-store":
				c.noStore = true
			case "no-cache":
				c.noCache = true
			case "max-age":
				age := deltaSeconds(value)
				if !c.hasMaxAge || age < c.maxAge {
					c.maxAge = age
				}
				c.hasMaxAge = true
			}
		}
	}
	return c
}

// nextDirective cuts the first element off a list of token[=token|"quoted"]. A
// comma inside quotes does not end it.
func nextDirective(s string) (name, value, rest string) {
	end, quoted := len(s), false
scan:
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			end = i
			break scan
		}
	}
	name, value, _ = strings.Cut(s[:end], "=")
	if end < len(s) {
		rest = s[end+1:]
	}
	value = strings.TrimSpace(value)
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return strings.TrimSpace(name), value, rest
}

// deltaSeconds reads a whole number of seconds; anything else is 0, a number too
// large is the largest.
func deltaSeconds(s string) time.Duration {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxDelta {
		n = maxDelta
	}
	return time.Duration(n) * time.Second
}

// lifetime is how long the provider lets an answer be served, counted from when
// it was made; ok is false when it says nothing (RFC 9111, section 4.2.1; s-maxage
// is for shared caches). now stands in where there is no Date.
func lifetime(h http.Header, c control, now time.Time) (d time.Duration, ok bool) {
	if c.hasMaxAge {
		return c.maxAge, true
	}
	lines := h.Values("Expires")
	if len(lines) == 0 {
		return 0, false
	}
	expires, err := http.ParseTime(lines[0])
	if err != nil || len(lines) > 1 {
		return 0, true // "0" and other unreadable times are in the past (section 5.3)
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		date = now
	}
	return max(expires.Sub(date), 0), true
}

// initialAge is how old an answer was when it came: what caches on the way say,
// or what its Date shows, whichever is more (RFC 9111, section 4.2.3).
func initialAge(h http.Header, now time.Time) time.Duration {
	age := deltaSeconds(h.Get("Age"))
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		// One second is the grain of a Date, not an age.
		if apparent := now.Sub(date); apparent > time.Second && apparent > age {
			age = min(apparent, maxDelta*time.Second)
		}
	}
	return age
}
