package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// interview lists what only a person knows and nobody has said, in the order in
// which it is asked: what is used, then how.
func (w *writer) interview(r *Report) []Question {
	var list []Question
	if w.Answers.Endpoints == nil && len(r.Candidates) > 0 {
		list = append(list, ticks(idEndpoints, "Which operations does it need?",
			"Ticked is the smallest set that covers the need; below it stands what came close.", "--endpoint \"METHOD /path\"", r.Candidates))
	}
	if w.Answers.Events == nil && len(r.Events) > len(w.Events) {
		list = append(list, ticks(idEvents, "Which events should reach you?",
			"Every other type is kept as ignored and not delivered.", "--event TYPE", r.Events))
	}
	list = append(list, w.doubts...)
	if w.plan.Webhooks != nil {
		list = append(list, w.aboutEvents()...)
	}
	return append(list, w.aboutPeople()...)
}

func ticks(id, ask, explain, flag string, from []Candidate) Question {
	q := Question{ID: id, Kind: Tick, Ask: ask, Explain: explain, Flag: flag}
	for _, c := range slices.SortedStableFunc(slices.Values(from), pickedFirst) {
		q.Options = append(q.Options, Option{c.Call, c.Reason})
		if c.Picked {
			q.Default = append(q.Default, c.Call)
		}
	}
	return q
}

func pickedFirst(a, b Candidate) int {
	switch {
	case a.Picked == b.Picked:
		return 0
	case a.Picked:
		return -1
	}
	return 1
}

// doubtful notes that an effect was guessed; whoever said it has no doubt.
func (w *writer) doubtful(name, call string, guess plan.Effect, doubt string) {
	w.doubts = append(w.doubts, Question{
		ID: idEffect + name, Call: call, Kind: Choose, Options: effectOptions, Default: []string{string(guess)},
		Ask:     "What would it do to call " + call + " twice?",
		Explain: upperFirst(strings.TrimSuffix(doubt, "?")) + ". The effect decides what may be retried.",
		Flag:    "--effect " + name + "=EFFECT",
		Open: plan.Question{
			About: "endpoint." + name + ".effect", Look: w.profile.Docs,
			Ask: fmt.Sprintf("Is %s the right effect for %s? %s.", guess, call, upperFirst(strings.TrimSuffix(doubt, "?"))),
		},
	})
}

func (w *writer) aboutEvents() []Question {
	var list []Question
	if w.Answers.Tenant == "" {
		q := Question{
			ID: idTenant, Kind: Type, Flag: "--tenant PATH",
			Ask:     "Where does an event say which of your customers it is about?",
			Explain: "json:a.b.c in the body, header:NAME, form:KEY or query:KEY. Without it every event is filed under no customer.",
			Open:    plan.Question{About: "webhooks", Look: w.profile.Docs, Ask: "Which of your customers is an event about? Nothing in the payload is known to say it; write the path into webhooks.tenant."},
		}
		if guess := w.plan.Webhooks.Tenant; guess != "" {
			q.Default = []string{guess}
			q.Open.Ask = fmt.Sprintf("Do you write your customer's id to %s at the provider? That is where webhooks.tenant expects it.", strings.TrimPrefix(guess, "json:"))
		}
		list = append(list, q)
	}
	if len(w.Answers.Destinations) == 0 {
		for _, name := range slices.Sorted(maps.Keys(w.plan.Destinations)) {
			url := w.plan.Destinations[name].URL
			list = append(list, Question{
				ID: idDestination + name, Kind: Type, Default: []string{url}, Flag: "--destination " + name + "=URL",
				Ask:     "Which address of yours receives the events?",
				Explain: "Events are posted there, signed, until it answers 2xx.",
				Open:    plan.Question{About: "destination." + name, Ask: fmt.Sprintf("Is %s where events should be posted? It is only a guess; write the address into destinations.%s.url.", url, name)},
			})
		}
	}
	return list
}

func (w *writer) aboutPeople() []Question {
	var list []Question
	if len(w.Answers.Environments) == 0 {
		names := slices.Sorted(maps.Keys(w.plan.Environments))
		list = append(list, Question{
			ID: idEnvironments, Kind: Type, Default: []string{strings.Join(names, " ")}, Flag: "--environment NAME[=BASE_URL]",
			Ask:     "Which environments do you have?",
			Explain: "Names, separated by spaces; NAME=BASE_URL where calls go elsewhere. Each has its own secrets, which can't mix.",
			Open:    plan.Question{About: "environments", Ask: "Are " + strings.Join(names, " and ") + " the environments there are, and is there an account at the provider for each?"},
		})
	}
	if w.Answers.Owner == "" {
		list = append(list, Question{
			ID: idOwner, Kind: Type, Flag: "--owner TEAM",
			Ask:     "Who owns this integration?",
			Explain: "The team that is told about trouble and asked about the plan. Empty leaves it open.",
			Open:    plan.Question{About: "monitoring", Ask: "Who owns this integration and is told about trouble? Write a team into monitoring.owner and monitoring.notify."},
		})
	}
	if d := w.plan.Decision; w.Answers.Decision == "" && d != nil {
		build, sdk, buy := d.Totals()
		list = append(list, Question{
			ID: idDecision, Kind: Choose, Default: []string{d.Choice}, Flag: "--decision build|sdk|buy",
			Ask:     "Build a client, use the provider's SDK, or buy?",
			Explain: d.Why,
			Options: []Option{
				{"build", fmt.Sprintf("this plan and its adapter; weighed %d", build)},
				{"sdk", fmt.Sprintf("the provider's SDK through Sallyport's HTTP client; weighed %d", sdk)},
				{"buy", fmt.Sprintf("a product that does it; weighed %d", buy)},
			},
			Open: plan.Question{About: "decision", Ask: fmt.Sprintf("Is %s the decision? It was weighed from facts (build %d, SDK %d, buy %d); a person has to take it.", d.Choice, build, sdk, buy)},
		})
	}
	return list
}
