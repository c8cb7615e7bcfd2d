package document

import "strconv"

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

// criterion is one line of the weighing. Points are 0 to 2.
type criterion struct {
	what            string
	weight          int
	build, sdk, buy int
	because         string
}

// sdkWorth is what the best library the profile knows of is worth: 2 the
// provider's own for Go, 1 any other, 0 none.
func (w *writer) sdkWorth() int {
	sdk := w.provider.SDK
	switch {
	case sdk.Go != "" && sdk.GoOfficial:
		return 2
	case sdk.Go != "" || sdk.NPM != "":
		return 1
	}
	return 0
}

// fewCalls and manyCalls are how many operations a client of one's own carries
// easily, and how many it still carries.
const fewCalls, manyCalls = 8, 20

// criteria weighs from plan and profile alone, so that the same plan is always
// weighed the same.
func (w *writer) criteria() []criterion {
	calls, sdk := len(w.plan.Endpoints), w.sdkWorth()
	library := [...]string{"no library is known", "a library is known, not the provider's own for Go", "the provider's own library for Go"}[sdk]
	size := 2
	switch {
	case calls > manyCalls:
		size = 0
	case calls > fewCalls:
		size = 1
	}
	pinned, pin := 1, "the API document is not pinned"
	if spec := w.plan.Profile.Spec; spec != nil && spec.SHA256 != "" {
		pinned, pin = 2, "the API document is pinned, changes are compared with what is used"
	}
	known := max(0, 2-len(w.plan.Recalled()))
	return []criterion{
		{"Work to begin with", 3, size, sdk, 2, count(calls, "operation") + "; " + library},
		{"Errors, limits and retries follow this plan", 3, 2, min(sdk+1, 2) * min(sdk, 1), 0, "a library runs through the gateway; a product has a policy of its own"},
		{"Credentials and data stay here", 2, 2, 2, 0, "a product holds both"},
		{"Work when the API changes", 2, pinned, sdk, 2, pin},
		{"What is known of the API", 1, known, 2, 2, count(len(w.plan.Recalled()), "part") + " of the profile in use from memory"},
		{"Leaving", 1, 2, 1, 0, "mapped fields end at the gateway; a library's types spread"},
	}
}

// weighed is the table of what speaks for what.
func (w *writer) weighed() {
	list := w.criteria()
	rows := make([][]text, 0, len(list)+1)
	var sum [3]int
	best := 0
	cell := func(points int) text { return t(strconv.Itoa(points)) }
	for _, c := range list {
		sum[0] += c.weight * c.build
		sum[1] += c.weight * c.sdk
		sum[2] += c.weight * c.buy
		best += 2 * c.weight
		rows = append(rows, []text{t(c.what), cell(c.weight), cell(c.build), w.orNone(cell(c.sdk)), cell(c.buy), t(c.because)})
	}
	rows = append(rows, []text{t("Weighed"), nil, t(strongSpan(strconv.Itoa(sum[0]))), w.orNone(t(strongSpan(strconv.Itoa(sum[1])))), t(strongSpan(strconv.Itoa(sum[2]))), t("of ", strconv.Itoa(best))})
	w.table("What speaks for what", []string{"Criterion", "Weight", "Build", "SDK", "Buy", "From"}, rows)
	out := t("Points from 0 to 2, worked out from plan and profile; the price of a product is not known here. ")
	if leader := w.leader(sum); w.plan.Decision != nil && leader != w.plan.Decision.Choice {
		out = t(out, strongSpan("The plan decides otherwise than the sum"), ": its reason has to carry that.")
	} else {
		out = t(out, "People decide, not the sum.")
	}
	w.say(out)
}

// orNone leaves a column empty where there is no library to weigh.
func (w *writer) orNone(points text) text {
	if w.sdkWorth() == 0 {
		return t("–")
	}
	return points
}

// leader is the choice with the highest sum; a client of one's own where they
// are level with it.
func (w *writer) leader(sum [3]int) string {
	leader, most := "build", sum[0]
	if w.sdkWorth() > 0 && sum[1] > most {
		leader, most = "sdk", sum[1]
	}
	if sum[2] > most {
		leader = "buy"
	}
	return leader
}

func decisionWords(choice string) string {
	words := map[string]string{"build": "build a client of our own", "sdk": "use the provider's SDK", "buy": "buy a product"}
	if s, ok := words[choice]; ok {
		return s
	}
	return choice
}
