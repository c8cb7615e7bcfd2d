package document

import (
	"fmt"
	"strconv"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// risk is something that may go wrong although the plan is kept.
type risk struct {
	what text
	out  text // what limits it, or who has to do something
}

// topCount is how many risks the summary shows.
const topCount = 5

// topRisks shows the worst on the first screen.
func (w *writer) topRisks() {
	list := w.risks()
	if len(list) == 0 {
		w.say("No risk follows from plan and profile.")
		return
	}
	rows := make([][]text, 0, topCount)
	for _, r := range list[:min(topCount, len(list))] {
		rows = append(rows, []text{r.what, r.out})
	}
	caption := "Risks, the worst first"
	if more := len(list) - len(rows); more > 0 {
		caption = fmt.Sprintf("Risks, the worst first; %d more under “Further risks”", more)
	}
	w.table(caption, []string{"Risk", "What limits it"}, rows)
}

// furtherRisks are those the summary has no room for.
func (w *writer) furtherRisks() {
	list := w.risks()
	if len(list) <= topCount {
		return
	}
	w.section("further-risks", "Further risks")
	rows := make([][]text, 0, len(list)-topCount)
	for _, r := range list[topCount:] {
		rows = append(rows, []text{r.what, r.out})
	}
	w.table("Risks the summary has no room for", []string{"Risk", "What limits it"}, rows)
}

// risks follow from plan and profile, the worst first: what loses or doubles
// something, then what stops everything, then what is noticed late.
func (w *writer) risks() []risk {
	var list []risk
	add := func(what, out text) { list = append(list, risk{what, out}) }
	w.callRisks(add)
	w.hookRisks(add)
	w.knowledgeRisks(add)
	w.operatingRisks(add)
	return list
}

func (w *writer) callRisks(add func(what, out text)) {
	var doubtful, queued []string
	for _, name := range names(w.plan.Endpoints) {
		e := w.plan.Endpoints[name]
		if e.Effect == plan.EffectIrreversible || e.Effect == plan.EffectCreate && e.Idempotency == nil {
			if e.OnUnknown == nil || len(w.pending("endpoint."+name+".on_unknown")) > 0 {
				doubtful = append(doubtful, name)
			}
		}
		if e.Fallback != "" && len(w.pending("endpoint."+name+".fallback")) > 0 {
			queued = append(queued, name)
		}
	}
	if len(doubtful) > 0 {
		add(t("Nobody knows whether a call without an answer happened: ", some(doubtful)), t("It is not repeated; a person looks and decides"))
	}
	if len(w.pending("auth.credential")) > 0 {
		add(t("This version does not apply credentials of the kind ", kindWords(w.plan.Auth.Use)), t("Calls can't be made yet"))
	}
	if refused := w.notServed(); len(refused) > 0 {
		add(t("This version refuses to serve ", codes(refused)), t("Keep its secrets where ", codeSpan("env:"), " or ", codeSpan("file:"), " reaches them"))
	}
	if len(queued) > 0 {
		add(t("While the provider is down the fallback does not hold yet: ", some(queued)), t("The call fails, or is kept for a person where its error policy says so"))
	}
	if w.doc != nil {
		var gone []string
		for _, name := range names(w.plan.Endpoints) {
			if op := operationOf(w.doc, w.plan.Endpoints[name]); op == nil || op.Deprecated {
				gone = append(gone, name)
			}
		}
		if len(gone) > 0 {
			add(t("Deprecated in the provider's document, or not in it: ", some(gone)), t("Move to what replaces it before it is switched off"))
		}
	}
}

func (w *writer) hookRisks(add func(what, out text)) {
	hooks := w.plan.Webhooks
	if hooks == nil {
		return
	}
	if w.provider.Webhooks == nil {
		add(t("Nobody knows how events are signed"), t("None is accepted until the profile knows a scheme"))
	}
	switch {
	case hooks.Reconcile == nil:
		add(t("Events that never come are not noticed"), t("Set ", codeSpan("webhooks.reconcile"), ", where the provider lists its events"))
	case len(w.pending("webhook.reconcile")) > 0:
		add(t("Events that never come are not looked for yet"), t("Compare with the provider's own list by hand"))
	}
	if hooks.Tenant == "" {
		add(t("An event does not say whose it is"), t("Set ", codeSpan("webhooks.tenant"), " when several customers share the address"))
	}
}

func (w *writer) knowledgeRisks(add func(what, out text)) {
	if n := len(w.plan.Recalled()); n > 0 {
		parts := make([]string, 0, n)
		for _, r := range w.plan.Recalled() {
			parts = append(parts, r.Section.Path)
		}
		add(t("Facts in use are from memory: ", some(parts)), t("Confirm them with day and source before the first live call"))
	}
	if len(w.provider.Limits.List) == 0 {
		add(t("The provider's limits are not known in numbers"), t("A 429 leads to: ", w.plan.ErrorPolicy("429").Words()))
	}
	if len(w.openFields()) > 0 {
		add(t("Personal data: ", some(w.openFields())), t("Purpose, retention and erasure are to be answered; see plan point E54"))
	}
	if w.doc != nil && len(w.doc.Defects) > 0 {
		add(t("The provider's document has ", count(len(w.doc.Defects), "defect")), t("Compare what is used with real answers; the first stands under the profile"))
	}
	if spec := w.plan.Profile.Spec; spec == nil || spec.SHA256 == "" {
		add(t("The provider may change its API unnoticed: its document is not pinned"), t("Pin it by its hash"))
	}
}

func (w *writer) operatingRisks(add func(what, out text)) {
	if w.plan.Monitoring.Owner == "" {
		add(t("Nobody is on call"), t("Set ", codeSpan("monitoring.owner")))
	}
	if len(w.plan.Monitoring.Notify) == 0 || len(w.pending("monitoring.notify")) > 0 {
		add(t("Nobody is told about trouble"), t("Watch the log for ", codeSpan("alert=true")))
	}
	if w.provider.Sandbox.Kind == "none" {
		add(t("The provider has no test environment"), t("Its stand-in takes the place; the first real call is live"))
	}
	if w.plan.Limits.Observes() {
		add(t("No limit holds a call back"), t("Set ", codeSpan("limits.mode"), " to ", codeSpan("enforce"), " after a look at what was counted"))
	}
}

// openFields are the fields of personal or secret data.
func (w *writer) openFields() []string {
	var list []string
	for _, name := range names(w.plan.Mappings) {
		for _, r := range w.plan.Mappings[name] {
			if r.Class != "" {
				list = append(list, name+"."+r.Internal)
			}
		}
	}
	return list
}

// hasUnit reports whether a limit is counted in something else than requests.
func hasUnit(list []catalog.Limit) bool {
	for _, l := range list {
		if l.Unit != "" && l.Unit != "requests" && l.Unit != "concurrent" {
			return true
		}
	}
	return false
}

func number(n int) string { return strconv.Itoa(n) }
