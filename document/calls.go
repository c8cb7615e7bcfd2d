package document

import (
	"cmp"
	"fmt"
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

// endpoints are the calls of R1.2: all at one glance, then what is particular to
// each.
func (w *writer) endpoints() {
	w.part("endpoints", "Endpoints")
	if len(w.plan.Endpoints) == 0 {
		w.say("The plan uses no endpoint.")
		return
	}
	var rows [][]text
	for _, name := range names(w.plan.Endpoints) {
		e := w.plan.Endpoints[name]
		rows = append(rows, []text{
			t(codeSpan(name)), t(codeSpan(e.Call)), t(e.Purpose), t(string(e.Effect)),
			t(words(e.Timeout.Or(plan.DefaultTimeout))), t(cmp.Or(e.Fallback, "fail"), w.pending("endpoint."+name+".fallback")),
		})
	}
	w.table("All endpoints", []string{"Name", "Call", "Purpose", "Effect", "Timeout", "Fallback"}, rows)
	w.legend()
	w.callDiagram()
	for _, name := range names(w.plan.Endpoints) {
		w.endpoint(name, w.plan.Endpoints[name])
	}
}

// legend says what the words in the table of endpoints mean, those that stand
// in it.
func (w *writer) legend() {
	var effects, fallbacks []string
	for _, name := range names(w.plan.Endpoints) {
		e := w.plan.Endpoints[name]
		if s := effectWords(e); !slices.Contains(effects, s) {
			effects = append(effects, s)
		}
		if s := fallbackWords(cmp.Or(e.Fallback, "fail")); !slices.Contains(fallbacks, s) {
			fallbacks = append(fallbacks, s)
		}
	}
	slices.Sort(effects)
	slices.Sort(fallbacks)
	w.say("The timeout is of one attempt. Effects: ", strings.Join(effects, "; "), ". Fallbacks, while the provider can't be reached: ", strings.Join(fallbacks, "; "), ".")
}

// endpoint shows what the table of all endpoints has no column for.
func (w *writer) endpoint(name string, e *plan.Endpoint) {
	w.thing("endpoint-"+name, codeSpan(name))
	row := "endpoint." + name + "."
	var f facts
	f.add("Why this one", e.Why)
	f.add("In the API document", w.operationText(e))
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
	f.add("Encoding", string(e.Encoding))
	if e.Default != "" {
		f.add("Fixed answer", codeSpan(e.Default), ", given while the provider can't be reached")
	}
	if e.Cache != 0 {
		f.add("Cache", "an answer may be served again for ", e.Cache.String(), w.pending(row+"cache"))
	}
	f.add("On a conflict", conflictText(e.OnConflict), w.pending(row+"on_conflict"))
	f.add("Without an answer", unknownText(e.OnUnknown), w.pending(row+"on_unknown"))
	f.add("Collected", bulkText(e.Bulk), w.pending(row+"bulk"))
	if e.Priority != 0 {
		f.add("Priority in the queue", fmt.Sprint(e.Priority), w.pending(row+"priority"))
	}
	if e.Cost > 1 {
		f.add("Cost", count(e.Cost, "unit"), " of limits that are not counted in requests", w.pending(row+"cost"))
	}
	w.details("What is particular to "+name, []string{"What", "Planned"}, f)
}

// conflictText says what a 409 or 412 leads to (R4.5).
func conflictText(c *plan.OnConflict) text {
	if c == nil {
		return nil
	}
	out := t("read ", codeSpan(c.Read))
	if c.State != "" {
		out = t(out, " (the object stands in ", codeSpan(c.State), ")")
	}
	out = t(out, ", ", keepWords(c.Keep))
	for _, field := range names(c.Fields) {
		out = t(out, "; for ", codeSpan(field), " ", keepWords(c.Fields[field]))
	}
	if v := c.Version; v != nil {
		out = t(out, "; the version is taken from ", codeSpan(v.From), " and sent in ", codeSpan(v.Target()))
	}
	return t(out, "; then send once more")
}

func keepWords(keep string) string {
	switch keep {
	case "ours", "theirs":
		return "keep " + keep
	case "fail":
		return "hand the conflict to the caller"
	}
	return keep
}

// unknownText says how a call without an answer is looked for (E14).
func unknownText(u *plan.OnUnknown) text {
	if u == nil {
		return nil
	}
	out := t("look with ", codeSpan(u.Find))
	if given := append(sources("path ", u.Path), sources("query ", u.Query)...); len(given) > 0 {
		out = t(out, " (", joined(given, ", "), ")")
	}
	if u.Items != "" {
		out = t(out, ", in the list ", codeSpan(u.Items))
	}
	out = t(out, ", for one where ", joined(sources("", u.Match), " and "))
	if u.Created != "" {
		out = t(out, ", made since by ", codeSpan(u.Created))
	}
	if u.More != "" {
		out = t(out, "; the list goes on while ", codeSpan(u.More), " says so")
	}
	return t(out, "; finding nothing counts after ", words(u.After.Or(time.Minute)))
}

// sources are a target and the source of its value, in order.
func sources(kind string, m map[string]string) []text {
	list := make([]text, 0, len(m))
	for _, name := range names(m) {
		list = append(list, t(kind, codeSpan(name), " is ", codeSpan(m[name])))
	}
	return list
}

// bulkText says how calls are collected into one (R4.15).
func bulkText(b *plan.Bulk) text {
	if b == nil {
		return nil
	}
	out := t("up to ", count(cmp.Or(b.Max, plan.DefaultBulkMax), "call"), " within ", words(b.Wait.Or(plan.DefaultBulkWait)), " go out as one ", codeSpan(b.Call))
	if b.Items != "" {
		out = t(out, "; bodies stand in ", codeSpan(b.Items))
	}
	if b.Answers != "" {
		out = t(out, "; answers in ", codeSpan(b.Answers))
	}
	if b.Match != "" {
		out = t(out, ", matched by ", codeSpan(b.Match))
	} else {
		out = t(out, "; answers come in the order of the bodies")
	}
	if b.Error != "" {
		out = t(out, "; one with ", codeSpan(b.Error), " failed")
	}
	return out
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
		return "irreversible is never repeated by machine once the provider may have received it"
	case e.Effect == plan.EffectCreate && e.Idempotency == nil:
		return "create without an idempotency key is not repeated once the provider may have received it"
	case e.Effect == plan.EffectCreate:
		return "create with an idempotency key may be repeated"
	case e.Effect == plan.EffectUpdate:
		return "update may be repeated, the result is the same"
	}
	return "read may be repeated, nothing changes"
}

func fallbackWords(fallback string) string {
	switch fallback {
	case "queue":
		return "queue keeps the call"
	case "cached":
		return "cached gives the last answer"
	case "default":
		return "default gives a fixed answer"
	}
	return "fail tells the caller at once"
}

// callDiagram draws the way of a call and of its answer.
func (w *writer) callDiagram() {
	p := w.plan
	credential := "put on the credential (" + kindWords(p.Auth.Use) + ")"
	for _, e := range p.Endpoints {
		if e.Idempotency != nil {
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
