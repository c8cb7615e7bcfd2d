package plan

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Duration is a length of time written as 500ms, 10s, 30m, 24h, 90d or 2w.
// Zero means "not set".
type Duration time.Duration

var durationPattern = regexp.MustCompile(`^([0-9]+)(ms|s|m|h|d|w)$`)

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// ParseDuration reads the form above.
func ParseDuration(s string) (Duration, error) {
	m := durationPattern.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is no duration; write a whole number and a unit: 500ms, 10s, 30m, 24h, 90d, 2w", s)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is too long a duration", s)
	}
	unit := durationUnits[m[2]]
	if n > int64(math.MaxInt64/unit) {
		return 0, fmt.Errorf("%q is too long a duration", s)
	}
	return Duration(time.Duration(n) * unit), nil
}

// Or returns d, or other when d is not set.
func (d Duration) Or(other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return time.Duration(d)
}

// String writes the largest unit that loses nothing.
func (d Duration) String() string {
	t := time.Duration(d)
	for _, u := range []string{"d", "h", "m", "s"} {
		if unit := durationUnits[u]; t >= unit && t%unit == 0 {
			return strconv.FormatInt(int64(t/unit), 10) + u
		}
	}
	return strconv.FormatInt(t.Milliseconds(), 10) + "ms"
}

// UnmarshalText reads the form above.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// MarshalText writes the form above.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// JSONSchema describes the form above.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^[0-9]*[1-9][0-9]*(ms|s|m|h|d|w)$`, Description: "a whole number and a unit: 500ms, 10s, 30m, 24h, 90d, 2w"}
}

// Percent is written as 80%. Zero means "not set".
type Percent int

// UnmarshalText reads "80%".
func (p *Percent) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(strings.TrimSuffix(string(b), "%"))
	if err != nil || !strings.HasSuffix(string(b), "%") || n < 1 || n > 100 {
		return fmt.Errorf("%q is no percentage; write 1%% to 100%%, such as 80%%", b)
	}
	*p = Percent(n)
	return nil
}

// MarshalText writes "80%".
func (p Percent) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(int(p)) + "%"), nil }

// Or returns p, or other when p is not set.
func (p Percent) Or(other int) int {
	if p == 0 {
		return other
	}
	return int(p)
}

// JSONSchema describes "80%".
func (Percent) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^(100|[1-9][0-9]?)%$`, Description: "1% to 100%"}
}

// maxRetries bounds a retry count; more would be a loop, not a retry.
const maxRetries = 20

// RetryCount is how often to try again: a number, or never (zero).
type RetryCount int

// UnmarshalYAML reads a number from 0 to 20 or the word never.
func (r *RetryCount) UnmarshalYAML(unmarshal func(any) error) error {
	var n int
	if err := unmarshal(&n); err == nil {
		if n < 0 || n > maxRetries {
			return fmt.Errorf("retry: %d is out of range; write never or 1 to %d", n, maxRetries)
		}
		*r = RetryCount(n)
		return nil
	}
	var s string
	if err := unmarshal(&s); err != nil || s != "never" {
		return fmt.Errorf("retry: want never or a number from 1 to 20")
	}
	*r = 0
	return nil
}

// MarshalYAML writes never for zero.
func (r RetryCount) MarshalYAML() (any, error) {
	if r == 0 {
		return "never", nil
	}
	return int(r), nil
}

// JSONSchema describes both forms.
func (RetryCount) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string", Enum: []any{"never"}},
		{Type: "integer", Minimum: "0", Maximum: "20"},
	}}
}
