package verify

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/extract"
)

// clock is where the time of a webhook stands and how it is written. The zero
// clock belongs to a scheme without a time.
type clock struct {
	path  extract.Path // when the time stands by itself
	param string       // when it is an element of the signature header: its key, or "0"
	unit  string
}

// naive is ISO 8601 without a zone.
const naive = "2006-01-02T15:04:05"

// latest is the last second of the year 9999; anything later is no time.
const latest = 253402300799

func compileClock(header, unit string) (clock, error) {
	if header == "" {
		if unit != "" {
			return clock{}, errors.New("timestamp_unit: there is no timestamp_header it could belong to")
		}
		return clock{}, nil
	}
	switch unit {
	case "s", "ms", "rfc3339", "http_date", "iso8601_naive_utc":
	default:
		return clock{}, fmt.Errorf("timestamp_unit: %q is not one of s, ms, rfc3339, http_date, iso8601_naive_utc", unit)
	}
	c := clock{unit: unit}
	if param, ok := strings.CutPrefix(header, "param:"); ok {
		if param == "" {
			return clock{}, errors.New("timestamp_header: param: names no element")
		}
		c.param = param
		return c, nil
	}
	path, err := place(header)
	if err != nil {
		return clock{}, fmt.Errorf("timestamp_header: %w", err)
	}
	if path.Kind() == extract.JSON && isEach(path) {
		return clock{}, fmt.Errorf("timestamp_header: %s names several times", header)
	}
	c.path = path
	return c, nil
}

func (c clock) absent() bool { return c.param == "" && c.path.IsZero() }

// parse reads the time. The zero time stands for a scheme that has none.
func (c clock) parse(text string) (time.Time, error) {
	if c.absent() {
		return time.Time{}, nil
	}
	if text == "" {
		return time.Time{}, errors.New("it carries no time")
	}
	var at time.Time
	var err error
	switch c.unit {
	case "s", "ms":
		at, err = parseUnix(text, c.unit == "ms")
	case "rfc3339":
		at, err = time.Parse(time.RFC3339, text)
	case "http_date":
		at, err = http.ParseTime(text)
	case "iso8601_naive_utc":
		at, err = time.ParseInLocation(naive, text, time.UTC)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("its time %.40q is not in the form %s", text, c.unit)
	}
	return at, nil
}

// parseUnix takes digits and nothing else, up to the year 9999.
func parseUnix(text string, milliseconds bool) (time.Time, error) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return time.Time{}, strconv.ErrSyntax
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	if milliseconds {
		if n/1000 > latest {
			return time.Time{}, strconv.ErrRange
		}
		return time.UnixMilli(n), nil
	}
	if n > latest {
		return time.Time{}, strconv.ErrRange
	}
	return time.Unix(n, 0), nil
}

// format writes the time as the provider would; empty for a scheme without one.
func (c clock) format(at time.Time) string {
	switch c.unit {
	case "s":
		return strconv.FormatInt(at.Unix(), 10)
	case "ms":
		return strconv.FormatInt(at.UnixMilli(), 10)
	case "rfc3339":
		return at.UTC().Format(time.RFC3339)
	case "http_date":
		return at.UTC().Format(http.TimeFormat)
	case "iso8601_naive_utc":
		return at.UTC().Format(naive)
	}
	return ""
}
