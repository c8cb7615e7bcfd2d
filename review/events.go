package review

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

const noWebhooks = "the plan uses no webhooks"

func usesWebhooks(p *plan.Plan) bool { return p.Webhooks != nil }

// checkSignatures keeps R7.1.8.
func checkSignatures(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	if p.Provider.Webhooks == nil {
		return []answer{{outcome: Fail, path: "webhooks", message: "the profile knows no signature of this provider's webhooks"}}
	}
	var out []answer
	for _, name := range sorted(p.Environments) {
		if len(p.Environments[name].Secrets["webhook_secret"]) == 0 {
			out = append(out, answer{outcome: Fail, path: "environments." + name + ".secrets", message: fmt.Sprintf("environment %s has no webhook_secret", name)})
		}
	}
	v := p.Provider.Webhooks.Verify
	return or(out, fmt.Sprintf("%s over the raw bytes, before anything is parsed", v.Algorithm))
}

// checkEventID keeps R7.1.9.
func checkEventID(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	if p.Provider.Webhooks == nil || len(p.Provider.Webhooks.ID) == 0 {
		return []answer{{outcome: Fail, path: "webhooks", message: "the profile does not say where an event's id stands"}}
	}
	return pass("deduplicated by " + strings.Join(p.Provider.Webhooks.ID, " or "))
}

// checkAsynchronous keeps R7.1.10.
func checkAsynchronous(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	if len(p.Webhooks.Events) == 0 {
		return []answer{{outcome: Fail, path: "webhooks.events", message: "webhooks are taken and no event is handed to anyone"}}
	}
	handlers := 0
	for _, e := range p.Webhooks.Events {
		if e.To == "" {
			handlers++
		}
	}
	if handlers > 0 {
		return pass(fmt.Sprintf("stored, answered, then delivered; %d of %d event types wait for a Go handler", handlers, len(p.Webhooks.Events)))
	}
	return pass("stored, answered, then delivered")
}

// checkRetention keeps R7.1.11.
func checkRetention(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	r := p.Webhooks.Retention
	switch {
	case r == nil || r.Payload == 0:
		return []answer{{outcome: Fail, path: "webhooks", message: "payloads are kept without an end"}}
	case r.IDs != 0 && r.IDs < r.Payload:
		return []answer{{outcome: Fail, path: "webhooks.retention.ids", message: fmt.Sprintf("ids are forgotten after %s, before their payloads; a late repeat would count as new", r.IDs)}}
	}
	return pass(fmt.Sprintf("exact bytes are kept for %s", r.Payload))
}

// checkOrder keeps E43.
func checkOrder(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	if p.Webhooks.OrderBy == "" {
		return []answer{{outcome: Fail, path: "webhooks", message: "deliveries carry no subject to order them by"}}
	}
	return pass("by " + p.Webhooks.OrderBy)
}

// checkReconcile keeps E44.
func checkReconcile(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	if p.Webhooks.Reconcile == nil {
		return []answer{{outcome: Fail, path: "webhooks", message: "nothing looks for events that never came"}}
	}
	return pass(fmt.Sprintf("%s is asked every %s", p.Webhooks.Reconcile.List, p.Webhooks.Reconcile.Every))
}
