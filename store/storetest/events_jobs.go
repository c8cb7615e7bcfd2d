package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// R5.10: an event that was over is marked as replayed, with its deliveries; one
// that still waits is not.
func testReplayEvent(f *fixture) {
	now := start.Add(time.Hour)
	delivered := func(id string) integration.Outcome {
		return integration.Outcome{Status: integration.EventProcessed, Deliveries: []integration.Delivery{{
			ID: id, Destination: "app", Attempt: 1, State: integration.DeliverySucceeded, Status: 200, StartedAt: now,
		}}}
	}
	e := f.accept()
	if err := f.Store.RetryEvent(f.Context(), e.ID, now, audit("event.retry", e.ID)); err != nil {
		f.Fatal(err)
	}
	if got, _ := f.read(e.ID); got.Replays != 0 || !got.ReplayedAt.IsZero() {
		f.Errorf("one that waits counts as replayed: %+v", got)
	}
	f.process(now, delivered("d-1"))
	if err := f.Store.RetryEvent(f.Context(), e.ID, now.Add(time.Minute), audit("event.retry", e.ID)); err != nil {
		f.Fatal(err)
	}
	held := f.process(now.Add(time.Minute), integration.Outcome{Status: integration.EventProcessed})
	if len(held) != 1 || held[0].Value.Replays != 1 || !held[0].Value.ReplayedAt.Equal(now.Add(time.Minute)) || string(held[0].Value.Payload) != string(e.Payload) {
		f.Errorf("lent as %+v", held)
	}
	got, deliveries := f.read(e.ID)
	if got.Replays != 1 || got.Job != "" || len(deliveries) != 1 || deliveries[0].Replay != 0 {
		f.Errorf("%+v, %+v", got, deliveries)
	}
}

// eventJob makes a job about the fixture's events.
func (f *fixture) eventJob(id string, total int, filter integration.Filter) integration.Job {
	f.Helper()
	filter.Service = "stripe"
	j := integration.Job{ID: id, Kind: integration.JobEvents, Service: "stripe", State: integration.JobRunning, Actor: "key:1", CreatedAt: late, Filter: filter}
	if err := f.Store.CreateJob(f.Context(), &j, audit("job.create", id)); err != nil || j.Total != total {
		f.Fatalf("job of %d events, want %d: %v", j.Total, total, err)
	}
	return j
}

func (f *fixture) advance(id string, now time.Time, most int) (more bool) {
	f.Helper()
	more, err := f.Store.AdvanceJob(f.Context(), id, now, time.Time{}, most)
	if err != nil {
		f.Fatal(err)
	}
	return more
}

func (f *fixture) checkJob(id string, want integration.Job) {
	f.Helper()
	got, err := f.Store.Job(f.Context(), id)
	if err != nil || got.Kind != integration.JobEvents || got.State != want.State || got.Total != want.Total || got.Queued != want.Queued ||
		got.Done != want.Done || got.Failed != want.Failed || got.Skipped != want.Skipped {
		f.Errorf("job %s is %+v, %v; want %+v", id, got, err, want)
	}
}

// R5.10: a job has events processed again, the oldest first and few at a time,
// whatever became of them before; it leaves alone what is in work and what
// waits, skips what is not kept any more, goes on after a restart and counts
// what became of them.
func testEventJobs(f *fixture) {
	for i := range 10 {
		status, kept := integration.EventProcessed, integration.KeptWhole
		switch {
		case i < 3:
			status = integration.EventFailed
		case i == 4:
			status = integration.EventIgnored
		case i == 5:
			kept = integration.KeptNothing
		}
		f.accept()
		f.process(late, integration.Outcome{Status: status, Error: "why", Kept: kept})
	}
	f.accept(func(e *integration.Event) { e.Service = "github" })
	f.process(late, integration.Outcome{Status: integration.EventProcessed})
	f.accept(func(e *integration.Event) { e.DueAt = late.Add(time.Hour) }) // waits

	if total, skipped, err := f.Store.CountEventJob(f.Context(), integration.Filter{Service: "stripe"}); err != nil || total != 10 || skipped != 1 {
		f.Fatalf("%d, %d, %v", total, skipped, err)
	}
	if total, _, err := f.Store.CountEventJob(f.Context(), integration.Filter{Service: "stripe", Status: "failed"}); err != nil || total != 3 {
		f.Fatalf("%d, %v", total, err)
	}
	f.eventJob("j-0", 0, integration.Filter{Type: "never"})
	f.checkJob("j-0", integration.Job{State: integration.JobFinished})

	f.eventJob("j-1", 10, integration.Filter{})
	inWork := f.accept(func(e *integration.Event) { e.ReceivedAt = late }) // came after the job
	for range 2 {
		if !f.advance("j-1", late, 4) {
			f.Fatal("it is over at once")
		}
	}
	f.checkJob("j-1", integration.Job{State: integration.JobRunning, Total: 10, Queued: 4})
	// What came meanwhile has its turn with the first four, not after all.
	var seen int
	last := ""
	for round := 0; f.advance("j-1", late.Add(time.Duration(round)*time.Second), 4); round++ {
		held := f.take(late.Add(time.Duration(round)*time.Second), 5)
		if round > 8 || len(held) > 5 {
			f.Fatalf("round %d lent %d", round, len(held))
		}
		for _, l := range held {
			if l.ID == inWork.ID {
				if round > 0 {
					f.Errorf("what came meanwhile waited %d rounds", round)
				}
				f.settle(l, integration.Outcome{Status: integration.EventProcessed})
				continue
			}
			if seen++; l.Value.Replays != 1 || l.Value.Job != "j-1" || l.ID <= last {
				f.Errorf("lent %+v after %s", l.Value, last)
			}
			last = l.ID
			outcome := integration.Outcome{Status: integration.EventProcessed}
			if seen%3 == 0 {
				outcome = integration.Outcome{Status: integration.EventFailed, Error: "again"}
			}
			f.settle(l, outcome)
		}
	}
	f.checkJob("j-1", integration.Job{State: integration.JobFinished, Total: 10, Queued: 9, Done: 6, Failed: 3, Skipped: 1})
	if got, _ := f.read(inWork.ID); got.Replays != 0 {
		f.Errorf("what came later was replayed: %+v", got)
	}
	if f.advance("j-1", late, 4) {
		f.Error("a finished job goes on")
	}
	f.eventJob("j-2", 11, integration.Filter{})
	f.advance("j-2", late, 4)
	f.reopen()
	if jobs, err := f.Store.UnfinishedJobs(f.Context()); err != nil || len(jobs) != 1 || jobs[0].ID != "j-2" || jobs[0].Kind != integration.JobEvents {
		f.Fatalf("%+v, %v", jobs, err)
	}
	if !f.advance("j-2", late, 20) {
		f.Error("after a restart it ends early")
	}
	f.checkJob("j-2", integration.Job{State: integration.JobRunning, Total: 11, Queued: 10, Skipped: 1})
}

// R5.10: a job that is stopped leaves what has not had its turn as it was.
func testEventJobStopped(f *fixture) {
	var before []integration.Event
	for range 6 {
		e := f.accept()
		f.process(late, integration.Outcome{Status: integration.EventFailed, Error: "because"})
		got, _ := f.read(e.ID)
		before = append(before, got)
	}
	f.eventJob("j-1", 6, integration.Filter{Status: "failed"})
	now := late.Add(time.Hour)
	f.advance("j-1", now, 4)
	held := f.take(now, 2)
	f.settle(held[0], integration.Outcome{Status: integration.EventProcessed})
	if err := f.Store.CancelJob(f.Context(), "j-1", now, audit("job.cancel", "j-1")); err != nil {
		f.Fatal(err)
	}
	f.settle(held[1], integration.Outcome{Status: integration.EventProcessed})
	f.checkJob("j-1", integration.Job{State: integration.JobCanceled, Total: 6, Queued: 2, Done: 1})
	for _, b := range before[2:] {
		got, _ := f.read(b.ID)
		if got.Status != b.Status || got.Error != b.Error || !got.ProcessedAt.Equal(b.ProcessedAt) || got.Replays != 0 || got.Job != "" || !got.ReplayedAt.IsZero() {
			f.Errorf("it was %+v and is %+v", b, got)
		}
	}
	if held := f.take(now.Add(time.Hour), 10); len(held) != 0 {
		f.Errorf("lent %d", len(held))
	}
	if f.advance("j-1", now, 4) {
		f.Error("a stopped job goes on")
	}
	if err := f.Store.CancelJob(f.Context(), "j-1", now, audit("job.cancel", "j-1")); !errors.Is(err, integration.ErrState) {
		f.Errorf("twice: %v", err)
	}
}

// An event that two jobs, or a job and a person, ask for is counted in each.
func testEventJobsOverlap(f *fixture) {
	var ids []string
	for range 4 {
		ids = append(ids, f.accept().ID)
	}
	f.process(late, integration.Outcome{Status: integration.EventFailed})
	f.eventJob("j-1", 4, integration.Filter{Status: "failed"})
	f.advance("j-1", late, 10)
	for i, l := range f.take(late, 3) {
		status := integration.EventFailed
		if i == 0 {
			status = integration.EventProcessed
		}
		f.settle(l, integration.Outcome{Status: status})
	}
	f.eventJob("j-2", 2, integration.Filter{Status: "failed"})
	f.advance("j-2", late, 10)
	if err := f.Store.RetryEvent(f.Context(), ids[0], late, audit("event.retry", ids[0])); err != nil {
		f.Fatal(err)
	}
	f.checkJob("j-1", integration.Job{State: integration.JobRunning, Total: 4, Queued: 4, Done: 1, Failed: 2})
	f.process(late, integration.Outcome{Status: integration.EventProcessed})
	f.advance("j-1", late, 10)
	f.advance("j-2", late, 10)
	f.checkJob("j-1", integration.Job{State: integration.JobFinished, Total: 4, Queued: 4, Done: 2, Failed: 2})
	f.checkJob("j-2", integration.Job{State: integration.JobFinished, Total: 2, Queued: 2, Done: 2})
	if got, _ := f.read(ids[0]); got.Replays != 2 || got.Job != "" {
		f.Errorf("%+v", got)
	}
}

// A reader that goes on from where it was sees each event once and in order, also
// while many write at once.
func testEventsInOrder(f *fixture) {
	const writers, each = 8, 40
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range each {
				e := f.event()
				if _, err := f.Store.Accept(f.Context(), e); err != nil {
					f.Error(err)
				}
			}
		})
	}
	seen := map[string]bool{}
	position := int64(0)
	for len(seen) < writers*each && f.Context().Err() == nil {
		events, next, err := f.Store.EventsAfter(f.Context(), integration.Filter{Service: "stripe", Limit: 7}, position)
		if err != nil || next < position {
			f.Fatalf("%d after %d, %v", next, position, err)
		}
		for _, e := range events {
			if seen[e.ID] {
				f.Fatalf("%s came twice", e.ID)
			}
			seen[e.ID] = true
			if string(e.Payload) != fmt.Sprintf(`{"id":%q}`, e.ExternalID) || e.Header.Get("Content-Type") == "" {
				f.Fatalf("not whole: %+v", e)
			}
		}
		position = next
	}
	writing.Wait()
	if len(seen) != writers*each {
		f.Errorf("saw %d of %d", len(seen), writers*each)
	}
	other := f.accept(func(e *integration.Event) {
		e.Service, e.Type, e.ReceivedAt = "github", "push", late
		e.Payload = make([]byte, 5<<20) // little of it when packed
	})
	f.accept(func(e *integration.Event) { e.Service, e.Type, e.ReceivedAt = "github", "push", late })
	if since, err := f.Store.EventsSince(f.Context(), late); err != nil || since > position {
		f.Errorf("%d, %v", since, err)
	}
	end, err := f.Store.LastEvent(f.Context())
	if err != nil || end <= position {
		f.Fatalf("%d, %v", end, err)
	}
	events, next, err := f.Store.EventsAfter(f.Context(), integration.Filter{Service: "github"}, position)
	if err != nil || len(events) != 1 || events[0].ID != other.ID || next >= end {
		f.Errorf("a large one comes alone: %d events, next %d of %d, %v", len(events), next, end, err)
	}
	if events, next, err := f.Store.EventsAfter(f.Context(), integration.Filter{Service: "github", Type: "never"}, position); err != nil || len(events) != 0 || next != end {
		f.Errorf("nothing matches: %d events, next %d of %d, %v", len(events), next, end, err)
	}
}
