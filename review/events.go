package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

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

// repeats is how long providers go on sending an event that was not taken:
// Stripe 3 days, others up to a week. What is forgotten sooner counts as new.
const repeats = 7 * 24 * time.Hour

// checkEventID keeps R7.1.9.
func checkEventID(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	if p.Provider.Webhooks == nil || len(p.Provider.Webhooks.ID) == 0 {
		return []answer{{outcome: Fail, path: "webhooks", message: "the profile does not say where an event's id stands"}}
	}
	if r := p.Webhooks.Retention; r != nil && r.IDs != 0 && time.Duration(r.IDs) < repeats {
		return []answer{{outcome: Fail, path: "webhooks.retention.ids", message: fmt.Sprintf("ids are forgotten after %s; what is sent again later counts as new", r.IDs)}}
	}
	return pass("deduplicated by " + strings.Join(p.Provider.Webhooks.ID, " or "))
}

// storing is the longest a destination may take that stores an event and does
// the work later.
const storing = 30 * time.Second

// checkAsynchronous keeps R7.1.10. The gateway stores and answers before
// anything else; what a plan can get wrong is the next door, its destinations.
func checkAsynchronous(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	var out []answer
	for _, name := range sorted(p.Destinations) {
		if t := p.Destinations[name].Timeout; time.Duration(t) > storing {
			out = append(out, answer{outcome: Fail, path: "destinations." + name + ".timeout", message: fmt.Sprintf("%s may take %s to answer a delivery: it does the work while the sender waits", name, t)})
		}
	}
	handlers := 0
	for _, e := range p.Webhooks.Events {
		if len(e.Destinations()) == 0 {
			handlers++
		}
	}
	switch {
	case len(out) > 0:
		return out
	case handlers > 0:
		return open(fmt.Sprintf("stored, answered, then delivered; but %d of %d event types wait for a Go handler, which is not in a plan", handlers, len(p.Webhooks.Events)),
			"Name a destination (to: NAME), or see that a handler is registered for each: app.On(SERVICE, TYPE, …).")
	}
	return pass("stored, answered, then delivered")
}

// checkRetention keeps R7.1.11.
func checkRetention(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	r := p.Webhooks.Retention
	payload, ids := p.Webhooks.Kept()
	said := fmt.Sprintf("exact bytes are kept for %s, ids for %s", plan.Duration(payload), plan.Duration(ids))
	switch {
	case r == nil:
		return pass(said + ": the plan says nothing else")
	case r.IDs != 0 && time.Duration(r.IDs) < payload:
		return []answer{{outcome: Fail, path: "webhooks.retention.ids", message: fmt.Sprintf("ids can't be forgotten after %s, before their payloads after %s: they are kept as long", r.IDs, plan.Duration(payload))}}
	}
	return passAt("webhooks.retention", said)
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
	if p.Webhooks.Reconcile.Overlap == 0 {
		return []answer{{outcome: Fail, path: "webhooks.reconcile", message: "questions don't overlap; an event that is listed late falls between two of them", fix: "Set webhooks.reconcile.overlap, such as 30m."}}
	}
	return passAt("webhooks.reconcile", fmt.Sprintf("%s is asked every %s", p.Webhooks.Reconcile.List, p.Webhooks.Reconcile.Every))
}

// checkRedacted keeps R5.7 as far as mappings tell what is personal.
func checkRedacted(p *plan.Plan, _ Options) []answer {
	if !usesWebhooks(p) {
		return absent(noWebhooks)
	}
	var out []answer
	classed, seen := 0, map[string]bool{}
	for _, name := range sorted(p.Webhooks.Events) {
		e := p.Webhooks.Events[name]
		for _, path := range personalPaths(p, e.Map, e.From, nil) {
			classed++
			if seen[path] || covered(path, p.Webhooks.Redact) {
				continue
			}
			seen[path] = true
			out = append(out, answer{outcome: Fail, path: "webhooks.events." + name, message: path + " is classed and not redacted", fix: fmt.Sprintf("Write webhooks.redact: [%s].", path)})
		}
	}
	if classed == 0 {
		return absent("no event is mapped by a row with a class")
	}
	if len(out) > 0 {
		return out
	}
	return passAt("webhooks.redact", count(classed, "classed field")+" redacted")
}

// personalPaths are the paths in the payload that rows of a mapping class, those
// of the mappings inside it as well. Around holds the mappings on the way here:
// one that contains itself ends there.
func personalPaths(p *plan.Plan, mapping, prefix string, around []string) []string {
	if mapping == "" || slices.Contains(around, mapping) {
		return nil
	}
	var out []string
	for _, r := range p.Mappings[mapping] {
		path := strings.TrimPrefix(prefix+"."+r.External, ".")
		if r.Class != "" && r.Direction != "out" {
			out = append(out, path)
		}
		out = append(out, personalPaths(p, r.As, path, append(slices.Clone(around), mapping))...)
	}
	return out
}

// covered reports whether path or what it stands in is in list.
func covered(path string, list []string) bool {
	return slices.ContainsFunc(list, func(r string) bool {
		rest, ok := strings.CutPrefix(path, r)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}
