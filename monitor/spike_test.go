package monitor_test

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/monitor"
)

// R5.12: what is a spike, and what is not.
func TestSpike(t *testing.T) {
	t.Parallel()
	type minute struct{ bad, all int64 }
	repeat := func(m minute, n int) (list []minute) {
		for range n {
			list = append(list, m)
		}
		return list
	}
	for _, c := range []struct {
		name    string
		learn   bool
		minutes []minute
		want    []int // the minutes in which the alarm is raised
	}{
		{name: "nothing at all", minutes: repeat(minute{}, 60)},
		{name: "all is well", minutes: repeat(minute{0, 1000}, 60)},
		{name: "a few of few", minutes: repeat(minute{1, 1}, 9)},
		{name: "few of many, all the time", minutes: repeat(minute{50, 1000}, 60)},
		{name: "an outage from the start", minutes: repeat(minute{10, 10}, 3), want: []int{1}},
		{name: "an outage later", minutes: append(repeat(minute{0, 100}, 30), repeat(minute{90, 100}, 10)...), want: []int{31}},
		{name: "once an hour", minutes: append(repeat(minute{0, 1000}, 120), append(repeat(minute{900, 1000}, 2), append(repeat(minute{0, 1000}, 70), minute{900, 1000}, minute{900, 1000})...)...), want: []int{121, 193}},
		{name: "slowly", minutes: repeat(minute{3, 3}, 5), want: []int{4}},
		{name: "learned: half is usual", learn: true, minutes: repeat(minute{500, 1000}, 120)},
		{name: "learned: more than usual", learn: true, minutes: append(repeat(minute{10, 1000}, 20), repeat(minute{600, 1000}, 5)...), want: []int{20}},
		{name: "not learned: it becomes the usual", minutes: repeat(minute{500, 1000}, 200), want: []int{1}},
	} {
		s := monitor.Spike{Learn: c.learn}
		now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
		s.Decide(0, 0, now)
		var got []int
		var bad, all int64
		for i, m := range c.minutes {
			bad, all, now = bad+m.bad, all+m.all, now.Add(time.Minute)
			if alarm, since, n := s.Decide(bad, all, now); alarm {
				got = append(got, i+1)
				if n < 10 || now.Sub(since) > 5*time.Minute {
					t.Errorf("%s: %d since %s", c.name, n, since)
				}
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: raised in minutes %v, want %v", c.name, got, c.want)
			continue
		}
		for i := range got {
			if d := got[i] - c.want[i]; d < 0 || d > 1 {
				t.Errorf("%s: raised in minutes %v, want %v", c.name, got, c.want)
			}
		}
	}
}
