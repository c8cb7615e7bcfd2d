package classify

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

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

// wait is what the provider asks for: Retry-After, or for a limit the time at
// which its own header says the window ends (R4.6).
func (d *Dialect) wait(class integration.Class, header http.Header, now time.Time) time.Duration {
	if wait, ok := RetryAfter(header, now); ok {
		return wait
	}
	h := d.limits.Headers
	if class != integration.ClassLimited || h == nil || h.Reset == "" {
		return 0
	}
	if h.Remaining != "" && header.Get(h.Remaining) != "" && !d.nothingLeft(header) {
		return 0 // another limit was hit; this window's end says nothing about it
	}
	return reset(strings.TrimSpace(header.Get(h.Reset)), h.ResetFormat, now)
}

// reset reads a header that says when a window ends; zero when it can't.
func reset(value, format string, now time.Time) time.Duration {
	switch format {
	case "seconds":
		wait, _ := seconds(value)
		return wait
	case "epoch_seconds", "epoch_milliseconds":
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(n) || n < 0 || n > 1e15 {
			return 0
		}
		if format == "epoch_seconds" {
			n *= 1000
		}
		return bounded(time.UnixMilli(int64(math.Ceil(min(n, 1e17)))).Sub(now))
	case "http_date":
		if at, err := http.ParseTime(value); err == nil {
			return bounded(at.Sub(now))
		}
	case "iso8601":
		if at, err := time.Parse(time.RFC3339, value); err == nil {
			return bounded(at.Sub(now))
		}
	}
	return 0
}
