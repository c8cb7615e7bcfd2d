package leasetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/lease"
)

// Harness is one empty queue and what the suite needs to know about its kind.
type Harness[T, O any] struct {
	Queue lease.Queue[T, O]
	// Add puts a row into the queue that is due at the given time, and returns
	// the id that its loans will carry.
	Add func(t testing.TB, due time.Time) (id string)
	// Finished says whether the row has ended for good.
	Finished func(t testing.TB, id string) bool
	// Finish ends a row, Again makes it due at a later time, Release gives it
	// back as if it had not been lent.
	Finish  O
	Again   func(due time.Time) O
	Release O
}

// start is where the suite's clock begins: whole seconds, so that a queue may
// cut off finer parts.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// term is the length of the leases that the suite asks for.
const term = 10 * time.Second

// Run runs the suite; open returns a new queue for each test.
func Run[T, O any](t *testing.T, open func(t *testing.T) Harness[T, O]) {
	for _, c := range []struct {
		name string
		test func(*fixture[T, O])
	}{
		{"ClaimsAreExclusive", testExclusive[T, O]},
		{"OwnersShareTheWork", testOwnersShare[T, O]},
		{"OldestDueFirst", testOldestFirst[T, O]},
		{"NothingBeforeItIsDue", testNotBeforeDue[T, O]},
		{"NextDue", testNextDue[T, O]},
		{"ExpiredLeaseIsRedelivered", testExpired[T, O]},
		{"LateOwnerIsRefused", testLateOwner[T, O]},
		{"ExpiredAndUntakenIsStillHeld", testUntaken[T, O]},
		{"RenewKeepsOthersAway", testRenew[T, O]},
		{"CompleteEndsTheLease", testComplete[T, O]},
		{"AgainWaitsForItsTime", testAgain[T, O]},
		{"ReleasedDoesNotCount", testReleased[T, O]},
		{"EmptyAnswers", testEmpty[T, O]},
		{"NothingLostNothingTwice", testProperty[T, O]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(&fixture[T, O]{T: t, Harness: open(t)})
		})
	}
}

// fixture is a queue with the short forms that tests read better with.
type fixture[T, O any] struct {
	*testing.T
	Harness[T, O]
}

func (f *fixture[T, O]) claim(owner string, now time.Time, limit int) []lease.Key {
	f.Helper()
	held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: owner, Now: now, Until: now.Add(term), Limit: limit})
	if err != nil {
		f.Fatalf("claim of %s: %v", owner, err)
	}
	keys := make([]lease.Key, len(held))
	for i := range held {
		keys[i] = held[i].Key
	}
	return keys
}

// one claims a single row that has to be there.
func (f *fixture[T, O]) one(owner string, now time.Time) lease.Key {
	f.Helper()
	keys := f.claim(owner, now, 1)
	if len(keys) != 1 {
		f.Fatalf("%s claimed %v, want one row", owner, keys)
	}
	return keys[0]
}

func (f *fixture[T, O]) none(owner string, now time.Time) {
	f.Helper()
	if keys := f.claim(owner, now, 100); len(keys) != 0 {
		f.Errorf("%s claimed %v at %s, want nothing", owner, keys, now.Format(time.TimeOnly))
	}
}

func (f *fixture[T, O]) complete(owner string, o O, keys ...lease.Key) (lost []lease.Key) {
	f.Helper()
	done := make([]lease.Done[O], len(keys))
	for i, k := range keys {
		done[i] = lease.Done[O]{Key: k, Outcome: o}
	}
	lost, err := f.Queue.Complete(f.Context(), owner, done)
	if err != nil {
		f.Fatalf("complete of %s: %v", owner, err)
	}
	return lost
}

func (f *fixture[T, O]) renew(owner string, until time.Time, keys ...lease.Key) (lost []lease.Key) {
	f.Helper()
	lost, err := f.Queue.Renew(f.Context(), owner, keys, until)
	if err != nil {
		f.Fatalf("renew of %s: %v", owner, err)
	}
	return lost
}

func (f *fixture[T, O]) finished(id string, want bool) {
	f.Helper()
	if got := f.Finished(f, id); got != want {
		f.Errorf("row %s finished: %v, want %v", id, got, want)
	}
}

func testExclusive[T, O any](f *fixture[T, O]) {
	for range 10 {
		f.Add(f, start)
	}
	seen := map[string]string{}
	for _, owner := range []string{"a", "b", "a", "b"} {
		for _, k := range f.claim(owner, start, 3) {
			if other, twice := seen[k.ID]; twice {
				f.Errorf("row %s was lent to %s and to %s", k.ID, other, owner)
			}
			if k.Attempt != 1 {
				f.Errorf("first loan of %s is attempt %d", k.ID, k.Attempt)
			}
			seen[k.ID] = owner
		}
	}
	if len(seen) != 10 {
		f.Errorf("%d rows lent, want 10", len(seen))
	}
	f.none("c", start)
}

// testOwnersShare has owners claim and complete at the same time.
func testOwnersShare[T, O any](f *fixture[T, O]) {
	const rows = 200
	for range rows {
		f.Add(f, start)
	}
	var mu sync.Mutex
	completed := map[string]int{}
	var owners sync.WaitGroup
	for _, owner := range []string{"a", "b", "c", "d"} {
		owners.Go(func() {
			for {
				held, err := f.Queue.Claim(f.Context(), lease.Claim{Owner: owner, Now: start, Until: start.Add(term), Limit: 7})
				if err != nil || len(held) == 0 {
					if err != nil {
						f.Errorf("claim: %v", err)
					}
					return
				}
				done := make([]lease.Done[O], len(held))
				for i := range held {
					done[i] = lease.Done[O]{Key: held[i].Key, Outcome: f.Finish}
				}
				lost, err := f.Queue.Complete(f.Context(), owner, done)
				if err != nil || len(lost) > 0 {
					f.Errorf("complete: lost %v, %v", lost, err)
					return
				}
				mu.Lock()
				for i := range held {
					completed[held[i].ID]++
				}
				mu.Unlock()
			}
		})
	}
	owners.Wait()
	if len(completed) != rows {
		f.Errorf("%d rows completed, want %d", len(completed), rows)
	}
	for id, n := range completed {
		if n != 1 {
			f.Errorf("row %s was completed %d times", id, n)
		}
	}
}

func testOldestFirst[T, O any](f *fixture[T, O]) {
	byDue := map[time.Duration]string{}
	for _, ago := range []time.Duration{3, 9, 1, 7, 5} {
		byDue[ago] = f.Add(f, start.Add(-ago*time.Second))
	}
	var got []string
	for range 2 {
		for _, k := range f.claim("a", start, 2) {
			got = append(got, k.ID)
		}
	}
	if want := []string{byDue[9], byDue[7], byDue[5], byDue[3]}; !slices.Equal(got, want) {
		f.Errorf("order %v, want %v", got, want)
	}
	if got := f.claim("a", start, 2); len(got) != 1 || got[0].ID != byDue[1] {
		f.Errorf("last is %v, want %s alone", got, byDue[1])
	}
}

func testNotBeforeDue[T, O any](f *fixture[T, O]) {
	id := f.Add(f, start.Add(time.Minute))
	f.none("a", start.Add(time.Minute-time.Second))
	if k := f.one("a", start.Add(time.Minute)); k.ID != id {
		f.Errorf("claimed %s, want %s", k.ID, id)
	}
}

func testNextDue[T, O any](f *fixture[T, O]) {
	next := func(want time.Time) {
		f.Helper()
		got, err := f.Queue.NextDue(f.Context())
		if err != nil || !got.Equal(want) {
			f.Errorf("next due %v, %v; want %v", got, err, want)
		}
	}
	next(time.Time{})
	f.Add(f, start.Add(time.Minute))
	f.Add(f, start)
	next(start)
	k := f.one("a", start)
	next(start.Add(term)) // the lease ends before the other row is due
	f.renew("a", start.Add(2*time.Minute), k)
	next(start.Add(time.Minute))
	f.complete("a", f.Finish, k)
	next(start.Add(time.Minute))
	f.complete("a", f.Finish, f.one("a", start.Add(time.Minute)))
	next(time.Time{})
}

func testExpired[T, O any](f *fixture[T, O]) {
	id := f.Add(f, start)
	first := f.one("a", start)
	f.none("b", start.Add(term-time.Second))
	second := f.one("b", start.Add(term))
	if second.ID != id || second.Attempt != first.Attempt+1 {
		f.Errorf("redelivered as %v after %v", second, first)
	}
	f.none("a", start.Add(term))
}

func testLateOwner[T, O any](f *fixture[T, O]) {
	f.Add(f, start)
	old := f.one("a", start)
	young := f.one("b", start.Add(term))
	if lost := f.renew("a", start.Add(time.Hour), old); !slices.Equal(lost, []lease.Key{old}) {
		f.Errorf("renewal of the old owner lost %v, want it refused", lost)
	}
	if lost := f.complete("a", f.Finish, old); !slices.Equal(lost, []lease.Key{old}) {
		f.Errorf("completion of the old owner lost %v, want it refused", lost)
	}
	if lost := f.complete("a", f.Finish, young); len(lost) != 1 {
		f.Error("the old owner could complete with the attempt of the new one")
	}
	if lost := f.complete("b", f.Finish, old); len(lost) != 1 {
		f.Error("the new owner could complete with the attempt of the old one")
	}
	f.finished(old.ID, false)
	// The same owner again, as after a restart under the same name.
	third := f.one("b", start.Add(2*term))
	if lost := f.complete("b", f.Finish, young); len(lost) != 1 {
		f.Error("an owner could complete with an attempt that ran out before its next one")
	}
	if lost := f.complete("b", f.Finish, third); len(lost) != 0 {
		f.Errorf("the holder was refused: %v", lost)
	}
	f.finished(old.ID, true)
}

func testUntaken[T, O any](f *fixture[T, O]) {
	f.Add(f, start)
	f.Add(f, start)
	keys := f.claim("a", start, 2)
	if lost := f.renew("a", start.Add(5*term), keys[0]); len(lost) != 0 {
		f.Errorf("renewal after the end, with no other owner: lost %v", lost)
	}
	if lost := f.complete("a", f.Finish, keys...); len(lost) != 0 {
		f.Errorf("completion after the end, with no other owner: lost %v", lost)
	}
	f.none("b", start.Add(time.Hour))
}

func testRenew[T, O any](f *fixture[T, O]) {
	f.Add(f, start)
	f.Add(f, start)
	keys := f.claim("a", start, 2)
	if lost := f.renew("a", start.Add(3*term), keys[0]); len(lost) != 0 {
		f.Errorf("lost %v", lost)
	}
	if k := f.one("b", start.Add(2*term)); k.ID != keys[1].ID {
		f.Errorf("b took %s, want the row that was not renewed", k.ID)
	}
	if lost := f.renew("a", start.Add(4*term), keys...); !slices.Equal(lost, keys[1:]) {
		f.Errorf("lost %v, want %v", lost, keys[1:])
	}
	f.none("c", start.Add(3*term-time.Second))
}

func testComplete[T, O any](f *fixture[T, O]) {
	for range 3 {
		f.Add(f, start)
	}
	keys := f.claim("a", start, 3)
	if lost := f.complete("a", f.Finish, keys[0]); len(lost) != 0 {
		f.Errorf("lost %v", lost)
	}
	f.finished(keys[0].ID, true)
	f.finished(keys[1].ID, false)
	// One that is gone does not keep the others from being written.
	gone := lease.Key{ID: "no-such-row", Attempt: 1}
	if lost := f.complete("a", f.Finish, keys[1], keys[0], gone, keys[2]); len(lost) != 2 || !slices.Contains(lost, keys[0]) || !slices.Contains(lost, gone) {
		f.Errorf("lost %v, want %v and %v", lost, keys[0], gone)
	}
	f.finished(keys[1].ID, true)
	f.finished(keys[2].ID, true)
	f.none("b", start.Add(24*time.Hour))
}

func testAgain[T, O any](f *fixture[T, O]) {
	f.Add(f, start)
	k := f.one("a", start)
	later := start.Add(time.Hour)
	f.complete("a", f.Again(later), k)
	f.finished(k.ID, false)
	f.none("a", later.Add(-time.Second))
	if again := f.one("b", later); again.ID != k.ID || again.Attempt != 2 {
		f.Errorf("came again as %v, want attempt 2 of %s", again, k.ID)
	}
}

func testReleased[T, O any](f *fixture[T, O]) {
	f.Add(f, start)
	k := f.one("a", start)
	f.complete("a", f.Release, k)
	f.finished(k.ID, false)
	again := f.one("b", start)
	if again != k {
		f.Errorf("lent again as %v, want %v: a release does not count", again, k)
	}
	if lost := f.complete("a", f.Finish, k); len(lost) != 1 {
		f.Error("an owner could complete what it had given back")
	}
}

func testEmpty[T, O any](f *fixture[T, O]) {
	f.none("a", start)
	f.Add(f, start)
	for _, limit := range []int{0, -1} {
		if keys := f.claim("a", start, limit); len(keys) != 0 {
			f.Errorf("limit %d lent %v", limit, keys)
		}
	}
	if lost := f.complete("a", f.Finish); len(lost) != 0 {
		f.Errorf("completing nothing lost %v", lost)
	}
	if lost := f.renew("a", start); len(lost) != 0 {
		f.Errorf("renewing nothing lost %v", lost)
	}
	if keys := f.claim("a", start, 1); len(keys) != 1 || keys[0].Attempt != 1 {
		f.Errorf("after asking for nothing: %v", keys)
	}
}
