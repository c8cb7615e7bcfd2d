package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/plan"
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
		{furtherTitle, w.furtherPoints},
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

// pointsOf are the points of a group, the plan's own answers in place of those
// that follow from its other keys.
func (w *writer) pointsOf(g group) []point {
	var l pointList
	g.list(&l)
	for i := range l.points {
		p := &l.points[i]
		if own, ok := w.plan.Points[p.id]; ok {
			p.state, p.answer = ownPoint(own)
		}
	}
	return l.points
}

// ownPoint is a point as the plan answers it.
func ownPoint(own plan.Point) (pointState, text) {
	state, answer := answered, t(own.Value)
	switch {
	case own.Ask != "":
		state, answer = open, t(own.Ask)
	case own.Because != "":
		state, answer = notApplicable, t(own.Because)
	}
	if own.Look != "" {
		answer = t(answer, " (", lookText(own.Look), ")")
	}
	return state, answer
}

// furtherPoints are those that only the plan knows.
func (w *writer) furtherPoints(l *pointList) {
	known := map[string]bool{}
	for _, g := range w.groups() {
		if g.title == furtherTitle {
			continue
		}
		var other pointList
		g.list(&other)
		for _, p := range other.points {
			known[p.id] = true
		}
	}
	for _, id := range names(w.plan.Points) {
		if !known[id] {
			state, answer := ownPoint(w.plan.Points[id])
			l.points = append(l.points, point{id, "", state, answer, 1})
		}
	}
	slices.SortStableFunc(l.points, func(a, b point) int { return cmp.Compare(pointNumber(a.id), pointNumber(b.id)) })
}

const furtherTitle = "Further points"

// openPoints is how many points are open.
func (w *writer) openPoints() int {
	if w.answered == nil {
		for _, g := range w.groups() {
			w.answered = append(w.answered, w.pointsOf(g)...)
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
	var blocks []any
	for _, g := range w.groups() {
		list := w.pointsOf(g)
		if len(list) == 0 {
			continue
		}
		counted := [3]int{}
		rows := make([][]text, 0, len(list))
		for _, p := range list {
			total += p.covers
			counted[p.state] += p.covers
			rows = append(rows, []text{t(p.id+" ", p.what), p.words()})
		}
		about := "Points about " + strings.ToLower(g.title)
		if n := counted[open]; n > 0 {
			about += fmt.Sprintf(", %d open", n)
		}
		blocks = append(
			blocks,
			heading{level: 3, title: t(g.title), id: "points-" + strings.ToLower(strings.Fields(g.title)[0])},
			table{caption: about, head: []string{"Point", "Answer"}, rows: rows, folded: true},
		)
	}
	w.say("What an experienced reader asks of any integration: ", count(total, "point"), ", ", strongSpan(number(w.openPoints())+" open"), ". A point that is open has its answer in the place it names; write it into the plan under ", codeSpan("points"), ".")
	w.page.blocks = append(w.page.blocks, blocks...)
}

// words are the answer with what it is.
func (p point) words() text {
	switch p.state {
	case notApplicable:
		return t("does not apply, because ", p.answer)
	case open:
		return t(strongSpan("open"), ": ", p.answer)
	case answered:
	}
	return p.answer
}
