package draft

import (
	"cmp"
	"slices"

	"github.com/sallyport/sallyport/openapi"
)

// Report says how a plan came about.
type Report struct {
	// Candidates are the operations that rank first for the need, and every
	// one that was picked, best first.
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

// shown is how many candidates a person is shown beside the picked ones.
const shown = 12

// candidates lists what ranks first and what was picked.
func (c *chooser) candidates(names map[*operation]string) []Candidate {
	order := make([]int, len(c.index.ops))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.best[b], c.best[a]) })
	var out []Candidate
	others := 0
	for _, i := range order {
		o := c.index.ops[i]
		one := Candidate{Call: o.Call(), Summary: purpose(o), Score: c.best[i]}
		if p, picked := c.byOp[o]; picked {
			one.Picked, one.Name, one.Reason = true, names[o], joined(p.why)
			out = append(out, one)
			continue
		}
		if c.best[i] == 0 || others == shown {
			continue
		}
		others++
		one.Reason = c.whyNot(o)
		out = append(out, one)
	}
	return out
}
