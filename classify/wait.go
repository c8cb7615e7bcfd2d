package classify

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/integration"
)

// MaxRetryAfter is the longest wait that is believed. A header asking for more
// (a year, a number that overflows) is taken as this.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter reads a Retry-After header: seconds, also with decimals as Shopify
// sends them, or an HTTP date (RFC 9110, section 10.2.3). It is never shorter
// than what was asked for, except that MaxRetryAfter caps it; ok is false when
// there is no readable value. now is what a date is compared with; a Date
// header of the same answer is believed if that makes the wait longer, so that
// our clock running ahead does not shorten it.
func RetryAfter(header http.Header, now time.Time) (wait time.Duration, ok bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if wait, ok := seconds(value); ok {
		return wait, true
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	wait = until.Sub(now)
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		wait = max(wait, until.Sub(sent))
	}
	return bounded(wait), true
}

// seconds reads digits with an optional fraction; anything else, signs and
// exponents among them, is not seconds.
func seconds(value string) (time.Duration, bool) {
	if strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil && !math.IsInf(n, 1) {
		return 0, false
	}
	if n >= MaxRetryAfter.Seconds() {
		return MaxRetryAfter, true
	}
	return time.Duration(math.Ceil(n*1000)) * time.Millisecond, true
}

func bounded(d time.Duration) time.Duration { return min(max(d, 0), MaxRetryAfter) }

// units a catalog.WaitRule may have.
var units = []string{"duration", "epoch_milliseconds", "epoch_seconds", "http_date", "iso8601", "milliseconds", "minutes", "seconds"}

// wait is what the provider asks for (R4.6): the longest of Retry-After and the
// places its profile names; for a limit also the time at which its own header
// says the window ends, and at last what is known about its limits.
func (d *Dialect) wait(class integration.Class, header http.Header, r reading, now time.Time) time.Duration {
	wait, told := RetryAfter(header, now)
	if class != integration.ClassLimited && class != integration.ClassUnavailable {
		return wait
	}
	for i := range d.errors.Waits {
		if w, ok := waitAt(&d.errors.Waits[i], header, r, now); ok {
			wait, told = max(wait, w), true
		}
	}
	if told || class != integration.ClassLimited {
		return wait
	}
	if wait := d.window(header, now); wait > 0 {
		return wait
	}
	return bounded(time.Duration(d.errors.LimitWait) * time.Second)
}

// window is how long the window of the limit lasts, by the provider's header.
func (d *Dialect) window(header http.Header, now time.Time) time.Duration {
	h := d.limits.Headers
	if h == nil || h.Reset == "" {
		return 0
	}
	if h.Remaining != "" && header.Get(h.Remaining) != "" && !d.nothingLeft(header) {
		return 0 // another limit was hit; this window's end says nothing about it
	}
	wait, _ := until(strings.TrimSpace(header.Get(h.Reset)), h.ResetFormat, now)
	return wait
}

// waitAt reads one place of the profile.
func waitAt(w *catalog.WaitRule, header http.Header, r reading, now time.Time) (time.Duration, bool) {
	value := ""
	switch {
	case w.Header != "" && w.Path != "":
		value = reading{json: []byte(header.Get(w.Header))}.at(w.Path)
	case w.Header != "":
		value = header.Get(w.Header)
	default:
		value = r.at(w.Path)
	}
	if w.Key != "" {
		value = part(value, w.Key)
	}
	if w.After != "" {
		_, after, ok := strings.Cut(value, w.After)
		if !ok {
			return 0, false
		}
		value, _, _ = strings.Cut(strings.TrimLeft(after, " "), " ")
		value = strings.TrimRight(value, ",;.)")
	}
	return until(strings.TrimSpace(value), w.Unit, now)
}

// part is the value of a key in "limit=100; reset=4" or "limit=100, reset=4".
func part(value, key string) string {
	for one := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == ',' }) {
		if name, v, ok := strings.Cut(one, "="); ok && strings.TrimSpace(name) == key {
			return v
		}
	}
	return ""
}

// until reads a wait or the time a wait ends; ok is false when it can't.
func until(value, unit string, now time.Time) (wait time.Duration, ok bool) {
	switch unit {
	case "seconds":
		return seconds(value)
	case "minutes", "milliseconds":
		n, ok := number(value)
		n = min(n, MaxRetryAfter.Seconds()*1000)
		if unit == "minutes" {
			n *= 60_000
		}
		return bounded(time.Duration(math.Ceil(n)) * time.Millisecond), ok
	case "duration":
		wait, err := time.ParseDuration(value)
		return bounded(wait), err == nil
	case "epoch_seconds", "epoch_milliseconds":
		n, ok := number(value)
		if !ok || n > 1e15 {
			return 0, false
		}
		if unit == "epoch_seconds" {
			n *= 1000
		}
		return bounded(time.UnixMilli(int64(math.Ceil(min(n, 1e17)))).Sub(now)), true
	case "http_date":
		at, err := http.ParseTime(value)
		return bounded(at.Sub(now)), err == nil
	case "iso8601":
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05"} {
			if at, err := time.Parse(layout, value); err == nil {
				return bounded(at.Sub(now)), true
			}
		}
	}
	return 0, false
}

// number reads a number that is not less than zero.
func number(value string) (float64, bool) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) || n < 0 {
		return 0, false
	}
	return n, true
}
