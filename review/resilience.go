package review

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/plan"
)

// hasProduction reports whether the plan has an environment with real customers.
func hasProduction(p *plan.Plan) bool {
	return slices.ContainsFunc(sorted(p.Environments), plan.Production)
}

// perEndpoint asks about every endpoint: whether the rule is about it, and what
// is wrong with it.
func perEndpoint(p *plan.Plan, none, kept string, ask func(name string, e *plan.Endpoint) (concerned bool, key, wrong string)) []answer {
	var out []answer
	n := 0
	for _, name := range sorted(p.Endpoints) {
		concerned, key, wrong := ask(name, p.Endpoints[name])
		if !concerned {
			continue
		}
		n++
		if wrong != "" {
			path := "endpoints." + name
			if key != "" {
				path += "." + key
			}
			out = append(out, answer{outcome: Fail, path: path, message: name + " " + wrong})
		}
	}
	if n == 0 {
		return absent(none)
	}
	return or(out, count(n, "endpoint")+kept)
}

// checkObserved keeps E17.
func checkObserved(p *plan.Plan, _ Options) []answer {
	switch {
	case p.Limits.Observes() && hasProduction(p):
		return []answer{{outcome: Fail, path: "limits.mode", message: "limits are only watched, in production as well: nothing is held back"}}
	case p.Limits.Observes():
		return passAt("limits.mode", "limits are only watched, and there is no production environment yet")
	}
	return pass("limits are enforced")
}

// checkBreaker keeps E15: numbers that no day reaches switch it off.
func checkBreaker(p *plan.Plan, _ Options) []answer {
	var out []answer
	k := p.Breaker
	if n := k.Failures.Or(plan.DefaultBreakerFailures); n >= 100 {
		out = append(out, answer{outcome: Fail, path: "breaker.failures", message: fmt.Sprintf("%d%% of the calls must fail: one that succeeds keeps it closed", n)})
	}
	if n := cmp.Or(k.Minimum, plan.DefaultBreakerMinimum); n > 1000 {
		out = append(out, answer{outcome: Fail, path: "breaker.minimum", message: fmt.Sprintf("below %d calls in a window it never opens", n)})
	}
	if slow, window := k.Slow.Or(plan.DefaultBreakerSlow), k.Window.Or(plan.DefaultBreakerWindow); slow >= window {
		out = append(out, answer{outcome: Fail, path: "breaker.slow", message: fmt.Sprintf("a call is slow after %s, in a window of %s: hardly one is seen", plan.Duration(slow), plan.Duration(window))})
	}
	return or(out, fmt.Sprintf("opens at %d%% failures", k.Failures.Or(plan.DefaultBreakerFailures)))
}

// checkTimeouts keeps E12.
func checkTimeouts(p *plan.Plan, _ Options) []answer {
	deadline := p.Calls.Deadline.Or(plan.DefaultDeadline)
	return perEndpoint(p, "the plan calls nothing", ", each with time for a second attempt", func(_ string, e *plan.Endpoint) (bool, string, string) {
		timeout := e.Timeout.Or(plan.DefaultTimeout)
		if p.ErrorPolicy("timeout").Retry > 0 && 2*timeout > deadline {
			return true, "timeout", fmt.Sprintf("may take %s, and a call ends after %s: it is never tried again", plan.Duration(timeout), plan.Duration(deadline))
		}
		return true, "", ""
	})
}

// checkRetryBudget keeps E13.
func checkRetryBudget(p *plan.Plan, _ Options) []answer {
	if n := p.Calls.RetryBudget.Or(plan.DefaultRetryBudget); n > 50 {
		return []answer{{outcome: Fail, path: "calls.retry_budget", message: fmt.Sprintf("%d%% of the calls may be retries", n)}}
	}
	return pass(fmt.Sprintf("at most %d%% of the calls are retries", p.Calls.RetryBudget.Or(plan.DefaultRetryBudget)))
}

// checkOutcome keeps E14: what can't be repeated has to be looked for.
func checkOutcome(p *plan.Plan, _ Options) []answer {
	return perEndpoint(p, "every call may be repeated", " that may not be repeated, each with a way to find out", func(_ string, e *plan.Endpoint) (bool, string, string) {
		if e.Effect != plan.EffectIrreversible && (e.Effect != plan.EffectCreate || e.Idempotency != nil) {
			return false, "", ""
		}
		if e.OnUnknown == nil {
			return true, "", "may not be repeated, and nothing says how to find out whether it happened"
		}
		return true, "", ""
	})
}

// checkQueue keeps E16: what waits is sent late, when a key may be forgotten. A
// create without any key is R4.7's.
func checkQueue(p *plan.Plan, _ Options) []answer {
	expire := p.Calls.Expire.Or(plan.DefaultExpire)
	return perEndpoint(p, "nothing is queued", " with fallback queue", func(_ string, e *plan.Endpoint) (bool, string, string) {
		i := e.Idempotency
		switch {
		case e.Fallback != "queue":
			return false, "", ""
		case e.Effect == plan.EffectIrreversible:
			return true, "fallback", "is irreversible and may be sent hours later, when nobody wants it any more"
		case i != nil && i.Keep != 0 && time.Duration(i.Keep) < expire:
			return true, "idempotency", fmt.Sprintf("may wait %s in the queue, and the provider forgets its key after %s", plan.Duration(expire), i.Keep)
		}
		return true, "", ""
	})
}

// checkConflict keeps R4.5.
func checkConflict(p *plan.Plan, _ Options) []answer {
	return perEndpoint(p, "the plan updates nothing", " with the effect update, each with a rule for conflicts", func(_ string, e *plan.Endpoint) (bool, string, string) {
		wrong := ""
		if e.OnConflict == nil {
			wrong = "updates and does not say whose values stand when both sides changed"
		}
		return e.Effect == plan.EffectUpdate && (e.Method() == "PUT" || e.Method() == "PATCH"), "", wrong
	})
}

// checkMissing keeps R4.4. A 404 is no proof that something is gone where the
// provider hides what a credential may not see.
func checkMissing(p *plan.Plan, _ Options) []answer {
	if !slices.ContainsFunc(sorted(p.Endpoints), func(name string) bool { return len(p.Endpoints[name].PathVariables()) > 0 }) {
		return absent("no endpoint asks for one resource by its id")
	}
	tell := p.ErrorPolicy("404").Tell
	switch {
	case tell == "":
		return []answer{{outcome: Fail, path: "errors", message: "a resource that is gone at the provider stays in your product: nobody is told of a 404"}}
	case p.Provider.Errors.ForbiddenAs404:
		return open(tell+" is told; but this provider answers 404 also for what the credential may not see", "See that "+tell+" asks again, or asks a person, before it deletes.")
	}
	return passAt("errors.404", tell+" is told")
}

// checkBulk keeps E21.
func checkBulk(p *plan.Plan, _ Options) []answer {
	return perEndpoint(p, "no calls are collected", " collected, each with a sign of failure", func(_ string, e *plan.Endpoint) (bool, string, string) {
		wrong := ""
		if e.Bulk != nil && e.Bulk.Error == "" {
			wrong = "is one of many in a request, and nothing says how its own failure is told"
		}
		return e.Bulk != nil, "bulk", wrong
	})
}

// checkFixedAnswer keeps R4.10 for answers that are not the provider's.
func checkFixedAnswer(p *plan.Plan, _ Options) []answer {
	return perEndpoint(p, "no fallback makes an answer up", ", each only reading", func(_ string, e *plan.Endpoint) (bool, string, string) {
		wrong := ""
		if e.Effect != plan.EffectRead {
			wrong = "changes something, and its caller is told that it happened (fallback " + e.Fallback + ")"
		}
		return e.Fallback == "default" || e.Fallback == "cached", "fallback", wrong
	})
}

// Words in the names of references that tell where a secret belongs.
var (
	liveWords = []string{"LIVE", "PROD", "PRODUCTION"}
	testWords = []string{"TEST", "SANDBOX", "DEV", "DEVELOPMENT", "STAGING"}
)

// checkMixed keeps E33: by the names of references, as far as they tell.
func checkMixed(p *plan.Plan, _ Options) []answer {
	var out []answer
	for _, name := range sorted(p.Environments) {
		wrong := liveWords
		if plan.Production(name) {
			wrong = testWords
		}
		secrets := p.Environments[name].Secrets
		for _, key := range sorted(secrets) {
			for _, reference := range secrets[key] {
				words := strings.FieldsFunc(strings.ToUpper(reference), func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
				if i := slices.IndexFunc(words, func(w string) bool { return slices.Contains(wrong, w) }); i >= 0 {
					out = append(out, answer{outcome: Fail, path: "environments." + name + ".secrets." + key, message: fmt.Sprintf("%s of %s is %s", key, name, reference)})
				}
			}
		}
	}
	return or(out, "no reference is named for another environment")
}

// checkEncrypted keeps E35 for addresses that leave the machine.
func checkEncrypted(p *plan.Plan, _ Options) []answer {
	var out []answer
	look := func(path, address string) {
		if clear(address) {
			out = append(out, answer{outcome: Fail, path: path, message: address + " is reached without encryption"})
		}
	}
	look("profile.base_url", p.Profile.BaseURL)
	for _, name := range sorted(p.Environments) {
		look("environments."+name+".base_url", p.Environments[name].BaseURL)
	}
	for _, name := range sorted(p.Destinations) {
		look("destinations."+name+".url", p.Destinations[name].URL)
	}
	return or(out, "every address beyond this machine and its network is reached by TLS")
}

// clear reports whether an address is reached without TLS and is not on this
// machine, in a private network, or a name without a dot, as services have them
// in one cluster.
func clear(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "http":
	case "nats", "kafka":
		if u.Query().Get("tls") == "true" {
			return false
		}
	case "awssqs":
		if u.Query().Get("tls") != "false" {
			return false
		}
	default:
		return false
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsLoopback() && !ip.IsPrivate()
	}
	return strings.Contains(host, ".") && !strings.HasSuffix(host, ".local") && !strings.HasSuffix(host, ".internal") && !strings.HasSuffix(host, ".localhost")
}

// checkSilence keeps E67.
func checkSilence(p *plan.Plan, _ Options) []answer {
	if len(p.Endpoints) == 0 {
		return absent("the plan calls nothing")
	}
	if p.Monitoring.ExpectCallsEvery == 0 {
		return []answer{{outcome: Fail, path: "monitoring", message: "silence looks like health: nothing says how often calls are expected"}}
	}
	return passAt("monitoring.expect_calls_every", "silence for longer than "+p.Monitoring.ExpectCallsEvery.String()+" is told")
}

const year = 365 * 24 * time.Hour

// checkFresh keeps E2.
func checkFresh(p *plan.Plan, o Options) []answer {
	if len(p.Profile.Confirmed) == 0 {
		return absent("nobody has confirmed a section of the profile")
	}
	if o.Now.IsZero() {
		return absent("there is no date to compare with")
	}
	var out []answer
	for _, name := range sorted(p.Profile.Confirmed) {
		c := p.Profile.Confirmed[name]
		day, err := time.Parse(time.DateOnly, c.On)
		switch {
		case err != nil:
		case o.Now.Before(day):
			out = append(out, answer{outcome: Fail, path: "profile.confirmed." + name, message: fmt.Sprintf("%s was confirmed on %s, which is to come", name, c.On)})
		case o.Now.Sub(day) > year:
			out = append(out, answer{outcome: Fail, path: "profile.confirmed." + name, message: fmt.Sprintf("%s was confirmed on %s, more than a year ago", name, c.On)})
		}
	}
	return or(out, count(len(p.Profile.Confirmed), "section")+" confirmed within a year")
}

// checkKnown says what of the provider a plan uses and nobody has written down.
func checkKnown(rule string) func(p *plan.Plan, o Options) []answer {
	ask := map[string]struct{ what, settles string }{
		"E19": {"the profile does not say how lists go on", "Find out how the provider pages, and add pagination to its profile: a list that stops at its first page looks complete."},
		"E26": {"the profile knows no request id of this provider", "Look at the headers of an answer, and add errors.request_id_header: its support asks for it."},
		"E41": {"the profile does not say how often an event is sent again", "Find the provider's schedule and add webhooks.retries: it says how long an outage may last before events are lost."},
		"E66": {"the profile knows no status page", "Add service.status_page to the profile: it is the first thing to look at in an outage."},
	}[rule]
	return func(p *plan.Plan, _ Options) []answer {
		known := ""
		switch rule {
		case "E19":
			if !slices.ContainsFunc(sorted(p.Endpoints), func(n string) bool { return strings.HasPrefix(n, "list_") || strings.HasPrefix(n, "search_") }) {
				return absent("the plan lists nothing")
			}
			known = p.Provider.Pagination.Style
		case "E26":
			known = cmp.Or(p.Provider.Errors.RequestIDHeader, p.Provider.Errors.RequestIDPath)
		case "E41":
			if !usesWebhooks(p) {
				return absent(noWebhooks)
			}
			if p.Provider.Webhooks != nil {
				known = p.Provider.Webhooks.Retries
			}
		case "E66":
			known = p.Provider.Service.StatusPage
		}
		if known == "" {
			return open(ask.what, ask.settles)
		}
		return pass(known)
	}
}
