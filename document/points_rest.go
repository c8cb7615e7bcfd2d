package document

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// webhookPoints are E37 to E51.
func (w *writer) webhookPoints(l *pointList) {
	hooks, known := w.plan.Webhooks, w.provider.Webhooks
	if hooks == nil {
		l.points = append(l.points, point{"E37 to E51", "All about webhooks", notApplicable, t("the plan receives no events"), 51 - 37 + 1})
		return
	}
	if known == nil {
		l.open("E37", "Scheme as data", lookDocs+": how events are signed")
	} else {
		l.value("E37", "Scheme as data", lookDocs, schemeText(known.Verify))
	}
	l.fixed("E38", "Raw bytes before parsing", "the signature is checked over the bytes as they came")
	if known != nil && known.Verify.ToleranceS > 0 {
		l.fixed("E39", "Replay window", "a signature older than ", seconds(known.Verify.ToleranceS), " is refused")
	} else {
		l.fixed("E39", "Replay window", "the provider names none; repeats are recognised by their id")
	}
	var answer, repeats, ids, challenge text
	if known != nil {
		answer, repeats, ids, challenge = t(answerWords(known.Answer)), t(known.Retries), idText(known), handshakeText(known)
	}
	l.value("E40", "Deadline of the answer", lookDocs, answer)
	l.value("E41", "The provider's repeats", lookDocs+": schedule, and what disables the address", repeats)
	if len(ids) > 0 {
		_, keep := hooks.Kept()
		ids = t(ids, ", kept ", plan.Duration(keep).String(), w.pending("webhook.retention"))
	}
	l.value("E42", "Id and how long it is kept", lookDocs+": which value tells one event from another", ids)
	if hooks.OrderBy != "" {
		l.fixed("E43", "Order", "none is promised; the resource is named by ", codeSpan(hooks.OrderBy), w.pending("webhook.order_by"))
	} else {
		l.open("E43", "Order", "webhooks.order_by, and whether an older event may overwrite a newer state")
	}
	if r := hooks.Reconcile; r != nil {
		l.fixed("E44", "Events that never came", "looked for with ", codeSpan(r.List), " every ", r.Every.String(), w.pending("webhook.reconcile"))
	} else {
		l.open("E44", "Events that never came", lookDocs+": a list of events, for webhooks.reconcile")
	}
	if len(challenge) == 0 {
		l.not("E45", "Handshake", "the profile knows of none")
	} else {
		l.value("E45", "Handshake", "", challenge)
	}
	w.eventPoints(l)
}

func (w *writer) eventPoints(l *pointList) {
	hooks := w.plan.Webhooks
	l.open("E46", "Thin events", lookDocs+": whether an event holds the resource or only its id")
	if slices.ContainsFunc(names(w.plan.Endpoints), func(name string) bool { return w.plan.Endpoints[name].Effect != plan.EffectRead }) {
		l.open("E47", "Own changes echo back", lookProduct+": how an event that your own call caused is told from others")
	} else {
		l.not("E47", "Own changes echo back", "the plan changes nothing at the provider")
	}
	l.fixed("E48", "Only what is used", count(len(hooks.Events), "event type"), " to subscribe to; others are kept as ignored")
	l.fixed("E49", "Address per environment", codeSpan("/api/webhooks/"+w.plan.Service), " of each environment")
	if known := w.provider.Webhooks; known != nil && strings.Contains(known.Verify.SignedContent, "url") {
		l.open("E50", "Address seen through a proxy", "the address is signed: it must be the one the provider calls, also behind a proxy")
	} else {
		l.not("E50", "Address seen through a proxy", "the address is not signed")
	}
	l.fixed("E51", "Backlog and dead letters", "a delivery that keeps failing waits for a person, who can send it again")
}

// dataPoints are E52 to E58.
func (w *writer) dataPoints(l *pointList) {
	p := w.plan
	ways := map[string]int{}
	for _, rows := range p.Mappings {
		for _, r := range rows {
			ways[r.Direction]++
		}
	}
	switch {
	case len(p.Mappings) == 0:
		l.not("E52", "Owner of each field", "nothing is mapped")
	case ways[""]+ways["both"] > 0:
		l.open("E52", "Owner of each field", fmt.Sprintf("%s: %d mapped fields go both ways", lookProduct, ways[""]+ways["both"]))
	default:
		l.fixed("E52", "Owner of each field", "each mapped field goes one way")
	}
	l.open("E53", "First load and cut-over", lookProduct+": what of the provider's data existed before")
	personal := w.openFields()
	hooks := p.Webhooks
	switch {
	case len(personal) == 0 && len(p.Mappings) == 0:
		l.open("E54", "Personal data", "the bodies that are handed through: mark fields with class")
	case len(personal) == 0:
		l.open("E54", "Personal data", "no mapped field is marked; mark those that are personal with class")
	case hooks != nil && len(hooks.Redact) > 0:
		l.fixed("E54", "Personal data", some(personal), "; not shown: ", codes(hooks.Redact), w.pending("webhook.redact"))
	default:
		l.open("E54", "Personal data", "purpose, retention and erasure of "+strings.Join(personal[:min(4, len(personal))], ", "))
	}
	l.open("E55", "Residency, processors, DPA", lookContract)
	deletes := false
	for _, e := range p.Endpoints {
		deletes = deletes || strings.HasPrefix(e.Call, "DELETE ")
	}
	tell := p.ErrorPolicy("404").Tell != "" || p.ErrorPolicy("410").Tell != ""
	switch {
	case tell:
		l.fixed("E56", "Deletes", "a missing resource is told to its destination; the copy is dropped there")
	case deletes:
		l.open("E56", "Deletes", lookProduct+": what a delete here means there, and the other way")
	default:
		l.open("E56", "Deletes", "errors.404.tell: who hears of a resource that is gone")
	}
	if fields := w.idFields(); len(fields) > 0 {
		l.fixed("E57", "Ids", "the provider's ids are mapped", fields, "; addresses are never taken apart")
	} else {
		l.open("E57", "Ids", lookProduct+": where the provider's ids are kept beside yours")
	}
	l.fixed("E58", "Who did what", "administrative actions stand in the audit log")
}

// proofPoints are E59 to E65.
func (w *writer) proofPoints(l *pointList) {
	l.open("E59", "Error cases the provider offers", lookDocs+": test values that cause each error")
	l.value("E60", "Test environment against live", lookDocs, sandboxText(w.provider.Sandbox))
	l.open("E61", "Recorded exchanges", lookTeam+": none are kept by default")
	l.open("E62", "Contract run on a schedule", "a job of yours that makes each call in the test environment")
	l.fixed("E63", "Faults after the effect", "the stand-in breaks off after it has read a request; see step 6")
	l.fixed("E64", "Load", "against the stand-in only, never the provider's test environment")
	l.open("E65", "Tested by somebody else", lookTeam)
}

// operatingPoints are E66 to E73.
func (w *writer) operatingPoints(l *pointList) {
	p, service, m := w.plan, w.provider.Service, w.plan.Monitoring
	sla := text(nil)
	if service.SLA != "" {
		sla = t("the provider promises ", service.SLA)
		if service.StatusPage != "" {
			sla = t(sla, "; ", linkSpan(service.StatusPage))
		}
	}
	l.value("E66", "Our target against their promise", lookContract, sla)
	if m.Owner != "" && m.Runbook != "" {
		l.fixed("E67", "Alerts have an owner and a runbook", m.Owner, ", ", lookOrCode(m.Runbook), w.pending("monitoring.notify"))
	} else {
		l.open("E67", "Alerts have an owner and a runbook", "monitoring.owner and monitoring.runbook")
	}
	if r := p.Rollout; r != nil && r.Stop != "" {
		l.fixed("E68", "Canary, flag, kill switch", r.Stop)
	} else {
		l.open("E68", "Canary, flag, kill switch", "rollout.stop: how all of it is stopped at once")
	}
	l.open("E69", "Support", lookContract+": plan tier, channel, what a ticket needs")
	l.value("E70", "Cost", lookContract, t(service.Pricing))
	l.open("E71", "Room for growth", "calls a day now against the limits of step 4")
	l.fixed("E72", "Way back", "see Rollout")
	if p.Webhooks != nil {
		l.open("E73", "Rehearsal of a bad day", lookTeam+": provider down, secret leaked, a day of events lost")
	} else {
		l.open("E73", "Rehearsal of a bad day", lookTeam+": provider down, secret leaked")
	}
}

// leavingPoints are E74 to E77.
func (w *writer) leavingPoints(l *pointList) {
	d := w.plan.Decision
	l.fixed("E74", "Exit", "see Exit")
	if d != nil {
		l.fixed("E75", "Build, SDK or buy", decisionWords(d.Choice), ", see Decision")
	} else {
		l.open("E75", "Build, SDK or buy", "write it under decision")
	}
	l.open("E76", "Licence and terms of use", lookContract+": caching, display, competing use")
	if d != nil && d.ReviewBy != "" {
		l.fixed("E77", "Review of the plan", d.ReviewBy, ownerText(d.Owner))
	} else {
		l.open("E77", "Review of the plan", "decision.review_by and decision.owner")
	}
}

func ownerText(owner string) text {
	if owner == "" {
		return nil
	}
	return t(" by ", owner)
}
