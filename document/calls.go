package document

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// Actors of the diagrams.
const (
	actorProduct = iota
	actorGateway
	actorProvider
)

func (w *writer) actors() []string {
	return []string{"Your product", "Sallyport", w.provider.Name}
}

func (w *writer) endpoints() {
	w.section("endpoints", "Endpoints")
	if len(w.plan.Endpoints) == 0 {
		w.say("The plan uses no endpoint.")
		return
	}
	var rows [][]text
	for _, name := range names(w.plan.Endpoints) {
		e := w.plan.Endpoints[name]
		if e == nil {
			continue
		}
		rows = append(rows, []text{
			t(codeSpan(name)), t(codeSpan(e.Call)), t(e.Purpose), t(string(e.Effect)),
			t(words(e.Timeout.Or(plan.DefaultTimeout))), t(cmp.Or(e.Fallback, "fail"), w.pending("endpoint."+name+".fallback")),
		})
	}
	w.table("All endpoints", []string{"Name", "Call", "Purpose", "Effect", "Timeout", "Fallback"}, rows)
	w.callDiagram()
	for _, name := range names(w.plan.Endpoints) {
		if e := w.plan.Endpoints[name]; e != nil {
			w.endpoint(name, e)
		}
	}
}

func (w *writer) endpoint(name string, e *plan.Endpoint) {
	w.part("endpoint-"+name, codeSpan(name))
	var f facts
	f.add("Call", codeSpan(e.Call))
	f.add("Purpose", e.Purpose)
	f.add("Why this one", e.Why)
	f.add("In the API document", w.operationText(e))
	f.add("Effect", string(e.Effect), ": ", effectWords(e))
	if i := e.Idempotency; i != nil {
		keep := "how long the provider remembers it is not said"
		if i.Keep != 0 {
			keep = "the provider remembers it for " + i.Keep.String()
		}
		f.add("Idempotency key", "header ", codeSpan(i.Header), ", one key over all attempts; ", keep)
	} else if e.Effect == plan.EffectCreate {
		f.add("Idempotency key", strongSpan("none"))
	}
	f.add("Body sent", mappingText(e.Send, "as it is"))
	f.add("Answer", mappingText(e.Receive, "as it comes"))
	if e.Encoding != "" {
		f.add("Encoding", string(e.Encoding))
	}
	f.add("Timeout", "one attempt may take ", words(e.Timeout.Or(plan.DefaultTimeout)), byDefault(e.Timeout == 0))
	f.add("Fallback", fallbackWords(e.Fallback), w.pending("endpoint."+name+".fallback"))
	if e.Cache != 0 {
		f.add("Cache", "an answer may be served again for ", e.Cache.String(), w.pending("endpoint."+name+".cache"))
	}
	if c := e.OnConflict; c != nil {
		f.add("On a conflict", "read ", codeSpan(c.Read), ", then keep ", c.Keep, w.pending("endpoint."+name+".on_conflict"))
		for _, field := range slices.Sorted(maps.Keys(c.Fields)) {
			f.add("On a conflict over "+field, "keep ", c.Fields[field])
		}
		if v := c.Version; v != nil {
			f.add("Version", "taken from ", codeSpan(v.From), ", sent in ", codeSpan(v.Target()))
		}
	}
	if u := e.OnUnknown; u != nil {
		f.add("No answer", "look with ", codeSpan(u.Find), " for one with the same ", codes(slices.Sorted(maps.Keys(u.Match))), w.pending("endpoint."+name+".on_unknown"))
	}
	w.table("Endpoint "+name, []string{"What", "Planned"}, f)
}

func mappingText(name, without string) text {
	if name == "" {
		return t(without)
	}
	return t("mapped by ", codeSpan(name))
}

func byDefault(yes bool) string {
	if yes {
		return " (default)"
	}
	return ""
}

// operationText compares an endpoint with the provider's document; nothing when
// there is none.
func (w *writer) operationText(e *plan.Endpoint) text {
	if w.doc == nil {
		return nil
	}
	op := operationOf(w.doc, e)
	if op == nil {
		return t(strongSpan("not there"))
	}
	out := t(cmp.Or(op.Summary, "there, without a summary"))
	if op.Deprecated {
		out = t(out, "; ", strongSpan("deprecated"))
	}
	return out
}

// operationOf finds the operation of a call; variables may be named otherwise.
func operationOf(doc *openapi.Document, e *plan.Endpoint) *openapi.Operation {
	for i := range doc.Operations {
		op := &doc.Operations[i]
		if op.Method == e.Method() && shape(op.Path) == shape(e.Path()) {
			return op
		}
	}
	return nil
}

// shape is a path without the names of its variables.
func shape(path string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(path, "{")
		b.WriteString(before)
		_, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			b.WriteString(rest)
			return b.String()
		}
		b.WriteString("{}")
		path = after
	}
}

// effectWords say what an effect means for a repeat (R4.7).
func effectWords(e *plan.Endpoint) string {
	switch {
	case e.Effect == plan.EffectIrreversible:
		return "never repeated by machine once the provider may have received it"
	case e.Effect == plan.EffectCreate && e.Idempotency == nil:
		return "not repeated once the provider may have received it, as there is no idempotency key"
	case e.Effect == plan.EffectCreate:
		return "may be repeated with its idempotency key"
	case e.Effect == plan.EffectUpdate:
		return "may be repeated; the result is the same"
	}
	return "may be repeated; nothing changes"
}

func fallbackWords(fallback string) string {
	switch fallback {
	case "queue":
		return "queue: the call is kept while the provider can't be reached"
	case "cached":
		return "cached: the last answer is given while the provider can't be reached"
	case "default":
		return "default: a fixed answer is given while the provider can't be reached"
	case "fail":
		return "fail: the caller is told at once"
	}
	return "fail: the caller is told at once (default)"
}

// callDiagram draws the way of a call and of its answer.
func (w *writer) callDiagram() {
	p := w.plan
	credential := "put on the credential (" + kindWords(p.Auth.Use) + ")"
	for _, e := range p.Endpoints {
		if e != nil && e.Idempotency != nil {
			credential += " and the idempotency key where the endpoint has one"
			break
		}
	}
	w.page.blocks = append(w.page.blocks, diagram{
		title: "A call and its answer", actors: w.actors(),
		steps: []step{
			{from: actorProduct, to: actorGateway, label: "call an endpoint by name"},
			{from: actorGateway, to: actorGateway, label: fmt.Sprintf("map the body, wait at most %s for a turn (%d%% of the limits)", words(p.Limits.Wait.Or(plan.DefaultLimitWait)), p.Limits.Headroom.Or(plan.DefaultHeadroom))},
			{from: actorGateway, to: actorGateway, label: credential},
			{from: actorGateway, to: actorProvider, label: "request, within the endpoint's timeout"},
			{from: actorProvider, to: actorGateway, label: "answer", answer: true},
			{from: actorGateway, to: actorGateway, label: "on 5xx: " + p.ErrorPolicy("5xx").Words() + ", where the effect allows a repeat"},
			{from: actorGateway, to: actorProduct, label: "mapped answer, or what went wrong and what to do", answer: true},
		},
	})
}

// words is a duration as the plan writes it.
func words(d time.Duration) string { return plan.Duration(d).String() }

func seconds(n int) string { return words(time.Duration(n) * time.Second) }

// mappings are the tables of R3.1.
func (w *writer) mappings() {
	w.section("mappings", "Mappings")
	if len(w.plan.Mappings) == 0 {
		w.say("The plan maps nothing: bodies and events are handed over as they come.")
		return
	}
	for _, name := range names(w.plan.Mappings) {
		w.part("mapping-"+name, codeSpan(name))
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
