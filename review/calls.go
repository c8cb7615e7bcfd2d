package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// checkPinned keeps R7.1.1.
func checkPinned(p *plan.Plan, _ Options) []answer {
	var out []answer
	if p.Provider.API.VersionPin != nil && p.Profile.Version == "" {
		out = append(out, answer{outcome: Fail, path: "profile.version", message: "the API has versions and the plan pins none; the account's default decides"})
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
		if len(p.Environments[name].Secrets) == 0 {
			out = append(out, answer{outcome: Fail, path: "environments." + name, message: fmt.Sprintf("environment %s has no secrets", name)})
		} else if (p.Auth.Use == "api_key" || p.Auth.Use == "basic") && len(p.Environments[name].Secrets["api_key"]) == 0 {
			out = append(out, answer{outcome: Fail, path: "environments." + name + ".secrets", message: fmt.Sprintf("environment %s has no api_key, which auth.use: %s needs", name, p.Auth.Use)})
		}
	}
	return or(out, fmt.Sprintf("%d environments, each with its own references", len(p.Environments)))
}

// checkWrapper keeps R7.1.3 as far as a plan can: whether code goes around it is
// not in the plan.
func checkWrapper(p *plan.Plan, _ Options) []answer {
	if len(p.Endpoints) == 0 {
		return []answer{{outcome: Fail, path: "endpoints", message: "the plan names no endpoint; calls can only go through the proxy, in the provider's own shape"}}
	}
	return open(fmt.Sprintf("%d endpoints are named; whether your code goes around them is not to be seen in a plan", len(p.Endpoints)),
		"Search your code for the provider's hosts and SDK outside of one package.")
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
	return or(out, fmt.Sprintf("%d mappings", len(p.Mappings)))
}

// checkStatuses keeps R7.1.5: the default policy handles every status, so what
// can go wrong is what the plan changes.
func checkStatuses(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, key := range []string{"429", "5xx", "timeout", "network"} {
		if p.ErrorPolicy(key).Retry == 0 {
			out = append(out, answer{outcome: Fail, path: "errors." + key, message: key + " is never tried again"})
		}
	}
	for _, key := range []string{"400", "403", "404"} {
		if p.ErrorPolicy(key).Retry > 0 {
			out = append(out, answer{outcome: Fail, path: "errors." + key, message: key + " is tried again, though the same request gets the same answer"})
		}
	}
	return or(out, "400, 401, 403, 404, 409, 429, 5xx, timeout and network each have a policy")
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
	for _, key := range []string{"5xx", "timeout", "network"} {
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
// the attempts, where the provider knows one.
func checkIdempotency(p *plan.Plan, _ Options) []answer {
	var out []answer
	creates := 0
	for _, name := range sorted(p.Endpoints) {
		e := p.Endpoints[name]
		if e.Effect != plan.EffectCreate && e.Effect != plan.EffectIrreversible {
			continue
		}
		creates++
		if e.Idempotency != nil {
			continue
		}
		a := answer{outcome: Fail, path: "endpoints." + name, message: fmt.Sprintf("%s has effect %s and no idempotency key: after a timeout nobody knows whether it happened", name, e.Effect)}
		if p.Provider.Idempotency.Header == "" {
			a.outcome = Unknown
			a.message += ", and the profile knows no key of this provider"
			a.fix = "Find out whether the provider has an idempotency key; else look for the resource by a natural key before creating it."
		} else {
			a.fix = fmt.Sprintf("Write idempotency: {header: %s} on the endpoint.", p.Provider.Idempotency.Header)
		}
		out = append(out, a)
	}
	if creates == 0 {
		return absent("the plan creates nothing")
	}
	return or(out, fmt.Sprintf("%d endpoints create, each with a key", creates))
}

// checkDocument keeps R0.3 as far as the document tells.
func checkDocument(p *plan.Plan, o Options) []answer {
	if o.Document == nil {
		return open("the provider's document was not at hand", "Pin it under profile.spec and review again.")
	}
	var out []answer
	for _, name := range sorted(p.Endpoints) {
		op, ok := o.Document.Operation(p.Endpoints[name].Call)
		switch {
		case !ok:
			out = append(out, answer{outcome: Fail, path: "endpoints." + name + ".call", message: fmt.Sprintf("the document has no operation %s", p.Endpoints[name].Call)})
		case op.Deprecated:
			out = append(out, answer{outcome: Fail, path: "endpoints." + name + ".call", message: fmt.Sprintf("%s is deprecated", p.Endpoints[name].Call)})
		}
	}
	return or(out, "every operation is in the document, none deprecated")
}
