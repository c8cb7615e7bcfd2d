package document

import (
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// rollout is the order of stages and the way back.
func (w *writer) rollout() {
	w.section("rollout", "Rollout")
	p := w.plan
	if p.Rollout != nil {
		w.ownRollout(p.Rollout)
		return
	}
	w.note("The plan names no steps of its own under ", codeSpan("rollout"), "; these follow from it.")
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

// ownRollout is the rollout as the plan names it.
func (w *writer) ownRollout(r *plan.Rollout) {
	steps := make([]text, 0, len(r.Steps))
	for _, s := range r.Steps {
		step := t(s.Do)
		if s.Until != "" {
			step = t(step, " Until: ", s.Until)
		}
		steps = append(steps, step)
	}
	w.list(numbers, steps...)
	if r.Stop != "" {
		w.say(strongSpan("Stop:"), " ", r.Stop)
	}
	if r.Back != "" {
		w.say(strongSpan("Way back:"), " ", r.Back)
	}
}

func (w *writer) hooksToo() string {
	if w.plan.Webhooks == nil {
		return ""
	}
	return " and receive each event once"
}

// exit is what leaving the provider, or this gateway, takes (E74).
func (w *writer) exit() {
	w.section("exit", "Exit")
	p := w.plan
	var rows [][]text
	add := func(what string, parts ...any) { rows = append(rows, []text{t(what), t(parts...)}) }
	add("What is tied to the provider", count(len(p.Endpoints), "endpoint"), ", ", w.eventCount(), "; ids of the provider in your records", w.idFields())
	add("What stays", "your product speaks its own field names, as far as mappings go: ", count(len(p.Mappings), "mapping"), "; another provider takes another plan behind the same names")
	own := plan.Exit{}
	if p.Exit != nil {
		own = *p.Exit
	}
	if own.Replace != "" {
		add("What takes its place", own.Replace)
	}
	var reads []string
	for _, name := range names(p.Endpoints) {
		if p.Endpoints[name].Effect == plan.EffectRead {
			reads = append(reads, name)
		}
	}
	switch {
	case own.Export != "":
		add("Taking data out", own.Export)
	case len(reads) > 0:
		add("Taking data out", "read it with ", some(reads), " while the account lives; the provider's own export is in its documentation")
	default:
		add("Taking data out", strongSpan("open"), ": the plan reads nothing; ask the provider for an export")
	}
	switch revoke, known := w.revocation(); {
	case own.Delete != "":
		add("Deleting and revoking", own.Delete)
	case revoke != nil:
		add("Ending access", "tokens are revoked at ", revoke, "; then delete the secrets where they are kept")
	case known:
		add("Ending access", "delete the key at the provider, then the secrets where they are kept; the profile knows of no call that does it")
	default:
		add("Ending access", strongSpan("open"), ": the profile does not say how a credential is revoked")
	}
	if p.Webhooks != nil {
		add("Ending events", "remove the address at the provider once the last event came; kept events stay as long as the plan says")
	}
	add("Leaving Sallyport", "plan and profile are files, records are tables of a database of yours; a call through the proxy has the provider's own shape and can go to it directly")
	add("Contract", strongSpan("open"), ": notice, deletion of data and its proof stand in the contract with ", w.provider.Name)
	w.table("Leaving the provider", []string{"What", "How"}, rows)
}

func (w *writer) eventCount() string {
	if w.plan.Webhooks == nil {
		return "no event types"
	}
	return count(len(w.plan.Webhooks.Events), "event type")
}

// idFields are the fields that hold the provider's ids on our side.
func (w *writer) idFields() text {
	var list []string
	for _, name := range names(w.plan.Mappings) {
		for _, r := range w.plan.Mappings[name] {
			if r.External == "id" || strings.HasSuffix(r.External, ".id") {
				list = append(list, name+"."+r.Internal)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return t(" (", some(list), ")")
}

// revocation is where credentials are revoked; known is true for keys, which
// people delete at the provider.
func (w *writer) revocation() (at text, known bool) {
	for _, a := range w.ways() {
		if a.OAuth != nil && a.OAuth.RevokeURL != "" {
			return t(linkSpan(a.OAuth.RevokeURL)), true
		}
		known = known || a.Kind == "api_key" || a.Kind == "basic"
	}
	return nil, known
}

// sentence ends with one full stop.
func sentence(s string) string { return strings.TrimRight(clean(s), ". ") + "." }
