package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/plan"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// checkPinned keeps R7.1.1.
func checkPinned(p *plan.Plan, _ Options) []answer {
	var out []answer
	if p.Provider.API.VersionPin != nil && p.Profile.Version == "" {
		out = append(out, answer{outcome: Fail, path: "profile.version", message: "the API has versions and the plan pins none: what is asked for is the newest the catalog knows, which moves with it"})
	}
	switch {
	case p.Profile.Spec == nil:
		out = append(out, answer{outcome: Fail, path: "profile", message: "the provider's document is not pinned"})
	case p.Profile.Spec.SHA256 == "":
		out = append(out, answer{outcome: Fail, path: "profile.spec", message: "the document is named without its sha256, so that a changed file goes unnoticed"})
	}
	return or(out, "version and document are pinned")
}

// checkCredentials keeps R7.1.2. That secrets are references the loader sees to.
func checkCredentials(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, name := range sorted(p.Environments) {
		secrets := p.Environments[name].Secrets
		here := "environments." + name + ".secrets"
		switch {
		case len(secrets) == 0:
			out = append(out, answer{outcome: Fail, path: here, message: fmt.Sprintf("environment %s has no secrets", name)})
		case p.Auth.Use == "api_key" || p.Auth.Use == "basic":
			if len(secrets["api_key"]) == 0 {
				out = append(out, answer{outcome: Fail, path: here, message: fmt.Sprintf("environment %s has no api_key, which auth.use: %s needs", name, p.Auth.Use)})
			}
		case len(secrets) == 1 && len(secrets["webhook_secret"]) > 0:
			out = append(out, answer{outcome: Fail, path: here, message: fmt.Sprintf("environment %s has a webhook_secret and no credential for auth.use: %s", name, p.Auth.Use)})
		}
	}
	return or(out, count(len(p.Environments), "environment")+", each with its own references")
}

// checkWrapper keeps R7.1.3 as far as a plan can: whether code goes around it is
// not in the plan.
func checkWrapper(p *plan.Plan, o Options) []answer {
	if len(p.Endpoints) == 0 && usesWebhooks(p) {
		return absent("the plan takes events and calls nothing")
	}
	if len(p.Endpoints) == 0 {
		return []answer{{outcome: Fail, path: "endpoints", message: "the plan names no endpoint; calls can only go through the proxy, in the provider's own shape"}}
	}
	switch o.Code["R0.6"] {
	case Pass:
		return pass(count(len(p.Endpoints), "endpoint") + " of the plan, and no code goes around them (R0.6)")
	case Fail:
		return []answer{{outcome: Fail, path: "endpoints", message: "code outside of the adapter knows the provider (R0.6)", fix: "See the findings of R0.6."}}
	}
	return open(count(len(p.Endpoints), "endpoint")+" of the plan; whether your code goes around them is not to be seen in a plan",
		"Look through the code as well: sallyport review PLAN --code DIR.")
}

// checkMapper keeps R7.1.4.
func checkMapper(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, name := range sorted(p.Endpoints) {
		e := p.Endpoints[name]
		listing := strings.HasPrefix(name, "list_") || (p.Webhooks != nil && p.Webhooks.Reconcile != nil && p.Webhooks.Reconcile.List == name)
		if e.Receive == "" && !listing && e.Method() != "DELETE" {
			out = append(out, answer{outcome: Fail, path: "endpoints." + name, message: fmt.Sprintf("answers of %s are handed on as the provider writes them", name)})
		}
	}
	if p.Webhooks != nil {
		for _, name := range sorted(p.Webhooks.Events) {
			if p.Webhooks.Events[name].Map == "" {
				out = append(out, answer{outcome: Fail, path: "webhooks.events." + name, message: fmt.Sprintf("event %s is handed on as the provider writes it", name)})
			}
		}
	}
	return or(out, count(len(p.Mappings), "mapping"))
}

// checkStatuses keeps R7.1.5: the default policy handles every status, so what
// can go wrong is what the plan changes.
func checkStatuses(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, key := range []string{"429", "502", "503", "504", "5xx", "timeout", "network"} {
		if own, ok := p.Errors[key]; ok && own.Retry == 0 {
			out = append(out, answer{outcome: Fail, path: "errors." + key, message: key + " is never tried again"})
		}
	}
	for _, key := range sorted(p.Errors) {
		if hopeless(key) && p.Errors[key].Retry > 0 {
			out = append(out, answer{outcome: Fail, path: "errors." + key, message: key + " is tried again, though the same request gets the same answer"})
		}
	}
	return or(out, "400, 401, 403, 404, 409, 429, 5xx, timeout and network each have a policy")
}

// hopeless reports whether a status answers the request itself, so that the
// same one can't fare better: 4xx, but for those about time (408, 425, 429),
// state (404 and 409, which may catch up; 423) and credentials (401).
func hopeless(key string) bool {
	return len(key) == 3 && key[0] == '4' && !slices.Contains([]string{"401", "404", "408", "409", "423", "425", "429"}, key)
}

// checkUnauthorized keeps R4.2.
func checkUnauthorized(p *plan.Plan, _ Options) []answer {
	if n := p.ErrorPolicy("401").Retry; n > 1 {
		return []answer{{outcome: Fail, path: "errors.401", message: fmt.Sprintf("401 is tried again %d times", n)}}
	}
	return pass("with the credential read again, once at most")
}

// checkThrottle keeps R7.1.6.
func checkThrottle(p *plan.Plan, _ Options) []answer {
	if len(p.Provider.Limits.List) == 0 {
		return open("the profile knows no limit of this provider", "Find the provider's limits and add them to its profile.")
	}
	if h := p.Limits.Headroom.Or(plan.DefaultHeadroom); h > 80 {
		return []answer{{outcome: Fail, path: "limits.headroom", message: fmt.Sprintf("%d%% of each limit is used; 80%% leaves room for what does not go through the gateway", h)}}
	}
	return pass(fmt.Sprintf("at most %d%% of each limit is used", p.Limits.Headroom.Or(plan.DefaultHeadroom)))
}

// checkBackoff keeps R7.1.7.
func checkBackoff(p *plan.Plan, _ Options) []answer {
	var out []answer
	keys := []string{"5xx", "timeout", "network"}
	for _, key := range sorted(p.Errors) {
		if key[0] == '5' && key != "5xx" {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		policy := p.ErrorPolicy(key)
		grows := len(policy.Backoff) > 1
		for i := 1; i < len(policy.Backoff); i++ {
			grows = grows && policy.Backoff[i] > policy.Backoff[i-1]
		}
		if policy.Retry > 1 && !grows {
			out = append(out, answer{outcome: Fail, path: "errors." + key, message: fmt.Sprintf("%s is tried again %d times without a growing wait", key, policy.Retry)})
		}
	}
	return or(out, "waits grow, and jitter is added")
}

// checkIdempotency keeps R4.7: what is created needs a key that is kept over
// the attempts, where the provider knows one. What is irreversible is never
// repeated by machine, with or without.
func checkIdempotency(p *plan.Plan, _ Options) []answer {
	var out []answer
	creates := 0
	facts := p.Provider.Idempotency
	for _, name := range sorted(p.Endpoints) {
		e := p.Endpoints[name]
		if e.Effect != plan.EffectCreate {
			continue
		}
		creates++
		if e.Idempotency != nil {
			continue
		}
		a := answer{outcome: Fail, path: "endpoints." + name, message: name + " creates and has no idempotency key: after a timeout nobody knows whether it happened"}
		switch {
		case facts.Header == "" || len(facts.Methods) > 0 && !slices.Contains(facts.Methods, e.Method()):
			a.outcome = Unknown
			a.message += fmt.Sprintf(", and the profile knows no key of this provider for a %s", e.Method())
			a.fix = "Find out whether the provider has an idempotency key; else look for the resource by a natural key before creating it."
		default:
			a.fix = fmt.Sprintf("Write idempotency: {header: %s} on the endpoint.", facts.Header)
		}
		out = append(out, a)
	}
	if creates == 0 {
		return absent("the plan creates nothing")
	}
	return or(out, count(creates, "endpoint")+" with the effect create, each with a key")
}

// checkKeyWindow keeps E10.
func checkKeyWindow(p *plan.Plan, _ Options) []answer {
	var out []answer
	keys := 0
	facts := p.Provider.Idempotency
	window := time.Duration(facts.KeepHours) * time.Hour
	for _, name := range sorted(p.Endpoints) {
		i := p.Endpoints[name].Idempotency
		if i == nil {
			continue
		}
		keys++
		path := "endpoints." + name + ".idempotency"
		if facts.Header != "" && !strings.EqualFold(facts.Header, i.Header) {
			out = append(out, answer{outcome: Fail, path: path, message: fmt.Sprintf("%s sends its key as %s; the profile knows %s", name, i.Header, facts.Header)})
		}
		if window > 0 && time.Duration(i.Keep) > window {
			out = append(out, answer{outcome: Fail, path: path, message: fmt.Sprintf("%s counts on its key for %s; the provider remembers it for %s", name, i.Keep, plan.Duration(window))})
		}
	}
	switch {
	case keys == 0:
		return absent("no endpoint has a key")
	case facts.Header == "":
		return open(count(keys, "endpoint")+" with a key, and the profile knows none of this provider",
			"Find the header in the provider's documentation and add it to the profile.")
	}
	return or(out, fmt.Sprintf("%s with %s", count(keys, "endpoint"), facts.Header))
}

// checkEffect keeps E9. A POST may do anything; what its path tells is taken
// for a hint only where a mistake would repeat it.
func checkEffect(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, name := range sorted(p.Endpoints) {
		e := p.Endpoints[name]
		what := ""
		switch method := e.Method(); {
		case e.Effect == plan.EffectRead && (method == "PUT" || method == "PATCH" || method == "DELETE"):
			what = fmt.Sprintf("a %s does not only read", method)
		case e.Effect != plan.EffectRead && (method == "GET" || method == "HEAD"):
			what = fmt.Sprintf("a %s reads", method)
		case e.Effect == plan.EffectUpdate && method == "POST" && e.Idempotency == nil && len(e.PathVariables()) == 0:
			what = "a POST to a collection makes another one when it is repeated without a key"
		default:
			continue
		}
		out = append(out, answer{outcome: Fail, path: "endpoints." + name + ".effect", message: fmt.Sprintf("%s (%s) has the effect %s, but %s", name, e.Call, e.Effect, what)})
	}
	if len(p.Endpoints) == 0 {
		return absent("the plan calls nothing")
	}
	return or(out, count(len(p.Endpoints), "endpoint"))
}

// checkFallback keeps R0.4.
func checkFallback(p *plan.Plan, _ Options) []answer {
	if len(p.Endpoints) == 0 {
		return absent("the plan calls nothing")
	}
	var out []answer
	var rows []string
	for _, name := range sorted(p.Endpoints) {
		rows = append(rows, "endpoint."+name+".fallback")
		if p.Endpoints[name].Fallback == "" {
			out = append(out, answer{outcome: Fail, path: "endpoints." + name, message: name + " has no fallback"})
		}
	}
	if len(out) > 0 {
		return out
	}
	return []answer{{outcome: Pass, rows: rows, message: count(len(p.Endpoints), "endpoint") + ", each with a fallback"}}
}

// checkDocument keeps R0.3 as far as the document tells.
func checkDocument(p *plan.Plan, o Options) []answer {
	if o.Document == nil {
		return open("the provider's document was not at hand", "Pin it under profile.spec and review again.")
	}
	var out []answer
	if spec := p.Profile.Spec; spec != nil && o.Document.SHA256 != "" && !spec.Matches(o.Document.SHA256) {
		out = append(out, answer{outcome: Fail, path: "profile.spec", message: "the document is another one than the plan pins by its sha256"})
	}
	for _, name := range sorted(p.Endpoints) {
		op, ok := o.Document.Operation(p.Endpoints[name].Call)
		switch {
		case !ok:
			out = append(out, answer{outcome: Fail, path: "endpoints." + name + ".call", message: fmt.Sprintf("the document has no operation %s", p.Endpoints[name].Call)})
		case op.Deprecated:
			out = append(out, answer{outcome: Fail, path: "endpoints." + name + ".call", message: fmt.Sprintf("%s is deprecated", p.Endpoints[name].Call)})
		}
	}
	return or(out, count(len(p.Endpoints), "operation")+" in the document, none deprecated")
}
