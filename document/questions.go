package document

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

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

// lookText links the addresses of a place to look; several have commas between.
func lookText(look string) text {
	if !strings.Contains(look, "http") {
		return t(look)
	}
	parts := strings.Split(look, ", ")
	list := make([]text, len(parts))
	for i, part := range parts {
		list[i] = t(part)
		if strings.HasPrefix(part, "http") {
			list[i] = t(linkSpan(part))
		}
	}
	return joined(list, ", ")
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
