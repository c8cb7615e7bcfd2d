package document

// decision is what was decided and why, and what speaks for what (R0.2).
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
	w.weighed()
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

// weighed is the table of what speaks for what, as the plan weighs it.
func (w *writer) weighed() {
	d := w.plan.Decision
	if d == nil {
		return
	}
	if len(d.Weighed) == 0 {
		w.note("The plan does not say what was weighed. Write it under ", codeSpan("decision.weighed"), ".")
		return
	}
	rows := make([][]text, 0, len(d.Weighed)+1)
	best := 0
	for _, c := range d.Weighed {
		best += c.Weight * mostPoints
		rows = append(rows, []text{t(c.What), t(number(c.Weight)), t(number(c.Build)), t(number(c.SDK)), t(number(c.Buy))})
	}
	build, sdk, buy := d.Totals()
	rows = append(rows, []text{t("Weighed, of ", number(best)), nil, t(strongSpan(number(build))), t(strongSpan(number(sdk))), t(strongSpan(number(buy)))})
	w.table("What was weighed, with points from 0 to 5", []string{"Criterion", "Weight", "Build", "SDK", "Buy"}, rows)
	totals := map[string]int{"build": build, "sdk": sdk, "buy": buy}
	if totals[d.Choice] < max(build, sdk, buy) {
		w.note("The plan decides otherwise than the sum; its reason has to carry that.")
	}
}

// mostPoints is what a criterion gives at most.
const mostPoints = 5

func decisionWords(choice string) string {
	words := map[string]string{"build": "build a client of our own", "sdk": "use the provider's SDK", "buy": "buy a product"}
	if s, ok := words[choice]; ok {
		return s
	}
	return choice
}
