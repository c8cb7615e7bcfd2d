package draft

import (
	"cmp"
	"slices"

	"github.com/sallyport/sallyport/openapi"
)

// Report says how a plan came about.
type Report struct {
	// Candidates are the operations that were picked, those that were asked for
	// before those that they need, and then the ones that came close; best first.
	Candidates []Candidate
	// Uncovered are the parts of the need that no operation was found for, in
	// the words of the need.
	Uncovered []string
	// Events are the event types of the plan with the reason for each.
	Events []Candidate
	// Questions are what only a person knows and nobody has said. What is not
	// answered stands in the plan's open questions.
	Questions []Question
	// Defects of the provider's document.
	Defects []openapi.Defect
}

// Find picks the operations of a document that cover a need, without writing
// a plan: the Report has the candidates, picked or not, with a reason each, and
// what stays uncovered. It never fails; a need that says nothing gives an empty
// Report.
func Find(d *openapi.Document, need string) *Report {
	c := choose(d, need, nil)
	report := &Report{Uncovered: c.missed, Defects: d.Defects}
	for _, e := range c.events(nil) {
		report.Events = append(report.Events, Candidate{Call: e.kind, Picked: true, Score: e.value, Reason: e.why})
	}
	report.Candidates = c.candidates(names(c.picks))
	return report
}

// Candidate is an operation, or an event type, that was looked at.
type Candidate struct {
	Call    string  // "POST /v1/customers", or an event type
	Name    string  // of the endpoint in the plan; empty when it was not picked
	Summary string  // in the provider's words
	Score   float64 // comparable within one report only; 0 when something else asked for it
	Picked  bool
	Reason  string // why it was picked, or why not
}

// shown is how many candidates a person is shown beside the picked ones: with
// those about twenty.
const shown = 16

// candidates lists what was asked for, what that needs beside it, and what ranks
// first for each part of the need, so that one part does not crowd out another.
func (c *chooser) candidates(names map[*operation]string) []Candidate {
	near := c.nearest()
	var asked, beside, closest []Candidate
	for _, i := range order(c.best) {
		o := c.index.ops[i]
		one := Candidate{Call: o.Call(), Summary: purpose(o), Score: c.best[i]}
		switch p, picked := c.byOp[o]; {
		case picked:
			one.Picked, one.Name, one.Reason = true, names[o], joined(p.why)
			if p.beside {
				beside = append(beside, one)
			} else {
				asked = append(asked, one)
			}
		case near[i]:
			one.Reason = c.whyNot(o)
			closest = append(closest, one)
		}
	}
	return slices.Concat(asked, beside, closest)
}

// nearest are the operations that came close, taken from the clauses in turn.
func (c *chooser) nearest() map[int]bool {
	near := map[int]bool{}
	at := make([]int, len(c.ranked))
	for len(near) < shown {
		found := false
		for i, list := range c.ranked {
			for at[i] < len(list) {
				o := list[at[i]]
				at[i]++
				_, picked := c.byOp[c.index.ops[o]]
				if c.best[o] == 0 || picked || near[o] {
					continue
				}
				if len(near) < shown {
					near[o], found = true, true
				}
				break
			}
		}
		if !found {
			break
		}
	}
	return near
}

// order of operations by what they are worth, best first, then as the document
// has them.
func order(scores []float64) []int {
	out := make([]int, len(scores))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return out
}
