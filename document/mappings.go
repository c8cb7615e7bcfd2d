package document

import (
	"cmp"

	"github.com/sallyport/sallyport/plan"
)

// mappings are the tables of R3.1.
func (w *writer) mappings() {
	w.part("mappings", "Mappings")
	if len(w.plan.Mappings) == 0 {
		w.say("The plan maps nothing: bodies and events are handed over as they come.")
		return
	}
	for _, name := range names(w.plan.Mappings) {
		w.thing("mapping-"+name, codeSpan(name))
		if used := w.usedBy(name); len(used) > 0 {
			w.say("Used by ", joined(used, ", "), ".")
		} else {
			w.note("Nothing in the plan uses this mapping.")
		}
		var rows [][]text
		for _, r := range w.plan.Mappings[name] {
			way := map[string]string{"in": "in", "out": "out"}[r.Direction]
			rows = append(rows, []text{
				t(codeSpan(r.External)), t(r.Type), t(codeSpan(r.Internal)), w.asText(r.As),
				t(cmp.Or(way, "both")), transformText(r), t(r.Class),
			})
		}
		w.table("Mapping "+name, []string{w.provider.Name + "'s field", "Its type", "Our field", "Our type", "Way", "Rule", "Class"}, rows)
	}
}

func (w *writer) asText(as string) text {
	if _, ok := w.plan.Mappings[as]; ok {
		return t("mapping ", codeSpan(as))
	}
	return t(as)
}

// usedBy lists where a mapping is used, in order.
func (w *writer) usedBy(mapping string) []text {
	var used []text
	for _, name := range names(w.plan.Endpoints) {
		e := w.plan.Endpoints[name]
		if e == nil {
			continue
		}
		switch {
		case e.Send == mapping && e.Receive == mapping:
			used = append(used, t("endpoint ", codeSpan(name), " (both ways)"))
		case e.Send == mapping:
			used = append(used, t("endpoint ", codeSpan(name), " (body sent)"))
		case e.Receive == mapping:
			used = append(used, t("endpoint ", codeSpan(name), " (answer)"))
		}
	}
	if hooks := w.plan.Webhooks; hooks != nil {
		for _, name := range names(hooks.Events) {
			if hooks.Events[name].Map == mapping {
				used = append(used, t("event ", codeSpan(name)))
			}
		}
	}
	for _, name := range names(w.plan.Mappings) {
		for _, r := range w.plan.Mappings[name] {
			if r.As == mapping {
				used = append(used, t("mapping ", codeSpan(name)))
				break
			}
		}
	}
	return used
}

// transformText is what happens to the value on its way.
func transformText(r plan.MappingRow) text {
	var parts []text
	if r.Transform != "" {
		parts = append(parts, t(codeSpan(r.Transform)))
	}
	for _, value := range names(r.Values) {
		parts = append(parts, t(codeSpan(value), " → ", codeSpan(r.Values[value])))
	}
	if r.As == "enum" {
		parts = append(parts, t("any other: ", cmp.Or(r.Unknown, "fail")))
	}
	if r.Missing != "" {
		parts = append(parts, t("missing: ", r.Missing))
	}
	if r.Null != "" {
		parts = append(parts, t("null: ", r.Null))
	}
	return joined(parts, "; ")
}
