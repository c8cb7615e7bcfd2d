package call

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/classify"
)

func newOperation(timeout time.Duration) *operation {
	return &operation{
		timeout: timeout, timedOut: &classify.Timeout{Clock: "attempt", After: timeout}, alarms: newAlarms(timeout),
		silent: &classify.Timeout{Clock: "wait for more of the answer", After: max(StreamIdle, timeout)},
	}
}

// R4.8: each attempt ends at its own time, whatever others that were set before
// or after it do, and one that was stopped never.
func TestAlarmsRingInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op := newOperation(10 * time.Second)
		var clocks [5]clock
		begin := time.Now()
		for i := range clocks {
			clocks[i].start(t.Context(), op)
			time.Sleep(time.Second)
		}
		clocks[0].stop()
		clocks[2].stop()
		clocks[2].stop() // twice is once
		for _, i := range []int{1, 3, 4} {
			<-clocks[i].Done()
			if at := time.Since(begin); at != 10*time.Second+time.Duration(i)*time.Second {
				t.Errorf("clock %d rang after %s", i, at)
			}
			if !errors.Is(context.Cause(clocks[i].Context), op.timedOut) {
				t.Errorf("clock %d: %v", i, context.Cause(clocks[i].Context))
			}
			clocks[i].stop()
		}
		for _, i := range []int{0, 2} {
			if !errors.Is(context.Cause(clocks[i].Context), context.Canceled) {
				t.Errorf("clock %d was stopped and rang: %v", i, context.Cause(clocks[i].Context))
			}
		}
		if op.alarms.first != nil || op.alarms.last != nil {
			t.Error("a clock is still set")
		}
	})
}

// R4.8: a request body that is streamed takes its time; the provider's begins
// when the body is through.
func TestAlarmsStandStillForAnUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op := newOperation(10 * time.Second)
		var c, other clock
		c.start(t.Context(), op)
		other.start(t.Context(), op)
		defer other.stop()
		for range 4 {
			c.pause()
			time.Sleep(7 * time.Second)
			c.again()
			time.Sleep(7 * time.Second)
		}
		if c.Err() != nil {
			t.Fatal("it rang while pieces came:", context.Cause(c.Context))
		}
		time.Sleep(3*time.Second + time.Nanosecond)
		if c.Err() == nil {
			t.Error("it did not ring after the last piece")
		}
		c.stop()
	})
}

// An answer that was handed on may take long and may be left lying; only who
// waits for more of it for too long is told so.
func TestHandedAnswerIsWatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		op := newOperation(10 * time.Second)
		var c clock
		c.start(t.Context(), op)
		time.Sleep(9 * time.Second)
		c.handOn()
		time.Sleep(time.Hour) // the caller does something else
		for range 100 {
			c.waiting()
			time.Sleep(StreamIdle - time.Second)
			c.came()
		}
		if c.Err() != nil {
			t.Fatal(context.Cause(c.Context))
		}
		c.waiting()
		time.Sleep(StreamIdle - time.Nanosecond)
		synctest.Wait()
		if c.Err() != nil {
			t.Fatal("too early:", context.Cause(c.Context))
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		if !errors.Is(context.Cause(c.Context), op.silent) {
			t.Error("a silent answer goes on:", context.Cause(c.Context))
		}
		c.stop()
	})
}
