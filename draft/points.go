package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// points answers what only the provider's document tells, and writes down what
// only people know, each with where to look. What follows from the plan's other
// keys is not written twice.
func (w *writer) points() map[string]plan.Point {
	out := map[string]plan.Point{}
	for _, p := range w.known() {
		out[p.id] = p.Point
	}
	for _, p := range w.openPoints() {
		if _, answered := out[p.id]; !answered {
			out[p.id] = plan.Point{Ask: p.ask, Look: p.look}
		}
	}
	return out
}

type knownPoint struct {
	id string
	plan.Point
}

// known are the points that the document answers.
func (w *writer) known() []knownPoint {
	var list []knownPoint
	add := func(id string, p plan.Point) { list = append(list, knownPoint{id, p}) }
	writes := w.writes()
	if len(writes) == 0 {
		add("E23", plan.Point{Because: "Nothing is written."})
		add("E47", plan.Point{Because: "The plan makes no call that causes an event."})
		add("E52", plan.Point{Because: "Nothing is written: the provider owns every field."})
	}
	if w.byHand {
		return list
	}
	later := w.answering("202")
	if len(later) > 0 {
		add("E22", plan.Point{Ask: "How long may " + strings.Join(later, ", ") + " take, how is the end noticed, and can it be cancelled? The document says 202: accepted, not done.", Look: w.profile.Docs})
	} else {
		add("E22", plan.Point{Because: "No operation of the plan answers 202 in the document."})
	}
	if partly := w.answering("207"); len(partly) > 0 {
		add("E21", plan.Point{Ask: "Who looks at the parts of " + strings.Join(partly, ", ") + " that failed? The document says 207: each part has its own status.", Look: w.profile.Docs})
	}
	if hooks := w.plan.Webhooks; hooks != nil {
		mapped := 0
		for _, e := range hooks.Events {
			if e.Map != "" {
				mapped++
			}
		}
		if mapped == len(hooks.Events) {
			add("E46", plan.Point{Value: "Events hold the resource itself: all are mapped from the payload."})
		}
	}
	return list
}

// answering are the endpoints whose document names a status.
func (w *writer) answering(status string) []string {
	var out []string
	for _, p := range w.chooser.picks {
		if _, said := p.op.Responses[status]; said {
			out = append(out, w.names[p.op])
		}
	}
	slices.Sort(out)
	return out
}

func (w *writer) writes() []string {
	_, writes := w.byEffect()
	return writes
}

type openPoint struct{ id, ask, look string }

// openPoints are what nobody can read out of a document: contract, people, and
// what the product itself decides. Only those that apply.
func (w *writer) openPoints() []openPoint {
	name, docs := w.profile.Name, w.profile.Docs
	contract, settings := "the contract with "+name, "the account settings at "+name
	list := []openPoint{
		{"E22", "Does an operation answer before it is done, and how is the end noticed?", docs},
		{"E27", "Can the credential be restricted to what the plan calls, and is it?", settings},
		{"E35", "Does " + name + " ask for fixed addresses or client certificates?", settings},
		{"E36", "Who owns the developer account, with second factor and a billing contact?", "the team that owns the integration"},
		{"E59", "Which test values cause which error in the provider's test environment?", docs},
		{"E65", "Who else tries it before it goes live?", "the team that owns the integration"},
		{"E66", "What do we promise our customers, against what " + name + " promises us?", address(w.profile.Service.SLA, contract)},
		{"E69", "Which support does the account have, and what does a ticket need?", contract},
		{"E70", "What does a call cost, and who hears when the budget is used up?", address(w.profile.Service.Pricing, contract)},
		{"E71", "How many calls a day are expected, against the limits, and for how many months is that enough?", "your own traffic"},
		{"E73", "When is a bad day rehearsed: provider down, secret leaked, a day of events lost?", "the team that owns the integration"},
		{"E76", "What do the terms say about keeping, showing and competing use?", contract},
	}
	if personal := w.personal(); len(personal) > 0 {
		list = append(list, openPoint{"E54", "What are " + strings.Join(personal, ", ") + " kept for, how long, and how are they erased?", "your own data policy"},
			openPoint{"E55", "Where does " + name + " process personal data, with whom, and is there a data processing agreement?", contract})
	}
	if len(w.writes()) > 0 {
		list = append(list, openPoint{"E23", "How long until a write can be read back?", docs},
			openPoint{"E52", "Which system owns each field that goes both ways?", "your product"})
		if len(w.plan.Endpoints) > 1 {
			list = append(list, openPoint{"E18", "Which calls do people wait for? They get priority.", "your product"})
		}
	}
	if w.plan.Webhooks != nil {
		list = append(list, openPoint{"E46", "Does an event hold the resource, or only its id?", docs},
			openPoint{"E53", "What existed at " + name + " before the first event, and how is it loaded?", "your product"})
		if len(w.writes()) > 0 {
			list = append(list, openPoint{"E47", "How is an event that your own call caused told from others?", "your product"})
		}
	}
	return list
}

// address is where to look, where a fact is one, or else the place in words.
func address(fact, otherwise string) string {
	if strings.HasPrefix(fact, "https://") {
		return fact
	}
	return otherwise
}

// personal are the mapped fields that hold personal data.
func (w *writer) personal() []string {
	const enough = 4
	var out []string
	for _, table := range slices.Sorted(maps.Keys(w.plan.Mappings)) {
		for _, r := range w.plan.Mappings[table] {
			if r.Class == "pii" {
				out = append(out, table+"."+r.Internal)
			}
		}
	}
	if len(out) > enough {
		out = append(out[:enough], fmt.Sprintf("%d more", len(out)-enough))
	}
	return out
}
