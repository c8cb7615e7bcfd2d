package main

import (
	"fmt"
	"maps"
	"slices"
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

// showSummary is the plan at a glance.
func (t *terminal) showSummary(p *plan.Plan, file string) {
	if t.quiet {
		return
	}
	effects := map[plan.Effect]int{}
	for _, e := range p.Endpoints {
		effects[e.Effect]++
	}
	var calls []string
	for _, e := range []plan.Effect{plan.EffectRead, plan.EffectUpdate, plan.EffectCreate, plan.EffectIrreversible} {
		if effects[e] > 0 {
			calls = append(calls, fmt.Sprintf("%d %s", effects[e], e))
		}
	}
	events, to := 0, "none received"
	if p.Webhooks != nil {
		events = len(p.Webhooks.Events)
		to = "to " + strings.Join(slices.Sorted(maps.Keys(p.Destinations)), ", ")
	}
	rows := 0
	for _, m := range p.Mappings {
		rows += len(m)
	}
	owner := p.Monitoring.Owner
	if owner == "" {
		owner = "nobody yet"
	}
	decision := "none yet"
	if p.Decision != nil {
		decision = p.Decision.Choice
	}
	t.say("%s", styleBold.Render(file))
	for _, row := range [][2]string{
		{"calls", fmt.Sprintf("%d (%s)", len(p.Endpoints), strings.Join(calls, ", "))},
		{"events", fmt.Sprintf("%d, %s", events, to)},
		{"mapped fields", fmt.Sprintf("%d in %d tables", rows, len(p.Mappings))},
		{"environments", strings.Join(slices.Sorted(maps.Keys(p.Environments)), ", ")},
		{"decision", decision},
		{"owner", owner},
		{"open questions", fmt.Sprint(len(p.OpenQuestions))},
	} {
		t.say("  %-16s %s", row[0], row[1])
	}
}

// showNext says what to do with a plan.
func (t *terminal) showNext(p *plan.Plan, file string) {
	steps := []string{}
	if n := len(p.OpenQuestions); n > 0 {
		steps = append(steps, fmt.Sprintf("answer the open questions in %s (%d), by flags or in the file", file, n))
	}
	steps = append(steps, "sallyport review "+file, "sallyport sandbox "+file+"   and call it as if it were the provider")
	for i, s := range steps {
		if i == 0 {
			t.say("next: %s", s)
			continue
		}
		t.say("      %s", s)
	}
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
