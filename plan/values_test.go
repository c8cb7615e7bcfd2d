package plan_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/plan"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, "10s": 10 * time.Second, "30m": 30 * time.Minute,
		"24h": 24 * time.Hour, "90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "0s": 0,
	} {
		if got, err := plan.ParseDuration(text); err != nil || time.Duration(got) != want {
			t.Errorf("%s: got %v %v", text, time.Duration(got), err)
		}
	}
	for _, text := range []string{"", "10", "s", "1.5h", "-1s", "10 s", "1h30m", "10S", "99999999999d", "2147483647w", "106752d"} {
		if got, err := plan.ParseDuration(text); err == nil {
			t.Errorf("%q is no duration, got %v", text, time.Duration(got))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := plan.Duration(time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "ms")) * time.Millisecond)
		if got, err := plan.ParseDuration(want.String()); err != nil || got != want {
			t.Fatalf("%s: got %v %v", want, got, err)
		}
	})
	if got := plan.Duration(0).Or(time.Minute); got != time.Minute {
		t.Errorf("nothing set: got %v", got)
	}
}

func TestPercent(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "80", "0%", "101%", "-1%", "8.5%", "%", "80%%"} {
		var p plan.Percent
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is no percentage, got %d", text, p)
		}
	}
	var p plan.Percent
	if err := p.UnmarshalText([]byte("80%")); err != nil || p.Or(1) != 80 {
		t.Errorf("got %d %v", p, err)
	}
	if got := plan.Percent(0).Or(80); got != 80 {
		t.Errorf("nothing set: got %d", got)
	}
}
