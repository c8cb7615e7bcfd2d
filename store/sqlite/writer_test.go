package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// stall keeps the writer busy until the returned function is called.
func stall(t *testing.T, s *Store) (release func()) {
	t.Helper()
	begun, over := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.writer.do(context.Background(), s.writer.jobs, func(*transaction) error {
			close(begun)
			<-over
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	release = sync.OnceFunc(func() { close(over); wg.Wait() })
	t.Cleanup(release)
	return release
}

// filled returns when n pieces of work wait in the lane. Those who put them in
// are on their way and nothing takes any out, so it can't take long.
func filled(t *testing.T, l lane, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(l) < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d pieces of work wait, want %d", len(l), n)
		}
	}
}

// R5.6: a full queue refuses at once, and workers can still say that they are done.
func TestFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{Queue: 2})
	release := stall(t, s)
	var waiting sync.WaitGroup
	for i := range 2 {
		waiting.Go(func() {
			if fresh, err := s.Accept(context.Background(), testEvent(fmt.Sprint("evt_", i))); err != nil || !fresh {
				t.Errorf("one that had room: fresh %v, %v", fresh, err)
			}
		})
	}
	filled(t, s.writer.events, 2)
	if fresh, err := s.Accept(t.Context(), testEvent("evt_refused")); fresh || !errors.Is(err, integration.ErrBusy) {
		t.Errorf("fresh %v, %v; want ErrBusy", fresh, err)
	}
	waiting.Go(func() {
		if err := s.Audit(context.Background(), integration.AuditEntry{Actor: "test"}); err != nil {
			t.Errorf("other work, while events are refused: %v", err)
		}
	})
	release()
	waiting.Wait()
	if fresh, err := s.Accept(t.Context(), testEvent("evt_refused")); err != nil || !fresh {
		t.Errorf("coming again: fresh %v, %v", fresh, err)
	}
}

// A caller that leaves while its work waits takes it back.
func TestCallerThatLeavesTakesItsWorkBack(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	release := stall(t, s)
	why := errors.New("the sender hung up")
	ctx, leave := context.WithCancelCause(t.Context())
	left := make(chan error)
	go func() {
		_, err := s.Accept(ctx, testEvent("evt_1"))
		left <- err
	}()
	filled(t, s.writer.events, 1)
	leave(why)
	if err := <-left; !errors.Is(err, why) || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("got %v, want it to say why and that nothing was written", err)
	}
	release()
	if fresh, err := s.Accept(t.Context(), testEvent("evt_1")); err != nil || !fresh {
		t.Errorf("what was taken back is there: fresh %v, %v", fresh, err)
	}
}

// A caller that leaves after the writer began is told that the outcome is open,
// and not before its function is over, which may write to variables of the caller.
func TestCallerThatLeavesTooLate(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	begun, over := make(chan struct{}), make(chan struct{})
	stuck := func() error { <-over; return nil }
	s.writer.beforeEnd.Store(&stuck)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		mine := 0
		err := s.writer.do(ctx, s.writer.jobs, func(tx *transaction) error {
			close(begun)
			<-ctx.Done()
			err := insertAudit(tx, integration.AuditEntry{Actor: "test"})
			mine++
			return err
		})
		if mine++; mine != 2 { // with the race detector: two writers
			t.Errorf("its function ran %d times", mine-1)
		}
		left <- err
	}()
	<-begun
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "may have been written") {
		t.Errorf("got %v, want it to say that the outcome is open", err)
	}
	close(over)
	if err := s.Audit(t.Context(), integration.AuditEntry{Actor: "after"}); err != nil {
		t.Fatal(err)
	}
	if entries, _, err := s.AuditLog(t.Context(), integration.Filter{}); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// Work that fails half-way is undone, and its neighbours' work is not.
func TestFailedWorkIsUndoneAlone(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	release := stall(t, s)
	no := errors.New("no")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := s.writer.do(context.Background(), s.writer.jobs, func(tx *transaction) error {
				if err := insertAudit(tx, integration.AuditEntry{Actor: fmt.Sprint(i)}); err != nil {
					return err
				}
				if i%2 == 0 {
					return no
				}
				return nil
			})
			if (i%2 == 0) != errors.Is(err, no) {
				t.Errorf("work %d: %v", i, err)
			}
		})
	}
	filled(t, s.writer.jobs, 20)
	before := s.Stats().Commits
	release()
	wg.Wait()
	if n := s.Stats().Commits - before; n != 1 {
		t.Errorf("%d commits, want the work to share one", n)
	}
	entries, _, err := s.AuditLog(t.Context(), integration.Filter{})
	if err != nil || len(entries) != 10 {
		t.Errorf("%d entries, %v; want 10", len(entries), err)
	}
}

// A record that finds no room holds its call up for a moment and is counted.
func TestRecordsAreLostWhenTheStoreIsBehind(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	release := stall(t, s)
	call := func(n int, state integration.CallState) *integration.Call {
		return &integration.Call{ID: fmt.Sprint("call-", n), Service: "stripe", State: state, CreatedAt: testEvent("").ReceivedAt}
	}
	room := cap(s.writer.records)
	for n := range room + 2 {
		if err := s.Record(t.Context(), call(n, integration.CallSucceeded)); err != nil {
			t.Fatalf("record %d: %v", n, err)
		}
	}
	if lost := s.Stats().LostRecords; lost != 2 {
		t.Errorf("%d lost, want 2", lost)
	}
	release()
	if err := s.Record(t.Context(), call(room, integration.CallFailed)); err != nil {
		t.Fatal(err)
	}
	counts, err := s.CallCounts(t.Context(), "stripe", "")
	if err != nil || counts.ByState["succeeded"] != room || counts.ByState["failed"] != 1 {
		t.Errorf("%v, %v", counts.ByState, err)
	}
}

// R9.1: readiness writes only when nothing was written of late.
func TestPingIsCheap(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{})
	for range 50 {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Stats().Commits; n < 1 || n > 10 {
		t.Errorf("50 pings made %d commits", n)
	}
}
