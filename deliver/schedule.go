package deliver

import "time"

// DefaultRedelivery is the schedule of waits between attempts: quick at first,
// for a restart; then hours, for a night. With the first attempt it makes
// sixteen over about three days.
func DefaultRedelivery() []time.Duration {
	return []time.Duration{
		5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour, 8 * time.Hour, 12 * time.Hour, 12 * time.Hour, 12 * time.Hour,
	}
}

// Next says when to try again after the given attempt (1 for the first); ok is
// false when the schedule is used up. The wait is the schedule's plus up to a
// quarter of it, by the dice, so that events which failed together do not come
// back together. What the destination asked for may only delay, by at most a
// day.
func Next(schedule []time.Duration, attempt int, now time.Time, dice float64, retryAfter time.Duration) (at time.Time, ok bool) {
	if attempt < 1 || attempt > len(schedule) {
		return time.Time{}, false
	}
	wait := schedule[attempt-1]
	wait += time.Duration(dice * float64(wait) / 4)
	return now.Add(max(wait, min(retryAfter, 24*time.Hour))), true
}
