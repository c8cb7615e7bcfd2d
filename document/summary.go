package document

import (
	"fmt"
	"maps"
	"slices"
)

// summary is what fits on one screen; everything else is read when in doubt.
func (w *writer) summary() {
	w.section("summary", "Summary")
	p, pr := w.plan, w.provider
	var f facts
	provider := t(pr.Name)
	if pr.API.Version != "" {
		provider = t(provider, ", version ", codeSpan(pr.API.Version))
	}
	f.add("Provider", provider)
	if p.Decision != nil {
		f.add("Decision", decisionWords(p.Decision.Choice))
	} else {
		f.add("Decision", strongSpan("none yet"))
	}
	f.add("Calls", t(count(len(p.Endpoints), "endpoint"), ": "), some(names(p.Endpoints)))
	if hooks := p.Webhooks; hooks != nil {
		f.add("Events", t(count(len(hooks.Events), "type"), ": "), some(names(hooks.Events)))
	} else {
		f.add("Events", "none are received")
	}
	f.add("Open questions", w.openCount())
	f.add("Checks", w.checkCount())
	if n := len(w.unenforced); n > 0 {
		f.add("Not acted upon yet", t(strongSpan(fmt.Sprintf("%d of %d statements", n, len(w.rows))), ", listed below"))
	}
	f.add("Credential", kindWords(p.Auth.Use), w.pending("auth.credential"))
	f.add("Environments", codes(names(p.Environments)))
	if p.Monitoring.Owner != "" {
		f.add("Looked after by", p.Monitoring.Owner)
	} else {
		f.add("Looked after by", strongSpan("nobody yet"))
	}
	w.table("At a glance", []string{"What", "This plan"}, f)
	w.topRisks()
}

// some names the first of many.
func some(list []string) text {
	const few = 6
	if len(list) <= few+1 {
		return codes(list)
	}
	return t(codes(list[:few]), fmt.Sprintf(" and %d more", len(list)-few))
}

func (w *writer) openCount() text {
	var parts []text
	if n := len(w.plan.OpenQuestions); n > 0 {
		parts = append(parts, t(strongSpan(count(n, "question"))))
	} else {
		parts = append(parts, t("none asked"))
	}
	if n := len(w.plan.Recalled()); n > 0 {
		parts = append(parts, t(strongSpan(count(n, "part")), " of the profile nobody has confirmed"))
	}
	if n := w.openPoints(); n > 0 {
		parts = append(parts, t(strongSpan(count(n, "plan point")), " without an answer"))
	}
	return joined(parts, "; ")
}

// count is a number with its noun: 1 endpoint, 4 endpoints.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// names are the keys of a map in order.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
