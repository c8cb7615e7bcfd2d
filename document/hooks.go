package document

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// webhooks tells how events are known to be genuine and where they go (R5).
func (w *writer) webhooks() {
	w.section("webhooks", "Step 5: Webhooks")
	hooks, known := w.plan.Webhooks, w.provider.Webhooks
	switch {
	case hooks == nil && known == nil:
		w.say("The profile knows of no webhooks of this provider; the plan receives none.")
		return
	case hooks == nil:
		w.say("The provider sends webhooks; the plan receives none.")
		return
	}
	w.hookDiagram()
	w.hookFacts()
	var rows [][]text
	for _, name := range names(hooks.Events) {
		e := hooks.Events[name]
		to := destinationsText(e)
		from := t(codeSpan(e.From))
		if e.From == "" {
			from = t("the whole payload")
		}
		rows = append(rows, []text{t(codeSpan(name)), from, mappingText(e.Map, "as it comes"), to})
	}
	w.table("Events that are used", []string{"Event type", "What is taken", "Mapping", "Destination"}, rows)
	rows = nil
	for _, name := range names(w.plan.Destinations) {
		d := w.plan.Destinations[name]
		rows = append(rows, []text{
			t(codeSpan(name)), t(linkSpan(d.URL)), signedWith(d),
			t(words(d.Timeout.Or(plan.DefaultDestinationTimeout)), byDefault(d.Timeout == 0)),
		})
	}
	w.table("Destinations", []string{"Name", "Address", "Signing secret", "One delivery may take"}, rows)
	if len(rows) > 0 {
		w.say("Deliveries are signed by Standard Webhooks. One that fails is tried again over days; one that keeps failing waits for a person.")
	}
}

// hookFacts is what holds for every event.
func (w *writer) hookFacts() {
	hooks, known := w.plan.Webhooks, w.provider.Webhooks
	var f facts
	if known != nil {
		f.add("Genuine when", schemeText(known.Verify))
		for _, v := range known.Variants {
			f.add("Variant "+v.Name, strings.TrimSuffix(v.When, "."), ": ", schemeText(v.Verify))
		}
		f.add("A changed secret", known.Verify.Rotation)
		f.add("The event's id", idText(known))
		f.add("What can't be read", known.Gaps)
		f.add("Its type", codes(known.Type))
		f.add("Expected answer", answerWords(known.Answer))
		f.add("The provider's repeats", known.Retries)
		f.add("Asking for events again", known.Replay)
		f.add("Handshake", handshakeText(known))
	} else {
		f.add("Genuine when", strongSpan("not known: the profile has no signature scheme"))
	}
	f.add("A repeat of the same event", "is answered as before and not processed again")
	f.add("Event types that are not listed", "are kept as ignored and not delivered")
	f.add("Your customer stands in", codeSpan(hooks.Tenant))
	f.add("The resource stands in", codeSpan(hooks.OrderBy))
	payload, ids := hooks.Kept()
	f.add("Kept for", fmt.Sprintf("payloads %s, ids %s", plan.Duration(payload), plan.Duration(ids)), byDefault(hooks.Retention == nil), w.pending("webhook.retention"))
	f.add("Never shown", codes(hooks.Redact), w.pending("webhook.redact"))
	if r := hooks.Reconcile; r != nil {
		overlap := ""
		if r.Overlap != 0 {
			overlap = ", reaching back " + r.Overlap.String() + " behind the question before"
		}
		f.add("Events that never came", "are looked for with ", codeSpan(r.List), " every ", r.Every.String(), overlap, w.pending("webhook.reconcile"))
	}
	w.table("What holds for every event", []string{"What", "How"}, f)
}

// idText is what tells one event from another.
func idText(known *catalog.Webhooks) text {
	if len(known.Composite) == 0 {
		return codes(known.ID)
	}
	out := t("together ", codes(known.Composite))
	if len(known.ID) > 0 {
		out = t(codes(known.ID), ", or ", out)
	}
	return out
}

// handshakeText is how an address is proven to be ours, in the profile's words or
// by name.
func handshakeText(known *catalog.Webhooks) text {
	if known.Challenge != "" || len(known.Handshakes) == 0 {
		return t(known.Challenge)
	}
	list := make([]string, len(known.Handshakes))
	for i, h := range known.Handshakes {
		list[i] = h.Name
	}
	return t("answered: ", codes(list))
}

// schemeText says a signature scheme in words.
func schemeText(v catalog.Verification) text {
	algorithm := strings.ToUpper(strings.Replace(v.Algorithm, "hmac-", "hmac ", 1))
	out := t(cmp.Or(algorithm, strings.ToUpper(v.Scheme)))
	if v.SignedContent != "" {
		out = t(out, " over ", codeSpan(v.SignedContent))
	}
	if v.Encoding != "" {
		out = t(out, ", in ", v.Encoding)
	}
	if len(v.Header) > 0 {
		out = t(out, ", stands in ", codes(v.Header))
	}
	if v.ToleranceS > 0 {
		return t(out, "; a signature older than ", seconds(v.ToleranceS), " is refused")
	}
	return t(out, "; no age is too old")
}

func answerWords(a catalog.WebhookAnswer) string {
	if a.Status == "" {
		return ""
	}
	if a.DeadlineS == 0 {
		return a.Status + "; how long it may take is not documented"
	}
	return fmt.Sprintf("%s within %s", a.Status, seconds(a.DeadlineS))
}

// destinationsText names where an event goes, and when.
func destinationsText(e plan.EventHandling) text {
	var parts text
	for _, name := range e.To {
		parts = append(parts, t(separated(parts), codeSpan(name))...)
	}
	for _, r := range e.Routes {
		for _, name := range r.To {
			parts = append(parts, t(separated(parts), codeSpan(name), " where "+r.Words())...)
		}
	}
	if len(parts) == 0 {
		return t("the Go handler registered for it")
	}
	return parts
}

func separated(before text) string {
	if len(before) == 0 {
		return ""
	}
	return "; "
}

// signedWith is where the signing secret of a destination is found.
func signedWith(d plan.Destination) text {
	if len(d.Secret) == 0 {
		return t("none")
	}
	return references(d.Secret)
}

// hookDiagram draws the way of an event.
func (w *writer) hookDiagram() {
	steps := []step{
		{from: actorProvider, to: actorGateway, label: "event, signed"},
		{from: actorGateway, to: actorGateway, label: "check the signature over the raw bytes, store the event and its delivery"},
		{from: actorGateway, to: actorProvider, label: "200, only now", answer: true},
	}
	mapped, posted, handled := false, false, false
	for _, e := range w.plan.Webhooks.Events {
		mapped = mapped || e.Map != ""
		posted = posted || len(e.Destinations()) > 0
		handled = handled || len(e.Destinations()) == 0
	}
	if mapped {
		steps = append(steps, step{from: actorGateway, to: actorGateway, label: "map what the event is about"})
	}
	if posted {
		steps = append(
			steps,
			step{from: actorGateway, to: actorProduct, label: "delivery, signed for you"},
			step{from: actorProduct, to: actorGateway, label: "2xx, anything else is tried again", answer: true},
		)
	}
	if handled {
		steps = append(
			steps,
			step{from: actorGateway, to: actorProduct, label: "your Go handler is called"},
			step{from: actorProduct, to: actorGateway, label: "no error, an error is tried again", answer: true},
		)
	}
	w.page.blocks = append(w.page.blocks, diagram{title: "An event and its delivery", actors: w.actors(), steps: steps})
}
