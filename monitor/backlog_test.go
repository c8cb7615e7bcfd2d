package monitor_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/monitor"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// R6.3: a backlog raises the alarm once, and says once that it is over.
func TestBacklog(t *testing.T) {
	t.Parallel()
	const most = 10 * time.Minute
	steps := []struct {
		name        string
		waited      time.Duration // negative: none waits
		alarm, over bool
	}{
		{"none waits", -1, false, false},
		{"a moment", time.Second, false, false},
		{"as long as one may", most, false, false},
		{"too long", most + time.Second, true, false},
		{"still too long", 2 * most, false, false},
		{"a little better", most - time.Second, false, false},
		{"worse again, and known", most + time.Second, false, false},
		{"half of that", most / 2, false, false},
		{"over", most/2 - time.Second, false, true},
		{"and done", -1, false, false},
		{"too long again", 3 * most, true, false},
		{"none waits any more", -1, false, true},
	}
	var b monitor.Backlog
	for _, s := range steps {
		var oldest time.Time
		if s.waited >= 0 {
			oldest = noon.Add(-s.waited)
		}
		if alarm, over := b.Decide(oldest, noon, most); alarm != s.alarm || over != s.over {
			t.Errorf("%s: alarm %t, over %t; want %t, %t", s.name, alarm, over, s.alarm, s.over)
		}
	}
}

// Whatever happens, alarms and their ends take turns, beginning with an alarm.
func TestBacklogTakesTurns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var b monitor.Backlog
		alarmed := false
		for _, minutes := range rapid.SliceOf(rapid.IntRange(-5, 60)).Draw(t, "minutes") {
			alarm, over := b.Decide(noon.Add(-time.Duration(minutes)*time.Minute), noon, 15*time.Minute)
			if alarm && over || alarm && alarmed || over && !alarmed {
				t.Fatalf("after %d minutes: alarm %t, over %t, alarmed before %t", minutes, alarm, over, alarmed)
			}
			if alarm && minutes <= 15 || over && minutes >= 8 {
				t.Fatalf("alarm %t, over %t at %d minutes", alarm, over, minutes)
			}
			alarmed = alarmed && !over || alarm
		}
	})
}
