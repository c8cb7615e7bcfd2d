package signal

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// value is the text at a place, empty when there is none.
func (p *place) value(h http.Header) string {
	if p.header == "" {
		return ""
	}
	values := h[p.header]
	if len(values) == 0 {
		return ""
	}
	if len(p.way) == 0 {
		return values[0]
	}
	for _, text := range values { // one header may come several times, with a key in each
		if v := follow(text, p.way); v != "" {
			return v
		}
	}
	return ""
}

// follow goes the way into a value: through JSON, to a key, to a part.
func follow(text string, way []string) string {
	text = strings.TrimSpace(text)
	for _, word := range way {
		if text == "" {
			return ""
		}
		if text[0] == '{' || text[0] == '[' {
			text = inBody([]byte(text), word)
			continue
		}
		if n, err := strconv.Atoi(word); err == nil {
			text = nth(text, n)
			continue
		}
		text = valueOf(text, word)
	}
	return text
}

// nth is a part of 18/5000 or 200,2000, counted from 1.
func nth(text string, n int) string {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '/' }) {
		if n--; n == 0 {
			return strings.TrimSpace(part)
		}
	}
	return ""
}

// valueOf is the value of a key in limit=100, reset=4 or total=100; resets=4.
func valueOf(text, key string) string {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' }) {
		if name, value, ok := strings.Cut(part, "="); ok && strings.EqualFold(strings.TrimSpace(name), key) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// inBody is the text at a path of a JSON document.
func inBody(body []byte, path string) string {
	if path == "" || !gjson.ValidBytes(body) {
		return ""
	}
	return gjson.GetBytes(body, path).String()
}

// number reads the number a value begins with, not less than zero: "100",
// "599.0", "100, 100;w=1".
func number(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	if end := strings.IndexAny(text, ",; "); end >= 0 {
		text = text[:end]
	}
	if text == "" || len(text) > 32 || strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n > 1e15 {
		return 0, false
	}
	return n, true
}

// until reads the time to a window's end.
func until(text, format string, now time.Time) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, false
	}
	if format == "" {
		format = looks(text)
	}
	switch format {
	case "seconds", "minutes", "milliseconds":
		n, ok := number(text)
		unit := map[string]time.Duration{"seconds": time.Second, "minutes": time.Minute, "milliseconds": time.Millisecond}[format]
		return time.Duration(math.Ceil(min(n*float64(unit), math.MaxInt64/2))), ok
	case "duration":
		d, err := time.ParseDuration(text)
		return d, err == nil
	case "epoch_seconds", "epoch_milliseconds":
		n, ok := number(text)
		if format == "epoch_seconds" {
			n *= 1000
		}
		return time.UnixMilli(int64(math.Ceil(min(n, 1e15)))).Sub(now), ok
	case "http_date":
		at, err := http.ParseTime(text)
		return at.Sub(now), err == nil
	case "iso8601":
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime} {
			if at, err := time.Parse(layout, text); err == nil {
				return at.Sub(now), true
			}
		}
	}
	return 0, false
}

// looks tells a format by what a value looks like: numbers that can't be a wait
// are times since 1970, in milliseconds above what seconds reach in this
// millennium.
func looks(text string) string {
	if n, ok := number(text); ok {
		switch {
		case n >= 1e11:
			return "epoch_milliseconds"
		case n >= 1e8:
			return "epoch_seconds"
		}
		return "seconds"
	}
	switch last := text[len(text)-1]; {
	case strings.Contains(text, "T") && strings.Contains(text, "-"):
		return "iso8601"
	case strings.HasSuffix(text, "GMT"):
		return "http_date"
	case last == 's' || last == 'm' || last == 'h':
		return "duration"
	}
	return ""
}
