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

// at is where an event stands: each destination, in the state told.
func at(state integration.ProgressState, destinations ...string) integration.Progress {
	p := integration.Progress{}
	for _, name := range destinations {
		p[name] = integration.DestinationProgress{State: state}
	}
	return p
}

// R5.8, R5.11: an event that some of its destinations have holds those behind it
// only at the others; who waits there is called when that one is through.
func testHolding(f *fixture) {
	s, ok := f.Store.(Destinations)
	if !ok {
		f.Fatalf("%T can't pause destinations", f.Store)
	}
	now := time.Now().Add(time.Hour).Truncate(time.Microsecond) // later than the store's clock: who is called is due
	in := func(e *integration.Event) { e.Subject, e.Ordered = "a", true }
	first, second, third := f.accept(in), f.accept(in), f.accept(in)
	one := func(e *integration.Event, behind ...string) lease.Held[integration.Event] {
		f.Helper()
		held := f.take(now, 10)
		f.lent(held, e.ID)
		if !slices.Equal(held[0].Value.Behind, behind) {
			f.Fatalf("lent behind %q, want %q", held[0].Value.Behind, behind)
		}
		return held[0]
	}
	waits := func(due time.Duration, destinations ...string) integration.Outcome {
		return integration.Outcome{Status: integration.EventReceived, DueAt: now.Add(due), Progress: at(integration.ProgressWaiting, destinations...)}
	}
	parked := func(destinations ...string) integration.Outcome {
		return integration.Outcome{Status: integration.EventReceived, Parked: "stripe/books", Progress: at(integration.ProgressParked, destinations...)}
	}
	f.settle(one(first), waits(12*time.Hour, "books", "ledger"))
	f.settle(one(second, "books", "ledger"), parked("books"))
	if got, _ := f.read(second.ID); !slices.Equal(got.Behind, []string{"books", "ledger"}) || got.Parked != "stripe/books" || !got.DueAt.IsZero() {
		f.Errorf("behind: %+v", got)
	}
	f.settle(one(third, "books", "ledger"), waits(2*time.Hour, "books", "ledger"))
	fourth := f.accept(in)
	held := one(fourth, "books", "ledger") // the third's and the second's are the first's
	f.lent(f.take(now, 10))                // one of a line at a time
	f.settle(held, integration.Outcome{Status: integration.EventProcessed})

	f.lent(f.take(now.Add(3*time.Hour), 10)) // the third does not overtake the first
	now = now.Add(12 * time.Hour)
	held = one(first)
	f.lent(f.take(now, 10))
	f.settle(held, waits(12*time.Hour, "books")) // ledger has it
	f.settle(one(second, "books"), parked("books"))
	f.settle(one(third, "books"), waits(2*time.Hour, "books"))
	fifth := f.accept(in)
	f.settle(one(fifth, "books"), integration.Outcome{Status: integration.EventProcessed})

	f.lent(f.take(now.Add(11*time.Hour), 10))
	now = now.Add(12 * time.Hour)
	f.settle(one(first), integration.Outcome{Status: integration.EventFailed, Error: "given up"})
	held = one(second)
	f.settle(held, parked("books")) // paused all the time
	f.lent(f.take(now, 10))
	if _, err := s.Unpark(f.Context(), "stripe/books", now, 10); err != nil {
		f.Fatal(err)
	}
	f.settle(one(second), integration.Outcome{Status: integration.EventProcessed})
	f.settle(one(third), integration.Outcome{Status: integration.EventProcessed})
	f.lent(f.take(now.Add(100*time.Hour), 10))
}

// R5.8: an event that is asked for again holds also those that are behind it
// already.
func testHoldingAgain(f *fixture) {
	now := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	in := func(e *integration.Event) { e.Subject, e.Ordered = "a", true }
	first, second := f.accept(in), f.accept(in)
	waits := func(destination string) integration.Outcome {
		return integration.Outcome{Status: integration.EventReceived, DueAt: now.Add(time.Hour), Progress: at(integration.ProgressWaiting, destination)}
	}
	take := func(e *integration.Event, behind ...string) lease.Held[integration.Event] {
		f.Helper()
		held := f.take(now, 10)
		f.lent(held, e.ID)
		if !slices.Equal(held[0].Value.Behind, behind) {
			f.Fatalf("lent behind %q, want %q", held[0].Value.Behind, behind)
		}
		return held[0]
	}
	f.settle(take(first), integration.Outcome{Status: integration.EventProcessed})
	f.settle(take(second), waits("ledger"))
	if err := f.Store.RetryEvent(f.Context(), first.ID, now, audit("event.retry", first.ID)); err != nil {
		f.Fatal(err)
	}
	third := f.accept(in)
	held := take(first)
	f.lent(f.take(now, 10))
	f.settle(held, waits("books"))
	f.settle(take(second, "books"), waits("ledger")) // it is told of the first
	f.settle(take(third, "books", "ledger"), waits("books"))
	now = now.Add(time.Hour)
	f.settle(take(first), integration.Outcome{Status: integration.EventProcessed})
	f.settle(take(second), integration.Outcome{Status: integration.EventProcessed})
	f.settle(take(third), integration.Outcome{Status: integration.EventProcessed})
	f.lent(f.take(now.Add(100*time.Hour), 10))
}

// place is what a model knows of one event of a key.
type place struct {
	id     string
	to     []string        // destinations; none: it holds its line altogether
	left   map[string]bool // those that are outstanding
	fresh  bool            // nothing is known of it: it holds all
	failed []string        // given up there
	over   bool
	onLoan bool // perhaps one that ran out
	// excused: one before it was asked for again while it was on loan, which
	// does not wait for that one.
	excused bool
}

// places is the model of events with several destinations.
type places struct {
	*fixture
	rt     *rapid.T
	now    time.Time
	keys   map[string][]*place // by subject, by arrival
	paused map[string]bool
	down   map[string]bool // destinations that fail for good
	loans  []lentPlace
}

type lentPlace struct {
	lease.Held[integration.Event]
	owner string
	place *place
}

var everywhere = []string{"app", "books", "ledger"}

// R5.8, R5.11: whatever fails, is paused, crashes and is asked for again, each
// destination has the events of a key by arrival; and what one destination does
// not take comes to the others all the same.
func testPlacesHold(f *fixture) {
	run := 0
	base := time.Now().Truncate(time.Microsecond)
	rapid.Check(f, func(rt *rapid.T) {
		run++
		m := &places{
			fixture: f, rt: rt, now: base.Add(time.Duration(run) * 1000 * time.Hour), keys: map[string][]*place{},
			paused: map[string]bool{}, down: map[string]bool{},
		}
		for range rapid.IntRange(5, 50).Draw(rt, "steps") {
			m.step(run)
		}
		m.finish()
	})
}

func (m *places) step(run int) {
	steps := []string{"accept", "accept", "accept", "claim", "claim", "claim", "settle", "settle", "settle", "crash", "wait", "wait", "pause", "resume", "again"}
	switch rapid.SampledFrom(steps).Draw(m.rt, "step") {
	case "accept":
		m.arrive(fmt.Sprintf("%d.%d", run, rapid.IntRange(1, 2).Draw(m.rt, "key")))
	case "claim":
		m.claim(rapid.IntRange(1, 5).Draw(m.rt, "limit"))
	case "settle":
		if len(m.loans) > 0 {
			i := rapid.IntRange(0, len(m.loans)-1).Draw(m.rt, "loan")
			one := m.loans[i]
			m.loans = slices.Delete(m.loans, i, i+1)
			m.deliver(one, func(string) integration.ProgressState {
				return rapid.SampledFrom([]integration.ProgressState{integration.ProgressSucceeded, integration.ProgressSucceeded, integration.ProgressWaiting, integration.ProgressFailed}).Draw(m.rt, "answer")
			})
		}
	case "crash":
		m.crash()
	case "wait":
		m.now = m.now.Add(time.Duration(rapid.IntRange(1, 50).Draw(m.rt, "seconds")) * time.Second)
		m.crash() // keep the model simple: nobody works for longer than a claim
	case "pause":
		m.paused[rapid.SampledFrom(everywhere).Draw(m.rt, "destination")] = true
	case "resume":
		delete(m.paused, rapid.SampledFrom(everywhere).Draw(m.rt, "destination"))
		m.unpark()
	case "again":
		m.again()
	}
}

// crash loses all loans: they run out.
func (m *places) crash() {
	if len(m.loans) > 0 {
		m.loans = nil
		m.now = m.now.Add(time.Minute)
	}
}

func (m *places) arrive(subject string) {
	e := m.accept(func(e *integration.Event) { e.Subject, e.Ordered, e.ReceivedAt, e.DueAt = subject, true, m.now, m.now })
	p := &place{id: e.ID, fresh: true, left: map[string]bool{}}
	for _, name := range everywhere {
		if rapid.Bool().Draw(m.rt, "to "+name) {
			p.to = append(p.to, name)
			p.left[name] = true
		}
	}
	m.keys[subject] = append(m.keys[subject], p)
}

// again asks for an event that is over, or waits.
func (m *places) again() {
	var all []*place
	for _, subject := range []string{"1", "2"} {
		for name, l := range m.keys {
			if name[len(name)-1:] == subject {
				all = append(all, l...)
			}
		}
	}
	if len(all) == 0 {
		return
	}
	p := rapid.SampledFrom(all).Draw(m.rt, "event")
	if slices.ContainsFunc(m.loans, func(l lentPlace) bool { return l.place == p }) {
		return
	}
	if err := m.Store.RetryEvent(m.Context(), p.id, m.now, audit("event.retry", p.id)); err != nil {
		return // a lease that ran out and was not taken up yet
	}
	if !p.over {
		return // where it was given up it is tried again with its turn
	}
	for _, l := range m.keys {
		if slices.Contains(l, p) {
			for _, other := range l {
				other.excused = other.excused || other.onLoan
			}
		}
	}
	p.over, p.fresh = false, true
	names := p.failed
	if len(names) == 0 {
		names = p.to
	}
	p.failed = nil
	for _, name := range names {
		p.left[name] = true
	}
}

// claim lends to two instances at the same time.
func (m *places) claim(limit int) {
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

// lent checks that it was the event's turn, and that it is told where it is not.
func (m *places) lent(owner string, h lease.Held[integration.Event]) {
	for _, l := range m.loans {
		if l.Value.Subject == h.Value.Subject {
			m.rt.Fatalf("%s and %s of %s are on loan at the same time", l.ID, h.ID, h.Value.Subject)
		}
	}
	line := m.keys[h.Value.Subject]
	i := slices.IndexFunc(line, func(p *place) bool { return p.id == h.ID })
	if i < 0 { // left over by a run that failed
		if _, err := m.Queue.Complete(m.Context(), owner, []lease.Done[integration.Outcome]{{Key: h.Key, Outcome: integration.Outcome{Status: integration.EventProcessed}}}); err != nil {
			m.rt.Fatal(err)
		}
		return
	}
	if line[i].over {
		m.rt.Fatalf("%s was lent though it is over", h.ID)
	}
	before := map[string]bool{}
	for _, p := range line[:i] {
		if p.fresh && !p.over && !line[i].excused {
			m.rt.Fatalf("%s of %s was lent before %s was worked on", h.ID, h.Value.Subject, p.id)
		}
		for name := range p.left {
			before[name] = true
		}
	}
	for name := range line[i].left {
		if before[name] && !line[i].excused && !slices.Contains(h.Value.Behind, name) {
			m.rt.Fatalf("%s of %s may go to %s before those before it: behind %q", h.ID, h.Value.Subject, name, h.Value.Behind)
		}
	}
	line[i].onLoan = true
	m.loans = append(m.loans, lentPlace{Held: h, owner: owner, place: line[i]})
}

// deliver ends a loan as a deliverer would, with what each destination answers.
func (m *places) deliver(one lentPlace, answer func(name string) integration.ProgressState) {
	p := one.place
	o := integration.Outcome{Status: integration.EventProcessed, Released: true, Progress: at(integration.ProgressSucceeded, p.to...)}
	due := time.Time{}
	var parked []string
	for _, name := range p.to {
		switch {
		case slices.Contains(p.failed, name):
			o.Progress[name] = integration.DestinationProgress{State: integration.ProgressFailed}
			continue
		case !p.left[name]:
			continue
		}
		state, next := integration.ProgressWaiting, m.now.Add(5*time.Minute)
		switch {
		case m.paused[name]:
			state, parked = integration.ProgressParked, append(parked, "stripe/"+name)
		case !slices.Contains(one.Value.Behind, name):
			state, o.Released = answer(name), false
			next = m.now.Add(time.Duration(rapid.IntRange(1, 600).Draw(m.rt, "again in")) * time.Second)
		}
		o.Progress[name] = integration.DestinationProgress{State: state}
		switch state {
		case integration.ProgressWaiting:
			if due.IsZero() || next.Before(due) {
				due = next
			}
		case integration.ProgressFailed:
			p.failed = append(p.failed, name)
			delete(p.left, name)
		case integration.ProgressSucceeded:
			delete(p.left, name)
		}
	}
	if len(p.left) > 0 {
		o.Status, o.DueAt, o.Parked = integration.EventReceived, due, integration.ParkedFor(parked...)
	} else if o.Released = false; len(p.failed) > 0 {
		o.Status, o.Error = integration.EventFailed, "given up"
	}
	p.fresh, p.onLoan, p.excused, p.over = false, false, false, o.Status.Final()
	lost, err := m.Queue.Complete(m.Context(), one.owner, []lease.Done[integration.Outcome]{{Key: one.Key, Outcome: o}})
	if err != nil || len(lost) > 0 {
		m.rt.Fatalf("%s: lost %v, %v", one.ID, lost, err)
	}
}

// unpark makes due what waits for destinations that are not paused any more.
func (m *places) unpark() {
	s, ok := m.Store.(Destinations)
	if !ok {
		m.rt.Fatalf("%T can't pause destinations", m.Store)
	}
	list, err := s.ParkedEvents(m.Context(), false)
	if err != nil {
		m.rt.Fatal(err)
	}
	for _, one := range list {
		if slices.ContainsFunc(integration.ParkedNames(one.For), func(name string) bool { return !m.paused[name[len("stripe/"):]] }) {
			if _, err := s.Unpark(m.Context(), one.For, m.now, 1000); err != nil {
				m.rt.Fatal(err)
			}
		}
	}
}

// finish has one destination fail or paused for good, the others working: they
// get everything. Then that one works too.
func (m *places) finish() {
	m.crash()
	bad := rapid.SampledFrom(everywhere).Draw(m.rt, "bad")
	m.paused = map[string]bool{bad: rapid.Bool().Draw(m.rt, "paused for good")}
	m.down[bad] = true
	m.unpark()
	m.work(func(p *place) (n int) {
		if !p.over && p.fresh {
			n++
		}
		for name := range p.left {
			if name != bad {
				n++
			}
		}
		return n
	})
	m.paused, m.down = map[string]bool{}, map[string]bool{}
	m.unpark()
	m.work(func(p *place) int { return len(p.left) })
}

// work goes on until nothing is left, as left says it.
func (m *places) work(left func(*place) int) {
	count := func() (n int) {
		for _, l := range m.keys {
			for _, p := range l {
				n += left(p)
			}
		}
		return n
	}
	for range 300 {
		if count() == 0 {
			return
		}
		m.now = m.now.Add(10 * time.Minute)
		m.claim(20)
		for _, one := range m.loans {
			m.deliver(one, func(name string) integration.ProgressState {
				if m.down[name] {
					return integration.ProgressWaiting
				}
				return integration.ProgressSucceeded
			})
		}
		m.loans = nil
	}
	for subject, l := range m.keys {
		for _, p := range l {
			if left(p) > 0 {
				m.rt.Errorf("%s: %s still waits: %+v", subject, p.id, *p)
			}
		}
	}
	m.rt.Fatal("it does not come to an end")
}
