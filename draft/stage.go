package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// standIn is where sallyport sandbox listens.
const standIn = "http://127.0.0.1:4010"

// environments writes one stage each, with references to secrets of its own.
func (w *writer) environments() {
	stages := w.Answers.Environments
	if len(stages) == 0 {
		stages = []Environment{{Name: "development"}, {Name: "production"}}
	}
	w.plan.Environments = map[string]plan.Environment{}
	for _, s := range stages {
		env := plan.Environment{BaseURL: s.BaseURL, Secrets: map[string]catalog.OneOrMore{}}
		for _, name := range secretsOf(w.plan.Auth.Use) {
			env.Secrets[name] = catalog.OneOrMore{w.secret(s.Name, strings.ToUpper(name))}
		}
		switch {
		case s.BaseURL != "" || plan.Production(s.Name):
		case s.Name == "development":
			env.BaseURL = standIn
		default:
			env.BaseURL = w.ownSandbox()
		}
		if w.plan.Webhooks != nil {
			env.Secrets["webhook_secret"] = catalog.OneOrMore{w.secret(s.Name, "WEBHOOK_SECRET")}
		}
		w.plan.Environments[s.Name] = env
	}
}

// secretsOf are the secrets that a kind of credential needs in each environment.
// What each customer hands over is kept with their connection, not here.
func secretsOf(kind string) []string {
	switch kind {
	case "oauth2", "client_credentials":
		return []string{"client_id", "client_secret"}
	case "jwt":
		return []string{"private_key"}
	}
	return []string{"api_key"}
}

// secret is the reference to a secret: env:STRIPE_API_KEY in development,
// env:STRIPE_PRODUCTION_API_KEY elsewhere.
func (w *writer) secret(environment, name string) string {
	upper := func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "_")) }
	if environment == "development" {
		return "env:" + upper(w.service) + "_" + name
	}
	return "env:" + upper(w.service) + "_" + upper(environment) + "_" + name
}

// ownSandbox is the address of the provider's test environment; empty where it
// has none of its own.
func (w *writer) ownSandbox() string {
	base := w.profile.Sandbox.BaseURL
	if checkAddress("environment", "sandbox", base) != nil || strings.ContainsAny(base, "?{}") {
		return ""
	}
	return base
}

// destination is where events go.
func (w *writer) destination() string {
	if len(w.Answers.Destinations) == 0 || has(w.Answers.Destinations, "app") {
		return "app"
	}
	return slices.Sorted(maps.Keys(w.Answers.Destinations))[0]
}

// destinations are those that were named; where events come in and nobody named
// one, it is a program on the same machine.
func (w *writer) destinations() {
	said := w.Answers.Destinations
	if len(said) == 0 && w.plan.Webhooks != nil {
		said = map[string]string{"app": "http://127.0.0.1:3000/" + w.service}
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if w.plan.Destinations == nil {
			w.plan.Destinations = map[string]plan.Destination{}
		}
		secret := "env:" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_SIGNING_SECRET"
		w.plan.Destinations[name] = plan.Destination{URL: said[name], Secret: catalog.OneOrMore{secret}, Timeout: plan.Duration(plan.DefaultDestinationTimeout)}
	}
}

// said is the effect that a person named for an endpoint.
func (w *writer) said(name, call string) (plan.Effect, bool) {
	if e, ok := w.Answers.Effects[name]; ok {
		return e, true
	}
	e, ok := w.Answers.Effects[call]
	return e, ok
}

// checkEffects refuses effects of endpoints that the plan does not have.
func (w *writer) checkEffects() error {
	for _, name := range slices.Sorted(maps.Keys(w.Answers.Effects)) {
		if w.plan.Endpoints[name] == nil && byCall(w.plan, name) == "" {
			return fmt.Errorf("an effect is said for %q, which is no endpoint of the plan; there is %s", name, strings.Join(slices.Sorted(maps.Keys(w.plan.Endpoints)), ", "))
		}
	}
	return nil
}

// ticked leaves only what a person ticked, and takes what was ticked beside what
// the need asks for.
func (w *writer) ticked() {
	if w.Answers.Endpoints == nil {
		return
	}
	c := w.chooser
	c.picks = slices.DeleteFunc(c.picks, func(p *pick) bool {
		gone := !slices.Contains(w.Answers.Endpoints, p.op.Call())
		if gone {
			delete(c.byOp, p.op)
		}
		return gone
	})
	for _, o := range c.index.ops {
		if c.byOp[o] == nil && slices.Contains(w.Answers.Endpoints, o.Call()) {
			c.take(nil, o, explicitWhy)
		}
	}
}

// tickedEvents are the events that a person ticked, with the reasons of those
// that the need asks for.
func (w *writer) tickedEvents(events []eventPick) []eventPick {
	if w.Answers.Events == nil {
		return events
	}
	return slices.DeleteFunc(events, func(e eventPick) bool { return !slices.Contains(w.Answers.Events, e.kind) })
}
