package draft

import (
	"strings"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// eventsToUse are the events picked, where the provider sends webhooks.
func (w *writer) eventsToUse() []eventPick {
	if w.profile.Webhooks == nil {
		return nil
	}
	events := w.chooser.events(w.Events)
	if len(events) == 0 && len(w.chooser.follow) > 0 {
		w.ask("webhooks", "Which event types tell about what the need follows? The document names none that fit. Until then state is read, not received.", w.profile.Docs)
	}
	return events
}

// listOfEvents picks the operation that lists past events, where webhooks are
// used: what never came is found with it.
func (w *writer) listOfEvents(events []eventPick) *operation {
	if len(events) == 0 {
		return nil
	}
	hooks := w.profile.Webhooks
	var paths []string
	for _, list := range [][]string{hooks.ID[:min(1, len(hooks.ID))], hooks.Type[:min(1, len(hooks.Type))]} {
		for _, p := range list {
			if path, ok := strings.CutPrefix(p, "json:"); ok {
				paths = append(paths, path)
			}
		}
	}
	if len(paths) < 2 {
		paths = nil
	}
	list := w.chooser.eventList(hooks.Replay, paths...)
	if list == nil {
		return nil
	}
	w.chooser.take(nil, list, "webhooks can be lost; this lists what was sent, so that it can be found")
	return list
}

// webhooks writes the section of the events.
func (w *writer) webhooks(events []eventPick, list *operation) {
	if len(events) == 0 {
		return
	}
	data := w.profile.Webhooks.Data
	hooks := &plan.Webhooks{Events: map[string]plan.EventHandling{}, Retention: &plan.Retention{Payload: plan.Duration(30 * 24 * time.Hour), IDs: plan.Duration(90 * 24 * time.Hour)}}
	identified, owned := data != "", data != ""
	for _, e := range events {
		h := plan.EventHandling{From: data, To: catalog.OneOrMore{w.destination()}}
		component, s := w.chooser.resource(e.op)
		if table := tableName(component); data != "" && component != "" && len(w.plan.Mappings[table]) > 0 {
			h.Map = table
		}
		if s == nil || s.Property("id") == nil {
			identified = false
		}
		if s == nil || s.Property("metadata") == nil || !w.tenant(s.Property("metadata")) {
			owned = false
		}
		hooks.Events[e.kind] = h
	}
	if identified {
		hooks.OrderBy = "json:" + data + ".id"
	}
	if owned {
		hooks.Tenant = "json:" + data + ".metadata.tenant_id"
	}
	if w.Answers.Tenant != "" {
		hooks.Tenant = w.Answers.Tenant
	}
	if list != nil {
		hooks.Reconcile = &plan.Reconcile{List: w.names[list], Every: plan.Duration(10 * time.Minute), Overlap: plan.Duration(30 * time.Minute)}
	}
	w.plan.Webhooks = hooks
}
