package document

import (
	"fmt"
	"strings"
)

// point is one thing a complete plan says: a value, that it does not apply and
// why, or that it is open and where to look. Silence is not among them.
type point struct {
	id, what string
	state    pointState
	answer   text
	covers   int // how many points one line stands for, when all have one answer
}

type pointState int

const (
	answered pointState = iota
	notApplicable
	open
)

// group is a list of points under one title.
type group struct {
	title string
	list  func(*pointList)
}

// groups are the plan points in their order, by what they are about.
func (w *writer) groups() []group {
	return []group{
		{"Contract and version", w.contractPoints},
		{"Calls", w.callPoints},
		{"Credentials", w.credentialPoints},
		{"Webhooks", w.webhookPoints},
		{"Data", w.dataPoints},
		{"Proof", w.proofPoints},
		{"Operating", w.operatingPoints},
		{"Leaving", w.leavingPoints},
	}
}

// pointList collects the points of one group.
type pointList struct{ points []point }

// value answers a point; an empty answer leaves it open.
func (l *pointList) value(id, what, look string, answer text) {
	if len(answer) == 0 {
		l.open(id, what, look)
		return
	}
	l.points = append(l.points, point{id, what, answered, answer, 1})
}

// not says that a point does not apply, because.
func (l *pointList) not(id, what string, because ...any) {
	l.points = append(l.points, point{id, what, notApplicable, t(because...), 1})
}

// open says that nobody has answered, and where to look.
func (l *pointList) open(id, what, look string) {
	l.points = append(l.points, point{id, what, open, t(look), 1})
}

// fixed is how the gateway always does it, whatever the plan says.
func (l *pointList) fixed(id, what string, how ...any) {
	l.points = append(l.points, point{id, what, answered, t(how...), 1})
}

// openPoints is how many points are open.
func (w *writer) openPoints() int {
	if w.answered == nil {
		for _, g := range w.groups() {
			var l pointList
			g.list(&l)
			w.answered = append(w.answered, l.points...)
		}
	}
	n := 0
	for _, p := range w.answered {
		if p.state == open {
			n += p.covers
		}
	}
	return n
}

// points shows each point, one line each, so that a change shows as one line.
func (w *writer) points() {
	w.section("plan-points", "Plan points")
	total := 0
	var tables []table
	for _, g := range w.groups() {
		var l pointList
		g.list(&l)
		counted := [3]int{}
		rows := make([][]text, 0, len(l.points))
		for _, p := range l.points {
			total += p.covers
			counted[p.state] += p.covers
			answer := p.answer
			switch p.state {
			case notApplicable:
				answer = t("does not apply, because ", answer)
			case open:
				answer = t(strongSpan("open"), ": ", answer)
			case answered:
			}
			rows = append(rows, []text{t(p.id+" ", p.what), answer})
		}
		caption := g.title
		if n := counted[open]; n > 0 {
			caption = fmt.Sprintf("%s: %d of %d open", g.title, n, len(rows))
		}
		tables = append(tables, table{caption: caption, head: []string{"Point", "Answer"}, rows: rows, folded: true})
	}
	w.say("What an experienced reader asks of any integration: ", count(total, "point"), ", ", strongSpan(number(w.openPoints())+" open"), ". A point that is open has its answer in the place it names; write it into the plan, or into the runbook.")
	for i, g := range w.groups() {
		w.part("points-"+strings.ToLower(strings.Fields(g.title)[0]), g.title)
		w.page.blocks = append(w.page.blocks, tables[i])
	}
}
