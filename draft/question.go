package draft

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/extract"
	"github.com/sallyport/sallyport/plan"
)

// Kind is how a question is answered.
type Kind string

// The kinds of questions.
const (
	Choose Kind = "choose" // one of Options
	Tick   Kind = "tick"   // any of Options, at least one
	Type   Kind = "type"   // a text
)

// Question is one thing the planner can't know and a person may. Asked at a
// terminal it has a default; not answered it stands in the plan as Open.
type Question struct {
	// ID is how an answer is filed: see Answers.Answer.
	ID string
	// Call is the operation that a question about an effect is about.
	Call string
	// Ask is the question, Explain what depends on it, in a line.
	Ask, Explain string
	Kind         Kind
	Options      []Option // of Choose and Tick
	// Default is what holds when nobody answers; none is an empty list.
	Default []string
	// Kept is what stands in the plan already and goes with every answer; see
	// Unsettled.
	Kept []string
	// Flag answers it on the command line: --owner TEAM.
	Flag string
	// Open is what stands in the plan while nobody has answered. Its zero value:
	// nothing does, since the reasons stand in the plan anyway.
	Open plan.Question
}

// Option is one answer of several.
type Option struct{ Value, Why string }

// Answers are what people said. The zero value says nothing.
type Answers struct {
	// Endpoints and Events, when not nil, are all the operations ("POST /path")
	// and event types that are used, whatever the need says.
	Endpoints, Events []string
	// Effects says what repeating a call would do, by the endpoint's name or its
	// call.
	Effects map[string]plan.Effect
	// Tenant is where an event names your customer: json:a.b.c, header:NAME.
	Tenant string
	// Destinations are the addresses of yours that receive events, by name. All
	// events go to the one named app, or to the first by name.
	Destinations map[string]string
	// Environments are the stages there are; none is development and production.
	Environments []Environment
	// Owner is the team on call.
	Owner string
	// Decision is build, sdk or buy.
	Decision string
}

// Environment is a stage of the product. An empty BaseURL is the stand-in for
// development, the provider's sandbox for other stages where it has one, and
// the provider's own address for production.
type Environment struct{ Name, BaseURL string }

// The ids of questions. Those that end in a dot are followed by a name.
const (
	idEndpoints    = "endpoints"
	idEvents       = "events"
	idEffect       = "effect."
	idTenant       = "tenant"
	idDestination  = "destination."
	idEnvironments = "environments"
	idOwner        = "owner"
	idDecision     = "decision"
)

var effectOptions = []Option{
	{string(plan.EffectRead), "changes nothing; may be repeated"},
	{string(plan.EffectUpdate), "ends in the same state when repeated; may be repeated"},
	{string(plan.EffectCreate), "makes another one; repeated only with an idempotency key"},
	{string(plan.EffectIrreversible), "a message leaves or money moves; never repeated by machine"},
}

// Check says what is wrong with an answer, before it is filed.
func (q Question) Check(values ...string) error {
	switch q.Kind {
	case Tick:
		if len(values)+len(q.Kept) == 0 && q.ID == idEndpoints {
			return fmt.Errorf("tick at least one: a plan without a call connects nothing")
		}
	case Choose:
		if len(values) != 1 {
			return fmt.Errorf("choose one")
		}
	}
	if q.Kind != Type {
		for _, v := range values {
			if !slices.ContainsFunc(q.Options, func(o Option) bool { return o.Value == v }) {
				return fmt.Errorf("%q is none of the answers", v)
			}
		}
		return nil
	}
	_, err := Answers{}.Answer(q.ID, values...)
	return err
}

// Answer files the answer to a question and returns all answers with it; the
// receiver stays as it is. An empty answer to a typed question leaves it open.
func (a Answers) Answer(id string, values ...string) (Answers, error) {
	text := strings.TrimSpace(strings.Join(values, " "))
	kind, name, named := strings.Cut(id, ".")
	switch {
	case id == idEndpoints:
		a.Endpoints = append([]string{}, values...)
	case id == idEvents:
		a.Events = append([]string{}, values...)
	case text == "":
	case named && kind+"." == idEffect:
		a.Effects = with(a.Effects, name, plan.Effect(text))
	case named && kind+"." == idDestination:
		a.Destinations = with(a.Destinations, name, text)
	case id == idTenant:
		a.Tenant = text
	case id == idOwner:
		a.Owner = text
	case id == idDecision:
		a.Decision = text
	case id == idEnvironments:
		list, err := environments(values)
		if err != nil {
			return a, err
		}
		a.Environments = list
	default:
		return a, fmt.Errorf("there is no question %q", id)
	}
	return a, a.check()
}

func with[V any](m map[string]V, key string, value V) map[string]V {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]V{}
	}
	out[key] = value
	return out
}

// environments reads NAME or NAME=BASE_URL, several separated by spaces or
// commas.
func environments(values []string) (list []Environment, err error) {
	for _, one := range strings.FieldsFunc(strings.Join(values, " "), func(r rune) bool { return r == ' ' || r == ',' }) {
		name, base, _ := strings.Cut(one, "=")
		if slices.ContainsFunc(list, func(e Environment) bool { return e.Name == name }) {
			return nil, fmt.Errorf("environment %q is named twice", name)
		}
		list = append(list, Environment{name, base})
	}
	return list, nil
}

var slugName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// check says what no plan could take.
func (a Answers) check() error {
	for _, name := range slices.Sorted(maps.Keys(a.Effects)) {
		e := a.Effects[name]
		if !slices.ContainsFunc(effectOptions, func(o Option) bool { return o.Value == string(e) }) {
			return fmt.Errorf("effect %q of %s: write read, update, create or irreversible", e, name)
		}
	}
	if a.Tenant != "" {
		if _, err := extract.Parse(a.Tenant); err != nil || strings.HasPrefix(a.Tenant, "config:") {
			return fmt.Errorf("tenant %q is no place in a request: write json:a.b.c, header:NAME, form:KEY or query:KEY", a.Tenant)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Destinations)) {
		if err := checkAddress("destination", name, a.Destinations[name]); err != nil {
			return err
		}
	}
	for _, e := range a.Environments {
		if err := checkAddress("environment", e.Name, e.BaseURL); err != nil && (e.BaseURL != "" || !slugName.MatchString(e.Name)) {
			return err
		}
		if strings.Contains(e.BaseURL, "?") {
			return fmt.Errorf("environment %s: a base URL has no query", e.Name)
		}
	}
	if a.Decision != "" && !slices.Contains([]string{"build", "sdk", "buy"}, a.Decision) {
		return fmt.Errorf("decision %q: write build, sdk or buy", a.Decision)
	}
	return nil
}

// checkAddress never repeats the address: it may hold a password.
func checkAddress(what, name, address string) error {
	if !slugName.MatchString(name) {
		return fmt.Errorf("%s %q is no name: write lower-case letters, digits, - and _, beginning with a letter", what, name)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(address, "# ") {
		return fmt.Errorf("%s %s: write an absolute http or https URL without user or fragment, such as https://app.example.com/hooks", what, name)
	}
	return nil
}

// Unsettled are the questions that are still worth asking when there is a plan
// already: what stands in it stays (see Merge), so nothing is asked that could
// not be written. What people took out of it is offered, and not ticked. A nil
// existing plan settles nothing.
func Unsettled(questions []Question, existing, fresh *plan.Plan) []Question {
	if existing == nil {
		return questions
	}
	same := existing.Need == fresh.Need && sameSpec(existing, fresh)
	var out []Question
	for _, q := range questions {
		kind, _, _ := strings.Cut(q.ID, ".")
		switch q.ID {
		case idEndpoints:
			q = q.without(func(call string) bool { return byCall(existing, call) != "" })
		case idEvents:
			q = q.without(func(kind string) bool { return existing.Webhooks != nil && has(existing.Webhooks.Events, kind) })
		}
		settled := false
		switch {
		case q.Kind == Tick:
			settled = len(q.Options) == 0
			if same {
				q.Default = nil
			}
		case kind+"." == idEffect:
			settled = byCall(existing, q.Call) != ""
		case q.ID == idTenant:
			settled = existing.Webhooks != nil && existing.Webhooks.Tenant != ""
		case kind+"." == idDestination:
			settled = len(existing.Destinations) > 0
		case q.ID == idEnvironments:
			settled = true
		case q.ID == idOwner:
			settled = existing.Monitoring.Owner != ""
		case q.ID == idDecision:
			settled = existing.Decision != nil
		}
		if !settled {
			out = append(out, q)
		}
	}
	return out
}

func has[V any](m map[string]V, key string) bool {
	_, there := m[key]
	return there
}

// without is a question with the options left out that the plan has.
func (q Question) without(gone func(value string) bool) Question {
	q.Kept = slices.DeleteFunc(slices.Clone(q.Default), func(v string) bool { return !gone(v) })
	q.Options = slices.DeleteFunc(slices.Clone(q.Options), func(o Option) bool { return gone(o.Value) })
	q.Default = slices.DeleteFunc(slices.Clone(q.Default), gone)
	return q
}
