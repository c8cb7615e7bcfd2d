package main

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/plan"
)

// showDraft tells a person what was picked and why, what came close, and what
// stays open.
func (t *terminal) showDraft(p *plan.Plan, report *draft.Report, changes *draft.Changes) {
	if t.quiet {
		return
	}
	t.say("\n%s", styleBold.Render("Picked"))
	for _, c := range report.Candidates {
		if c.Picked {
			t.say("  %s %-44s %s", styleGood.Render("✓"), c.Call, styleDim.Render(c.Reason))
		}
	}
	for _, e := range report.Events {
		if e.Picked {
			t.say("  %s %-44s %s", styleGood.Render("✓"), e.Call, styleDim.Render(e.Reason))
		}
	}
	if len(p.Considered) > 0 {
		t.say("%s", styleBold.Render("Came close"))
		for _, c := range p.Considered {
			t.say("  %s %-44s %s", styleDim.Render("·"), c.Call, styleDim.Render(c.WhyNot))
		}
	}
	if len(report.Uncovered) > 0 {
		t.say("%s %s", styleBad.Render("Not covered:"), strings.Join(report.Uncovered, "; "))
	}
	if len(p.OpenQuestions) > 0 {
		t.say("%s", styleBold.Render(fmt.Sprintf("Open questions: %d", len(p.OpenQuestions))))
		for _, q := range p.OpenQuestions {
			t.say("  ? %s: %s", q.About, q.Ask)
		}
	}
	if n := len(report.Defects); n > 0 {
		t.say("%s", styleDim.Render(fmt.Sprintf("The provider's document has %d defects that did not stop the import.", n)))
	}
	t.showChanges(changes)
	t.say("")
}

// showChanges says what a second run did to a plan that was there.
func (t *terminal) showChanges(changes *draft.Changes) {
	if changes == nil {
		return
	}
	if len(changes.Added) == 0 {
		t.say("%s nothing is new; your file stays as it is", styleBold.Render("Against the plan that is there:"))
	} else {
		t.say("%s added %s", styleBold.Render("Against the plan that is there:"), strings.Join(changes.Added, ", "))
	}
	for _, k := range changes.Kept {
		t.say("  %s stays %s; it would now be %s", k.Path, brief(k.Yours), brief(k.Planned))
	}
	for _, l := range changes.Left {
		t.say("  %s was not added: %s", l.Path, l.Why)
	}
}

func brief(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
