package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// errors is the policy of the plan: the default one, and where a 404 says that a
// thing is gone, the destination is told (R4.4).
func (w *writer) errors() map[string]plan.ErrorPolicy {
	out := plan.DefaultErrors()
	if w.plan.Webhooks != nil && !w.profile.Errors.ForbiddenAs404 {
		gone := out["404"]
		gone.Tell = w.destination()
		out["404"] = gone
	}
	return out
}

// rollout goes from the stand-in to all customers, each step with what must hold
// before the next.
func (w *writer) rollout() *plan.Rollout {
	r := &plan.Rollout{Steps: []plan.Step{{
		Do:    "Run against the stand-in: sallyport sandbox, with its faults.",
		Until: "The review shows no error, and every endpoint and event was seen once.",
	}}}
	step := func(do, until string) { r.Steps = append(r.Steps, plan.Step{Do: do, Until: until}) }
	switch w.profile.Sandbox.Kind {
	case "", "none":
		step("Try it with an account of your own at "+w.profile.Name+", with data that may be lost.", "One call of each endpoint was answered as planned.")
	default:
		step("Run against the provider's own test environment.", "One call of each endpoint was answered as planned, and differences from the stand-in are written down.")
	}
	if w.plan.Webhooks != nil {
		step("Register the webhook address in production and take in events without acting on them.", "A day of events is verified, none failed.")
	}
	if reads, writes := w.byEffect(); len(reads) > 0 && len(writes) > 0 {
		step("Turn on what only reads: "+strings.Join(reads, ", ")+"; limits observed.", "No limit would have held back a call.")
	}
	step("Turn on everything for one customer who knows.", "A week without a failed call or event that a person had to mend.")
	step("Turn it on for all, a tenth first.", "The error rate stays below 5 % for a day at each step.")
	r.Stop = "Stop serving the environment, or take its secrets away: calls are refused at once, queued ones stay."
	if hooks := w.profile.Webhooks; w.plan.Webhooks != nil {
		r.Stop += " Events stay with the provider" + until(hooks) + "."
	}
	r.Back = "Go back to the plan before in version control and restart; what was written at the provider since stays there"
	if irreversible := w.irreversible(); len(irreversible) > 0 {
		r.Back += " and is not undone, least of all " + strings.Join(irreversible, ", ")
	}
	r.Back += "."
	return r
}

// until says how long the provider tries again.
func until(hooks *catalog.Webhooks) string {
	if hooks.Retries == "" {
		return ", for how long is not known"
	}
	return " and are tried again: " + strings.TrimSuffix(strings.Join(strings.Fields(hooks.Retries), " "), ".")
}

func (w *writer) byEffect() (reads, writes []string) {
	for _, name := range slices.Sorted(maps.Keys(w.plan.Endpoints)) {
		if w.plan.Endpoints[name].Effect == plan.EffectRead {
			reads = append(reads, name)
		} else {
			writes = append(writes, name)
		}
	}
	return reads, writes
}

func (w *writer) irreversible() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(w.plan.Endpoints)) {
		if w.plan.Endpoints[name].Effect == plan.EffectIrreversible {
			out = append(out, name)
		}
	}
	return out
}

// exit says what leaving takes.
func (w *writer) exit() *plan.Exit {
	tables := slices.Sorted(maps.Keys(w.plan.Mappings))
	e := &plan.Exit{
		Export: "What only " + w.profile.Name + " holds is exported by its own means before the account ends.",
		Delete: w.revoked() + " Stored events and credentials of the service are deleted here.",
		Replace: fmt.Sprintf("Another plan under the same %s; callers of named endpoints and receivers of events do not change.",
			plural(len(w.plan.Endpoints), "endpoint name")),
	}
	if len(tables) > 0 {
		e.Export = fmt.Sprintf("Your side keeps the mapped fields (%s); the rest is exported from %s before the account ends.", strings.Join(tables, ", "), w.profile.Name)
	}
	if w.plan.Webhooks != nil {
		e.Delete += " The webhook address is removed at the provider."
	}
	return e
}

// revoked says how the credential is taken back.
func (w *writer) revoked() string {
	for _, a := range w.profile.Auth {
		if a.Kind != w.plan.Auth.Use {
			continue
		}
		switch {
		case a.OAuth == nil:
			return "The key is revoked in the provider's settings, in each environment."
		case a.OAuth.RevokeURL != "":
			return "Tokens are revoked at " + a.OAuth.RevokeURL + "."
		}
		return "The provider names no address that revokes tokens; the customer ends the link in its settings."
	}
	return "The credential is revoked at the provider."
}
