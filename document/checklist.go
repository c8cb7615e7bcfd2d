package document

import (
	"strings"

	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/review"
)

// fourteen begins the ids of the checks that every plan is held against (R7.1).
const fourteen = "R7.1."

// check is what the review says of one of the fourteen.
type check struct {
	rule    review.Finding
	outcome review.Outcome
	said    []review.Finding // with this outcome
}

// checks are the fourteen with their evidence. The review is the one place that
// knows what they ask for; it needs no date for them.
func (w *writer) checks() []check {
	if w.checked != nil {
		return w.checked
	}
	worst := map[review.Outcome]int{review.Fail: 3, review.Unknown: 2, review.Pass: 1}
	at := map[string]int{}
	for _, f := range review.Plan(w.plan, review.Options{Document: w.doc}).Findings {
		if !strings.HasPrefix(f.Rule, fourteen) {
			continue
		}
		i, ok := at[f.Rule]
		if !ok {
			i = len(w.checked)
			at[f.Rule] = i
			w.checked = append(w.checked, check{rule: f, outcome: f.Outcome})
		}
		c := &w.checked[i]
		if worst[f.Outcome] > worst[c.outcome] {
			c.outcome, c.said = f.Outcome, nil
		}
		if f.Outcome == c.outcome {
			c.said = append(c.said, f)
		}
	}
	return w.checked
}

// checkCount is the result of the fourteen in a line.
func (w *writer) checkCount() text {
	counted := map[review.Outcome]int{}
	for _, c := range w.checks() {
		counted[c.outcome]++
	}
	var parts []text
	for _, o := range []review.Outcome{review.Pass, review.Fail, review.Unknown, review.NotApplicable} {
		switch n := counted[o]; {
		case n == 0:
		case o == review.Fail:
			parts = append(parts, t(strongSpan(number(n)+" "+outcomeWords(o))))
		default:
			parts = append(parts, t(number(n), " ", outcomeWords(o)))
		}
	}
	return joined(parts, ", ")
}

func outcomeWords(o review.Outcome) string {
	switch o {
	case review.Pass:
		return "pass"
	case review.Fail:
		return "fail"
	case review.NotApplicable:
		return "do not apply"
	}
	return "unknown"
}

// checklist shows the fourteen checks with their evidence, then what people do
// before the first live call.
func (w *writer) checklist() {
	w.section("checklist", "Checklist")
	var work, rest [][]text
	for _, c := range w.checks() {
		row := []text{t(c.rule.Title), t(outcomeWords(c.outcome)), evidence(c)}
		switch c.outcome {
		case review.Fail:
			row[1] = t(strongSpan(outcomeWords(c.outcome)))
			work = append(work, row)
		case review.Unknown:
			work = append(work, row)
		default:
			rest = append(rest, row)
		}
	}
	w.say("Of the fourteen checks that every plan is held against: ", w.checkCount(), ".")
	w.table("Checks that fail, or that a plan alone can't answer", []string{"Check", "Result", "Evidence"}, work)
	w.details("Checks that pass or do not apply", []string{"Check", "Result", "Evidence"}, rest)
	w.part("before-live", "Before the first live call")
	w.list(boxes, w.chores()...)
}

// fewFindings is how many places of one check are shown.
const fewFindings = 3

// evidence is what shows the result: what was found, the rows it is about, and
// the way out.
func evidence(c check) text {
	var parts []text
	for _, f := range c.said[:min(fewFindings, len(c.said))] {
		said := t(f.Message)
		if rows := f.Rows; len(rows) > 0 && len(rows) <= fewFindings {
			said = t(said, " (", codes(rows), ")")
		} else if f.Path != "" {
			said = t(said, " (", codeSpan(f.Path), ")")
		}
		parts = append(parts, said)
	}
	if more := len(c.said) - fewFindings; more > 0 {
		parts = append(parts, t(number(more), " more"))
	}
	out := joined(parts, "; ")
	if c.outcome == review.Fail || c.outcome == review.Unknown {
		out = t(out, ". ", c.said[0].Fix)
	}
	return out
}

// chores are what people have to do, made of this plan.
func (w *writer) chores() []text {
	p := w.plan
	var items []text
	add := func(parts ...any) { items = append(items, t(parts...)) }
	if p.Decision == nil {
		add("Decide: build, SDK or buy, with the reasons.")
	}
	if n := len(p.OpenQuestions); n > 0 {
		add("Answer the ", count(n, "open question"), ".")
	}
	if n := len(w.plan.Recalled()); n > 0 {
		add("Confirm the ", count(n, "part"), " of the profile that nobody has confirmed against the provider's documentation, with day and source.")
	}
	if n := w.openPoints(); n > 0 {
		add("Go through the ", count(n, "plan point"), " without an answer; write down what was decided.")
	}
	if p.Profile.Spec == nil || p.Profile.Spec.SHA256 == "" {
		add("Pin the provider's API document by its hash.")
	}
	var kept, lost []text
	for _, name := range names(p.Environments) {
		if secrets := p.Environments[name].Secrets; len(secrets) > 0 {
			kept = append(kept, t(codeSpan(name), ": ", codes(names(secrets))))
		} else {
			lost = append(lost, t(codeSpan(name)))
		}
	}
	if len(kept) > 0 {
		add("Put the secrets of each environment where the plan looks for them, and no other's: ", joined(kept, "; "), ".")
	}
	if len(lost) > 0 {
		add("Say in the plan where secrets are kept for ", joined(lost, ", "), ".")
	}
	if hooks := p.Webhooks; hooks != nil {
		add("Register the address ", codeSpan("/api/webhooks/"+p.Service), " at ", w.provider.Name, ", per environment, for: ", some(names(hooks.Events)), ".")
		for _, name := range names(p.Destinations) {
			add("Let destination ", codeSpan(name), " check the signature, answer within ", words(p.Destinations[name].Timeout.Or(plan.DefaultDestinationTimeout)), " and bear the same event twice.")
		}
	}
	for _, name := range names(p.Endpoints) {
		e := p.Endpoints[name]
		if e.Effect == plan.EffectCreate && e.Idempotency == nil {
			add("Give ", codeSpan(name), " an idempotency key, or write down what a doubtful answer leads to.")
		}
	}
	if len(w.unenforced) > 0 {
		add("Provide for what is ", strongSpan("not acted upon yet"), ", or accept it in writing: ", count(len(w.unenforced), "statement"), ".")
	}
	add("Run the tests against the stand-in; each row of the plan is proven or explained.")
	if p.Monitoring.Runbook != "" {
		add("Walk through the runbook once: ", lookOrCode(p.Monitoring.Runbook), ".")
	} else {
		add("Write a runbook and name it in the plan.")
	}
	return items
}
