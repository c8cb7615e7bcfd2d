package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/lease"
)

// line is what a model of the queue knows of one key: its events that are not
// over, by arrival, and until when the first of them is on loan.
type line struct {
	waiting []string
	until   time.Time
}

// lines is the model, and the loans that somebody holds or held.
type lines struct {
	*fixture
	rt    *rapid.T
	now   time.Time
	keys  map[string]*line // by subject
	loans []lentEvent
}

type lentEvent struct {
	lease.Held[integration.Event]
	owner string
	until time.Time
}

// R5.8: whatever two instances do with events of several keys, and however they
// fail and crash, an event is lent only when all before it of its key are over,
// one of a key at a time, and all come to their turn.
func testLinesHold(f *fixture) {
	run := 0
	rapid.Check(f, func(rt *rapid.T) {
		run++
		m := &lines{fixture: f, rt: rt, now: start.Add(time.Duration(run) * 24 * time.Hour), keys: map[string]*line{}}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"accept", "accept", "claim", "claim", "settle", "settle", "settle", "crash", "wait", "unpark"}).Draw(rt, "step") {
			case "accept":
				m.arrive(fmt.Sprintf("%d.%d", run, rapid.IntRange(1, 4).Draw(rt, "key")))
			case "claim":
				m.claim(rapid.IntRange(1, 5).Draw(rt, "limit"))
			case "settle":
				m.settleOne()
			case "crash":
				m.loans = nil // their leases run out
			case "wait":
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second)
			case "unpark":
				m.unpark()
			}
		}
		m.finish()
	})
}

func (m *lines) arrive(subject string) {
	e := m.accept(func(e *integration.Event) { e.Subject, e.Ordered, e.ReceivedAt, e.DueAt = subject, true, m.now, m.now })
	if m.keys[subject] == nil {
		m.keys[subject] = &line{}
	}
	m.keys[subject].waiting = append(m.keys[subject].waiting, e.ID)
}

// claim lends to two instances at the same time.
func (m *lines) claim(limit int) {
	var all [2][]lease.Held[integration.Event]
	var failed [2]error
	var both sync.WaitGroup
	for i := range all {
		both.Go(func() {
			all[i], failed[i] = m.Queue.Claim(m.Context(), lease.Claim{Owner: fmt.Sprint("w", i), Now: m.now, Until: m.now.Add(time.Minute), Limit: limit})
		})
	}
	both.Wait()
	for i, held := range all {
		if failed[i] != nil {
			m.rt.Fatal(failed[i])
		}
		for _, h := range held {
			m.lent(fmt.Sprint("w", i), h)
		}
	}
}

// lent checks that it was the event's turn.
func (m *lines) lent(owner string, h lease.Held[integration.Event]) {
	l := m.keys[h.Value.Subject]
	if l == nil || len(l.waiting) == 0 || l.waiting[0] != h.ID {
		m.rt.Fatalf("%s of %s was lent before its turn: %+v", h.ID, h.Value.Subject, l)
	}
	if l.until.After(m.now) {
		m.rt.Fatalf("%s of %s was lent twice", h.ID, h.Value.Subject)
	}
	l.until = m.now.Add(time.Minute)
	m.loans = append(m.loans, lentEvent{Held: h, owner: owner, until: l.until})
}

// settleOne ends a loan in some way; one that was lost meanwhile must be refused.
func (m *lines) settleOne() {
	if len(m.loans) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.loans)-1).Draw(m.rt, "loan")
	one := m.loans[i]
	m.loans = slices.Delete(m.loans, i, i+1)
	o := integration.Outcome{Status: integration.EventReceived}
	switch rapid.SampledFrom([]string{"processed", "processed", "failed", "retry", "released", "parked"}).Draw(m.rt, "outcome") {
	case "processed":
		o.Status = integration.EventProcessed
	case "failed":
		o.Status, o.Error = integration.EventFailed, "given up"
	case "retry":
		o.DueAt = m.now.Add(time.Duration(rapid.IntRange(1, 600).Draw(m.rt, "retry in")) * time.Second)
	case "released":
		o.Released = true
	case "parked":
		o.Released, o.Parked = true, "stripe/app"
	}
	m.end(one, o)
}

func (m *lines) end(one lentEvent, o integration.Outcome) {
	lost, err := m.Queue.Complete(m.Context(), one.owner, []lease.Done[integration.Outcome]{{Key: one.Key, Outcome: o}})
	if err != nil {
		m.rt.Fatal(err)
	}
	l := m.keys[one.Value.Subject]
	current := l.until.Equal(one.until) && len(l.waiting) > 0 && l.waiting[0] == one.ID
	if current == (len(lost) > 0) {
		m.rt.Fatalf("%s: lost %v, though the loan is the current one: %v", one.ID, lost, current)
	}
	if current {
		l.until = time.Time{}
		if o.Status.Final() {
			l.waiting = l.waiting[1:]
		}
	}
}

func (m *lines) unpark() {
	s, ok := m.Store.(Destinations)
	if !ok {
		m.rt.Fatalf("%T can't pause destinations", m.Store)
	}
	if _, err := s.Unpark(m.Context(), "stripe/app", m.now, 1000); err != nil {
		m.rt.Fatal(err)
	}
}

// finish lets everything come to its end; nothing may be left.
func (m *lines) finish() {
	m.loans = nil
	m.unpark()
	left := func() (n int) {
		for _, l := range m.keys {
			n += len(l.waiting)
		}
		return n
	}
	for round := 0; left() > 0 && round < 200; round++ {
		m.now = m.now.Add(10 * time.Minute)
		m.claim(20)
		for _, one := range m.loans {
			m.end(one, integration.Outcome{Status: integration.EventProcessed})
		}
		m.loans = nil
		m.unpark()
	}
	for subject, l := range m.keys {
		if len(l.waiting) > 0 {
			m.rt.Fatalf("%s: %v never had their turn", subject, l.waiting)
		}
	}
}
