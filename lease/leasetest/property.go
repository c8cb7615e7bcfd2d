package leasetest

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/lease"
)

// row is what the model knows of a row.
type row struct {
	due      time.Time
	at       time.Time // when it can be claimed: its due time, or the end of its lease
	owner    string    // empty: on loan to nobody
	attempt  int
	finished bool
}

// model runs the same steps as the queue and says what must come of them.
type model[T, O any] struct {
	*fixture[T, O]
	now  time.Time
	rows map[string]*row
	// believed is what each owner thinks it holds. A crashed owner that comes
	// back from a pause still believes in loans that are another's now.
	believed map[string][]lease.Key
}

var owners = []string{"a", "b", "c"}

// testProperty goes on with one queue and one clock over all runs; each run
// drains it in the end, which is how a lost row would show.
func testProperty[T, O any](f *fixture[T, O]) {
	clock := start
	rapid.Check(f.T, func(rt *rapid.T) {
		m := &model[T, O]{fixture: f, now: clock, rows: map[string]*row{}, believed: map[string][]lease.Key{}}
		defer func() { clock = m.now.Add(time.Hour) }()
		m.clean()
		rt.Repeat(map[string]func(*rapid.T){
			"add":      m.add,
			"tick":     m.tick,
			"claim":    m.take,
			"renew":    m.extend,
			"complete": m.end,
			"crash":    m.crash,
		})
		m.drain(rt)
	})
}

// clean removes what a run that failed left behind, so that rapid can shrink
// the failure.
func (m *model[T, O]) clean() {
	for {
		keys := m.claim("clean", m.now, 50)
		if len(keys) == 0 {
			return
		}
		m.complete("clean", m.Finish, keys...)
	}
}

func (m *model[T, O]) add(rt *rapid.T) {
	due := m.now.Add(time.Duration(rapid.IntRange(-3, 15).Draw(rt, "due in")) * time.Second)
	m.rows[m.Add(m, due)] = &row{due: due, at: due}
}

func (m *model[T, O]) tick(rt *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 12).Draw(rt, "seconds")) * time.Second)
}

func (m *model[T, O]) take(rt *rapid.T) {
	m.takeAs(rt, rapid.SampledFrom(owners).Draw(rt, "owner"), rapid.IntRange(1, 5).Draw(rt, "limit"))
}

func (m *model[T, O]) takeAs(rt *rapid.T, owner string, limit int) []lease.Key {
	var due []time.Time
	for _, r := range m.rows {
		if !r.finished && !r.at.After(m.now) {
			due = append(due, r.at)
		}
	}
	slices.SortFunc(due, time.Time.Compare)
	keys := m.claim(owner, m.now, limit)
	if want := min(limit, len(due)); len(keys) != want {
		rt.Fatalf("%s claimed %d rows of %d due with limit %d", owner, len(keys), len(due), limit)
	}
	for _, k := range keys {
		r := m.rows[k.ID]
		switch {
		case r == nil:
			rt.Fatalf("claimed %s, which was never added", k.ID)
		case r.finished:
			rt.Fatalf("claimed %s, which is finished", k.ID)
		case r.at.After(due[len(keys)-1]):
			rt.Fatalf("claimed %s before rows that have been due for longer", k.ID)
		case k.Attempt != r.attempt+1:
			rt.Fatalf("loan of %s is attempt %d after %d", k.ID, k.Attempt, r.attempt)
		}
		r.owner, r.attempt, r.at = owner, k.Attempt, m.now.Add(term)
	}
	m.believed[owner] = append(m.believed[owner], keys...)
	return keys
}

// some draws an owner and a part of what it believes to hold.
func (m *model[T, O]) some(rt *rapid.T) (owner string, keys []lease.Key, lost []lease.Key) {
	owner = rapid.SampledFrom(owners).Draw(rt, "owner")
	for i, k := range m.believed[owner] {
		if !rapid.Bool().Draw(rt, fmt.Sprint("with ", i)) || slices.Contains(keys, k) {
			continue
		}
		keys = append(keys, k)
		if !m.holds(owner, k) {
			lost = append(lost, k)
		}
	}
	return owner, keys, lost
}

func (m *model[T, O]) holds(owner string, k lease.Key) bool {
	r := m.rows[k.ID]
	return r != nil && !r.finished && r.owner == owner && r.attempt == k.Attempt
}

func (m *model[T, O]) extend(rt *rapid.T) {
	owner, keys, want := m.some(rt)
	until := m.now.Add(term)
	same(rt, "renew", m.renew(owner, until, keys...), want)
	for _, k := range keys {
		if m.holds(owner, k) {
			m.rows[k.ID].at = until
		}
	}
}

func (m *model[T, O]) end(rt *rapid.T) {
	owner, keys, want := m.some(rt)
	how := rapid.SampledFrom([]string{"finish", "again", "release"}).Draw(rt, "how")
	later := m.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(rt, "again in")) * time.Second)
	outcome := map[string]O{"finish": m.Finish, "again": m.Again(later), "release": m.Release}[how]
	same(rt, "complete", m.complete(owner, outcome, keys...), want)
	for _, k := range keys {
		if !m.holds(owner, k) {
			continue
		}
		r := m.rows[k.ID]
		r.owner = ""
		switch how {
		case "finish":
			r.finished = true
		case "again":
			r.due, r.at = later, later
		case "release":
			r.attempt--
			r.at = r.due
		}
	}
	if how == "release" {
		// A runner says nothing more about what it gave back.
		m.believed[owner] = slices.DeleteFunc(m.believed[owner], func(k lease.Key) bool { return slices.Contains(keys, k) })
	}
}

// crash makes an owner forget what it holds: nobody completes it.
func (m *model[T, O]) crash(rt *rapid.T) {
	delete(m.believed, rapid.SampledFrom(owners).Draw(rt, "owner"))
}

// drain lets all leases run out and finishes what is left: each row once.
func (m *model[T, O]) drain(rt *rapid.T) {
	m.now = m.now.Add(time.Hour)
	for {
		keys := m.takeAs(rt, "drain", 50)
		if len(keys) == 0 {
			break
		}
		same(rt, "drain", m.complete("drain", m.Finish, keys...), nil)
		for _, k := range keys {
			m.rows[k.ID].finished = true
		}
	}
	for id, r := range m.rows {
		if !r.finished {
			rt.Fatalf("row %s was lost", id)
		}
		m.finished(id, true)
	}
}

func same(rt *rapid.T, what string, got, want []lease.Key) {
	if len(got) != len(want) {
		rt.Fatalf("%s lost %v, want %v", what, got, want)
	}
	for _, k := range want {
		if !slices.Contains(got, k) {
			rt.Fatalf("%s lost %v, want %v", what, got, want)
		}
	}
}
