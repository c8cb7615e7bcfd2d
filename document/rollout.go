package document

import (
	"strings"

	"github.com/sallyport/sallyport/plan"
)

func (w *writer) monitoring() {
	w.section("monitoring", "Monitoring")
	m := w.plan.Monitoring
	var f facts
	f.add("On call", m.Owner)
	f.add("Runbook", lookOrCode(m.Runbook))
	f.add("Channels", codes(m.Notify), w.pending("monitoring.notify"))
	if m.ExpectCallsEvery != 0 {
		f.add("Silence is reported after", m.ExpectCallsEvery.String(), w.pending("monitoring.expect_calls_every"))
	}
	var alerts []string
	for _, key := range w.errorKeys() {
		if w.plan.ErrorPolicy(key).Alert {
			alerts = append(alerts, key)
		}
	}
	f.add("Answers logged as errors at once", codes(alerts))
	f.add("The provider's status page", linkSpan(w.provider.Service.StatusPage))
	w.table("Who looks, and at what", []string{"What", "Planned"}, f)
	var missing []text
	for _, gap := range []struct {
		empty bool
		key   string
	}{
		{m.Owner == "", "owner"},
		{m.Runbook == "", "runbook"},
		{len(m.Notify) == 0, "notify"},
		{m.ExpectCallsEvery == 0, "expect_calls_every"},
	} {
		if gap.empty {
			missing = append(missing, t(codeSpan("monitoring."+gap.key)))
		}
	}
	if len(missing) > 0 {
		w.note("The plan does not say: ", joined(missing, ", "), ".")
	}
}

// lookOrCode links an address and shows anything else as it is typed.
func lookOrCode(s string) text { return t(linkSpan(s)) }

// checklist is what people do before the first live call, made of this plan.
func (w *writer) checklist() {
	w.section("checklist", "Checklist")
	p := w.plan
	var items []text
	add := func(parts ...any) { items = append(items, t(parts...)) }
	if p.Decision == nil {
		add("Decide: build, SDK or buy, with the reasons.")
	}
	if n := len(p.OpenQuestions); n > 0 {
		add("Answer the ", count(n, "open question"), ".")
	}
	for _, r := range w.plan.Recalled() {
		what := text(nil)
		if len(r.Fields) > 0 {
			what = t(" (", codes(r.Fields), ")")
		}
		add("Confirm ", codeSpan("profile."+r.Section.Path), what, " against the provider's documentation, with day and source.")
	}
	if p.Profile.Spec == nil || p.Profile.Spec.SHA256 == "" {
		add("Pin the provider's API document by its hash.")
	}
	for _, name := range names(p.Environments) {
		if secrets := p.Environments[name].Secrets; len(secrets) > 0 {
			add("Put the secrets of ", codeSpan(name), " where the plan looks for them: ", codes(names(secrets)), ", those of no other environment.")
		} else {
			add("Say in the plan where the secrets of ", codeSpan(name), " are kept.")
		}
	}
	if hooks := p.Webhooks; hooks != nil {
		add("Register the address ", codeSpan("/api/webhooks/"+p.Service), " at ", w.provider.Name, ", per environment, for: ", codes(names(hooks.Events)), ".")
		for _, name := range names(p.Destinations) {
			add("Let destination ", codeSpan(name), " check the signature, answer within ", words(p.Destinations[name].Timeout.Or(plan.DefaultDestinationTimeout)), " and bear the same event twice.")
		}
	}
	for _, name := range names(p.Endpoints) {
		e := p.Endpoints[name]
		if e != nil && e.Effect == plan.EffectCreate && e.Idempotency == nil {
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
	w.list(boxes, items...)
}

// rollout is the order of stages and the way back.
func (w *writer) rollout() {
	w.section("rollout", "Rollout")
	p := w.plan
	var steps []text
	add := func(parts ...any) { steps = append(steps, t(parts...)) }
	var stages, live []string
	for _, name := range names(p.Environments) {
		if plan.Production(name) {
			live = append(live, name)
			continue
		}
		stages = append(stages, name)
	}
	if len(stages) > 0 {
		add("Start ", codes(stages), " with its own keys; make each call once", w.hooksToo(), ". Look at the records, not only at the results.")
	} else {
		add(strongSpan("The plan has no environment besides production."), " Add one: nothing should meet the provider live for the first time.")
	}
	add("Break it on purpose: no network, slow answers, 429, 500", map[bool]string{true: ", the same event twice"}[p.Webhooks != nil], ". Compare with the errors table.")
	if len(live) > 0 {
		add("Start ", codes(live), " for one customer of your own. Wait for a full cycle of what the plan is for: ", sentence(p.Need))
	} else {
		add("The plan has no production environment yet; add it with keys of its own.")
	}
	add("Let more customers in, step by step, and look at failures, waiting time at the limit and kept calls after each step.")
	back := "The way back: stop sending calls through the gateway and keep what is kept"
	if p.Webhooks != nil {
		back += "; leave the webhook address up, so that no event is lost, and process them when it goes on"
	}
	add(back + ".")
	w.list(numbers, steps...)
}

func (w *writer) hooksToo() string {
	if w.plan.Webhooks == nil {
		return ""
	}
	return " and receive each event once"
}

// sentence ends with one full stop.
func sentence(s string) string { return strings.TrimRight(clean(s), ". ") + "." }
