package drift

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Notice is a provider's announcement that an operation will end.
type Notice struct {
	Deprecated time.Time // since when, or from when, it should not be used; zero when not told
	Sunset     time.Time // when it stops working; zero when not told
	Announced  bool      // there is one at all, with or without a date
}

// ReadNotice reads the headers Deprecation (RFC 9745: a date as "@1688169599";
// its drafts also had "true" and an HTTP date) and Sunset (RFC 8594: an HTTP
// date). What can't be read is no announcement.
func ReadNotice(header http.Header) Notice {
	var n Notice
	if value := header.Get("Deprecation"); value != "" {
		value, _, _ = strings.Cut(value, ";") // parameters have no meaning yet
		value = strings.TrimSpace(value)
		seconds, dated := strings.CutPrefix(value, "@")
		at, err := strconv.ParseInt(seconds, 10, 64)
		switch {
		case dated && err == nil && at >= 0 && at < 1<<38:
			n.Deprecated, n.Announced = time.Unix(at, 0).UTC(), true
		case value == "true" || value == "?1":
			n.Announced = true
		default:
			if date, err := http.ParseTime(value); err == nil {
				n.Deprecated, n.Announced = date.UTC(), true
			}
		}
	}
	if date, err := http.ParseTime(strings.TrimSpace(header.Get("Sunset"))); err == nil {
		n.Sunset, n.Announced = date.UTC(), true
	}
	return n
}

// finding is the record of an announcement; ok is false when there is none.
func (n Notice) finding() (f Finding, ok bool) {
	if !n.Announced {
		return Finding{}, false
	}
	f = Finding{Kind: integration.DriftDeprecation, Expected: "supported", Example: "deprecated"}
	if !n.Deprecated.IsZero() {
		f.Ends = n.Deprecated
		f.Example += " from " + n.Deprecated.Format(time.DateOnly)
	}
	if !n.Sunset.IsZero() {
		f.Ends = n.Sunset
		f.Example += ", ends " + n.Sunset.Format(time.DateOnly)
	}
	return f, true
}

// DaysLeft is how many whole days remain until ends; less than zero when it is
// past. What is displayed counts from today, so nothing is stored.
func DaysLeft(ends, now time.Time) int {
	const day = 24 * time.Hour
	left := ends.Sub(now)
	if left < 0 {
		return -int((-left + day - 1) / day)
	}
	return int(left / day)
}
