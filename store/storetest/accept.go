package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// R5.4: an event is known by service, source and the provider's id.
func testRepeats(f *fixture) {
	first := f.accept()
	repeat := f.event(func(e *integration.Event) { e.ExternalID, e.Payload = first.ExternalID, []byte("other bytes") })
	if fresh, err := f.Store.Accept(f.Context(), repeat); err != nil || fresh {
		f.Errorf("repeat: fresh %v, %v", fresh, err)
	}
	f.accept(func(e *integration.Event) { e.ExternalID, e.Source = first.ExternalID, "emea" })
	f.accept(func(e *integration.Event) { e.ExternalID, e.Service = first.ExternalID, "paypal" })
	if e, _ := f.read(first.ID); !bytes.Equal(e.Payload, first.Payload) {
		f.Errorf("the repeat changed the payload to %q", e.Payload)
	}
	if _, _, err := f.Store.Event(f.Context(), repeat.ID); !errors.Is(err, integration.ErrNotFound) {
		f.Errorf("the repeat was stored: %v", err)
	}
	if n := len(f.events(integration.Filter{})); n != 3 {
		f.Errorf("%d events stored, want 3", n)
	}
	// Known also after it was processed.
	f.process(start.Add(time.Hour), integration.Outcome{Status: integration.EventProcessed})
	if fresh, err := f.Store.Accept(f.Context(), f.event(func(e *integration.Event) { e.ExternalID = first.ExternalID })); err != nil || fresh {
		f.Errorf("repeat of a processed event: fresh %v, %v", fresh, err)
	}
}

// R5.4: of repeats that arrive together, one is fresh.
func testRepeatsAtOnce(f *fixture) {
	const ids, repeats = 20, 8
	var fresh [ids]atomic.Int64
	var wg sync.WaitGroup
	for i := range ids * repeats {
		wg.Go(func() {
			e := f.event(func(e *integration.Event) { e.ExternalID = fmt.Sprintf("same_%d", i%ids) })
			ok, err := f.Store.Accept(f.Context(), e)
			if err != nil {
				f.Errorf("accept: %v", err)
			}
			if !ok {
				return
			}
			fresh[i%ids].Add(1)
			if stored, _, err := f.Store.Event(f.Context(), e.ID); err != nil || stored.ExternalID != e.ExternalID {
				f.Errorf("fresh event %s is not stored under its id: %v", e.ID, err)
			}
		})
	}
	wg.Wait()
	for i := range fresh {
		if n := fresh[i].Load(); n != 1 {
			f.Errorf("same_%d was fresh %d times", i, n)
		}
	}
	if n := len(f.events(integration.Filter{})); n != ids {
		f.Errorf("%d events stored, want %d", n, ids)
	}
}

// R5.7: what came in comes out, byte for byte, also after a restart.
func testExactBytes(f *fixture) {
	payloads := map[string][]byte{
		"empty":         {},
		"nul":           []byte("a\x00b\x00"),
		"not utf-8":     {0xff, 0xfe, 0x80},
		"spaces":        []byte(" {\r\n\t\"a\" : 1 }\n\n"),
		"big":           bytes.Repeat([]byte("0123456789abcdef"), 1<<16),
		"sql":           []byte("'); DROP TABLE webhook_events; --"),
		"looks numeric": []byte("00012"),
	}
	var stored []*integration.Event
	for name, payload := range payloads {
		stored = append(stored, f.accept(func(e *integration.Event) {
			e.Payload, e.Type, e.Subject, e.Tenant = payload, "type "+name, "00012", "0x1F"
			e.Header = http.Header{"X-Two": {"b", "a"}, "X-Odd": {"ü \" ' \\ \u2028"}, "Empty": {""}}
			e.OccurredAt = time.Date(1999, 12, 31, 23, 59, 59, 987654000, time.FixedZone("", 3600))
		}))
	}
	none := f.accept(func(e *integration.Event) { e.Header, e.OccurredAt, e.Tenant, e.Subject = nil, time.Time{}, "", "" })
	f.Store = f.Reopen(f)
	for _, want := range stored {
		got, _ := f.read(want.ID)
		if !bytes.Equal(got.Payload, want.Payload) {
			f.Errorf("%s: payload %.40q, want %.40q", want.Type, got.Payload, want.Payload)
		}
		if !reflect.DeepEqual(got.Header, want.Header) {
			f.Errorf("%s: header %v, want %v", want.Type, got.Header, want.Header)
		}
		if got.Type != want.Type || got.Subject != want.Subject || got.Tenant != want.Tenant || got.Service != want.Service || got.ExternalID != want.ExternalID {
			f.Errorf("got %+v, want %+v", got, want)
		}
		if !got.OccurredAt.Equal(want.OccurredAt) || got.OccurredAt.Location() != time.UTC || !got.ReceivedAt.Equal(want.ReceivedAt) {
			f.Errorf("times %s and %s, want %s and %s", got.OccurredAt, got.ReceivedAt, want.OccurredAt, want.ReceivedAt)
		}
	}
	if got, _ := f.read(none.ID); !got.OccurredAt.IsZero() || !got.ProcessedAt.IsZero() || got.Header != nil || got.Tenant != "" || got.Subject != "" {
		f.Errorf("what was not there is: %+v", got)
	}
}

func testRefuses(f *fixture) {
	for name, change := range map[string]func(*integration.Event){
		"no id":            func(e *integration.Event) { e.ID = "" },
		"no service":       func(e *integration.Event) { e.Service = "" },
		"no external id":   func(e *integration.Event) { e.ExternalID = "" },
		"no receipt":       func(e *integration.Event) { e.ReceivedAt = time.Time{} },
		"no status":        func(e *integration.Event) { e.Status = "" },
		"processed as new": func(e *integration.Event) { e.Status = integration.EventProcessed },
	} {
		if fresh, err := f.Store.Accept(f.Context(), f.event(change)); err == nil || fresh {
			f.Errorf("%s: fresh %v, %v; want an error", name, fresh, err)
		}
	}
	if n := len(f.events(integration.Filter{})); n != 0 {
		f.Errorf("%d events stored", n)
	}
}

// A row that the store refuses, here for the sake of an id of ours that is
// taken, fails alone.
func testBadRow(f *fixture) {
	taken := f.accept()
	const good = 150
	var refused atomic.Int64
	var wg sync.WaitGroup
	for i := range good + 10 {
		wg.Go(func() {
			bad := i%16 == 8
			e := f.event(func(e *integration.Event) {
				if bad {
					e.ID = taken.ID
				}
			})
			fresh, err := f.Store.Accept(f.Context(), e)
			switch {
			case bad && err == nil:
				f.Errorf("an id that is taken was accepted, fresh %v", fresh)
			case bad:
				refused.Add(1)
			case err != nil || !fresh:
				f.Errorf("a neighbour of a bad row: fresh %v, %v", fresh, err)
			}
		})
	}
	wg.Wait()
	if n := len(f.events(integration.Filter{Limit: 500})); refused.Load() != 10 || n != good+1 {
		f.Errorf("%d refused, %d stored; want 10 and %d", refused.Load(), n, good+1)
	}
	if e, _ := f.read(taken.ID); e.ExternalID != taken.ExternalID {
		f.Errorf("the row was overwritten: %+v", e)
	}
}

// Requests that arrive together share commits.
func testCommitsShared(f *fixture) {
	const callers, each = 32, 20
	before := f.Commits()
	f.parallel(callers, each, func() {
		if fresh, err := f.Store.Accept(f.Context(), f.event()); err != nil || !fresh {
			f.Errorf("accept: fresh %v, %v", fresh, err)
		}
	})
	if n := f.Commits() - before; n > callers*each/2 {
		f.Errorf("%d events took %d commits: they are not shared", callers*each, n)
	}
	if n := len(f.events(integration.Filter{Limit: 500})); n != callers*each {
		f.Errorf("%d events stored, want %d", n, callers*each)
	}
}

func (f *fixture) parallel(callers, each int, do func()) {
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				do()
			}
		})
	}
	wg.Wait()
}

// R5.6: when a commit fails all its callers are told, and nothing is kept, so
// that a repeat is news.
func testFailedCommit(f *fixture) {
	before := f.accept()
	broken := errors.New("no more disk")
	f.FailCommits(broken)
	var mu sync.Mutex
	var failed []*integration.Event
	f.parallel(16, 2, func() {
		e := f.event()
		if fresh, err := f.Store.Accept(f.Context(), e); !errors.Is(err, broken) || fresh {
			f.Errorf("accept: fresh %v, %v; want %v", fresh, err, broken)
		}
		mu.Lock()
		failed = append(failed, e)
		mu.Unlock()
	})
	if err := f.Store.RetryEvent(f.Context(), before.ID, start, audit("event.retry", before.ID)); !errors.Is(err, broken) {
		f.Errorf("retry: %v, want %v", err, broken)
	}
	if err := f.Store.Record(f.Context(), f.call(integration.CallFailed)); !errors.Is(err, broken) {
		f.Errorf("kept call: %v, want %v", err, broken)
	}
	if err := f.Store.Ping(f.Context()); err == nil {
		f.Error("the store says it is ready, and can't commit")
	}
	f.FailCommits(nil)
	if err := f.Store.Ping(f.Context()); err != nil {
		f.Errorf("the store is well again and says %v", err)
	}
	if n := len(f.events(integration.Filter{})); n != 1 {
		f.Errorf("%d events stored, want the one from before", n)
	}
	if a := f.auditActions(); len(a) != 0 {
		f.Errorf("the audit log holds %v", a)
	}
	for _, e := range failed {
		if fresh, err := f.Store.Accept(f.Context(), e); err != nil || !fresh {
			f.Errorf("a repeat of what failed: fresh %v, %v; want it taken as news", fresh, err)
		}
	}
}

// A caller that gives up gets an answer, and the store stays consistent.
func testCallerLeft(f *fixture) {
	gone, cancel := context.WithCancel(f.Context())
	cancel()
	e := f.event()
	if _, err := f.Store.Accept(gone, e); err != nil && !errors.Is(err, context.Canceled) {
		f.Errorf("accept: %v", err)
	}
	if _, err := f.Store.Accept(f.Context(), f.event(func(again *integration.Event) { again.ExternalID = e.ExternalID })); err != nil {
		f.Errorf("accept again: %v", err)
	}
	if n := len(f.events(integration.Filter{})); n != 1 {
		f.Errorf("%d events stored, want 1", n)
	}
}

// R5.9: a type that the plan does not use is kept and never worked on.
func testIgnored(f *fixture) {
	e := f.accept(func(e *integration.Event) { e.Status, e.Type = integration.EventIgnored, "charge.refunded" })
	if held := f.process(start.Add(time.Hour), integration.Outcome{Status: integration.EventProcessed}); len(held) != 0 {
		f.Errorf("claimed %v", held)
	}
	if next, err := f.Queue.NextDue(f.Context()); err != nil || !next.IsZero() {
		f.Errorf("next due %v, %v", next, err)
	}
	got, _ := f.read(e.ID)
	if got.Status != integration.EventIgnored || got.ProcessedAt.IsZero() || !got.DueAt.IsZero() {
		f.Errorf("got %+v", got)
	}
	if fresh, err := f.Store.Accept(f.Context(), f.event(func(r *integration.Event) { r.ExternalID = e.ExternalID })); err != nil || fresh {
		f.Errorf("repeat of an ignored event: fresh %v, %v", fresh, err)
	}
}

// R9.1: closing commits what was handed in; after it, everything is refused.
func testClose(f *fixture) {
	var acknowledged sync.Map
	var begun, wg sync.WaitGroup
	begun.Add(16)
	for range 16 {
		wg.Go(func() {
			for n := 0; ; n++ {
				e := f.event()
				fresh, err := f.Store.Accept(context.WithoutCancel(f.Context()), e)
				if n == 0 {
					begun.Done()
				}
				if err != nil {
					if !strings.Contains(err.Error(), "closed") {
						f.Errorf("refused with %v, want it to say that the store is closed", err)
					}
					return
				}
				if fresh {
					acknowledged.Store(e.ID, e.ExternalID)
				}
			}
		})
	}
	begun.Wait()
	if err := f.Store.Close(); err != nil {
		f.Errorf("close: %v", err)
	}
	wg.Wait()
	closed := f.Store
	if err := closed.Audit(f.Context(), audit("key.create", "x")); err == nil {
		f.Error("a closed store writes")
	}
	if _, _, err := closed.Events(f.Context(), integration.Filter{}); err == nil {
		f.Error("a closed store reads")
	}
	if err := closed.Close(); err != nil {
		f.Errorf("closing twice: %v", err)
	}
	f.Store = f.Reopen(f)
	n := 0
	acknowledged.Range(func(id, external any) bool {
		n++
		if e, _ := f.read(id.(string)); e.ExternalID != external {
			f.Errorf("%s is stored as %s, want %s", id, e.ExternalID, external)
		}
		return true
	})
	if stored := len(f.events(integration.Filter{Limit: 500})); n < 16 || stored != n {
		f.Errorf("%d stored, %d acknowledged", stored, n)
	}
}
