package document

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
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
	}
	f.add("Credential", kindWords(p.Auth.Use))
	f.add("Endpoints", t(count(len(p.Endpoints), "endpoint"), ": "), codes(names(p.Endpoints)))
	if hooks := p.Webhooks; hooks != nil {
		f.add("Events", t(count(len(hooks.Events), "event type"), ": "), codes(names(hooks.Events)))
	} else {
		f.add("Events", "none are received")
	}
	f.add("Environments", codes(names(p.Environments)))
	f.add("Open questions", w.openCount())
	if n := len(w.unenforced); n > 0 {
		f.add("Not acted upon yet", t(strongSpan(fmt.Sprintf("%d of %d statements", n, len(w.rows))), ", listed below"))
	}
	if refused := w.notServed(); len(refused) > 0 {
		f.add("Not served yet", codes(refused), ": this version can't read secrets from where the plan keeps them")
	}
	if p.Monitoring.Owner != "" {
		f.add("Looked after by", p.Monitoring.Owner)
	}
	w.table("At a glance", []string{"What", "This plan"}, f)
	w.table("What happens on failure", []string{"Answer", "What follows"}, w.failureSummary())
}

func (w *writer) openCount() text {
	open, recalled := len(w.plan.OpenQuestions), len(w.plan.Recalled())
	out := t(strongSpan(count(open, "question")))
	if open == 0 {
		out = t("none asked")
	}
	if recalled > 0 {
		out = t(out, "; ", strongSpan(count(recalled, "part")), " of the profile nobody has confirmed")
	}
	return out
}

// failureSummary puts answers that have the same consequence in one row.
func (w *writer) failureSummary() [][]text {
	var order []string
	keys := map[string][]string{}
	for _, key := range w.errorKeys() {
		words := w.plan.ErrorPolicy(key).Words()
		if keys[words] == nil {
			order = append(order, words)
		}
		keys[words] = append(keys[words], key)
	}
	rows := make([][]text, 0, len(order)+1)
	for _, words := range order {
		rows = append(rows, []text{codes(keys[words]), t(words)})
	}
	if w.plan.Webhooks != nil {
		rows = append(rows, []text{t("a webhook with a wrong signature"), t("refused; nothing is kept of its content")})
	}
	return rows
}

// sections are those of the profile that this document shows: of the ways to
// authenticate only the one that is used, webhooks only when events are.
func (w *writer) sections() []catalog.Section {
	auth := 0
	var list []catalog.Section
	for _, s := range w.provider.Sections() {
		use := true
		switch s.Name {
		case "auth":
			use = w.provider.Auth[auth].Kind == w.plan.Auth.Use
			auth++
		case "webhooks":
			use = w.plan.Webhooks != nil
		}
		if use {
			list = append(list, s)
		}
	}
	return list
}

// asked reports whether the plan itself asks about a section of the profile.
func (w *writer) asked(section string) bool {
	return slices.ContainsFunc(w.plan.OpenQuestions, func(q plan.Question) bool { return q.About == section })
}

func (w *writer) questions() {
	w.section("open-questions", "Open questions")
	recalled := w.plan.Recalled()
	if len(w.plan.OpenQuestions) == 0 && len(recalled) == 0 {
		w.say("None.")
		return
	}
	var rows [][]text
	for _, q := range w.plan.OpenQuestions {
		rows = append(rows, []text{t(codeSpan(q.About)), t(q.Ask), lookText(q.Look)})
	}
	for _, r := range recalled {
		if w.asked(r.Section.Name) {
			continue
		}
		ask := t("Is it so? The profile has this section from memory.")
		if len(r.Fields) > 0 {
			ask = t("Is it so? From memory are ", codes(r.Fields), ".")
		}
		look := t(sourcesText(r.Section.Provenance.Source))
		if len(r.Section.Provenance.Source) == 0 {
			look = lookText(w.provider.Docs)
		}
		rows = append(rows, []text{t(codeSpan("profile." + r.Section.Path)), ask, look})
	}
	w.table("What nobody has answered yet", []string{"About", "Question", "Where to look"}, rows)
	if len(recalled) > 0 {
		w.say("Whoever confirms a part of the profile writes it into the plan under ", codeSpan("profile.confirmed"), ", with the day and the source.")
	}
}

func lookText(look string) text {
	if strings.HasPrefix(look, "http") {
		return t(linkSpan(look))
	}
	return t(look)
}

// notYet says loudly what the plan asks for and the gateway does not do.
func (w *writer) notYet() {
	refused := w.notServed()
	if len(w.unenforced) == 0 && len(refused) == 0 {
		return
	}
	w.section("not-acted-upon-yet", "Not acted upon yet")
	if len(refused) > 0 {
		w.note("This version of Sallyport reads secrets from ", codeSpan("env:"), " and ", codeSpan("file:"), " only. It refuses to serve: ", codes(refused), ".")
	}
	if len(w.unenforced) == 0 {
		return
	}
	w.note("The plan says the following, and this version of Sallyport does not act upon it. Until it does, it is yours to provide.")
	rows := make([][]text, len(w.unenforced))
	for i, r := range w.unenforced {
		rows[i] = []text{t(codeSpan(r.ID)), t(r.Statement), t(r.Reason)}
	}
	w.table("Statements this version does not act upon", []string{"Row", "Statement", "Why not"}, rows)
}

// pending marks a statement where it is told again, when it is the row of one
// that this version does not act upon; nothing for all others.
func (w *writer) pending(row string) text {
	if slices.ContainsFunc(w.unenforced, func(r plan.Row) bool { return r.ID == row }) {
		return t(" (", strongSpan("not acted upon yet"), ")")
	}
	return nil
}

// notServed are the environments with secrets this version can't read: the
// format has vault: and ssm:, the gateway does not.
func (w *writer) notServed() []string {
	var list []string
	for _, name := range names(w.plan.Environments) {
		env := w.plan.Environments[name]
		for _, secret := range names(env.Secrets) {
			if slices.ContainsFunc(env.Secrets[secret], func(ref string) bool {
				return strings.HasPrefix(ref, "vault:") || strings.HasPrefix(ref, "ssm:")
			}) {
				list = append(list, name)
				break
			}
		}
	}
	return list
}

func (w *writer) decision() {
	w.section("decision", "Decision")
	d := w.plan.Decision
	if d == nil {
		w.note("The plan does not say whether a client is built, the provider's SDK is used or a product is bought. Write it under ", codeSpan("decision"), ".")
	} else {
		var f facts
		f.add("Choice", decisionWords(d.Choice))
		f.add("Why", d.Why)
		f.add("Decided by", d.Owner)
		f.add("To be looked at again", d.ReviewBy)
		w.table("Build, use the SDK, or buy", []string{"What", "Decided"}, f)
	}
	var sdks []text
	if sdk := w.provider.SDK; sdk.Go != "" {
		by := " for Go, not the provider's own"
		if sdk.GoOfficial {
			by = " for Go, the provider's own"
		}
		sdks = append(sdks, t(codeSpan(sdk.Go), by))
	}
	if npm := w.provider.SDK.NPM; npm != "" {
		sdks = append(sdks, t(codeSpan(npm), " on npm"))
	}
	if len(sdks) == 0 {
		w.say("The profile knows of no library for this provider.")
		return
	}
	w.say("Libraries the profile knows of: ", joined(sdks, "; "), ".")
}

func decisionWords(choice string) string {
	words := map[string]string{"build": "build a client of our own", "sdk": "use the provider's SDK", "buy": "buy a product"}
	if s, ok := words[choice]; ok {
		return s
	}
	return choice
}

func (w *writer) considered() {
	if len(w.plan.Considered) == 0 {
		return
	}
	w.section("considered", "Considered and not used")
	rows := make([][]text, len(w.plan.Considered))
	for i, c := range w.plan.Considered {
		rows[i] = []text{t(codeSpan(c.Call)), t(c.WhyNot)}
	}
	w.table("Operations that came close", []string{"Operation", "Why not"}, rows)
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

// positionText is where the plan says something.
func positionText(p plan.Position) text {
	if p.Line == 0 {
		return nil
	}
	return t(fmt.Sprintf("line %d", p.Line))
}
